"""Check this machine and this workspace, and tell what is missing and what `dvc repro` would run. It runs no stage."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .core.base.errors import run
from .core.workspace.diagnosis.check import check_lines
from .core.workspace.diagnosis.examine import examine


def main(argv: list[str] | None = None) -> None:
    """Print one line for each check; exit with status 1 where a problem would stop `dvc repro`."""
    parser = argparse.ArgumentParser(prog="cordrift doctor", description=__doc__)
    parser.add_argument("workspace", nargs="?", type=Path, default=Path(), help="folder (default: this one)")
    checks = examine(parser.parse_args(argv).workspace)
    print("\n".join(check_lines(checks)))
    if any(check.state == "problem" for check in checks):
        sys.exit(1)


if __name__ == "__main__":
    run(main)
