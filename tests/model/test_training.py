"""What a bundle says of its training, in words and as curves."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from stages.core.base.files import write_csv, write_json
from stages.core.model.lineage.training import read_training, told_folds
from stages.core.reports.drift_report.charts import training_figure

SETTINGS = {
    "epochs": 13,
    "iterations": 110,
    "device": "cpu",
    "plan": {"patch_size": [32, 48, 48], "batch_size": 2},
    "optimiser": {"name": "AdamW", "learning_rate": 0.003},
}


def bundle(root: Path) -> Path:
    keys = {"dataset": "d", "contrast": "T1w", "image_key": "k", "mask_key": "m"}
    cases = [{"case": name, "participant": name[0], **keys} for name in ("a1", "a2", "b1", "c1")]
    folds = [{"train": ["a1", "a2", "b1"], "val": ["c1"]}, {"train": ["c1"], "val": ["a1", "a2", "b1"]}]
    datasets = {"d": {"tag": "r1", "commit": "c" * 40}}
    write_json(root / "training_data.json", {"cases": cases, "folds": folds, "datasets": datasets})
    training = {str(fold): {"settings": SETTINGS} for fold in (0, 10)}
    write_json(root / "provenance.json", {"code": "x", "training": training})
    for fold, slow in ((0, 60.0), (10, 1000.0)):
        curve = {"epoch": [0, 1], "train_loss": [0.5, 0.2], "val_loss": [0.6, 0.3], "dice": [0.1, 0.9], "seconds": slow}
        write_csv(root / f"fold_{fold}/progress.csv", pd.DataFrame(curve))
    return root


def test_data_budget_and_time_are_told(tmp_path: Path) -> None:
    found = read_training(bundle(tmp_path))
    assert found.rows == (
        ("labels", "4 masks delivered with the data"),
        ("data", "fold 0 trains on 3 images of 2 participants, validates on 1 image of 1 participant"),
        ("data", "fold 1 trains on 1 image of 1 participant, validates on 3 images of 2 participants"),
        ("datasets", "d r1 (cccccccccccc)"),
        ("budget", "13 epochs of 110 iterations for each fold"),
        ("batch", "2 patches of 32 × 48 × 48 voxels (z, y, x)"),
        ("optimiser", "AdamW, learning rate 0.003"),
        ("time of all epochs", "35 min on cpu"),
    )
    assert found.curves["fold"].tolist() == [0, 0, 10, 10]


@pytest.mark.parametrize("broken", ["training_data.json", "provenance.json", "fold_0/progress.csv"])
def test_what_a_bundle_does_not_record_is_left_out(tmp_path: Path, broken: str) -> None:
    root = bundle(tmp_path)
    (root / broken).unlink()
    found = read_training(root)
    assert ("data" in dict(found.rows)) == (broken != "training_data.json")
    assert ("budget" in dict(found.rows)) == (broken != "provenance.json")
    assert set(found.curves["fold"]) == ({10} if "fold_0" in broken else {0, 10})


@pytest.mark.parametrize(
    "training",
    [[1], {"0": 7}, {"0": {"settings": "x"}}, {"0": {"settings": {"plan": 3, "optimiser": [], "epochs": 2}}}],
)
def test_a_bundle_from_elsewhere_may_hold_anything_beside_its_weights(tmp_path: Path, training: object) -> None:
    root = bundle(tmp_path)
    write_json(root / "provenance.json", {"training": training})
    write_csv(root / "fold_0/progress.csv", pd.DataFrame({"epoch": [0], "dice": ["<b>"]}))
    found = read_training(root)
    assert found.curves[found.curves["fold"] == 0]["dice"].isna().all()
    assert "batch" not in dict(found.rows)
    assert "time of all epochs" not in dict(found.rows)


def test_a_case_that_the_manifest_lacks_counts_as_a_person() -> None:
    assert told_folds({"cases": [], "folds": [{"train": ["x"], "val": []}]}) == [
        "fold 0 trains on 1 image of 1 participant, validates on 0 images of 0 participants"
    ]


def test_each_fold_has_its_curves(tmp_path: Path) -> None:
    loss, dice = training_figure(read_training(bundle(tmp_path)).curves).axes
    assert [line.get_xdata().tolist() for line in loss.lines] == [[1, 2]] * 4
    assert [text.get_text() for text in dice.get_legend().get_texts()] == ["fold 0", "fold 10"]
    assert dice.lines[1].get_ydata().tolist() == [0.1, 0.9]
