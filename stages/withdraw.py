"""Leave a participant out for ever: rebuild what held the data, list what was made of them, say how to purge it.

Writes the participant into data/datasets.yaml, removes the content from the clones and runs the stages before training
again. Training is not started. Nothing is deleted in caches, remotes, source datasets or MLflow: the commands for that
are printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .core.base.errors import CordriftError, run
from .core.base.files import whole_file
from .core.workspace.withdrawal.text import conclusion, lines
from .core.workspace.withdrawal.withdraw import withdraw


def main(arguments: Sequence[str] | None = None) -> None:
    """Withdraw one participant; fails at the end when a part could not be done."""
    parser = argparse.ArgumentParser(prog="cordrift withdraw", description=__doc__)
    parser.add_argument("participant", help="id, such as sub-amu01")
    parser.add_argument("--reason", required=True, help="one line that is kept in the registry: no personal data")
    parser.add_argument("--dataset", help="the id is meant in this dataset's repository only (default: in all)")
    parser.add_argument("--no-rebuild", action="store_true", help="write the registry, search and print only")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the same text to a file")
    options = parser.parse_args(arguments)
    done = withdraw(Path(), options.participant, options.reason, options.dataset, rebuilding=not options.no_rebuild)
    text = "\n".join(lines(done))
    print(text)
    if options.report is not None:
        with whole_file(options.report) as part:
            part.write_text(text + "\n", encoding="utf-8")
    if done.problems:
        raise CordriftError(conclusion(done.problems))


if __name__ == "__main__":
    run(main)
