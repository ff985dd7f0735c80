"""The reviewer of the demo: what passes by eye, what is to be fixed, and what nobody can judge."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stages.core.demo.check import growth_figures
from stages.core.demo.growth import growth_lines
from stages.core.demo.reviewer import MOST_AREA_ERROR, look
from stages.core.images.volumes import Volume

SHAPE = (40, 40, 24)


def _cord(radius_mm: float, slices: slice = slice(2, 22)) -> np.ndarray:
    x, y = np.meshgrid(np.arange(SHAPE[0]) - 20, np.arange(SHAPE[1]) - 20, indexing="ij")
    cord = np.zeros(SHAPE, bool)
    cord[:, :, slices] = (np.hypot(x, y) * 0.5 <= radius_mm)[:, :, None]
    return cord


def _volume(data: np.ndarray) -> Volume:
    return Volume(data.astype(np.float32), np.diag([0.5, 0.5, 3.0, 1.0]))


def _look(draft: np.ndarray, noise: float = 10.0, truth: np.ndarray | None = None):
    truth = _cord(5.0) if truth is None else truth
    image = np.where(truth, 200.0, 100.0) + np.random.default_rng(1).normal(0, noise, SHAPE)
    return look(_volume(image), _volume(draft), _volume(truth))


def test_the_truth_itself_passes() -> None:
    seen = _look(_cord(5.0))
    assert (seen.mark, seen.wrong, seen.dice, seen.area_error) == ("pass", False, 1.0, 0.0)


def test_a_border_that_is_a_quarter_of_a_millimetre_off_passes_by_eye_and_is_wrong() -> None:
    seen = _look(_cord(5.25))
    assert (seen.mark, seen.wrong) == ("pass", True)
    assert seen.area_error > MOST_AREA_ERROR
    assert seen.dice > 0.93


@pytest.mark.parametrize(
    "draft",
    [_cord(6.2), _cord(4.0), np.roll(_cord(5.0), 4, axis=0), _cord(5.0, slice(2, 18))],
    ids=["too large", "too small", "beside the cord", "too short"],
)
def test_what_a_person_sees_is_to_be_fixed(draft: np.ndarray) -> None:
    assert _look(draft).mark == "fix"


def test_one_section_that_is_wrong_is_enough() -> None:
    draft = _cord(5.0)
    draft[:, :, 21] = np.roll(draft[:, :, 21], 8, axis=0)
    assert _look(draft).mark == "fix"


def test_an_image_in_which_the_cord_drowns_fails() -> None:
    assert _look(_cord(5.0), noise=400.0).mark == "fail"


def _seen(**changes: object) -> pd.DataFrame:
    rows = [{"contrast": "T1w", "model": "m1", "mark": "pass", "wrong": False, "area_error": 0.01, "dice": 0.95}] * 9
    rows += [{"contrast": "DWI", "model": "m2", "mark": "fix", "wrong": True, "area_error": 0.2, "dice": 0.8}]
    table = pd.DataFrame(rows)
    for name, value in changes.items():
        table.loc[0, name] = value
    return table


def test_the_table_counts_what_became_of_each_contrast() -> None:
    lines = [line.split() for line in growth_lines(_seen(wrong=True))]
    assert lines[2] == ["DWI", "m2", "1", "0", "1", "(100%)", "0", "0", "0", "–"]
    assert lines[3] == ["T1w", "m1", "9", "9", "0", "(0%)", "0", "0", "1", "+1.0%"]
    assert lines[4][:6] == ["all", "2", "models", "10", "9", "1"]


def test_the_figures_of_the_growth_can_fail() -> None:
    assert [figure.good for figure in growth_figures(_seen())] == [True, True]
    assert [figure.good for figure in growth_figures(_seen(dice=0.87))] == [True, False]
    few = _seen()
    few.loc[:1, "mark"] = ""
    assert [figure.good for figure in growth_figures(few)] == [False, True]
