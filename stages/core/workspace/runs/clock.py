"""Seconds per step of a long command."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Seconds per step, printed as a table at the end."""

    steps: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step and announce it."""
        print(f"\n== {name}", flush=True)
        start = time.monotonic()
        yield
        self.steps.append((name, time.monotonic() - start))

    def table(self) -> str:
        """Return the steps with their seconds."""
        total = sum(seconds for _, seconds in self.steps)
        rows = [f"{seconds:7.0f} s  {name}" for name, seconds in [*self.steps, ("in all", total)]]
        return "\n".join(rows)
