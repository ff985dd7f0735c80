"""Command ``demo``: the whole loop on a generated cohort that grows, in a scratch workspace.

A second run continues where the first one stopped. At the end the demo checks the figures that the README names.
``--micro`` runs the same loop in its smallest size: it shows that everything runs, but not that a model is good.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from .core.base.errors import CordriftError, run
from .core.demo.loop import FULL, MICRO, demo

#: Folder with one real participant, for those who have it beside the checkout.
REAL = Path("../shared/real-cord")


def main() -> None:
    """Run the demo; fail where a figure of its check is not reached."""
    parser = argparse.ArgumentParser(prog="cordrift demo", description=__doc__)
    parser.add_argument("--real", type=Path, default=REAL, help="folder of real-cord (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=1, help="train v2 with this many seeds (default: %(default)s)")
    parser.add_argument("--micro", action="store_true", help="the smallest size, in .demo-micro, without real MRI")
    options = parser.parse_args()
    real = options.real if options.real.is_dir() and not options.micro else None
    if real is None:
        print("== no real MRI: " + ("not in this size" if options.micro else f"there is no folder {options.real}"))
    if not demo(Path(), MICRO if options.micro else FULL, real, options.seeds, partial(print, flush=True)):
        raise CordriftError("the demo ran to its end, but a figure of its check was not reached (FAILED above).")


if __name__ == "__main__":
    run(main)
