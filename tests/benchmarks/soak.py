"""Memory of a process that segments thousands of small volumes one after the other, and how many it does in an hour.

A leak of one volume in each image would fill a machine within a night; the table shows the memory at tenths of the
run. The volumes are a few generated images under many names, of 48 x 48 x 40 mm, segmented as `cordrift segment` does.

``--empty N`` instead sends N items with nothing to do through Dask on this machine: how many of them a second are the
most that one scheduler hands out.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from stages.core.images.volumes import write  # noqa: E402
from stages.core.model.localisation.search import make_search  # noqa: E402
from stages.core.model.own_images.batch import Job, segment_images  # noqa: E402
from stages.core.model.segmentation.settings import Segment  # noqa: E402
from stages.core.model.spread.cluster import LOCAL, spread  # noqa: E402
from stages.core.model.spread.steps import Steps  # noqa: E402
from stages.core.phantom.acquisition.contrasts import PHANTOM_CONTRASTS, SIX  # noqa: E402
from stages.core.phantom.acquisition.grid import Grid, Pose  # noqa: E402
from stages.core.phantom.acquisition.scanner import Scanner  # noqa: E402
from stages.core.phantom.anatomy.draw import draw_anatomy  # noqa: E402
from stages.core.phantom.rendering.images import render_image  # noqa: E402
from stages.core.workspace.bundles.named import STARTER, find_bundle  # noqa: E402


def images(folder: Path, count: int) -> list[Path]:
    """Write one image of every contrast, and return so many names that share them by turns."""
    rng = np.random.default_rng(7)
    anatomy = draw_anatomy(rng)
    grid = Grid.around((48.0, 48.0, 40.0), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    made = []
    for name in SIX:
        image = render_image(anatomy, PHANTOM_CONTRASTS[name], grid, Pose(), Scanner("phantom"), rng)
        made.append(folder / f"{name}.nii.gz")
        write(made[-1], image, grid.affine)
    names = [folder / f"scan{number:05d}.nii.gz" for number in range(count)]
    for number, name in enumerate(names):
        os.link(made[number % len(made)], name)
    return names


def memory_mb() -> float:
    """Return the memory of this process that is in use now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024**2


def empty(count: int) -> None:
    """Print how many items with nothing to do Dask hands out in a second, and the memory that they take here."""
    steps = Steps(_nothing, _nothing, _nothing, _nothing)
    with tempfile.TemporaryDirectory() as scratch:
        begin = time.monotonic()
        items = spread(range(count), steps, LOCAL, threads=1, folder=Path(scratch))
        first = next(items)
        started = time.monotonic()
        done = 1 + sum(1 for _ in items)
        rate = (done - 1) / (time.monotonic() - started)
        print(f"item {first} after {started - begin:.0f} s, then {rate:.0f} a second")
        print(f"memory of the process that asks: {memory_mb():.0f} MB with {done} items")


def _nothing(item: int, _: object = None) -> int:
    return item


def main() -> None:
    """Print memory at each tenth of the run, and volumes per hour."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--volumes", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", default=STARTER)
    parser.add_argument("--empty", type=int, metavar="N", help="hand out N items with nothing to do instead")
    options = parser.parse_args()
    if options.empty:
        empty(options.empty)
        return
    settings = Segment(
        datasets=[], contrasts=[], shards=[0], step=0.5, mirror=False, threshold=0.5, largest_component=True,
        coarse_to_fine=True, device="cpu", backend="openvino", threads=options.threads,
    )  # fmt: skip
    bundle = find_bundle(options.model)
    marks = [max(1, options.volumes * tenth // 10) for tenth in range(1, 11)]
    seen: list[tuple[int, float, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        names = images(Path(scratch), options.volumes)
        job = Job(Path(scratch, "masks"), {"bundle": bundle.digest, "inference": "soak"}, 0.5, soft=True, force=False)
        over = threading.Event()
        begin = time.monotonic()

        def watch() -> None:
            for mark in marks:
                while not over.is_set() and len(list(job.folder.glob("*_seg.nii.gz"))) < mark:
                    over.wait(1.0)
                seen.append((mark, memory_mb(), time.monotonic() - begin))

        watching = threading.Thread(target=watch)
        watching.start()
        search = lambda: make_search(bundle, settings)  # noqa: E731
        done = segment_images(names, [name.name.removesuffix(".nii.gz") for name in names], job, search)
        over.set()
        watching.join()
        kilobytes = sum(path.stat().st_size for path in job.folder.glob("*.*")) / 1000 / options.volumes
    failed = [one.problem for one in done if one.problem]
    print(f"{options.model}, bundle {bundle.digest[:12]}, {options.threads} thread(s); {len(failed)} failed")
    print("| volumes done | memory, MB | volumes per hour |\n|---|---|---|")
    for count, mb, seconds in seen:
        print(f"| {count} | {mb:.0f} | {3600 * count / seconds:.0f} |")
    half = [(count, mb) for count, mb, _ in seen[4:]]
    slope = np.polyfit(*np.array(half).T, 1)[0] * 1000
    print(f"second half: {slope:+.1f} MB in 1,000 volumes; on disk, the masks of a volume take {kilobytes:.0f} kB")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
