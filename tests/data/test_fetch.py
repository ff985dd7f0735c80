"""fetch: what the registry selects from a commit, on lists of paths and end to end on a tiny annex dataset."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from support.cases import fetch_case
from support.data_factory import ROOT, SHARED, entry, image_path, make_dataset, mask_path, workspace, write_registry

from stages import fetch, pin
from stages.core.base.errors import CordriftError, DatasetError, SettingsError
from stages.core.base.params import validate
from stages.core.data.clones import annex
from stages.core.data.datasets.manifest import (
    Case,
    ManifestRow,
    case_name,
    frozen_digest,
    locate,
    read_manifest,
)
from stages.core.data.datasets.people import participants
from stages.core.data.datasets.registry import REGISTRY, Dataset, Frozen, load_registry, read_frozen
from stages.core.data.datasets.selection import Selection, select

COMMIT = "a" * 40


def tree(*people: str, contrasts: tuple[str, ...] = ("T1w", "T2w")) -> list[str]:
    return [path(sub, c) for sub in people for c in contrasts for path in (image_path, mask_path)]


def choose(paths: list[str], frozen: list[Frozen], role: str = "train", **changes: object) -> Selection:
    dataset: Dataset = validate(Dataset, entry("ds", COMMIT, role=role) | changes, "test")
    return select("ds", dataset, frozen, paths)


def why(selection: Selection) -> dict[tuple[str, str], str]:
    return {(row.participant, row.contrast): row.reason for row in selection.excluded}


def test_train_takes_all_but_the_frozen_of_any_dataset() -> None:
    paths = tree("sub-a1", "sub-a2", "sub-f1", "sub-f2")
    chosen = choose(paths, [Frozen("sub-f1", "ds"), Frozen("sub-f2", "another")])
    assert {case.participant for case in chosen.cases} == {"sub-a1", "sub-a2"}
    assert chosen.files == sorted(tree("sub-a1", "sub-a2"))
    assert why(chosen) == {
        ("sub-f1", ""): "frozen test set (ds)",
        ("sub-f2", ""): "frozen test set (another)",
    }


def test_a_frozen_participant_whom_the_dataset_does_not_know_is_an_error() -> None:
    frozen = [Frozen("sub-b1", "ds"), Frozen("sub-b3", "ds")]
    with pytest.raises(SettingsError, match=r"frozen.csv lists sub-b3 of dataset 'ds', .*did you mean 'sub-b[12]'"):
        choose(tree("sub-b1", "sub-b2"), frozen, "test")
    assert choose(tree("sub-b1", "sub-b2"), frozen, "test", withdrawn={"sub-b3": "letter"}).cases


def test_test_takes_its_own_frozen_and_needs_no_mask() -> None:
    paths = [p for p in tree("sub-a1", "sub-f1", "sub-f2") if p != mask_path("sub-f1", "T2w")]
    paths.remove(image_path("sub-f2", "T1w"))
    chosen = choose(paths, [Frozen("sub-f1", "ds"), Frozen("sub-f2", "ds")], "test")
    cases = {(case.participant, case.contrast): case.mask for case in chosen.cases}
    assert cases == {
        ("sub-f1", "T1w"): mask_path("sub-f1", "T1w"),
        ("sub-f1", "T2w"): None,
        ("sub-f2", "T2w"): mask_path("sub-f2", "T2w"),
    }
    assert why(chosen) == {("sub-f2", "T1w"): "missing contrast"}


def test_train_lists_missing_images_and_masks() -> None:
    paths = tree("sub-a1", "sub-a2")
    paths.remove(image_path("sub-a1", "T1w"))
    paths.remove(mask_path("sub-a2", "T2w"))
    chosen = choose(paths, [])
    assert [(case.participant, case.contrast) for case in chosen.cases] == [("sub-a1", "T2w"), ("sub-a2", "T1w")]
    assert why(chosen) == {("sub-a1", "T1w"): "missing contrast", ("sub-a2", "T2w"): "missing mask"}


def test_participants_need_no_synthetic_volumes_and_synthetic_ones_no_other() -> None:
    contrasts = entry("ds", COMMIT, contrasts=("T1w", "synth"))["contrasts"]
    paths = tree("sub-a1", contrasts=("T1w",)) + tree("sub-s1", contrasts=("synth",))
    chosen = choose(paths, [], contrasts=contrasts)
    assert [(case.participant, case.contrast) for case in chosen.cases] == [("sub-a1", "T1w"), ("sub-s1", "synth")]
    assert chosen.excluded == []


def test_exclusions_by_participant_and_site() -> None:
    chosen = choose(tree("sub-a1", "sub-b1", "sub-b2", "sub-c1"), [], exclude={"sub-b*": "site", "sub-c1": "motion"})
    assert {case.participant for case in chosen.cases} == {"sub-a1"}
    assert why(chosen) == {("sub-b1", ""): "site", ("sub-b2", ""): "site", ("sub-c1", ""): "motion"}
    with pytest.raises(SettingsError, match=r"excludes 'sub-a3', but has no such participant \(did you mean"):
        choose(tree("sub-a1", "sub-a2"), [], exclude={"sub-a3": "motion"})


@pytest.mark.parametrize("role", ["train", "test"])
def test_withdrawn_participants_are_left_out_and_may_be_absent(role: str) -> None:
    frozen = [Frozen("sub-b1", "ds"), Frozen("sub-b2", "ds")] if role == "test" else []
    gone = {"sub-b1": "by letter", "sub-gone": "long ago"}
    chosen = choose(tree("sub-b1", "sub-b2"), frozen, role, withdrawn=gone, exclude={"sub-b1": "motion"})
    assert {case.participant for case in chosen.cases} == {"sub-b2"}
    assert not [path for path in chosen.files if "sub-b1" in path]
    assert why(chosen) == {("sub-b1", ""): "withdrawn: by letter"}


def test_pattern_that_matches_nothing_is_an_error_unless_optional() -> None:
    contrasts = entry("ds", COMMIT)["contrasts"]
    wrong = contrasts | {"T2w": contrasts["T2w"] | {"mask": "{sub}/mask/{sub}.nii.gz"}}
    with pytest.raises(SettingsError, match=r"contrast 'T2w': the mask pattern .* matches none of the 4 files"):
        choose(tree("sub-a1"), [], contrasts=wrong)
    extra = contrasts | {"DWI": {"image": image_path("{sub}", "dwi")}}
    with pytest.raises(SettingsError, match="contrast 'DWI': the image pattern"):
        choose(tree("sub-a1"), [], contrasts=extra)
    optional = contrasts | {"DWI": {"image": image_path("{sub}", "dwi"), "optional": True}}
    chosen = choose(tree("sub-a1"), [], contrasts=optional)
    assert (len(chosen.cases), chosen.excluded) == (2, [])


def test_nothing_to_fetch_is_an_error() -> None:
    with pytest.raises(SettingsError, match="nothing is left to fetch; 1 left out: 1 frozen test set"):
        choose(tree("sub-a1"), [Frozen("sub-a1", "x")])
    with pytest.raises(CordriftError, match=r"lists no participant of it \(did you mean 'dss'\?\)"):
        choose(tree("sub-a1"), [Frozen("sub-a1", "dss")], "test")


def everyone(paths: list[str]) -> set[str]:
    return {path.split("/")[0] for path in paths if path.startswith("sub-")}


def sessions(*names: str) -> list[str]:
    """Paths of a T2w and its mask: ``sub-1`` without a session, ``sub-1/ses-2`` with one."""
    found = []
    for name in names:
        sub, _, session = name.partition("/")
        end = f"{sub}_{session}" if session else sub
        found += [f"{name}/anat/{end}_T2w.nii.gz", f"derivatives/labels/{name}/anat/{end}_T2w_seg.nii.gz"]
    return found


WITH_SESSIONS = {
    "T2w": {
        "image": "{sub}/{ses}/anat/{sub}_{ses}_T2w.nii.gz",
        "mask": "derivatives/labels/{sub}/{ses}/anat/{sub}_{ses}_T2w_seg.nii.gz",
    }
}
WITHOUT_SESSIONS = {
    "T2w": {"image": "{sub}/anat/{sub}_T2w.nii.gz", "mask": "derivatives/labels/{sub}/anat/{sub}_T2w_seg.nii.gz"}
}


def test_sessions_are_cases_of_their_own_and_may_be_absent() -> None:
    paths = sessions("sub-1/ses-01", "sub-1/ses-02", "sub-2/ses-02", "sub-3")
    paths.remove("derivatives/labels/sub-1/ses-02/anat/sub-1_ses-02_T2w_seg.nii.gz")
    chosen = choose(paths, [], contrasts=WITH_SESSIONS)
    assert [(case.participant, case.session, case.image) for case in chosen.cases] == [
        ("sub-1", "ses-01", "sub-1/ses-01/anat/sub-1_ses-01_T2w.nii.gz"),
        ("sub-2", "ses-02", "sub-2/ses-02/anat/sub-2_ses-02_T2w.nii.gz"),
        ("sub-3", "", "sub-3/anat/sub-3_T2w.nii.gz"),
    ]
    (left,) = chosen.excluded
    assert (left.participant, left.session, left.contrast, left.reason) == ("sub-1", "ses-02", "T2w", "missing mask")


def test_all_sessions_of_a_frozen_person_are_on_the_test_side() -> None:
    paths = sessions("sub-1/ses-01", "sub-1/ses-02", "sub-2/ses-01")
    frozen = [Frozen("sub-1", "ds")]
    test = choose(paths, frozen, "test", contrasts=WITH_SESSIONS)
    train = choose(paths, frozen, contrasts=WITH_SESSIONS)
    assert [case.session for case in test.cases] == ["ses-01", "ses-02"]
    assert {case.participant for case in train.cases} == {"sub-2"}


@pytest.mark.parametrize(
    ("more", "row"),
    [
        pytest.param(
            sessions("sub-2/ses-01"), ("sub-2", "", "no image matches a pattern of the registry"), id="only a session"
        ),
        pytest.param(
            ["sub-2/anat/sub-2_run-1_T2w.nii.gz"],
            ("sub-2", "", "no image matches a pattern of the registry"),
            id="only a run",
        ),
        pytest.param(
            ["sub-1/anat/sub-1_run-2_T2w.nii.gz"],
            ("sub-1", "T2w", "no pattern names this file: sub-1/anat/sub-1_run-2_T2w.nii.gz"),
            id="a second run",
        ),
        pytest.param(
            ["sub-1/ses-02/anat/sub-1_ses-02_T2w.nii.gz"],
            ("sub-1", "T2w", "no pattern names this file: sub-1/ses-02/anat/sub-1_ses-02_T2w.nii.gz"),
            id="a session of one who has none as well",
        ),
        pytest.param(
            ["sub-1/anat/sub-1_chunk-1_T2w.nii.gz"],
            ("sub-1", "T2w", "no pattern names this file: sub-1/anat/sub-1_chunk-1_T2w.nii.gz"),
            id="a chunk",
        ),
        pytest.param(
            ["sub-1/anat/sub-1_part-phase_T2w.nii.gz"],
            ("sub-1", "T2w", "no pattern names this file: sub-1/anat/sub-1_part-phase_T2w.nii.gz"),
            id="a part of a complex image",
        ),
        pytest.param(
            ["sub-ab-1/anat/sub-ab-1_T2w.nii.gz"],
            ("sub-ab-1", "", "its id has characters other than letters and digits, which BIDS does not allow"),
            id="an id with a hyphen",
        ),
    ],
)
def test_what_no_pattern_matches_is_listed(more: list[str], row: tuple[str, str, str]) -> None:
    chosen = choose([*sessions("sub-1"), *more], [], contrasts=WITHOUT_SESSIONS)
    assert [case.participant for case in chosen.cases] == ["sub-1"]
    assert [(left.participant, left.contrast, left.reason) for left in chosen.excluded] == [row]


def test_other_contrasts_of_the_same_suffix_are_not_listed() -> None:
    paths = [*sessions("sub-1"), "sub-1/anat/sub-1_acq-sag_T2w.nii.gz", "sub-1/anat/sub-1_T1w.nii.gz"]
    assert choose(paths, [], contrasts=WITHOUT_SESSIONS).excluded == []


def test_a_case_with_and_without_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = fetch_case("sessions-dropped", tmp_path, monkeypatch, "{ses}/anat/{sub}_{ses}_T2w")
    assert len(manifest.cases) == 4
    assert len({case.participant for case in manifest.cases}) == 3
    assert "fetch ds: 4 images, 0 left out" in capsys.readouterr().out


def test_sessions_that_no_pattern_names_are_counted_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(fetch_case("sessions-dropped", tmp_path, monkeypatch).cases) == 1
    assert "no pattern names this file" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["spine-generic", "spine-generic-frozen"])
def test_selection_on_the_real_datasets_paths(name: str) -> None:
    listing = SHARED / "spine-generic/tree-r20250314.txt.gz"
    if not listing.is_file():
        pytest.skip(f"{listing} is not here: the paths of the real dataset are given material, not part of the project")
    with gzip.open(listing, "rt") as stream:
        paths = stream.read().splitlines()
    frozen = read_frozen(ROOT / "data/frozen.csv")
    chosen = select(name, load_registry(ROOT / "data/datasets.yaml").datasets[name], frozen, paths)
    people = {case.participant for case in chosen.cases}
    held = {row.participant for row in frozen if row.dataset == "spine-generic-frozen"}
    assert set(chosen.files) <= set(paths)
    names, table = (case.participant for case in chosen.cases), (listing.parent / "participants.tsv").read_text()
    rows = {row.participant: row for row in participants(names, table)}
    assert set(rows) == people
    assert all(row.site and row.manufacturer and row.sex in {"M", "F"} and row.pathology for row in rows.values())
    told = [line.split("\t") for line in (listing.parent / "participants.tsv").read_text().splitlines()]
    ages = {line[0]: line[told[0].index("age")].replace("n/a", "") for line in told[1:]}
    assert {sub: row.age for sub, row in rows.items()} == {sub: ages[sub] for sub in people}
    if name == "spine-generic":
        assert not people & held
        reasons = why(chosen)
        assert sum(reason.startswith("frozen test set") for reason in reasons.values()) == 49
        bare = {sub for (sub, _), reason in reasons.items() if reason == "missing mask"} - people
        excluded = {sub for (sub, contrast), reason in reasons.items() if not contrast and "frozen" not in reason}
        without = {sub for sub in everyone(paths) if not any(f"labels_softseg_bin/{sub}/" in path for path in paths)}
        assert len(without) == 24
        assert without == bare | (excluded & without), "each of the 24 has its reason"
        assert not {sub for sub in people if sub.startswith("sub-beijingVerio")}
        assert people >= {"sub-balgrist01", "sub-mniS06", "sub-pavia04", "sub-perform06"}, "the published model's too"
        assert len(people) == 194
    else:
        assert people == held
        assert len(chosen.cases) == 49 * 6
        assert all(case.mask and case.softmask and case.discs for case in chosen.cases)
        assert chosen.excluded == []


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("published") / "ds"
    return path, make_dataset(path, {"sub-a1": "a", "sub-a2": "a", "sub-f1": "b"})


@pytest.fixture
def registry(
    published: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, dict[str, object]]:
    """A workspace with the dataset as a training entry ``ds`` and as a test entry ``ds-frozen``."""
    url, commit = str(published[0]), published[1]
    datasets = {"ds": entry(url, commit), "ds-frozen": entry(url, commit, role="test")}
    workspace(tmp_path, datasets, [("sub-f1", "ds-frozen")])
    monkeypatch.chdir(tmp_path)
    return datasets


def test_fetch_end_to_end(registry: dict[str, dict[str, object]], published: tuple[Path, str]) -> None:
    fetch.main(["--dataset", "ds"])
    out = Path("data/fetch/ds.json")
    manifest = read_manifest(out)
    assert [case_name(case) for case in manifest.case_list()] == [
        "ds_sub-a1_T1w",
        "ds_sub-a1_T2w",
        "ds_sub-a2_T1w",
        "ds_sub-a2_T2w",
    ]
    assert manifest.commit == published[1]
    assert {row.participant: row.site for row in manifest.participants} == {"sub-a1": "a", "sub-a2": "a"}
    assert manifest.participants[0].manufacturer == ""  # "n/a" in the table
    assert [row.participant for row in manifest.excluded] == ["sub-f1"]
    for file in manifest.files:
        assert locate(manifest, file.path).stat().st_size == file.size
    fetched = Path("data/clones/ds") / image_path("sub-f1", "T1w")
    assert fetched.read_bytes().startswith(b"/annex/objects/")  # the frozen images never came
    first = out.read_bytes()
    assert str(Path.cwd()).encode() not in first
    fetch.main(["--dataset", "ds"])
    assert out.read_bytes() == first


def test_locate_names_pointer_truncated_and_edited_files(registry: dict[str, dict[str, object]]) -> None:
    fetch.main(["--dataset", "ds-frozen"])
    manifest = read_manifest(Path("data/fetch/ds-frozen.json"))
    assert [case.participant for case in manifest.case_list()] == ["sub-f1", "sub-f1"]
    image = image_path("sub-f1", "T1w")
    again = "`.*python -m stages.fetch --dataset ds-frozen`"
    file = locate(manifest, image)
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DatasetError, match=f"was edited.*{again}"):
        locate(manifest, image)
    os.truncate(file, 200)
    with pytest.raises(DatasetError, match=f"truncated or edited.*{again}"):
        locate(manifest, image)
    file.unlink()
    with pytest.raises(DatasetError, match=f"does not exist.*{again}"):
        locate(manifest, image)
    file.write_text(f"/annex/objects/{manifest.keys[image]}\n")
    with pytest.raises(DatasetError, match=f"is a git-annex pointer file.*{again}"):
        locate(manifest, image)
    fetch.main(["--dataset", "ds-frozen"])  # the advice
    assert locate(manifest, image).read_bytes() == content
    with pytest.raises(DatasetError, match="not among the files fetched"):
        locate(manifest, image_path("sub-a1", "T1w"))
    annex.remove(Path("data/clones/ds-frozen"))
    with pytest.raises(DatasetError, match=f"ds-frozen is missing.*{again}"):
        locate(manifest, image)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"url": "nowhere"}, "nowhere does not exist"),
        ({"commit": "b" * 40}, "no longer points to the pinned commit"),
        ({"commit": None}, "has no commit yet"),
        ({"tag": "r9"}, "has no tag 'r9'"),
        ({"licens": "x"}, "did you mean 'licence'"),
        ({"contrasts": {"T1w": {"image": "{sub}/anat/{sub}_T3w.nii.gz"}}}, "matches none of the"),
    ],
)
def test_a_fetch_that_fails_leaves_no_manifest(
    registry: dict[str, dict[str, object]], changes: dict[str, object], sentence: str
) -> None:
    write_registry(Path(), registry | {"ds": registry["ds"] | changes})
    stale = Path("data/fetch/ds.json")
    if "licens" not in changes:  # a registry that cannot be read says nothing about any dataset
        stale.parent.mkdir()
        stale.write_text("an earlier manifest")
    with pytest.raises(CordriftError, match=sentence):
        fetch.main(["--dataset", "ds"])
    assert not stale.exists()


def test_dataset_that_is_not_registered(registry: dict[str, dict[str, object]]) -> None:
    with pytest.raises(CordriftError, match=r"no dataset 'dss' \(did you mean 'ds'\?\)"):
        fetch.main(["--dataset", "dss"])


def test_growth_and_removal_reach_the_manifest(
    registry: dict[str, dict[str, object]], published: tuple[Path, str]
) -> None:
    fetch.main(["--dataset", "ds"])
    registry["ds"]["exclude"] = {"sub-a2": "withdrew consent"}
    write_registry(Path(), registry)
    fetch.main(["--dataset", "ds"])
    manifest = read_manifest(Path("data/fetch/ds.json"))
    assert {case.participant for case in manifest.cases} == {"sub-a1"}
    assert not [file.path for file in manifest.files if "sub-a2" in file.path]
    assert {row.participant for row in manifest.participants} == {"sub-a1"}


def test_frozen_digest_follows_content_not_order(registry: dict[str, dict[str, object]]) -> None:
    fetch.main(["--dataset", "ds-frozen"])
    path = Path("data/fetch/ds-frozen.json")
    manifest = read_manifest(path)
    value = json.loads(path.read_text())
    value["cases"].reverse()
    value["files"].reverse()
    path.write_text(json.dumps(value | {"commit": "b" * 40, "tag": "r5"}))
    assert frozen_digest([read_manifest(path)]) == frozen_digest([manifest])
    other = manifest.model_copy(update={"dataset": "another"})
    assert frozen_digest([manifest, other]) == frozen_digest([other, manifest]) != frozen_digest([manifest])
    changed = [file | {"key": file["key"].replace("SHA256E-s", "SHA256E-s1")} for file in value["files"]]
    path.write_text(json.dumps(value | {"files": changed}))
    assert frozen_digest([read_manifest(path)]) != frozen_digest([manifest])
    path.write_text(json.dumps(value | {"files": []}))
    with pytest.raises(DatasetError, match=r"has a case with .* which is not among its files; run `dvc repro fetch@"):
        read_manifest(path)


def test_a_case_is_a_manifest_row_with_its_dataset_first() -> None:
    """The order of the fields is the order of keys in the files that list cases."""
    assert list(Case.model_fields) == ["dataset", *ManifestRow.model_fields]


def test_pin_asks_the_dataset_where_its_tag_points(
    registry: dict[str, dict[str, object]], published: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    write_registry(Path(), registry | {"ds": registry["ds"] | {"commit": None}})
    pin.main(["ds"])
    assert load_registry(REGISTRY).datasets["ds"].commit == published[1]
    assert "(before: none)" in capsys.readouterr().out
    before = Path("data/datasets.yaml").read_bytes()
    with pytest.raises(CordriftError, match="has no tag 'r9'"):
        pin.main(["ds", "--tag", "r9"])
    assert Path("data/datasets.yaml").read_bytes() == before
