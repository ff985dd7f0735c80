"""Retire a version: it leaves the series of versions, with a reason, and its label is free again.

Later reports do not show it and do not compare with it; its run stays in MLflow. A champion or anchor is replaced first
(`cordrift promote`). A run that is only tried needs no retiring: `register.trial: true` keeps it out from the start.
"""

from __future__ import annotations

from collections.abc import Sequence

from .core.base.errors import run
from .core.store.promotion import retire
from .promote import decided


def main(arguments: Sequence[str] | None = None) -> None:
    """Retire the version that is named on the command line."""
    store, version, said = decided("retire", __doc__, arguments)
    retire(store, version, **said)
    label = version.tags.get("label", "")
    print(f"{store.model} version {version.number} ({label}) is retired; `dvc repro` leaves it out of the report.")


if __name__ == "__main__":
    run(main)
