"""Kept masks are restored bit for bit and measured like the originals; a zip that was changed is refused."""

from __future__ import annotations

import gzip
import hashlib
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nibabel.orientations import aff2axcodes
from scipy.spatial.transform import Rotation
from support.cords import CONTRASTS, Workspace, cord, discs_at
from support.rendering import binarised

from stages.core.base.errors import BundleError, ImageError
from stages.core.base.files import SCHEMA, digest_of, read_json, write_json
from stages.core.data.datasets.manifest import read_manifest
from stages.core.images.volumes import Volume, read, write
from stages.core.measures.cohort.measurement import measure_cohort
from stages.core.measures.kept_masks import reader, zips
from stages.core.measures.kept_masks.layout import KEPT_INDEX, KeptEntry, KeptIndex, KeptMask, discs_of, keep, restore
from stages.core.measures.kept_masks.reader import KeptZip, read_kept
from stages.core.measures.kept_masks.remeasurement import Ruler, remeasure, with_new_errors
from stages.core.measures.kept_masks.writer import keep_masks
from stages.core.measures.morphometry.ruler import ruler_id
from stages.core.measures.morphometry.settings import Measure
from stages.core.measures.morphometry.table import measure_volume
from stages.core.model.segmentation.predictions import read_shards
from stages.core.store.run_content import Artifact
from stages.core.tables.columns import MEASURES_COLUMNS

SHA = "0" * 64
PARAMS = Measure(levels=[2, 3], coverage=0.5, stiffness_mm=5.0)
#: Any value that a mask may hold, with the smallest and the negative zero.
VALUES = st.sampled_from([0.0, -0.0, 1.0, 0.5, 1e-45, 0.1, float(np.float32(1) - np.float32(2**-24))])


@st.composite
def volumes(draw: st.DrawFn, values: st.SearchStrategy[float] = VALUES) -> Volume:
    """Draw a volume of mostly zeros with an oblique anisotropic affine, whose axes need not be canonical."""
    shape = draw(st.tuples(*[st.integers(1, 7)] * 3))
    data = draw(arrays(np.float32, shape, elements=values, fill=st.just(0.0)))
    turn = Rotation.from_euler("xyz", draw(st.tuples(*[st.floats(-180, 180)] * 3)), degrees=True).as_matrix()
    spacing = draw(st.tuples(*[st.floats(0.2, 6.0)] * 3))
    flips = draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
    affine = np.eye(4)
    affine[:3, :3] = turn * spacing * flips
    affine[:3, 3] = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    return Volume(np.ascontiguousarray(data), affine)


def kept_form(volume: Volume, folder: Path, name: str = "a/mask.nii.gz") -> tuple[KeptMask, bytes]:
    mask = keep(volume, folder / name, name, SHA)
    # a reader gets the entry through JSON
    return KeptMask.model_validate(json.loads(json.dumps(mask.model_dump(mode="json")))), (folder / name).read_bytes()


@settings(max_examples=150)
@given(volume=volumes() | volumes(st.sampled_from([0.0, 1.0])))
def test_a_kept_mask_is_restored_bit_for_bit(volume: Volume, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("kept")
    mask, content = kept_form(volume, folder)
    back = restore(mask, content)
    assert back.data.dtype == np.float32
    assert back.data.flags["C_CONTIGUOUS"]
    assert back.data.shape == volume.data.shape
    assert back.data.tobytes() == volume.data.tobytes()
    assert back.affine.tobytes() == volume.affine.tobytes()
    again, same = kept_form(volume, folder)
    assert (again, same) == (mask, content), "the same mask, the same bytes"
    viewed = nib.load(folder / mask.file)
    world = volume.affine @ [*mask.offset, 1.0]
    assert np.allclose(viewed.affine @ [0, 0, 0, 1], world, atol=1e-3), "a viewer shows it in its place"
    where = np.argwhere(volume.data != 0)
    if len(where) and not np.signbit(volume.data).any():
        assert mask.offset == tuple(where.min(axis=0))
        assert tuple(np.add(mask.offset, mask.box)) == tuple(where.max(axis=0) + 1), "the box is as small as possible"


def test_an_empty_mask_is_kept_too(tmp_path: Path) -> None:
    mask, content = kept_form(Volume(np.zeros((4, 5, 6), dtype=np.float32), np.eye(4)), tmp_path)
    assert (mask.shape, mask.box) == ((4, 5, 6), (1, 1, 1))
    assert not restore(mask, content).data.any()


@pytest.mark.parametrize("axes", ["RAS", "LPI", "SAR"])
@pytest.mark.parametrize("kind", ["binary", "soft"])
def test_a_restored_mask_measures_like_the_original(tmp_path: Path, axes: str, kind: str) -> None:
    """The original is read from any storage order, and discs are kept as voxel indices."""
    made = cord((0.7, 0.9, 3.0), 21, tilt_ap=12.0, tilt_rl=5.0, sub=5, sub_z=3)
    made = binarised(made) if kind == "binary" else made
    stored = nib.Nifti1Image(np.pad(made.data, ((9, 3), (2, 14), (0, 0))), made.affine)
    to = nib.orientations.axcodes2ornt(axes)
    nib.save(
        stored.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(made.affine), to)), tmp_path / "m.nii"
    )
    original = read(tmp_path / "m.nii")
    assert "".join(aff2axcodes(nib.load(tmp_path / "m.nii").affine)) == axes
    discs = discs_at(original, {2: 18, 3: 11, 4: 3})
    where = [(float(discs.data[i, j, k]), i, j, k) for i, j, k in np.argwhere(discs.data).tolist()]
    identity = {"dataset": "d", "participant": "p", "session": "", "contrast": "T1w", "reason": "", "warnings": []}
    mask, content = kept_form(original, tmp_path)
    case = KeptEntry.model_validate({**identity, "masks": {"soft": mask.model_dump()}, "discs": where})
    restored = restore(mask, content)
    table = measure_volume(restored, discs_of(case, restored), PARAMS)
    assert table["csa_mm2"].notna().sum() > 20, "there is something to compare"
    pd.testing.assert_frame_equal(table, measure_volume(original, discs, PARAMS), check_exact=True)


# --- a whole segmented set


@pytest.fixture(scope="module")
def segmented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two participants; one prediction is empty, one was stopped by check, one carries a warning."""
    root = tmp_path_factory.mktemp("segmented")
    made = Workspace(root, ("sub-a", "sub-b"))
    made.segment("b" * 64, 0.1, failed=[("sub-a", "T2w"), ("sub-b", "DWI")])
    path = root / "reports/segment/set/1/manifest.json"
    record = read_json(path)
    for entry in record["cases"]:
        if entry["contrast"] == "DWI":
            entry["reason"] = "check: the mask lies on another grid."
        if entry["contrast"] == "T1w":
            entry["warnings"] = ["oblique"]
    write_json(path, record)
    return root


def kept_set(root: Path, folder: Path) -> tuple[Artifact, KeptZip]:
    members = keep_masks(
        [read_manifest(root / "data/fetch/set.json")],
        read_shards(root / "reports/segment", ["set"], [0, 1]),
        list(CONTRASTS),
        folder / "kept",
        root / "data/clones",
    )
    artifact = Artifact("masks.zip", members=tuple(members))
    kept = read_kept(artifact.file(folder), artifact.digest())
    assert kept is not None
    return artifact, kept


def direct(root: Path, params: Measure) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what the stage `measure` makes of the same masks: rows of predictions, and agreement."""
    measured = measure_cohort(
        [read_manifest(root / "data/fetch/set.json")],
        read_shards(root / "reports/segment", ["set"], [0, 1]),
        list(CONTRASTS),
        params,
        root / "data/clones",
    )
    rows = measured.measures[measured.measures["source"] == "prediction"]
    return rows.reset_index(drop=True), measured.agreement


def ruler_of(params: Measure, **more: Any) -> Ruler:
    return Ruler(params, ruler_id(params), more.get("frozen", ""), more.get("references", {}))


@pytest.mark.parametrize("stiffness_mm", [5.0, 40.0])
def test_a_kept_set_measures_like_the_stage(segmented: Path, tmp_path: Path, stiffness_mm: float) -> None:
    params = PARAMS.model_copy(update={"stiffness_mm": stiffness_mm})
    _, kept = kept_set(segmented, tmp_path)
    again = remeasure(kept, ruler_of(params))
    expected, _ = direct(segmented, params)
    assert list(again.columns) == list(MEASURES_COLUMNS)
    pd.testing.assert_frame_equal(again, expected, check_exact=True)
    ranges = again[again["scope"] == "range"].set_index(["participant", "contrast", "kind"])
    for case in (("sub-a", "T2w"), ("sub-b", "DWI")):
        assert ranges.loc[case]["flags"].tolist() == ["failed", "failed"]
        assert ranges.loc[case]["csa_mm2"].isna().all(), "a failed case stays failed"
    assert "check:oblique" in ranges.loc["sub-b", "T1w", "binary"]["flags"]


def test_the_stiffness_changes_the_numbers(segmented: Path) -> None:
    """Otherwise the test above could not distinguish two rulers."""
    soft, stiff = (direct(segmented, PARAMS.model_copy(update={"stiffness_mm": s}))[0] for s in (0.5, 40.0))
    assert not np.allclose(soft["csa_mm2"], stiff["csa_mm2"], rtol=1e-9, equal_nan=True)


def test_the_error_is_of_one_ruler_or_undefined(segmented: Path, tmp_path: Path) -> None:
    params = PARAMS.model_copy(update={"stiffness_mm": 40.0})
    _, kept = kept_set(segmented, tmp_path)
    measures = remeasure(kept, ruler_of(params))
    _, old = direct(segmented, PARAMS)
    _, new = direct(segmented, params)
    key = ["dataset", "participant", "session", "contrast"]
    predicted = measures[(measures["scope"] == "range") & (measures["kind"] == "binary")].set_index(key)["csa_mm2"]
    # The stage's error and the sign of a prediction that was grown give the reference.
    references = dict(predicted - new.set_index(key)["csa_error_mm2"])
    known = with_new_errors(old, measures, "f", ruler_of(params, frozen="f", references=references))
    pd.testing.assert_frame_equal(known.drop(columns="csa_error_mm2"), old.drop(columns="csa_error_mm2"))
    assert known["csa_error_mm2"].tolist() == pytest.approx(new["csa_error_mm2"].tolist(), abs=1e-9, nan_ok=True)
    assert known["csa_error_mm2"].notna().sum() == 10
    other = with_new_errors(old, measures, "g", ruler_of(params, frozen="f", references=references))
    assert other["csa_error_mm2"].isna().all(), "the references belong to another frozen set"


def test_a_kept_mask_is_small(segmented: Path, tmp_path: Path) -> None:
    _, kept = kept_set(segmented, tmp_path)
    assert max(map(len, kept.files.values())) < 20_000
    assert len(kept.files) == 2 * (12 - 2)


# --- hostile zips


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Members of a zip of one case with one mask."""
    folder = tmp_path_factory.mktemp("good")
    data = np.zeros((8, 9, 10), dtype=np.float32)
    data[2:5, 3:6, 4:9] = 0.5
    mask, content = kept_form(Volume(data, np.eye(4)), folder, "d/one.nii.gz")
    case = KeptEntry(
        dataset="d",
        participant="p",
        session="",
        contrast="T1w",
        reason="",
        warnings=[],
        masks={"soft": mask},
        discs=None,
    )
    write_json(folder / KEPT_INDEX, KeptIndex(bundle="b", inference="i", cases=[case]).model_dump(mode="json"))
    return {"d/one.nii.gz": content, KEPT_INDEX: (folder / KEPT_INDEX).read_bytes()}


Members = dict[str, bytes]
Change = Callable[[zipfile.ZipInfo], None]


def zipped(path: Path, members: Members, change: Change | None = None) -> str:
    """Write a zip and return the digest that an attacker would put into the index of the run."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name)
            if change:
                change(entry)
            archive.writestr(entry, content, compress_type=entry.compress_type)
    return digest_of({name: hashlib.sha256(content).hexdigest() for name, content in members.items()})


def edited(members: Members, edit: Callable[[dict[str, Any]], None]) -> Members:
    value = json.loads(members[KEPT_INDEX])
    edit(value)
    return {**members, KEPT_INDEX: json.dumps(value).encode()}


def test_a_good_zip_is_read(good: Members, tmp_path: Path) -> None:
    kept = read_kept(tmp_path / "m.zip", zipped(tmp_path / "m.zip", good))
    assert kept is not None
    assert kept.files == {"d/one.nii.gz": good["d/one.nii.gz"]}


def test_a_zip_without_an_index_is_recognised(tmp_path: Path) -> None:
    assert read_kept(tmp_path / "m.zip", zipped(tmp_path / "m.zip", {"d/one.nii.gz": b"x"})) is None


def as_link(entry: zipfile.ZipInfo) -> None:
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16


def as_packed(entry: zipfile.ZipInfo) -> None:
    entry.compress_type = zipfile.ZIP_DEFLATED


@pytest.mark.parametrize(
    ("change", "sentence"), [(as_link, "is a link or folder"), (as_packed, "a packed or encrypted")]
)
def test_members_are_plain_files(good: Members, tmp_path: Path, change: Change, sentence: str) -> None:
    with pytest.raises(BundleError, match=sentence):
        read_kept(tmp_path / "m.zip", zipped(tmp_path / "m.zip", good, change))


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/etc/out", "C:/out"])
def test_names_stay_inside(good: Members, tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="leads out of the zip"):
        read_kept(tmp_path / "m.zip", zipped(tmp_path / "m.zip", {**good, name: b""}))


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [("MOST_MEMBERS", "has 2 members"), ("MOST_BYTES", "at most 1 are read"), ("MOST_INDEX_BYTES", "kept.json in")],
)
def test_sizes_are_limited(
    good: Members, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, sentence: str
) -> None:
    monkeypatch.setattr(zips if limit == "MOST_MEMBERS" else reader, limit, 1)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("read before its size was checked"))
    with pytest.raises(BundleError, match=sentence):
        read_kept(tmp_path / "m.zip", zipped(tmp_path / "m.zip", good))


def test_a_zip_that_was_changed_is_refused(good: Members, tmp_path: Path) -> None:
    digest = zipped(tmp_path / "m.zip", good)
    zipped(tmp_path / "m.zip", {**good, "d/one.nii.gz": b"other"})
    with pytest.raises(BundleError, match="not the file that was registered"):
        read_kept(tmp_path / "m.zip", digest)
    for broken in (b"no zip", (tmp_path / "m.zip").read_bytes()[:-30]):
        (tmp_path / "m.zip").write_bytes(broken)
        with pytest.raises(BundleError, match=r"masks.zip cannot be read as a zip"):
            read_kept(tmp_path / "m.zip", digest)


def test_a_damaged_member_is_refused(good: Members, tmp_path: Path) -> None:
    digest = zipped(tmp_path / "m.zip", good)
    raw = bytearray((tmp_path / "m.zip").read_bytes())
    raw[60] ^= 0xFF
    (tmp_path / "m.zip").write_bytes(raw)
    with pytest.raises(BundleError, match=r"masks.zip cannot be read as a zip: Bad CRC-32"):
        read_kept(tmp_path / "m.zip", digest)


def twice(value: dict[str, Any]) -> None:
    value["cases"] *= 2


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda v: v.update(schema=SCHEMA + 1), f"has the schema {SCHEMA + 1}"),
        (lambda v: v.update(run="rm"), "unknown key 'run'"),
        (lambda v: v["cases"][0]["masks"]["soft"].update(shape=[0, 1, 1]), "shape.0' is 0"),
        (lambda v: v["cases"][0]["masks"]["soft"].update(offset=[-1, 0, 0]), "offset.0' is -1"),
        (lambda v: v["cases"][0]["masks"]["soft"]["affine"][0].__setitem__(0, float("nan")), "affine.0.0' is nan"),
        (lambda v: v["cases"][0]["masks"]["soft"].update(file="d/two.nii.gz"), "expected the same files"),
        (twice, "expected the same files"),
    ],
)
def test_an_invalid_index_is_refused(
    good: Members, tmp_path: Path, edit: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    with pytest.raises(BundleError, match=sentence):
        read_kept(tmp_path / "m.zip", zipped(tmp_path / "m.zip", edited(good, edit)))


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"[" * 100_000])
def test_an_index_that_is_not_json_is_refused(good: Members, tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BundleError, match=r"kept.json in masks.zip"):
        read_kept(tmp_path / "m.zip", zipped(tmp_path / "m.zip", {**good, KEPT_INDEX: content}))


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"shape": (32767, 32767, 32767)}, "no mask has over"),
        ({"offset": (6, 3, 4)}, "which leaves its volume"),
        ({"affine": ((0.0,) * 4,) * 4}, "an affine that does not describe a grid"),
        (
            {"affine": ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 1.0, 1.0))},
            "does not describe a grid",
        ),
        ({"box": (3, 3, 4)}, "holds float32 of the shape"),
    ],
)
def test_an_entry_of_an_impossible_volume_is_refused(good: Members, entry: dict[str, Any], sentence: str) -> None:
    mask = (
        KeptIndex.model_validate({k: v for k, v in json.loads(good[KEPT_INDEX]).items() if k != "schema"})
        .cases[0]
        .masks["soft"]
    )
    with pytest.raises(ImageError, match=sentence):
        restore(mask.model_copy(update=entry), good["d/one.nii.gz"])


def test_a_file_that_does_not_fit_its_entry_is_refused(good: Members, tmp_path: Path) -> None:
    mask = (
        KeptIndex.model_validate({k: v for k, v in json.loads(good[KEPT_INDEX]).items() if k != "schema"})
        .cases[0]
        .masks["soft"]
    )
    write(tmp_path / "wide.nii.gz", np.zeros(mask.box, dtype=np.float64), np.eye(4))
    raw = gzip.decompress(good["d/one.nii.gz"])
    bad = {
        "unpacks to more than": gzip.compress(raw + bytes(10_000_000)),
        "holds float64": (tmp_path / "wide.nii.gz").read_bytes(),
        "cannot be read as a kept mask": gzip.compress(raw[:-4]),
        r"cannot be read as a kept mask: Not a gzipped": raw,
        r"cannot be read as a kept mask: \S": gzip.compress(b"x" * 400),
    }
    for sentence, content in bad.items():
        with pytest.raises(ImageError, match=sentence):
            restore(mask, content)


def test_a_label_outside_the_volume_is_refused() -> None:
    case = KeptEntry(
        dataset="d", participant="p", session="", contrast="c", reason="", warnings=[], masks={}, discs=[(2.0, 0, 0, 5)]
    )
    with pytest.raises(ImageError, match=r"a disc label at \(0, 0, 5\), outside its volume of \(5, 5, 5\)"):
        discs_of(case, Volume(np.zeros((5, 5, 5), dtype=np.float32), np.eye(4)))


def test_kept_masks_without_a_case_are_not_measured_again() -> None:
    index = KeptIndex.model_construct(bundle="b" * 64, cases=[])
    with pytest.raises(BundleError, match=r"masks.zip holds no case"):
        remeasure(KeptZip(index, {}), ruler_of(PARAMS))
