"""What the versions in MLflow were trained on, and what their runs keep: read only, for every registered model."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base.errors import CordriftError, did_you_mean
from ..drift.versions.settings import Register
from ..model.lineage.manifest import IN_BUNDLE, TrainingData, read_training_data
from . import location as places
from .client import TAG, Store, pages
from .location import Location
from .sentences import greeting, hush, sentences

#: Fewer digits of a digest could be a version's number or a short label.
LEAST_DIGITS = 6


@dataclass(frozen=True)
class Holder:
    """A registered version, or a run of a version that is registered no more (``number`` None).

    ``deleted``: the run is marked as deleted in MLflow; known of runs without a version only.
    """

    model: str
    number: int | None
    run_id: str
    label: str
    aliases: tuple[str, ...]
    digest: str
    deleted: bool = False

    @property
    def name(self) -> str:
        """The version in words, e.g. ``cord version 2 (v2, champion)``."""
        which = "a run without a version" if self.number is None else f"version {self.number}"
        more = ", ".join(filter(None, (self.label, *self.aliases)))
        return f"{self.model} {which}" + (f" ({more})" if more else "")


def open_archive(workspace: Path = Path()) -> RecordedVersions | None:
    """Open the MLflow store of a workspace to read it; None when it is local and not there: nothing was registered.

    Raises
    ------
    CordriftError
        Not reachable within some seconds, not an MLflow, or moved.
    """
    location = places.find(workspace)
    if location.database is not None and not location.database.exists():
        return None
    places.check(location)
    hush()
    with sentences(location, "cannot be used"), greeting():
        from mlflow.tracking import MlflowClient

        client = MlflowClient(tracking_uri=location.uri, registry_uri=location.uri)
        models = sorted(model.name for model in pages(client.search_registered_models))
    return RecordedVersions(client, location, models)


class RecordedVersions:
    """All registered models of a store. ``models``: their names."""

    def __init__(self, client: Any, location: Location, models: list[str]) -> None:
        self.client = client
        self.location = location
        self.models = models

    def versions(self, model: str) -> list[Holder]:
        """Return the versions of a model by number; empty when it is not registered."""
        if model not in self.models:
            return []
        found = Store(self.client, self.location, model, None).versions()
        return [
            Holder(
                model, one.number, one.run_id or "", one.tags.get("label", ""), one.aliases, one.tags.get("digest", "")
            )
            for one in found
        ]

    def holders(self) -> list[Holder]:
        """Return the versions of all models, then the runs of versions that are registered no more, deleted or not."""
        versions = [version for model in self.models for version in self.versions(model)]
        known = {version.run_id for version in versions}
        with sentences(self.location, "did not answer a search for runs"):
            # 3 is ViewType.ALL: what is marked as deleted is still there
            names = {one.experiment_id: one.name for one in pages(self.client.search_experiments, view_type=3)}
            query = f"tags.`{TAG}kind` = 'version'"
            runs = list(
                pages(self.client.search_runs, experiment_ids=list(names), filter_string=query, run_view_type=3)
            )
        return versions + [
            Holder(
                names[run.info.experiment_id],
                None,
                run.info.run_id,
                run.data.tags.get(f"{TAG}label", ""),
                (),
                run.data.tags.get(f"{TAG}digest", ""),
                deleted=run.info.lifecycle_stage != "active",
            )
            for run in runs
            if run.info.run_id not in known
        ]

    def training_data(self, holder: Holder) -> TrainingData:
        """Fetch the training manifest of a version.

        Raises
        ------
        CordriftError
            It has no run, or its run holds no training manifest.
        """
        with self.artifact(holder, f"bundle/{IN_BUNDLE}") as path:
            try:
                return read_training_data(path)
            except CordriftError as error:
                raise CordriftError(
                    f"bundle/{IN_BUNDLE} of {holder.name}, run {holder.run_id}, cannot be used: "
                    f"{str(error).replace(str(path), 'it')}"
                ) from error

    def artifacts(self, holder: Holder, folders: Sequence[str]) -> list[str]:
        """Return the paths of the files of a run at its root and in ``folders``, sorted."""
        with sentences(self.location, f"did not list the artifacts of run {holder.run_id}"):
            root = self.client.list_artifacts(holder.run_id)
            there = {item.path for item in root if item.is_dir}
            found = [*root, *(item for name in folders if name in there for item in self._below(holder, name))]
        return sorted(item.path for item in found if not item.is_dir)

    def _below(self, holder: Holder, folder: str) -> Iterator[Any]:
        for item in self.client.list_artifacts(holder.run_id, folder):
            yield from self._below(holder, item.path) if item.is_dir else [item]

    @contextmanager
    def artifact(self, holder: Holder, path: str) -> Iterator[Path]:
        """Fetch one artifact for the length of a block."""
        if not holder.run_id:
            raise CordriftError(f"{holder.name} was registered without a run, so nothing is known of its training.")
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / path.rpartition("/")[2]
            Store(self.client, self.location, holder.model, None).fetch(holder.run_id, path, target)
            yield target


def choose(asked: str, versions: Sequence[Holder], model: str) -> Holder:
    """Return the one version that ``asked`` means: its number, label, alias, or the first digits of its digest.

    Raises
    ------
    CordriftError
        None, or several; the sentence lists what there is.
    """
    is_digest = re.fullmatch(rf"[0-9a-f]{{{LEAST_DIGITS},64}}", asked) is not None
    found = [
        version
        for version in versions
        if asked in (str(version.number), version.label, *version.aliases)
        or (is_digest and version.digest.startswith(asked))
    ]
    if len(found) == 1:
        return found[0]
    there = "; ".join(f"{one.name}, digest {one.digest[:12] or 'unknown'}" for one in (found or versions))
    if found:
        raise CordriftError(f"{asked!r} means {len(found)} versions: {there}. Name one by its digest.")
    words = [word for one in versions for word in (str(one.number), one.label, *one.aliases) if word]
    raise CordriftError(
        f"{model} has no version {asked!r}{did_you_mean(asked, words)}, by number, label, alias or digest (at least "
        f"{LEAST_DIGITS} digits), and no path of that name is here; there is {there or 'no version of it'}."
    )


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
    model = model or Register.read().model
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
