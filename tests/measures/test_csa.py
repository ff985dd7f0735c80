"""The ruler on cords of known area and shape, and the invariances that it must have."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cords import AP_MM, AREA_MM2, REAL_CORD, RL_MM, cord, discs_at
from support.imports import closure
from support.rendering import binarised

from stages.core.base.errors import ImageError
from stages.core.images.volumes import Volume, read
from stages.core.measures.morphometry.csa import measure_sections
from stages.core.measures.morphometry.ruler import MODULES, ruler_id
from stages.core.measures.morphometry.settings import Measure
from stages.core.measures.morphometry.table import failed_row, measure_volume

PARAMS = Measure(levels=[2, 3], coverage=0.5, stiffness_mm=4.0)


def percent(measured: object, expected: object) -> np.ndarray:
    return 100.0 * (np.asarray(measured) / np.asarray(expected) - 1.0)


# METRICS, "Accuracy to reach": soft straight cords; odd pixel sizes, thick slices, tilts in one and both axes.
STRAIGHT = [
    ((0.35, 0.35, 0.8), 0, 0),
    ((0.35, 0.35, 5.0), 20, 0),
    ((0.4375, 0.4375, 0.8), 0, 25),
    ((0.625, 0.625, 5.0), 20, 20),
    ((0.84375, 0.84375, 0.8), 20, 20),
    ((0.84375, 0.5, 2.0), 10, 25),
    ((1.0, 1.0, 1.0), 25, 25),
]


@pytest.mark.parametrize(("spacing", "rl", "ap"), STRAIGHT)
def test_soft_straight_cords(spacing: tuple[float, float, float], rl: float, ap: float) -> None:
    n = max(5, round(24 / spacing[2]))
    mask = cord(spacing, n, tilt_rl=rl, tilt_ap=ap, offset=(0.11, -0.23), sub=9)
    metrics = measure_sections(mask, stiffness_mm=4.0).metrics
    # The ruler alone: against the mask's own voxel sum and the true cosine. METRICS: worst <= 0.02 %.
    cosine = 1.0 / np.sqrt(1.0 + np.tan(np.radians(rl)) ** 2 + np.tan(np.radians(ap)) ** 2)
    voxel_sum = spacing[0] * spacing[1] * mask.data.sum(axis=(0, 1), dtype=float) * cosine
    added = percent(metrics["csa_mm2"], voxel_sum)
    assert np.abs(added).max() <= 0.02
    assert abs(added.mean()) <= 0.001
    # With the rendering of the test volume (9 x 9 x 5 sub-samples). METRICS: worst <= 0.15 %.
    assert np.abs(percent(metrics["csa_mm2"], AREA_MM2)).max() <= 0.15
    assert metrics["angle_rl_deg"] == pytest.approx(rl, abs=0.02)
    assert metrics["angle_ap_deg"] == pytest.approx(ap, abs=0.02)
    assert metrics["length_mm"] == pytest.approx(spacing[2] / cosine, rel=1e-3)


@pytest.mark.parametrize(("spacing", "rl", "ap"), STRAIGHT)
def test_soft_diameters(spacing: tuple[float, float, float], rl: float, ap: float) -> None:
    """METRICS: bias and SD <= 0.3 %. The true diameter is the shadow of the ellipse on the projected axis."""
    n = max(5, round(24 / spacing[2]))
    mask = cord(spacing, n, tilt_rl=rl, tilt_ap=ap, offset=(0.11, -0.23), sub=9)
    metrics = measure_sections(mask, stiffness_mm=4.0).metrics
    slope = np.tan(np.radians([rl, ap]))
    tangent = np.array([*slope, 1.0]) / np.sqrt(1 + slope @ slope)
    x, y = (axis - tangent @ axis * tangent for axis in np.eye(3)[:2])
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    across = np.cross(tangent, x)
    true_ap = 2 * np.hypot(RL_MM * (y @ x), AP_MM * (y @ across))
    for name, true in (
        ("diameter_rl_mm", 2 * RL_MM),
        ("diameter_ap_mm", true_ap),
        ("ellipse_major_mm", 2 * RL_MM),
        ("ellipse_minor_mm", 2 * AP_MM),
    ):
        error = percent(metrics[name], true)
        assert abs(error.mean()) <= 0.3, name
        assert error.std() <= 0.3, name
    assert metrics["compression_ratio"] == pytest.approx(metrics["diameter_ap_mm"] / metrics["diameter_rl_mm"])
    assert metrics["eccentricity"] == pytest.approx(np.sqrt(1 - (AP_MM / RL_MM) ** 2), abs=0.005)
    assert metrics["orientation_deg"] == pytest.approx(0.0, abs=1.0)


@pytest.mark.parametrize(("radius", "slice_mm"), [(80, 0.8), (80, 5.0), (150, 0.8), (150, 5.0)])
def test_soft_curved_cords(radius: float, slice_mm: float) -> None:
    """METRICS: worst <= 0.2 % inside, <= 0.3 % at the two end slices."""
    mask = cord((0.5, 0.5, slice_mm), round(60 / slice_mm), radius=radius, sub_z=9)
    error = np.abs(percent(measure_sections(mask, stiffness_mm=4.0).metrics["csa_mm2"], AREA_MM2))
    assert error[1:-1].max() <= 0.2
    assert error[[0, -1]].max() <= 0.3


@pytest.mark.parametrize(("rl", "ap"), [(0, 10), (15, 0), (20, 20)])
def test_the_ruler_adds_little_to_a_binary_mask(rl: float, ap: float) -> None:
    """METRICS: against voxel sum x true cosine, SD <= 0.15 % inside, <= 0.7 % at the ends."""
    mask = binarised(cord((0.5, 0.5, 1.0), 40, tilt_rl=rl, tilt_ap=ap, offset=(0.2, 0.1)))
    cosine = 1.0 / np.sqrt(1.0 + np.tan(np.radians(rl)) ** 2 + np.tan(np.radians(ap)) ** 2)
    error = percent(
        measure_sections(mask, stiffness_mm=4.0).metrics["csa_mm2"], 0.25 * mask.data.sum(axis=(0, 1)) * cosine
    )
    assert error[1:-1].std() <= 0.15
    assert np.abs(error).max() <= 0.7


def test_the_total_angle_is_not_the_product_of_two_cosines() -> None:
    """At 20 + 20 degrees the product of the two cosines gives an area that is 0.7 % too small; the ruler does not."""
    mask = cord((0.5, 0.5, 1.0), 20, tilt_rl=20, tilt_ap=20)
    csa = measure_sections(mask, stiffness_mm=4.0).metrics["csa_mm2"].mean()
    product = np.cos(np.radians(20)) ** 2 * 0.25 * mask.data.sum(axis=(0, 1)).mean()
    assert csa == pytest.approx(AREA_MM2, rel=1e-3)
    assert percent(product, AREA_MM2) == pytest.approx(-0.7, abs=0.2)


def test_the_centreline_depends_neither_on_voxel_size_nor_on_slice_count() -> None:
    """An arc in slices of 0.5 mm or 2 mm, or in a longer volume, has the same angles in the middle."""
    angles = []
    for slice_mm, length in ((0.5, 40), (2.0, 40), (2.0, 56)):
        n = round(length / slice_mm)
        sections = measure_sections(cord((0.5, 0.5, slice_mm), n, radius=80, sub=5), stiffness_mm=4.0)
        z = (np.arange(n) + 0.5) * slice_mm - length / 2
        angles.append(np.interp([-9, 0, 9], z, sections.metrics["angle_ap_deg"]))
    assert angles[1] == pytest.approx(angles[0], abs=0.05)
    assert angles[2] == pytest.approx(angles[0], abs=0.05)


def test_resampling_dust_does_not_move_the_centreline() -> None:
    mask = cord((1.0, 1.0, 1.0), 20, tilt_ap=10)
    dusty = mask.data.copy()
    dusty[dusty == 0] = 9e-4
    clean, other = (measure_sections(Volume(d, mask.affine), stiffness_mm=4.0).metrics for d in (mask.data, dusty))
    for name, values in clean.items():
        assert other[name] == pytest.approx(values, rel=1e-9), name


# Invariances ---------------------------------------------------------------------------------------------------------

BASE = cord((0.7, 0.9, 2.0), 14, tilt_rl=8, tilt_ap=17, offset=(0.2, -0.3))
MEASURED = measure_sections(BASE, stiffness_mm=4.0)


@settings(max_examples=25)
@given(
    pad=st.tuples(*[st.integers(0, 5)] * 6),
    origin=st.tuples(*[st.floats(-300, 300)] * 3),
)
def test_translation_changes_nothing(pad: tuple[int, ...], origin: tuple[float, float, float]) -> None:
    """More background around the cord, or another origin, changes no metric; only z and the slice numbers shift."""
    data = np.pad(BASE.data, [(pad[0] + 1, pad[1] + 1), (pad[2] + 1, pad[3] + 1), (pad[4], pad[5])])
    affine = BASE.affine.copy()
    affine[:3, 3] = origin
    moved = measure_sections(Volume(data, affine), stiffness_mm=4.0)
    for name, values in MEASURED.metrics.items():
        assert moved.metrics[name] == pytest.approx(values, rel=1e-6, abs=1e-6), name
    assert (moved.index - MEASURED.index == pad[4]).all()
    assert moved.world_mm[:, 2] - origin[2] == pytest.approx(MEASURED.world_mm[:, 2] + 2.0 * pad[4])


@settings(max_examples=8)
@given(axes=st.sets(st.integers(0, 2)))
def test_flips_turn_signs_only(axes: set[int]) -> None:
    """A mirrored cord has the same size; only angles along a mirrored axis and the orientation change their sign."""
    flipped = measure_sections(Volume(np.flip(BASE.data, tuple(axes)), BASE.affine), stiffness_mm=4.0).metrics
    turn = [-1.0 if axis in axes else 1.0 for axis in range(3)]
    sign = {
        "angle_rl_deg": turn[0] * turn[2],
        "angle_ap_deg": turn[1] * turn[2],
        "orientation_deg": turn[0] * turn[1],
    }
    for name, values in MEASURED.metrics.items():
        expected = values[::-1] if 2 in axes else values
        assert flipped[name] == pytest.approx(sign.get(name, 1.0) * expected, rel=1e-6, abs=1e-6), name


@settings(max_examples=15)
@given(scale=st.floats(0.3, 3.0))
def test_scaling_is_a_square_for_areas(scale: float) -> None:
    """When cord, voxels and stiffness are scaled, lengths scale by the factor, areas by its square, ratios do not."""
    scaled = measure_sections(Volume(BASE.data, np.diag([0.7, 0.9, 2.0, 1 / scale]) * scale), stiffness_mm=4.0 * scale)
    for name, values in MEASURED.metrics.items():
        power = 2 if name == "csa_mm2" else 1 if name.endswith("_mm") else 0
        assert scaled.metrics[name] == pytest.approx(values * scale**power, rel=1e-6, abs=1e-6), name


def test_a_rotated_scanner_measures_the_same_size() -> None:
    """An oblique image is measured in its own frame: area and ellipse stay, but AP and RL are the patient's axes."""
    angle = np.radians(30)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    straight = cord((0.5, 0.5, 1.0), 12)
    metrics = measure_sections(Volume(straight.data, turn @ straight.affine), stiffness_mm=4.0).metrics
    assert metrics["csa_mm2"] == pytest.approx(AREA_MM2, rel=2e-3)
    assert metrics["ellipse_major_mm"] == pytest.approx(2 * RL_MM, rel=3e-3)
    # The cord's long axis now points 30 degrees to the front of the patient's right.
    assert metrics["orientation_deg"] == pytest.approx(30.0, abs=0.5)
    shadow = 2 * np.hypot(RL_MM * np.cos(angle), AP_MM * np.sin(angle))
    assert metrics["diameter_rl_mm"] == pytest.approx(shadow, rel=3e-3)


# Unusual masks ---------------------------------------------------------------------------------------------------


def flags_of(data: np.ndarray, spacing: float = 1.0) -> list[set[str]]:
    affine = np.diag([spacing, spacing, 2.0, 1.0])
    return measure_sections(Volume(data.astype(np.float32), affine), stiffness_mm=4.0).flags


def test_flags_name_the_oddities() -> None:
    data = np.zeros((16, 14, 8))
    data[4:10, 4:9] = 1
    data[12, 12, 1] = 1
    data[6, 6, 2] = 0
    data[:, 4:9, 3] = 1
    data[:, :, 5] = 0
    jump = {"border", "area_jump"}
    assert flags_of(data) == [set(), {"components"}, {"holes"}, jump, {"gap"}, {"gap"}, set()]


@pytest.mark.parametrize("edge", [np.s_[0, 5], np.s_[-1, 5], np.s_[5, 0], np.s_[5, -1]])
def test_each_side_of_the_image_is_a_border(edge: tuple[int, int]) -> None:
    data = np.zeros((9, 11, 3))
    data[2:7, 2:9] = 1
    assert flags_of(data) == [set(), set(), set()]
    data[(*edge, 1)] = 1
    assert "border" in flags_of(data)[1]
    assert flags_of(data)[0] == set()


def test_pieces_that_touch_at_a_corner_are_one() -> None:
    data = np.zeros((8, 8, 3))
    data[2:4, 2:4] = data[4:6, 4:6] = 1
    assert flags_of(data) == [set(), set(), set()]


def test_an_empty_mask_has_no_area() -> None:
    table = measure_volume(Volume(np.zeros((5, 5, 5), np.float32), np.eye(4)), None, PARAMS)
    assert table["scope"].tolist() == ["range"]
    assert table["csa_mm2"].isna().all()
    assert table["flags"].tolist() == ["empty_mask"]


def test_one_slice_has_no_angle_and_says_so() -> None:
    mask = cord((0.5, 0.5, 5.0), 1)
    table = measure_volume(mask, None, PARAMS)
    row = table[table["scope"] == "slice"].iloc[0]
    assert row["csa_mm2"] == pytest.approx(AREA_MM2, rel=2e-3)
    assert np.isnan(row["angle_ap_deg"])
    assert row["flags"] == "single_slice"


def test_two_slices_give_the_angle_of_the_line_through_them() -> None:
    metrics = measure_sections(cord((0.5, 0.5, 5.0), 2, tilt_ap=15), stiffness_mm=4.0).metrics
    assert metrics["angle_ap_deg"] == pytest.approx(15, abs=0.05)
    assert metrics["csa_mm2"] == pytest.approx(AREA_MM2, rel=2e-3)


def test_a_gap_is_bridged() -> None:
    """Without every third slice the measures of the others stay the same."""
    mask = cord((0.5, 0.5, 2.0), 24, tilt_ap=12)
    data = mask.data.copy()
    data[:, :, ::3] = 0
    metrics = measure_sections(Volume(data, mask.affine), stiffness_mm=4.0).metrics
    assert metrics["csa_mm2"] == pytest.approx(AREA_MM2, rel=2e-3)


def test_a_mask_must_be_a_mask() -> None:
    with pytest.raises(ImageError, match=r"\[0, 1\], not in \[0, 255\]"):
        measure_sections(Volume(255 * binarised(BASE).data, BASE.affine), stiffness_mm=4.0)
    sheared = BASE.affine.copy()
    sheared[0, 2] = 0.5
    with pytest.raises(ImageError, match="not perpendicular"):
        measure_sections(Volume(BASE.data, sheared), stiffness_mm=4.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("everywhere", [True, False])
def test_values_that_are_not_finite_are_refused(bad: float, everywhere: bool) -> None:
    data = BASE.data.copy()
    data[tuple([slice(None)] * 3 if everywhere else [2] * 3)] = bad
    count = data.size if everywhere else 1
    with pytest.raises(ImageError, match=rf"must be finite; {count} of {data.size} are NaN or infinite"):
        measure_sections(Volume(data, BASE.affine), stiffness_mm=4.0)


def test_two_values_that_are_not_0_and_1_are_soft_and_count_by_value() -> None:
    mask = binarised(cord((0.5, 0.5, 2.0), 10))
    whole, part = (measure_sections(Volume(mask.data * f, mask.affine), stiffness_mm=4.0) for f in (1.0, 0.6))
    assert (whole.kind, part.kind) == ("binary", "soft")
    assert part.metrics["csa_mm2"] == pytest.approx(0.6 * whole.metrics["csa_mm2"], rel=1e-6)


def test_dust_does_not_make_a_binary_mask_soft() -> None:
    mask = binarised(cord((0.5, 0.5, 2.0), 10, tilt_ap=10))
    dusty = np.where(mask.data == 0, 5e-4, mask.data).astype(np.float32)
    clean, other = (measure_sections(Volume(data, mask.affine), stiffness_mm=4.0) for data in (mask.data, dusty))
    assert other.kind == "binary"
    assert other.metrics["csa_mm2"] == pytest.approx(clean.metrics["csa_mm2"])


def test_discs_must_lie_on_the_grid_of_the_mask() -> None:
    discs = discs_at(BASE, {2: 12, 3: 8, 4: 3})
    with pytest.raises(ImageError, match="one grid"):
        measure_volume(BASE, Volume(discs.data[:, :, :-1], discs.affine), PARAMS)


# The range and the table -------------------------------------------------------------------------------------------


def test_a_range_is_weighted_by_length_and_its_sd_is_not() -> None:
    """Three levels of one cord; the range's numbers are those of its slices, computed here by hand."""
    mask = cord((0.7, 0.7, 2.0), 24, radius=90)
    table = measure_volume(mask, discs_at(mask, {1: 23, 2: 20, 3: 12, 4: 3}), PARAMS)
    slices = table[(table["scope"] == "slice") & (table["range_share"] > 0)]
    row = table[table["scope"] == "range"].iloc[0]
    assert slices["slice"].tolist() == list(range(3, 21))
    # The discs lie in the middles of slices 3 and 20, so that half of each is inside.
    lengths = slices["length_mm"] * np.array([0.5, *[1.0] * 16, 0.5])
    weights = lengths / lengths.sum()
    assert slices["range_share"].to_numpy() == pytest.approx(weights.to_numpy())
    for name in ("csa_mm2", "diameter_ap_mm", "angle_ap_deg", "compression_ratio"):
        assert row[name] == pytest.approx(float((weights * slices[name]).sum())), name
    assert row["csa_sd_mm2"] == pytest.approx(float(slices["csa_mm2"].std(ddof=1)))
    assert row["length_mm"] == pytest.approx(float(lengths.sum()))
    assert (row["n_slices"], row["levels"], row["flags"]) == (18, "C2-C3", "")
    assert table[table["scope"] == "level"]["level"].tolist() == [1, 2, 3]
    assert row["coverage"] == pytest.approx(1.0)


def test_orientation_is_averaged_as_a_direction() -> None:
    """Slices at +89 and -89 degrees point nearly the same way: their mean is near 90, not 0."""
    data = np.zeros((21, 21, 2))
    for k, lean in enumerate((0.02, -0.02)):
        x, y = np.indices((21, 21)) - 10
        data[:, :, k] = np.clip(4.0 - np.abs(x - lean * y * 10) * 2, 0, 1) * (np.abs(y) < 8)
    mask = Volume(np.repeat(data, 4, axis=2).astype(np.float32), np.eye(4))
    table = measure_volume(mask, discs_at(mask, {2: 7, 3: 4, 4: 0}), PARAMS)
    slices = table[table["scope"] == "slice"]["orientation_deg"]
    assert slices.max() > 60
    assert slices.min() < -60
    assert abs(table[table["scope"] == "range"]["orientation_deg"].iloc[0]) > 80


def test_a_failed_mask_has_a_row_without_area() -> None:
    row = failed_row([2, 3])
    assert row["flags"].tolist() == ["failed"]
    assert row["levels"].tolist() == ["C2-C3"]
    assert row["csa_mm2"].isna().all()


def test_the_ruler_id_follows_the_parameters() -> None:
    assert ruler_id(PARAMS) == ruler_id(PARAMS.model_copy())
    assert ruler_id(PARAMS) != ruler_id(PARAMS.model_copy(update={"stiffness_mm": 6.0}))


def test_the_ruler_id_covers_every_module_that_a_number_comes_from() -> None:
    """All modules that the table's module imports, except for errors, files, names of columns and parameters."""
    decides_nothing = {"base/errors.py", "base/files.py", "base/params.py", "tables/columns.py"}
    decides_nothing |= {"images/fault.py", "images/header.py"}  # they refuse files
    decides_nothing |= {"measures/morphometry/settings.py"}  # the values of the parameters are part of the id
    imported = {name.removeprefix("stages/core/") for name in closure("stages.core.measures.morphometry.table")}
    assert imported - decides_nothing == set(MODULES)


@pytest.mark.skipif(not REAL_CORD.is_dir(), reason=f"{REAL_CORD} is not there")
@pytest.mark.parametrize(
    ("contrast", "csa_mm2", "n_slices", "flags"),
    [
        # Golden: this ruler on the reference masks, 4 mm stiffness. A change of more than 0.1 mm2 wants a reason.
        ("T1w", 70.97, 36, ""),
        ("T2w", 79.39, 36, ""),
        ("T2star", 75.37, 5, ""),
        ("flip-1_mt-on_MTS", 77.65, 4, "discs_share_slice"),
        ("flip-2_mt-off_MTS", 77.65, 4, "discs_share_slice"),
    ],
)
def test_every_real_contrast_has_a_value(contrast: str, csa_mm2: float, n_slices: int, flags: str) -> None:
    """Six contrasts, three of them with 17 mm between slices and two discs in one slice; DWI has no reference."""
    stem = REAL_CORD / f"derivatives/labels/sub-errsm30/anat/sub-errsm30_{contrast}_label-"
    mask, discs = (read(stem.with_name(stem.name + end)) for end in ("SC_seg.nii.gz", "discs_dlabel.nii.gz"))
    table = measure_volume(mask, discs, PARAMS)
    row = table[table["scope"] == "range"].iloc[0]
    assert row["csa_mm2"] == pytest.approx(csa_mm2, abs=0.1)
    assert (row["n_slices"], row["flags"]) == (n_slices, flags)
    assert row["coverage"] == pytest.approx(1.0)
    assert 0.5 < row["compression_ratio"] < 0.75


def test_missing_values_do_not_change_the_types_of_the_table() -> None:
    mask = cord((1.0, 1.0, 2.0), 10)
    full = measure_volume(mask, discs_at(mask, {2: 8, 3: 5, 4: 2}), PARAMS)
    empty = failed_row([2, 3])
    assert full.dtypes.astype(str).to_dict() == empty.dtypes.astype(str).to_dict()
    assert len(pd.concat([full, empty])) == len(full) + 1
