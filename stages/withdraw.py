"""Withdraw a participant: exclude the person for good, remove the data from this workspace, list all remaining copies.

The command records the participant in data/datasets.yaml, removes the data from the clones, and runs the stages before
training again. It does not start training. It deletes nothing in caches, remotes, source datasets and MLflow; it prints
the commands for that.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .core.base.errors import CordriftError, run
from .core.base.files import whole_file
from .core.workspace.withdrawal.text import conclusion, outcome_lines
from .core.workspace.withdrawal.withdraw import withdraw


def main(arguments: Sequence[str] | None = None) -> None:
    """Withdraw one participant and print what was done; fail at the end where a step failed."""
    parser = argparse.ArgumentParser(prog="cordrift withdraw", description=__doc__)
    parser.add_argument("participant", help="id, such as sub-amu01")
    parser.add_argument("--reason", required=True, help="one line that is kept in the registry: no personal data")
    parser.add_argument("--dataset", help="search for the id in the repository of this dataset only (default: in all)")
    parser.add_argument("--no-rebuild", action="store_true", help="only record, search and print; remove nothing")
    parser.add_argument("--report", type=Path, metavar="FILE", help="also write the text to this file")
    options = parser.parse_args(arguments)
    outcome = withdraw(Path(), options.participant, options.reason, options.dataset, rebuilding=not options.no_rebuild)
    text = "\n".join(outcome_lines(outcome))
    print(text)
    if options.report is not None:
        with whole_file(options.report) as part:
            part.write_text(text + "\n", encoding="utf-8")
    if outcome.problems:
        raise CordriftError(conclusion(outcome.problems))


if __name__ == "__main__":
    run(main)
