"""Command ``profile``: use a file of ``params/`` as the params of this workspace."""

from __future__ import annotations

import argparse
from pathlib import Path

from .core.base.errors import run
from .core.workspace.runs.workspace import use_profile


def main() -> None:
    """Switch to the profile named on the command line."""
    parser = argparse.ArgumentParser(prog="cordrift profile", description=__doc__)
    parser.add_argument("name", help="a file of params/ without its ending: demo, micro, spine-generic, real-cord")
    name = parser.parse_args().name
    use_profile(Path(), name)
    print(f"params.yaml is now params/{name}.yaml; `dvc repro` runs the stages that this affects.")


if __name__ == "__main__":
    run(main)
