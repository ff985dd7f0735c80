"""Stage `paint`: paint anatomies, from which the trainer computes images of endless contrasts."""

from __future__ import annotations

from pathlib import Path

from .core.base.errors import run
from .core.phantom.dataset.pool import paint_pool
from .core.phantom.dataset.settings import Paint

OUT = Path("data/paint")


def main() -> None:
    """Run the stage."""
    settings = Paint.read()
    paint_pool(settings, OUT, Path("data/scratch"))
    print(f"paint: {settings.anatomies} anatomies")


if __name__ == "__main__":
    run(main)
