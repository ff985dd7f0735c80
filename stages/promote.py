"""Accept a version with a reason: it becomes champion and anchor, whatever the verdict was.

Users of the older versions convert with the factors of its run (compare/conversion.csv).
"""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Sequence
from datetime import UTC, datetime

from stages.core.children import user_name
from stages.core.errors import run
from stages.core.params import load_params
from stages.core.store.client import open_store
from stages.core.store.promotion import find_version, promote


def main(arguments: Sequence[str] | None = None) -> None:
    """Promote the version, and say what it was and who was before."""
    parser = argparse.ArgumentParser(prog="cordrift promote", description=__doc__)
    parser.add_argument("version", metavar="DIGEST", help="the bundle's digest (six digits or more), or the label")
    parser.add_argument("--reason", required=True, help="kept with the version, for everybody to read")
    parser.add_argument("--by", metavar="NAME", help="who decides (default: the name that git knows, or the login)")
    parser.add_argument("--model", help="registered model (default: register.model of params.yaml)")
    options = parser.parse_args(arguments)
    store = open_store(options.model or load_params().registration.model)
    version = find_version(store, options.version)
    person = options.by or user_name() or getpass.getuser()
    when = datetime.now(UTC).isoformat(timespec="seconds")
    done = promote(store, version, reason=options.reason, person=person, when=when)
    label, verdict = version.tags.get("label", ""), version.tags.get("drift", "not judged")
    print(f"{store.model} version {version.number} ({label}) is champion and anchor. Its drift was: {verdict}.")
    for role, number in done.before.items():
        if number not in {None, version.number}:
            print(f"  {role} was version {number}; its numbers are converted with compare/conversion.csv of this run")


if __name__ == "__main__":
    run(main)
