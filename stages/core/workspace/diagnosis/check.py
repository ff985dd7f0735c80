"""One line of the diagnosis, and the guard that turns an error inside a check into such a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from ...base.errors import CordriftError, redact

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class DoctorCheck:
    """The result of one check.

    Attributes
    ----------
    name : what was checked
    state : a ``problem`` stops `dvc repro` with the present params; a ``warning`` does not
    found : what was found
    advice : what the user can do about it; ``""`` for nothing
    """

    name: str
    state: State
    found: str
    advice: str = ""


def guarded(name: str, look: Callable[[], Iterable[DoctorCheck]], otherwise: State = "warning") -> list[DoctorCheck]:
    """Run one check and remove the passwords from addresses in its lines.

    Parameters
    ----------
    name : of the line that replaces the check where it fails
    look : runs the check
    otherwise : the state of that line
    """
    try:
        checks = list(look())
    except CordriftError as error:
        checks = [DoctorCheck(name, otherwise, str(error))]
    except Exception as error:  # noqa: BLE001 - on a broken machine any error can occur, and the other checks must still run
        why = " ".join(str(error).split()) or "no reason given"
        checks = [DoctorCheck(name, otherwise, f"this check failed: {type(error).__name__}, {why}")]
    return [replace(check, found=redact(check.found), advice=redact(check.advice)) for check in checks]


def check_lines(checks: Iterable[DoctorCheck]) -> list[str]:
    """Return the checks as a table for the terminal, each advice below its check, with the counts in the last line."""
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
