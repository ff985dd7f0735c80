"""Compare the training data of two models: every case is listed once, and any name of a version finds it."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.store_workspace import MODEL, A, B, C, workspace
from support.training_manifests import key, manifest, row

from stages import diff_data, register
from stages.core.base.errors import BundleError, CordriftError
from stages.core.base.files import read_csv, write_json
from stages.core.model.lineage.difference import Change, composition, difference, difference_table
from stages.core.model.lineage.manifest import TrainedImage, TrainingData, read_training_data


@st.composite
def training_data(draw: st.DrawFn) -> TrainingData:
    """Cases with few names and few contents, so that names and contents are often shared."""
    names = draw(st.lists(st.sampled_from([f"ds_sub-{c}_T1w" for c in "abcdef"]), unique=True))
    image, mask = st.sampled_from("uvwxyz"), st.sampled_from("mn")
    backend = st.sampled_from(["SHA256E", "SHA256", "GIT"])
    cases = {
        name: TrainedImage(
            name, "ds", name.split("_")[1], "", "T1w", key(draw(image), draw(backend)), key(draw(mask)), "", None
        )
        for name in names
    }
    return TrainingData({"ds": ("r1", "a" * 40)}, cases)


@given(training_data())
def test_nothing_differs_from_itself(data: TrainingData) -> None:
    changes = difference(data, data)
    assert {change.kind for change in changes} <= {"unchanged"}
    assert difference_table(changes).empty


@given(training_data(), training_data())
def test_every_case_of_both_is_listed_exactly_once(before: TrainingData, after: TrainingData) -> None:
    changes = difference(before, after)
    assert sorted(change.before.name for change in changes if change.before) == sorted(before.cases)
    assert sorted(change.after.name for change in changes if change.after) == sorted(after.cases)
    for change in changes:
        assert (change.before is None) == (change.kind == "added")
        assert (change.after is None) == (change.kind == "removed")


@given(training_data(), training_data())
def test_the_other_way_round_swaps_added_and_removed(before: TrainingData, after: TrainingData) -> None:
    def told(changes: list[Change], kind: str) -> list[list[str]]:
        return sorted(
            sorted(case.name for case in (change.before, change.after) if case)
            for change in changes
            if change.kind == kind
        )

    there, back = difference(before, after), difference(after, before)
    swapped = {"added": "removed", "removed": "added"}
    for kind in ("added", "removed", "relabelled", "re-imaged", "renamed", "unchanged"):
        assert told(there, kind) == told(back, swapped.get(kind, kind))


@given(training_data(), training_data())
def test_an_image_that_both_have_is_never_only_added(before: TrainingData, after: TrainingData) -> None:
    changes = difference(before, after)
    gone = {change.case.image_key.rpartition("--")[2].split(".")[0] for change in changes if change.kind == "removed"}
    come = {change.case.image_key.rpartition("--")[2].split(".")[0] for change in changes if change.kind == "added"}
    assert not gone & come, "the same image was removed and added: it was renamed"


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A bundle and a later manifest, with one case of every kind."""
    monkeypatch.chdir(tmp_path)
    old = [row("ds_sub-a_T1w", "a", "ma"), row("ds_sub-b_T1w", "b", "mb"), row("ds_sub-c_T1w", "c", "mc")]
    old += [row("ds_sub-d_T1w", "d", "md"), row("ds_sub-e_T1w", "e", "me")]
    new = [row("ds_sub-a_T1w", "a", "ma"), row("ds_sub-b_T1w", "b", "m2"), row("ds_sub-c_T1w", "c2", "mc")]
    new += [row("ds_sub-dd_T1w", "d", "md"), row("ds_sub-f_T2w", "f", "mf", site="s2", pathology="MS")]
    write_json(Path("bundle/training_data.json"), manifest(*old))
    write_json(Path("data/prepare/manifest.json"), manifest(*new, revisions={"ds": "r2"}))
    return Path("bundle"), Path("data/prepare/manifest.json")


def test_each_kind_is_named_and_the_summary_counts(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    diff_data.main([str(two[0]), str(two[1]), "--csv", "out.csv"])
    text = capsys.readouterr().out
    for line in (
        "revision      r1 (111111111111) -> r2 (222222222222)",
        "participants  5\n",
        "contrasts     1 -> 2   (T1w 5 -> 4, T2w 0 -> 1; images)",
        "sites         1 -> 2   (s1 5 -> 4, s2 0 -> 1; images)",
        "pathologies   1 -> 2   (HC 5 -> 4, MS 0 -> 1; images)",
        "added\n  ds_sub-f_T2w",
        "removed\n  ds_sub-e_T1w",
        "relabelled\n  ds_sub-b_T1w",
        "re-imaged\n  ds_sub-c_T1w",
        "renamed\n  ds_sub-d_T1w -> ds_sub-dd_T1w",
    ):
        assert line in text
    assert text.index("revision") < text.index("added\n"), "the summary comes first"
    rows = read_csv(Path("out.csv"), text=("change", "case_before", "case_after")).set_index("change")
    assert set(rows.index) == {"added", "removed", "relabelled", "re-imaged", "renamed"}
    assert rows.loc["removed", "case_after"] == ""
    assert rows.loc["renamed", "case_before"] == "ds_sub-d_T1w"


def test_long_lists_are_cut_and_whole_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [f"ds_sub-{a}{b}_T1w" for a in string.ascii_lowercase[:6] for b in string.ascii_lowercase[:5]]
    write_json(Path("a/manifest.json"), manifest(row("ds_sub-x_T1w", "x", "x")))
    write_json(Path("b/manifest.json"), manifest(*(row(name, name, name) for name in names)))
    diff_data.main(["a", "b", "--csv", "out.csv"])
    text = capsys.readouterr().out
    assert "and 10 more (all of them with --csv)" in text
    assert text.count("ds_sub-a") < 30
    assert len(read_csv(Path("out.csv"))) == 31


def test_old_manifests_lack_some_values(
    two: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A manifest of an earlier cordrift has no pathology and no counts, and nothing is invented for it."""
    old = [row("ds_sub-a_T1w", "a", "ma")]
    for case in old:
        del case["pathology"], case["warnings"]
    value = manifest(*old)
    value["datasets"]["ds"] = {"tag": "r1", "commit": "1" * 40, "n": 1}
    write_json(tmp_path / "old.json", value)
    diff_data.main(["old.json", str(two[1])])
    assert "pathologies   not recorded -> 2" in capsys.readouterr().out
    data = read_training_data(tmp_path / "old.json")
    assert composition(data, "ds") is not None
    assert composition(data, "ds").pathologies is None  # type: ignore[union-attr]
    assert composition(data, "elsewhere") is None


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"cases": ["a"]}, "must hold 'datasets' and 'cases'"),
        ({"datasets": {}, "cases": ["a"]}, "a case has no 'case'"),
        (manifest(row("ds_sub-a_T1w", "a", "m"), row("ds_sub-a_T1w", "b", "m")), "more than once"),
        ({"datasets": {}, "cases": [row("ds_sub-a_T1w", "a", "m")]}, "which is not among its datasets"),
        ({"datasets": {"ds": 3}, "cases": []}, "must say tag and commit"),
    ],
)
def test_an_invalid_manifest_is_refused(value: dict[str, Any], why: str, tmp_path: Path) -> None:
    write_json(tmp_path / "m.json", value)
    with pytest.raises(BundleError, match=why):
        read_training_data(tmp_path / "m.json")


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with three registered versions; the second and the third carry one label."""
    folder = tmp_path_factory.mktemp("store") / "lab"
    with pytest.MonkeyPatch.context() as patch:
        for digest, label, images in ((A, "v1", "ab"), (B, "v2", "abc"), (C, "v2", "c")):
            patch.chdir(workspace(folder, digest, label=label).parent)
            rows = [row(f"ds_sub-{name}_T1w", name, name) for name in images]
            write_json(folder / "data/package/training_data.json", manifest(*rows))
            patch.chdir(folder)
            register.main()
    return folder


@pytest.mark.parametrize("asked", ["1", "v1", "champion", A[:6], A])
def test_a_version_is_found_by_each_of_its_names(
    asked: str, registered: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(registered)
    diff_data.main([asked, "2"])
    text = capsys.readouterr().out
    assert f"before: {MODEL} version 1 (v1, anchor, champion), bundle {A[:12]}" in text
    assert "added\n  ds_sub-c_T1w" in text
    assert "removed\n" not in text


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("v2", r"'v2' means 2 versions: .*version 2 \(v2.*digest b{12}; .*version 3 .*Name one by its digest"),
        ("champio", r"no version 'champio' \(did you mean 'champion'\?\).*version 1.*version 2.*version 3"),
        ("aaa", "no version 'aaa'"),
        ("nowhere/bundle", r"There is no nowhere/bundle \(looked in"),
        ("reports", "neither training_data.json"),
    ],
)
def test_an_unknown_or_ambiguous_version_lists_what_there_is(
    asked: str, why: str, registered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(registered)
    with pytest.raises(CordriftError, match=why):
        diff_data.main([asked, "1"])


def test_another_model_is_named(registered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(registered)
    with pytest.raises(CordriftError, match=f"has no model 'brain'; it has {MODEL}"):
        diff_data.main(["1", "2", "--model", "brain"])


def test_a_question_creates_no_store(two: tuple[Path, Path]) -> None:
    with pytest.raises(CordriftError, match="no MLflow store"):
        diff_data.main(["1", "2", "--model", MODEL])
    assert not Path("mlflow.db").exists(), "a question makes no store"


def test_a_version_without_a_manifest_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace(tmp_path))  # its training_data.json is no manifest
    register.main()
    with pytest.raises(CordriftError, match=r"version 1 .* run \w+, cannot be used: it is not a training manifest"):
        diff_data.main(["1", "1"])
