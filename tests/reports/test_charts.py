"""What the charts of the report show, read from their artists."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color
from support.drift_factory import version_record

from stages.core.drift.statistics.bias import t_interval
from stages.core.reports.drift_report.charts import csa_std_figure, trend_figure
from stages.core.reports.drift_report.difference_charts import bias_figure, subgroup_figure
from stages.core.reports.drift_report.wording import Shown


def test_the_bias_has_both_intervals_of_the_rule() -> None:
    """Thin: 95 %, drifted where it excludes 0. Thick: 90 %, equivalent where it lies inside the band."""
    values = np.array([0.1, 0.4, 0.2, 0.5, 0.3])
    low, high = t_interval(values, 0.05)
    inner = t_interval(values, 0.10)
    row = {"n": 5, "bias_mm2": values.mean(), "margin_mm2": 1.0, "ci_low_mm2": low, "ci_high_mm2": high}
    row |= {"inner_low_mm2": inner[0], "inner_high_mm2": inner[1]}
    nothing = {"n": 0} | dict.fromkeys(set(row) - {"n", "margin_mm2"}, np.nan) | {"margin_mm2": 0.65}
    table = pd.DataFrame([{"contrast": "T1w", **row}, {"contrast": "pooled", **nothing}])
    (axes,) = bias_figure(table, ["T1w", "pooled"]).axes
    drawn = {line.get_linewidth(): list(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2}
    assert drawn[1.2] == pytest.approx([low, high])
    bands = sorted(float(band.get_paths()[0].vertices[:, 0].max()) for band in axes.collections)
    assert bands == [0.65, 1.0], "each row over its own margin"
    assert drawn[5.0] == pytest.approx(list(t_interval(values, 0.10)))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["T1w  (n = 5)", "pooled  (n = 0)"]


@pytest.mark.parametrize(
    ("values", "says"),
    [([1.0, 2.0, 4.5], "n = 3\n2.50 ± 1.80"), ([1.0], "n = 1\n1.00"), ([np.nan], "n = 0\n–")],
)
def test_csa_std_tells_n_mean_and_sd(values: list[float], says: str) -> None:
    table = pd.DataFrame({"version": "d", "csa_std_mm2": values})
    (axes,) = csa_std_figure(table, [Shown("d", "v2", "candidate")]).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == [f"v2\n{says}"]


def test_intervals_of_two_do_not_set_the_scale() -> None:
    row = {"attribute": "everyone", "group": "everyone", "n": 6, "bias_mm2": 0.5, "ci_low_mm2": 0.0, "ci_high_mm2": 1.0}
    two = row | {"attribute": "sex", "group": "F", "n": 2, "ci_low_mm2": -40.0, "ci_high_mm2": 41.0}
    (axes,) = subgroup_figure(pd.DataFrame([row, two]), 0.65).axes
    assert axes.get_xlim() == (pytest.approx(-1.15), pytest.approx(1.15))


def test_a_version_that_does_not_compare_is_hollow() -> None:
    """A marked version: a white disc in its own colour; the others are filled with theirs."""
    versions = [
        version_record("reference", "reference", csa_std_mean_mm2=0.7),
        version_record("a", "prior", marks=["other ruler"]),
        version_record("b", "prior"),
        version_record("d"),
    ]
    shown = [Shown(one.version, f"v{k}", one.role) for k, one in enumerate(versions)]
    (axes,) = trend_figure(versions, shown, 95.0).axes
    discs = [line for line in axes.lines if line.get_marker() == "o"]
    assert [list(disc.get_xdata()) for disc in discs] == [[0], [1], [2]]
    assert [same_color(disc.get_markerfacecolor(), "white") for disc in discs] == [True, False, False]
    assert not any(same_color(disc.get_markeredgecolor(), "white") for disc in discs)
    for disc in discs[1:]:
        assert same_color(disc.get_markerfacecolor(), disc.get_markeredgecolor())
