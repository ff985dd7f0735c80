"""Retire a version: it leaves the series of versions, with a reason, and its label is free again.

Later reports do not show it and do not compare with it; its run stays in MLflow. A champion or anchor is replaced first
(`cordrift promote`). A run that is only tried needs no retiring: `register.trial: true` keeps it out from the start.
"""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Sequence
from datetime import UTC, datetime

from .core.base.errors import run
from .core.data.clones.programs import user_name
from .core.drift.versions.settings import Register
from .core.store.client import open_store
from .core.store.promotion import find_version, retire


def main(arguments: Sequence[str] | None = None) -> None:
    """Retire the version that is named on the command line."""
    parser = argparse.ArgumentParser(prog="cordrift retire", description=__doc__)
    parser.add_argument("version", metavar="DIGEST", help="the bundle's digest (six digits or more), or the label")
    parser.add_argument("--reason", required=True, help="recorded with the version")
    parser.add_argument(
        "--by", metavar="NAME", help="who decides (default: the name in the settings of git, or the login name)"
    )
    parser.add_argument("--model", help="registered model (default: register.model of params.yaml)")
    options = parser.parse_args(arguments)
    store = open_store(options.model or Register.read().model)
    version = find_version(store, options.version)
    person = options.by or user_name() or getpass.getuser()
    retire(store, version, reason=options.reason, person=person, when=datetime.now(UTC).isoformat(timespec="seconds"))
    label = version.tags.get("label", "")
    print(f"{store.model} version {version.number} ({label}) is retired; `dvc repro` leaves it out of the report.")


if __name__ == "__main__":
    run(main)
