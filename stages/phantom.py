"""Generate a cohort of phantoms and publish it as a dataset with one or more revisions."""

from __future__ import annotations

import argparse
from pathlib import Path

from .core.base.errors import run
from .core.data.clones import annex
from .core.data.datasets.registry import REGISTRY, load_registry
from .core.phantom.acquisition.contrasts import PHANTOM_CONTRASTS, SIX
from .core.phantom.anatomy.pathology import JOIN, PATHOLOGIES
from .core.phantom.dataset.cohort import COHORTS, last_revision
from .core.phantom.dataset.order import order_cohort
from .core.phantom.dataset.publish import IMAGES_ONLY, publish, truth_of
from .core.workspace.runs.pin import pin_dataset


def main(argv: list[str] | None = None) -> None:
    """Run the command; ``argv`` defaults to the command line's arguments."""
    parser = argparse.ArgumentParser(prog="cordrift phantom", description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=Path("data/phantom"), help="folder (default: %(default)s)")
    parser.add_argument("--cohort", default="demo", help=f"one of {', '.join(COHORTS)} (default: %(default)s)")
    parser.add_argument("--revision", help="last revision to publish, e.g. r1 (default: the last of the cohort)")
    parser.add_argument("--jobs", type=int, default=2, help="number of processes (default: %(default)s)")
    parser.add_argument("--unmasked", action="store_true", help="leave out the masks of what is new in the last "
                        "revision, as if it came from a scanner: something to try `cordrift annotate` on")  # fmt: skip
    one = parser.add_argument_group("only for --cohort one", "a cohort of one participant with these options")
    one.add_argument("--pathology", help=f"of {', '.join(PATHOLOGIES)}; joined by {JOIN} (default: HC)")
    one.add_argument(
        "--contrasts", help=f"of {', '.join(PHANTOM_CONTRASTS)}; joined by commas (default: {','.join(SIX)})"
    )
    one.add_argument("--view", help="neck: cord and spine; large: 320 x 260 x 192 mm with head and shoulders, 1 mm "
                     "(default: neck)")  # fmt: skip
    one.add_argument("--turn", help="angles in degrees by which the grid is turned about x, y and z, e.g. 12,0,-5; "
                     "write --turn=-5,0,0 where the first is negative (default: 0,0,0)")  # fmt: skip
    options = parser.parse_args(argv)
    cohort = order_cohort(options.cohort, options.pathology, options.contrasts, options.view, options.turn)
    revision = options.revision or last_revision(options.cohort)
    commit = publish(options.out, cohort, revision, options.jobs, masks=not options.unmasked)
    if options.unmasked:
        revision = f"{revision}-{IMAGES_ONLY}"
        print(f"the masks that {options.out} lacks lie in {truth_of(options.out)}")
    print(f"{options.out} holds cohort {options.cohort}, revision {revision}, commit {commit}")
    for name, tag in _pin(options.out, revision):
        print(f"{REGISTRY}: {name} is pinned to {tag}")


def _pin(out: Path, revision: str) -> list[tuple[str, str]]:
    """Pin all registry entries whose address is ``out`` and return (entry, tag) of each.

    Training entries are pinned to ``revision``, test entries to the tag that they have.
    """
    if not REGISTRY.is_file():
        return []
    pins = []
    for name, dataset in load_registry(REGISTRY).datasets.items():
        if Path(dataset.url).resolve() == out.resolve():
            tag = revision if dataset.role == "train" else dataset.tag
            pin_dataset(REGISTRY, name, tag, annex.commit_of(str(out), tag))
            pins.append((name, tag))
    return pins


if __name__ == "__main__":
    run(main)
