"""Check plain image, mask and label files, or all those in a folder: what headers and voxels say against themselves.

`cordrift check DATASET` checks a fetched dataset of the registry; this is the same for files of your own.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from .core.base.errors import ImageError, run
from .core.data.inspection.plain import LIMITS, inspect_files, list_images


def main(argv: list[str] | None = None) -> None:
    """Print the faults of the files that ``argv`` names. The exit status is 1 when one of them has an error."""
    parser = argparse.ArgumentParser(prog="cordrift check", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="NIfTI file, or folder with such files")
    paths = list_images(parser.parse_args(argv).paths)
    wrong = 0
    for path, faults in tqdm(inspect_files(paths, LIMITS), total=len(paths), unit="file", disable=None):
        wrong += any(fault.severity == "error" for fault in faults)
        for fault in faults:
            tqdm.write(f"{fault.severity} {fault.check}: {path} {fault.message}; expected {fault.expected}.")
    print(f"check: {len(paths)} files, {wrong} with errors")
    if wrong:
        raise ImageError(f"{wrong} of {len(paths)} files have errors; the lines above say which.")


if __name__ == "__main__":
    run(main)
