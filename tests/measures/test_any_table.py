"""Any table of measures is read as one version, or refused with a sentence."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from support.cords import ROOT
from support.drift_factory import FLAT, version

from stages.core.base.errors import ReleaseError
from stages.core.base.files import write_csv
from stages.core.measures.published import sct_table
from stages.core.measures.published.any_table import OURS, SCT, AnyTable, read_any
from stages.core.tables.monitored import range_csa, range_slices

NORMATIVE = ROOT.parent / "shared/normative"


def sct(path: Path, *rows: tuple[str, str, str, object]) -> Path:
    """A table of SCT; each row is mask, slices, VertLevel and area."""
    columns = ["SCT Version", "Filename", "Slice (I->S)", "VertLevel", "MEAN(area)", "STD(area)", "SUM(length)"]
    table = pd.DataFrame([["6.5", f"/data/{mask}", slices, level, area, "", ""] for mask, slices, level, area in rows])
    table.set_axis(columns, axis=1).to_csv(path, index=False)
    return path


def csa(found: AnyTable, source: str = "prediction") -> dict[str, float]:
    rows = range_csa(found.measures, source, "C2-C3")  # type: ignore[arg-type]
    return {" ".join(filter(None, [r.participant, r.session, r.contrast])): r.csa_mm2 for r in rows.itertuples()}


def read(path: Path, masks: str = "") -> AnyTable:
    return read_any(path, "C2-C3", "binary", masks)


def test_rows_of_ranges_levels_and_slices_mean_the_same(tmp_path: Path) -> None:
    """The tool's mean of a range is over slices: three of C2 with 90 mm2 and one of C3 with 80 have the mean 87.5."""
    ranges = sct(tmp_path / "a.csv", ("sub-a_T2w_seg.nii.gz", "10:13", "2:3", 87.5))
    levels = sct(
        tmp_path / "b.csv", ("sub-a_T2w_seg.nii.gz", "11:13", "2", 90), ("sub-a_T2w_seg.nii.gz", "10:10", "3", 80)
    )
    slices = [("sub-a_T2w_seg.nii.gz", str(k), "3" if k == 10 else "2", 80 if k == 10 else 90) for k in range(10, 14)]
    outside = ("sub-a_T2w_seg.nii.gz", "9", "4", 50)
    for path in (ranges, levels, sct(tmp_path / "c.csv", *slices, outside)):
        assert csa(read(path)) == {"sub-a T2w": pytest.approx(87.5)}
    assert len(range_slices(read(tmp_path / "c.csv").measures, "prediction")) == 4


def test_a_range_that_is_not_covered_has_no_mean(tmp_path: Path) -> None:
    mask = "sub-a_T2w_seg.nii.gz"
    whole = [("sub-b_T2w_seg.nii.gz", "10", "2", 80), ("sub-b_T2w_seg.nii.gz", "9", "3", 70)]
    c3_missing = [(mask, str(k), "2", 80) for k in range(10, 20)]
    assert math.isnan(csa(read(sct(tmp_path / "a.csv", *c3_missing, *whole)))["sub-a T2w"])
    mostly_empty = [(mask, str(k), "3" if k < 15 else "2", 80 if k in {14, 15} else "") for k in range(10, 20)]
    found = read(sct(tmp_path / "b.csv", *mostly_empty, *whole))
    assert math.isnan(csa(found)["sub-a T2w"])
    assert csa(found)["sub-b T2w"] == 75


def test_names_of_bids_are_taken_apart(tmp_path: Path) -> None:
    masks = ["sub-a_ses-01_acq-MTon_MTS_label-SC_seg.nii.gz", "sub-a_ses-01_rec-average_dwi_seg.nii.gz"]
    found = read(sct(tmp_path / "a.csv", *((mask, "1:9", "2:3", 70) for mask in masks)))
    assert sorted(csa(found)) == ["sub-a ses-01 acq-MTon_MTS", "sub-a ses-01 rec-average_dwi"]


def test_references_of_a_release_become_the_csa_error(tmp_path: Path) -> None:
    rows = [("sub-a_T1w_softseg_bin.nii.gz", "1:9", "2:3", 71.5), ("sub-a_T1w_seg_v2.0.nii.gz", "1:9", "2:3", 70.0)]
    found = read(sct(tmp_path / "r.csv", *rows, ("sub-a_T1w_seg_v3.0.nii.gz", "1:9", "2:3", 72.0)), "v2.0")
    assert (csa(found), csa(found, "reference")) == ({"sub-a T1w": 70.0}, {"sub-a T1w": 71.5})
    assert found.agreement["csa_error_mm2"].tolist() == [1.5]


def test_a_row_that_stands_twice_counts_once(tmp_path: Path) -> None:
    row = ("sub-a_T1w_seg.nii.gz", "1:9", "2:3", 71.5)
    found = read(sct(tmp_path / "r.csv", row, row))
    assert (csa(found), found.repeated) == ({"sub-a T1w": 71.5}, 1)


def test_the_area_of_a_crumb_is_no_measurement(tmp_path: Path) -> None:
    """Its case stays, so that it counts as missing; its slices go."""
    good = [(f"sub-{name}_T2w_seg.nii.gz", str(k), str(k), 80) for name in "bcd" for k in (2, 3)]
    crumb = [("sub-a_T2w_seg.nii.gz", str(k), str(k), 0.4) for k in (2, 3)]
    found = read(sct(tmp_path / "a.csv", *crumb, *good))
    assert found.implausible == 1
    assert math.isnan(csa(found)["sub-a T2w"])
    assert csa(found)["sub-b T2w"] == 80
    assert set(range_slices(found.measures, "prediction")["participant"]) == {"sub-b", "sub-c", "sub-d"}


def test_our_own_tables_are_read(tmp_path: Path) -> None:
    write_csv(tmp_path / "measures.csv", version(FLAT).measures)
    found = read(tmp_path / "measures.csv")
    assert (found.layout, len(csa(found)), csa(found)["sub-1 DWI"]) == (OURS, 30, 71.0)
    own = pd.DataFrame([{"scope": "range", "mask": "masks/sub-a_T2w_seg.nii.gz", "levels": "C2-C3", "csa_mm2": 77.0}])
    own = own.assign(participant="", session="", contrast="", source="", kind="soft", dataset="", bundle="", ruler="r")
    write_csv(tmp_path / "own.csv", own.assign(flags="", slice=None, level=None, range_share=None))
    assert csa(read(tmp_path / "own.csv")) == {"sub-a T2w": 77.0}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([("T2w_seg.nii.gz", "1:9", "2:3", 70)], "names the mask 'T2w_seg.nii.gz'; expected a name such as sub-01"),
        ([("sub-a_T2w_seg_v1.nii", "1:9", "2:3", 70), ("sub-a_T2w_seg_v2.nii", "1:9", "2:3", 7)], "two masks of sub-a"),
        ([("sub-a_T2w_seg.nii", "1:9", "2:3", 70), ("sub-a_T2w_seg.nii", "1:9", "2:3", 71)], "two areas for sub-a"),
        (
            [("sub-a_T2w_seg.nii", "1:9", "2:5", 70)],
            "was measured over VertLevel 2:5, which is more than the range 2:3",
        ),
        ([("sub-a_T2w_seg.nii", "1:9", "5:6", 70)], "no area at C2-C3 in any mask; its VertLevels are 5:6"),
        ([("sub-a_T2w_seg.nii", "9:1", "2:3", 70)], "Slice (I->S) is '9:1'; expected the first and the last slice"),
        ([("sub-a_T2w_seg.nii", "1:9", "2:3", 0.76)], "has a median area of 0.76; a cord has about 80 mm2"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(
    tmp_path: Path, rows: list[tuple[str, str, str, object]], says: str
) -> None:
    with pytest.raises(ReleaseError) as error:
        read(sct(tmp_path / "t.csv", *rows))
    assert says in str(error.value)


def test_a_file_that_is_no_table_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    for path, says in (
        (tmp_path / "absent.csv", "is not a file"),
        (tmp_path / "other.csv", "has the columns a, b; expected the table that `cordrift measure` writes"),
    ):
        with pytest.raises(ReleaseError, match=says):
            read(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReleaseError, match=r"is a folder without a \.csv file"):
        read(tmp_path / "empty")
    write_csv(tmp_path / "levels.csv", version(FLAT).measures.assign(levels="C4-C5"))
    with pytest.raises(ReleaseError, match=r"has no row of the range C2-C3; its ranges are C4-C5"):
        read(tmp_path / "levels.csv")


@pytest.mark.skipif(not NORMATIVE.is_dir(), reason="the normative tables are not beside the checkout")
@pytest.mark.parametrize("edition", ["r20231016", "r20250321"])
def test_the_normative_tables_are_read(edition: str) -> None:
    """Independent of our reader: the mean of all slices of C2 and C3 in each file."""
    found = read(NORMATIVE / edition)
    assert found.layout == SCT
    expected = {}
    for path in (NORMATIVE / edition).glob("*.csv"):
        table = pd.read_csv(path)
        expected[f"{path.name.split('_')[0]} T2w"] = table[table["VertLevel"].isin([2, 3])]["MEAN(area)"].mean()
    assert csa(found) == pytest.approx(expected)


def test_a_folder_of_two_kinds_of_tables_is_a_sentence(tmp_path: Path) -> None:
    sct(tmp_path / "a.csv", ("sub-01_T2w_seg.nii.gz", "1:20", "2:3", 71))
    write_csv(tmp_path / "b.csv", version(FLAT).measures)
    with pytest.raises(ReleaseError, match=r"holds tables of .* and of .*; expected one kind"):
        read(tmp_path)


def test_masks_of_two_bundles_in_one_table_are_a_sentence(tmp_path: Path) -> None:
    both = pd.concat([version(FLAT).measures.assign(bundle=name) for name in ("b", "c")])
    write_csv(tmp_path / "both.csv", both)
    with pytest.raises(ReleaseError, match=r"both\.csv holds masks of 2 bundles; expected those of one version"):
        read(tmp_path / "both.csv")


def test_a_text_that_no_mask_contains_and_a_table_too_large_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sct(tmp_path / "a.csv", ("sub-01_T2w_seg.nii.gz", "1:20", "2:3", 71))
    with pytest.raises(ReleaseError, match=r"a\.csv has no mask whose file name contains 'manual'"):
        read(tmp_path / "a.csv", "manual")
    monkeypatch.setattr(sct_table, "MOST_BYTES", 10)
    with pytest.raises(ReleaseError, match="at most 10 are read"):
        read(tmp_path / "a.csv")
