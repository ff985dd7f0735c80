"""What the parts of a run share while it goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actions.caches import State
from actions.results import Artifact, Attestation, Used
from actions.secrets import Secrets


@dataclass
class RunContext:
    """A run: its contexts, its source tree, and what its jobs leave to each other."""

    data: dict[str, Any]
    source: Path
    folder: Path
    state: State
    contexts: dict[str, Any]
    secrets: Secrets
    environment: dict[str, str]
    minute_seconds: float
    after_checkout: Callable[[Path], None] | None
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    attestations: list[Attestation] = field(default_factory=list)
    used: list[Used] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def github(self) -> dict[str, Any]:
        """The context ``github``."""
        github: dict[str, Any] = self.contexts["github"]
        return github


@dataclass
class JobContext:
    """A job that runs: its folders, its environment, and what happens when it is over."""

    run: RunContext
    id: str
    folder: Path
    permissions: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)
    path: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    after: list[Callable[[], object]] = field(default_factory=list)

    @property
    def workspace(self) -> Path:
        """The folder where steps run."""
        return self.folder / "work"

    @property
    def home(self) -> Path:
        """The home folder, empty when the job begins."""
        return self.folder / "home"

    def say(self, line: str) -> None:
        """Write a line into the log of the step."""
        self.said.append(line)
