"""A fault that a check finds in one file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NAN = float("nan")


@dataclass(frozen=True)
class Fault:
    """One check that one file does not pass.

    Attributes
    ----------
    check : name of the check
    severity : an ``error`` excludes the case, a ``warning`` stays with it in later tables
    message : end of a sentence that begins with the file's name, e.g. "is empty"
    expected : what was expected, in words
    value : the number that was found, NaN where the fault has no number
    """

    check: str
    severity: Literal["error", "warning"]
    message: str
    expected: str
    value: float = NAN


def error(check: str, message: str, expected: str, value: float = NAN) -> Fault:
    """Return a fault that excludes the case; arguments as for :class:`Fault`."""
    return Fault(check, "error", message, expected, value)


def warning(check: str, message: str, expected: str, value: float = NAN) -> Fault:
    """Return a fault that stays with the case in later tables; arguments as for :class:`Fault`."""
    return Fault(check, "warning", message, expected, value)
