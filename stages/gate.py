"""Let a version pass only when its drift is equivalent and its quality is not worse; else exit status 1.

A first version passes where it measures enough: there is nothing that it could have moved from. A version that a
person accepted passes too, after `dvc repro` has read the acceptance from MLflow.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .core.base.errors import run
from .core.drift.record.record import read_drift


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the verdict with its reasons."""
    parser = argparse.ArgumentParser(prog="cordrift gate", description=__doc__)
    parser.add_argument("drift", nargs="?", type=Path, default=Path("reports/compare/drift.json"), metavar="DRIFT.json")
    path = parser.parse_args(arguments).drift
    record = read_drift(path)
    verdict = record.verdict
    print(f"drift: {verdict.drift}, quality: {verdict.quality}")
    for reason in verdict.reasons:
        print(f"  {reason}")
    for one in record.accepted:
        print(f"accepted by {one.who} on {one.when[:10]}: {one.why}")
    if not (verdict.passed or record.accepted):
        print("not passed. To accept it all the same: `cordrift promote DIGEST --reason ...`,", file=sys.stderr)
        print("or `cordrift release accept --tag TAG --reason ...` where there is no MLflow.", file=sys.stderr)
        sys.exit(1)
    print("passed")


if __name__ == "__main__":
    run(main)
