"""A pool of painted anatomies, from which the trainer computes images of endless contrasts."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ...base.files import digest_of, remove_parts, whole_folder, write_json
from ...base.inventory import write_inventory
from ...base.syntax import syntax_of
from ..rendering.painted import paint_tissue_map
from .settings import Paint

#: Rooms whose code decides the maps.
ROOMS = ("acquisition", "anatomy", "rendering")


def paint_pool(settings: Paint, out: Path, scratch: Path) -> None:
    """Write ``out`` with one file per map, ``manifest.json`` and an inventory; whole or not at all.

    Finished maps lie in ``scratch`` until all are there, so that an interrupted call goes on where it stopped.

    Parameters
    ----------
    settings : the block ``paint`` of params
    out : folder to write
    scratch : folder for finished maps
    """
    phantom = Path(__file__).parents[1]
    modules = [f"{room}/{path.name}" for room in ROOMS for path in (phantom / room).glob("*.py")]
    chosen = settings.model_dump(exclude={"anatomies", "workers"})
    ready = scratch / f"paint-{digest_of({**chosen, 'code': syntax_of(phantom, modules)})[:16]}"
    for stale in scratch.glob("paint-*"):
        if stale != ready:  # of other settings or other code
            shutil.rmtree(stale)
    names = [f"{k:05d}.npz" for k in range(settings.anatomies)]
    missing = [k for k, name in enumerate(names) if not (ready / name).is_file()]
    if missing:
        ready.mkdir(parents=True, exist_ok=True)
        remove_parts(ready)
        with (
            ProcessPoolExecutor(settings.workers, mp_context=get_context("spawn")) as pool,
            tqdm(total=settings.anatomies, initial=len(names) - len(missing), desc="paint", unit="map") as bar,
        ):
            try:
                for done in as_completed([pool.submit(_paint_one, settings, k, ready / names[k]) for k in missing]):
                    done.result()
                    bar.update()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    with whole_folder(out) as part:
        for name in names:
            _link(ready / name, part / name)
        write_json(part / "manifest.json", {"maps": names, "voxel_mm": settings.voxel_mm, "size": settings.size})
        write_inventory(part)
    shutil.rmtree(ready, ignore_errors=True)


def _link(file: Path, to: Path) -> None:
    """Give a file a second name, so that it stays where it is until the whole pool is written."""
    try:
        os.link(file, to)
    except OSError:  # a file system without hard links
        shutil.copyfile(file, to)


def _paint_one(settings: Paint, number: int, path: Path) -> None:
    nx, ny, nz = settings.size
    rng = np.random.default_rng([settings.seed, number])
    paint_tissue_map(rng, (nx, ny, nz), settings.voxel_mm).write(path)
