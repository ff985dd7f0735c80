"""Make a draft release of a retrained bundle: `write` prepares its files, `upload` needs the right to write releases.

When a person publishes the draft, it is judged (.github/workflows/release.yml).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .core.base.errors import SettingsError, run
from .core.release.github.repository import open_repository
from .core.release.github.runner import COMMIT, current_commit, write_outputs, write_summary
from .core.release.jobs.draft import upload_draft, write_draft


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the step that is named first."""
    parser = argparse.ArgumentParser(prog="cordrift draft", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    write = steps.add_parser("write")
    write.add_argument("--tag", help="of the draft (default: the next minor version)")
    write.add_argument(
        "--trained", type=Path, default=Path(), metavar="FOLDER",
        help="a folder with data/package and dvc.lock of the training (default: this checkout)",
    )  # fmt: skip
    upload = steps.add_parser("upload")
    upload.add_argument("--commit", default=current_commit(), help=f"what the tag will point to (default: {COMMIT})")
    options = parser.parse_args(arguments)
    if options.step == "write":
        write_outputs(write_draft(Path(), open_repository(), options.tag or None, print, trained=options.trained))
        return
    if not options.commit:
        raise SettingsError(f"a draft needs the commit that its tag will point to: --commit, or {COMMIT}.")
    release = upload_draft(Path(), open_repository(), options.commit, print)
    write_summary(f"Draft release **{release.tag}**: {release.page}\n\nIt is judged when you publish it.")


if __name__ == "__main__":
    run(main)
