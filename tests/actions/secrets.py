"""Secrets of a run: masked in logs, and found again where they must not be."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from urllib.parse import quote


class Secrets:
    """Values by name, the token among them."""

    def __init__(self, values: Mapping[str, str], token: str) -> None:
        self.values = {**values, "GITHUB_TOKEN": token}

    def found_in(self, text: str) -> list[str]:
        """Return the names of the secrets that stand in a text, plain, as base64 or as part of an address."""
        return [name for name, value in self.values.items() if any(form in text for form in _forms(value))]

    def mask(self, text: str, more: Iterable[str] = ()) -> str:
        """Return a text with ``***`` for each secret and each line of one."""
        parts = {part for value in self.values.values() for form in _forms(value) for part in (form, *form.split("\n"))}
        for part in sorted(parts | set(more), key=len, reverse=True):
            if part.strip():
                text = text.replace(part, "***")
        return text


def _forms(value: str) -> set[str]:
    if not value:
        return set()
    return {value, quote(value, safe=""), base64.b64encode(value.encode()).decode()}
