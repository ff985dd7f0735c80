"""Promote a version with a reason: it becomes champion and anchor, also if its verdict did not pass.

The promotion publishes factors by which users of the replaced version multiply their numbers: those of CSA in the tag
`cordrift.conversion` of the version, those of all metrics in compare/conversion.csv of its run.
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
from .core.store.promotion import find_version, promote


def main(arguments: Sequence[str] | None = None) -> None:
    """Promote the version; print its verdict, the versions that it replaces, and the factors from them."""
    parser = argparse.ArgumentParser(prog="cordrift promote", description=__doc__)
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
    when = datetime.now(UTC).isoformat(timespec="seconds")
    done = promote(store, version, reason=options.reason, person=person, when=when)
    label, verdict = version.tags.get("label", ""), version.tags.get("drift", "not judged")
    print(f"{store.model} version {version.number} ({label}) is champion and anchor. Its drift was: {verdict}.")
    for role, number in done.before.items():
        if number is not None and number != version.number:
            print(f"  {role} was version {number}")
    for number in sorted({number for number in done.before.values() if number} - {version.number}):
        print(f"  {_converted(number, done.factors.get(number))}")


def _converted(number: int, factors: dict[str, dict[str, float]] | None) -> str:
    if factors is None:
        return f"CSA of version {number}: no factor to this version is known, because the two were not compared"
    factors_text = ", ".join(
        f"{contrast} {value['factor']:.4f}" for contrast, value in factors.items() if "factor" in value
    )
    return (
        f"CSA of version {number} is multiplied by: {factors_text} (published; every metric in compare/conversion.csv)"
    )


if __name__ == "__main__":
    run(main)
