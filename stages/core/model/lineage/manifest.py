"""The training manifest: the images a model was trained on. ``prepare`` writes it and every bundle carries it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...base.errors import BundleError, DatasetError
from ...base.files import read_json
from ...data.datasets.keys import ContentKey, parse_key

#: Name of the manifest in a bundle.
IN_BUNDLE = "training_data.json"
#: Keys that every case must have; later versions of the manifest added others.
_NEEDED = ("case", "dataset", "participant", "contrast", "image_key", "mask_key")


@dataclass(frozen=True)
class TrainedImage:
    """One image of the training data. ``site`` and ``pathology`` are None where an old manifest lacks them."""

    name: str
    dataset: str
    participant: str
    session: str
    contrast: str
    image_key: str
    mask_key: str
    site: str | None
    pathology: str | None


@dataclass(frozen=True)
class TrainingData:
    """Content of a manifest: dataset -> (tag, commit), and the cases by name."""

    revisions: dict[str, tuple[str, str]]
    cases: dict[str, TrainedImage]


def read_training_data(path: Path) -> TrainingData:
    """Read ``training_data.json`` of a bundle, or ``manifest.json`` of ``prepare``.

    Raises
    ------
    BundleError
        The file is missing, is not a training manifest or has a newer schema, or lists a case more than once.
    """
    value = read_json(path, error=BundleError)
    datasets, rows = value.get("datasets"), value.get("cases")
    if not isinstance(datasets, dict) or not isinstance(rows, list):
        raise BundleError(f"{path} is not a training manifest: it must hold 'datasets' and 'cases', as prepare writes.")
    cases: dict[str, TrainedImage] = {}
    for row in rows:
        case = _case(row, path)
        if case.name in cases:
            raise BundleError(f"{path} lists the case {case.name!r} more than once; prepare writes each once.")
        cases[case.name] = case
    revisions = {name: _revision(entry, name, path) for name, entry in datasets.items()}
    for name in {case.dataset for case in cases.values()} - set(revisions):
        raise BundleError(f"{path} has cases of the dataset {name!r}, which is not among its datasets.")
    return TrainingData(revisions, cases)


def _case(row: Any, path: Path) -> TrainedImage:
    missing = [name for name in _NEEDED if not isinstance(row, dict) or not isinstance(row.get(name), str)]
    if missing:
        raise BundleError(f"{path} is not a training manifest: a case has no {missing[0]!r}.")
    if hidden := next((name for name, value in row.items() if isinstance(value, str) and not value.isprintable()), ""):
        raise BundleError(f"{path}: {hidden!r} of a case holds characters that cannot be shown: {row[hidden]!r}.")
    return TrainedImage(
        name=row["case"],
        **{name: row[name] for name in _NEEDED[1:]},
        session=row.get("session") or "",
        site=row.get("site"),
        pathology=row.get("pathology"),
    )


def _revision(entry: Any, name: str, path: Path) -> tuple[str, str]:
    if not isinstance(entry, dict):
        raise BundleError(f"{path} must say tag and commit of the dataset {name!r}, not {entry!r}.")
    return str(entry.get("tag") or ""), str(entry.get("commit") or "")


def content(key: str) -> ContentKey | str:
    """Return hash and size from an annex key, equal for all backends that use the same hash.

    A key that states no hash (such as one of the backend URL) is returned as it is.
    """
    try:
        return parse_key(key)
    except DatasetError:
        return key


def contents(keys: Iterable[str]) -> set[ContentKey | str]:
    """Return the :func:`content` of each key."""
    return {content(key) for key in keys}


def training_params(training: Mapping[str, Any]) -> dict[str, str]:
    """Flatten settings and data of a ``training.json`` to one level (``train.optimiser.name``: ``AdamW``)."""
    kept = {"train": training.get("settings", {}), "data": training.get("data", {})}
    return {key: str(value) for key, value in _flat("", kept) if key != "train.folds"}


def _flat(prefix: str, value: object) -> Iterable[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), value[key])
    else:
        yield prefix, value
