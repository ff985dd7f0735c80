"""The models that a person can name here: the starter, the bundle of the workspace, versions in MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ...base.errors import BundleError, StoreError
from ...model.bundle.content import files_of, read_bundle
from ...store.bundle_files import PACKAGE
from ...store.recorded_versions import open_recorded_versions
from .named import STARTER, STARTER_FOLDER


@dataclass(frozen=True)
class Listed:
    """One model.

    Attributes
    ----------
    name : what ``--model`` takes
    digest : of the bundle, 64 hexadecimal digits; ``""`` where it is unknown
    what : where it comes from, and what is wrong with it
    """

    name: str
    digest: str
    what: str


def list_models() -> Iterator[Listed]:
    """Yield all models of this folder. The bundles that lie here are read and verified, those in MLflow are not."""
    yield _verified(STARTER, STARTER_FOLDER, "comes with cordrift, trained on painted anatomies alone")
    if PACKAGE.is_dir():
        yield _verified(str(PACKAGE), PACKAGE, "the bundle of this workspace")
    if find_spec("mlflow") is None:
        return
    try:
        recorded = open_recorded_versions()
        for model in [] if recorded is None else recorded.models:
            for version in [] if recorded is None else recorded.of_model(model):
                for alias in version.aliases:
                    yield Listed(f"{model}@{alias}", version.digest, f"in MLflow, version {version.number}")
    except StoreError as error:
        yield Listed("MODEL@ALIAS", "", f"MLflow cannot be read: {error}")


def _verified(name: str, folder: Path, what: str) -> Listed:
    try:
        bundle = read_bundle(folder)
    except BundleError as error:
        return Listed(name, "", f"cannot be used: {error}")
    size = sum(path.stat().st_size for path in files_of(folder, bundle).values())
    return Listed(name, bundle.digest, f"{what}; {size / 1e6:.1f} MB, verified")


def as_table(models: list[Listed]) -> str:
    """Return one line for each model: name, the first 12 digits of the digest, what it is."""
    wide = max(len(one.name) for one in models)
    return "\n".join(f"{one.name:<{wide}}  {one.digest[:12] or '-':<12}  {one.what}" for one in models)
