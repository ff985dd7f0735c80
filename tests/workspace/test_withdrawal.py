"""A withdrawn participant is excluded for good, removed from the workspace, and found in every remaining copy."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from support.data_factory import (
    ROOT,
    checked,
    entry,
    fetched,
    fill,
    image_path,
    mask_path,
    write_registry,
)
from support.data_factory import workspace as data_workspace
from support.store_workspace import A, B, C
from support.store_workspace import workspace as store_workspace
from support.training_manifests import key, manifest, row
from support.withdrawal import commands_with, contents_of, git_env, holds, section, shell

from stages import history, register, withdraw
from stages.core.base.errors import CordriftError
from stages.core.base.files import read_json, write_json
from stages.core.data.clones import annex
from stages.core.data.clones.lock import clone_lock
from stages.core.data.datasets.manifest import CLONES, read_manifest
from stages.core.data.datasets.registry import REGISTRY, load_registry
from stages.core.model.lineage.manifest import content
from stages.core.store.recorded_versions import open_recorded_versions
from stages.core.workspace.withdrawal.clones import remove_participants
from stages.core.workspace.withdrawal.exclusion import exclude
from stages.core.workspace.withdrawal.identity import Identity
from stages.core.workspace.withdrawal.traces import traces_in_store

pytestmark = pytest.mark.slow

PEOPLE = {"sub-a1": "s1", "sub-a2": "s1", "sub-a3": "s2", "sub-f1": "s1", "sub-f2": "s2"}
FROZEN = [("sub-f1", "frozen"), ("sub-f2", "frozen")]


# --- whether a text contains an id


def identity(*ids: tuple[str, str], registered: tuple[str, ...] = ("ds", "frozen", "other")) -> Identity:
    return Identity(frozenset(ids), frozenset(registered), frozenset())


@given(st.from_regex(r"[A-Za-z0-9]{1,4}", fullmatch=True), st.from_regex(r"[A-Za-z0-9]{1,4}", fullmatch=True))
def test_an_id_is_never_found_in_a_longer_one(one: str, more: str) -> None:
    me = identity(("ds", f"sub-{one}"))
    assert me.in_text(f"a/sub-{one}/x_sub-{one}_T1w")
    assert not me.in_text(f"a/sub-{one}{more}/x_sub-{one}{more}_T1w")
    assert not me.in_text(f"a/sub-{more}{one}") or more == ""


def test_the_same_id_in_another_dataset_is_somebody_else() -> None:
    me = identity(("ds", "sub-1"))
    assert me.has("ds", "sub-1")
    assert not me.has("other", "sub-1")
    assert me.has("a dataset that the registry has no more", "sub-1")
    assert me.in_path("reports/segment/ds/0/ds/sub-1/anat/sub-1_T1w.nii.gz")
    assert not me.in_path("reports/segment/other/0/other/sub-1/anat/sub-1_T1w.nii.gz")
    assert not me.in_path("raw/imagesTr/other_sub-1_T1w_0000.nii.gz")


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.csv", "schema,dataset,participant\n1,ds,sub-1\n", True),
        ("a.csv", "schema,dataset,participant\n1,other,sub-1\n", False),
        ("a.csv", "schema,participant\n1,sub-1\n", True),
        ("a.json", '{"dataset": "ds", "cases": [{"participant": "sub-1"}]}', True),
        ("a.json", '{"dataset": "other", "cases": [{"participant": "sub-1"}]}', False),
        ("a.json", '{"dataset": "ds", "excluded": [{"participant": "sub-1"}]}', False),
        ("a.json", '{"folds": [{"train": ["ds_sub-1_T1w"]}]}', True),
        ("a.json", '{"folds": [{"train": ["ds_sub-12_T1w"]}]}', False),
        ("a.html", "<p>sub-1 is thin", True),
    ],
)
def test_tables_and_json_are_read_by_what_they_say(name: str, text: str, found: bool, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert identity(("ds", "sub-1")).in_file(tmp_path / name) is found


# --- the registry


@settings(max_examples=8)
@given(st.lists(st.sampled_from(sorted(load_registry(ROOT / REGISTRY).datasets)), min_size=1, max_size=3))
def test_nothing_of_the_registry_is_lost_but_a_line_is_added(names: list[str]) -> None:
    """The test uses the registry of the repository, which has comments and anchors."""
    original = (ROOT / REGISTRY).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "datasets.yaml"
        path.write_text(original, encoding="utf-8")
        for number, name in enumerate(names):
            assert exclude(path, [(name, f"sub-x{number}")], f"reason: #{number}") == [(name, f"sub-x{number}")]
        text = path.read_text(encoding="utf-8")
    left = iter(text.splitlines())
    assert all(line in left for line in original.splitlines()), "every line must stay, in its order"
    before, after = yaml.safe_load(original), yaml.safe_load(text)
    for number, name in reversed(list(enumerate(names))):
        assert after["datasets"][name]["withdrawn"].pop(f"sub-x{number}") == f"reason: #{number}"
    for value in after["datasets"].values():
        assert not value.pop("withdrawn", {})
    assert before == after
    commented = re.compile(r"\n +(# .*)\n( +\S+:)")
    assert set(commented.findall(original)) <= set(commented.findall(text)), (
        "a comment must stay above the line that it explains"
    )


def test_a_comment_behind_the_last_line_stays_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "data/datasets.yaml"
    path.parent.mkdir()
    write_registry(tmp_path, {"ds": entry("x", None), "more": entry("y", None)})
    text = path.read_text()
    text = text.replace("  more:", "    withdrawn:\n      sub-1: first  # in 2024\n\n  # The other one.\n  more:")
    path.write_text(text)
    exclude(path, [("ds", "sub-2"), ("more", "sub-2")], "second")
    assert "sub-1: first  # in 2024\n\n  # The other one.\n  more:" in path.read_text()
    assert load_registry(path).datasets["ds"].withdrawn == {"sub-1": "first", "sub-2": "second"}
    before = path.read_bytes()
    assert exclude(path, [("ds", "sub-2")], "another reason") == []
    assert path.read_bytes() == before


# --- clones


@pytest.mark.parametrize("locked", [False, True])
def test_content_of_every_revision_leaves_the_clone_and_stays_away(
    locked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source, clone = tmp_path / "src", tmp_path / "clone"
    fill(source, PEOPLE, ("T1w", "T2w"))
    shared = mask_path("sub-a2", "T1w")  # another participant has the same mask
    shutil.copyfile(source / mask_path("sub-a1", "T1w"), source / shared)
    annex.create(source)
    if locked:
        subprocess.run(
            ["git", "annex", "config", "--set", "annex.addunlocked", "false"],
            cwd=source,
            env=git_env(),
            check=True,
        )
    first = annex.save(source, "first", "r1")
    everything = [path for path in annex.list_paths(source) if path.endswith(".nii.gz")]
    theirs = contents_of(source, "sub-a1")
    annex.clone(str(source), clone, first, "r1")
    annex.get(clone, everything)
    assert (clone / image_path("sub-a1", "T1w")).is_symlink() is locked
    old = contents_of(clone, "sub-a1")
    subprocess.run(["git", "annex", "unlock", "."], cwd=source, env=git_env(), check=True, capture_output=True)
    fill(source, {"sub-a1": "s1"}, ("T1w",), seed=5)  # a next revision, with other content
    second = annex.save(source, "second", "r2")
    annex.clone(str(source), clone, second, "r2")
    annex.get(clone, everything)
    (clone / "sub-a1/left-over.txt").write_text("a file that nobody knows")
    kept = hashlib.sha256((clone / shared).read_bytes()).hexdigest()
    wanted = (old | theirs | contents_of(clone, "sub-a1")) - {kept}
    assert len(holds(clone, "sub-a1", wanted)) > 6

    done = remove_participants(clone, ["sub-a1"])

    assert holds(clone, "sub-a1", wanted) == []
    assert done.files == 5
    assert done.objects == len(wanted)
    assert done.shared == (shared,)
    annex.verify(clone / shared, annex.keys_and_sizes(clone, [shared])[shared][0])
    assert remove_participants(clone, ["sub-a1"]).objects == remove_participants(clone, ["sub-a1"]).files == 0, (
        "a second call must not be an error"
    )
    assert remove_participants(clone, ["sub-a3"]).files == 4
    for commit, tag in ((first, "r1"), (second, "r2")):
        annex.clone(str(source), clone, commit, tag)  # this call refuses a clone with local edits
        assert holds(clone, "sub-a1", wanted) == holds(clone, "sub-a3", set()) == []
    assert (clone / image_path("sub-a2", "T1w")).is_file()


# --- the ids of the person


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with three fetched datasets: one repository as train and test, and another one."""
    monkeypatch.chdir(tmp_path)
    train = {"sub-a1": "s1", "sub-a2": "s1"}
    datasets = {"ds": entry("src", "a" * 40), "frozen": entry("src", "a" * 40, role="test")}
    data_workspace(tmp_path, datasets | {"other": entry("elsewhere", "b" * 40)}, FROZEN)
    for name, people, role in (
        ("ds", train, "train"),
        ("frozen", dict(FROZEN), "test"),
        ("other", {"sub-o1": ""}, "train"),
    ):
        checked(fetched(name, people, role=role, seed=len(name)))
    return tmp_path


def withdrawn() -> dict[str, dict[str, str]]:
    return {name: dict(one.withdrawn) for name, one in load_registry(REGISTRY).datasets.items() if one.withdrawn}


def test_every_entry_of_a_repository_is_written(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    withdraw.main(["sub-f1", "--reason", "asked for it", "--no-rebuild", "--report", "out.txt"])
    assert withdrawn() == {name: {"sub-f1": "asked for it"} for name in ("ds", "frozen")}
    text = capsys.readouterr().out
    assert "frozen: sub-f1 (named in the command), recorded now" in text
    assert "ds: sub-f1 (the same repository as frozen), recorded now" in text
    assert "compared on the participants that both versions have" in text
    assert f"data/clones/frozen/{image_path('sub-f1', 'T1w')}" in text, (
        "with --no-rebuild the text must name the files that remain"
    )
    assert Path("out.txt").read_text() == text
    assert Path("data/frozen.csv").read_text().count("sub-f1") == 1
    before = Path(REGISTRY).read_bytes()
    withdraw.main(["sub-f1", "--reason", "another", "--no-rebuild"])
    assert Path(REGISTRY).read_bytes() == before
    assert (
        "frozen: sub-f1 (named in the command), recorded before; the reason of that time stays"
        in capsys.readouterr().out
    )


def test_other_ids_of_the_person_go_too(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["anna,ds,sub-a1", "anna,other,sub-o1", "anna,old-study,sub-77"]
    Path("data/persons.csv").write_text("schema,person,dataset,participant\n" + "".join(f"1,{one}\n" for one in rows))
    withdraw.main(["sub-o1", "--reason", "asked", "--no-rebuild"])
    assert withdrawn() == {"other": {"sub-o1": "asked"}, "ds": {"sub-a1": "asked"}, "frozen": {"sub-a1": "asked"}}
    text = capsys.readouterr().out
    assert "ds: sub-a1 (the same person according to data/persons.csv), recorded now" in text
    assert "sub-77 is the same person, but the registry has no dataset 'old-study'" in text


def test_a_copy_of_an_image_is_the_same_person(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    value = read_json(place / "data/fetch/other.json")
    theirs = read_manifest(place / "data/fetch/ds.json").keys[image_path("sub-a2", "T2w")]
    (file,) = [one for one in value["files"] if one["path"] == image_path("sub-o1", "T1w")]
    file["key"] = theirs.replace("SHA256E", "SHA256").removesuffix(".nii.gz")  # the same hash under another backend
    write_json(place / "data/fetch/other.json", value)
    withdraw.main(["sub-a2", "--reason", "asked", "--no-rebuild"])
    assert withdrawn()["other"] == {"sub-o1": "asked"}
    assert "other: sub-o1 (has the same image as sub-a2 of ds), recorded now" in capsys.readouterr().out


def test_a_dataset_can_be_named_where_ids_clash(place: Path) -> None:
    fetched("other", {"sub-a1": "", "sub-o1": ""}, seed=9)
    withdraw.main(["sub-a1", "--reason", "asked", "--dataset", "other", "--no-rebuild"])
    assert withdrawn() == {"other": {"sub-a1": "asked"}}
    withdraw.main(["sub-a1", "--reason", "asked", "--no-rebuild"])
    assert set(withdrawn()) == {"ds", "frozen", "other"}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["sub-a11", "--reason", "x"], r"holds a participant 'sub-a11' \(did you mean 'sub-a1'\?\); looked in"),
        (["sub-o1", "--reason", "x", "--dataset", "ds"], "No dataset of ds, frozen holds a participant 'sub-o1'"),
        (["sub-a1", "--reason", "x", "--dataset", "dss"], r"no dataset 'dss' \(did you mean 'ds'\?\)"),
        (["a1", "--reason", "x"], "'a1' is not the id of a participant; expected an id such as 'sub-amu01'"),
        (["../x", "--reason", "x"], "is not the id of a participant"),
        (["sub-a1", "--reason", " "], "expected one line of text"),
        (["sub-a1", "--reason", "a\nb"], "expected one line of text"),
    ],
)
def test_nothing_changes_when_nobody_is_meant(arguments: list[str], why: str, place: Path) -> None:
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    with pytest.raises(CordriftError, match=why):
        withdraw.main(arguments)
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


def test_an_unreachable_store_is_told_and_the_exclusion_done(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://bob:secret@127.0.0.1:9")
    with pytest.raises(CordriftError, match=r"1 part.*The store was not searched: MLflow at http://127.0.0.1:9"):
        withdraw.main(["sub-a1", "--reason", "asked", "--no-rebuild"])
    text = capsys.readouterr().out
    assert "unknown: the store was not searched" in text
    assert "secret" not in text
    assert withdrawn()["ds"] == {"sub-a1": "asked"}


def test_a_rebuild_that_fails_is_told_and_the_rest_done(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a dvc.yaml no stage can run."""
    with pytest.raises(CordriftError, match=r"1 part.*Not everything was rebuilt: `dvc repro --single-item fetch@ds"):
        withdraw.main(["sub-a1", "--reason", "asked"])
    assert withdrawn()["ds"] == {"sub-a1": "asked"}
    text = capsys.readouterr().out
    assert "data/fetch/ds.json" in text[text.index("Kept in this workspace") :]


# --- the store


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with three versions, trained on sub-a1, on a copy of an image of sub-a1, and on neither."""
    trained = {
        A: [row("ds_sub-a1_T1w", "one", "m"), row("ds_sub-a2_T1w", "two", "m")],
        B: [row("older_sub-z9_T1w", "one", "m"), row("ds_sub-a2_T1w", "two", "m")],
        C: [row("ds_sub-a2_T1w", "two", "m"), row("ds_sub-a11_T1w", "three", "m")],
    }
    for number, (digest, rows) in enumerate(trained.items(), start=1):
        monkeypatch.chdir(store_workspace(tmp_path / "lab", digest, label=f"v{number}").parent)
        monkeypatch.chdir(tmp_path / "lab")
        write_json(Path("data/package/training_data.json"), manifest(*rows))
        register.main()
        if digest == A:
            write_json(Path("data/prepare/manifest.json"), manifest(*rows))
    entries = {"ds": entry("src", "a" * 40), "frozen": entry("src2", "a" * 40, role="test")}
    write_registry(Path(), entries)
    Path("data/frozen.csv").write_text("schema,participant,dataset\n1,sub-0,frozen\n1,sub-1,frozen\n")
    return tmp_path / "lab"


def test_exactly_the_versions_trained_on_the_data_are_listed(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    withdraw.main(["sub-a1", "--reason", "asked", "--no-rebuild"])
    text = capsys.readouterr().out
    listed = section(text, "Model versions trained on the data")
    assert re.search(r"version 1 \(v1, anchor, champion\), run \w{32}: 1 cases by name \(ds_sub-a1_T1w\)", listed)
    assert re.search(r"version 2 \(v2\), run .* by content, under another name \(older_sub-z9_T1w\)", listed)
    assert "version 3" not in listed
    assert "2 of 3 in MLflow at" in listed


def test_runs_without_a_version_and_versions_without_a_manifest_are_named(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{lab / 'mlflow.db'}")
    run = client.get_model_version("cord-demo", "1").run_id
    client.delete_model_version("cord-demo", "1")
    client.delete_run(run)
    client.create_registered_model("brain")
    client.create_model_version("brain", "somewhere")
    capsys.readouterr()
    withdraw.main(["sub-a1", "--reason", "asked", "--no-rebuild"])
    text = capsys.readouterr().out
    listed = section(text, "Model versions trained on the data")
    assert f"cord-demo a run without a version (v1), run {run}: 1 cases by name" in listed
    assert "unknown: brain version 1, run none, has no training manifest." in listed
    assert not commands_with(text, f"mlflow runs delete --run-id {run}"), "MLflow marks the run as deleted already"
    assert len(commands_with(text, f"mlflow gc .* --run-ids {run}")) == 1


def test_masks_and_measures_of_a_frozen_participant_are_found(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    withdraw.main(["sub-0", "--reason", "asked", "--no-rebuild"])
    text = capsys.readouterr().out
    assert "0 of 3 in MLflow" in section(text, "Model versions trained on the data")
    assert section(text, "Masks and measures kept in MLflow").count("masks.zip (3 files of the participant)") == 3, (
        "two masks and the index"
    )
    kept = section(text, "Kept in this workspace").split()
    assert "reports/segment/frozen/0/frozen/sub-0/anat/sub-0_T1w_label-SC_seg.nii.gz" in kept
    assert "reports/segment/frozen/0/manifest.json" in kept
    assert not [path for path in kept if "sub-1" in path or path.startswith("reports/segment/frozen/1")]


def test_a_case_without_a_mask_is_found_in_the_index_of_the_masks(lab: Path) -> None:
    """A participant whose cases all failed has no mask, but is named in kept.json."""
    path = lab / "reports/segment/frozen/0/manifest.json"
    record = read_json(path)
    for case in record["cases"]:
        case |= {"status": "failed", "reason": "empty", "binary": None, "soft": None}
    write_json(path, record)
    register.main()
    recorded = open_recorded_versions(lab)
    assert recorded is not None
    for participant, found in (("sub-0", ["masks.zip (1 files of the participant)"]), ("sub-7", [])):
        identity = Identity(frozenset({("frozen", participant)}), frozenset({"ds", "frozen"}), frozenset())
        (trace,) = [trace for trace in traces_in_store(recorded, identity, frozen=True) if trace.version.digest == C]
        assert [path for path in trace.kept if path.startswith("masks.zip")] == found


@pytest.mark.slow
def test_the_commands_for_mlflow_work(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    withdraw.main(["sub-a1", "--reason", "asked", "--no-rebuild"])
    commands = commands_with(capsys.readouterr().out, "mlflow")
    assert [bool(re.search(r"delete_model_version|runs delete|mlflow gc", line)) for line in commands] == [True] * 6
    before = list((lab / "mlartifacts").rglob("training_data.json"))
    for command in commands:
        shell(command, lab)
    left = list((lab / "mlartifacts").rglob("training_data.json"))
    assert (len(before), len(left)) == (3, 1)
    assert "sub-a1_" not in left[0].read_text()
    withdraw.main(["sub-a1", "--reason", "asked", "--no-rebuild"])
    assert "0 of 1 in MLflow" in capsys.readouterr().out
    history.main()  # the remaining version can still be compared

    withdraw.main(["sub-0", "--reason", "asked", "--no-rebuild"])
    masks, page, *whole = commands_with(capsys.readouterr().out, "mlflow")
    for command in (masks, page):
        shell(command, lab)
    assert not list((lab / "mlartifacts").rglob("masks.zip"))
    # Its participants are drawn in it, and no table of its figures says which: it is listed for everybody.
    assert not list((lab / "mlartifacts").rglob("report/index.html"))
    assert list((lab / "mlartifacts").rglob("measures.csv"))
    assert len(whole) == 3


def test_content_keys_are_compared_by_hash() -> None:
    assert content(key("x", "SHA256E")) == content(key("x", "GIT")) != content(key("y", "GIT"))


def test_a_source_elsewhere_is_told_without_its_password(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    registry = place / "data/datasets.yaml"
    registry.write_text(registry.read_text().replace("url: elsewhere", "url: https://bob:secret@lab.org/data"))
    withdraw.main(["sub-o1", "--reason", "asked", "--no-rebuild"])
    text = capsys.readouterr().out
    assert "SOURCE is a full clone of https://lab.org/data" in text
    assert "secret" not in text
    assert commands_with(text, "git -C SOURCE annex drop --force --from SIBLING -- sub-o1")


def test_a_fetch_that_is_under_way_is_not_disturbed(place: Path) -> None:
    subprocess.run(["git", "init", "-q", "data/clones/ds"], env=git_env(), check=True)
    subprocess.run(["git", "-C", "data/clones/ds", "commit", "-qm", "x", "--allow-empty"], env=git_env(), check=True)
    with clone_lock(CLONES / "ds"), pytest.raises(CordriftError, match=r"Not everything was rebuilt: .*data/clones/ds"):
        withdraw.main(["sub-a1", "--reason", "asked"])
    assert withdrawn()["ds"] == {"sub-a1": "asked"}
    assert (CLONES / "ds" / image_path("sub-a1", "T1w")).is_file()
