"""Whether two groups of participants look alike in features of their images: distances with permutation p values.

A number is compared by the Wasserstein distance (the area between two cumulative distributions) in standard
deviations of all values, within each contrast, and the mean over contrasts is taken. A category, such as the vendor, is
compared by the Jensen-Shannon distance (0: the same shares, 1: nothing in common; Lin 1991, doi:10.1109/18.61115).
Participants are permuted, with all their images, so that many images of one person count as one person. p values are
adjusted by Holm's method over all features.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .multiplicity import holm

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
PERSON = ["dataset", "participant"]
#: Columns of the result.
COLUMNS = (
    "feature", "kind", "people_a", "people_b", "contrasts", "distance", "expected", "p", "p_holm",
    "typical_a", "typical_b",
)  # fmt: skip
NUMBER, CATEGORY = "number", "category"


def input_shifts(
    table: pd.DataFrame,
    in_b: Sequence[bool],
    numbers: Sequence[str],
    of_people: Sequence[str],
    categories: Sequence[str],
    permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Compare group b with group a in each feature.

    Parameters
    ----------
    table : columns dataset, participant, contrast and the features; a row for each image
    in_b : whether an image is in group b; all images of a person are in one group
    numbers : features of images, compared within each contrast that both groups have
    of_people : numbers that belong to a person, such as the age
    categories : texts that belong to a person; ``""`` where it is not known
    permutations : at least 1
    seed : of the permutations

    Returns
    -------
    ``COLUMNS``, a row for each feature: people of each group with a value, number of contrasts compared, distance, the
    distance below which 95 % of the permutations stay, p and adjusted p, and the median or the most frequent category
    of each group. Distance and p are NaN where a group has no value.
    """
    groups = table.assign(b=list(in_b)).groupby(PERSON)["b"].first()
    people = groups.index
    observed = groups.to_numpy(dtype=bool)
    rng = np.random.default_rng(seed)
    # The first row is how it is, the others are permuted.
    labels = np.stack([observed, *(rng.permutation(observed) for _ in range(permutations))])
    by_person = table.groupby(PERSON).first().reindex(people)
    rows = []
    for name in numbers:
        wide = table.pivot_table(index=PERSON, columns="contrast", values=name, aggfunc="mean").reindex(people)
        rows.append(_number_row(name, wide, labels))
    rows += [_number_row(name, by_person[[name]], labels) for name in of_people]
    rows += [_category_row(name, by_person[name].fillna(""), labels) for name in categories]
    result = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "p_holm"])
    result.insert(COLUMNS.index("p_holm"), "p_holm", holm(result["p"].to_numpy(dtype=np.float64)))
    return result


def _number_row(name: str, wide: pd.DataFrame, labels: Flags) -> list[object]:
    """Compare the columns of a table (people x contrasts) and take the mean of those that both groups have."""
    distances, counted, typical = [], np.zeros(len(wide), bool), []
    for contrast in wide.columns:
        values = wide[contrast].to_numpy(dtype=np.float64)
        known = np.isfinite(values)
        a, b = values[known & ~labels[0]], values[known & labels[0]]
        if len(a) and len(b):
            distances.append(wasserstein(values[known], labels[:, known]))
            counted |= known
            typical.append([np.median(a), np.median(b)])
    if not distances:
        return _undefined(name, NUMBER)
    # A permutation can leave a group of a rare contrast empty; the others still count.
    sums = np.nansum(distances, axis=0) / np.maximum(np.isfinite(distances).sum(axis=0), 1)
    middle = np.mean(typical, axis=0)
    return _row(name, NUMBER, labels[0], counted, len(distances), sums, [f"{value:.4g}" for value in middle])


def _category_row(name: str, values: pd.Series, labels: Flags) -> list[object]:
    known = (values != "").to_numpy()
    if not (known & labels[0]).any() or not (known & ~labels[0]).any():
        return _undefined(name, CATEGORY)
    kept = values[known]
    distances = jensen_shannon(kept.to_numpy(dtype=str), labels[:, known])
    most = [kept[labels[0][known] == flag].mode().iloc[0] for flag in (False, True)]
    return _row(name, CATEGORY, labels[0], known, 1, distances, most)


def _row(
    name: str, kind: str, group: Flags, counted: Flags, contrasts: int, distances: Floats, typical: Sequence[str]
) -> list[object]:
    # The margin is for rounding: a permutation that gives the same groups must count.
    p = float(np.mean(distances >= distances[0] - 1e-9))
    expected = float(np.quantile(distances[1:], 0.95))
    sizes = [int((counted & ~group).sum()), int((counted & group).sum())]
    return [name, kind, *sizes, contrasts, float(distances[0]), expected, p, *typical]


def _undefined(name: str, kind: str) -> list[object]:
    return [name, kind, 0, 0, 0, np.nan, np.nan, np.nan, "", ""]


def wasserstein(values: Floats, labels: Flags) -> Floats:
    """Return the Wasserstein distance of two groups, in standard deviations of all values, for each labelling.

    It is 0 where all values are the same, and NaN where a labelling leaves a group empty.

    Parameters
    ----------
    values : (n,)
    labels : (k, n), whether each value is in the second group
    """
    order = np.argsort(values, kind="stable")
    ascending, second = values[order], labels[:, order]
    spread = float(values.std())
    sizes = np.stack([(~second).sum(axis=1), second.sum(axis=1)]).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.abs(np.cumsum(~second, axis=1) / sizes[0][:, None] - np.cumsum(second, axis=1) / sizes[1][:, None])
    # Distances between equal groups of values differ by rounding only.
    area = gap[:, :-1] @ np.diff(ascending)
    varied = spread > 1e-12 * max(float(np.abs(ascending).max()), 1.0)
    return np.where(sizes.min(axis=0) > 0, area / spread if varied else 0.0, np.nan)


def jensen_shannon(values: NDArray[np.str_], labels: Flags) -> Floats:
    """Return the Jensen-Shannon distance of two groups to base 2 (0 to 1), for each labelling.

    Parameters
    ----------
    values : (n,) categories
    labels : (k, n), whether each value is in the second group
    """
    kinds = np.unique(values)
    each = (values[:, None] == kinds).astype(np.float64)
    counts = np.stack([(~labels) @ each, labels @ each])
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = counts / counts.sum(axis=2, keepdims=True)
        middle = shares.mean(axis=0)
        parts = np.where(shares > 0, shares * np.log2(shares / middle), 0.0)
    bits = np.asarray(parts.sum(axis=2).mean(axis=0), dtype=np.float64)
    distances: Floats = np.sqrt(np.clip(bits, 0.0, 1.0))
    return distances
