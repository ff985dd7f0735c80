"""Masks that miss the cord are failures and no measurements."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from support.drift_factory import CONTRASTS, FLAT, RULE, older, version

from stages.core.drift.judgement.comparison import compare
from stages.core.drift.versions.validity import validated
from stages.core.drift.versions.version import MeasuredVersion, Prior
from stages.core.measures.morphometry.table import as_table
from stages.core.tables.columns import AGREEMENT_COLUMNS


def off_cord(made: MeasuredVersion, contrast: str, dice: float = 0.004) -> MeasuredVersion:
    """The version with masks of one contrast that miss the cord."""
    made.agreement.loc[made.agreement["contrast"] == contrast, "dice"] = dice
    return made


def with_slices(away_mm: float, dice: float = 0.9) -> MeasuredVersion:
    """One case of three slices, whose prediction lies ``away_mm`` beside the reference."""
    case = {"dataset": "set", "participant": "sub-0", "session": "", "contrast": "T1w", "kind": "binary"}
    rows = []
    for source, x in (("prediction", away_mm), ("reference", 0.0)):
        common = case | {"source": source, "flags": "", "csa_mm2": 75.0}
        rows.append(common | {"scope": "range", "levels": "C2-C3"})
        rows += [
            common | {"scope": "slice", "slice": k, "level": 2, "range_share": 0.3, "x_mm": x, "y_mm": 1.0}
            for k in range(3)
        ]
    agreement = pd.DataFrame(
        [case | {"dice": dice, "csa_error_mm2": 0.0, "flags": ""}], columns=list(AGREEMENT_COLUMNS)
    )
    made = version(FLAT)
    return MeasuredVersion(made.series, "", (), as_table(rows), agreement)


def test_a_factor_and_a_bias_leave_out_masks_that_miss_the_cord() -> None:
    """The old version's DWI masks lie beside the cord and measure half of it; all else is the same."""
    values = {sub: [*row[:5], row[5] / 2] for sub, row in FLAT.items()}
    before = off_cord(older(values), "DWI")
    result = compare(
        version(FLAT), [Prior(before.series, "v1", ("champion", "anchor"), before)],
        contrasts=CONTRASTS, rule=RULE, offline=False,
    )  # fmt: skip
    bias = result.bias.set_index("contrast")
    assert (bias.loc["DWI", "n"], bias.loc["pooled", "bias_mm2"]) == (0, 0.0)
    pooled = result.conversion[(result.conversion["metric"] == "csa_mm2") & (result.conversion["contrast"] == "pooled")]
    assert pooled["factor"].tolist() == [1.0]
    prior = next(one for one in result.drift.versions if one.role == "prior")
    assert (prior.failed, prior.off_cord, prior.cases) == (5, 5, 30)
    listed = result.failures[result.failures["version"] == before.series.bundle]
    assert set(listed["failure"]) == {"off_cord"}
    assert listed["dice"].tolist() == [0.004] * 5


def test_right_areas_beside_the_cord_do_not_pass() -> None:
    """A candidate with Dice 0 everywhere and exactly the areas of the champion."""
    candidate, before = version(FLAT), older(FLAT)
    for contrast in CONTRASTS:
        off_cord(candidate, contrast, 0.0)
    verdict = compare(
        candidate, [Prior(before.series, "v1", ("champion", "anchor"), before)],
        contrasts=CONTRASTS, rule=RULE, offline=False,
    ).drift.verdict  # fmt: skip
    assert (verdict.drift, verdict.quality, verdict.passed) == ("inconclusive", "worse", False)


@pytest.mark.parametrize(
    ("away", "dice", "failed"), [(2.9, 0.9, False), (3.1, 0.9, True), (0.0, 0.49, True), (0.0, 0.5, False)]
)
def test_either_number_makes_a_failure(away: float, dice: float, failed: bool) -> None:
    valid, failures = validated(with_slices(away, dice), 0.5, 3.0)
    assert failures["failure"].tolist() == ["off_cord"] * failed
    row = valid.measures[(valid.measures["scope"] == "range") & (valid.measures["source"] == "prediction")].iloc[0]
    assert math.isnan(row["csa_mm2"]) is failed
    assert ("off_cord" in row["flags"]) is failed
    predicted = valid.measures[(valid.measures["scope"] == "slice") & (valid.measures["source"] == "prediction")]
    assert len(predicted) == (0 if failed else 3)
    assert math.isnan(valid.agreement["csa_error_mm2"].iloc[0]) is failed
    if failed:
        assert failures[["dice", "centreline_mm"]].iloc[0].tolist() == pytest.approx([dice, away])


def test_without_a_reference_nothing_is_said() -> None:
    made = version(FLAT, truth=None)
    valid, failures = validated(made, 0.5, 3.0)
    assert failures.empty
    pd.testing.assert_frame_equal(valid.measures, made.measures)


def test_the_reference_keeps_its_area() -> None:
    valid, _ = validated(with_slices(9.0), 0.5, 3.0)
    assert valid.measures.loc[valid.measures["source"] == "reference", "csa_mm2"].tolist() == [75.0] * 4
