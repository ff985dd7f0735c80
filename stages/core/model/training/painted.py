"""Training images of endless contrasts: painted anatomies, each time with another contrast, scanner and field of view.

The method is that of SynthSeg (doi:10.1016/j.media.2023.102789), with painted tissues in the place of label maps. A
batch depends on the seed, the epoch and its own number alone, so that an interrupted training draws the same ones.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from ...base.errors import DatasetError, SettingsError
from ...base.files import read_json
from ...base.inventory import faults_of
from ...phantom.acquisition.randomised import acquire, disturb, draw_signals, ringing
from ...phantom.acquisition.scanner import Float32, bias_field
from ...phantom.acquisition.tissue_map import SHARE_STEP, TissueMap
from ...phantom.acquisition.tissues import Tissue
from .settings import FixedPlan

#: So many batches are computed before they are needed.
AHEAD = 3
#: Signal of grey matter relative to white matter. In T2*-weighted images it can be half as bright again; a network that
#: has not seen that takes a thick slice's white matter for a part of the fluid and draws the cord too small.
GREY = (0.75, 1.7)


def read_maps(folder: Path, plan: FixedPlan, inwards_mm: float) -> list[Path]:
    """Return the painted maps, which must be at least as large as a patch and have the voxels of the plan.

    Parameters
    ----------
    folder : output of the stage ``paint``
    plan : patch and voxel size
    inwards_mm : the boundary of the cord is moved inwards by so much

    Raises
    ------
    DatasetError
        A file was cut, edited, added or lost.
    SettingsError
        There is no map, or the maps do not fit the plan or the boundary.
    """
    faults = faults_of(folder)
    if faults:
        raise DatasetError(f"{folder}: {faults[0]}. Nothing is trained on it; run `dvc repro --force paint`.")
    manifest = read_json(folder / "manifest.json", error=DatasetError)
    if not manifest["maps"]:
        raise SettingsError("train.painted.share is not 0, but paint.anatomies is 0: there is nothing to train on.")
    small = any(have < want for have, want in zip(manifest["size"], reversed(plan.patch_size), strict=True))
    if small or any(abs(size - manifest["voxel_mm"]) > 1e-6 for size in plan.spacing_mm):
        raise SettingsError(
            f"The painted maps have {manifest['size']} voxels (x, y, z) of {manifest['voxel_mm']} mm, but the plan has "
            f"patches of {plan.patch_size} voxels (z, y, x) of {plan.spacing_mm} mm; expected maps of the plan's voxel "
            "size and at least of the size of a patch: change paint.size or paint.voxel_mm."
        )
    maps = [folder / name for name in manifest["maps"]]
    TissueMap.read(maps[0]).cord(inwards_mm, manifest["voxel_mm"])  # whether the stored distances reach so far
    return maps


def draw_sample(
    painted: TissueMap, patch: tuple[int, int, int], rng: np.random.Generator, *, inwards_mm: float, voxel_mm: float
) -> tuple[Float32, Float32]:
    """Return an image and the share of the cord, both (nz, ny, nx).

    The image has a mean near 0 and an SD near 1, as nnU-Net normalises images, but not exactly: see below.

    Parameters
    ----------
    painted : anatomy, at least as large as the patch
    patch : voxels along z, y, x
    rng : source of every choice
    inwards_mm : the boundary of the cord is moved inwards by so much, in all contrasts alike
    voxel_mm : size of the voxels
    """
    size = _field_of_view((patch[2], patch[1], patch[0]), voxel_mm, rng)
    seen = painted.crop(_start(painted, size, rng), size)
    outside = seen.outside * np.float32(SHARE_STEP)
    csf = seen.shares[Tissue.CSF] * (1 - outside) * np.float32(SHARE_STEP)
    image = disturb(seen.signal(draw_signals(rng, GREY)), outside, csf, rng)
    image *= bias_field(size, rng, float(rng.uniform(0, 0.35)))
    if rng.uniform() < 0.3:
        sigma = rng.uniform(0, 0.8, 3) / voxel_mm
        image = ndimage.gaussian_filter(image, sigma)
    if rng.uniform() < 0.2:
        image = ringing(image, int(rng.integers(0, 3)), float(rng.uniform(0.5, 0.9)))
    image = acquire(image, rng, voxel_mm)
    image = np.clip(image / max(float(np.percentile(image, 99.5)), 1e-3), 0, 2) ** np.float32(rng.uniform(0.7, 1.4))
    # The statistics of a whole volume differ from those of a patch, by its share of air above all.
    image = (image - image.mean()) / max(float(image.std()), 1e-3)
    image = image * np.float32(np.exp(rng.normal(0, 0.3))) + np.float32(rng.normal(0, 0.3))
    target = seen.cord(inwards_mm, voxel_mm)
    for axis, chance in ((0, 0.5), (1, 0.1), (2, 0.25)):
        if rng.uniform() < chance:
            image, target = np.flip(image, axis), np.flip(target, axis)
    pad = [(want - have) for want, have in zip((patch[2], patch[1], patch[0]), size, strict=True)]
    before = [n // 2 for n in pad]  # where nnU-Net puts an image that is smaller than a patch
    room = [(b, n - b) for b, n in zip(before, pad, strict=True)]
    return np.ascontiguousarray(np.pad(image, room).T), np.ascontiguousarray(np.pad(target, room).T)


def _start(painted: TissueMap, size: tuple[int, int, int], rng: np.random.Generator) -> tuple[int, int, int]:
    """Return the first voxel of the part that is seen: three of four parts have a voxel of the cord near their middle.

    Without that most patches hold less than a thousandth of cord, and for hundreds of steps the network learns nothing
    but to answer "no cord".
    """
    room = [have - want for have, want in zip(painted.shape, size, strict=True)]
    cord = np.flatnonzero(painted.distance < 0)
    if not cord.size or rng.uniform() < 0.25:
        x, y, z = (int(rng.integers(0, most + 1)) for most in room)
        return x, y, z
    voxel = np.unravel_index(int(cord[int(rng.integers(cord.size))]), painted.shape)
    x, y, z = (
        int(np.clip(at - n // 2 + rng.integers(-(n // 4), n // 4 + 1), 0, most))
        for at, n, most in zip(voxel, size, room, strict=True)
    )
    return x, y, z


def _field_of_view(size: tuple[int, int, int], voxel_mm: float, rng: np.random.Generator) -> tuple[int, int, int]:
    """Return the voxels along x, y, z that are in view: two of five images are narrow, or a slab of a few slices."""
    wide = list(size)
    if rng.uniform() < 0.25:
        for axis in (0, 1):
            wide[axis] = round(float(rng.uniform(34, 80)) / voxel_mm)
    if rng.uniform() < 0.25:
        wide[2] = round(float(rng.uniform(8, 40)) / voxel_mm)
    x, y, z = (max(8, min(n, most)) for n, most in zip(wide, size, strict=True))
    return x, y, z


class PaintedBatches:
    """An endless source of batches, in the form in which nnU-Net's loaders give them.

    A batch holds ``data`` (b, 1, z, y, x) and ``target``, the share of the cord in the voxels of every resolution of
    deep supervision, each (b, 1, ...) in [0, 1].
    """

    def __init__(
        self, maps: list[Path], patch: list[int], scales: list[list[float]] | None, *, batch_size: int, seed: int,
        iterations: int, inwards_mm: float, voxel_mm: float, threads: int,
    ) -> None:  # fmt: skip
        """Make the source.

        Parameters
        ----------
        maps : files of painted anatomies
        patch : voxels along z, y, x
        scales : resolutions of deep supervision relative to the patch; None: without deep supervision
        batch_size, seed, iterations : images of a batch, seed of all, batches of an epoch
        inwards_mm, voxel_mm : see :func:`draw_sample`
        threads : so many batches are computed at a time
        """
        self.maps, self.patch, self.scales = maps, (patch[0], patch[1], patch[2]), scales
        self.batch_size, self.seed, self.iterations = batch_size, seed, iterations
        self.inwards_mm, self.voxel_mm = inwards_mm, voxel_mm
        self._pool = ThreadPoolExecutor(threads)
        self._waiting: deque[Future[dict[str, Any]]] = deque()
        self._epoch, self._number = 0, 0

    def start(self, epoch: int) -> None:
        """Begin an epoch; batches that wait are forgotten."""
        while self._waiting:
            self._waiting.popleft().cancel()
        self._epoch, self._number = epoch, 0

    def __iter__(self) -> PaintedBatches:
        return self

    def __next__(self) -> dict[str, Any]:
        while len(self._waiting) <= AHEAD and (self._number < self.iterations or not self._waiting):
            self._waiting.append(self._pool.submit(self.batch, self._epoch, self._number))
            self._number += 1
        return self._waiting.popleft().result()

    def batch(self, epoch: int, number: int) -> dict[str, Any]:
        """Return batch ``number`` of an ``epoch``."""
        pairs = []
        for k in range(self.batch_size):
            rng = np.random.default_rng([self.seed, epoch, number, k])
            painted = TissueMap.read(self.maps[int(rng.integers(len(self.maps)))])
            pairs.append(draw_sample(painted, self.patch, rng, inwards_mm=self.inwards_mm, voxel_mm=self.voxel_mm))
        data, share = (torch.from_numpy(np.stack(part)[:, None]) for part in zip(*pairs, strict=True))
        if self.scales is None:
            return {"data": data, "target": share}
        steps = [[round(1 / s) for s in scale] for scale in self.scales]
        return {"data": data, "target": [torch.nn.functional.avg_pool3d(share, step) for step in steps]}
