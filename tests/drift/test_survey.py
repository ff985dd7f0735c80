"""What is said of the frozen set beside the training data, and of new training data beside those before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.core.base.errors import PipelineError
from stages.core.data.datasets.image_features import IMAGE_FEATURES
from stages.core.drift.inputs.settings import Survey
from stages.core.drift.inputs.survey import (
    MEANING,
    compare_inputs,
    read_survey,
    training_rows,
    write_survey,
)
from stages.core.model.lineage.manifest import TrainedImage, TrainingData
from stages.core.reports.inputs.chart import inputs_figure

SETTINGS = Survey(permutations=1999, alpha=0.05, seed=1)


def _images(people: range, contrasts: str = "xy", vendor: str = "S", **moved: float) -> pd.DataFrame:
    rows = []
    for k in people:
        for contrast in contrasts:
            rng = np.random.default_rng([k, ord(contrast)])
            features = {name: float(rng.normal()) + moved.get(name, 0.0) for name in IMAGE_FEATURES}
            who = {"dataset": "d", "participant": f"sub-{k:03d}", "session": "", "contrast": contrast}
            more = {"manufacturer": vendor, "sex": "F", "pathology": "HC", "age_years": 30.0 + k % 9}
            key = f"SHA256E-s1--{k:03d}{ord(contrast):03d}" + "0" * 58
            rows.append(who | features | more | {"field_strength_t": 3.0, "image_key": key})
    return pd.DataFrame(rows)


def _trained(table: pd.DataFrame) -> TrainingData:
    cases = {
        f"{row['participant']}_{row['contrast']}": TrainedImage(
            f"{row['participant']}_{row['contrast']}", "d", row["participant"], "", row["contrast"], row["image_key"],
            "SHA256E-s1--" + "1" * 64, "", "",
        )
        for row in table.to_dict("records")
    }  # fmt: skip
    return TrainingData({"d": ("r1", "0" * 40)}, cases)


def test_a_frozen_set_of_the_same_kind_differs_in_nothing() -> None:
    found, shifts = compare_inputs(_images(range(30)), _images(range(100, 120)), None, SETTINGS)
    assert [one.differs for one in found] == [False]
    assert (
        found[0].said[0].startswith("No difference between the frozen set (20 participants) and the training data (30)")
    )
    assert (found[0].people, found[0].images) == ((30, 20), (60, 40))
    assert not shifts["differs"].any()


def test_a_shift_that_was_put_in_is_named_with_what_it_is() -> None:
    frozen = _images(range(100, 120), vendor="G", border_contrast=2.0)
    found, shifts = compare_inputs(_images(range(30)), frozen, None, SETTINGS)
    assert set(shifts.loc[shifts["differs"], "feature"]) == {"border_contrast", "manufacturer"}
    assert "contrast-to-noise at the border of the cord (" in found[0].said[0]
    assert "vendor (G, not S; distance 1.00" in found[0].said[0]
    assert found[0].differs
    assert found[0].said[1] == ("The frozen set has no participant from a scanner of S (30 in the training data).")


def test_a_contrast_that_the_frozen_set_lacks_is_named() -> None:
    found, _ = compare_inputs(_images(range(20), "xyz"), _images(range(100, 115)), None, SETTINGS)
    assert found[0].said[1] == "The frozen set has no image of the contrast z (20 in the training data)."
    assert found[0].differs


def test_new_training_data_are_compared_with_those_of_the_champion() -> None:
    old, new = _images(range(20)), _images(range(200, 215), "xyz", cord_mean=3.0)
    found, shifts = compare_inputs(pd.concat([old, new]), _images(range(100, 115)), _trained(old), SETTINGS)
    assert found[1].people == (20, 15)
    own = shifts[shifts["b"] == "new training data"]
    assert set(own.loc[own["differs"], "feature"]) == {"cord_mean"}
    assert found[1].said[1] == "The training data before had no image of the contrast z (15 in the new training data)."


def test_new_images_of_old_participants_are_no_new_participants() -> None:
    old = _images(range(20))
    found, shifts = compare_inputs(_images(range(20), "xyz"), _images(range(100, 115)), _trained(old), SETTINGS)
    assert found[1].said[0] == "The new training data have no participant who was not there before."
    assert found[1].images == (40, 20)
    assert set(shifts["b"]) == {"frozen set"}


def test_only_images_of_the_training_count_and_synthetic_ones_do_not() -> None:
    table = _images(range(3))
    trained = _trained(table[table["participant"] != "sub-002"])
    synthetic = TrainedImage(
        "s", "d", "sub-s", "", "synth", "SHA256E-s1--" + "2" * 64, "SHA256E-s1--" + "3" * 64, "", ""
    )
    trained.cases["s"] = synthetic
    rows = training_rows(table.drop(columns="image_key"), trained)
    assert sorted(set(rows["participant"])) == ["sub-000", "sub-001"]
    assert rows["image_key"].notna().all()


def test_what_was_written_is_read_and_drawn(tmp_path: Path) -> None:
    found, shifts = compare_inputs(_images(range(12)), _images(range(100, 110)), None, SETTINGS)
    write_survey(tmp_path, found, shifts)
    read, table = read_survey(tmp_path)
    assert read[0]["said"] == list(found[0].said)
    assert list(table["feature"]) == list(shifts["feature"])
    labels = [text.get_text() for text in inputs_figure(table, MEANING).axes[0].get_yticklabels()]
    assert labels[0] == MEANING["spacing_x_mm"]
    assert read_survey(tmp_path / "none")[0] == []
    (tmp_path / "survey.json").write_text('{"schema": 1}')
    with pytest.raises(PipelineError, match=r"survey.json has no comparisons; run `dvc repro survey`"):
        read_survey(tmp_path)
