"""What must not bend the centreline: stray pieces, cut ends, slices beside the cord, steps. And what must."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.data_factory import SHARED

from stages.core.images.volumes import Volume, read
from stages.core.measures.morphometry import csa
from stages.core.measures.morphometry.csa import Sections, measure_sections
from stages.core.measures.morphometry.levels import Discs
from stages.core.measures.morphometry.plausible import OFF_LINE, STEP, STRAY, Plausible, weigh
from stages.core.measures.morphometry.settings import Measure
from stages.core.measures.morphometry.table import measure_volume

#: Half axes of the cord, mm; its area is that of the ellipse.
RL_MM, AP_MM = 6.5, 4.5
AREA_MM2 = np.pi * RL_MM * AP_MM
SIDE_MM, SLICE_MM, SLICES = 0.8, 1.0, 80
PARAMS = Measure(levels=[2, 3], coverage=0.5, stiffness_mm=4.0)
#: C2 and C3 lie between slices 60 and 30.
DISCS = Discs({2: 60.0, 3: 45.0, 4: 30.0})


def tube(
    *,
    ap_deg: float = 0.0,
    rl_deg: float = 0.0,
    bend_mm: float = 0.0,
    shift: Any = None,
    soft: bool = False,
    pressed: float = 1.0,
) -> Volume:
    """A cord that leans, with a sideways sine of the height ``bend_mm``.

    ``shift`` moves (x, y) of each slice, mm; six slices in the middle are flat: ``pressed`` is their part of the depth.
    """
    x, y, z = np.indices((70, 80, SLICES)).astype(np.float64)
    x, y, z = x * SIDE_MM - 28.0, y * SIDE_MM - 32.0, (z - SLICES / 2) * SLICE_MM
    moved = np.zeros((2, SLICES)) if shift is None else np.asarray(shift, dtype=np.float64).T
    rl, ap = np.tan(np.radians(rl_deg)), np.tan(np.radians(ap_deg))
    x = x - rl * z - bend_mm * np.sin(z / 25.0) - moved[0]
    y = y - ap * z - moved[1]
    # The area of the section perpendicular to the cord is that of the ellipse: in the slice it is larger by 1 / cos.
    stretch = np.sqrt(np.sqrt(1.0 + rl**2 + ap**2))
    depth = np.where(np.abs(z) < 3.0, pressed, 1.0) * AP_MM
    radius = np.hypot(x / (RL_MM * stretch), (y + AP_MM - depth) / (depth * stretch))
    data = np.clip((1.0 - radius) * 8.0 + 0.5, 0.0, 1.0) if soft else (radius <= 1.0)
    return Volume(data.astype(np.float32), np.diag([SIDE_MM, SIDE_MM, SLICE_MM, 1.0]))


def row(mask: Volume) -> Any:
    table = measure_volume(mask, DISCS, PARAMS)
    return table[table["scope"] == "range"].iloc[0]


def counted_mm2(mask: Volume, ap_deg: float, rl_deg: float) -> float:
    """The area that the voxels of C2-C3 give with the angle that was put in: what a perfect line would measure."""
    area = mask.data[:, :, 31:60].sum(axis=(0, 1), dtype=np.float64).mean() * SIDE_MM**2
    return float(area / np.sqrt(1.0 + np.tan(np.radians(rl_deg)) ** 2 + np.tan(np.radians(ap_deg)) ** 2))


def blob(mask: Volume, x: slice, y: slice, z: slice, value: float = 1.0) -> Volume:
    mask.data[x, y, z] = np.maximum(mask.data[x, y, z], value)
    return mask


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(
    "places",
    [
        pytest.param([(slice(2, 6), slice(2, 6), slice(0, 6))], id="below"),
        pytest.param([(slice(60, 64), slice(70, 74), slice(74, 80))], id="above"),
        pytest.param([(slice(2, 6), slice(2, 6), slice(0, 5)), (slice(60, 64), slice(2, 6), slice(75, 80))], id="both"),
        pytest.param([(slice(1, 9), slice(60, 68), slice(62, 72))], id="beside"),
    ],
)
def test_pieces_apart_from_the_cord_do_not_bend_the_line(soft: bool, places: list[Any]) -> None:
    mask = tube(ap_deg=10.0, rl_deg=4.0, soft=soft)
    mask.data[:, :, :8], mask.data[:, :, 73:] = 0.0, 0.0
    clean = row(mask)
    for place in places:
        blob(mask, *place)
    found = row(mask)
    assert found["csa_mm2"] == pytest.approx(clean["csa_mm2"], rel=1e-4)
    assert (found["angle_ap_deg"], found["angle_rl_deg"]) == pytest.approx((10.0, 4.0), abs=0.1)


def test_slices_that_hold_only_a_piece_apart_are_flagged() -> None:
    mask = tube(ap_deg=10.0)
    mask.data[:, :, 70:] = 0.0
    sections = measure_sections(blob(mask, slice(2, 6), slice(2, 6), slice(74, 78)), stiffness_mm=4.0)
    flagged = [int(index) for index, flags in zip(sections.index, sections.flags, strict=True) if STRAY in flags]
    assert flagged == [74, 75, 76, 77]


@pytest.mark.parametrize(("index", "told"), [(16, True), (74, True), (5, False)])
def test_the_row_of_the_range_names_what_disturbs_the_line_near_it(index: int, told: bool) -> None:
    shift = np.zeros((SLICES, 2))
    shift[index] = (9.0, -6.0)
    assert (OFF_LINE in row(tube(shift=shift))["flags"].split(";")) is told


@pytest.mark.parametrize(
    ("ap_deg", "rl_deg"), [(15.0, 0.0), (20.0, 0.0), (25.0, 0.0), (30.0, 0.0), (0.0, 25.0), (-30.0, 0.0)]
)
@pytest.mark.parametrize("end", ["top", "bottom", "both"])
def test_ends_that_are_cut_square_to_the_cord_do_not_bend_the_line(ap_deg: float, rl_deg: float, end: str) -> None:
    mask = tube(ap_deg=ap_deg, rl_deg=rl_deg)
    x, y, z = np.indices(mask.data.shape).astype(np.float64)
    x, y, z = x * SIDE_MM - 28.0, y * SIDE_MM - 32.0, (z - SLICES / 2) * SLICE_MM
    direction = np.array([np.tan(np.radians(rl_deg)), np.tan(np.radians(ap_deg)), 1.0])
    along = (x * direction[0] + y * direction[1] + z) / np.linalg.norm(direction) ** 2
    keep = np.ones(mask.data.shape, dtype=bool)
    if end != "bottom":
        keep &= along <= 26.0  # disc 2 lies at 20 mm
    if end != "top":
        keep &= along >= -16.0  # disc 4 lies at -10 mm
    cut = Volume(np.where(keep, mask.data, 0).astype(np.float32), mask.affine)
    assert row(cut)["csa_mm2"] == pytest.approx(counted_mm2(mask, ap_deg, rl_deg), rel=1.5e-3)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(
    ("steps", "flagged"),
    [
        pytest.param({45: (4.8, 0.0)}, {44, 45}, id="to the side"),
        pytest.param({50: (0.0, -3.0)}, {49, 50}, id="to the back"),
        pytest.param({35: (3.0, 3.0), 55: (-3.0, 2.0)}, {34, 35, 54, 55}, id="two"),
    ],
)
def test_a_step_between_stacks_is_no_slope(soft: bool, steps: dict[int, Any], flagged: set[int]) -> None:
    shift = np.zeros((SLICES, 2))
    for start, by in steps.items():
        shift[start:] += by
    mask = tube(ap_deg=10.0, rl_deg=4.0, shift=shift, soft=soft)
    found, clean = row(mask), row(tube(ap_deg=10.0, rl_deg=4.0, soft=soft))
    assert found["csa_mm2"] == pytest.approx(clean["csa_mm2"], rel=2e-3)
    assert STEP in found["flags"].split(";")
    sections = measure_sections(mask, stiffness_mm=4.0)
    assert {int(k) for k, flags in zip(sections.index, sections.flags, strict=True) if STEP in flags} == flagged
    at = sections.line.x_mm[44] - sections.line.x_mm[43]
    assert abs(at - shift[44, 0] + shift[43, 0]) < 0.5, "the line itself follows the mask"


@pytest.mark.parametrize("beside", [[50], [50, 51], [40, 52], [2], [78]])
def test_slices_beside_the_cord_do_not_bend_the_line(beside: list[int]) -> None:
    shift = np.zeros((SLICES, 2))
    shift[beside] = (9.0, -6.0)
    mask = tube(ap_deg=8.0, shift=shift)
    assert row(mask)["csa_mm2"] == pytest.approx(row(tube(ap_deg=8.0))["csa_mm2"], rel=1e-3)
    sections = measure_sections(mask, stiffness_mm=4.0)
    flagged = {int(k) for k, flags in zip(sections.index, sections.flags, strict=True) if OFF_LINE in flags}
    assert flagged == set(beside)


def unguarded(area: Any, centroids: Any, z_mm: Any, *, slice_mm: float) -> Plausible:
    return Plausible(np.minimum(1.0, area / np.median(area)), np.zeros((len(area), 2)), [set() for _ in area])


@settings(max_examples=25, deadline=None)
@given(
    ap_deg=st.floats(-25, 25), rl_deg=st.floats(-15, 15), bend_mm=st.floats(0, 6), soft=st.booleans(),
    pressed=st.floats(0.4, 1.0),
)  # fmt: skip
def test_a_cord_without_faults_is_measured_as_without_guards(
    ap_deg: float, rl_deg: float, bend_mm: float, soft: bool, pressed: float
) -> None:
    """Bent, leaning and compressed cords keep all their slices; a mask that is cut by the volume has whole ends."""
    mask = tube(ap_deg=ap_deg, rl_deg=rl_deg, bend_mm=bend_mm, soft=soft, pressed=pressed)
    guarded = measure_sections(mask, stiffness_mm=4.0)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(csa, "weigh", unguarded)
        plain = measure_sections(mask, stiffness_mm=4.0)
    assert not any(flags & {STRAY, OFF_LINE, STEP} for flags in guarded.flags)
    np.testing.assert_allclose(guarded.metrics["csa_mm2"][10:70], plain.metrics["csa_mm2"][10:70], rtol=2e-3)


def same_line(a: Sections, b: Sections) -> bool:
    return np.array_equal(a.line.slope_x, b.line.slope_x) and np.array_equal(a.line.slope_y, b.line.slope_y)


@pytest.mark.skipif(not (SHARED / "real-cord").is_dir(), reason="../shared/real-cord is not beside this checkout")
def test_real_masks_have_no_stray_piece_no_step_and_no_outlier() -> None:
    masks = sorted((SHARED / "real-cord").rglob("*SC_seg.nii.gz"))
    assert len(masks) >= 5
    for path in masks:
        for flags in measure_sections(read(path), stiffness_mm=4.0).flags:
            assert not flags & {STRAY, OFF_LINE, STEP}, path.name


def test_few_slices_are_never_left_out() -> None:
    """Three slices of a thick stack: nobody can tell which one is wrong."""
    centroids = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 3.0]])
    found = weigh(np.array([80.0, 20.0, 85.0]), centroids, np.array([0.0, 17.0, 34.0]), slice_mm=17.0)
    assert (found.weights > 0).all()
    assert found.flags == [set(), set(), set()]
