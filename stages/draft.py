"""A retrained bundle as a draft release: `write` prepares its files, `upload` needs the right to write releases.

Publishing the draft has it judged (.github/workflows/release.yml).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from .core.base.errors import CordriftError, run
from .core.release.github.repository import open_repository
from .core.release.github.runner import write_outputs, write_summary
from .core.release.jobs.draft import upload_draft, write_draft


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the step that is named first."""
    parser = argparse.ArgumentParser(prog="cordrift draft", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    write = steps.add_parser("write")
    write.add_argument("--tag", help="of the draft (default: the next minor version)")
    upload = steps.add_parser("upload")
    commit = os.environ.get("GITHUB_SHA", "")
    upload.add_argument("--commit", default=commit, help="what the tag will point to (default: GITHUB_SHA)")
    options = parser.parse_args(arguments)
    if options.step == "write":
        write_outputs(write_draft(Path(), open_repository(), options.tag or None))
        return
    if not options.commit:
        raise CordriftError("a draft needs the commit that its tag will point to: --commit, or GITHUB_SHA.")
    release = upload_draft(Path(), open_repository(), options.commit)
    write_summary(f"Draft release **{release.tag}**: {release.page}\n\nPublish it to have it judged.")


if __name__ == "__main__":
    run(main)
