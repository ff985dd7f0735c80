"""Which drafts come first: by uncertainty, by coverage, at random."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.annotated import items

from stages import annotate, select
from stages.core.annotation.selection.ranking import COLUMNS, COVERAGE, RANDOM, UNCERTAINTY, rank_images
from stages.core.base.errors import DatasetError, SettingsError
from stages.core.base.files import read_csv
from stages.core.data.datasets.image_features import IMAGE_FEATURES

NOTHING = pd.DataFrame(columns=["contrast", *IMAGE_FEATURES])


def _drafts(places: list[float], contrast: str = "T2w", **more: list[float]) -> pd.DataFrame:
    """Images that differ in all features alike, as far apart as their places."""
    table = pd.DataFrame(dict.fromkeys(IMAGE_FEATURES, places))
    table["image"] = [f"i{k}" for k in range(len(places))]
    table["mask_key"], table["contrast"] = "k" + table["image"], contrast
    table["uncertainty"] = more.get("uncertainty", [0.1] * len(places))
    table["doubts"] = more.get("doubts", [0.0] * len(places))
    return table


def _names(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table["image"]]


def test_doubts_come_first_and_then_what_the_model_is_uncertain_of() -> None:
    drafts = _drafts([0.0] * 5, uncertainty=[0.2, 0.9, math.nan, 0.3, 0.1], doubts=[0, 0, 0, 0, 2])
    found = rank_images(drafts, NOTHING, UNCERTAINTY, 4, 1)
    assert _names(found) == ["i4", "i2", "i1", "i3"], "an uncertainty that is not known is not small"
    assert found["reason"].iloc[0] == "in doubt, uncertainty 0.10 bits per voxel of cord"
    assert list(found.columns) == list(COLUMNS)


def test_coverage_takes_what_is_farthest_from_the_training_data_and_then_from_those_too() -> None:
    training = _drafts([0.0, 1.0])
    found = rank_images(_drafts([0.5, 10.0, 9.0, -6.0]), training, COVERAGE, 3, 1)
    assert _names(found) == ["i1", "i3", "i2"]
    both = np.array([0.0, 1.0, 0.5, 10.0, 9.0, -6.0])
    assert found["score"].tolist() == pytest.approx(np.array([9.0, 6.0, 1.0]) / both.std())
    assert found["reason"].iloc[0].startswith("farthest from the training data: ")
    assert "and those chosen before" in found["reason"].iloc[1]


def test_an_image_of_a_contrast_that_is_new_comes_before_one_that_differs_less() -> None:
    drafts = pd.concat([_drafts([0.0, 0.1, 0.2]), _drafts([0.1], "DWI").assign(image="new")], ignore_index=True)
    assert _names(rank_images(drafts, _drafts([0.0, 0.1]), COVERAGE, 1, 1)) == ["new"]


def test_without_training_data_coverage_begins_in_the_middle() -> None:
    found = rank_images(_drafts([0.0, 5.0, 9.0, 4.4]), NOTHING, COVERAGE, 3, 1)
    assert _names(found) == ["i3", "i2", "i0"]
    assert found["reason"].iloc[0] == "nearest to the middle of all images without masks"


@given(st.integers(1, 12), st.integers(0, 9), st.sampled_from([UNCERTAINTY, COVERAGE, RANDOM]))
def test_each_image_once_and_no_more_than_the_budget(budget: int, seed: int, method: str) -> None:
    drafts = _drafts([float(k % 3) for k in range(8)])
    found = rank_images(drafts, NOTHING, method, budget, seed)
    assert len(set(_names(found))) == len(found) == min(budget, 8)
    assert found["rank"].tolist() == list(range(1, len(found) + 1))
    again = rank_images(drafts.sample(frac=1, random_state=3), NOTHING, method, budget, seed)
    pd.testing.assert_frame_equal(found, again)


def test_another_seed_gives_another_random_order() -> None:
    drafts = _drafts([0.0] * 8)
    assert len({tuple(_names(rank_images(drafts, NOTHING, RANDOM, 8, seed))) for seed in range(5)}) == 5


@pytest.mark.slow
def test_the_page_begins_with_what_was_chosen(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DatasetError, match="no draft of lab waits for a decision; `cordrift annotate lab` makes them"):
        select.main(["lab", "--budget", "1"])
    annotate.main(["lab"])
    assert "B101_T1w" in items()[0]["image"], "the one in doubt comes first"
    select.main(["lab", "--budget", "2", "--by", "coverage"])
    table = read_csv(Path("reports/qc/lab/selection.csv"), text=("image",))
    assert [item["image"] for item in items()[:2]] == list(table["image"])
    assert items()[0]["chosen"].startswith("chosen as number 1: ")
    assert [item["chosen"] for item in items()[2:]] == ["", ""]
    assert "select: 2 of 4 drafts by coverage" in capsys.readouterr().out
    annotate.main(["lab", "--page-only"])
    assert [item["image"] for item in items()[:2]] == list(table["image"]), "the page keeps the selection"
    with pytest.raises(SettingsError, match="--budget is 0 and --seed 1; expected at least 1 and 0"):
        select.main(["lab", "--budget", "0"])
