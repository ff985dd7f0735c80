"""Random contrasts and scanners for training images (doi:10.1016/j.media.2023.102789, SynthSeg)."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .contrasts import PHANTOM_CONTRASTS, SIX
from .scanner import Float32, rician
from .tissues import Tissue


def draw_signals(rng: np.random.Generator, grey: tuple[float, float] = (0.8, 1.25)) -> dict[Tissue, float]:
    """Draw the signal of every tissue, relative to white matter.

    With probability one half it is that of a real contrast, changed by up to 15 %; otherwise any number.

    Parameters
    ----------
    rng : source of every choice
    grey : smallest and largest signal of grey matter
    """
    if rng.uniform() < 0.5:
        contrast = PHANTOM_CONTRASTS[str(rng.choice(sorted(SIX)))]
        signals = {t: s * float(rng.uniform(0.85, 1.15)) for t, s in contrast.signals().items()}
        if rng.uniform() < 0.5:  # CSF flows, so that real images differ from the equations
            signals[Tissue.CSF] *= float(np.exp(rng.uniform(-0.7, 1.5)))
    else:
        signals = {t: float(rng.uniform(0, 1)) for t in Tissue}
        signals[Tissue.WHITE] = float(rng.uniform(0.15, 1))
        signals[Tissue.AIR] = float(rng.uniform(0, 0.1))
        signals[Tissue.LESION] = signals[Tissue.WHITE] * float(rng.uniform(0.7, 1.5))
    gap = signals[Tissue.CSF] / signals[Tissue.WHITE] - 1
    if abs(gap) < 0.2:  # a network cannot learn from an edge that is invisible
        signals[Tissue.CSF] = signals[Tissue.WHITE] * (1 + (0.2 if gap > 0 else -0.2) * float(rng.uniform(1, 2)))
    signals[Tissue.GREY] = signals[Tissue.WHITE] * float(rng.uniform(*grey))
    white = signals[Tissue.WHITE]
    return {t: max(s, 0.0) / white for t, s in signals.items()}


def disturb(image: Float32, outside: Float32, csf: Float32, rng: np.random.Generator) -> Float32:
    """Return a signal with random texture and blobs outside the canal, and specks in the CSF.

    Parameters
    ----------
    image : (nx, ny, nz) relative to white matter
    outside, csf : (nx, ny, nz) share of the voxel outside the canal, and share of cerebrospinal fluid, in [0, 1]
    rng : source of every choice
    """
    shape = image.shape
    typical = float(np.average(image.ravel(), weights=outside.ravel() + 1e-3))
    field = np.zeros(shape, np.float32)
    for sigma in (0.7, 2.0, 6.0):
        noise = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma)
        field += noise / noise.std() * np.float32(rng.uniform(0, 0.18))
    blobs = np.zeros(shape, np.float32)
    for _ in range(int(rng.integers(0, 40))):
        centre = rng.uniform(0, 1, 3) * np.array(shape)
        radii = rng.uniform(1.0, 6.0) * np.exp(rng.uniform(-0.5, 0.5, 3))
        level = typical * float(rng.uniform(-1.0, 2.0))
        low = np.maximum(0, np.floor(centre - 2 * radii)).astype(int)
        high = np.minimum(shape, np.ceil(centre + 2 * radii) + 1).astype(int)
        axes = [((np.arange(a, b) - c) / r) ** 2 for a, b, c, r in zip(low, high, centre, radii, strict=True)]
        d = axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :]
        blobs[low[0] : high[0], low[1] : high[1], low[2] : high[2]] += np.float32(level) / (1 + d**3).astype(np.float32)
    image = image * np.maximum(0, 1 + outside * field) + outside * blobs
    if rng.uniform() < 0.4:
        specks = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), float(rng.uniform(0.5, 1.5)))
        specks = np.clip(specks / specks.std() - 1.2, 0, 1) * csf
        image = image * (1 - specks * np.float32(rng.uniform(0.2, 0.9)))
    out: Float32 = np.maximum(image, 0).astype(np.float32)
    return out


def acquire(image: Float32, rng: np.random.Generator, voxel_mm: float = 1.0) -> Float32:
    """Return an image (nx, ny, nz) as if it had been acquired with coarser voxels and interpolated to those of a grid.

    Rician noise with an SD of 0.01 to 0.2 times the signal of white matter is added to the coarse voxels.

    Parameters
    ----------
    image : relative to white matter
    rng : source of every choice
    voxel_mm : size of the voxels of the grid
    """
    plane = float(rng.uniform(1, 2)) if rng.uniform() < 0.5 else 1.0
    thickness, spacing = 1.0, 1.0
    if rng.uniform() < 0.6:
        thickness = float(rng.uniform(2, 8))
        spacing = thickness * float(rng.uniform(1, 1.2))
        if rng.uniform() < 0.25:
            spacing = float(rng.uniform(8, 17))
    axis = int(rng.choice(3, p=[0.12, 0.03, 0.85]))
    if axis != 2:  # in thicker sagittal and coronal slices the cord could not be seen
        thickness, spacing = min(thickness, 3.5), min(spacing, 3.8)
    linear = bool(rng.uniform() < 0.5)
    phase = float(rng.uniform(0, 1))
    ups = []
    for k in range(3):
        t, d = (thickness, spacing) if k == axis else (plane, plane)
        t, d = max(1.0, t / voxel_mm), max(1.0, d / voxel_mm)
        down, up = resampling(image.shape[k], t, d, phase=phase, linear=linear)
        image = np.moveaxis(np.tensordot(down, image, axes=(1, k)), 0, k)
        ups.append(up)
    image = rician(image.astype(np.float32), 0.2 * float(rng.uniform(0.1, 1)) ** 1.3, rng)
    for k in range(3):
        image = np.moveaxis(np.tensordot(ups[k], image, axes=(1, k)), 0, k)
    return np.ascontiguousarray(image, dtype=np.float32)


def ringing(image: Float32, axis: int, kept: float) -> Float32:
    """Return an image (nx, ny, nz) without its highest spatial frequencies along one axis, as Gibbs ringing shows it.

    Parameters
    ----------
    image : magnitudes
    axis : 0, 1 or 2
    kept : share of the frequencies that the scanner acquires, in (0, 1]
    """
    n = image.shape[axis]
    spectrum = np.fft.rfft(image, axis=axis)
    box: list[slice] = [slice(None)] * 3
    box[axis] = slice(max(2, round(kept * spectrum.shape[axis])), None)
    spectrum[tuple(box)] = 0
    return np.abs(np.fft.irfft(spectrum, n, axis=axis)).astype(np.float32)


def resampling(n: int, thickness: float, spacing: float, *, phase: float, linear: bool) -> tuple[Float32, Float32]:
    """Return two matrices: one averages ``n`` samples into ``m`` slices, the other interpolates slices to samples.

    Parameters
    ----------
    n : number of samples
    thickness, spacing : of the slices, in samples (>= 1)
    phase : position of the first slice between its first (0) and its last possible place (1)
    linear : interpolate between slices; otherwise repeat the nearest slice

    Returns
    -------
    down : (m, n), rows sum to 1; up : (n, m), rows sum to 1
    """
    if spacing <= 1.0:
        eye = np.eye(n, dtype=np.float32)
        return eye, eye
    m = max(2, int(np.floor((n - 1) / spacing)) + 1)
    slack = max(n - 1 - (m - 1) * spacing, 0.0)
    centres = phase * slack + spacing * np.arange(m)
    grid = np.arange(n)
    # The weight of a sample is the share of it that is inside the slice.
    overlap = np.minimum(grid[None] + 0.5, centres[:, None] + thickness / 2) - np.maximum(
        grid[None] - 0.5, centres[:, None] - thickness / 2
    )
    down = np.clip(overlap, 0, 1) + 1e-9
    down /= down.sum(axis=1, keepdims=True)
    at = np.clip((grid - centres[0]) / spacing, 0, m - 1)
    if not linear:
        at = np.rint(at)
    up = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(m)[None]))
    return down.astype(np.float32), up.astype(np.float32)
