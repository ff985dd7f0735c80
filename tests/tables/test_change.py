"""Change over time: what was not measured stays visible, and is never a number."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from stages.core.base.errors import SettingsError
from stages.core.tables.change import CHANGE_COLUMNS, change_over_time


def csa(*rows: tuple[str, str, float]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["participant", "session", "csa_mm2"])
    return table.assign(dataset="set", contrast="T2w")


@pytest.mark.parametrize("missing", ["ses-1", "ses-2"])
def test_a_session_without_an_area_has_no_change(missing: str) -> None:
    values = {"ses-1": 80.0, "ses-2": 78.0} | {missing: math.nan}
    (row,) = change_over_time(csa(*(("sub-1", name, value) for name, value in values.items()))).to_dict("records")
    assert math.isnan(row["change_mm2"])
    assert math.isnan(row["change_percent"])
    assert (row["session_from"], row["session_to"]) == ("ses-1", "ses-2")


def test_one_session_and_nobody_give_no_rows() -> None:
    for table in (csa(("sub-1", "ses-1", 80.0), ("sub-2", "ses-1", 70.0)), csa()):
        found = change_over_time(table)
        assert found.empty
        assert list(found.columns) == list(CHANGE_COLUMNS)


def test_two_masks_of_one_session_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"sub-1 has 2 masks of one session \(ses-1, T2w\)"):
        change_over_time(csa(("sub-1", "ses-1", 80.0), ("sub-1", "ses-1", 81.0)))
