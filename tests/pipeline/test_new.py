"""A lab's own folder: what `cordrift new` shows and writes, and the next revision by `cordrift add-data`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml
from support.cords import ROOT
from support.own_folder import make_folder

from stages import add_data, new
from stages.core.base.errors import CordriftError, DatasetError, SettingsError
from stages.core.base.files import read_json
from stages.core.data.clones import annex
from stages.core.data.clones.commits import list_paths
from stages.core.data.datasets.registry import load_registry, read_frozen
from stages.core.workspace.runs import next_revision
from stages.core.workspace.runs.budget import budget, choose_base
from stages.core.workspace.runs.new_dataset import describe, plan_dataset
from stages.core.workspace.runs.next_revision import next_name
from stages.core.workspace.runs.params import load_params

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500), pytest.mark.usefixtures("warm_stages")]
NAMES = ("dvc.yaml", "params.yaml", "params", "data/datasets.yaml", "data/frozen.csv", "data/persons.csv")
OPTIONS = ("--base", "micro", "--hours", "0.0001", "--yes")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own")
    return make_folder(path / "elsewhere", path / "generated", "r1")


@pytest.fixture
def lab(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout, as far as these commands read it, beside the folder of a lab."""
    root = tmp_path / "checkout"
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile)(ROOT / name, root / name)
    shutil.copyfile(ROOT / "params/demo.yaml", root / "params.yaml")
    shutil.copytree(folder, tmp_path / "elsewhere")
    monkeypatch.chdir(root)
    return root


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def test_the_plan_is_shown_and_a_dry_run_writes_nothing(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(lab)
    new.main(["elsewhere", "--bids", "../elsewhere", "--base", "micro", "--dry-run"])
    assert contents(lab) == before
    said = capsys.readouterr().out
    assert "elsewhere: 2 participants to train on, 1 frozen for the test" in said
    assert "training, on the settings of micro: about" in said
    assert "MTon: image    {sub}/anat/{sub}_flip-1_mt-on_MTS.nii.gz" in said
    assert "Not registered: 1 images 'FLAIR' (no mask and no disc labels), such as sub-labA001/anat/" in said
    with pytest.raises(SettingsError, match="nobody can be asked here: add --yes"):
        new.main(["elsewhere", "--bids", "../elsewhere", "--base", "micro"])
    assert contents(lab) == before


def test_one_command_writes_dataset_registry_frozen_list_and_profile(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = (lab / "data/frozen.csv").read_bytes(), (lab / "data/datasets.yaml").read_bytes()
    before = contents(lab.parent / "elsewhere")
    new.main(["elsewhere", "--bids", "../elsewhere", *OPTIONS])
    assert contents(lab.parent / "elsewhere") == before, "the lab's folder is only read"
    entries = load_registry(lab / "data/datasets.yaml").datasets
    commit = annex.commit_of("data/sources/elsewhere", "r1")
    assert {entries[name].commit for name in ("elsewhere", "elsewhere-frozen")} == {commit}
    assert [entries["elsewhere"].role, entries["elsewhere-frozen"].role] == ["train", "test"]
    frozen = [row.participant for row in read_frozen(lab / "data/frozen.csv") if row.dataset == "elsewhere-frozen"]
    assert len(frozen) == 1
    assert frozen[0] not in {"sub-labA101", "sub-labB101"}, "without masks nothing can be measured against"
    assert (lab / "data/frozen.csv").read_bytes().startswith(others[0]), "rows of others stay"
    assert (lab / "data/datasets.yaml").read_bytes().startswith(others[1].rstrip()), "comments of others stay"
    params = load_params(lab / "params.yaml")
    assert (params.profile, params.fetch.datasets) == ("elsewhere", ["elsewhere", "elsewhere-frozen"])
    assert (params.prepare.datasets, params.segment.datasets) == (["elsewhere"], ["elsewhere-frozen"])
    assert params.segment.contrasts == ["T1w", "T2w", "MTon"]
    assert (params.registration.model, params.registration.label) == ("cord-elsewhere", "v1")
    assert (lab / "params.yaml").read_bytes() == (lab / "params/elsewhere.yaml").read_bytes()
    assert "`dvc repro` would fetch, check and prepare the dataset, then train about" in capsys.readouterr().out
    with pytest.raises(SettingsError, match=r"has a dataset 'elsewhere' already; .*`cordrift add-data elsewhere`"):
        new.main(["elsewhere", "--bids", "../elsewhere", *OPTIONS])


def test_edited_params_are_kept_and_the_profile_waits(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (lab / "params.yaml").open("a", encoding="utf-8") as stream:
        stream.write("# mine\n")
    edited = (lab / "params.yaml").read_bytes()
    new.main(["elsewhere", "--bids", "../elsewhere", *OPTIONS])
    assert (lab / "params.yaml").read_bytes() == edited
    assert "Then `cordrift profile elsewhere`." in capsys.readouterr().err


def test_further_data_are_added_to_the_params_with_or_without_a_test_split(lab: Path) -> None:
    new.main(["elsewhere", "--bids", "../elsewhere", "--share", "0", "--add", "--yes"])
    params = load_params(lab / "params.yaml")
    assert params.prepare.datasets == ["phantom", "elsewhere"]
    assert params.segment.datasets == ["phantom-frozen"]
    assert "elsewhere-frozen" not in load_registry(lab / "data/datasets.yaml").datasets
    with pytest.raises(SettingsError, match="a profile needs a test split"):
        new.main(["other", "--bids", "../elsewhere", "--share", "0", "--yes"])


def test_the_next_revision_is_saved_tagged_pinned_and_named(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new.main(["elsewhere", "--bids", "../elsewhere", *OPTIONS])
    with pytest.raises(DatasetError, match="nothing is to be added"):
        add_data.main(["elsewhere"])
    frozen = load_registry(lab / "data/datasets.yaml").datasets["elsewhere-frozen"]
    more = lab.parent / "elsewhere/sub-labD001/anat/sub-labD001_T2w.nii.gz"
    more.parent.mkdir(parents=True)
    shutil.copyfile(lab.parent / "elsewhere/sub-labA001/anat/sub-labA001_T2w.nii.gz", more)
    (lab.parent / "elsewhere/sub-labA001/anat/sub-labA001_FLAIR.nii.gz").unlink()
    add_data.main(["elsewhere"])
    entries = load_registry(lab / "data/datasets.yaml").datasets
    assert (entries["elsewhere"].tag, entries["elsewhere"].commit) == (
        "r2",
        annex.commit_of("data/sources/elsewhere", "r2"),
    )
    assert entries["elsewhere-frozen"] == frozen, "the frozen set does not change"
    assert load_params(lab / "params.yaml").registration.label == "v2"
    assert "files 1 added, 1 removed, tag r2" in capsys.readouterr().out
    with pytest.raises(SettingsError, match="elsewhere-frozen is a test split"):
        add_data.main(["elsewhere-frozen"])


@pytest.mark.parametrize("step", ["annex.save", "git tag", "pin_dataset", "edit_yaml"])
def test_a_revision_that_was_interrupted_is_completed(step: str, lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new.main(["elsewhere", "--bids", "../elsewhere", *OPTIONS])
    (lab.parent / "elsewhere/notes.txt").write_text("one more file")
    saved = annex.save

    def killed(*arguments: object, **more: object) -> None:
        if step == "git tag":
            saved(Path("data/sources/elsewhere"), "saved, and not tagged")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(*((next_revision, step) if hasattr(next_revision, step) else (annex, "save")), killed)
        with pytest.raises(KeyboardInterrupt):
            add_data.main(["elsewhere"])
    add_data.main(["elsewhere"])
    entry = load_registry(lab / "data/datasets.yaml").datasets["elsewhere"]
    assert (entry.tag, entry.commit) == ("r2", annex.commit_of("data/sources/elsewhere", "r2"))
    assert "notes.txt" in list_paths(Path("data/sources/elsewhere"), "r2")
    assert load_params(lab / "params.yaml").registration.label == "v2"
    assert not list((lab / "data/scratch").iterdir())
    with pytest.raises(DatasetError, match="nothing is to be added"):
        add_data.main(["elsewhere"])


def test_what_an_interrupted_command_noted_counts_no_more_once_somebody_went_on(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    new.main(["elsewhere", "--bids", "../elsewhere", *OPTIONS])
    (lab.parent / "elsewhere/notes.txt").write_text("one more file")
    with monkeypatch.context() as patch:
        patch.setattr(next_revision, "edit_yaml", killed)
        with pytest.raises(KeyboardInterrupt):
            add_data.main(["elsewhere"])
    (lab.parent / "elsewhere/more.txt").write_text("another file")
    next_revision.edit_yaml(lab / "params.yaml", lambda params: params["register"].update(label="v5"))
    add_data.main(["elsewhere"])
    assert load_registry(lab / "data/datasets.yaml").datasets["elsewhere"].tag == "r3"
    assert load_params(lab / "params.yaml").registration.label == "v6"


def test_a_datalad_dataset_is_used_where_it_lies(lab: Path) -> None:
    source = lab.parent / "elsewhere"
    annex.create(source)
    commit = annex.save(source, "first", "r1")
    new.main(["elsewhere", "--bids", "../elsewhere", *OPTIONS])
    entry = load_registry(lab / "data/datasets.yaml").datasets["elsewhere"]
    assert (entry.url, entry.commit) == ("../elsewhere", commit)
    (source / "notes.txt").write_text("new")
    with pytest.raises(DatasetError, match="has files that are not saved"):
        new.main(["again", "--bids", "../elsewhere", *OPTIONS])
    annex.save(source, "second", "r2")
    add_data.main(["elsewhere"])
    assert load_registry(lab / "data/datasets.yaml").datasets["elsewhere"].tag == "r2"


def test_ids_that_are_frozen_elsewhere_are_said(lab: Path) -> None:
    with (lab / "data/frozen.csv").open("a", encoding="utf-8") as stream:
        stream.write("1,sub-labB001,phantom-frozen\n1,sub-labC101,phantom-frozen\n")
    with pytest.raises(SettingsError, match=r"left to train on; .*Not trained on: sub-lab.*for phantom-frozen"):
        plan_dataset(lab, "elsewhere", lab.parent / "elsewhere", share=0.2, seed=1, tag="r1", licence="x")


def test_a_series_is_no_image(lab: Path) -> None:
    image = lab.parent / "elsewhere/sub-labA001/anat/sub-labA001_T1w.nii.gz"
    volume = nib.load(image)
    nib.save(nib.Nifti1Image(np.stack([np.asarray(volume.dataobj)] * 2, -1), volume.affine), image)
    planned = plan_dataset(lab, "elsewhere", lab.parent / "elsewhere", share=0.2, seed=1, tag="r1", licence="x")
    assert planned.test is not None
    assert "T1w" not in planned.test["contrasts"]
    assert "  Not registered: 5 images 'T1w' (has " in "\n".join(describe(planned))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "no image at all"),
        (["sub-1/anat/sub-1_T2w.nii.gz"], "1 images 'T2w': no mask and no disc labels"),
    ],
)
def test_a_folder_that_is_of_no_use_says_what_is_expected(names: list[str], said: str, lab: Path) -> None:
    for name in names:
        (lab / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)), lab / "in" / name)
    (lab / "in").mkdir(exist_ok=True)
    with pytest.raises(SettingsError, match=rf"holds no image in BIDS layout .*{said}.*expected files such as sub-01/"):
        plan_dataset(lab, "x", lab / "in", share=0.2, seed=1, tag="r1", licence="x")
    with pytest.raises(DatasetError, match="is not a folder"):
        plan_dataset(lab, "x", lab / "absent", share=0.2, seed=1, tag="r1", licence="x")


def test_an_interrupted_command_can_be_repeated(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(new, "register", killed)
        with pytest.raises(KeyboardInterrupt):
            new.main(["elsewhere", "--bids", "../elsewhere", *OPTIONS])
    new.main(["elsewhere", "--bids", "../elsewhere", *OPTIONS])
    rows = [row for row in read_frozen(lab / "data/frozen.csv") if row.dataset == "elsewhere-frozen"]
    assert len(rows) == 1
    assert load_params(lab / "params.yaml").profile == "elsewhere"


def test_a_frozen_list_that_is_there_is_not_drawn_again(lab: Path) -> None:
    path = lab / "data/frozen.csv"
    others = [line for line in path.read_text(encoding="utf-8").splitlines() if ",sub-lab" not in line]  # of a fork
    path.write_text("\n".join([*others, "1,sub-labC101,elsewhere-frozen"]) + "\n", encoding="utf-8")
    planned = plan_dataset(lab, "elsewhere", lab.parent / "elsewhere", share=0.9, seed=7, tag="r1", licence="x")
    assert planned.frozen == ["sub-labC101"]
    assert planned.trained == ["sub-labA001", "sub-labB001"]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--base", "dmeo", "There is no profile 'dmeo'"),
        ("--hours", "nan", "--hours is nan; expected"),
        ("--hours", "-1", "--hours is -1; expected"),
        ("--share", "1.5", "--share is 1.5; expected"),
        ("--bids", "../stduy", "stduy is not a folder"),
    ],
)
def test_a_wrong_option_is_a_sentence_before_anything_is_written(option: str, value: str, said: str, lab: Path) -> None:
    before = contents(lab)
    with pytest.raises(CordriftError, match=said):
        new.main(["elsewhere", "--bids", "../elsewhere", "--base", "micro", "--yes", f"{option}={value}"])
    assert contents(lab) == before


@pytest.mark.parametrize(
    ("name", "said"), [("../out", "is no name of a dataset"), ("demo", r"params/demo.yaml is another profile")]
)
def test_a_name_that_would_overwrite_or_lead_out_is_refused(name: str, said: str, lab: Path) -> None:
    before = contents(lab)
    with pytest.raises(SettingsError, match=said):
        new.main([name, "--bids", "../elsewhere", *OPTIONS])
    assert contents(lab) == before


def test_the_budget_follows_the_hardware() -> None:
    assert (choose_base(True), choose_base(False)) == ("spine-generic", "demo")
    train = load_params(ROOT / "params/micro.yaml").train
    short, long = budget("micro", train, 0.0001), budget("micro", train, 1000.0)
    assert (short.changes["train"]["epochs"], long.changes["train"]["epochs"]) == (10, 300)
    assert "for 10 epochs" in short.told
    full = budget("spine-generic", load_params(ROOT / "params/spine-generic.yaml").train, 8.0)
    assert "train" not in full.changes
    assert "5 folds of 1000 epochs" in full.told


@pytest.mark.parametrize(("name", "after"), [("r1", "r2"), ("r009", "r010"), ("v9", "v10"), ("final", None)])
def test_names_are_counted_on(name: str, after: str | None) -> None:
    assert next_name(name) == after


@pytest.mark.long
def test_a_lab_walks_from_its_folder_to_a_second_version(tmp_path: Path, folder: Path) -> None:
    """What docs/datasets.md says, in a clone of the project, with the programs that a user calls."""
    clone, elsewhere = tmp_path / "checkout", tmp_path / "elsewhere"
    shutil.copytree(folder, elsewhere)
    for name in (*NAMES, "stages", ".dvcignore", ".gitignore"):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / name, clone / name)
    shutil.copyfile(ROOT / "params/demo.yaml", clone / "params.yaml")
    for name in ("monitored", "seeds"):
        (clone / "data" / name).mkdir(parents=True, exist_ok=True)
    run(clone, "git", "init", "-q")
    run(clone, sys.executable, "-m", "dvc", "init", "-q")
    cordrift = (sys.executable, "-m", "stages.cli")
    run(clone, *cordrift, "new", "elsewhere", "--bids", "../elsewhere", *OPTIONS)
    said = run(clone, sys.executable, "-m", "dvc", "repro")
    assert "prepare: fold 0 trains on " in said
    make_folder(elsewhere, folder.parent / "generated", "r2")
    run(clone, *cordrift, "add-data", "elsewhere")
    run(clone, sys.executable, "-m", "dvc", "repro")
    priors = read_json(clone / "reports/history/priors.json")["priors"]
    assert [prior["label"] for prior in priors] == ["v1"]
    assert (clone / "reports/report/index.html").is_file()
    assert yaml.safe_load((clone / "params.yaml").read_text("utf-8"))["register"]["label"] == "v2"


def run(folder: Path, *command: str) -> str:
    from stages.core.workspace.runs.workspace import dvc_environment

    done = subprocess.run(command, cwd=folder, env=dvc_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout
