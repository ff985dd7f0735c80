"""Settings of `report`."""

from __future__ import annotations

from typing import ClassVar

from ...base.params import Settings


class Report(Settings):
    """The report's title, and whether it shows anatomy (``images`` false: contours alone)."""

    block: ClassVar = "report"

    title: str
    images: bool
