"""Promote a version with a reason: it becomes champion and anchor, also if its verdict did not pass.

The promotion publishes factors by which users of the replaced version multiply their numbers, where enough people and a
narrow interval stand behind them: those of CSA in the tag `cordrift.conversion` of the version. All factors are in
compare/conversion.csv of its run.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from datetime import UTC, datetime

from .core.base.errors import run
from .core.data.clones.programs import person
from .core.drift.versions.settings import Register
from .core.store.client import RegisteredVersion, Store, open_store
from .core.store.promotion import Promoted, find_version, promote


def main(arguments: Sequence[str] | None = None) -> None:
    """Promote the version; print its verdict, the versions that it replaces, and the factors from them."""
    store, version, said = decided("promote", __doc__, arguments)
    done = promote(store, version, **said)
    label, verdict = version.tags.get("label", ""), version.tags.get("drift", "not judged")
    print(f"{store.model} version {version.number} ({label}) is champion and anchor. Its drift was: {verdict}.")
    print("  the next `dvc repro` in its workspace writes this into the report, and `cordrift gate` then passes")
    for role, number in done.before.items():
        if number is not None and number != version.number:
            print(f"  {role} was version {number}")
    for number in sorted({number for number in done.before.values() if number} - {version.number}):
        for line in _converted(number, done):
            print(f"  {line}")


def decided(
    command: str, description: str | None, arguments: Sequence[str] | None
) -> tuple[Store, RegisteredVersion, dict[str, str]]:
    """Read what a person decided about which version; `retire` asks the same.

    Parameters
    ----------
    command, description : of the command line
    arguments : those of the command line; None for those of this process

    Returns
    -------
    The store, the version, and ``reason``, ``person`` and ``when`` (ISO time: now) of the decision.
    """
    parser = argparse.ArgumentParser(prog=f"cordrift {command}", description=description)
    parser.add_argument("version", metavar="DIGEST", help="the bundle's digest (six digits or more), or the label")
    parser.add_argument("--reason", required=True, help="recorded with the version")
    parser.add_argument(
        "--by", metavar="NAME", help="who decides (default: the name in the settings of git, or the login name)"
    )
    parser.add_argument("--model", help="registered model (default: register.model of params.yaml)")
    options = parser.parse_args(arguments)
    store = open_store(options.model or Register.read().model)
    version = find_version(store, options.version)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    return store, version, {"reason": options.reason, "person": person(options.by), "when": when}


def _converted(number: int, done: Promoted) -> list[str]:
    """Say by what the CSA of a replaced version is multiplied, and which factors are not published and why."""
    factors, withheld = done.factors.get(number), done.withheld.get(number, {})
    if factors is None:
        return [f"CSA of version {number}: no factor to this version is known, because the two were not compared"]
    lines = [
        f"CSA of version {number}, {contrast}: multiplied by {value['factor']:.4f} ({value['ci_low']:.4f} to "
        f"{value['ci_high']:.4f}, n = {value['n']}; one person ±{value.get('person_half_width', math.nan):.1f} mm2)"
        for contrast, value in factors.items()
    ]
    for why in dict.fromkeys(withheld.values()):
        contrasts = ", ".join(contrast for contrast, reason in withheld.items() if reason == why)
        lines.append(f"CSA of version {number}, {contrasts}: no factor is published: {why}")
    return [*lines, "every metric in compare/conversion.csv of its run"]


if __name__ == "__main__":
    run(main)
