"""Finding the training manifest that a user names: in a folder, or of a version in MLflow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ..base.errors import BundleError, StoreError, did_you_mean
from ..drift.versions.settings import Register
from ..model.lineage.manifest import IN_BUNDLE, TrainingData, read_training_data
from .client import LEAST_DIGITS
from .recorded_versions import RecordedVersion, open_recorded_versions


def find_training_data(named: str, model: str | None) -> tuple[str, TrainingData]:
    """Return a description and the content of the training manifest that ``named`` means.

    Parameters
    ----------
    named : the folder of a bundle, the output folder or the manifest of `prepare`, or a version of ``model`` in MLflow
        (its number, label, alias, or the first digits of its digest)
    model : the registered model, by default the one of params.yaml; not needed for a path

    Raises
    ------
    BundleError
        ``named`` is a path, and no training manifest is there.
    StoreError
        ``named`` is no path, and MLflow holds no such version, or several. The sentence lists those that it holds.
    """
    path = Path(named)
    if path.is_file():
        return named, read_training_data(path)
    if path.is_dir():
        manifests = [path / name for name in (IN_BUNDLE, "manifest.json") if (path / name).is_file()]
        if not manifests:
            raise BundleError(
                f"{path} has neither {IN_BUNDLE} (a bundle) nor manifest.json (what prepare writes) in it."
            )
        return named, read_training_data(manifests[0])
    if path.suffix == ".json" or len(path.parts) > 1:
        raise BundleError(f"There is no {path} (looked in {Path.cwd()}); expected a bundle, or a manifest of prepare.")
    model = model or Register.read().model
    recorded = open_recorded_versions()
    if recorded is None:
        raise StoreError(
            f"There is no path {named!r} here, and no MLflow store in which it could be a version of {model}; name a "
            "bundle's folder, run `dvc repro`, or set MLFLOW_TRACKING_URI."
        )
    versions = recorded.of_model(model)
    if not versions and recorded.models:
        raise StoreError(
            f"MLflow at {recorded.location.name} has no model {model!r}; it has {', '.join(recorded.models)} "
            "(`--model`)."
        )
    version = _named_version(named, versions, model)
    return f"{version.name}, bundle {version.digest[:12] or 'unknown'}", recorded.training_data(version)


def _named_version(named: str, versions: Sequence[RecordedVersion], model: str) -> RecordedVersion:
    """Return the one version with this number, label or alias, or with a digest that begins with these digits."""
    is_digest = re.fullmatch(rf"[0-9a-f]{{{LEAST_DIGITS},64}}", named) is not None
    found = [
        version
        for version in versions
        if named in (str(version.number), version.label, *version.aliases)
        or (is_digest and version.digest.startswith(named))
    ]
    if len(found) == 1:
        return found[0]
    listed = "; ".join(f"{one.name}, digest {one.digest[:12] or 'unknown'}" for one in (found or versions))
    if found:
        raise StoreError(f"{named!r} means {len(found)} versions: {listed}. Name one by its digest.")
    words = [word for one in versions for word in (str(one.number), one.label, *one.aliases) if word]
    raise StoreError(
        f"{model} has no version {named!r}{did_you_mean(named, words)}, by number, label, alias or digest (at least "
        f"{LEAST_DIGITS} digits), and no path of that name is here; there is {listed or 'no version of it'}."
    )
