"""Vertebral levels: disc labels and maps, the vertebra of each slice, and the part of a range that a mask covers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cords import cord, discs_at

from stages.core.base.errors import ImageError, SettingsError
from stages.core.images.volumes import Volume
from stages.core.measures.morphometry.levels import (
    Discs,
    assign,
    level_name,
    on_grid,
    parse_range,
    range_name,
    range_shares,
    read_discs,
    read_map,
)
from stages.core.measures.morphometry.settings import Measure
from stages.core.measures.morphometry.table import measure_volume

PARAMS = Measure(levels=[2, 3], coverage=0.5, stiffness_mm=4.0)
THICK = cord((1.0, 1.0, 17.0), 5)


def discs(slices: dict[int, int], n_slices: int = 12) -> Volume:
    return discs_at(Volume(np.zeros((20, 60, n_slices), np.float32), np.eye(4)), slices)


def range_row(mask: Volume, labels: Volume, params: Measure = PARAMS) -> pd.Series:
    table = measure_volume(mask, labels, params)
    return table[table["scope"] == "range"].iloc[0]


@pytest.mark.parametrize(
    ("slices", "expected", "why"),
    [
        ({2: 10, 3: 6, 4: 2}, [0, 0, 0, 3, 3, 3, 3, 2, 2, 2, 2, 0], "at or below disc N and above disc N + 1"),
        ({2: 11, 3: 6, 4: 0}, [0, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2], "discs in the outermost slices"),
        ({3: 8, 4: 2}, [0, 0, 0, 3, 3, 3, 3, 3, 3, 0, 0, 0], "above the first and below the last disc: unknown"),
        ({2: 10, 4: 2}, [0] * 12, "a disc between them is missing: neither vertebra is known"),
        ({2: 10, 3: 6, 4: 6, 5: 2}, [0, 0, 0, 4, 4, 4, 4, 2, 2, 2, 2, 0], "shared slice: the lowest disc owns it"),
        ({2: 6, 3: 6, 4: 2}, [0, 0, 0, 3, 3, 3, 3, 0, 0, 0, 0, 0], "shared slice at the top"),
        ({5: 4}, [0] * 12, "one disc bounds nothing"),
        ({}, [0] * 12, "no discs"),
    ],
)
def test_slices_belong_to_vertebrae(slices: dict[int, int], expected: list[int], why: str) -> None:
    assert assign(read_discs(discs(slices)), 12).tolist() == expected, why


def test_shared_slices_are_named() -> None:
    assert read_discs(discs({2: 10, 3: 6, 4: 6, 5: 2})).shared == {6}


def test_landmarks_other_than_discs_are_ignored() -> None:
    """49 and 50 mark the brain stem in the spine-generic labels."""
    labels = discs({2: 9, 3: 4})
    labels.data[3, 3, 11], labels.data[3, 4, 11] = 49, 50
    assert read_discs(labels).slices == {2: 9, 3: 4}


def test_contradictory_labels_are_refused() -> None:
    labels = discs({2: 9, 3: 4})
    labels.data[1, 1, 7] = 3
    with pytest.raises(ImageError, match=r"disc 3 is labelled in 2 voxels \(slices 4 to 7\)"):
        read_discs(labels)
    with pytest.raises(ImageError, match=r"disc 3 \(slice 9\) lies above disc 2 \(slice 4\)"):
        read_discs(discs({2: 4, 3: 9}))
    half = discs({2: 9})
    half.data[1, 1, 7] = 2.5
    with pytest.raises(ImageError, match="whole numbers"):
        read_discs(half)


@pytest.mark.parametrize(
    ("present", "expected", "why"),
    [
        (range(12), 1.0, "all of it"),
        (range(4, 12), 6.5 / 8, "from 10 down to 3.5: the lowest slice reaches half a slice below its centre"),
        (range(2, 7), 4.5 / 8, "from 6.5 down to 2"),
        ([10], 0.5 / 8, "a slice at the top disc stands for its lower half"),
        ([0, 1], 0.0, "below the range, up to 1.5"),
        ([3, 5], 2.0 / 8, "slices on both sides of a gap"),
    ],
)
def test_coverage_counts_slice_thickness(present: object, expected: float, why: str) -> None:
    found = read_discs(discs({2: 10, 3: 6, 4: 2}))
    index = np.array(list(present), dtype=np.int64)  # type: ignore[call-overload]
    part = range_shares(found, 2, 3, index=index, cosine=np.ones(len(index))).sum()
    assert part == pytest.approx(expected), why


def test_coverage_is_a_length_along_the_centreline() -> None:
    """Of two slices, the one where the cord leans by 60 degrees stands for twice the length."""
    found = read_discs(discs({2: 10, 3: 6, 4: 2}))
    cosine = np.where(np.arange(12) > 6, 0.5, 1.0)
    index = np.arange(7, 12)
    part = range_shares(found, 2, 3, index=index, cosine=cosine[7:]).sum()
    # Slices below take the angle of the nearest slice with cord: all of the range leans.
    assert part == pytest.approx(3.5 / 8)
    index = np.delete(np.arange(12), 5)
    part = range_shares(found, 2, 3, index=index, cosine=cosine[index]).sum()
    assert part == pytest.approx((3.5 / 0.5 + 3.5) / (3.5 / 0.5 + 4.5))


def test_thick_slices_with_shared_discs_give_a_value() -> None:
    """As in real MT images: 17 mm between slices, discs 4 and 5 in one slice."""
    row = range_row(THICK, discs_at(THICK, {2: 4, 3: 3, 4: 1, 5: 1}))
    assert row["n_slices"] == 4
    assert row["flags"] == "discs_share_slice;thickness_unknown"
    assert row["csa_mm2"] > 0
    # As in real diffusion images: discs 2 and 3 share the top slice. C2 has no length of its own, C2-C3 has a value.
    table = measure_volume(THICK, discs_at(THICK, {2: 3, 3: 3, 4: 1, 5: 1}), PARAMS)
    assert table[table["scope"] == "level"]["level"].tolist() == [3]
    row = table[table["scope"] == "range"].iloc[0]
    assert row["n_slices"] == 3
    assert row["csa_mm2"] > 0


@pytest.mark.parametrize(
    ("levels", "slices"),
    [([2, 3], {3: 3, 4: 1}), ([2, 3], {2: 4, 3: 3}), ([2, 3], {5: 3, 6: 1}), ([6, 7], {2: 4, 3: 3, 4: 1})],
)
def test_a_range_with_an_end_that_is_not_labelled_is_not_measured(levels: list[int], slices: dict[int, int]) -> None:
    row = range_row(THICK, discs_at(THICK, slices), PARAMS.model_copy(update={"levels": levels}))
    assert row["flags"] == "level_not_covered"
    assert np.isnan(row["csa_mm2"])
    assert np.isnan(row["coverage"])


def test_least_coverage_is_a_parameter() -> None:
    """The upper third of C2-C3 is outside the mask."""
    mask = cord((1.0, 1.0, 2.0), 18)
    mask.data[:, :, 11:] = 0
    labels = discs_at(mask, {2: 16, 3: 9, 4: 1})
    part = 9.5 / 15
    for least, measured in ((part - 0.01, True), (part + 0.01, False)):
        row = range_row(mask, labels, PARAMS.model_copy(update={"coverage": least}))
        assert row["coverage"] == pytest.approx(part)
        assert np.isfinite(row["csa_mm2"]) == measured
        assert row["flags"] == ("" if measured else "level_not_covered")


def test_without_discs_the_range_says_so() -> None:
    table = measure_volume(THICK, None, PARAMS)
    row = table[table["scope"] == "range"].iloc[0]
    assert row["flags"] == "no_levels"
    assert np.isnan(row["csa_mm2"])
    assert table[table["scope"] == "slice"]["level"].isna().all()


@pytest.mark.parametrize(("vertebra", "name"), [(1, "C1"), (7, "C7"), (8, "T1"), (19, "T12"), (20, "L1"), (25, "S1")])
def test_vertebrae_have_names(vertebra: int, name: str) -> None:
    assert level_name(vertebra) == name


def test_ranges_have_names() -> None:
    assert range_name([2, 3]) == "C2-C3"
    assert range_name([7, 8]) == "C7-T1"
    assert range_name([4]) == "C4"
    for wrong in ([], [3, 2], [2, 2]):
        with pytest.raises(SettingsError, match="ascending"):
            range_name(wrong)


def level_map(levels: list[int]) -> Volume:
    """Return a cord of 3 x 3 voxels whose slices have these levels, from below; 0 stands for no label."""
    data = np.zeros((5, 5, len(levels)), np.float32)
    data[1:4, 1:4] = levels
    return Volume(data, np.eye(4))


# Ranges as people write them ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "levels"),
    [("C2-C3", [2, 3]), ("c2 - c3", [2, 3]), ("C4", [4]), ("C7-T1", [7, 8]), ("T12-L1", [19, 20]), ("S1", [25])],
)
def test_ranges_are_read_as_people_write_them(text: str, levels: list[int]) -> None:
    assert parse_range(text) == levels
    assert range_name(levels) == text.upper().replace(" ", "")


@pytest.mark.parametrize(
    ("text", "levels"), [("2:3", [2, 3]), ("C2:C3", [2, 3]), ("2-3", [2, 3]), ("C7:8", [7, 8]), ("4", [4])]
)
def test_ranges_may_be_numbers_and_have_a_colon(text: str, levels: list[int]) -> None:
    assert parse_range(text) == levels


@pytest.mark.parametrize(
    "text", ["", "C0", "C8", "T13", "L6", "S2", "3-2", "0", "26", "2:", "2:3:4", "C2-", "C3-C2", "C2-C3-C4", "X1", "C²"]
)
def test_an_invalid_range_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="levels must be"):
        parse_range(text)


# Maps -----------------------------------------------------------------------------------------------------------------


def test_a_map_gives_every_slice_its_level_back() -> None:
    levels = [0, 4, 4, 3, 3, 3, 2, 2, 0]
    discs = read_map(level_map(levels))
    assert discs.slices == {2: 7.5, 3: 5.5, 4: 2.5, 5: 0.5}
    assert assign(discs, 9).tolist() == levels
    assert discs.shared == set()


@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=8),
    first=st.integers(1, 15),
    below=st.integers(1, 4),
    above=st.integers(1, 4),
)
@settings(max_examples=50)
def test_any_descending_map_inside_the_volume_comes_back(
    lengths: list[int], first: int, below: int, above: int
) -> None:
    from_above = [vertebra for k, n in enumerate(lengths) for vertebra in [first + k] * n]
    levels = [0] * below + from_above[::-1] + [0] * above
    assert assign(read_map(level_map(levels)), len(levels)).tolist() == levels


def test_a_level_at_the_edge_of_the_volume_may_be_cut_off() -> None:
    """Its end is unknown, so it is not measured; the levels between are."""
    discs = read_map(level_map([4, 4, 3, 3, 2, 2]))
    assert discs.slices == {3: 3.5, 4: 1.5}
    assert assign(discs, 6).tolist() == [0, 0, 3, 3, 0, 0]


def test_slices_without_a_label_between_two_levels_belong_to_the_upper() -> None:
    assert assign(read_map(level_map([0, 3, 3, 0, 2, 2, 0])), 7).tolist() == [0, 3, 3, 2, 2, 2, 0]


def test_a_vertebra_that_the_map_lacks_is_not_invented() -> None:
    assert assign(read_map(level_map([0, 4, 4, 2, 2, 0])), 6).tolist() == [0, 4, 4, 2, 2, 0]


def test_of_two_levels_in_a_slice_the_one_with_more_voxels_counts_and_of_equals_the_lower() -> None:
    labels = level_map([0, 3, 3, 2, 2, 0])
    labels.data[1, 1, 2] = 2  # one voxel of nine
    assert assign(read_map(labels), 6).tolist() == [0, 3, 3, 2, 2, 0]
    labels.data[1:4, 1, 2], labels.data[1:4, 2, 2], labels.data[1:4, 3, 2] = 2, 3, 0
    assert assign(read_map(labels), 6).tolist() == [0, 3, 3, 2, 2, 0]


def test_contradictory_maps_are_refused() -> None:
    with pytest.raises(ImageError, match="level 3 of the map reaches slice 4, above a slice of a level with a lower"):
        read_map(level_map([0, 3, 3, 2, 3, 0]))
    with pytest.raises(ImageError, match="levels of a map must be whole numbers"):
        read_map(level_map([0, 3, 3, 2, 1.5, 0]))  # type: ignore[list-item]


def test_an_empty_map_has_no_levels() -> None:
    assert read_map(level_map([0, 0, 0])).slices == {}


def test_a_map_and_the_discs_between_its_levels_measure_the_same() -> None:
    mask = cord((1.0, 1.0, 2.0), 24, tilt_ap=10)
    discs = Discs({2: 20.5, 3: 12.5, 4: 4.5})
    levels = Volume(np.where(mask.data > 0, assign(discs, 24), 0).astype(np.float32), mask.affine)
    a, b = (measure_volume(mask, labels, PARAMS) for labels in (discs, read_map(levels)))
    assert a.equals(b)
    assert a[a["scope"] == "range"]["n_slices"].tolist() == [16]


# World space ----------------------------------------------------------------------------------------------------------


def test_labels_on_another_grid_are_refused_without_the_option() -> None:
    mask = cord((1.0, 1.0, 2.0), 20)
    other = Volume(np.zeros((30, 30, 40), np.float32), np.diag([1.0, 1.0, 1.0, 1.0]))
    with pytest.raises(ImageError, match=r"mask and disc labels must lie on one grid, but shapes .*--match-world"):
        on_grid(other, mask, "disc labels")


@given(
    shift=st.tuples(*[st.floats(-40, 40)] * 3),
    spacing=st.floats(0.4, 2.0),
    heights=st.lists(st.integers(0, 59), min_size=2, max_size=5, unique=True),
)
@settings(max_examples=40)
def test_a_disc_keeps_its_place_in_the_world(
    shift: tuple[float, float, float], spacing: float, heights: list[int]
) -> None:
    """Height in the mask's slices is that of the label's centre, wherever its grid begins."""
    mask = Volume(np.zeros((20, 20, 30), np.float32), np.diag([1.0, 1.0, 2.0, 1.0]))
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = shift
    labels = Volume(np.zeros((9, 9, 60), np.float32), affine)
    expected = {}
    for number, k in enumerate(sorted(heights, reverse=True), start=2):
        labels.data[4, number, k] = number
        expected[number] = (k * spacing + shift[2]) / 2.0
    found = read_discs(labels, mask).slices
    assert found == pytest.approx(expected, abs=1e-9)


def test_discs_of_a_turned_image_come_to_the_slices_of_the_mask() -> None:
    """The label volume was scanned tilted, so heights come from world coordinates and not from the voxel index."""
    mask = Volume(np.zeros((40, 40, 40), np.float32), np.eye(4))
    angle = np.radians(20)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    labels = Volume(np.zeros((40, 40, 40), np.float32), turn)
    labels.data[5, 10, 20], labels.data[5, 10, 8] = 2, 3
    height = {n: 10 * np.sin(angle) + k * np.cos(angle) for n, k in ((2, 20), (3, 8))}
    assert read_discs(labels, mask).slices == pytest.approx(height)


def test_a_finer_map_comes_to_the_grid_of_the_mask() -> None:
    mask = cord((1.0, 1.0, 2.0), 12)
    fine = np.zeros((*(2 * n for n in mask.data.shape[:2]), 24), np.float32)
    fine[:, :, 4:12], fine[:, :, 12:20] = 3, 2
    affine = np.diag([0.5, 0.5, 1.0, 1.0])
    affine[:3, 3] = (-0.25, -0.25, -0.5)
    assert assign(read_map(Volume(fine, affine), mask), 12).tolist() == [0, 0, 3, 3, 3, 3, 2, 2, 2, 2, 0, 0]


def test_a_range_that_leaves_the_volume_is_covered_in_part() -> None:
    """Disc 2 lies above the image, and cord outside the image counts as not covered."""
    index = np.arange(10)
    discs = Discs({2: 15.0, 3: 6.0, 4: 1.0})
    assert range_shares(discs, 2, 3, index=index, cosine=np.ones(10)).sum() == pytest.approx(8.5 / 14)
    assert range_shares(discs, 3, 3, index=index, cosine=np.ones(10)).sum() == pytest.approx(1.0)
    mask = cord((1.0, 1.0, 2.0), 10)
    row = measure_volume(mask, Discs({2: 15.0, 3: 9.2, 4: 8.0}), PARAMS).iloc[-1]
    assert row["coverage"] == pytest.approx(1.5 / 7)
    assert (row["flags"], bool(np.isnan(row["csa_mm2"]))) == ("level_not_covered", True)
