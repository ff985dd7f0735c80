"""prepare: what may be trained on, leaks, the split, and the volumes that nnU-Net gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.data_factory import (
    AFFINE,
    SHAPE,
    checked,
    entry,
    fetched,
    finding,
    image_path,
    make_dataset,
    mask_path,
    workspace,
    write_registry,
)

from stages import fetch, prepare
from stages.core.base.errors import CordriftError, DatasetError, ImageError, SettingsError
from stages.core.base.files import read_json, sha256_of, write_json
from stages.core.data.datasets.findings import Checked, read_checked
from stages.core.data.datasets.keys import content_digest
from stages.core.data.datasets.manifest import CLONES, SYNTHETIC, Case, read_manifest
from stages.core.data.datasets.registry import PERSONS, Frozen
from stages.core.data.trainset.cases import TrainingImage, check_leak, choose_images, make_folds
from stages.core.data.trainset.folds import validation_sets
from stages.core.data.trainset.raw import RawImage, write_case
from stages.core.images.volumes import write

pytestmark = pytest.mark.slow

OUT = Path("data/prepare")
PEOPLE = {"sub-a1": "a", "sub-a2": "a", "sub-a3": "a", "sub-b1": "b", "sub-b2": "b"}


def rehash(name: str) -> None:
    """Take over whatever lies in the clone, so that an altered volume passes as fetched."""
    path = Path("data/fetch") / f"{name}.json"
    value = read_json(path)
    for file in value["files"]:
        there = CLONES / name / file["path"]
        file["size"] = there.stat().st_size
        file["key"] = f"SHA256E-s{file['size']}--{sha256_of(there)}.nii.gz"
    write_json(path, value)
    checked(read_manifest(path))


def persons(*rows: tuple[str, str, str]) -> None:
    """Write the table of persons: person, dataset, participant."""
    text = "".join(f"1,{','.join(row)}\n" for row in rows)
    PERSONS.write_text("schema,person,dataset,participant\n" + text)


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A workspace with ``ds`` (five to train on) and ``ds-frozen``; call it to write params with changes."""
    monkeypatch.chdir(tmp_path)

    def configure(**changes: Any) -> None:
        datasets = {"ds": entry("ds", "a" * 40), "ds-frozen": entry("ds", "a" * 40, role="test")}
        workspace(tmp_path, datasets, [("sub-f1", "ds-frozen")], prepare=changes)

    configure()
    checked(fetched("ds", PEOPLE))
    checked(fetched("ds-frozen", {"sub-f1": "a"}, role="test"))
    return configure


# ---- the whole stage


def test_from_annex_to_nnunet_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commit = make_dataset(tmp_path / "ds", PEOPLE | {"sub-f1": "a"})
    datasets = {"ds": entry("ds", commit), "frozen": entry("ds", commit, role="test")}
    workspace(tmp_path, datasets, [("sub-f1", "frozen")])
    for name in datasets:
        fetch.main(["--dataset", name])
        checked(read_manifest(Path("data/fetch") / f"{name}.json"))
    prepare.main()
    manifest = read_json(OUT / "manifest.json")
    names = [row["case"] for row in manifest["cases"]]
    assert names == sorted(f"ds_{sub}_{c}" for sub in PEOPLE for c in ("T1w", "T2w"))
    counts = {"participants": 5, "images": 10, "contrasts": {"T1w": 5, "T2w": 5}, "sites": {"a": 6, "b": 4}}
    assert manifest["datasets"] == {
        "ds": {"url": "ds", "commit": commit, "tag": "r1", "pathologies": {"HC": 10}, **counts}
    }
    assert {row["pathology"] for row in manifest["cases"]} == {"HC"}
    assert [(row["participant"], row["reason"]) for row in manifest["left_out"]] == [
        ("sub-f1", "frozen test set (frozen)")
    ]
    assert sorted(p.name for p in (OUT / "raw/imagesTr").iterdir()) == [f"{name}_0000.nii.gz" for name in names]
    assert sorted(p.name for p in (OUT / "raw/labelsTr").iterdir()) == [f"{name}.nii.gz" for name in names]
    assert json.loads((OUT / "raw/dataset.json").read_text()) == {
        "channel_names": {"0": "mri"},
        "labels": {"background": 0, "cord": 1},
        "numTraining": 10,
        "file_ending": ".nii.gz",
    }
    image = nib.load(OUT / "raw/imagesTr/ds_sub-a1_T1w_0000.nii.gz")
    original = nib.load(tmp_path / "ds" / image_path("sub-a1", "T1w"))
    assert image.get_data_dtype() == np.float32
    np.testing.assert_array_equal(image.get_fdata(), original.get_fdata())
    # A participant withdrawn from the dataset is gone after fetch and prepare, volumes included.
    write_registry(
        tmp_path, {"ds": datasets["ds"] | {"exclude": {"sub-a1": "withdrawn"}}, "frozen": datasets["frozen"]}
    )
    fetch.main(["--dataset", "ds"])
    checked(read_manifest(Path("data/fetch/ds.json")))
    prepare.main()
    assert not list(OUT.rglob("*sub-a1*"))
    assert "ds_sub-a1" not in json.dumps(read_json(OUT / "manifest.json")["folds"])


def test_same_input_same_bytes(demo: Callable[..., None]) -> None:
    prepare.main()
    first = {path: path.read_bytes() for path in OUT.rglob("*") if path.is_file()}
    prepare.main()
    assert {path: path.read_bytes() for path in OUT.rglob("*") if path.is_file()} == first


def test_manifest_of_a_removed_dataset_is_ignored(
    demo: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    fetched("old", {"sub-old1": "x", "sub-old2": "x"}, seed=5)
    prepare.main()
    assert "1 manifests of other datasets ignored" in capsys.readouterr().out
    assert "sub-old" not in (OUT / "manifest.json").read_text()


def test_contrasts_limit_and_misspelt_ones_stop(demo: Callable[..., None]) -> None:
    demo(contrasts=["T1w"])
    prepare.main()
    manifest = read_json(OUT / "manifest.json")
    assert {row["contrast"] for row in manifest["cases"]} == {"T1w"}
    assert {row["reason"] for row in manifest["left_out"]} == {"contrast not in prepare.contrasts"}
    demo(contrasts=["T1W"])
    with pytest.raises(SettingsError, match=r"names 'T1W' \(did you mean 'T1w'\?\)"):
        prepare.main()


def test_digest_follows_content_and_split_only(demo: Callable[..., None]) -> None:
    def digest(**changes: Any) -> str:
        demo(**changes)
        prepare.main()
        return str(read_json(OUT / "manifest.json")["digest"])

    first = digest()
    value = read_json(Path("data/fetch/ds.json"))
    write_json(Path("data/fetch/ds.json"), value | {"commit": "b" * 40, "tag": "r2"})
    assert digest() == first
    assert digest(folds=3) != first
    assert digest(contrasts=["T1w"]) != first
    write(CLONES / "ds" / image_path("sub-a1", "T1w"), np.ones(SHAPE, np.float32), AFFINE)
    rehash("ds")
    assert digest() != first


# ---- frozen participants never train


def test_frozen_participant_is_left_out_whatever_its_dataset(demo: Callable[..., None]) -> None:
    checked(fetched("ds", PEOPLE | {"sub-f1": "a"}, seed=3))  # other images under the frozen name
    prepare.main()
    manifest = read_json(OUT / "manifest.json")
    assert "sub-f1" not in {row["participant"] for row in manifest["cases"]}
    assert [row["reason"] for row in manifest["left_out"]] == ["frozen test set (ds-frozen)"] * 2


@pytest.mark.parametrize("kind", [image_path, mask_path])
def test_frozen_content_under_another_name_is_a_leak(demo: Callable[..., None], kind: Callable[..., str]) -> None:
    theirs = CLONES / "ds-frozen" / kind("sub-f1", "T1w")
    (CLONES / "ds" / kind("sub-b2", "T2w")).write_bytes(theirs.read_bytes())
    rehash("ds")
    with pytest.raises(
        DatasetError, match=r"leak: .*sub-b2_T2w.* of participant sub-b2 in .*'ds' is.*sub-f1.*'ds-frozen'"
    ):
        prepare.main()
    assert not OUT.exists()


def test_leak_is_seen_through_another_hash(demo: Callable[..., None]) -> None:
    frozen = fetched("ds-frozen", {"sub-f1": "a"}, role="test")
    path = image_path("sub-f1", "T1w")
    leaked = CLONES / "ds" / image_path("sub-a1", "T1w")
    leaked.write_bytes((CLONES / "ds-frozen" / path).read_bytes())
    rehash("ds")
    md5 = f"MD5E-s{leaked.stat().st_size}--{content_digest(leaked, 'md5')}.nii.gz"
    files = [file.model_dump() | ({"key": md5} if file.path == path else {}) for file in frozen.files]
    write_json(Path("data/fetch/ds-frozen.json"), frozen.model_dump() | {"files": files})
    checked(read_manifest(Path("data/fetch/ds-frozen.json")))
    with pytest.raises(DatasetError, match="leak"):
        prepare.main()


def test_leak_is_seen_through_another_compression(demo: Callable[..., None]) -> None:
    """The bytes and so the key differ; the voxels, as check has seen them, do not."""
    mine, theirs = image_path("sub-a1", "T1w"), image_path("sub-f1", "T1w")
    checked(read_manifest(Path("data/fetch/ds.json")), voxels={mine: "v" * 64})
    checked(read_manifest(Path("data/fetch/ds-frozen.json")), voxels={theirs: "v" * 64})
    with pytest.raises(DatasetError, match=r"leak: .*sub-a1_T1w.* is voxel for voxel .*sub-f1_T1w.*'ds-frozen'"):
        prepare.main()
    checked(read_manifest(Path("data/fetch/ds-frozen.json")), voxels={theirs: ""})
    checked(read_manifest(Path("data/fetch/ds.json")), voxels={mine: ""})  # unreadable images are no twins
    prepare.main()


def test_a_person_under_two_ids_is_a_leak_when_one_is_frozen(demo: Callable[..., None]) -> None:
    persons(("ann", "ds", "sub-b1"), ("ann", "ds-frozen", "sub-f1"), ("bob", "ds", "sub-a1"))
    with pytest.raises(
        DatasetError,
        match=r"leak: sub-b1 of training dataset 'ds' is, by data/persons\.csv, the same person as sub-f1",
    ):
        prepare.main()
    assert not OUT.exists()


def test_a_person_under_two_ids_is_in_one_fold(demo: Callable[..., None]) -> None:
    demo(folds=4)
    prepare.main()
    apart = read_json(OUT / "manifest.json")["folds"]
    persons(("ann", "ds", "sub-a1"), ("ann", "ds", "sub-b2"))
    prepare.main()
    together = read_json(OUT / "manifest.json")["folds"]

    def fold_of(folds: list[dict[str, list[str]]], sub: str) -> int:
        return next(k for k, fold in enumerate(folds) if f"ds_{sub}_T1w" in fold["val"])

    assert fold_of(together, "sub-a1") == fold_of(together, "sub-b2")
    assert fold_of(apart, "sub-a1") != fold_of(apart, "sub-b2"), "else this shows nothing"


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([("ann", "ds", "sub-a1"), ("bob", "ds", "sub-a1")], r"lists sub-a1 of ds as 'ann' and as 'bob'"),
        ([("", "ds", "sub-a1")], "a row with an empty cell"),
    ],
)
def test_a_faulty_table_of_persons(demo: Callable[..., None], rows: list[tuple[str, str, str]], sentence: str) -> None:
    persons(*rows)
    with pytest.raises(CordriftError, match=sentence):
        prepare.main()


def test_an_error_of_check_excludes_a_case_and_a_warning_stays_with_it(demo: Callable[..., None]) -> None:
    found = [finding("sub-a1", "T1w", "mask-empty", "error"), finding("sub-b1", "T2w", "oblique", "warning")]
    checked(read_manifest(Path("data/fetch/ds.json")), found)
    prepare.main()
    manifest = read_json(OUT / "manifest.json")
    assert "ds_sub-a1_T1w" not in {row["case"] for row in manifest["cases"]}
    left = {(row["participant"], row["contrast"]): row["reason"] for row in manifest["left_out"]}
    assert left == {("sub-a1", "T1w"): f"check: {found[0].message}"}
    assert {row["case"]: row["warnings"] for row in manifest["cases"] if row["warnings"]} == {
        "ds_sub-b1_T2w": ["oblique"]
    }


def test_one_image_under_two_participants_is_refused(demo: Callable[..., None]) -> None:
    image = (CLONES / "ds" / image_path("sub-a1", "T1w")).read_bytes()
    (CLONES / "ds" / image_path("sub-b1", "T1w")).write_bytes(image)
    rehash("ds")
    with pytest.raises(DatasetError, match=r"the same image lies in the training data as .*sub-a1.* and .*sub-b1"):
        prepare.main()


def test_roles_are_kept(demo: Callable[..., None]) -> None:
    demo(datasets=["ds", "ds-frozen"])
    with pytest.raises(SettingsError, match=r"prepare\.datasets names 'ds-frozen', whose role in the registry is test"):
        prepare.main()


# ---- bad volumes: a sentence, and nothing is written


def damage(path: str, how: str) -> None:
    file = CLONES / "ds" / path
    data = np.asarray(nib.load(file).dataobj).copy()
    if how == "truncated":
        file.write_bytes(file.read_bytes()[:-200])
    elif how == "nan":
        data[0, 0, 0] = np.nan
        write(file, data, AFFINE)
    elif how == "4-D":
        write(file, np.stack([data, data], axis=-1), AFFINE)
    elif how == "shifted":
        write(file, data, AFFINE + np.array([[0, 0, 0, 1.0], [0] * 4, [0] * 4, [0] * 4]))
    elif how == "empty":
        write(file, np.zeros(SHAPE, np.uint8), AFFINE)
    elif how == "discs":
        write(file, data * 5, AFFINE)


@pytest.mark.parametrize(
    ("kind", "how", "sentence"),
    [
        (image_path, "truncated", "is truncated or damaged"),
        (image_path, "nan", "holds 1 values that are NaN or infinite"),
        (image_path, "4-D", r"expected three dimensions"),
        (image_path, "shifted", "must lie on one grid, but a corner lies 1 mm apart"),
        (mask_path, "empty", r"is empty: no voxel reaches 0\.5"),
        (mask_path, "discs", "is no mask: expected values from 0 to 1, found up to 5"),
    ],
)
def test_a_bad_volume_stops_prepare_and_nothing_is_written(
    demo: Callable[..., None], kind: Callable[..., str], how: str, sentence: str
) -> None:
    damage(kind("sub-b1", "T2w"), how)
    rehash("ds")
    with pytest.raises(ImageError, match=sentence) as caught:
        prepare.main()
    assert "sub-b1_T2w" in str(caught.value)
    assert [path.name for path in Path("data").iterdir() if "prepare" in path.name] == []


def test_edit_after_fetch_stops(demo: Callable[..., None]) -> None:
    damage(mask_path("sub-b1", "T2w"), "discs")
    with pytest.raises(CordriftError, match=r"sub-b1_T2w.* was (truncated or )?edited"):
        prepare.main()
    assert not OUT.exists()


def test_volumes_become_canonical_and_masks_binary(tmp_path: Path) -> None:
    """An image stored left-posterior-inferior comes out right-anterior-superior, its mask with it."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=SHAPE).astype(np.float32)
    soft = rng.uniform(0, 0.4, SHAPE).astype(np.float32)
    soft[2, 3, 1], soft[5, 5, 5] = 0.5, 0.49
    flipped = np.diag([-1.0, -1.0, -2.0, 1.0])
    flipped[:3, 3] = [SHAPE[0] - 1, SHAPE[1] - 1, 2 * (SHAPE[2] - 1)]
    write(tmp_path / "image.nii.gz", data, flipped)
    write(tmp_path / "mask.nii.gz", soft, flipped)
    assert write_case(tmp_path / "raw", RawImage("x", tmp_path / "image.nii.gz", tmp_path / "mask.nii.gz")) == 1
    image = nib.load(tmp_path / "raw/imagesTr/x_0000.nii.gz")
    label = nib.load(tmp_path / "raw/labelsTr/x.nii.gz")
    np.testing.assert_array_equal(image.affine, AFFINE)
    np.testing.assert_array_equal(image.get_fdata(dtype=np.float32), data[::-1, ::-1, ::-1])
    assert label.get_data_dtype() == np.uint8
    assert np.argwhere(np.asarray(label.dataobj)).tolist() == [[SHAPE[0] - 3, SHAPE[1] - 4, SHAPE[2] - 2]]


# ---- the split

SITES = st.dictionaries(
    st.integers(1, 40).map(lambda n: f"sub-{'abc'[n % 3]}{n}"), st.sampled_from("abc"), min_size=5, max_size=25
)


@given(sites=SITES, folds=st.integers(2, 5), seed=st.integers(0, 99))
def test_every_participant_validates_exactly_once(sites: dict[str, str], folds: int, seed: int) -> None:
    parts = validation_sets(sites, folds=folds, seed=seed)
    assert len(parts) == folds
    assert all(parts)
    assert sorted(sub for part in parts for sub in part) == sorted(sites)
    assert parts == validation_sets(dict(reversed(sites.items())), folds=folds, seed=seed)


@given(sites=SITES, seed=st.integers(0, 99))
def test_single_split_has_both_parts(sites: dict[str, str], seed: int) -> None:
    (held_out,) = validation_sets(sites, folds=1, seed=seed)
    assert 0 < len(held_out) < len(sites)


@given(sizes=st.tuples(st.integers(5, 17), st.integers(5, 17)), folds=st.integers(2, 5), seed=st.integers(0, 99))
def test_sites_are_spread_evenly_and_growth_moves_nobody(sizes: tuple[int, int], folds: int, seed: int) -> None:
    sites = {f"sub-{site}{n}": site for site, size in zip("ab", sizes, strict=True) for n in range(1, size + 1)}
    parts = validation_sets(sites, folds=folds, seed=seed)
    for site in "ab":
        counts = [sum(sites[sub] == site for sub in part) for part in parts]
        assert max(counts) - min(counts) <= 1
    grown = sites | {f"sub-a{sizes[0] + 1}": "a", "sub-c1": "c"}
    for before, after in zip(parts, validation_sets(grown, folds=folds, seed=seed), strict=True):
        assert after & set(sites) == before


def test_seed_decides_the_split() -> None:
    sites = {f"sub-a{n}": "a" for n in range(20)}
    assert len({str(sorted(validation_sets(sites, folds=1, seed=seed)[0])) for seed in range(5)}) > 1
    assert len(validation_sets(sites, folds=1, seed=0)[0]) == 4


def test_too_few_participants() -> None:
    with pytest.raises(SettingsError, match="3 participants cannot be split into 5 folds"):
        validation_sets(dict.fromkeys(("sub-1", "sub-2", "sub-3"), ""), folds=5, seed=0)
    with pytest.raises(SettingsError, match="1 participants cannot be split into 1 fold:"):
        validation_sets({"sub-1": ""}, folds=1, seed=0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(folds=st.integers(1, 4), seed=st.integers(0, 99))
def test_folds_hold_whole_participants_and_synthetic_only_trains(folds: int, seed: int) -> None:
    """sub-a1 has measured and synthetic images in two datasets, sub-s1 and sub-s2 synthetic ones only."""
    have = dict.fromkeys(PEOPLE, ("T1w", "T2w")) | {"sub-s1": (SYNTHETIC,), "sub-s2": (SYNTHETIC,)}
    have["sub-a1"] = ("T1w", "T2w", SYNTHETIC)
    cases = [
        case(dataset, sub, contrast)
        for sub, contrasts in have.items()
        for contrast in contrasts
        for dataset in (("x", "y") if sub == "sub-a1" else ("x",))
    ]
    parts = make_folds(cases, {}, folds=folds, seed=seed)
    measured = {c.name for c in cases if c.case.contrast != SYNTHETIC}
    who = {c.name: c.case.participant for c in cases}
    for part in parts:
        assert not {who[name] for name in part["train"]} & {who[name] for name in part["val"]}
        assert set(part["val"]) <= measured
        assert measured <= set(part["train"]) | set(part["val"])
        assert {name for name in who if who[name].startswith("sub-s")} <= set(part["train"])
    if folds > 1:
        assert sorted(name for part in parts for name in part["val"]) == sorted(measured)


def case(dataset: str, sub: str, contrast: str) -> TrainingImage:
    value = {
        "dataset": dataset,
        "participant": sub,
        "session": "",
        "contrast": contrast,
        "image": image_path(sub, contrast),
    }
    whole = Case(**value, mask=mask_path(sub, contrast), softmask=None, discs=None)
    return TrainingImage(whole, mask_path(sub, contrast), "", "", site=PEOPLE.get(sub, ""))


def test_choosing_cases_without_masks_and_without_test_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    manifest = fetched("ds", {"sub-a1": "a"})
    bare = manifest.model_copy(update={"cases": [c.model_copy(update={"mask": None}) for c in manifest.cases[:1]]})
    with pytest.raises(DatasetError, match="nothing is left to train on; 1 cases were left out"):
        choose_images([bare], {"ds": Checked("ds", [], {})}, [], None)
    checked(manifest)
    found = {"ds": read_checked(Path("data/check/ds"), manifest)}
    cases, left_out = choose_images([manifest], found, [Frozen("sub-zz", "other")], None)
    assert (len(cases), left_out) == (2, [])
    check_leak(cases, [], {})
