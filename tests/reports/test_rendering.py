"""The exact renderer against analytic areas, a plain super-sampling of its own, and symmetry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.rendering import Cord, Section, binarised, coverage, dented, ellipse, polygon_moments, render, superellipse

A, B = 6.5, 4.5
SHAPES = {
    "ellipse": ellipse(A, B),
    "superellipse": superellipse(A, B, 2.5),
    "square": superellipse(A, B, 8.0),
    "dented front": dented(A, B, 0.25, 0.5),
    "dented side": dented(A, B, 0.2, 0.6, side=20.0),
}
STRAIGHT: list[dict[str, Any]] = [{}, {"tilt_rl": 20.0, "tilt_ap": 20.0}, {"tilt_rl": -25.0, "tilt_ap": 25.0}]
CURVED: list[dict[str, Any]] = [
    {"radius": 80.0},
    {"radius": 100.0, "azimuth": 90.0},
    {"radius": 150.0, "azimuth": 30.0, "apex": 30.0},
]
SPACINGS = [((0.3, 0.3, 0.8), 8), ((0.84375, 0.625, 5.0), 8), ((1.0, 1.0, 2.5), 9)]


def voxel_sums(cord: Cord) -> NDArray[np.float64]:
    px, py, _ = cord.volume.spacing_mm
    return np.asarray(px * py * cord.volume.data.sum(axis=(0, 1), dtype=float))


def voxel_centroids(cord: Cord) -> NDArray[np.float64]:
    data = cord.volume.data.astype(float)
    grids = np.meshgrid(*(np.arange(n) * s for n, s in zip(data.shape[:2], cord.volume.spacing_mm, strict=False)))
    x, y = (grid.T[:, :, None] for grid in grids)
    return np.stack([(data * x).sum(axis=(0, 1)), (data * y).sum(axis=(0, 1))], axis=1) / data.sum(axis=(0, 1))[:, None]


@pytest.mark.parametrize("name", SHAPES)
def test_a_polygon_has_its_curves_area(name: str) -> None:
    area, centre, _ = polygon_moments(SHAPES[name].points)
    assert area == pytest.approx(SHAPES[name].area_mm2, rel=1e-6)
    assert np.abs(centre).max() < 1e-9


def test_analytic_areas() -> None:
    """Special cases known by hand: exponent 2 is the ellipse, 1 a rhombus, no dent the ellipse."""
    assert superellipse(A, B, 2.0).area_mm2 == pytest.approx(np.pi * A * B, rel=1e-12)
    assert superellipse(A, B, 1.0).area_mm2 == pytest.approx(2 * A * B, rel=1e-12)
    assert dented(A, B, 0.0, 0.5).area_mm2 == pytest.approx(np.pi * A * B, rel=1e-12)
    assert SHAPES["dented front"].area_mm2 < 0.95 * np.pi * A * B


def test_moments_and_diameters_of_an_ellipse() -> None:
    _, _, moments = polygon_moments(ellipse(A, B).points + np.array([3.0, -2.0]))
    assert moments == pytest.approx(np.diag([A**2, B**2]) / 4.0, rel=1e-6, abs=1e-9)
    # The front-back axis, projected into a section that leans both ways, is not the ellipse's own.
    rl, ap = render(ellipse(A, B), (1.0, 1.0, 1.0), 3, tilt_rl=20.0, tilt_ap=20.0).diameters_mm
    assert rl == pytest.approx(2 * A, rel=1e-6)
    assert 2 * B * 1.001 < ap < 2 * A
    assert render(ellipse(A, B), (1.0, 1.0, 1.0), 3, tilt_ap=25.0).diameters_mm == pytest.approx((2 * A, 2 * B))


@pytest.mark.parametrize(("spacing", "n"), SPACINGS)
@pytest.mark.parametrize("path", STRAIGHT)
@pytest.mark.parametrize("name", SHAPES)
def test_straight_cords_have_their_area(
    name: str, path: dict[str, Any], spacing: tuple[float, float, float], n: int
) -> None:
    """METRICS' bench asks for 0.005 % a slice; float32 and the polygon leave 0.0001 %."""
    section = SHAPES[name]
    cord = render(section, spacing, n, offset=(0.11, -0.23), **path)
    slope = np.tan(np.radians([path.get("tilt_rl", 0.0), path.get("tilt_ap", 0.0)]))
    cosine = 1.0 / np.sqrt(1.0 + slope @ slope)
    assert cord.cosine == pytest.approx(np.full(n, cosine), rel=1e-12)
    assert np.abs(voxel_sums(cord) * cosine / section.area_mm2 - 1.0).max() < 1e-6
    assert np.abs(cord.area_in_plane_mm2 * cosine / section.area_mm2 - 1.0).max() < 1e-6
    assert cord.truth_mm2.tolist() == [section.area_mm2] * n
    # Where the cord runs: the slope, and the middle of the volume moved by the offset.
    assert np.diff(cord.centre_mm, axis=0) == pytest.approx(np.tile(slope * spacing[2], (n - 1, 1)), abs=1e-9)
    middle = (np.array(cord.volume.data.shape[:2]) - 1) / 2 * spacing[:2]
    assert cord.centre_mm.mean(axis=0) - middle == pytest.approx([0.11, -0.23], abs=1e-9)
    assert cord.axis_mm == pytest.approx(cord.centre_mm, abs=1e-9)


@pytest.mark.parametrize(("spacing", "n"), SPACINGS)
@pytest.mark.parametrize("path", CURVED)
@pytest.mark.parametrize("name", SHAPES)
def test_curved_cords_have_their_area(
    name: str, path: dict[str, Any], spacing: tuple[float, float, float], n: int
) -> None:
    """A slab of an arc has the volume of rings: each element dA at distance rho from the centre of curvature holds
    rho dA times the angle that it turns through. Integrated over the section by Green's theorem, without the cuts.
    """
    cord = render(SHAPES[name], spacing, n, offset=(0.11, -0.23), **path)
    turn = np.radians(path.get("azimuth", 0.0))
    points = SHAPES[name].points
    towards = points[:, 0] * np.sin(turn) + points[:, 1] * np.cos(turn)
    across = points[:, 0] * np.cos(turn) - points[:, 1] * np.sin(turn)
    rho = path["radius"] - towards
    z = (np.arange(n) + 0.5 - n / 2) * spacing[2] - path.get("apex", 0.0)
    angle = np.arcsin((z[:, None] + spacing[2] / 2) / rho) - np.arcsin((z[:, None] - spacing[2] / 2) / rho)
    value = across * rho * angle / spacing[2]
    rings = ((value + np.roll(value, -1, axis=1)) / 2 * (np.roll(towards, -1) - towards)).sum(axis=1)
    assert np.abs(voxel_sums(cord) / rings - 1.0).max() < 2e-6
    assert np.abs(cord.area_in_plane_mm2 / rings - 1.0).max() < 2e-6
    # The slice's own cosine turns it into the section's area but for the bend within the slice and across the cord.
    assert np.abs(voxel_sums(cord) * cord.cosine / cord.truth_mm2 - 1.0).max() < 1e-3
    assert cord.cosine == pytest.approx(np.sqrt(1 - (z / path["radius"]) ** 2), rel=1e-12)
    # The centreline is where a circle is, and curves towards the named side.
    way = np.array([np.sin(turn), np.cos(turn)])
    bend = path["radius"] - np.sqrt(path["radius"] ** 2 - z**2)
    assert (cord.axis_mm - cord.axis_mm[0]) @ way == pytest.approx(bend - bend[0], abs=1e-9)
    assert np.abs(cord.axis_mm - cord.centre_mm).max() < 0.05


@pytest.mark.parametrize("path", [*STRAIGHT, *CURVED])
@pytest.mark.parametrize("name", SHAPES)
def test_voxels_have_the_cords_centroid(name: str, path: dict[str, Any]) -> None:
    """To 1e-4 mm at 0.1 mm pixels; at coarser ones a pixel's middle is not the middle of the cord within it."""
    cord = render(SHAPES[name], (0.1, 0.1, 2.0), 3, offset=(0.07, 0.03), **path)
    assert np.abs(voxel_centroids(cord) - cord.centre_mm).max() < 1e-4


@pytest.mark.parametrize("path", [STRAIGHT[2], CURVED[2]])
def test_each_voxel_agrees_with_super_sampling(path: dict[str, Any]) -> None:
    """An ellipse by its equation at 25 x 25 x 41 points a voxel; these leave an error of 0.006 of their own."""
    spacing, n, sub, sub_z = (1.0, 0.75, 2.5), 3, 25, 41
    cord = render(ellipse(A, B), spacing, n, offset=(0.11, -0.23), **path)
    nx, ny, _ = cord.volume.data.shape
    x = ((np.arange(nx * sub) + 0.5) / sub - 0.5) * spacing[0]
    y = ((np.arange(ny * sub) + 0.5) / sub - 0.5) * spacing[1]
    found = np.zeros(cord.volume.data.shape)
    for k in range(n):
        for step in (np.arange(sub_z) + 0.5) / sub_z - 0.5:
            z = (k + 0.5 + step - n / 2) * spacing[2]
            inside = ellipse_at(x[:, None], y[None, :], z, cord, path, spacing[2])
            found[:, :, k] += inside.reshape(nx, sub, ny, sub).sum(axis=(1, 3))
    assert np.abs(found / (sub * sub * sub_z) - cord.volume.data).max() < 0.006
    for k in range(n):
        z = (k + 0.5 - n / 2) * spacing[2]
        at_centre = ellipse_at(
            np.arange(nx)[:, None] * spacing[0], np.arange(ny)[None] * spacing[1], z, cord, path, spacing[2]
        )
        assert np.array_equal(cord.sampled.data[:, :, k], at_centre)


def ellipse_at(x: Any, y: Any, z: float, cord: Cord, path: dict[str, Any], slice_mm: float) -> Any:
    """Whether points lie within the cord, from its equation; the frame is fixed by the first slice's axis."""
    z0 = (0.5 - cord.volume.data.shape[2] / 2) * slice_mm
    x, y = x - cord.axis_mm[0, 0], y - cord.axis_mm[0, 1]
    if "radius" in path:
        turn, apex, radius = np.radians(path["azimuth"]), path["apex"], path["radius"]
        start = radius - np.sqrt(radius**2 - (z0 - apex) ** 2)
        towards, across = x * np.sin(turn) + y * np.cos(turn), x * np.cos(turn) - y * np.sin(turn)
        towards = radius - np.hypot(radius - start - towards, z - apex)
        u, v = towards * np.sin(turn) + across * np.cos(turn), towards * np.cos(turn) - across * np.sin(turn)
        return (u / A) ** 2 + (v / B) ** 2 <= 1
    slope = np.tan(np.radians([path["tilt_rl"], path["tilt_ap"]]))
    tangent = np.array([*slope, 1.0]) / np.sqrt(1 + slope @ slope)
    right = np.array([1.0, 0.0, 0.0]) - tangent[0] * tangent
    right /= np.linalg.norm(right)
    front = np.cross(tangent, right)
    x, y = x - slope[0] * (z - z0), y - slope[1] * (z - z0)
    return ((x * right[0] + y * right[1]) / A) ** 2 + ((x * front[0] + y * front[1]) / B) ** 2 <= 1


def mirrored(section: Section, axis: int) -> Section:
    sign = np.where(np.arange(2) == axis, -1.0, 1.0)
    return Section(section.points[::-1] * sign, section.area_mm2)


@pytest.mark.parametrize("name", SHAPES)
def test_flips(name: str) -> None:
    """A mirrored section on a mirrored path is the mirrored volume: right-left, front-back, and head to foot."""
    spacing, section = (0.7, 0.6, 2.0), SHAPES[name]
    made = render(section, spacing, 5, tilt_rl=10.0, offset=(0.2, 0.1)).volume.data
    right = render(mirrored(section, 0), spacing, 5, tilt_rl=-10.0, offset=(-0.2, 0.1)).volume.data
    assert right[::-1] == pytest.approx(made, abs=1e-6)
    front = render(mirrored(section, 1), spacing, 5, tilt_rl=10.0, offset=(0.2, -0.1)).volume.data
    assert front[:, ::-1] == pytest.approx(made, abs=1e-6)
    down = render(section, spacing, 5, tilt_rl=-10.0, offset=(0.2, 0.1)).volume.data
    assert down[:, :, ::-1] == pytest.approx(made, abs=1e-6)
    arc = render(section, spacing, 6, radius=80.0, offset=(0.2, 0.1)).volume.data
    assert arc[:, :, ::-1] == pytest.approx(arc, abs=1e-6)


def test_coverage_of_a_known_polygon() -> None:
    """A rectangle of small edges: whole pixels, halves and a quarter."""
    stops = np.linspace(0.0, 1.0, 9)[:-1, None]
    corners = np.array([[1.5, 1.0], [4.0, 1.0], [4.0, 2.5], [1.5, 2.5]])
    ends = np.roll(corners, -1, axis=0)
    rectangle = np.concatenate([a + stops * (b - a) for a, b in zip(corners, ends, strict=True)])
    expected = np.zeros((5, 4))
    expected[1:4, 1:3] = np.outer([0.5, 1.0, 1.0], [1.0, 0.5])
    assert coverage(rectangle[None], (5, 4))[0] == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ValueError, match="use more vertices"):
        coverage(corners[None], (5, 4))


def test_voxels_are_occupancies() -> None:
    cord = render(SHAPES["dented front"], (0.5, 0.5, 5.0), 4, tilt_ap=25.0)
    data = cord.volume.data
    assert data.min() == 0.0
    assert data.max() == pytest.approx(1.0, abs=1e-6)
    assert not data[[0, -1]].any()
    assert not data[:, [0, -1]].any()
    assert np.array_equal(binarised(cord.volume).data, (data >= 0.5).astype(np.float32))


def test_an_arc_has_no_tilt() -> None:
    with pytest.raises(ValueError, match="leans by its apex"):
        render(ellipse(A, B), (1.0, 1.0, 1.0), 5, radius=80.0, tilt_ap=10.0)


@pytest.mark.slow
@pytest.mark.long
def test_the_ruler_meets_metrics_accuracy() -> None:
    """A seventh of `make bench-ruler`, accuracy only; its table is the message when a row misses."""
    script = Path(__file__).parents[1] / "benchmarks/ruler.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), "--quick"]
    done = subprocess.run(command, cwd=script.parents[2], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("pass") >= 20, done.stdout
