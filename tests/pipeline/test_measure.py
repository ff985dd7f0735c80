"""The stages `measure` and `compare` on a small workspace: their input, their output and their refusals."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from support.cords import CONTRASTS, Workspace, digest_of_folder, keep_as_prior

from stages import compare, measure
from stages.core.base.errors import BundleError, CordriftError, ImageError, SettingsError
from stages.core.base.files import read_csv, read_json, write_json
from stages.core.drift.record.record import read_drift
from stages.core.images.volumes import read, write
from stages.core.tables.columns import AGREEMENT_COLUMNS, AGREEMENT_TEXT, MEASURES_COLUMNS, MEASURES_TEXT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = Workspace(tmp_path_factory.mktemp("template"), ("sub-a", "sub-b"))
    made.segment("b" * 64, 0.1)
    return made


@pytest.fixture
def workspace(template: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.chdir(tmp_path)
    return template.copy(tmp_path)


def measured() -> tuple[pd.DataFrame, pd.DataFrame]:
    measure.main()
    return (
        read_csv(Path("reports/measure/measures.csv"), text=MEASURES_TEXT),
        read_csv(Path("reports/measure/agreement.csv"), text=AGREEMENT_TEXT),
    )


def ranges(measures: pd.DataFrame, **chosen: str) -> pd.DataFrame:
    rows = measures[measures["scope"] == "range"]
    for column, value in chosen.items():
        rows = rows[rows[column] == value]
    return rows


def by_source(measures: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return CSA at the range, with one row for each case and one column for each source."""
    rows = ranges(measures, kind=kind)
    return rows.pivot_table(index=["participant", "contrast"], columns="source", values="csa_mm2")


def test_predictions_and_references_are_measured_with_one_ruler(workspace: Workspace) -> None:
    measures, agreement = measured()
    assert list(measures.columns) == ["schema", *MEASURES_COLUMNS]
    assert list(agreement.columns) == ["schema", *AGREEMENT_COLUMNS]
    assert len(ranges(measures)) == 2 * 6 * 4  # participants, contrasts, {prediction, reference} x {binary, soft}
    soft = by_source(measures, "soft")
    # Semi-axes 6.5 + 0.15 k and 4.5 + 0.15 k mm, predictions 0.1 mm more; 5 x 5 sub-samples of a 1 mm voxel.
    for k, sub in enumerate(("sub-a", "sub-b")):
        true = np.pi * (6.5 + 0.15 * k) * (4.5 + 0.15 * k)
        grown = np.pi * (6.6 + 0.15 * k) * (4.6 + 0.15 * k)
        assert soft.loc[sub, "reference"].to_numpy() == pytest.approx(true, rel=5e-3)
        assert soft.loc[sub, "prediction"].to_numpy() == pytest.approx(grown, rel=5e-3)
    reference = measures[measures["source"] == "reference"]
    assert set(reference["bundle"]) == {""}
    assert set(measures[measures["source"] == "prediction"]["bundle"]) == {"b" * 64}
    assert len(set(measures["ruler"])) == 1
    assert ranges(measures, participant="sub-a", contrast="T1w", source="prediction", kind="binary")[
        "mask"
    ].tolist() == ["set/sub-a/anat/sub-a_T1w_binary.nii.gz"]


def test_agreement_is_that_of_the_monitored_series(workspace: Workspace) -> None:
    measures, agreement = measured()
    binary = by_source(measures, "binary")
    error = agreement.set_index(["participant", "contrast"])["csa_error_mm2"]
    expected = (binary["prediction"] - binary["reference"]).abs()
    assert error.sort_index().tolist() == pytest.approx(expected.sort_index().tolist())
    assert agreement["dice"].between(0.9, 0.999).all()
    assert (agreement["rve_percent"] > 0).all()


def test_the_summary_names_the_series(workspace: Workspace) -> None:
    measures, _ = measured()
    summary = read_json(Path("reports/measure/summary.json"))
    assert (summary["bundle"], summary["inference"]) == ("b" * 64, "i" * 64)
    assert (summary["cases"], summary["failed"], summary["range"]) == (12, 0, "C2-C3")
    assert summary["ruler"] == measures["ruler"].iloc[0]
    before = summary["frozen"]
    workspace.no_reference = {"DWI"}
    workspace.write_dataset()
    measured()
    assert read_json(Path("reports/measure/summary.json"))["frozen"] != before


def test_a_failed_mask_is_a_failure_and_never_area_zero(workspace: Workspace) -> None:
    workspace.segment("b" * 64, 0.1, failed=[("sub-a", "T2w")])
    measures, agreement = measured()
    rows = ranges(measures, participant="sub-a", contrast="T2w", source="prediction")
    assert sorted(rows["kind"]) == ["binary", "soft"]
    assert set(rows["flags"]) == {"failed"}
    assert rows["csa_mm2"].isna().all()
    case = agreement[(agreement["participant"] == "sub-a") & (agreement["contrast"] == "T2w")].iloc[0]
    assert case["flags"] == "failed;prediction_empty"
    assert (case["dice"], case["rve_percent"]) == (0.0, -100.0), "one of two empty: no overlap"
    assert np.isnan(case["csa_error_mm2"])
    assert read_json(Path("reports/measure/summary.json"))["failed"] == 1


def test_an_unreadable_image_fails_one_case(workspace: Workspace) -> None:
    """The stage `segment` counts the case as failed, but its reference is measured."""
    workspace.segment("b" * 64, 0.1, failed=[("sub-a", "T2w")], reason="it holds NaN")
    Path("data/clones/set/sub-a/anat/sub-a_T2w.nii.gz").write_bytes(b"not an image")
    measures, agreement = measured()
    case = agreement[(agreement["participant"] == "sub-a") & (agreement["contrast"] == "T2w")].iloc[0]
    assert (case["flags"], np.isnan(case["dice"])) == ("failed", True), "unknown, not 0"
    rows = ranges(measures, participant="sub-a", contrast="T2w")
    assert rows.groupby("source")["csa_mm2"].count().to_dict() == {"prediction": 0, "reference": 2}


@pytest.mark.parametrize(("moved", "named"), [("binary", "sub-a_DWI_discs"), ("soft", "sub-a_DWI_soft")])
def test_masks_and_labels_must_share_a_grid(workspace: Workspace, moved: str, named: str) -> None:
    path = Path(f"reports/segment/set/0/set/sub-a/anat/sub-a_DWI_{moved}.nii.gz")
    mask = read(path)
    write(path, mask.data, mask.affine + np.array([[0, 0, 0, 0.5], [0] * 4, [0] * 4, [0] * 4]))
    with pytest.raises(ImageError, match=rf"{named}\.nii\.gz and .* must lie on one grid, but a corner lies 0.5 mm"):
        measure.main()


def test_a_contrast_without_reference_is_measured(workspace: Workspace) -> None:
    workspace.no_reference = {"DWI"}
    workspace.write_dataset()
    measures, agreement = measured()
    assert set(ranges(measures, contrast="DWI")["source"]) == {"prediction"}
    assert set(agreement[agreement["contrast"] == "DWI"]["flags"]) == {"no_reference"}
    assert agreement[agreement["contrast"] == "DWI"]["dice"].isna().all()
    assert agreement["dice"].count() == 10


def test_a_contrast_that_no_dataset_has_is_refused(workspace: Workspace) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params["segment"]["contrasts"].append("T2s")
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    with pytest.raises(SettingsError, match=r"segment.contrasts in params.yaml names 'T2s' \(did you mean 'T2w'\?\)"):
        measure.main()
    assert not Path("reports/measure").exists()


def test_other_folders_are_ignored_and_counted(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    measure.main()
    before = digest_of_folder(Path("reports/measure"))
    shutil.copytree("reports/segment/set/1", "reports/segment/set/7")
    measure.main()
    assert "ignored 1 folder(s) that params do not name as a shard: set/7" in capsys.readouterr().err
    assert digest_of_folder(Path("reports/measure")) == before


def test_a_missing_shard_is_refused(workspace: Workspace) -> None:
    shutil.rmtree("reports/segment/set/1")
    with pytest.raises(BundleError, match="reports/segment/set/1 is missing"):
        measure.main()
    assert not Path("reports/measure").exists()


def test_a_removed_participant_is_gone_and_a_stale_one_is_refused(workspace: Workspace) -> None:
    manifest = read_json(Path("data/fetch/set.json"))
    kept = [case for case in manifest["cases"] if case["participant"] == "sub-a"]
    write_json(Path("data/fetch/set.json"), {**manifest, "cases": kept})
    with pytest.raises(BundleError, match=r"6 case\(s\) are segmented but not in the set, first: set sub-b"):
        measure.main()
    workspace.people = ("sub-a",)
    workspace.segment("b" * 64, 0.1)
    measures, _ = measured()
    assert set(measures["participant"]) == {"sub-a"}


def test_a_case_that_was_not_segmented_is_refused(workspace: Workspace) -> None:
    record = read_json(Path("reports/segment/set/0/manifest.json"))
    write_json(Path("reports/segment/set/0/manifest.json"), {**record, "cases": record["cases"][1:]})
    with pytest.raises(BundleError, match=r"1 case\(s\) were not segmented, first: set sub-a T1w"):
        measure.main()


def test_shards_of_two_models_are_refused(workspace: Workspace) -> None:
    record = read_json(Path("reports/segment/set/0/manifest.json"))
    write_json(Path("reports/segment/set/0/manifest.json"), {**record, "bundle": "c" * 64})
    with pytest.raises(BundleError, match="2 combinations of bundle and inference"):
        measure.main()


def test_a_removed_dataset_is_gone(workspace: Workspace) -> None:
    """Its manifest may still lie in data/fetch, but params do not name it."""
    shutil.copy("data/fetch/set.json", "data/fetch/other.json")
    measures, _ = measured()
    assert set(measures["dataset"]) == {"set"}


def test_an_edited_reference_is_refused(workspace: Workspace) -> None:
    mask = Path("data/clones/set/sub-a/anat/sub-a_T1w_mask.nii.gz")
    mask.write_bytes(Path("data/clones/set/sub-a/anat/sub-a_T2w_mask.nii.gz").read_bytes())
    with pytest.raises(CordriftError, match="sub-a_T1w_mask"):
        measure.main()


def test_labels_that_contradict_name_the_mask(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Workspace, "SLICES", {2: 3, 3: 11, 4: 19})
    workspace.write_dataset()
    with pytest.raises(ImageError, match=r"sub-a_DWI_binary\.nii\.gz: disc 3 \(slice 11\) lies above disc 2"):
        measure.main()


def test_the_same_input_gives_the_same_bytes(workspace: Workspace) -> None:
    digests = set()
    for _ in range(2):
        measure.main()
        compare.main()
        digests.add(digest_of_folder(Path("reports/measure")) + digest_of_folder(Path("reports/compare")))
    assert len(digests) == 1


def test_two_versions_are_compared(workspace: Workspace) -> None:
    """Version 2 measures larger cords in every contrast; the bias is the difference between the two tables."""
    old, _ = measured()
    keep_as_prior(workspace, "b" * 64)
    workspace.segment("d" * 64, 0.3)
    new, _ = measured()
    compare.main()
    drift = read_drift(Path("reports/compare/drift.json"))
    assert [v.version for v in drift.versions] == ["reference", "b" * 64, "d" * 64]
    change = [
        ranges(table, source="prediction", kind="binary").groupby("participant")["csa_mm2"].mean()
        for table in (new, old)
    ]
    assert drift.priors[0].pooled.bias_mm2 == pytest.approx(float((change[0] - change[1]).mean()))
    assert drift.priors[0].pooled.n == 2
    tables = {name: read_csv(Path(f"reports/compare/{name}.csv")) for name in ("csa_std", "csa", "bias", "quality")}
    assert len(tables["bias"]) == 7
    assert tables["bias"]["contrast"].tolist() == [*CONTRASTS, "pooled"]
    assert len(tables["csa_std"]) == 3 * 2
    assert len(tables["csa"]) == 3 * 12
    assert len(tables["quality"]) == 2 * 7


def test_the_candidate_cannot_be_its_own_prior(workspace: Workspace) -> None:
    measure.main()
    keep_as_prior(workspace, "b" * 64)
    with pytest.raises(CordriftError, match="holds the candidate itself"):
        compare.main()


def test_a_case_that_check_stopped_is_failed_and_its_reference_is_not_read(workspace: Workspace) -> None:
    workspace.segment("b" * 64, 0.1, failed=[("sub-a", "T1w")], reason="check: the mask lies on another grid.")
    reference = Path("data/clones/set/sub-a/anat/sub-a_T1w_mask.nii.gz")
    reference.write_bytes(b"unreadable")
    measures, agreement = measured()
    stopped = ranges(measures, participant="sub-a", contrast="T1w")
    assert set(stopped["source"]) == {"prediction"}
    assert set(stopped["flags"]) == {"failed"}
    assert stopped["csa_mm2"].isna().all()
    row = agreement[(agreement["participant"] == "sub-a") & (agreement["contrast"] == "T1w")]
    assert row["flags"].tolist() == ["failed;stopped_by_check"]
    assert row["dice"].isna().all()


def test_warnings_of_check_travel_with_the_measures(workspace: Workspace) -> None:
    path = Path("reports/segment/set/0/manifest.json")
    record = read_json(path)
    record["cases"][0]["warnings"] = ["oblique", "discs-missing"]
    write_json(path, record)
    first = {name: record["cases"][0][name] for name in ("participant", "contrast")}
    measures, agreement = measured()
    warned = {"check:discs-missing", "check:oblique"}
    assert all(warned <= set(flags.split(";")) for flags in ranges(measures, **first)["flags"])
    others = measures[(measures["participant"] != first["participant"]) | (measures["contrast"] != first["contrast"])]
    assert not others["flags"].str.contains("check:").any()
    assert agreement["flags"].str.contains("check:oblique").sum() == 1
