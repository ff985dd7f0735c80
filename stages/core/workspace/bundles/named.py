"""The bundle that a person names: the starter, a folder, a zip, or a version in MLflow by one of its aliases."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ...base.errors import BundleError, SettingsError, StoreError, did_you_mean
from ...base.files import whole_folder
from ...measures.kept_masks.zips import unpack
from ...model.bundle.content import Bundle, read_bundle
from ...store.bundle_files import MOST_BUNDLE_BYTES, PACKAGE
from ...store.recorded_versions import open_recorded_versions

#: The name of the model that comes with cordrift, and its folder: a bundle with a model card.
STARTER = "starter"
STARTER_FOLDER = Path(__file__).parents[3] / "models" / STARTER


def default_model() -> str:
    """Return the name of the model that is used where none is named: the bundle of this workspace, else the starter."""
    return str(PACKAGE) if (PACKAGE / "model.json").is_file() else STARTER


def find_bundle(name: str) -> Bundle:
    """Return the bundle that ``name`` names, verified by its digest.

    Parameters
    ----------
    name : ``starter``, the folder of a bundle, a zip of it as a release has it, or ``MODEL@ALIAS``, such as
        ``cord@champion``; a folder of one's own that is called starter is ``./starter``

    Raises
    ------
    SettingsError
        It names none of them.
    BundleError
        The folder or the zip holds no bundle, or a changed one.
    StoreError
        MLflow does not answer, or has no such version.
    """
    path = STARTER_FOLDER if name == STARTER else Path(name)
    if path.is_dir():
        return read_bundle(path)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "bundle")
        if path.is_file():
            return open_bundle(path, folder)
        if "@" not in name:
            raise SettingsError(
                f"--model is {name!r}, which is no folder and no zip here; expected {STARTER}, a bundle "
                "(data/package, or cordrift-bundle.zip of a release), or a version in MLflow as MODEL@ALIAS, such as "
                "cord@champion; `cordrift segment --list-models` lists what there is here."
            )
        _fetch(name, folder)
        return _verified(folder, name)


def open_bundle(packed: Path, folder: Path) -> Bundle:
    """Unpack a zip of a bundle into ``folder`` and verify it; nothing is left there when it is not a bundle.

    Raises
    ------
    BundleError
        It is no zip, or holds no bundle, or a changed one.
    """
    with whole_folder(folder) as part:
        unpack(packed, part, most_bytes=MOST_BUNDLE_BYTES)
        return _verified(part, packed.name)


def _verified(folder: Path, name: str) -> Bundle:
    try:
        return read_bundle(folder)
    except BundleError as error:
        why = str(error).replace(f"{folder}/", "").replace(str(folder), "it")
        raise BundleError(f"{name} holds no bundle: {why}") from error


def _fetch(name: str, folder: Path) -> None:
    """Copy the bundle of a version in MLflow into a folder."""
    model, _, alias = name.partition("@")
    recorded = open_recorded_versions()
    versions = recorded.of_model(model) if recorded is not None else []
    if recorded is None or not versions:
        raise StoreError(
            f"MLflow has no version of {model!r} here; MLFLOW_TRACKING_URI names a server, or run the command in a "
            "workspace with versions."
        )
    known = {one: version for version in versions for one in version.aliases}
    if alias not in known:
        has = ", ".join(sorted(known)) or "none"
        raise StoreError(
            f"no version of {model} has the alias {alias!r}{did_you_mean(alias, known)}; there are: {has}."
        )
    version = known[alias]
    for artifact in recorded.artifacts(version, ("bundle",)):
        if artifact.startswith("bundle/") and not artifact.endswith(".zip"):
            target = folder / artifact.removeprefix("bundle/")
            target.parent.mkdir(parents=True, exist_ok=True)
            with recorded.artifact(version, artifact) as copy:
                shutil.copyfile(copy, target)
