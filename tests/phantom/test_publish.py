"""The generated cohort as a dataset: layout, growth, resuming, refusals."""

from __future__ import annotations

import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from stages import phantom as command
from stages.core.base.errors import DatasetError, SettingsError
from stages.core.base.files import sha256_of
from stages.core.images.volumes import read, read_on_grid
from stages.core.phantom.dataset.cohort import Revision, find_cohort, frozen_participants, participants_of
from stages.core.phantom.dataset.publish import paths_of, publish, truth_of, write_participant

pytestmark = pytest.mark.slow


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantom") / "ds"
    command.main([str(out), "--cohort", "micro", "--jobs", "1"])
    return out


def test_both_revisions_are_commits_with_tags(dataset: Path) -> None:
    assert git(dataset, "tag").split() == ["r1", "r2"]
    before = git(dataset, "rev-parse", "HEAD").strip()
    assert publish(dataset, "micro", "r2", jobs=1) == before
    assert publish(dataset, "micro", "r1", jobs=1) == git(dataset, "rev-parse", "r1^{commit}").strip() != before
    assert git(dataset, "status", "--porcelain") == ""


def test_frozen_files_never_change(dataset: Path) -> None:
    frozen = frozen_participants("micro", "r1")
    assert frozen
    assert frozen == frozen_participants("micro", "r2")
    changed = git(dataset, "diff", "--name-status", "r1", "r2").splitlines()
    assert not [line for line in changed if any(f"{name}/" in line for name in frozen)]
    # What grew was added; the only text that changes is the list of participants.
    assert [line for line in changed if not line.startswith("A")] == ["M\tparticipants.tsv"]


def test_images_are_unlocked_pointers_in_git(dataset: Path) -> None:
    path = paths_of(frozen_participants("micro", "r1")[0], "T1w").image
    assert git(dataset, "show", f"HEAD:{path}").startswith("/annex/objects/SHA256E-s")
    assert git(dataset, "ls-tree", "HEAD", path).startswith("100644")


def test_every_file_of_every_case_is_there_on_one_grid(dataset: Path) -> None:
    cohort = find_cohort("micro")
    orientations = set()
    for person in participants_of(cohort, cohort.revisions["r2"]):
        for contrast in person.contrasts:
            paths = paths_of(person.participant, contrast)
            image = read(dataset / paths.image)
            orientations.add("".join(nib.aff2axcodes(nib.load(dataset / paths.image).affine)))
            masks = [p for p in (paths.binary, paths.soft, paths.rater, paths.discs) if p]
            for mask in masks:
                assert read_on_grid(dataset / mask, image, dataset / paths.image).data.any(), mask
            for path in paths.all():
                assert (dataset / path).is_file(), path
            if contrast != "synth":
                soft, binary = read(dataset / paths.soft).data, read(dataset / paths.binary).data
                np.testing.assert_array_equal(binary, soft >= 0.5)
                truth = pd.read_csv(dataset / paths.truth)
                assert len(truth) == image.data.shape[2]
                # The truth's heights are those of the stored affine, whatever the storage order.
                np.testing.assert_allclose(
                    truth["z_mm"], image.affine[2, 3] + image.spacing_mm[2] * truth["slice"], atol=1e-3
                )
                px, py, _ = image.spacing_mm
                area = px * py * soft.sum(axis=(0, 1)) * np.cos(np.radians(truth["angle_deg"]))
                assert np.abs(area / truth["csa_mm2"] - 1)[2:-2].median() < 0.003
    assert len(orientations) >= 2


def test_participants_table_names_sites_and_manufacturers(dataset: Path) -> None:
    table = pd.read_csv(dataset / "participants.tsv", sep="\t")
    assert list(table) == ["participant_id", "sex", "age", "pathology", "institution_id", "institution", "manufacturer"]
    real = table[~table["participant_id"].str.startswith("sub-synth")]
    assert set(real["manufacturer"]) == {"Siemens", "GE", "Philips"}
    assert table["participant_id"].is_monotonic_increasing


def test_a_participant_is_the_same_bytes_in_any_cohort_size(dataset: Path, tmp_path: Path) -> None:
    cohort = find_cohort("micro")
    larger = participants_of(cohort, Revision(2, ("MTon",), 9, ("MTon",), 0))
    person = next(p for p in larger if p.participant == frozen_participants("micro", "r1")[1])
    assert write_participant(tmp_path, "micro", person) == 1
    for path in paths_of(person.participant, "MTon").all():
        assert sha256_of(tmp_path / path) == sha256_of(dataset / path), path
    # Resuming: what is whole is left alone, what is missing is made again, the same.
    assert write_participant(tmp_path, "micro", person) == 0
    lost = tmp_path / paths_of(person.participant, "MTon").discs
    lost.unlink()
    assert write_participant(tmp_path, "micro", person) == 1
    assert sha256_of(lost) == sha256_of(dataset / paths_of(person.participant, "MTon").discs)


def test_refusals(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean 'micro'"):
        publish(tmp_path / "x", "micr0", "r1", jobs=1)
    with pytest.raises(SettingsError, match="no revision 'r9'"):
        publish(tmp_path / "x", "micro", "r9", jobs=1)
    assert not (tmp_path / "x").exists()
    with pytest.raises(DatasetError, match="another cohort"):
        publish(dataset, "demo", "r1", jobs=1)
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(DatasetError, match="not empty"):
        publish(tmp_path, "micro", "r1", jobs=1)


def test_a_revision_can_come_without_the_masks_of_what_is_new(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "bare"
    command.main([str(out), "--cohort", "micro", "--jobs", "1", "--unmasked"])
    assert git(out, "tag").split() == ["r1", "r2-images"]
    new = set(git(dataset, "diff", "--name-only", "r1", "r2").split())
    added = set(git(out, "diff", "--name-only", "r1", "r2-images").split())
    beside = {path.relative_to(truth_of(out)).as_posix() for path in truth_of(out).rglob("*") if path.is_file()}
    assert added | beside == new
    assert not added & beside
    assert not [path for path in added if path.startswith("derivatives") and "synth" not in path]
    mask = next(path for path in sorted(beside) if path.endswith("_desc-softseg_label-SC_seg.nii.gz"))
    assert (truth_of(out) / mask).read_bytes() == (dataset / mask).read_bytes()
    head = git(out, "rev-parse", "HEAD").strip()
    assert publish(out, "micro", "r2", jobs=1, masks=False) == head
    with pytest.raises(DatasetError, match="has the masks of revision r2 already; name another folder"):
        publish(dataset, "micro", "r2", jobs=1, masks=False)
