"""What cordrift's columns differ by from those of the Spinal Cord Toolbox of the same name (docs/measuring.md).

Not a test: run it with ``make bench-differences``. Each block takes a cord of known shape and computes a number twice:
as this ruler defines it, and as the toolbox's source does (spinalcordtoolbox/process_seg.py, before version 7.2). Only
the definitions are compared, on one untouched mask. What the toolbox's resampling for angle and pixel size adds is not.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from scipy.spatial import ConvexHull  # noqa: E402
from skimage.measure import label, regionprops  # noqa: E402
from skimage.transform import pyramid_expand  # noqa: E402
from support.rendering import Section, binarised, dented, ellipse, render  # noqa: E402

from stages.core.images.volumes import Volume  # noqa: E402
from stages.core.measures.morphometry.csa import measure_sections  # noqa: E402

#: Right-left and front-back half axes, mm: a cord of 13 x 9 mm.
A_MM, B_MM = 6.5, 4.5
AREA_MM2 = np.pi * A_MM * B_MM
STIFFNESS_MM = 4.0
#: The toolbox resamples a slice by this factor.
FINER = 5


def middle(volume: Volume, name: str) -> float:
    """A metric of the middle slice."""
    values = measure_sections(volume, stiffness_mm=STIFFNESS_MM).metrics[name]
    return float(values[len(values) // 2])


def two_cosines() -> None:
    """Area and length with the product of the cosines of the two single angles."""
    print("csa, length: product of two cosines instead of the total angle's, % of the true area | of the true length")
    for rl, ap in ((10, 10), (20, 0), (20, 20), (25, 25)):
        cord = render(ellipse(A_MM, B_MM), (0.5, 0.5, 1.0), 30, tilt_rl=rl, tilt_ap=ap)
        product = np.cos(np.radians(rl)) * np.cos(np.radians(ap))
        area = float(cord.volume.data[:, :, 15].sum(dtype=float)) * 0.25 * product
        length = float(cord.cosine[15]) / product
        print(
            f"  {rl:2d} + {ap:2d} degrees: {100 * (area / AREA_MM2 - 1):+.2f} | {100 * (length - 1):+.2f}; "
            f"cordrift {100 * (middle(cord.volume, 'csa_mm2') / AREA_MM2 - 1):+.3f}"
        )


def diameters() -> None:
    """Axes of the moment ellipse: of a slice made five times finer and cut at one half, and of plain soft moments."""
    print("diameters, % of 9 mm (AP) and 13 mm (RL): toolbox | moments without Sheppard's correction | cordrift")
    for pixel in (0.35, 0.5, 0.8, 1.0):
        cord = render(ellipse(A_MM, B_MM), (pixel, pixel, 1.0), 10, offset=(0.11, -0.23))
        found = np.array([middle(cord.volume, f"diameter_{axis}_mm") for axis in ("ap", "rl")])
        plain = 4 * np.sqrt((found / 4) ** 2 + pixel**2 / 12)
        region = finer(cord.volume)
        theirs = np.array([region.axis_minor_length, region.axis_major_length]) * pixel / FINER
        errors = [100 * (one / (2 * B_MM, 2 * A_MM) - 1) for one in (theirs, plain, found)]
        print(f"  {pixel:4.2f} mm: " + " | ".join(f"{ap:+.2f} AP, {rl:+.2f} RL" for ap, rl in errors))


def ellipse_or_axis() -> None:
    """The moment ellipse's minor axis against the extent along the patient's front-back axis."""
    print("diameter_AP: minor axis of the ellipse (toolbox before 7.2, cordrift's ellipse_minor_mm) | along AP, mm")
    for turn in (0, 10, 20, 30):
        angle = np.radians(turn)
        rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        section = Section(ellipse(A_MM, B_MM).points @ rotation, AREA_MM2)
        cord = render(section, (0.5, 0.5, 1.0), 10)
        print(
            f"  cord turned by {turn:2d} degrees: {middle(cord.volume, 'ellipse_minor_mm'):.2f} | "
            f"{middle(cord.volume, 'diameter_ap_mm'):.2f}"
        )


def solidities() -> None:
    """Solidity from whole pixels of a slice made five times finer, against the contour's."""
    rng = np.random.default_rng(3)
    print("solidity: toolbox | cordrift | true hull | cordrift, binary masks at 20 places: mean (least to largest)")
    for name, section in (("ellipse", ellipse(A_MM, B_MM)), ("dented", dented(A_MM, B_MM, 0.6, 0.3))):
        true = section.area_mm2 / float(ConvexHull(section.points).volume)
        for pixel in (1.0, 0.5):
            cord = render(section, (pixel, pixel, 1.0), 6, offset=(0.11, -0.23))
            theirs, ours = finer(cord.volume).solidity, middle(cord.volume, "solidity")
            places = [tuple(rng.uniform(-0.5, 0.5, 2) * pixel) for _ in range(20)]
            masks = [binarised(render(section, (pixel, pixel, 1.0), 6, offset=place).volume) for place in places]
            found = np.array([middle(mask, "solidity") for mask in masks])
            binary = f"{found.mean():.3f} ({found.min():.3f} to {found.max():.3f})"
            print(f"  {name:<7} {pixel:.1f} mm: {theirs:.3f} | {ours:.3f} | {true:.3f} | {binary}")


def dust() -> None:
    """Centroid of all voxels that are not zero, against the value-weighted one."""
    print("centroid moved by voxels of 1e-5 that resampling left beside the cord, mm")
    cord = render(ellipse(A_MM, B_MM), (0.5, 0.5, 1.0), 6)
    data = np.pad(cord.volume.data, ((0, 20), (0, 0), (0, 0)))
    clean = np.argwhere(data[:, :, 3] > 1e-6)[:, 0].mean() * 0.5
    data[-20:] = 1e-5
    unweighted = np.argwhere(data[:, :, 3] > 1e-6)[:, 0].mean() * 0.5 - clean
    dusty, swept = (
        measure_sections(Volume(values, cord.volume.affine), stiffness_mm=STIFFNESS_MM).line.x_mm[3]
        for values in (data, np.where(data > 1e-4, data, 0.0).astype(np.float32))
    )
    print(f"  every voxel above 1e-6 alike: {unweighted:+.2f}; cordrift {dusty - swept:+.2f}")


def binary_floor() -> None:
    """Voxelisation of binary masks: no error of a ruler, but under every binary CSA."""
    print("CSA of binary masks, % of the true area: bias of one volume from .. to | SD over slices, pooled")
    rng = np.random.default_rng(1)
    for pixel in (0.5, 0.8, 1.0):
        bias, spread = [], []
        for ap in (0, 7, 15, 25):
            for _ in range(4):
                offset = tuple(rng.uniform(-0.5, 0.5, 2) * pixel)
                cord = render(ellipse(A_MM, B_MM), (pixel, pixel, pixel), 30, tilt_ap=ap, offset=offset)
                area = measure_sections(binarised(cord.volume), stiffness_mm=STIFFNESS_MM).metrics["csa_mm2"]
                bias.append(100 * (area.mean() / AREA_MM2 - 1))
                spread.append(100 * area.std() / AREA_MM2)
        print(f"  {pixel:.1f} mm: {min(bias):+.2f} .. {max(bias):+.2f} | {np.sqrt(np.mean(np.square(spread))):.2f}")


def finer(volume: Volume) -> Any:
    """The middle slice, smoothed and made five times finer, as the voxels above one half: a region of scikit-image."""
    slice_ = volume.data[:, :, volume.data.shape[2] // 2].astype(float)
    (region,) = regionprops(label(pyramid_expand(slice_, upscale=FINER, sigma=None, order=1) > 0.5))
    return region


if __name__ == "__main__":
    for block in (two_cosines, diameters, ellipse_or_axis, solidities, dust, binary_floor):
        block()
