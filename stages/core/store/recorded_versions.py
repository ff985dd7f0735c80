"""Everything that MLflow keeps of the versions of all models, read only.

A withdrawal searches it for the data of a participant, and `diff-data` for the data that versions were trained on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base.errors import BundleError, StoreError
from ..model.lineage.manifest import IN_BUNDLE, TrainingData, read_training_data
from .client import ALSO_DELETED, TAG, Store, search_all
from .connection import connected, explained
from .location import Location, find_location


@dataclass(frozen=True)
class RecordedVersion:
    """A registered version, or the run of a version whose registration was deleted.

    Attributes
    ----------
    model : the registered model
    number : of the version; None for a run without a version
    run_id : ``""`` for a version that was registered without a run
    label : the label of the version, e.g. ``v2``
    aliases : the aliases of the version, e.g. ``champion``
    digest : the digest of the bundle; ``""`` where it is unknown
    deleted : whether MLflow marks the run as deleted. This is known only of runs without a version.
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


def open_recorded_versions(workspace: Path = Path()) -> RecordedVersions | None:
    """Open the MLflow store of a workspace for reading; None where a local store does not exist yet.

    Raises
    ------
    StoreError
        The store cannot be reached within some seconds, is not an MLflow store, or was moved.
    """
    location = find_location(workspace)
    if location.database is not None and not location.database.exists():
        return None
    with connected(location) as client:
        models = sorted(model.name for model in search_all(client.search_registered_models))
    return RecordedVersions(client, location, models)


class RecordedVersions:
    """All versions of all registered models of a store. ``models`` holds the names of the models."""

    def __init__(self, client: Any, location: Location, models: list[str]) -> None:
        self.client = client
        self.location = location
        self.models = models

    def of_model(self, model: str) -> list[RecordedVersion]:
        """Return the versions of a model in the order of their numbers; none where the model is not registered."""
        if model not in self.models:
            return []
        return [
            RecordedVersion(
                model,
                version.number,
                version.run_id or "",
                version.tags.get("label", ""),
                version.aliases,
                version.tags.get("digest", ""),
            )
            for version in Store(self.client, self.location, model, None).versions()
        ]

    def all(self) -> list[RecordedVersion]:
        """Return the versions of all models, then the runs of versions that are not registered any more."""
        versions = [version for model in self.models for version in self.of_model(model)]
        known = {version.run_id for version in versions}
        with explained(self.location, "did not answer a search for runs"):
            experiments = search_all(self.client.search_experiments, view_type=ALSO_DELETED)
            models = {experiment.experiment_id: experiment.name for experiment in experiments}
            runs = list(
                search_all(
                    self.client.search_runs,
                    experiment_ids=list(models),
                    filter_string=f"tags.`{TAG}kind` = 'version'",
                    run_view_type=ALSO_DELETED,
                )
            )
        return versions + [
            RecordedVersion(
                models[run.info.experiment_id],
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

    def training_data(self, version: RecordedVersion) -> TrainingData:
        """Return the training manifest of a version.

        Raises
        ------
        StoreError
            The version has no run, or its run holds no training manifest that can be read.
        """
        with self.artifact(version, f"bundle/{IN_BUNDLE}") as path:
            try:
                return read_training_data(path)
            except BundleError as error:
                raise StoreError(
                    f"bundle/{IN_BUNDLE} of {version.name}, run {version.run_id}, cannot be used: "
                    f"{str(error).replace(str(path), 'it')}"
                ) from error

    def artifacts(self, version: RecordedVersion, folders: Sequence[str]) -> list[str]:
        """Return the sorted paths of the files at the root of a run and, at any depth, in its ``folders``."""
        with explained(self.location, f"did not list the artifacts of run {version.run_id}"):
            root = self.client.list_artifacts(version.run_id)
            existing = {item.path for item in root if item.is_dir}
            below = [item for name in folders if name in existing for item in self._files_below(version, name)]
        return sorted(item.path for item in [*root, *below] if not item.is_dir)

    def _files_below(self, version: RecordedVersion, folder: str) -> Iterator[Any]:
        for item in self.client.list_artifacts(version.run_id, folder):
            yield from self._files_below(version, item.path) if item.is_dir else [item]

    @contextmanager
    def artifact(self, version: RecordedVersion, path: str) -> Iterator[Path]:
        """Yield a local copy of one artifact, which is deleted at the end of the block."""
        if not version.run_id:
            raise StoreError(f"{version.name} was registered without a run, so nothing is known of its training.")
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / path.rpartition("/")[2]
            Store(self.client, self.location, version.model, None).fetch(version.run_id, path, target)
            yield target
