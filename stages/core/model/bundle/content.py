"""The bundle: a trained model as safetensors and JSON. Its name is the SHA-256 of everything that decides its output.

::

    bundle/
      fold_0/weights.safetensors   one folder per fold
      fold_0/progress.csv          the training curves of the fold
      plans.json                   configuration, mirroring, plan (reduced to inference)
      dataset.json                 channel and labels
      model.json                   digest, folds
      training_data.json           the manifest of ``prepare``: participant and content key of every image
      provenance.json              code, settings, library versions
      backends.json                how far OpenVINO and torch were apart on one volume

The digest covers weights, plan, channel and labels. Curves, training data, provenance and the comparison of backends
lie beside them and do not enter the digest.

Reading a bundle never runs code from it: it holds no pickle, and the network's class and arguments must be on the
whitelist of ``model/training/plans.py``.
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

from ...base.errors import BundleError
from ...base.files import read_json, write_json
from ..training.plans import inference_plans
from ..training.weights import Weights, read_weights

BACKENDS = "backends.json"
#: Most folds of a bundle. People train 5; each fold lengthens the inference.
MOST_FOLDS = 20
#: A larger number is no generation: nobody trains so often.
MOST_GENERATIONS = 10_000
#: The only labels that a bundle may declare: the cord, or the cord and the lesions in it as regions of nnU-Net, each
#: with an output of its own. Their order is that of the outputs.
LABELS: tuple[dict[str, Any], ...] = (
    {"labels": {"background": 0, "cord": 1}},
    {"labels": {"background": 0, "cord": [1, 2], "lesion": 2}, "regions_class_order": [1, 2]},
)


@dataclass(frozen=True)
class Bundle:
    """A bundle after it was read and its digest was verified.

    Attributes
    ----------
    digest : SHA-256 over weights, plan and dataset JSON, 64 hexadecimal digits
    configuration : name of the plan's configuration
    mirroring : axes (0 to 2) along which inference may mirror, or None
    plans, dataset : as nnU-Net reads them
    folds : fold number -> weights by name
    generation : of the drafts that it makes, see :func:`generation_of_drafts`
    contrasts : of the images on which it was trained; empty where it does not say, or was trained on no image
    """

    digest: str
    configuration: str
    mirroring: tuple[int, ...] | None
    plans: dict[str, Any]
    dataset: dict[str, Any]
    folds: dict[int, Weights]
    generation: int | None = None
    contrasts: frozenset[str] = frozenset()

    @property
    def regions(self) -> tuple[str, ...]:
        """What the model finds: ``cord`` first, and ``lesion`` where it finds lesions too."""
        return tuple(self.dataset["labels"])[1:]


def bundle_digest_of(folds: Mapping[int, Weights], model: dict[str, Any], dataset: dict[str, Any]) -> str:
    """Return the SHA-256 over the plan, the dataset JSON and the weights in the order of fold and name.

    Parameters
    ----------
    folds : fold number -> weights by name
    model : content of ``plans.json``: configuration, mirroring and plans
    dataset : content of ``dataset.json``: channel and labels
    """
    total = hashlib.sha256()
    for part in (model, dataset):
        part = {key: value for key, value in part.items() if key != "schema"}  # it numbers the file format, no model
        total.update(json.dumps(part, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())
    for fold in sorted(folds):
        for name in sorted(folds[fold]):
            array = np.ascontiguousarray(folds[fold][name])
            total.update(json.dumps([fold, name, array.dtype.str, list(array.shape)]).encode())
            total.update(array.tobytes())
    return total.hexdigest()


def build_bundle(trained: dict[int, Path], data: Path, out: Path, code_revision: str) -> str:
    """Make a bundle from trained folds and return its digest.

    Parameters
    ----------
    trained : fold number -> folder that ``train`` wrote
    data : manifest that ``prepare`` wrote
    out : folder of the bundle; the folders of the folds must not exist in it
    code_revision : revision of the code that trained, for ``provenance.json``

    Raises
    ------
    BundleError
        There is no fold, or the folds were trained with different plans or data.
    """
    if not trained:
        raise BundleError("train.folds is empty: a bundle needs at least one trained fold.")
    first = trained[min(trained)]
    for fold, folder in trained.items():
        for name in ("plans.json", "dataset.json"):
            if (folder / name).read_bytes() != (first / name).read_bytes():
                raise BundleError(f"{folder / name} differs from {first / name}: fold {fold} needs `dvc repro` again.")
    for fold, folder in sorted(trained.items()):
        (out / f"fold_{fold}").mkdir(parents=True)
        for name in ("weights.safetensors", "progress.csv"):
            shutil.copyfile(folder / name, out / f"fold_{fold}" / name)
    shutil.copyfile(first / "plans.json", out / "plans.json")
    shutil.copyfile(data, out / "training_data.json")
    dataset = json.loads((first / "dataset.json").read_text(encoding="utf-8"))
    # numTraining and similar keys describe the data, not the model
    kept = ("channel_names", "labels", "regions_class_order", "file_ending")
    write_json(out / "dataset.json", {key: dataset[key] for key in kept if key in dataset})
    model, dataset = read_model_and_dataset(out)
    folds = {fold: read_weights(out / f"fold_{fold}" / "weights.safetensors") for fold in sorted(trained)}
    digest = bundle_digest_of(folds, model, dataset)
    write_json(out / "model.json", {"digest": digest, "folds": sorted(trained)})
    provenance = {
        str(fold): read_json(folder / "training.json", error=BundleError) for fold, folder in sorted(trained.items())
    }
    write_json(out / "provenance.json", {"code": code_revision, "training": provenance})
    return digest


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle and verify its digest.

    Raises
    ------
    BundleError
        The folder is not a bundle, holds a pickle, code or a link, names a class or size that is not on the whitelist,
        or its content does not have the digest that it states.
    """
    if not (folder / "model.json").is_file():
        raise BundleError(f"{folder} is not a bundle: it has no model.json. A bundle is what `package` writes.")
    foreign = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or path.suffix in {".pth", ".pt", ".pkl", ".pickle", ".py"}
    )
    if foreign:
        raise BundleError(f"{folder} holds {', '.join(foreign)}: a bundle has no pickle, no code and no link in it.")
    stated = read_json(folder / "model.json", error=BundleError)
    numbers = stated.get("folds")
    if not isinstance(numbers, list) or not numbers or not all(type(fold) is int and fold >= 0 for fold in numbers):
        raise BundleError(f"{folder / 'model.json'}: 'folds' must be a list of fold numbers, not {numbers!r}.")
    if len(set(numbers)) < len(numbers) or len(numbers) > MOST_FOLDS:
        raise BundleError(f"{folder / 'model.json'}: 'folds' must be up to {MOST_FOLDS} numbers, each once: {numbers}.")
    model, dataset = read_model_and_dataset(folder)
    folds = {fold: read_weights(folder / f"fold_{fold}" / "weights.safetensors") for fold in numbers}
    _check_same_network(folder, folds)
    digest = bundle_digest_of(folds, model, dataset)
    if digest != stated.get("digest"):
        raise BundleError(
            f"{folder} was changed after it was packaged: its content has the digest {digest}, "
            f"model.json says {stated.get('digest')}. Fetch it again."
        )
    mirroring = None if model["mirroring"] is None else tuple(int(axis) for axis in model["mirroring"])
    seen = {str(row["contrast"]) for row in _trained_on(folder) or () if row.get("contrast")}
    more = (generation_of_drafts(folder), frozenset(seen))
    return Bundle(digest, model["configuration"], mirroring, model["plans"], dataset, folds, *more)


def generation_of_drafts(folder: Path) -> int | None:
    """Return which generation the drafts of a bundle are: 1 where no mask on which it was trained was drafted here.

    Parameters
    ----------
    folder : of the bundle

    Returns
    -------
    one more than the largest generation among its own training masks; None where the bundle does not say
    """
    cases = _trained_on(folder)
    if cases is None:
        return None
    labels = [row["label"] for row in cases if row.get("label")]
    known = [label.get("generation") if isinstance(label, dict) else None for label in labels]
    numbers = [one for one in known if type(one) is int and 0 < one < MOST_GENERATIONS]
    return 1 + max(numbers, default=0) if len(numbers) == len(known) else None


def _trained_on(folder: Path) -> list[dict[str, Any]] | None:
    """Return the rows of a bundle's training manifest; None where it has none, or one that is not as today."""
    try:
        cases = read_json(folder / "training_data.json", error=BundleError).get("cases")
    except BundleError:
        return None
    return [row for row in cases if isinstance(row, dict)] if isinstance(cases, list) else None


def files_of(folder: Path, bundle: Bundle) -> dict[str, Path]:
    """Return the files of a bundle in ``folder`` by their names in it; whatever else lies there is none of it."""
    names = ["plans.json", "dataset.json", "model.json", "training_data.json", "provenance.json", BACKENDS]
    names += [
        f"fold_{fold}/{name}" for fold in sorted(bundle.folds) for name in ("weights.safetensors", "progress.csv")
    ]
    return {name: folder / name for name in sorted(names) if (folder / name).is_file()}


def _check_same_network(folder: Path, folds: Mapping[int, Weights]) -> None:
    """Make sure that the weights of all folds have the same names and shapes, as those of one network have."""
    first = min(folds)
    shapes = {name: array.shape for name, array in folds[first].items()}
    for fold, weights in sorted(folds.items()):
        other = {name: array.shape for name, array in weights.items()}
        if other != shapes:
            name = min(name for name in {*shapes, *other} if shapes.get(name) != other.get(name))
            raise BundleError(
                f"{folder}: the weights of fold {fold} are of another network than those of fold {first}; they differ "
                f"in {name}: {other.get(name, 'absent')} and {shapes.get(name, 'absent')}."
            )


def read_model_and_dataset(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read ``plans.json`` and ``dataset.json`` of a bundle, checked and reduced to what inference needs.

    Raises
    ------
    BundleError
        As :func:`read_bundle`.
    """
    source = str(folder / "plans.json")
    model = read_json(folder / "plans.json", error=BundleError)
    if set(model) != {"schema", "configuration", "mirroring", "plans"}:
        raise BundleError(f"{source} must hold schema, configuration, mirroring and plans, not {sorted(model)}.")
    mirroring = model["mirroring"]
    model["plans"] = inference_plans(model["plans"], model["configuration"], source)
    axes = range(len(model["plans"]["configurations"][model["configuration"]]["patch_size"]))
    if mirroring is not None and not (
        isinstance(mirroring, list)
        and all(type(axis) is int and axis in axes for axis in mirroring)
        and len(set(mirroring)) == len(mirroring)
    ):
        raise BundleError(f"{source}: mirroring must be axes 0 to {axes[-1]}, each once, or null, not {mirroring!r}.")
    dataset = read_json(folder / "dataset.json", error=BundleError)
    channels = dataset.get("channel_names")
    found = {key: dataset[key] for key in ("labels", "regions_class_order") if key in dataset}
    # As text, because the order of the labels is that of the outputs.
    known = json.dumps(found, sort_keys=False) in {json.dumps(one, sort_keys=False) for one in LABELS}
    if not known or not isinstance(channels, dict) or list(channels) != ["0"]:
        either = " or ".join(json.dumps(one["labels"]) for one in LABELS)
        raise BundleError(
            f"{folder / 'dataset.json'} must have one channel and the labels {either}, in this order (the second with "
            f"regions_class_order [1, 2]), not {json.dumps(found)}."
        )
    if not isinstance(channels["0"], str) or dataset.get("file_ending") != ".nii.gz":
        raise BundleError(f"{folder / 'dataset.json'} must name its channel, and the file ending .nii.gz.")
    return model, dataset
