"""Bring a folder of your own: DataLad dataset, registry entries, a frozen test split and a profile.

The folder follows BIDS. A plain folder is copied into a dataset below data/sources and stays as it is; a DataLad
dataset is used where it lies. What would be registered is shown first.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .core.base.errors import SettingsError, run
from .core.data.datasets.registry import REGISTRY
from .core.workspace.runs.budget import budget, choose_base
from .core.workspace.runs.new_dataset import (
    add_to_params,
    describe,
    make_dataset,
    plan_dataset,
    register,
    write_profile,
)
from .core.workspace.runs.params import load_params
from .core.workspace.runs.workspace import profile_file, use_profile


def main(argv: list[str] | None = None) -> None:
    """Show what the folder would become, ask, and write it."""
    parser = argparse.ArgumentParser(prog="cordrift new", description=__doc__)
    parser.add_argument("name", help="of the dataset and of its profile")
    parser.add_argument("--bids", type=Path, required=True, metavar="FOLDER", help="images, masks and labels in BIDS")
    parser.add_argument("--share", type=float, default=0.2, help="part of the people to freeze for the test; 0: none "
                        "(default: %(default)s)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="of the random choice (default: %(default)s)")
    parser.add_argument("--tag", default="r1", help="name of the revision (default: %(default)s)")
    parser.add_argument("--licence", default="not stated", help="as the registry says it (default: %(default)s)")
    parser.add_argument("--base", help="profile to start from (default: by the hardware)")
    parser.add_argument("--hours", type=float, default=8.0, help="for a training on the CPU (default: %(default)s)")
    parser.add_argument("--unmasked", action="store_true", help="also register images without masks, to draft them")
    parser.add_argument("--add", action="store_true", help="add to the present params.yaml, and make no profile")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be written")
    options = parser.parse_args(argv)
    root = Path()
    new = plan_dataset(
        root, options.name, options.bids, share=options.share, seed=options.seed, tag=options.tag,
        licence=options.licence, unmasked=options.unmasked,
    )  # fmt: skip
    # Nothing can be trained before there are masks, so that params do not name the dataset yet.
    waits = options.unmasked and not new.trained
    options.add |= waits
    if not options.add and new.test is None:
        raise SettingsError("a profile needs a test split: leave --share 0 out, or add the data with --add.")
    print("\n".join(describe(new)))
    base = options.base or choose_base()
    chosen = budget(base, load_params(profile_file(root, base)).train, options.hours)
    if not options.add:
        print(f"  training, on the settings of {base}: {chosen.told}")
    if options.dry_run or not (options.yes or _agreed()):
        print("Nothing was written.")
        return
    commit = make_dataset(root, new, print)
    if not options.add:
        print(f"{write_profile(root, new, base, chosen.changes)}: the settings of {base} with the new dataset")
    register(root, new, commit)  # last, so that all this can be repeated after an interruption
    print(f"{REGISTRY}: {' and '.join(new.entries)}, commit {commit[:12]}")
    if waits:
        print(f"`cordrift annotate {new.name}` drafts masks; params name {new.name} from the first accepted ones on.")
        return
    if options.add:
        add_to_params(root, new)
        print("params.yaml: added to fetch.datasets and prepare.datasets" + (", segment.datasets" if new.test else ""))
        return
    try:
        use_profile(root, new.name)
        print("params.yaml: now this profile")
    except SettingsError as error:
        print(f"{error}\nThen `cordrift profile {new.name}`.", file=sys.stderr)
    print(f"`dvc repro` would fetch, check and prepare the dataset, then train {chosen.told}; then it segments "
          f"{len(new.frozen)} participants, measures, compares and reports. `cordrift doctor` says what is missing; "
          "commit data/datasets.yaml, data/frozen.csv and params/.")  # fmt: skip


def _agreed() -> bool:
    """Ask on a terminal; elsewhere nobody can answer, and --yes is needed."""
    if not sys.stdin.isatty():
        raise SettingsError("nobody can be asked here: add --yes to write this, or --dry-run only to see it.")
    return input("Write this? [y/N] ").strip().lower() in {"y", "yes"}


if __name__ == "__main__":
    run(main)
