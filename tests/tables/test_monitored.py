"""The monitored number: which rows of measures.csv are read, and which of them are failures."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from support.drift_factory import CONTRASTS, FLAT, older, version

from stages.core.measures.morphometry.table import as_table
from stages.core.tables.monitored import csa_of_mask, monitored_pair, monitored_slices, range_csa

CASE = {"dataset": "set", "participant": "sub-a", "session": "", "contrast": "T1w", "kind": "binary"}
PREDICTED = CASE | {"source": "prediction", "scope": "range", "levels": "C2-C3", "csa_mm2": 70.0}


def test_only_the_monitored_series_is_read() -> None:
    """Soft masks, references, single levels and other ranges lie in the same table."""
    others = [{"kind": "soft"}, {"source": "reference"}, {"scope": "level", "levels": ""}, {"levels": "C3-C4"}]
    table = as_table([PREDICTED, *(PREDICTED | other | {"csa_mm2": 99.0} for other in others)])
    assert range_csa(table, "prediction", "C2-C3")["csa_mm2"].tolist() == [70.0]
    assert range_csa(version(FLAT).measures, "prediction", "C2-C3")["csa_mm2"].between(70, 74).all()


@pytest.mark.parametrize("flags", ["failed", "empty_mask", "check:oblique;empty_mask", "failed;check:oblique"])
def test_a_missing_or_empty_mask_is_a_failure(flags: str) -> None:
    table = as_table([PREDICTED | {"csa_mm2": math.nan, "flags": flags}])
    assert range_csa(table, "prediction", "C2-C3")["failed"].tolist() == [True]


@pytest.mark.parametrize("flags", ["", "level_not_covered", "no_levels", "lost", "check:failed_oblique"])
def test_what_is_not_covered_or_not_delivered_is_no_failure(flags: str) -> None:
    table = as_table([PREDICTED | {"csa_mm2": math.nan, "flags": flags}])
    assert range_csa(table, "prediction", "C2-C3")["failed"].tolist() == [False]


def test_a_pair_has_the_rows_of_each_version() -> None:
    new, old = version(FLAT).measures, older({"sub-0": [60.0] * 6}).measures
    rows = monitored_pair(new, old, "C2-C3")
    assert [len(table) for table in rows] == [5 * len(CONTRASTS), len(CONTRASTS)]
    assert rows[1]["csa_mm2"].tolist() == [60.0] * 6
    references = monitored_pair(new, old, "C2-C3", "reference")
    assert set(pd.concat(references)["csa_mm2"]) == {75.0}


def test_slices_are_those_of_known_level() -> None:
    piece = PREDICTED | {"scope": "slice", "levels": "", "slice": 7, "level": 2}
    unknown, soft = piece | {"slice": 8, "level": None}, piece | {"kind": "soft"}
    table = as_table([PREDICTED, piece, unknown, soft, piece | {"source": "reference"}])
    assert monitored_slices(table)["slice"].tolist() == [7]


def test_one_mask_has_one_number() -> None:
    assert csa_of_mask(as_table([{"scope": "slice", "csa_mm2": 1.0}, {"scope": "range", "csa_mm2": 70.5}])) == 70.5
