"""Command ``profile``: use a file of ``params/`` as the params of this workspace."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from .core.base.errors import SettingsError, run
from .core.base.files import whole_file
from .core.workspace.runs.params import load_params
from .core.workspace.runs.workspace import profile_file


def switch(root: Path, name: str) -> None:
    """Copy ``params/<name>.yaml`` to ``params.yaml``.

    Raises
    ------
    SettingsError
        There is no such profile, it is not valid, or ``params.yaml`` contains edits that would be lost.
    """
    chosen, current = profile_file(root, name), root / "params.yaml"
    load_params(chosen)
    if current.is_file():
        known = [path.read_bytes() for path in sorted((root / "params").glob("*.yaml"))]
        if current.read_bytes() not in known:
            raise SettingsError(
                f"{current} differs from every file of {root / 'params'}: it holds edits that would be lost. "
                f"Save them as a profile (`cp params.yaml params/mine.yaml`) or drop them (`git checkout params.yaml`)."
            )
    with whole_file(current) as part:
        shutil.copyfile(chosen, part)


def main() -> None:
    """Switch to the profile named on the command line."""
    parser = argparse.ArgumentParser(prog="cordrift profile", description=__doc__)
    parser.add_argument("name", help="a file of params/ without its ending: demo, micro, spine-generic, real-cord")
    name = parser.parse_args().name
    switch(Path(), name)
    print(f"params.yaml is now params/{name}.yaml; `dvc repro` runs the stages that this affects.")


if __name__ == "__main__":
    run(main)
