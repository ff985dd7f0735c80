"""Tables of earlier releases are read, counted and registered as versions that are shown and judge no other."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest
from support.cords import ROOT
from support.store_workspace import MODEL, A, B, workspace

from stages import history, import_release, promote, register
from stages.core.base.errors import CordriftError, ReleaseError, StoreError
from stages.core.base.files import read_json
from stages.core.drift.versions.folders import read_priors
from stages.core.drift.versions.version import Series, marks
from stages.core.measures.published.release_table import read_release
from stages.core.store import imported_version
from stages.core.store.client import RegisteredVersion, open_store
from stages.core.tables.columns import AGREEMENT_COLUMNS, MEASURES_COLUMNS
from stages.core.tables.monitored import range_csa

EXAMPLE = ROOT.parent / "shared/legacy-release/example.csv"
COLUMNS = ["Timestamp", "SCT Version", "Filename", "Slice (I->S)", "VertLevel", "DistancePMJ", "MEAN(area)"]
COLUMNS += ["STD(area)", "MEAN(diameter_AP)", "SUM(length)"]


def row(name: str, area: object, **changes: str) -> dict[str, Any]:
    value = dict.fromkeys(COLUMNS, "") | {"SCT Version": "6.5", "Slice (I->S)": "18:52", "VertLevel": "2:3"}
    value |= {"Filename": f"/home/runner/work/{name}", "MEAN(area)": str(area), "STD(area)": "2.0"}
    return value | {"SUM(length)": "35.1"} | changes


def table(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


ROWS = [
    row("sub-a_T1w_softseg_bin.nii.gz", 71.5),
    row("sub-a_T1w_seg_v2.0.nii.gz", 70.5),
    row("sub-a_T1w_softseg_bin.nii.gz", 71.5, Timestamp="later"),
    row("sub-a_T2w_softseg_bin.nii.gz", 70.0),
    row("sub-a_T2w_seg_v2.0.nii.gz", "", VertLevel=""),
    row("sub-b_T1w_softseg_bin.nii.gz", 80.0),
    row("sub-c_ses-01_DWI_seg_v2.0.nii.gz", 66.0),
    row("sub-a_T1w_seg_v10.0.nii.gz", 75.0),
]


def test_what_is_taken_and_what_is_counted(tmp_path: Path) -> None:
    found = read_release(table(tmp_path / "r.csv", ROWS), "v2.0", "set")
    assert (found.cases, found.empty, found.missing, found.repeated) == (4, 1, 1, 1)
    assert list(found.measures.columns) == list(MEASURES_COLUMNS)
    assert list(found.agreement.columns) == list(AGREEMENT_COLUMNS)
    csa = range_csa(found.measures, "prediction", "C2-C3").set_index(["participant", "contrast"])["csa_mm2"]
    assert csa.loc[("sub-a", "T1w")] == 70.5
    assert math.isnan(csa.loc[("sub-a", "T2w")])
    assert math.isnan(csa.loc[("sub-b", "T1w")])
    assert csa.loc[("sub-c", "DWI")] == 66.0
    assert len(range_csa(found.measures, "reference", "C2-C3")) == 3, "a repeated reference is counted once"
    errors = found.agreement.set_index(["participant", "session", "contrast"])["csa_error_mm2"]
    assert errors.loc[("sub-a", "", "T1w")] == pytest.approx(1.0)
    assert math.isnan(errors.loc[("sub-c", "ses-01", "DWI")])
    first = found.measures.iloc[0]
    assert (first["n_slices"], first["length_mm"], first["csa_sd_mm2"]) == (35, 35.1, 2.0)
    assert math.isnan(first["diameter_ap_mm"]), "a column of another meaning must not get this name"
    flags = found.measures[found.measures["source"] == "prediction"].set_index(["participant", "contrast"])["flags"]
    assert flags.to_dict() == {
        ("sub-a", "T1w"): "",
        ("sub-a", "T2w"): "empty_in_release",
        ("sub-b", "T1w"): "not_in_release",
        ("sub-c", "DWI"): "",
    }


@pytest.mark.skipif(not EXAMPLE.is_file(), reason="the example of an earlier release is not beside the checkout")
def test_the_published_shape_is_read() -> None:
    found = read_release(EXAMPLE, "v3.0", "data-multi-subject")
    csa = range_csa(found.measures, "prediction", "C2-C3").set_index("contrast")["csa_mm2"]
    assert csa.dropna().to_dict() == {"T1w": 70.88, "MTon": 69.74}
    assert (found.empty, found.missing) == (1, 0), "the table has a row of DWI, which is empty"
    assert found.agreement["csa_error_mm2"].dropna().tolist() == pytest.approx([71.20 - 69.74, 71.52 - 70.88])


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([row("sub-a_T1w_seg_v2.0.nii.gz", 70), row("sub-a_T1w_seg_v2.0.nii.gz", 71)], "two areas for sub-a_T1w_seg"),
        ([row("sub-a_T1w_seg_v2.0.nii.gz", "wide")], "line 2: MEAN(area) is 'wide'; expected a number"),
        ([row("sub-a_T1w_seg_v2.0.nii.gz", "inf")], "line 2: MEAN(area) is 'inf'"),
        ([row("sub-a_T1w_seg_v2.0.nii.gz", "-1")], "line 2: MEAN(area) is '-1'"),
        ([row("sub-a_T3w_seg_v2.0.nii.gz", 70)], "line 2: Filename ends in 'sub-a_T3w_seg_v2.0.nii.gz'; expected"),
        ([row("sub-=1+1_T1w_seg_v2.0.nii.gz", 70)], "line 2: Filename ends in"),
        ([row("sub-<script>_T1w_seg_v2.0.nii.gz", 70)], "line 2: Filename ends in"),
        ([row("sub-a_T1w_seg_v3.0.nii.gz", 70)], "no prediction of 'v2.0' (did you mean 'v3.0'?); it has"),
        ([row("sub-a_T1w_seg_v2.0.nii.gz", 70, VertLevel="3:2")], "line 2: VertLevel is '3:2'; expected the first"),
        ([row("sub-a_T1w_seg_v2.0.nii.gz", 70, VertLevel="30:31")], "rows of VertLevel 30:31; expected one, such as"),
        (
            [row("sub-a_T1w_seg_v2.0.nii.gz", 70, **{"Slice (I->S)": "155:121"})],
            "line 2: Slice (I->S) is '155:121'; expected the first and the last slice, such as 121:155",
        ),
        (
            [row("sub-a_T1w_seg_v2.0.nii.gz", 70), row("sub-a_T2w_seg_v2.0.nii.gz", 7, VertLevel="3:4")],
            "rows of VertLevel 2:3, 3:4; expected one",
        ),
    ],
)  # fmt: skip
def test_a_faulty_table_is_reported(tmp_path: Path, rows: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(ReleaseError) as error:
        read_release(table(tmp_path / "r.csv", rows), "v2.0", "set")
    assert says in str(error.value)


def test_a_file_that_is_not_a_table_is_reported(tmp_path: Path) -> None:
    for name, content, says in (
        ("absent.csv", None, "is not a file"),
        ("empty.csv", b"", "not a table"),
        ("other.csv", b"a,b\n1,2\n", "has no column SCT Version, Filename"),
        ("binary.csv", b"\xff\xfe\x00", "not a table"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ReleaseError, match=says):
            read_release(tmp_path / name, "v2.0", "set")


# In MLflow ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with the registered version A, the packaged bundle B and a table of two earlier releases."""
    monkeypatch.chdir(workspace(tmp_path / "lab"))
    register.main()
    workspace(tmp_path / "lab", B, label="v2")
    table(Path("release.csv"), ROWS)
    return tmp_path / "lab"


def bring(version: str) -> None:
    import_release.main(["release.csv", "--version", version])


def versions() -> list[RegisteredVersion]:
    return open_store(MODEL).versions()


def test_an_imported_release_is_a_prior_that_judges_nothing(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bring("v2.0")
    assert "4 masks at C2-C3; 1 rows empty, 1 masks without a row, 1 repeated rows" in (capsys.readouterr().out)
    history.main()
    rows = read_json(Path("reports/history/priors.json"))["priors"]
    assert [(r["label"], r["aliases"]) for r in rows] == [("v1", ["anchor", "champion"]), ("v2.0", [])]
    assert "holds no masks.zip" in rows[1]["other_ruler"]
    summary = read_json(Path("reports/measure/summary.json"))
    candidate = Series(**{name: str(summary[name]) for name in Series.__dataclass_fields__})
    priors, _ = read_priors(Path("reports/history"), candidate)
    assert list(marks(candidate, priors[1].series)) == ["other ruler"]
    assert priors[1].version is not None
    assert range_csa(priors[1].version.measures, "prediction", "C2-C3")["csa_mm2"].notna().sum() == 2


def test_importing_twice_adds_nothing_and_another_file_is_refused(lab: Path) -> None:
    bring("v2.0")
    before = versions()
    bring("v2.0")
    assert versions() == before
    table(Path("release.csv"), [*ROWS, row("sub-d_T1w_seg_v2.0.nii.gz", 71)])
    with pytest.raises(CordriftError, match=r"has a v2\.0 already .* a record is never overwritten"):
        bring("v2.0")
    assert versions() == before


def test_versions_are_in_the_order_of_versions(lab: Path) -> None:
    """v10.0 is imported first, v2.0 after it; the registered v1 is before both."""
    bring("v10.0")
    bring("v2.0")
    history.main()
    rows = read_json(Path("reports/history/priors.json"))["priors"]
    assert [row["label"] for row in rows] == ["v1", "v2.0", "v10.0"]
    assert len(versions()) == 3, "all are kept"


def test_what_is_imported_later_changes_nothing_for_a_registered_version(lab: Path) -> None:
    history.main()
    first = Path("reports/history/priors.json").read_bytes()
    register.main()
    bring("v2.0")
    history.main()
    assert Path("reports/history/priors.json").read_bytes() == first


def test_an_imported_version_cannot_be_promoted(lab: Path) -> None:
    bring("v2.0")
    with pytest.raises(CordriftError, match=r"v2\.0 was imported: others measured it"):
        promote.main(["v2.0", "--reason", "it is the published one"])
    assert [v.aliases for v in versions()] == [("anchor", "champion"), ()]
    assert next(v.tags["digest"] for v in versions() if v.aliases) == A


def test_a_version_that_cannot_be_ordered_is_refused(lab: Path) -> None:
    with pytest.raises(CordriftError, match=r"--version is 'final'; expected a version such as v2\.0"):
        bring("final")
    assert len(versions()) == 1


def test_a_store_that_keeps_no_imported_version_is_an_error(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imported_version, "_registered", lambda *_: None)
    with pytest.raises(StoreError, match=r"did not keep the version v2.0"):
        bring("v2.0")
