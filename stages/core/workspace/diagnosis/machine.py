"""Checks of the machine: free disk space, cores, memory and GPU, compared with what the params need."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ...data.datasets.manifest import CLONES, Manifest
from ...model.segmentation.hardware import Gpu
from ..runs.params import Params
from .check import DoctorCheck

#: Estimated bytes of outputs and DVC cache for each byte of images: prepared copies, nnU-Net's arrays, masks.
OUTPUTS = 4
#: Free bytes below which a warning is given where the need is unknown.
LITTLE_SPACE = 10 * 10**9
#: Bytes of memory below which training on volumes of real size is known to fail.
LITTLE_MEMORY = 8 * 10**9


def missing_bytes(manifest: Manifest, clones: Path = CLONES) -> int:
    """Return how many bytes the clone of a dataset lacks; those of all files where only the manifest is here."""
    sizes = {file.path: file.size for file in manifest.files}
    clone = clones / manifest.dataset
    return sum(size for name, size in sizes.items() if not _is_complete(clone / name, size))


def _is_complete(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def fetch_need(manifests: Iterable[Manifest | None], clones: Path = CLONES) -> float:
    """Return how many bytes a fetch of these datasets needs; NaN where one of them (None) was never fetched.

    git-annex keeps an unlocked image twice, as its object and as the file.
    """
    return sum((math.nan if manifest is None else 2.0 * missing_bytes(manifest, clones)) for manifest in manifests)


def check_disks(manifests: Sequence[Manifest | None], workspace: Path, cache: Path) -> Iterator[DoctorCheck]:
    """Compare the free space on the disks of the clones and of DVC's cache with what `fetch` and later stages need."""
    fetching = fetch_need(manifests, workspace / CLONES)
    held = sum(math.nan if manifest is None else sum(file.size for file in manifest.files) for manifest in manifests)
    prepared = (workspace / "data/prepare").is_dir()
    need = fetching + (0.0 if prepared else OUTPUTS * held)
    for name, folder in (("disk", workspace), ("disk of the cache", cache)):
        existing = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
        if name != "disk" and existing.stat().st_dev == workspace.resolve().stat().st_dev:
            yield DoctorCheck(name, "ok", f"{folder} is on the same disk")
            continue
        yield _space(name, shutil.disk_usage(existing).free, need, fetching if name == "disk" else 0.0)


def _space(name: str, free: int, need: float, fetching: float) -> DoctorCheck:
    """Return the check of one disk: too little space for `fetch` is a problem, for later stages a warning."""
    space = f"{gigabytes(free)} free"
    if math.isnan(need):
        found = f"{space}; the need is unknown until all datasets are fetched"
        return DoctorCheck(
            name, "warning" if free < LITTLE_SPACE else "ok", found, "`cordrift fetch --dry-run` computes it"
        )
    found = f"{space}, about {gigabytes(need)} needed (of it {gigabytes(fetching)} by fetch)"
    if free < fetching:
        return DoctorCheck(
            name, "problem", found, "free some space, or move data/clones to a larger disk and link to it"
        )
    return DoctorCheck(name, "warning" if free < need else "ok", found, "free some space" if free < need else "")


def check_cores(params: Params | None) -> Iterator[DoctorCheck]:
    """Compare the cores that this process may use with the threads in the params; check the memory."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = {} if params is None else {"train": params.train.threads, "segment": params.segment.threads}
    over = {stage: threads for stage, threads in wanted.items() if threads > count}
    asked = ", ".join(f"{stage}.threads {threads}" for stage, threads in wanted.items())
    advice = (
        f"lower {' and '.join(f'{stage}.threads' for stage in over)} to {count}; more threads than cores are slower"
    )
    yield DoctorCheck(
        "cores", "warning" if over else "ok", f"{count} ({asked or 'params unknown'})", advice if over else ""
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    little = memory < LITTLE_MEMORY
    advice = "training on volumes of real size needs more" if little else ""
    yield DoctorCheck("memory", "warning" if little else "ok", gigabytes(memory), advice)


def check_gpu(found: Sequence[Gpu], params: Params | None) -> Iterator[DoctorCheck]:
    """Compare the GPUs that torch can use with ``train.device`` and ``segment.device``."""
    names = ", ".join(f"{one.name} ({gigabytes(one.memory)})" for one in found) or "none that torch can use"
    wanted = {} if params is None else {"train.device": params.train.device, "segment.device": params.segment.device}
    asking = [name for name, device in wanted.items() if device == "cuda"]
    if asking and not found:
        advice = (
            "set it to cpu, or repair the driver (`nvidia-smi` must list the GPU) and install a torch built for CUDA"
        )
        yield DoctorCheck("GPU", "problem", f"{names}, but {' and '.join(asking)} is cuda", advice)
    elif found and wanted and not asking:
        advice = (
            "set train.device and segment.device to cuda and segment.backend to torch; "
            "a change of train.device retrains"
        )
        yield DoctorCheck("GPU", "ok", f"{names}; not used: params say cpu", advice)
    else:
        yield DoctorCheck("GPU", "ok", names)


def gigabytes(size: float) -> str:
    """Return bytes as text in gigabytes."""
    return f"{size / 1e9:.1f} GB"
