"""Solidity against shapes of known hull, and the shape of a slice against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from scipy.spatial import ConvexHull
from skimage.measure import find_contours, label, regionprops
from support.cords import cord
from support.rendering import binarised, dented, ellipse, render

from stages.core.images.volumes import Volume
from stages.core.measures.morphometry.csa import measure_sections
from stages.core.measures.morphometry.solidity import solidity


@pytest.mark.parametrize("pixel", [0.35, 0.625, 1.0])
@pytest.mark.parametrize("tilt", [0, 25])
def test_a_convex_cord_fills_its_hull_at_any_voxel_size(pixel: float, tilt: float) -> None:
    made = render(ellipse(6.5, 4.5), (pixel, pixel, 1.0), 12, tilt_rl=tilt, tilt_ap=tilt, offset=(0.1, -0.2))
    assert solidity(made.volume.data.astype(float)).min() > 0.995


@pytest.mark.parametrize("pixel", [0.35, 0.625])
@pytest.mark.parametrize("tilt", [0, 20])
def test_a_dent_is_measured_against_its_true_hull(pixel: float, tilt: float) -> None:
    section = dented(6.5, 4.5, 0.6, 0.3)
    true = section.area_mm2 / ConvexHull(section.points).volume
    assert true < 0.96
    made = render(section, (pixel, pixel, 1.0), 8, tilt_ap=tilt, offset=(0.1, -0.2))
    assert solidity(made.volume.data.astype(float)) == pytest.approx(true, abs=0.01)


def test_holes_are_subtracted() -> None:
    data = np.zeros((22, 22, 2))
    data[1:21, 1:21] = 1
    data[6:16, 6:16, 1] = 0
    whole, holed = solidity(data)
    assert whole == pytest.approx(1.0, abs=0.002)
    assert holed == pytest.approx(1 - 100 / 400, abs=0.01)


def test_two_pieces_share_one_hull() -> None:
    data = np.zeros((32, 12, 1))
    data[1:11, 1:11] = data[21:31, 1:11] = 1
    assert solidity(data)[0] == pytest.approx(2 / 3, abs=0.01)


@pytest.mark.parametrize("binary", [True, False])
@given(seed=st.integers(0, 10**6), shape=st.tuples(st.integers(1, 13), st.integers(1, 13)))
@settings(max_examples=40)
def test_contours_are_those_of_scikit_image(binary: bool, seed: int, shape: tuple[int, int]) -> None:
    """Of any slice: many pieces, holes, voxels that touch at a corner."""
    data = np.random.default_rng(seed).random((*shape, 4))
    if binary:
        data = (data > 0.4).astype(float)
        data[0, 0] = 1.0
    expected = []
    for values in np.moveaxis(np.pad(data, ((1, 1), (1, 1), (0, 0))), 2, 0):
        contours = find_contours(values, values.max() / 2)
        area = sum(float(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2 for x, y in (contour.T for contour in contours))
        expected.append(min(1.0, abs(area) / ConvexHull(np.concatenate(contours)).volume))
    assert solidity(data) == pytest.approx(expected, rel=1e-12)


@given(data=st.data())
@settings(max_examples=40)
def test_solidity_of_any_slice_lies_in_0_to_1(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    values = rng.random((data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)), 3))
    found = solidity(np.where(values > data.draw(st.floats(0.0, 0.8)), values, 0.0) + 1e-9)
    assert ((found > 0) & (found <= 1)).all()


@given(
    semi=st.tuples(st.floats(3, 9), st.floats(3, 9)),
    turn=st.floats(-80, 80),
    shift=st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)),
)
@settings(max_examples=30)
def test_an_untilted_binary_slice_is_what_scikit_image_says(
    semi: tuple[float, float], turn: float, shift: tuple[float, float]
) -> None:
    """Both define area, centroid, axes, eccentricity and orientation in the same way; hulls differ by their rasters."""
    x, y = np.indices((25, 25)) - 12.0 - np.array(shift)[:, None, None]
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    slice_ = ((c * x + s * y) / semi[0]) ** 2 + ((c * y - s * x) / semi[1]) ** 2 <= 1
    mask = Volume(np.repeat(slice_[:, :, None], 3, axis=2).astype(np.float32), np.diag([0.5, 0.5, 2.0, 1.0]))
    sections = measure_sections(mask, stiffness_mm=4.0)
    (region,) = regionprops(label(slice_), spacing=(0.5, 0.5))
    ours = {name: values[1] for name, values in sections.metrics.items()}
    assert ours["csa_mm2"] == pytest.approx(region.area)
    assert (sections.line.x_mm[1], sections.line.y_mm[1]) == pytest.approx(region.centroid)
    assert ours["ellipse_major_mm"] == pytest.approx(region.axis_major_length)
    assert ours["ellipse_minor_mm"] == pytest.approx(region.axis_minor_length)
    assert ours["eccentricity"] == pytest.approx(region.eccentricity, abs=1e-6)
    if region.eccentricity > 0.3:
        apart = np.radians(ours["orientation_deg"]) - region.orientation
        assert np.sin(apart) == pytest.approx(0.0, abs=1e-6)
    # Its own solidity counts whole pixels; of the slice interpolated eight times finer the two agree.
    fine = np.indices((193, 193)) / 8.0
    (region,) = regionprops((map_coordinates(slice_.astype(float), fine, order=1) >= 0.5).astype(int))
    assert ours["solidity"] == pytest.approx(region.solidity, abs=0.02)


@pytest.mark.parametrize("holes", [0, 1, 2])
@pytest.mark.parametrize("pieces", [1, 2])
def test_flags_count_as_scikit_image_does(holes: int, pieces: int) -> None:
    slice_ = np.zeros((30, 14), dtype=bool)
    for k in range(pieces):
        slice_[2 + 14 * k : 12 + 14 * k, 2:12] = True
    for k in range(holes):
        slice_[4 + 3 * k, 5] = False
    mask = Volume(np.repeat(slice_[:, :, None], 2, axis=2).astype(np.float32), np.eye(4))
    regions = regionprops(label(slice_, connectivity=2))
    expected = {"components"} if len(regions) > 1 else set()
    expected |= {"holes"} if sum(1 - region.euler_number for region in regions) else set()
    assert measure_sections(mask, stiffness_mm=4.0).flags == [expected, expected]


@pytest.mark.parametrize("metric", ["csa_mm2", "diameter_ap_mm", "diameter_rl_mm", "eccentricity", "solidity"])
def test_soft_is_the_limit_of_finer_binary(metric: str) -> None:
    """With finer pixels a binary mask of a cord comes closer to the soft mask of it."""
    soft = measure_sections(cord((1.0, 1.0, 2.0), 16, tilt_ap=12, sub=15), stiffness_mm=4.0)
    apart = []
    for pixel in (1.0, 0.25, 0.0625):
        fine = binarised(cord((pixel, pixel, 2.0), 16, tilt_ap=12, sub=1, sub_z=1))
        sections = measure_sections(fine, stiffness_mm=4.0)
        apart.append(float(np.abs(sections.metrics[metric] / soft.metrics[metric] - 1).max()))
    assert apart[2] < apart[0]
    assert apart[2] < 0.012
