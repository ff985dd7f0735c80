"""The stage `segment`: the participants of each shard, the result of a bad image, and faults that stop the stage."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.data_factory import SHAPE, checked, entry, fetched, finding, image_path, workspace

from stages import segment
from stages.core.base.errors import CordriftError, SettingsError
from stages.core.base.files import read_json, sha256_of, write_json
from stages.core.data.datasets.manifest import read_manifest
from stages.core.data.datasets.registry import FROZEN, read_frozen
from stages.core.images import volumes
from stages.core.images.volumes import Volume
from stages.core.measures.cohort.measurement import measure_cohort
from stages.core.model.segmentation.found import Found
from stages.core.model.segmentation.predictions import EMPTY_MASK, id_of_case, read_shards, write_lost
from stages.core.model.segmentation.shards import check_shards, deal
from stages.core.tables.monitored import range_csa
from stages.core.tables.resources import read_resources
from stages.core.workspace.runs.params import load_params
from stages.core.workspace.runs.yaml_edit import edit_yaml

REPOSITORY = Path(__file__).parents[2]
#: Every 16th of the frozen 49, from the first, in the order of the SHA-256 of their ids.
GOLDEN_SHARD = ["sub-beijingPrisma02", "sub-fslPrisma04", "sub-oxfordOhba05", "sub-stanford04"]
PEOPLE = {"sub-a1": "a", "sub-a2": "a", "sub-b1": "b"}


class FakePredictor:
    """Call the brightest half cord, and find nothing in images whose first voxel a test set to -1."""

    def __init__(self, *_: object) -> None:
        """Like the real one, made once a shard."""

    def __call__(self, volume: Volume) -> Found:
        soft = np.where(volume.data > 100, 0.9, 0.2).astype(np.float32)
        return Found(soft * 0 if volume.data[0, 0, 0] == -1 else soft)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    frozen = [(sub, "frozen") for sub in PEOPLE]
    workspace(tmp_path, {"frozen": entry("nowhere", "a" * 40, role="test")}, frozen)
    edit_yaml(
        tmp_path / "params.yaml",
        lambda params: params["segment"].update(datasets=["frozen"], contrasts=["T1w", "T2w"], shards=[0]),
    )
    checked(fetched("frozen", PEOPLE, role="test"))
    monkeypatch.setattr(segment, "make_search", FakePredictor)
    monkeypatch.setattr(segment, "read_bundle", lambda _: SimpleNamespace(digest="b" * 64))
    monkeypatch.setattr("sys.argv", ["segment", "--dataset", "frozen", "--shard", "0"])
    return tmp_path


def _rewrite(sub: str, change: object) -> None:
    """Change an image of the clone and its key in the manifest, as if it had been fetched in this form."""
    path = Path("data/clones/frozen") / image_path(sub, "T1w")
    change(path)  # type: ignore[operator]
    value = read_json(Path("data/fetch/frozen.json"))
    for file in value["files"]:
        if file["path"] == image_path(sub, "T1w"):
            file["size"] = path.stat().st_size
            file["key"] = f"SHA256E-s{file['size']}--{sha256_of(path)}.nii.gz"
    write_json(Path("data/fetch/frozen.json"), {key: item for key, item in value.items() if key != "schema"})
    checked(read_manifest(Path("data/fetch/frozen.json")))


def _without_cord(path: Path) -> None:
    data = np.ones(SHAPE, np.float32)
    data[0, 0, 0] = -1
    volumes.write(path, data, np.eye(4))


def test_a_doubt_of_the_localiser_stands_in_the_sidecar_and_flags_the_measures(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Doubtful(FakePredictor):
        def __call__(self, volume: Volume) -> Found:
            return replace(super().__call__(volume), doubt="in 33 % of the slices the mask is empty")

    monkeypatch.setattr(segment, "make_search", Doubtful)
    segment.main()
    [case, *_] = read_json(lab / "reports/segment/frozen/0/manifest.json")["cases"]
    assert case["warnings"] == ["localiser"]
    sidecar = lab / "reports/segment/frozen/0" / case["binary"].replace(".nii.gz", ".json")
    assert json.loads(sidecar.read_text())["Doubt"] == "in 33 % of the slices the mask is empty"


def test_masks_of_other_regions_lie_beside_those_of_the_cord(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Both(FakePredictor):
        def __call__(self, volume: Volume) -> Found:
            found = super().__call__(volume)
            return replace(found, others={"lesion": found.soft / 2})

    monkeypatch.setattr(segment, "make_search", Both)
    segment.main()
    folder = lab / "reports/segment/frozen/0"
    [case, *_] = read_json(folder / "manifest.json")["cases"]
    assert case["lesion_soft"] == case["soft"].replace("label-SC", "label-lesion")
    cord, lesion = (volumes.read(folder / case[kind]).data for kind in ("soft", "lesion_soft"))
    np.testing.assert_allclose(lesion, cord / 2, atol=0.001)
    assert not volumes.read(folder / case["lesion_binary"]).data.any()
    assert len(read_shards(Path("reports/segment"), ["frozen"], [0]).predictions) == 6


def test_what_each_image_took_is_written_beside_the_manifest(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(FakePredictor):
        def __call__(self, volume: Volume) -> Found:
            time.sleep(0.02)
            return replace(super().__call__(volume), share=0.25)

    monkeypatch.setattr(segment, "make_search", Slow)
    _rewrite("sub-a1", _without_cord)
    segment.main()
    took = read_resources([lab / f"reports/segment/frozen/{shard}" for shard in (0, 1)])
    images = list(zip(took["participant"], took["contrast"], strict=True))
    assert ("sub-a1", "T2w") in images
    assert ("sub-a1", "T1w") not in images, "nothing was found in it"
    assert len(images) == 5
    assert took["seconds"].between(0.02, 5).all()
    assert set(took["share_computed"]) == {0.25}
    assert set(zip(took["backend"], took["device"], strict=True)) == {("openvino", "cpu")}
    assert (took["peak_memory_mb"] > 50).all()


def test_masks_lie_on_the_images_own_grid_and_name_their_series(lab: Path) -> None:
    segment.main()
    manifest = read_json(lab / "reports/segment/frozen/0/manifest.json")
    assert [case["status"] for case in manifest["cases"]] == ["ok"] * 6
    case = next(case for case in manifest["cases"] if case["contrast"] == "T1w")
    image = nib.load(lab / "data/clones/frozen" / image_path(case["participant"], "T1w"))
    binary = nib.load(lab / "reports/segment/frozen/0" / case["binary"])
    assert binary.shape == image.shape == SHAPE
    assert np.allclose(binary.affine, image.affine)
    assert np.array_equal(np.asarray(binary.dataobj) > 0, np.asarray(image.dataobj) > 100)
    soft = volumes.read(lab / "reports/segment/frozen/0" / case["soft"])
    assert set(np.unique(soft.data)) == {np.float32(0.2), np.float32(0.9)}
    sidecar = json.loads((lab / "reports/segment/frozen/0" / case["binary"].replace(".nii.gz", ".json")).read_text())
    assert sidecar["bundle"] == "b" * 64
    assert sidecar["inference"] == manifest["inference"]
    assert sidecar["Threshold"] == 0.5
    assert read_shards(lab / "reports/segment", ["frozen"], [0]).bundle == "b" * 64


def _nan(path: Path) -> None:
    volumes.write(path, np.full(SHAPE, np.nan, np.float32), np.eye(4))


def _four(path: Path) -> None:
    volumes.write(path, np.ones((*SHAPE, 2), np.float32), np.eye(4))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


@pytest.mark.parametrize(
    ("spoil", "reason"), [(_nan, "NaN"), (_four, "expected three dimensions"), (_cut, "truncated|cannot be")]
)
def test_one_bad_image_is_one_failure_with_its_reason(lab: Path, spoil: object, reason: str) -> None:
    _rewrite("sub-a1", spoil)
    segment.main()
    cases = read_json(lab / "reports/segment/frozen/0/manifest.json")["cases"]
    failed = [case for case in cases if case["status"] == "failed"]
    assert [(case["participant"], case["contrast"]) for case in failed] == [("sub-a1", "T1w")]
    assert any(word in failed[0]["reason"] for word in reason.split("|"))
    assert failed[0]["binary"] is None


def test_an_error_of_check_stops_that_image_and_a_warning_travels_with_it(lab: Path) -> None:
    found = [finding("sub-a1", "T1w", "mask-empty", "error"), finding("sub-b1", "T2w", "oblique", "warning")]
    checked(read_manifest(lab / "data/fetch/frozen.json"), found)
    segment.main()
    predictions = read_shards(lab / "reports/segment", ["frozen"], [0]).predictions
    stopped = {key[1:] for key, prediction in predictions.items() if prediction.stopped}
    assert stopped == {("sub-a1", "", "T1w")}
    assert predictions["frozen", "sub-a1", "", "T1w"].reason == f"check: {found[0].message}"
    assert {key[1:] for key, one in predictions.items() if one.warnings} == {("sub-b1", "", "T2w")}
    assert predictions["frozen", "sub-b1", "", "T2w"].warnings == ("oblique",)
    assert len(predictions) == 6


def test_a_check_of_other_images_stops_the_shard(lab: Path) -> None:
    manifest = read_manifest(lab / "data/fetch/frozen.json")
    checked(manifest.model_copy(update={"cases": manifest.cases[:-1]}))
    with pytest.raises(CordriftError, match=r"data/check/frozen is about other images.*dvc repro check@frozen"):
        segment.main()


def test_an_empty_prediction_is_a_failure_of_the_model(lab: Path) -> None:
    _rewrite("sub-b1", _without_cord)
    segment.main()
    cases = read_json(lab / "reports/segment/frozen/0/manifest.json")["cases"]
    assert [case["reason"] for case in cases if case["status"] == "failed"] == [EMPTY_MASK]


def _pointer(path: Path) -> None:
    path.write_text("/annex/objects/SHA256E-s1--00.nii.gz\n")


def _edit(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


@pytest.mark.parametrize("spoil", [Path.unlink, _pointer, _edit])
def test_a_clone_that_is_not_as_fetched_stops_the_shard_and_leaves_nothing(lab: Path, spoil: object) -> None:
    """This is not a failure of the model: a shard that contained it would be cached and judged."""
    spoil(lab / "data/clones/frozen" / image_path("sub-a2", "T2w"))  # type: ignore[operator]
    with pytest.raises(CordriftError, match="sub-a2_T2w"):
        segment.main()
    assert not (lab / "reports/segment/frozen/0").exists()


def test_a_shard_without_participants_is_complete_and_empty(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_yaml(lab / "params.yaml", lambda params: params["segment"].update(shards=[0, 1, 2, 3]))
    monkeypatch.setattr("sys.argv", ["segment", "--dataset", "frozen", "--shard", "3"])
    segment.main()
    assert read_json(lab / "reports/segment/frozen/3/manifest.json")["cases"] == []


@given(names=st.lists(st.text("abc0123456789", min_size=1), max_size=60), n=st.integers(1, 16))
def test_every_participant_is_in_one_shard_and_shards_differ_by_one_at_most(names: list[str], n: int) -> None:
    shards = deal(names, n)
    assert sorted(name for shard in shards for name in shard) == sorted(set(names))
    sizes = [len(shard) for shard in shards]
    assert len(sizes) == n
    assert max(sizes) - min(sizes) <= 1
    assert deal(reversed(names), n) == shards, "the order of the manifest has no effect"


def test_the_frozen_49_over_16_shards_are_balanced_and_the_same_on_every_machine() -> None:
    frozen = [row.participant for row in read_frozen(REPOSITORY / FROZEN) if row.dataset == "spine-generic-frozen"]
    assert len(frozen) == 49
    shards = deal(frozen, 16)
    assert sorted(map(len, shards)) == [3] * 15 + [4]
    assert shards[0] == GOLDEN_SHARD


def test_a_shard_that_was_not_delivered_is_named_and_its_cases_are_not_failures(lab: Path) -> None:
    edit_yaml(lab / "params.yaml", lambda params: params["segment"].update(shards=[0, 1]))
    segment.main()
    manifest = read_manifest(lab / "data/fetch/frozen.json")
    gone = [case for case in manifest.case_list() if case.participant in deal(PEOPLE, 2)[1]]
    series = {key: read_json(lab / "reports/segment/frozen/0/manifest.json")[key] for key in ("bundle", "inference")}
    write_lost(lab / "reports/segment/frozen/1", gone, series, "its job failed")
    found = read_shards(lab / "reports/segment", ["frozen"], [0, 1])
    assert found.lost == {"frozen/1": "its job failed"}
    assert {key for key, one in found.predictions.items() if one.lost} == {id_of_case(case) for case in gone}
    measured = measure_cohort([manifest], found, ["T1w", "T2w"], load_params().measure, lab / "data/clones")
    assert measured.failed == 0
    rows = measured.measures[measured.measures["source"] == "prediction"]
    lost = rows[rows["flags"] == "lost"]
    assert set(lost["participant"]) == {case.participant for case in gone}
    assert lost["csa_mm2"].isna().all()
    assert not range_csa(measured.measures, "prediction", "C2-C3")["failed"].any()
    assert set(measured.agreement.loc[measured.agreement["flags"] == "lost", "participant"]) == set(lost["participant"])


@pytest.mark.parametrize("shards", [[], [1], [0, 2], [0, 0]])
def test_a_list_of_shards_with_a_gap_is_refused(shards: list[int]) -> None:
    with pytest.raises(SettingsError, match="must be 0 to n - 1"):
        check_shards(shards)


def test_a_case_in_two_shards_and_a_mask_that_is_gone_are_told(tmp_path: Path) -> None:
    entry = {"dataset": "d", "participant": "sub-1", "session": "", "contrast": "T1w", "warnings": []}
    entry |= {"status": "ok", "reason": "", "binary": "m.nii.gz", "soft": None}
    for shard in (0, 1):
        value = {"bundle": "b" * 64, "inference": "i" * 64, "cases": [entry]}
        write_json(tmp_path / f"d/{shard}/manifest.json", value)
    with pytest.raises(CordriftError, match=r"0/m.nii.gz is missing, but the shard's manifest names it"):
        read_shards(tmp_path, ["d"], [0, 1])
    for shard in (0, 1):
        (tmp_path / f"d/{shard}/m.nii.gz").touch()
    with pytest.raises(CordriftError, match="case d sub-1 T1w is in two shards"):
        read_shards(tmp_path, ["d"], [0, 1])
