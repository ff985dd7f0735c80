"""The whole loop on a generated cohort that grows, in a scratch workspace.

v1 is trained on the first revision (few participants, three contrasts), v2 on the second (more participants, six
contrasts, domain-randomised volumes). Both are monitored on the same frozen participants; v2 on real MRI too where
there is any. Run again, it goes on where it stopped. The end is a check of the figures that the README names.
In its smallest size it shows that everything runs, not that a model is good.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...base.errors import CordriftError
from ...base.files import read_csv, read_json, write_json
from ...data.datasets.registry import REGISTRY
from ...phantom.dataset.publish import publish
from ...store.client import open_store
from .demo_check import dice_figures, loop_figures, real_figures, show
from .monitor import monitor
from .other_seed import train_again
from .params import load_params
from .pin import pin_dataset
from .workspace import make_workspace, run_command, run_dvc
from .yaml_edit import edit_yaml

#: Why the demo accepts v2, whatever the verdict.
REASON = "trained on every contrast; v1 fails on those it never saw, so studies convert with the published factors"


@dataclass(frozen=True)
class Size:
    """How large the demo is.

    Attributes
    ----------
    folder : its scratch workspace, below the checkout
    profile : of ``params/``; the generated cohort has the same name
    dataset : the registry's entry to train on; ``<dataset>-frozen`` is monitored, and both lie in ``data/<dataset>``
    epochs_v1 : epochs of v1; v2 has those of the profile
    good : whether the model is large enough to be held to figures of Dice
    """

    folder: str
    profile: str
    dataset: str
    epochs_v1: int
    good: bool


FULL = Size(".demo", "demo", "phantom", 4, good=True)
MICRO = Size(".demo-micro", "micro", "micro", 3, good=False)


def demo(root: Path, size: Size, real: Path | None, seeds: int = 1) -> bool:
    """Run the loop below ``root/<folder>``; returns whether every figure of the check was reached.

    ``real``: folder with real MRI for v2, None for none.
    """
    work, clock = root / size.folder, Clock()
    done = work / "v1.json"
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # the demo never writes to a team's server
    phantom = work / "data" / size.dataset
    with clock.step("phantom: first revision, published as a DataLad dataset"):
        first = publish(phantom, size.profile, "r1", 2)
    if not done.is_file():
        _workspace(root, work, size, first, ("r1", first))
        edit_yaml(work / "params.yaml", lambda params: _first_version(params, size.epochs_v1))
        with clock.step("v1: fetch, prepare, train, segment, measure, compare, report, register"):
            run_dvc(work, "repro")
        # Kept apart: v2's run replaces these tables.
        agreement = read_csv(work / "reports/measure/agreement.csv", text=("contrast",))
        write_json(done, {"dice": agreement.groupby("contrast")["dice"].mean().to_dict()})
    with clock.step("phantom: second revision, the dataset has grown"):
        grown = publish(phantom, size.profile, "r2", 2)
    _workspace(root, work, size, first, ("r2", grown))
    edit_yaml(work / "params.yaml", lambda params: params["register"].update(label="v2"))
    with clock.step("v2: fetch, prepare, train, package"):
        run_dvc(work, "repro", "package")
    if real is not None:
        with clock.step("real MRI: v2 on one real participant, six contrasts"):
            monitor(work, work / "data/package", "real-cord", "v2", real)
    for seed in range(2, seeds + 1):
        with clock.step(f"v2 once more with seed {seed}: what a retraining moves when nothing has changed"):
            train_again(work, seed)
    with clock.step("v2: segment, measure, floors, compare with v1, report, register"):
        run_dvc(work, "repro")
    with clock.step("v2: the gate, and a person's decision"):
        # So few participants are too few for "equivalent", and an improvement is a drift too: users must convert.
        if run_command(work, "gate") and run_command(work, "promote", "v2", "--reason", REASON, "--by", "the demo"):
            raise CordriftError(f"v2 could not be promoted in {work}; the lines above say why.")
    print(f"\n{clock.table()}\n")
    figures = loop_figures(work, _aliases(work))
    if size.good:
        figures += dice_figures(work, read_json(done)["dice"])
        figures += real_figures(work) if real is not None else []
    passed = show(figures)
    print(f"\nDrift report: {work / 'reports/report/index.html'}")
    print(f"Dashboard:    {'make dashboard' if size is FULL else f'cordrift dashboard --workspace {work}'}")
    return passed


def _aliases(work: Path) -> tuple[str, ...]:
    """Aliases of the newest version in the demo's store."""
    return open_store(load_params(work / "params.yaml").registration.model, work).versions()[-1].aliases


def _workspace(root: Path, work: Path, size: Size, frozen: str, training: tuple[str, str]) -> None:
    """Bring the workspace to the checkout's code and profile.

    Its generated dataset lies in the workspace itself; the frozen set is pinned to commit ``frozen`` of the first
    revision, the training data to ``training`` (tag, commit).
    """
    make_workspace(root, work, size.profile)
    names = (size.dataset, f"{size.dataset}-frozen")
    edit_yaml(work / REGISTRY, lambda registry: _own(registry, names))
    for name, (tag, commit) in zip(names, (training, ("r1", frozen)), strict=True):
        pin_dataset(work / REGISTRY, name, tag, commit)


def _own(registry: Any, names: tuple[str, str]) -> None:
    for name in names:
        registry["datasets"][name]["url"] = f"data/{names[0]}"


def _first_version(params: Any, epochs: int) -> None:
    """A first version: trained briefly, and without the contrast remap."""
    params["register"].update(label="v1")
    params["train"].update(epochs=epochs)
    params["train"]["augmentation"].update(contrast_remap=0.0)


@dataclass
class Clock:
    """Seconds per step, printed as a table at the end."""

    steps: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step and announce it."""
        print(f"\n== {name}", flush=True)
        start = time.monotonic()
        yield
        self.steps.append((name, time.monotonic() - start))

    def table(self) -> str:
        """Return the steps with their seconds."""
        total = sum(seconds for _, seconds in self.steps)
        rows = [f"{seconds:7.0f} s  {name}" for name, seconds in [*self.steps, ("in all", total)]]
        return "\n".join(rows)
