"""Vertebral levels: the vertebra of each slice, and the part of a range that a mask covers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from support.cords import cord, discs_at

from stages.core.base.errors import ImageError, SettingsError
from stages.core.images.volumes import Volume
from stages.core.measures.morphometry.labels import read_discs
from stages.core.measures.morphometry.levels import assign, level_name, range_name, range_shares
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
