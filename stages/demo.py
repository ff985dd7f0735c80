"""Command ``demo``: the whole loop on a generated cohort that grows, in a scratch workspace.

v1 is trained on the first revision (few participants, three contrasts), v2 on the second (more participants, six
contrasts, domain-randomised volumes). Both are monitored on the same frozen participants; v2 on real MRI too where
there is any. Run again, it goes on where it stopped. The end is a check of the figures that the README names.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from stages.core.acceptance import check
from stages.core.clock import Clock
from stages.core.errors import CordriftError, run
from stages.core.files import read_csv, read_json, write_json
from stages.core.monitoring import monitor
from stages.core.params import load_params
from stages.core.phantom.publish import publish
from stages.core.registry import REGISTRY, pin
from stages.core.roundtrip import edit_yaml
from stages.core.seeding import train_again
from stages.core.store.client import open_store
from stages.core.workspace import command, dvc, make

#: Where one real participant lies, when a lab or a developer has it beside the checkout.
REAL = Path("../shared/real-cord")
#: Why the demo accepts v2, whatever the verdict.
REASON = "trained on all six contrasts; v1 fails on those it never saw, so studies convert with the published factors"
#: Epochs of v1; v2 has those of the profile.
EPOCHS_V1 = 4


def demo(root: Path, real: Path, seeds: int = 1) -> bool:
    """Run the loop below ``root/.demo``; returns whether every figure of the check was reached."""
    work, clock = root / ".demo", Clock()
    done = work / "v1.json"
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # the demo never writes to a team's server
    phantom = work / "data/phantom"
    with clock.step("phantom: first revision, published as a DataLad dataset"):
        first = publish(phantom, "demo", "r1", 2)
    if not done.is_file():
        _workspace(root, work, {"phantom-frozen": ("r1", first), "phantom": ("r1", first)})
        edit_yaml(work / "params.yaml", _first_version)
        with clock.step("v1: fetch, prepare, train, segment, measure, compare, report, register"):
            dvc(work, "repro")
        # Kept apart: v2's run replaces these tables.
        agreement = read_csv(work / "reports/measure/agreement.csv", text=("contrast",))
        write_json(done, {"dice": agreement.groupby("contrast")["dice"].mean().to_dict()})
    with clock.step("phantom: second revision, the dataset has grown"):
        grown = publish(phantom, "demo", "r2", 2)
    _workspace(root, work, {"phantom-frozen": ("r1", first), "phantom": ("r2", grown)})
    edit_yaml(work / "params.yaml", lambda params: params["register"].update(label="v2"))
    with clock.step("v2: fetch, prepare, train, package"):
        dvc(work, "repro", "package")
    if real.is_dir():
        with clock.step("real MRI: v2 on one real participant, six contrasts"):
            monitor(work, work / "data/package", "real-cord", "v2", real)
    else:
        print(f"\n== real MRI: skipped, there is no folder {real}")
    for seed in range(2, seeds + 1):
        with clock.step(f"v2 once more with seed {seed}: what a retraining moves when nothing has changed"):
            train_again(work, seed)
    with clock.step("v2: segment, measure, floors, compare with v1, report, register"):
        dvc(work, "repro")
    with clock.step("v2: the gate, and a person's decision"):
        # Six participants are too few for "equivalent", and an improvement is a drift too: users must convert.
        if command(work, "gate") and command(work, "promote", "v2", "--reason", REASON, "--by", "the demo"):
            raise CordriftError(f"v2 could not be promoted in {work}; the lines above say why.")
    print(f"\n{clock.table()}\n")
    passed = check(work, read_json(done)["dice"], real.is_dir(), _aliases(work))
    print(f"\nDrift report: {work / 'reports/report/index.html'}\nDashboard:    make dashboard")
    return passed


def _aliases(work: Path) -> tuple[str, ...]:
    """Aliases of the newest version in the demo's store."""
    return open_store(load_params(work / "params.yaml").registration.model, work).versions()[-1].aliases


def _workspace(root: Path, work: Path, pins: dict[str, tuple[str, str]]) -> None:
    """Bring the workspace to the checkout's code and profile, with its generated datasets at ``pins`` (tag, commit)."""
    make(root, work, "demo")
    edit_yaml(work / REGISTRY, _own_datasets)
    for name, (tag, commit) in pins.items():
        pin(work / REGISTRY, name, tag, commit)


def _own_datasets(registry: Any) -> None:
    """The demo's datasets lie in its own workspace, not in the checkout's."""
    for name in ("phantom", "phantom-frozen"):
        registry["datasets"][name]["url"] = "data/phantom"


def _first_version(params: Any) -> None:
    """A first version: trained briefly, and without the contrast remap."""
    params["register"].update(label="v1")
    params["train"].update(epochs=EPOCHS_V1)
    params["train"]["augmentation"].update(contrast_remap=0.0)


def main() -> None:
    """Run the demo and fail when a figure of its check is not reached."""
    parser = argparse.ArgumentParser(prog="cordrift demo", description=__doc__)
    parser.add_argument("--real", type=Path, default=REAL, help="folder of real-cord (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=1, help="train v2 with this many seeds (default: %(default)s)")
    options = parser.parse_args()
    if not demo(Path(), options.real, options.seeds):
        raise CordriftError("the demo ran to its end, but a figure of its check was not reached (FAILED above).")


if __name__ == "__main__":
    run(main)
