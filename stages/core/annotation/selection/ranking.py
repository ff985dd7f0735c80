"""Which images a person looks at first: those of which the model is uncertain, those unlike the others, or any.

Whether a clever choice is better than a random one is an open question: ``make bench-select`` compares them on
generated people. All three give the reason for each image.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...data.datasets.image_features import IMAGE_FEATURES

UNCERTAINTY, COVERAGE, RANDOM = "uncertainty", "coverage", "random"
#: Columns of the result.
COLUMNS = ("rank", "image", "mask_key", "contrast", "method", "score", "reason")
#: How far two contrasts are apart, in standard deviations of a feature.
CONTRAST_SD = 3.0
Floats = NDArray[np.float64]


def rank_images(drafts: pd.DataFrame, training: pd.DataFrame, method: str, budget: int, seed: int) -> pd.DataFrame:
    """Return the first ``budget`` images by a method, with ``COLUMNS``; all of them where there are fewer.

    Parameters
    ----------
    drafts : columns image, mask_key, contrast, uncertainty (bits per voxel of cord), doubts (their number) and, for
        ``coverage``, ``IMAGE_FEATURES``
    training : contrast and ``IMAGE_FEATURES`` of the images on which the model was trained; may have no rows
    method : ``uncertainty``: drafts in doubt, then by falling uncertainty. ``coverage``: greedily the image that is
        farthest from the training data and from those chosen before (k-centre, Sener and Savarese 2018,
        arXiv:1708.00489). ``random``: any order
    budget : number of images, at least 1
    seed : of the random order, and of the order of equal ones
    """
    # Equal images come in a random order, so that the first of a table are not always the ones.
    shuffled = drafts.sort_values("image").sample(frac=1, random_state=np.random.default_rng(seed))
    chosen = {UNCERTAINTY: _by_uncertainty, COVERAGE: _by_coverage(training), RANDOM: _by_chance}[method](
        shuffled, budget
    )
    table = shuffled.loc[[index for index, _, _ in chosen], ["image", "mask_key", "contrast"]].reset_index(drop=True)
    table["score"], table["reason"] = [one[1] for one in chosen], [one[2] for one in chosen]
    return table.assign(rank=range(1, len(table) + 1), method=method)[list(COLUMNS)]


_Chosen = list[tuple[object, float, str]]


def _by_uncertainty(drafts: pd.DataFrame, budget: int) -> _Chosen:
    ordered = drafts.sort_values(["doubts", "uncertainty"], ascending=False, na_position="first", kind="stable")
    # Whatever the number of doubts, one is enough to come first.
    ordered = pd.concat([ordered[ordered["doubts"] > 0], ordered[ordered["doubts"] == 0]])
    rows: _Chosen = []
    for index, row in ordered.head(budget).iterrows():
        bits = f"uncertainty {row['uncertainty']:.2f} bits per voxel of cord"
        reason = f"in doubt, {bits}" if row["doubts"] else bits
        rows.append((index, float(row["uncertainty"]), reason))
    return rows


def _by_chance(drafts: pd.DataFrame, budget: int) -> _Chosen:
    return [(index, math.nan, "chosen at random") for index in drafts.head(budget).index]


def _by_coverage(training: pd.DataFrame) -> Callable[[pd.DataFrame, int], _Chosen]:
    def choose(drafts: pd.DataFrame, budget: int) -> _Chosen:
        both = pd.concat([training, drafts], ignore_index=True)
        places = _places(both)
        known, open_ = places[: len(training)], places[len(training) :]
        rows: _Chosen = []
        if len(known):
            far = np.min(np.stack([np.linalg.norm(open_ - one, axis=1) for one in known]), axis=0)
            said = "from the training data"
        else:
            first = int(np.argmin(np.linalg.norm(open_ - open_.mean(axis=0), axis=1)))
            rows.append((drafts.index[first], 0.0, "nearest to the middle of all images without masks"))
            far = np.linalg.norm(open_ - open_[first], axis=1)
            said = "from those chosen before"
        while len(rows) < min(budget, len(drafts)):
            far = np.where([index in {one[0] for one in rows} for index in drafts.index], -1.0, far)
            best = int(np.argmax(far))
            reason = f"farthest {said}: {far[best]:.2f} SD in the mean over the features"
            rows.append((drafts.index[best], float(far[best]), reason))
            far = np.minimum(far, np.linalg.norm(open_ - open_[best], axis=1))
            said = "from the training data and those chosen before" if len(known) else said
        return rows

    return choose


def _places(table: pd.DataFrame) -> Floats:
    """Return a point for each image, so that a distance is the root mean square over features, in SD."""
    values = table[list(IMAGE_FEATURES)].to_numpy(dtype=np.float64)
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    middle = np.where(known, values, 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, (values - middle) ** 2, 0.0).sum(axis=0) / count)
    # A feature that is not defined for an image lies in the middle, and one that never varies says nothing.
    scaled = np.where(known & (spread > 1e-9), (values - middle) / np.where(spread > 1e-9, spread, 1.0), 0.0)
    kinds = sorted(set(table["contrast"]))
    own = (table["contrast"].to_numpy(dtype=object)[:, None] == np.array(kinds, dtype=object)).astype(np.float64)
    return np.hstack([scaled / math.sqrt(len(IMAGE_FEATURES)), own * CONTRAST_SD / math.sqrt(2)])
