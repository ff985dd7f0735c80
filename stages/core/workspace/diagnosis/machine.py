"""The machine: room on the disk, cores, memory, GPU, each against what the params ask of it."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ...data.datasets.manifest import CLONES, Manifest
from ...model.segmentation.hardware import Gpu
from ..runs.params import Params
from .check import Check

#: Bytes of outputs and DVC cache per byte of fetched image: prepared copies, nnU-Net's arrays, masks. A rough factor.
OUTPUTS = 4
#: Where nothing is known of the need, less than this is worth a warning.
LITTLE = 10 * 10**9
#: Memory below which training on volumes of true size is known to fail.
LITTLE_MEMORY = 8 * 10**9


def to_come(manifest: Manifest, clones: Path = CLONES) -> int:
    """Bytes that the clone of a fetched dataset lacks; all of them where only the manifest was pulled."""
    sizes = {file.path: file.size for file in manifest.files}
    clone = clones / manifest.dataset
    return sum(size for name, size in sizes.items() if not _holds(clone / name, size))


def _holds(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def fetch_need(manifests: Iterable[Manifest | None], clones: Path = CLONES) -> float:
    """Bytes that a fetch of these datasets takes; NaN when one of them (None) was never fetched.

    An unlocked image lies on the disk twice, as git-annex's object and as the file.
    """
    return sum((math.nan if manifest is None else 2.0 * to_come(manifest, clones)) for manifest in manifests)


def disk(manifests: Sequence[Manifest | None], workspace: Path, cache: Path) -> Iterator[Check]:
    """Free space where the clones and where DVC's cache lie, against what fetch and what follows need."""
    fetching = fetch_need(manifests, workspace / CLONES)
    held = sum(math.nan if manifest is None else sum(file.size for file in manifest.files) for manifest in manifests)
    prepared = (workspace / "data/prepare").is_dir()
    need = fetching + (0.0 if prepared else OUTPUTS * held)
    for name, folder in (("disk", workspace), ("disk of the cache", cache)):
        near = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
        if name != "disk" and near.stat().st_dev == workspace.resolve().stat().st_dev:
            yield Check(name, "ok", f"{folder} is on the same disk")
            continue
        yield _room(name, shutil.disk_usage(near).free, need, fetching if name == "disk" else 0.0)


def _room(name: str, free: int, need: float, fetching: float) -> Check:
    """State of one disk: too small for the fetch is a problem, too small for what follows a warning."""
    room = f"{gigabytes(free)} free"
    if math.isnan(need):
        found = f"{room}; the need is unknown until all datasets are fetched"
        return Check(name, "warning" if free < LITTLE else "ok", found, "`cordrift fetch --dry-run` tells it")
    found = f"{room}, about {gigabytes(need)} needed (of it {gigabytes(fetching)} by fetch)"
    if free < fetching:
        return Check(name, "problem", found, "make room, or move data/clones to a larger disk and link to it")
    return Check(name, "warning" if free < need else "ok", found, "make room" if free < need else "")


def cores(params: Params | None) -> Iterator[Check]:
    """Cores that this process may use, against the threads that params ask for; memory."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = {} if params is None else {"train": params.train.threads, "segment": params.segment.threads}
    over = {stage: threads for stage, threads in wanted.items() if threads > count}
    asked = ", ".join(f"{stage}.threads {threads}" for stage, threads in wanted.items())
    advice = f"lower {' and '.join(f'{stage}.threads' for stage in over)} to {count}; more only slows down"
    yield Check("cores", "warning" if over else "ok", f"{count} ({asked or 'params unknown'})", advice if over else "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    little = memory < LITTLE_MEMORY
    advice = "training on volumes of true size needs more" if little else ""
    yield Check("memory", "warning" if little else "ok", gigabytes(memory), advice)


def gpu(found: Sequence[Gpu], params: Params | None) -> Iterator[Check]:
    """GPUs that torch can use, against ``train.device`` and ``segment.device``."""
    names = ", ".join(f"{one.name} ({gigabytes(one.memory)})" for one in found) or "none that torch can use"
    wanted = {} if params is None else {"train.device": params.train.device, "segment.device": params.segment.device}
    asking = [name for name, device in wanted.items() if device == "cuda"]
    if asking and not found:
        advice = "set it to cpu, or mend the driver (`nvidia-smi` must list the GPU) and install a torch built for CUDA"
        yield Check("GPU", "problem", f"{names}, but {' and '.join(asking)} is cuda", advice)
    elif found and wanted and not asking:
        advice = "set train.device and segment.device to cuda: another device retrains"
        yield Check("GPU", "ok", f"{names}; not used: params say cpu", advice)
    else:
        yield Check("GPU", "ok", names)


def gigabytes(size: float) -> str:
    """Bytes as gigabytes, for people."""
    return f"{size / 1e9:.1f} GB"
