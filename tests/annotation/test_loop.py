"""The way of a mask that a model drafts: annotate, look, accept, correct, pin, train; and what must not be lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.stats import entropy
from support.annotated import WORK, Truth, branch, items, review
from support.own_folder import WITHOUT_MASKS, make_folder

from stages import accept_masks, add_data, annotate, new, select, withdraw
from stages.core.annotation.acceptance import accept as accepting
from stages.core.annotation.acceptance import revision, session
from stages.core.annotation.drafts import work as working
from stages.core.base.errors import CordriftError, DatasetError, SettingsError
from stages.core.base.files import digest_of, write_json
from stages.core.data.clones import annex
from stages.core.data.clones.commits import list_paths
from stages.core.data.clones.fetch import fetch_dataset
from stages.core.data.clones.programs import git
from stages.core.data.datasets.label import AUTOMATIC, FIXED, REVIEWED, read_label
from stages.core.data.datasets.manifest import Manifest
from stages.core.data.datasets.registry import REGISTRY, load_registry, read_frozen
from stages.core.data.trainset.cases import TrainingImage, describe, read_labels
from stages.core.images import volumes
from stages.core.model.bundle.content import generation_of_drafts
from stages.core.model.lineage.training import told_labels
from stages.core.workspace.runs.params import load_params
from stages.core.workspace.runs.pin import pin_dataset

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
IMAGES = [f"{sub}/anat/{sub}_{name}.nii.gz" for sub in WITHOUT_MASKS for name in ("T1w", "T2w")]


def test_images_without_a_mask_are_drafted_and_shown(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotate.main(["lab"])
    assert sorted(item["image"] for item in items()) == sorted(IMAGES)
    assert [item["image"] for item in items() if item["doubts"]] == ["sub-labB101/anat/sub-labB101_T1w.nii.gz"]
    assert items()[0]["doubts"][0].startswith("sub-labB101/anat/sub-labB101_T1w.nii.gz: it looks odd")
    assert set(branch("cordrift/drafts").values()) == {AUTOMATIC}
    path = "derivatives/labels_softseg_bin/sub-labA101/anat/sub-labA101_T1w_desc-softseg_label-SC_seg.nii.gz"
    label = read_label(WORK / path)
    assert label is not None
    assert (label.source, label.bundle, label.generation) == (IMAGES[0], digest_of("starter"), 2)
    assert volumes.read(WORK / path).data.sum() > 100
    drafted = git(WORK, ["rev-parse", "HEAD"])
    annotate.main(["lab"])
    assert git(WORK, ["rev-parse", "cordrift/drafts"]) == drafted, "a second run has nothing to do"
    assert "0 new drafts, 4 from before" in capsys.readouterr().out
    assert not list_paths(Path("data/sources/lab"))[0].startswith("cordrift"), "the dataset itself is as it was"
    assert git(Path("data/sources/lab"), ["branch", "--list", "cordrift/*"]) == ""


def test_the_page_says_how_uncertain_the_model_was(lab: Path) -> None:
    annotate.main(["lab"])
    assert (
        items()[1]["uncertainty"]
        == f"uncertainty {float(entropy([0.9, 0.1], base=2)) / 0.9:.2f} bits per voxel of cord"
    )


def test_another_model_replaces_drafts_and_a_pathology_may_have_its_own(lab: Path) -> None:
    annotate.main(["lab"])
    annotate.main(["lab", "--model", "other", "--model-for", "HC=special"])
    labels = [read_label(WORK / path) for path in branch("cordrift/drafts")]
    assert {label.bundle for label in labels if label} == {digest_of("special")}
    with pytest.raises(
        SettingsError, match=r"names 'HX', and no image .* the contrasts T1w, T2w and the pathologies HC"
    ):
        annotate.main(["lab", "--model-for", "HX=special"])


def test_a_contrast_may_have_its_own_model_and_one_that_a_model_never_saw_is_named(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotate.main(["lab", "--model-for", "T2w=special"])
    labels = [read_label(WORK / path) for path in branch("cordrift/drafts")]
    made = {(label.bundle, label.source.rpartition("_")[2]) for label in labels if label}
    assert made == {(digest_of("starter"), "T1w.nii.gz"), (digest_of("special"), "T2w.nii.gz")}
    said = capsys.readouterr().out
    assert (
        f"the bundle {digest_of('special')[:12]} was trained on no image of T2w; look at its drafts with care" in said
    )
    assert f"the bundle {digest_of('starter')[:12]} was trained" not in said
    annotate.main(["lab", "--model", "special", "--model-for", "T2w=starter", "--model-for", "HC=other"])
    labels = [read_label(WORK / path) for path in branch("cordrift/drafts")]
    assert {label.bundle for label in labels if label} == {digest_of("other")}, "the pathology decides"


def test_an_image_in_which_nothing_is_found_gets_no_draft_and_is_named(
    lab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Truth, "blind", frozenset({IMAGES[1]}))
    annotate.main(["lab"])
    assert "sub-labA101_T2w.nii.gz: no cord was found" in capsys.readouterr().out
    assert len(items()) == 3


def test_what_a_lab_drafts_and_checks_is_in_no_commit_of_the_checkout() -> None:
    for path in ("data/annotate/lab", "reports/qc/lab/index.html"):
        assert git(ROOT, ["check-ignore", path]).strip() == path
    assert "/data/annotate\n" in (ROOT / ".dvcignore").read_text(encoding="utf-8")


def test_a_test_split_is_never_drafted(lab: Path) -> None:
    with pytest.raises(SettingsError, match="lab-frozen is a test split, whose references are made by people"):
        annotate.main(["lab-frozen"])


def test_what_passed_is_kept_apart_and_what_failed_is_excluded(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotate.main(["lab"])
    marks = review(
        "qc.yml", {"A101_T1w.nii.gz": "pass", "A101_T2w.nii.gz": "fail"}, tags=["motion"], comment="blurred\nall"
    )
    accept_masks.main(["lab", marks])
    reviewed = branch("cordrift/reviewed")
    assert list(reviewed.values()) == [REVIEWED]
    [path] = reviewed
    label = read_label(WORK / path)
    assert label is not None
    assert (label.reviewer, label.comment) == ("A", "blurred\nall")
    excluded = load_registry(REGISTRY).datasets["lab"].exclude_images
    assert excluded == {"sub-labA101/anat/sub-labA101_T2w.nii.gz": "motion, blurred all (A, 2026-01-02)"}
    assert len(items()) == 2, "the page shows what is left"
    before = git(WORK, ["rev-parse", "HEAD"])
    accept_masks.main(["lab", marks])
    assert git(WORK, ["rev-parse", "cordrift/reviewed"]) == before, "the same file again changes nothing"
    assert "0 passed, 0 failed" in capsys.readouterr().out
    annotate.main(["lab"])
    assert len(items()) == 2, "neither is drafted again"


def test_a_mark_of_a_mask_that_was_drafted_again_does_not_count(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotate.main(["lab"])
    marks = review("qc.yml", {"A101_T1w.nii.gz": "pass"})
    text = Path(marks).read_text(encoding="utf-8")
    key = items()[1]["mask_key"]
    Path(marks).write_text(text.replace(key, key.replace("--", "--f")), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"not everything was taken \(1\)"):
        accept_masks.main(["lab", marks])
    assert "was drafted again after A looked at it" in capsys.readouterr().out
    assert not git(WORK, ["branch", "--list", "cordrift/reviewed"])


def test_two_reviewers_in_conflict_are_shown_and_not_merged(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotate.main(["lab"])
    first = review("a.yml", {"A101_T1w.nii.gz": "pass", "A101_T2w.nii.gz": "pass"})
    second = review("b.yml", {"A101_T1w.nii.gz": "fail", "A101_T2w.nii.gz": "pass"}, who="B")
    with pytest.raises(DatasetError, match=r"not everything was taken \(1\)"):
        accept_masks.main(["lab", first, second])
    assert "A101_T1w.nii.gz is in conflict and stays open: A says pass, B says fail." in capsys.readouterr().out
    [path] = branch("cordrift/reviewed")
    label = read_label(WORK / path)
    assert label is not None
    assert label.reviewer == "A, B"
    assert load_registry(REGISTRY).datasets["lab"].exclude_images == {}


def test_an_export_that_is_made_twice_counts_once_with_its_later_marks(lab: Path) -> None:
    annotate.main(["lab"])
    first = review("a.yml", {"A101_T1w.nii.gz": "fail"})
    later = review("b.yml", {"A101_T1w.nii.gz": "pass"}, when="2026-01-02T03:04:06Z")
    accept_masks.main(["lab", later, first])
    assert list(branch("cordrift/reviewed").values()) == [REVIEWED]


def _fix(change: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> Path:
    """Change the mask of the worklist as a person does in a viewer."""
    folder = Path("reports/qc/lab/fix")
    [path] = folder.glob("*_mask.nii.gz")
    volume = volumes.read(path)
    volumes.write(path, change(volume.data.copy()).astype(np.uint8), volume.affine)
    return path


def _more(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.maximum(data, np.roll(data, 1, axis=0))


def _speck(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    data[0, 0, 0] = 1
    return data


@pytest.mark.long
def test_a_mask_to_fix_is_laid_out_and_comes_back_with_checks(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotate.main(["lab"])
    accept_masks.main(["lab", review("qc.yml", {"A101_T1w.nii.gz": "fix"}, comment="too $(small)")])
    folder = Path("reports/qc/lab/fix")
    commands = (folder / "commands.txt").read_text(encoding="utf-8")
    for program in ("fsleyes", "itksnap -g", "Slicer --python-code"):
        assert program in commands
    again = ["lab", "--corrected", "--reviewer", "C"]
    accept_masks.main(again)
    assert "0 corrected masks taken, 1 not corrected yet" in capsys.readouterr().out
    _fix(lambda data: data[:-1])
    with pytest.raises(DatasetError, match="not everything was taken"):
        accept_masks.main(again)
    assert "must lie on one grid, but shapes (39, 44, 60) and (40, 44, 60)" in capsys.readouterr().out
    shutil.copyfile(WORK / next(iter(branch("cordrift/drafts"))), next(folder.glob("*_mask.nii.gz")))
    _fix(lambda data: data * 0)
    with pytest.raises(DatasetError, match="not everything was taken"):
        accept_masks.main(again)
    assert "is empty; expected the corrected mask" in capsys.readouterr().out
    shutil.copyfile(WORK / next(iter(branch("cordrift/drafts"))), next(folder.glob("*_mask.nii.gz")))
    path = _fix(lambda data: _speck(_more(data)))
    with pytest.raises(DatasetError, match="not everything was taken"):
        accept_masks.main(again)
    assert "has 2 separate pieces" in capsys.readouterr().out
    assert not git(WORK, ["branch", "--list", "cordrift/reviewed"])
    accept_masks.main([*again, "--confirm"])
    [(mask, status)] = branch("cordrift/reviewed").items()
    label = read_label(WORK / mask)
    assert status == FIXED
    assert label is not None
    assert (label.reviewer, label.comment) == ("C", "too $(small)")
    assert (WORK / mask).read_bytes() == path.read_bytes()
    with pytest.raises(DatasetError, match="lists no mask"):
        accept_masks.main(again)


@pytest.mark.long
def test_reviewed_masks_become_the_next_revision_and_are_trained_on(
    lab: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotate.main(["lab"])
    marks = review("qc.yml", {"T1w.nii.gz": "pass", "A101_T2w.nii.gz": "fail"})
    accept_masks.main(["lab", marks, "--pin"])
    entry = load_registry(REGISTRY).datasets["lab"]
    assert (entry.tag, load_params(Path("params.yaml")).registration.label) == ("r2", "v2")
    manifest = fetch_dataset("lab", entry, read_frozen(Path("data/frozen.csv")), 1)
    mine = [case for case in manifest.cases if case.participant in WITHOUT_MASKS]
    assert [(case.participant, case.contrast) for case in mine] == [(sub, "T1w") for sub in WITHOUT_MASKS]
    reasons = {(row.participant, row.contrast): row.reason for row in manifest.excluded}
    assert reasons["sub-labA101", "T2w"] == "excluded image: no reason given (A, 2026-01-02)"
    assert reasons["sub-labB101", "T2w"] == "missing mask"
    before = {case.participant for case in manifest.cases}
    labels = read_labels(images_of(manifest), [manifest], 0.0)
    said = [case.row()["label"] for case in labels if case.label]
    assert said == [{"status": REVIEWED, "bundle": digest_of("starter"), "generation": 2}] * 2
    described = describe([manifest], labels, [], [], 1)
    assert described["labels"] == {"delivered": len(labels) - 2, "reviewed": 2}
    [told] = told_labels(described)
    assert told.startswith(f"{len(labels) - 2} masks delivered with the data, 2 drafts passed; drafts by ")
    assert told.endswith(f"{digest_of('starter')[:12]}, up to generation 2")
    write_json(Path("training_data.json"), described)
    assert generation_of_drafts(Path()) == 3
    accept_masks.main(["lab", marks])
    assert (
        "0 passed, 0 failed and excluded in data/datasets.yaml, 0 to fix, 3 decided before" in capsys.readouterr().out
    )
    # What is left is drafted again on the new revision, without computing anything.
    annotate.main(["lab"])
    assert len(items()) == 1
    # The lab's own folder does not hold these masks: its next revision keeps them.
    make_folder(made / "own", made / "cohort", "r2")
    add_data.main(["lab", "--bids", str(made / "own")])
    entry = load_registry(REGISTRY).datasets["lab"]
    assert entry.tag == "r3"
    manifest = fetch_dataset("lab", entry, read_frozen(Path("data/frozen.csv")), 1)
    assert {case.participant for case in manifest.cases} > before, "and brings one person more"
    assert before >= set(WITHOUT_MASKS)


def test_drafts_that_nobody_has_seen_are_not_trained_on_beyond_their_share(lab: Path) -> None:
    annotate.main(["lab"])
    annex.publish(WORK, "cordrift/drafts", "r2", list(branch("cordrift/drafts")))
    pin_dataset(REGISTRY, "lab", "r2", git(WORK, ["rev-parse", "HEAD"]).strip())
    manifest = fetch_dataset("lab", load_registry(REGISTRY).datasets["lab"], read_frozen(Path("data/frozen.csv")), 1)
    cases = images_of(manifest)
    with pytest.raises(DatasetError, match=rf"4 of {len(cases)} masks were drafted by a model and seen by nobody"):
        read_labels(cases, [manifest], 0.3)
    assert sum(case.label is not None for case in read_labels(cases, [manifest], 1.0)) == 4


def images_of(manifest: Manifest) -> list[TrainingImage]:
    return [
        TrainingImage(case, str(case.mask), manifest.keys[case.image], manifest.keys[str(case.mask)])
        for case in manifest.case_list()
    ]


def _stopping(real: Callable[..., Any], nth: int, *, after: bool) -> Callable[..., Any]:
    """Return a function that does the same until its nth call, before or after which the process is interrupted."""
    calls = iter(range(1, 99))

    def call(*words: Any, **more: Any) -> Any:
        last = next(calls) == nth
        if last and not after:
            raise KeyboardInterrupt
        result = real(*words, **more)
        if last:
            raise KeyboardInterrupt
        return result

    return call


@pytest.mark.long
def test_what_was_interrupted_goes_on(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(annex, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            annotate.main(["lab"])
    annotate.main(["lab"])
    assert len(items()) == 4
    marks = review("qc.yml", {"T1w.nii.gz": "pass", "A101_T2w.nii.gz": "fail", "B101_T2w.nii.gz": "fix"})
    steps = [(accepting, "write_label"), (annex, "save")]
    for module, name in [*steps, (session, "exclude_images"), (session, "write_worklist")]:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, stop)
            with pytest.raises(KeyboardInterrupt):
                accept_masks.main(["lab", marks])
    accept_masks.main(["lab", marks])
    assert list(branch("cordrift/reviewed").values()) == [REVIEWED, REVIEWED]
    assert len(load_registry(REGISTRY).datasets["lab"].exclude_images) == 1
    assert len(list(Path("reports/qc/lab/fix").glob("*_mask.nii.gz"))) == 1
    for nth, module, name, after in (
        (1, annex, "publish", False),
        (1, revision, "edit_yaml", False),
        (2, revision, "edit_yaml", False),
        (1, revision, "edit_yaml", True),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, _stopping(getattr(module, name), nth, after=after))
            with pytest.raises(KeyboardInterrupt):
                accept_masks.main(["lab", "--pin"])
    accept_masks.main(["lab", "--pin"])
    names = load_registry(REGISTRY).datasets["lab"].tag, load_params(Path("params.yaml")).registration.label
    assert names == ("r2", "v2"), "each is taken once"
    with pytest.raises(DatasetError, match="no mask of lab was passed or corrected since r2"):
        accept_masks.main(["lab", "--pin"])


@pytest.mark.long
def test_an_image_that_changed_meanwhile_loses_its_mask_and_the_others_keep_theirs(lab: Path) -> None:
    annotate.main(["lab"])
    accept_masks.main(["lab", review("qc.yml", {"T1w.nii.gz": "pass"})])
    source = Path("data/sources/lab")
    other = source / IMAGES[2]
    data = volumes.read(source / IMAGES[0])
    other.unlink()
    volumes.write(other, data.data, data.affine)
    commit = annex.save(source, "another image", tag="r2")
    text = REGISTRY.read_text(encoding="utf-8")
    old = load_registry(REGISTRY).datasets["lab"]
    head, entry, rest = text.partition("  lab:\n")
    rest = rest.replace(f"tag: {old.tag}", "tag: r2", 1).replace(str(old.commit), commit, 1)
    REGISTRY.write_text(head + entry + rest, encoding="utf-8")
    annotate.main(["lab"])
    assert [path.split("/")[2] for path in branch("cordrift/reviewed")] == ["sub-labA101"]
    assert len(items()) == 3, "the changed image was drafted again, and the mask that passed for the old one is gone"
    assert git(WORK, ["for-each-ref", "refs/cordrift"]).count("\n") == 2, "both branches as they were are kept"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no review of schema 1"),
        ("schema: 1\ndataset: lab\nreviewer: ''\nimages: []\n", "reviewer"),
        ("schema: 1\ndataset: lab\nreviewer: A\nimages:\n- {image: a, mark: fine}\n", "mark"),
        ("schema: 1\ndataset: other\nreviewer: A\nimages: []\n", "of the dataset 'other', not of 'lab'"),
        ("schema: 1\ndataset: lab\nreviewer: A\nimages: &a [*a]\n", "cannot be read|images"),
        ("{", "cannot be read"),
    ],
)
def test_a_file_that_is_no_review_is_a_sentence(lab: Path, text: str, says: str) -> None:
    Path("qc.yml").write_text(text, encoding="utf-8")
    with pytest.raises(CordriftError, match=says):
        accept_masks.main(["lab", "qc.yml"])


def test_two_at_a_time_wait_for_each_other(lab: Path) -> None:
    entry = load_registry(REGISTRY).datasets["lab"]
    with working.open_work("lab", entry), pytest.raises(DatasetError, match=r"another .* works on data/annotate/lab"):
        annotate.main(["lab"])


def test_a_participant_who_withdraws_leaves_no_draft_behind(lab: Path) -> None:
    annotate.main(["lab"])
    select.main(["lab", "--budget", "4"])
    marks = {"A101_T1w.nii.gz": "pass", "T2w.nii.gz": "fix"}
    accept_masks.main(["lab", review("qc.yml", marks)])
    objects = {path.name for path in (WORK / ".git/annex/objects").rglob("*.nii.gz") if path.is_file()}
    assert len(objects) == 4
    withdraw.main(["sub-labA101", "--reason", "asked for it"])
    left = [path for path in Path().rglob("*labA101*") if not {".git", "sources"} & set(path.parts)]
    assert left == []
    assert len({path.name for path in (WORK / ".git/annex/objects").rglob("*.nii.gz") if path.is_file()}) == 2
    for path in [*Path("reports/qc/lab/fix").glob("*.*s*"), Path("reports/qc/lab/selection.csv")]:
        assert "labA101" not in path.read_text(encoding="utf-8", errors="replace")
    commands = Path("reports/qc/lab/fix/commands.txt").read_text(encoding="utf-8")
    assert commands.count("fsleyes") == 1, "the other mask is still to be fixed"
    annotate.main(["lab"])
    assert {item["participant"] for item in items()} == {"sub-labB101"}


def test_a_folder_without_any_mask_is_registered_drafted_and_trained_on_once_masks_are_accepted(
    lab: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in sorted((made / "own").glob("sub-labA101/anat/*_T?w.nii.gz")):
        target = tmp_path / "bare/sub-bare1/anat" / path.name.replace("labA101", "bare1")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    with pytest.raises(
        SettingsError, match="Images whose masks are still to be drafted are registered with --unmasked"
    ):
        new.main(["bare", "--bids", str(tmp_path / "bare"), "--base", "micro", "--yes"])
    new.main(["bare", "--bids", str(tmp_path / "bare"), "--base", "micro", "--yes", "--unmasked"])
    said = capsys.readouterr().out
    assert said.count("  T2w: image    {sub}/anat/{sub}_T2w.nii.gz\n") == 1
    assert said.count("  T2w: no masks yet\n") == 1
    assert "bare" not in load_params(Path("params.yaml")).fetch.datasets
    annotate.main(["bare"])
    Path("reports/qc/bare/index.html").replace("reports/qc/lab.html")
    source = Path("reports/qc/lab.html").read_text(encoding="utf-8")
    data = json.loads(source.partition('type="application/json">')[2].partition("</script>")[0])
    row = {name: data["items"][0][name] for name in ("image", "image_key", "mask_key")}
    marks = {"schema": 1, "dataset": "bare", "reviewer": "A", "images": [row | {"mark": "pass", "when": "2026-01-02"}]}
    Path("qc.yml").write_text(yaml.safe_dump(marks), encoding="utf-8")
    accept_masks.main(["bare", "qc.yml", "--pin"])
    entry = load_registry(REGISTRY).datasets["bare"]
    assert entry.contrasts["T1w"].mask == "derivatives/labels/{sub}/anat/{sub}_T1w_label-SC_seg.nii.gz"
    assert entry.contrasts["T2w"].mask is None
    manifest = fetch_dataset("bare", entry, read_frozen(Path("data/frozen.csv")), 1)
    assert [(case.contrast, case.mask is not None) for case in manifest.cases] == [("T1w", True)]
    params = load_params(Path("params.yaml"))
    assert "bare" in params.fetch.datasets
    assert "bare" in params.prepare.datasets
