"""Whether the frozen set still looks like the training data, and new training data like those before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ...base.errors import PipelineError
from ...base.files import read_csv, read_json, write_csv, write_json
from ...data.datasets.image_features import IMAGE_FEATURES
from ...data.datasets.manifest import SYNTHETIC
from ...model.lineage.manifest import TrainingData, contents
from ..statistics.input_shift import COLUMNS, PERSON, input_shifts
from .settings import Survey

#: Files of the stage: a row for each feature of each comparison, and what it comes to in sentences.
SHIFTS, SURVEY = "shifts.csv", "survey.json"
TRAINING, FROZEN = "training data", "frozen set"
BEFORE, NEW = "training data before", "new training data"
OF_PEOPLE: dict[str, str] = {"age_years": "age"}
CATEGORIES: dict[str, str] = {
    "manufacturer": "vendor", "field_strength": "field strength", "sex": "sex", "pathology": "pathology",
}  # fmt: skip
#: What each feature is, in words.
MEANING: dict[str, str] = IMAGE_FEATURES | OF_PEOPLE | CATEGORIES
_CASE = ["dataset", "participant", "session", "contrast"]
#: What one side can lack: column of the features -> how a sentence names it.
_THINGS = {
    "contrast": "image of the contrast",
    "pathology": "participant with the pathology",
    "manufacturer": "participant from a scanner of",
}
#: Most features, and most values of one kind, that a sentence names.
MOST_NAMED = 5


@dataclass(frozen=True)
class Comparison:
    """Two groups of images side by side.

    Attributes
    ----------
    a, b : what the groups are called
    people, images : of a, of b
    said : what was found, a sentence each; the first one is the result
    differs : whether a feature differs, or b lacks a contrast of a
    """

    a: str
    b: str
    people: tuple[int, int]
    images: tuple[int, int]
    said: tuple[str, ...]
    differs: bool


def training_rows(features: pd.DataFrame, training: TrainingData) -> pd.DataFrame:
    """Return the features of the images on which the model is trained, with ``image_key``; synthetic ones are left out.

    Parameters
    ----------
    features : of all datasets, as ``read_features`` returns them
    training : the manifest of ``prepare``
    """
    cases = [[*(getattr(case, name) for name in _CASE), case.image_key] for case in training.cases.values()]
    table = pd.DataFrame(cases, columns=[*_CASE, "image_key"]).merge(features, on=_CASE, how="left", validate="1:1")
    return table[table["contrast"] != SYNTHETIC].reset_index(drop=True)


def compare_inputs(
    training: pd.DataFrame, frozen: pd.DataFrame, before: TrainingData | None, settings: Survey
) -> tuple[list[Comparison], pd.DataFrame]:
    """Compare the training data with the frozen set, and what is new in them with what the champion was trained on.

    Parameters
    ----------
    training : as :func:`training_rows` returns it
    frozen : the same columns, of the images that are monitored
    before : training data of the champion; None where there is none, and then only the first comparison is made
    settings : how groups are compared

    Returns
    -------
    The comparisons; and of each ``a``, ``b``, the columns of ``input_shifts``, and whether a feature ``differs``.
    """
    pairs = [(TRAINING, FROZEN, training, frozen)]
    if before is not None:
        seen = contents(case.image_key for case in before.cases.values())
        known = training["image_key"].map(lambda key: next(iter(contents([key]))) in seen)
        pairs.append((BEFORE, NEW, training[known], training[~known]))
    found, tables = [], []
    for a, b, left, right in pairs:
        comparison, shifts = _compare(a, b, left, right, settings)
        found.append(comparison)
        differs = shifts["p_holm"] <= settings.alpha
        tables.append(shifts.assign(a=a, b=b, differs=differs)[["a", "b", *COLUMNS, "differs"]])
    return found, pd.concat(tables, ignore_index=True)


def _compare(
    a: str, b: str, left: pd.DataFrame, right: pd.DataFrame, settings: Survey
) -> tuple[Comparison, pd.DataFrame]:
    # A person who stands on both sides is one of the first: new images of old people are counted, and not compared.
    old = set(map(tuple, left[PERSON].drop_duplicates().to_numpy()))
    fresh = right[[tuple(row) not in old for row in right[PERSON].to_numpy()]]
    people = tuple(len(side[PERSON].drop_duplicates()) for side in (left, fresh))
    images = (len(left), len(right))
    shifts = pd.DataFrame(columns=list(COLUMNS))
    if people[0] and people[1]:
        both = pd.concat([left, fresh], ignore_index=True)
        both["field_strength"] = [f"{value:g} T" if value == value else "" for value in both["field_strength_t"]]
        in_b = [False] * len(left) + [True] * len(fresh)
        names = (list(IMAGE_FEATURES), list(OF_PEOPLE), list(CATEGORIES))
        shifts = input_shifts(both, in_b, *names, settings.permutations, settings.seed)
    else:
        shifts = shifts.astype({"p_holm": float, "distance": float, "expected": float})
    said = list(_findings(a, b, shifts, people, settings.alpha))
    lacking = list(_lacking(b, left, right))
    differs = bool((shifts["p_holm"] <= settings.alpha).any()) or bool(lacking)
    return Comparison(a, b, (people[0], people[1]), images, (*said, *lacking), differs), shifts


def _findings(a: str, b: str, shifts: pd.DataFrame, people: Sequence[int], alpha: float) -> Iterator[str]:
    groups = f"{b} ({people[1]} participants) and the {a} ({people[0]})"
    if b == NEW and not people[1]:
        yield f"The {b} have no participant who was not there before."
        return
    if shifts.empty:
        yield f"Not compared, because a side is empty: {groups}."
        return
    moved = shifts[shifts["p_holm"] <= alpha].sort_values("distance", ascending=False)
    compared = int(shifts["p"].notna().sum())
    if moved.empty:
        least = shifts.loc[shifts["kind"] == "number", "expected"].median()
        yield (
            f"No difference between the {groups} was found in {compared} features. By chance alone the distance of a "
            f"number reaches {least:.2f} SD here (median over the features), so that smaller shifts are not seen."
        )
        return
    named = [
        f"{MEANING[str(row['feature'])]} ({row['typical_b']}, not {row['typical_a']}; distance {row['distance']:.2f}, "
        f"by chance up to {row['expected']:.2f}, adjusted p = {row['p_holm']:.2g})"
        for row in moved.head(MOST_NAMED).to_dict("records")
    ]
    more = f", and {len(moved) - MOST_NAMED} more" if len(moved) > MOST_NAMED else ""
    yield f"The {groups} differ in {len(moved)} of {compared} features: {'; '.join(named)}{more}."


def _lacking(b: str, left: pd.DataFrame, right: pd.DataFrame) -> Iterator[str]:
    """Say what of the training data the frozen set has none of, or what is new in the new ones."""
    kept, other = (right, left) if b == FROZEN else (left, right)
    start = "The frozen set has no" if b == FROZEN else f"The {BEFORE} had no"
    for column, thing in _THINGS.items():
        rows = other if column == "contrast" else other.drop_duplicates(PERSON)
        counts = Counter(str(value) for value in rows[column] if value)
        gone = [(value, count) for value, count in counts.most_common() if value not in set(kept[column])]
        if gone:
            named = ", ".join(
                f"{value} ({count} in the {TRAINING if b == FROZEN else b})" for value, count in gone[:MOST_NAMED]
            )
            more = f", and {len(gone) - MOST_NAMED} more" if len(gone) > MOST_NAMED else ""
            yield f"{start} {thing} {named}{more}."


def write_survey(folder: Path, comparisons: Iterable[Comparison], shifts: pd.DataFrame) -> None:
    """Write ``shifts.csv`` and ``survey.json``."""
    write_csv(folder / SHIFTS, shifts)
    write_json(folder / SURVEY, {"comparisons": [asdict(comparison) for comparison in comparisons]})


def read_survey(folder: Path) -> tuple[list[Mapping[str, Any]], pd.DataFrame]:
    """Read what the stage wrote; nothing where it did not run, as for a release that is judged without training data.

    Raises
    ------
    PipelineError
        A file is not as the stage writes it.
    """
    if not (folder / SURVEY).is_file():
        return [], pd.DataFrame(columns=["a", "b", *COLUMNS, "differs"])
    comparisons = read_json(folder / SURVEY, error=PipelineError).get("comparisons")
    if not isinstance(comparisons, list):
        raise PipelineError(f"{folder / SURVEY} has no comparisons; run `dvc repro survey`, which writes it.")
    return comparisons, read_csv(folder / SHIFTS, text=("a", "b", "feature", "kind", "typical_a", "typical_b"))
