"""How a bundle was trained, in words and as curves: its data, its budget, and the progress of each fold."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ...base.errors import BundleError
from ...base.files import read_csv, read_json
from ...data.datasets.manifest import EXCLUDED_IMAGE
from .manifest import IN_BUNDLE, read_training_data

#: Columns of the curves.
CURVES = ("fold", "epoch", "train_loss", "val_loss", "dice")


@dataclass(frozen=True)
class Training:
    """How a bundle was trained.

    Attributes
    ----------
    rows : what and how much, by name
    curves : columns ``CURVES``, a row for each epoch of each fold; no rows where the bundle keeps none
    """

    rows: tuple[tuple[str, str], ...]
    curves: pd.DataFrame


def read_training(package: Path) -> Training:
    """Read how the bundle in a folder was trained. What a bundle does not record, or not as today, is left out."""
    provenance = read_json(package / "provenance.json") if (package / "provenance.json").is_file() else {}
    folds = _mapping(provenance.get("training"))
    settings = _mapping(_mapping(folds[min(folds)]).get("settings")) if folds else {}
    rows: list[tuple[str, str]] = []
    with contextlib.suppress(BundleError):
        revisions = read_training_data(package / IN_BUNDLE).revisions
        rows += [("labels", text) for text in told_labels(read_json(package / IN_BUNDLE))]
        rows += [("data", text) for text in told_folds(read_json(package / IN_BUNDLE))]
        said = (f"{name} {tag} ({commit[:12]})" for name, (tag, commit) in revisions.items())
        rows.append(("datasets", ", ".join(said)))
    curves, seconds = _curves(package)
    return Training((*rows, *_budget(settings, seconds)), curves)


def told_folds(manifest: Mapping[str, Any]) -> list[str]:
    """Return a sentence about each fold: on how many images of how many participants it trains and validates.

    >>> cases = [{"case": name, "dataset": "d", "participant": name[0]} for name in ("a1", "a2", "b1")]
    >>> told_folds({"cases": cases, "folds": [{"train": ["a1", "a2"], "val": ["b1"]}]})
    ['fold 0 trains on 2 images of 1 participant, validates on 1 image of 1 participant']

    Parameters
    ----------
    manifest : of prepare, or ``training_data.json`` of a bundle; without ``folds`` nothing is said
    """
    person = {case["case"]: (case["dataset"], case["participant"]) for case in manifest.get("cases", [])}

    def counted(names: list[str]) -> str:
        people = len({person.get(name, name) for name in names})
        return f"{len(names)} image{'s' * (len(names) != 1)} of {people} participant{'s' * (people != 1)}"

    return [
        f"fold {number} trains on {counted(fold['train'])}, validates on {counted(fold['val'])}"
        for number, fold in enumerate(manifest.get("folds", []))
        if _mapping(fold).keys() >= {"train", "val"}
    ]


def told_labels(manifest: Mapping[str, Any]) -> list[str]:
    """Return a sentence about where the masks come from; none about a model that was trained on no image.

    >>> told_labels({"cases": [{"label": {"status": "fixed", "bundle": "b" * 64, "generation": 1}}, {}, {}]})
    ['2 masks delivered with the data, 1 draft corrected by people; drafts by bbbbbbbbbbbb, up to generation 1']
    >>> told_labels({"cases": [{}], "left_out": [{"reason": "excluded image: motion (A, 2026-01-02)"}]})
    ['1 masks delivered with the data, 1 image failed and left out']
    """
    cases = [_mapping(case) for case in manifest.get("cases", [])]
    labels = [_mapping(case["label"]) for case in cases if "label" in case]
    if not cases:
        return []
    said = [f"{len(cases) - len(labels)} masks delivered with the data"]
    for status, words in (("reviewed", "passed"), ("fixed", "corrected by people"), ("automatic", "seen by nobody")):
        count = sum(label.get("status") == status for label in labels)
        said += [f"{count} draft{'s' * (count != 1)} {words}"] if count else []
    reasons = [str(_mapping(row).get("reason", "")) for row in manifest.get("left_out", [])]
    failed = sum(reason.startswith(EXCLUDED_IMAGE) for reason in reasons)
    said += [f"{failed} image{'s' * (failed != 1)} failed and left out"] if failed else []
    if not labels:
        return [", ".join(said)]
    makers = sorted({str(label.get("bundle", ""))[:12] for label in labels})
    known = [label.get("generation") for label in labels]
    deepest = max((one for one in known if isinstance(one, int)), default=0)
    unknown = "" if all(isinstance(one, int) for one in known) else ", of some it is not known"
    return [f"{', '.join(said)}; drafts by {', '.join(makers)}, up to generation {deepest}{unknown}"]


def _mapping(value: object) -> Mapping[str, Any]:
    """Return the value if it is a mapping, else an empty one: a bundle from elsewhere may hold anything here."""
    return value if isinstance(value, Mapping) else {}


def _curves(package: Path) -> tuple[pd.DataFrame, float]:
    """Return the curves of all folds, and how many seconds their epochs took together; NaN where it is not known."""
    named = ((path.parent.name.removeprefix("fold_"), path) for path in package.glob("fold_*/progress.csv"))
    files = {int(fold): path for fold, path in named if fold.isdecimal()}
    parts, seconds = [], 0.0
    for fold, path in sorted(files.items()):
        table = read_csv(path)
        table = table.reindex(columns=[*CURVES, "seconds"]).apply(pd.to_numeric, errors="coerce").assign(fold=fold)
        seconds += float(table["seconds"].sum(min_count=1))
        parts.append(table)
    if not parts:
        return pd.DataFrame(columns=list(CURVES)), float("nan")
    return pd.concat(parts, ignore_index=True).reindex(columns=list(CURVES)), seconds


def _budget(settings: Mapping[str, Any], seconds: float) -> list[tuple[str, str]]:
    """Return the budget as rows; ``settings`` are those of the block ``train``."""
    rows = []
    if "epochs" in settings:
        iterations = f" of {settings['iterations']} iterations" if "iterations" in settings else ""
        rows.append(("budget", f"{settings['epochs']} epochs{iterations} for each fold"))
    plan = _mapping(settings.get("plan"))
    if isinstance(plan.get("patch_size"), list):
        patch = " × ".join(str(size) for size in plan["patch_size"])
        rows.append(("batch", f"{plan.get('batch_size', '?')} patches of {patch} voxels (z, y, x)"))
    optimiser = _mapping(settings.get("optimiser"))
    if "name" in optimiser:
        rate = f", learning rate {optimiser['learning_rate']}" if "learning_rate" in optimiser else ""
        rows.append(("optimiser", f"{optimiser['name']}{rate}"))
    if seconds == seconds:
        device = f" on {settings['device']}" if "device" in settings else ""
        rows.append(("time of all epochs", f"{_duration(seconds)}{device}"))
    return rows


def _duration(seconds: float) -> str:
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
