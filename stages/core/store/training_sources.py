"""Where a training manifest is asked for on the command line: a path, or a version in MLflow."""

from __future__ import annotations

from pathlib import Path

from ..base.errors import CordriftError
from ..base.params import load_params
from ..model.lineage.manifest import IN_BUNDLE, TrainingData, read_training_data
from .training_data import choose, open_archive


def find_training_data(asked: str, model: str | None) -> tuple[str, TrainingData]:
    """Return name and content of the training manifest that ``asked`` means.

    Parameters
    ----------
    asked : a bundle's folder, the folder or manifest of ``prepare``, or a version of ``model`` in MLflow (number,
        label, alias, first digits of the digest)
    model : the registered model, by default that of params.yaml; a path needs neither

    Raises
    ------
    CordriftError
        There is none of that name, or there are several; the sentence says which there are.
    """
    path = Path(asked)
    if path.is_file():
        return asked, read_training_data(path)
    if path.is_dir():
        files = [path / name for name in (IN_BUNDLE, "manifest.json") if (path / name).is_file()]
        if not files:
            raise CordriftError(
                f"{path} has neither {IN_BUNDLE} (a bundle) nor manifest.json (what prepare writes) in it."
            )
        return asked, read_training_data(files[0])
    if path.suffix == ".json" or len(path.parts) > 1:
        raise CordriftError(
            f"There is no {path} (looked in {Path.cwd()}); expected a bundle, or a manifest of prepare."
        )
    model = model or load_params().registration.model
    archive = open_archive()
    if archive is None:
        raise CordriftError(
            f"There is no path {asked!r} here, and no MLflow store in which it could be a version of {model}; name a "
            "bundle's folder, run `dvc repro`, or set MLFLOW_TRACKING_URI."
        )
    versions = archive.versions(model)
    if not versions and archive.models:
        raise CordriftError(
            f"MLflow at {archive.location.name} has no model {model!r}; it has {', '.join(archive.models)} (`--model`)."
        )
    version = choose(asked, versions, model)
    return f"{version.name}, bundle {version.digest[:12] or 'unknown'}", archive.training_data(version)
