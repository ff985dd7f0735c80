"""What one check says of one file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NAN = float("nan")


@dataclass(frozen=True)
class Fault:
    """A check that one file does not pass.

    Attributes
    ----------
    check : name of the check
    severity : an ``error`` stops the case, a ``warning`` travels with it
    message : what was found, without the file's name, e.g. "is empty"
    expected : in words
    value : the number that was found, NaN where there is none
    """

    check: str
    severity: Literal["error", "warning"]
    message: str
    expected: str
    value: float = NAN


def error(check: str, message: str, expected: str, value: float = NAN) -> Fault:
    """Return a fault that stops the case."""
    return Fault(check, "error", message, expected, value)


def warning(check: str, message: str, expected: str, value: float = NAN) -> Fault:
    """Return a fault that travels with the case."""
    return Fault(check, "warning", message, expected, value)
