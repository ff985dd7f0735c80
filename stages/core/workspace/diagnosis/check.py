"""One line of a diagnosis, and the guard that turns whatever goes wrong inside a check into such a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from ...base.errors import CordriftError, redact

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Check:
    """What was looked at, how it stands, what was found, and what to do about it (``""``: nothing).

    A ``problem`` stops `dvc repro` with the params as they are; a ``warning`` does not.
    """

    name: str
    state: State
    found: str
    advice: str = ""


def guarded(name: str, look: Callable[[], Iterable[Check]], otherwise: State = "warning") -> list[Check]:
    """Run one check; an error in it becomes a line with the state ``otherwise``, and addresses lose their passwords."""
    try:
        checks = list(look())
    except CordriftError as error:
        checks = [Check(name, otherwise, str(error))]
    except Exception as error:  # noqa: BLE001 - on a half-broken machine anything can fail, and the other checks still help
        why = " ".join(str(error).split()) or "no reason given"
        checks = [Check(name, otherwise, f"could not be looked at: {type(error).__name__}, {why}")]
    return [replace(check, found=redact(check.found), advice=redact(check.advice)) for check in checks]


def lines(checks: Iterable[Check]) -> list[str]:
    """Return the checks as a table for a terminal, advice under its check, and a last line that counts."""
    shown = list(checks)
    width = max((len(check.name) for check in shown), default=0)
    out = []
    for check in shown:
        out.append(f"{check.state:<7}  {check.name:<{width}}  {check.found}")
        if check.advice:
            out.append(f"{'':<7}  {'':<{width}}  -> {check.advice}")
    problems, warnings = (sum(check.state == state for check in shown) for state in ("problem", "warning"))
    stops = "`dvc repro` would stop" if problems else "nothing here stops `dvc repro`"
    return [*out, "", f"{len(shown)} checks, problems: {problems}, warnings: {warnings}; {stops}."]
