"""The bundle: a trained model as safetensors and JSON, named by the SHA-256 of what decides its output.

::

    bundle/
      fold_0/weights.safetensors   one folder per fold
      fold_0/progress.csv          its training curves
      plans.json                   configuration, mirroring, plan (reduced to inference)
      dataset.json                 channel and labels
      model.json                   digest, folds
      training_data.json           the manifest of ``prepare``: every image by participant and content key
      provenance.json              code, settings, library versions

The digest is over weights, plans, labels; curves, training data and provenance lie beside it and never in it.

Reading runs no code of the bundle: no pickle, and the network's class and arguments are on the whitelist of
``model/training/plans.py``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ...base.errors import CordriftError
from ...base.files import read_json, write_json
from ..training.plans import inference_plans

#: A weights file beyond this is not one of nnU-Net's networks.
MOST_BYTES = 4 << 30
#: The only labels that a bundle may declare.
LABELS = {"background": 0, "cord": 1}

Weights = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Bundle:
    """A bundle read and verified.

    Attributes
    ----------
    digest : SHA-256 over weights, plans, dataset JSON
    configuration : name of the plan's configuration
    mirroring : axes along which inference may mirror, or None
    plans, dataset : as nnU-Net reads them
    folds : weights per fold, in order of the fold number
    """

    digest: str
    configuration: str
    mirroring: tuple[int, ...] | None
    plans: dict[str, Any]
    dataset: dict[str, Any]
    folds: dict[int, Weights]


def content_digest(folds: Mapping[int, Weights], model: dict[str, Any], dataset: dict[str, Any]) -> str:
    """Return the SHA-256 over weights in canonical order, plan and dataset JSON."""
    total = hashlib.sha256()
    for part in (model, dataset):
        part = {key: value for key, value in part.items() if key != "schema"}  # the format's number, not the model's
        total.update(json.dumps(part, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())
    for fold in sorted(folds):
        for name in sorted(folds[fold]):
            array = np.ascontiguousarray(folds[fold][name])
            total.update(json.dumps([fold, name, array.dtype.str, list(array.shape)]).encode())
            total.update(array.tobytes())
    return total.hexdigest()


def build(trained: dict[int, Path], data: Path, out: Path, code_revision: str) -> str:
    """Make a bundle in ``out`` from the folders that ``train`` wrote and the manifest ``data``; returns its digest.

    Raises
    ------
    CordriftError
        No fold, or folds of different plans or data.
    """
    if not trained:
        raise CordriftError("train.folds is empty: a bundle needs at least one trained fold.")
    first = trained[min(trained)]
    for fold, folder in trained.items():
        for name in ("plans.json", "dataset.json"):
            if (folder / name).read_bytes() != (first / name).read_bytes():
                raise CordriftError(
                    f"{folder / name} differs from {first / name}: fold {fold} needs `dvc repro` again."
                )
    for fold, folder in sorted(trained.items()):
        (out / f"fold_{fold}").mkdir(parents=True)
        for name in ("weights.safetensors", "progress.csv"):
            shutil.copyfile(folder / name, out / f"fold_{fold}" / name)
    shutil.copyfile(first / "plans.json", out / "plans.json")
    shutil.copyfile(data, out / "training_data.json")
    dataset = json.loads((first / "dataset.json").read_text(encoding="utf-8"))
    # numTraining and the like describe the data, not the model
    write_json(out / "dataset.json", {key: dataset[key] for key in ("channel_names", "labels", "file_ending")})
    model, kept = _model_and_dataset(out)
    folds = {fold: _weights(out / f"fold_{fold}" / "weights.safetensors") for fold in sorted(trained)}
    digest = content_digest(folds, model, kept)
    write_json(out / "model.json", {"digest": digest, "folds": sorted(trained)})
    provenance = {str(fold): read_json(folder / "training.json") for fold, folder in sorted(trained.items())}
    write_json(out / "provenance.json", {"code": code_revision, "training": provenance})
    return digest


def read(folder: Path) -> Bundle:
    """Read a bundle and verify its digest.

    Raises
    ------
    CordriftError
        Not a bundle, a pickle in it, a class or size out of the whitelist, or a digest that does not match.
    """
    if not (folder / "model.json").is_file():
        raise CordriftError(f"{folder} is not a bundle: it has no model.json. A bundle is what `package` writes.")
    foreign = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or path.suffix in {".pth", ".pt", ".pkl", ".pickle", ".py"}
    )
    if foreign:
        raise CordriftError(f"{folder} holds {', '.join(foreign)}: a bundle has no pickle, no code and no link in it.")
    named = read_json(folder / "model.json")
    listed = named.get("folds")
    if not isinstance(listed, list) or not listed or not all(isinstance(fold, int) for fold in listed):
        raise CordriftError(f"{folder / 'model.json'}: 'folds' must be a list of fold numbers, not {listed!r}.")
    model, dataset = _model_and_dataset(folder)
    folds = {fold: _weights(folder / f"fold_{fold}" / "weights.safetensors") for fold in named["folds"]}
    digest = content_digest(folds, model, dataset)
    if digest != named.get("digest"):
        raise CordriftError(
            f"{folder} was changed after it was packaged: its content has the digest {digest}, "
            f"model.json says {named.get('digest')}. Fetch it again."
        )
    mirroring = None if model["mirroring"] is None else tuple(int(axis) for axis in model["mirroring"])
    return Bundle(digest, model["configuration"], mirroring, model["plans"], dataset, folds)


def _model_and_dataset(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    source = str(folder / "plans.json")
    model = read_json(folder / "plans.json")
    if set(model) != {"schema", "configuration", "mirroring", "plans"}:
        raise CordriftError(f"{source} must hold schema, configuration, mirroring and plans, not {sorted(model)}.")
    mirroring = model["mirroring"]
    if mirroring is not None and not set(mirroring) <= {0, 1, 2}:
        raise CordriftError(f"{source}: mirroring must be axes 0 to 2 or null, not {mirroring!r}.")
    model["plans"] = inference_plans(model["plans"], model["configuration"], source)
    dataset = read_json(folder / "dataset.json")
    if dataset.get("labels") != LABELS or list(dataset.get("channel_names", {})) != ["0"]:
        raise CordriftError(f"{folder / 'dataset.json'} must have one channel and the labels {LABELS}.")
    return model, dataset


def _weights(path: Path) -> Weights:
    if not path.is_file():
        raise CordriftError(f"{path} is missing from the bundle.")
    if path.stat().st_size > MOST_BYTES:
        raise CordriftError(f"{path} has {path.stat().st_size} bytes; no network of nnU-Net has over {MOST_BYTES}.")
    try:
        weights: Weights = load_file(path)
    except (SafetensorError, ValueError) as error:
        raise CordriftError(f"{path} is not a safetensors file ({error}); nothing of it was loaded.") from error
    return weights
