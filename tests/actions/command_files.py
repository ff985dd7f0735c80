"""What steps tell the runner: the files GITHUB_OUTPUT, GITHUB_ENV and GITHUB_PATH, and commands in their log."""

from __future__ import annotations

import re
from pathlib import Path

from actions.errors import StepError

COMMAND = re.compile(r"^\s*::(?P<name>[a-z-]+)(?: (?P<with>[^:]*))?::(?P<value>.*)$")


def pairs(path: Path) -> dict[str, str]:
    """Read ``name=value`` and ``name<<END`` ... ``END``.

    Raises:
        StepError: a line is neither, or the end of a value is missing.
    """
    lines = path.read_text(encoding="utf-8").split("\n")
    found: dict[str, str] = {}
    at = 0
    while at < len(lines):
        line = lines[at].removesuffix("\r")
        at += 1
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            found[line[:equals]] = line[equals + 1 :]
        elif heredoc > 0:
            name, delimiter = line[:heredoc], line[heredoc + 2 :]
            if delimiter not in lines[at:]:
                raise StepError(f"Invalid value. Matching delimiter not found '{delimiter}'")
            end = lines.index(delimiter, at)
            found[name] = "\n".join(lines[at:end])
            at = end + 1
        else:
            raise StepError(f"Invalid format '{line}'")
    return found


def commands(log: str) -> tuple[list[str], dict[str, str]]:
    """Return what a log masks (``::add-mask::``) and the outputs it sets (``::set-output``, which still works)."""
    masks, outputs, paused = [], {}, ""
    for line in log.splitlines():
        found = COMMAND.match(line)
        if found is None:
            continue
        if paused:
            paused = "" if found["name"] == paused else paused
        elif found["name"] == "stop-commands":
            paused = found["value"]
        elif found["name"] == "add-mask":
            masks.append(found["value"])
        elif found["name"] == "set-output" and (found["with"] or "").startswith("name="):
            outputs[found["with"].removeprefix("name=")] = found["value"]
    return masks, outputs
