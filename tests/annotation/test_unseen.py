"""Drafts that are accepted without a look: only on the evidence of those that people looked at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from scipy.stats import beta
from support.annotated import WORK, branch, review

from stages import accept_masks, annotate
from stages.core.base.errors import DatasetError, SettingsError
from stages.core.data.clones.programs import git
from stages.core.data.datasets.label import AUTOMATIC, FIXED, REVIEWED, read_label
from stages.core.images import volumes

pytestmark = pytest.mark.slow


def _accept(*words: str) -> None:
    accept_masks.main(["lab", *words])


def test_what_people_saw_decides_whether_the_rest_is_accepted_unseen(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotate.main(["lab"])
    with pytest.raises(DatasetError, match=r"not everything was taken \(2\)"):
        _accept("--unseen-below", "1")
    said = capsys.readouterr().out
    assert "1 T1w drafts wait: of 0 T1w drafts by" in said
    assert "which does not show that at most 5.0% are wrong" in said
    _accept(review("qc.yml", {"A101_T2w.nii.gz": "pass"}))
    with pytest.raises(DatasetError, match=r"not everything was taken \(2\)"):
        _accept("--unseen-below", "1", "--most-wrong", "0.9")
    assert "at, 0 were not passed (0.0% to 97.5% of such drafts are wrong)" in capsys.readouterr().out
    with pytest.raises(DatasetError, match=r"not everything was taken \(1\)"):
        _accept("--unseen-below", "1", "--most-wrong", "0.98")
    # Of T2w one was seen, so that the other is taken; of T1w none was seen, and one of them is in doubt.
    held = branch("cordrift/reviewed")
    assert sorted(held.values()) == [AUTOMATIC, REVIEWED]
    assert all("T2w" in path for path in held)
    unseen = next(path for path, status in held.items() if status == AUTOMATIC)
    git(WORK, ["checkout", "--quiet", "cordrift/reviewed"])
    label = read_label(WORK / unseen)
    assert label is not None
    assert (label.reviewer, label.comment[:24]) == ("", "accepted unseen: of 1 T2")
    said = capsys.readouterr().out
    assert "accept-masks: 1 masks accepted unseen" in said
    assert "1 T1w drafts wait: of 0 T1w drafts" in said


@pytest.mark.parametrize("mark", ["fix", "fail"])
def test_a_draft_that_was_not_passed_speaks_against_the_others(
    lab: Path, mark: str, capsys: pytest.CaptureFixture[str]
) -> None:
    annotate.main(["lab"])
    _accept(review("qc.yml", {"A101_T2w.nii.gz": mark}))
    with pytest.raises(DatasetError):
        _accept("--unseen-below", "1", "--most-wrong", "0.98")
    said = capsys.readouterr().out
    found = re.search(r"of 1 T2w drafts .*, 1 were not passed \((.*?)% to (.*?)% of such", said)
    assert found is not None
    assert [float(one) for one in found.groups()] == pytest.approx([100 * beta.ppf(0.025, 1, 1), 100], abs=0.06)
    assert "cordrift/reviewed" not in git(WORK, ["branch"]) or AUTOMATIC not in branch("cordrift/reviewed").values()


def test_a_corrected_draft_speaks_against_the_others_too(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotate.main(["lab"])
    _accept(review("qc.yml", {"A101_T2w.nii.gz": "fix"}))
    corrected = next(Path("reports/qc/lab/fix").glob("*T2w_mask.nii.gz"))
    volume = volumes.read(corrected)
    volume.data[:, :, volume.data.any(axis=(0, 1)).nonzero()[0][0]] = 0
    volumes.write_like(corrected, volume.data.astype("uint8"), corrected)
    _accept("--corrected", "--reviewer", "A")
    assert FIXED in branch("cordrift/reviewed").values()
    with pytest.raises(DatasetError):
        _accept("--unseen-below", "1", "--most-wrong", "0.98")
    assert re.search(r"of 1 T2w drafts .*, 1 were not passed", capsys.readouterr().out)


def test_a_draft_on_which_two_people_disagree_is_not_accepted_unseen(lab: Path) -> None:
    annotate.main(["lab"])
    one = review("a.yml", {"A101_T2w.nii.gz": "pass", "B101_T2w.nii.gz": "pass"}, who="A")
    other = review("b.yml", {"B101_T2w.nii.gz": "fix"}, who="B")
    with pytest.raises(DatasetError, match=r"not everything was taken \(2\)"):
        _accept(one, other, "--unseen-below", "1", "--most-wrong", "0.98")
    assert list(branch("cordrift/reviewed").values()) == [REVIEWED]


def test_drafts_beyond_the_uncertainty_wait(lab: Path) -> None:
    annotate.main(["lab"])
    with pytest.raises(DatasetError, match=r"no open draft of lab has an uncertainty of at most 0\.1 bits"):
        _accept("--unseen-below", "0.1", "--most-wrong", "0.98")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--unseen-below", "-1"], "--unseen-below is -1.0"),
        (["--unseen-below", "1", "--most-wrong", "5"], "--most-wrong is 5.0"),
    ],
)
def test_a_bound_that_makes_no_sense_is_refused(lab: Path, words: list[str], says: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(says)):
        _accept(*words)
