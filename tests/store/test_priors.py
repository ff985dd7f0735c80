"""Priors from MLflow: all versions except the current bundle, or an error, but never a wrong or incomplete list."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from support.store_workspace import MODEL, A, B, files, params, ruler, workspace

from stages import history, register
from stages.core.base.errors import CordriftError, ImageError
from stages.core.base.files import read_csv, read_json, write_csv, write_json
from stages.core.data.datasets.manifest import read_manifest
from stages.core.drift.versions.folders import read_priors
from stages.core.drift.versions.version import Prior, Series, marks
from stages.core.measures.cohort.measurement import measure_cohort
from stages.core.measures.kept_masks import remeasurement as remeasuring
from stages.core.measures.morphometry.ruler import ruler_id
from stages.core.measures.morphometry.settings import Measure
from stages.core.model.segmentation.predictions import read_shards
from stages.core.store import client, priors
from stages.core.workspace.runs.params import load_params

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with version A registered and the bundle B packaged."""
    monkeypatch.chdir(workspace(tmp_path / "lab"))
    register.main()
    workspace(tmp_path / "lab", B, label="v2")
    return tmp_path / "lab"


def test_new_store_has_no_priors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace(tmp_path))
    history.main()
    assert read_json(tmp_path / "reports/history/priors.json")["priors"] == []


def test_priors_leave_out_the_current_bundle(lab: Path) -> None:
    history.main()
    first = files(lab / "reports/history")
    register.main()
    history.main()
    assert files(lab / "reports/history") == first, "registering B must not make B a prior of itself"
    (prior,) = read_json(lab / "reports/history/priors.json")["priors"]
    assert prior == {
        "digest": A,
        "version": "1",
        "label": "v1",
        "aliases": ["anchor", "champion"],
        "bundle": A,
        "inference": "i" * 64,
        "ruler": ruler(),
        "frozen": "f" * 64,
        "folder": A[:12],
        "ruler_was": ruler(),
        "remeasured": False,
        "other_ruler": "",
        "masks": prior["masks"],
        "declared": None,
    }
    assert len(prior["masks"]) == 64
    expected = (*priors.MEASURES_FILES, "masks.zip", "resources.csv", "training_data.json")
    assert set(first) == {"priors.json", *(f"{A[:12]}/{name}" for name in expected)}
    assert A.encode() in first[f"{A[:12]}/measures.csv"]


# --- another ruler


def stiffer(lab: Path) -> Measure:
    """Give the workspace another ruler, as if it had measured the current bundle; return the params of the ruler."""
    value = yaml.safe_load((lab / "params.yaml").read_text())
    value["measure"]["stiffness_mm"] = 40.0
    (lab / "params.yaml").write_text(yaml.safe_dump(value))
    measure = load_params(lab / "params.yaml").measure
    summary = read_json(lab / "reports/measure/summary.json")
    write_json(lab / "reports/measure/summary.json", {**summary, "ruler": ruler_id(measure)})
    return measure


def masks_of(version: int = 1) -> Path:
    """Return the path of the kept masks of a version in the store."""
    store = client.open_store(MODEL)
    run = store.client.get_run(store.versions()[version - 1].run_id)
    return Path(run.info.artifact_uri) / "masks.zip"


def one_prior() -> tuple[Series, Prior]:
    """The candidate's series and the one prior, as `compare` reads them."""
    summary = read_json(Path("reports/measure/summary.json"))
    candidate = Series(**{name: str(summary[name]) for name in Series.__dataclass_fields__})
    (prior,), _ = read_priors(Path("reports/history"), candidate)
    return candidate, prior


def judged() -> bool:
    """Tell whether `compare` may judge by the one prior."""
    candidate, prior = one_prior()
    return not marks(candidate, prior.series)


def test_a_prior_of_another_ruler_is_measured_again(lab: Path, tmp_path: Path) -> None:
    measure = stiffer(lab)
    assert ruler_id(measure) != ruler()
    history.main()
    first = files(lab / "reports/history")
    (prior,) = read_json(lab / "reports/history/priors.json")["priors"]
    assert (prior["ruler"], prior["ruler_was"]) == (ruler_id(measure), ruler())
    assert (prior["remeasured"], prior["other_ruler"]) == (True, "")
    assert one_prior()[1].remeasured
    before = workspace(tmp_path / "direct", A, store=False)
    direct = measure_cohort(
        [read_manifest(before / "data/fetch/frozen.json")],
        read_shards(before / "reports/segment", ["frozen"], [0, 1]),
        load_params(before / "params.yaml").segment.contrasts,
        measure,
        before / "data/clones",
    )
    write_csv(tmp_path / "direct.csv", direct.measures)
    assert first[f"{A[:12]}/measures.csv"] == (tmp_path / "direct.csv").read_bytes()
    ranges = direct.measures[(direct.measures["scope"] == "range") & (direct.measures["kind"] == "binary")]
    assert ranges["csa_mm2"].notna().sum() == (ranges["flags"] == "failed").sum() == 2, "failed cases stay failed"
    agreement = read_csv(lab / f"reports/history/{A[:12]}/agreement.csv")
    csa = ranges.set_index(["participant", "contrast"]).loc["sub-0", "T1w"]["csa_mm2"]
    assert agreement["csa_error_mm2"].iloc[0] == pytest.approx(abs(csa - 70.0)), (
        "the error to the reference of this run, 70 mm2"
    )
    assert agreement["csa_error_mm2"].iloc[1:].isna().all(), "there is no other reference"
    assert agreement["dice"].tolist()[:3] == [0.9, 0.8, 0.7], "Dice does not depend on the ruler"
    assert judged()
    history.main()
    assert files(lab / "reports/history") == first, (
        "a second run must write the same bytes, so that later stages do not run"
    )


def test_without_measures_of_this_ruler_there_is_no_error(lab: Path) -> None:
    stiffer(lab)
    shutil.rmtree(lab / "reports/measure")
    history.main()
    assert read_csv(lab / f"reports/history/{A[:12]}/agreement.csv")["csa_error_mm2"].isna().all()


def _lose(masks: Path) -> None:
    masks.unlink()


def _whole_masks(masks: Path) -> None:
    with zipfile.ZipFile(masks, "w") as archive:
        archive.writestr("frozen/sub-0/anat/sub-0_T1w_label-SC_seg.nii.gz", b"a whole mask")


@pytest.mark.parametrize(("change", "why"), [(_lose, "holds no masks.zip"), (_whole_masks, "did not keep masks")])
def test_a_prior_without_kept_masks_keeps_its_ruler(
    lab: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Path], None], why: str
) -> None:
    history.main()
    as_measured = files(lab / "reports/history")
    stiffer(lab)
    change(masks_of())
    history.main()
    (prior,) = read_json(lab / "reports/history/priors.json")["priors"]
    assert (prior["ruler"], prior["ruler_was"], prior["remeasured"]) == (ruler(), ruler(), False)
    assert why in prior["other_ruler"]
    assert why in capsys.readouterr().out
    kept = files(lab / "reports/history")
    tables = [f"{A[:12]}/{name}" for name in priors.MEASURES_FILES]
    assert [kept[name] for name in tables] == [as_measured[name] for name in tables]
    assert not judged(), "a prior of another ruler must not judge"


def test_a_mask_that_the_new_ruler_refuses_stops_nothing(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stiffer(lab)

    def refuse(*_: object) -> None:
        raise ImageError("the mask's voxel axes are not perpendicular.")

    monkeypatch.setattr(remeasuring, "measure_volume", refuse)
    history.main()
    (prior,) = read_json(lab / "reports/history/priors.json")["priors"]
    assert prior["other_ruler"] == (
        "the kept binary mask of frozen sub-0 T1w: the mask's voxel axes are not perpendicular."
    )
    assert not judged()


def test_changed_masks_are_refused(lab: Path) -> None:
    stiffer(lab)
    with zipfile.ZipFile(masks_of(), "a") as archive:
        archive.writestr("frozen/more.nii.gz", b"x")
    with pytest.raises(CordriftError, match=r"Version 1 .* masks.zip is not the file that was registered.*register"):
        history.main()
    assert not (lab / f"reports/history/{A[:12]}").exists()


def test_masks_are_not_fetched_when_the_ruler_is_the_same(lab: Path) -> None:
    masks_of().write_bytes(b"no zip")
    history.main()
    assert judged()


def test_priors_come_by_number_not_by_text() -> None:
    numbers = [10, 2, 9, 1]
    versions = [client.RegisteredVersion(n, "run", (), {"digest": f"{n:064d}"}) for n in numbers]
    versions += [
        client.RegisteredVersion(11, "run", (), {"digest": f"{2:064d}"}),
        client.RegisteredVersion(3, "run", (), {}),
    ]
    chosen, foreign = priors.select_priors(versions, f"{99:064d}")
    assert [version.number for version in chosen] == [1, 2, 9, 10]
    assert foreign == 1, "a version that a person made by hand is only counted"
    chosen, _ = priors.select_priors(versions, f"{9:064d}")
    assert [version.number for version in chosen] == [1, 2], "a version that was registered later is not a prior"


def test_offline_asks_nobody(lab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    params(lab, offline=True)
    monkeypatch.setattr(client, "open_store", lambda *_: pytest.fail("MLflow was asked"))
    history.main()
    value = read_json(lab / "reports/history/priors.json")
    assert (value["offline"], value["priors"]) == (True, [])
    assert "nothing can be judged" in capsys.readouterr().out


def test_half_rewritten_prior_is_refused(lab: Path) -> None:
    store = client.open_store(MODEL)
    run = store.client.get_run(store.versions()[0].run_id)
    history.main()
    before = files(lab / "reports/history")
    (Path(run.info.artifact_uri) / "measures/measures.csv").write_text("schema,csa_mm2\n1,99\n")
    with pytest.raises(CordriftError, match=r"measures.csv of version 1 .* is not the file that was registered"):
        history.main()
    assert files(lab / "reports/history") == before


def test_prior_whose_files_are_lost_is_an_error(lab: Path) -> None:
    store = client.open_store(MODEL)
    run = store.client.get_run(store.versions()[0].run_id)
    (Path(run.info.artifact_uri) / "index.json").unlink()
    with pytest.raises(CordriftError, match=r"does not hold the artifact index.json"):
        history.main()


def test_prior_that_is_gone_leaves_no_folder(lab: Path) -> None:
    history.main()
    store = client.open_store(MODEL)
    store.client.delete_model_version(MODEL, "1")
    history.main()
    assert set(files(lab / "reports/history")) == {"priors.json"}
