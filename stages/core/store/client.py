"""Talking to MLflow: every write compares first, so that it can be repeated after any interruption."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base.errors import CordriftError
from . import location as places
from .location import ROOT_TAG, Location
from .sentences import greeting, hush, sentences

#: Artifact that lists the others with their hashes; written last, it says that they are all there.
INDEX = "index.json"
#: Prefix of every tag that cordrift sets.
TAG = "cordrift."


@dataclass(frozen=True)
class RegisteredVersion:
    """One registered version of the model; ``tags`` without the prefix ``cordrift.``."""

    number: int
    run_id: str
    aliases: tuple[str, ...]
    tags: Mapping[str, str]


@dataclass
class Run:
    """What MLflow holds of one run, kept up to date by the writes of :class:`Store`."""

    run_id: str
    artifact_uri: str
    start_ms: int
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]


def open_store(model: str, workspace: Path = Path()) -> Store:
    """Open the MLflow store of a workspace for one registered model; made when it is local and not there.

    Raises
    ------
    CordriftError
        Not reachable within some seconds, not an MLflow, moved, or the model's experiment was deleted.
    """
    location = places.find(workspace)
    places.check(location)
    hush()
    with sentences(location, "cannot be used"), greeting():
        from mlflow.tracking import MlflowClient

        client = MlflowClient(tracking_uri=location.uri, registry_uri=location.uri)
        experiment = client.get_experiment_by_name(model)
    if experiment is not None and experiment.lifecycle_stage != "active":
        raise CordriftError(
            f"The experiment {model!r} was deleted in MLflow at {location.name}; restore it with "
            f"`mlflow experiments restore --experiment-id {experiment.experiment_id}`, or name another register.model."
        )
    return Store(client, location, model, experiment.experiment_id if experiment is not None else None)


class Store:
    """The runs and versions of one model. Every ``ensure_`` writes only what is not there yet."""

    def __init__(self, client: Any, location: Location, model: str, experiment_id: str | None) -> None:
        self.client = client
        self.location = location
        self.model = model
        self._experiment_id = experiment_id

    def versions(self) -> list[RegisteredVersion]:
        """Return all versions by number; empty when the model is not registered yet."""
        with sentences(self.location, "did not list the versions"):
            found = list(pages(self.client.search_model_versions, filter_string=f"name='{self.model}'"))
            # The search returns no aliases: only the model itself knows them.
            aliases = self.client.get_registered_model(self.model).aliases if found else {}
        versions = []
        for version in found:
            number = int(version.version)
            named = tuple(sorted(alias for alias, target in aliases.items() if int(target) == number))
            tags = {key.removeprefix(TAG): str(value) for key, value in version.tags.items() if key.startswith(TAG)}
            versions.append(RegisteredVersion(number, version.run_id, named, tags))
        return sorted(versions, key=lambda version: version.number)

    def find_run(self, identity: Mapping[str, str]) -> Run | None:
        """Return the run that carries all tags of ``identity``, the oldest when there are several."""
        if self._experiment_id is None:
            return None
        query = " and ".join(f"tags.`{TAG}{key}` = '{value}'" for key, value in sorted(identity.items()))
        with sentences(self.location, "did not answer a search for runs"):
            # 3 is ViewType.ALL: a deleted run still belongs to its version
            runs = self.client.search_runs(
                [self._experiment_id], query, run_view_type=3, max_results=1, order_by=["attributes.start_time ASC"]
            )
        if not runs:
            return None
        if runs[0].info.lifecycle_stage != "active":
            run_id = runs[0].info.run_id
            raise CordriftError(
                f"The run of {_words(identity)} was deleted in MLflow at {self.location.name}; restore it with "
                f"`mlflow runs restore --run-id {run_id}`, or remove it for good with `mlflow gc --run-ids {run_id}`."
            )
        return _run(runs[0])

    def ensure_run(self, identity: Mapping[str, str], name: str) -> Run:
        """Find the run of ``identity`` or create it, with its experiment when that is missing too."""
        run = self.find_run(identity)
        if run is not None:
            return run
        with sentences(self.location, "did not create a run"):
            if self._experiment_id is None:
                self._experiment_id = self._create_experiment()
            tags = {f"{TAG}{key}": value for key, value in identity.items()}
            return _run(self.client.create_run(self._experiment_id, tags=tags, run_name=name))

    def _create_experiment(self) -> str:
        if self.location.database is None:
            return str(self.client.create_experiment(self.model))
        root = self.location.database.parent
        artifacts = str(root / "mlartifacts" / self.model)
        return str(self.client.create_experiment(self.model, artifacts, tags={ROOT_TAG: str(root)}))

    def ensure_tags(self, run: Run, tags: Mapping[str, str]) -> None:
        """Set the tags that differ; names without a dot get cordrift's prefix."""
        from mlflow.entities import RunTag

        new = {key: value for key, value in _prefixed(tags).items() if run.tags.get(key) != value}
        if new:
            with sentences(self.location, "did not take the tags"):
                self.client.log_batch(run.run_id, tags=[RunTag(key, value) for key, value in new.items()])
            run.tags.update(new)

    def ensure_params(self, run: Run, params: Mapping[str, str]) -> None:
        """Log the params that are missing; MLflow never changes one that is there, and neither do we."""
        from mlflow.entities import Param

        new = sorted((key, value) for key, value in params.items() if key not in run.params)
        with sentences(self.location, "did not take the params"):
            for first in range(0, len(new), 100):  # MLflow's limit for one call
                self.client.log_batch(run.run_id, params=[Param(*pair) for pair in new[first : first + 100]])
        run.params.update(new)

    def ensure_metrics(self, run: Run, metrics: Mapping[str, float]) -> None:
        """Log the metrics that differ, as a next step; an undefined one only where a number would be left standing."""
        now_ms = int(time.time() * 1000)
        points = []
        with sentences(self.location, "did not take the metrics"):
            for key, value in sorted(metrics.items()):
                known = run.metrics.get(key, math.nan)
                if known == value or (math.isnan(known) and math.isnan(value)):
                    continue
                # With two values at one step MLflow shows the larger: each change needs a step of its own.
                step = len(self.client.get_metric_history(run.run_id, key)) if key in run.metrics else 0
                points.append((key, value, now_ms, step))
        self.log_points(run, points)
        run.metrics.update({key: value for key, value, _, _ in points})

    def read_index(self, run: Run) -> dict[str, str]:
        """Return path -> SHA-256 of the artifacts of a run that were written whole; empty when there are none."""
        if not self.holds(run.run_id, INDEX):
            return {}
        with sentences(self.location, "did not hand out its index"), tempfile.TemporaryDirectory() as folder:
            path = Path(self.client.download_artifacts(run.run_id, INDEX, folder))
            index: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))["files"]
        return index

    def holds(self, run_id: str, path: str) -> bool:
        """Tell whether a run has an artifact at its root."""
        with sentences(self.location, "did not list the artifacts"):
            return any(item.path == path for item in self.client.list_artifacts(run_id))

    def upload(self, run: Run, source: Path, path: str) -> None:
        """Log one file as ``path``; its last part must be the name of ``source``."""
        folder, _, name = path.rpartition("/")
        if name != source.name:
            raise ValueError(f"MLflow names an artifact after its file: {source.name} cannot become {path}")
        with sentences(self.location, f"did not take the artifact {path}"):
            self.client.log_artifact(run.run_id, str(source), folder or None)

    def remove(self, run: Run, path: str) -> None:
        """Delete one artifact; a store that cannot delete keeps it, and the index no longer names it."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        with sentences(self.location, f"did not delete the artifact {path}"):
            try:
                get_artifact_repository(run.artifact_uri, tracking_uri=self.location.uri).delete_artifacts(path)
            except NotImplementedError:
                return

    def fetch(self, run_id: str, path: str, target: Path) -> None:
        """Fetch one artifact into the file ``target``."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            sentences(self.location, f"does not hold the artifact {path} of run {run_id}"),
            tempfile.TemporaryDirectory() as folder,
        ):
            shutil.copyfile(self.client.download_artifacts(run_id, path, folder), target)

    def log_points(self, run: Run, points: list[tuple[str, float, int, int]]) -> None:
        """Log (key, value, timestamp in ms, step); points that are there already are not added again."""
        from mlflow.entities import Metric

        with sentences(self.location, "did not take the metrics"):
            for first in range(0, len(points), 1000):  # as above
                self.client.log_batch(run.run_id, metrics=[Metric(*point) for point in points[first : first + 1000]])

    def finish(self, run: Run, end_ms: int | None = None) -> None:
        """Mark a run as finished."""
        if run.status != "FINISHED":
            with sentences(self.location, "did not close a run"):
                self.client.set_terminated(run.run_id, end_time=end_ms)
            run.status = "FINISHED"

    def create_version(self, run: Run, tags: Mapping[str, str], description: str = "") -> int:
        """Register the bundle of ``run`` as a new version and return its number."""
        from mlflow.exceptions import MlflowException

        with sentences(self.location, "did not create a version"):
            try:
                self.client.create_registered_model(self.model)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            version = self.client.create_model_version(
                self.model,
                f"{run.artifact_uri}/bundle",
                run.run_id,
                tags=_prefixed(tags),
                description=description,
                await_creation_for=0,
            )
        return int(version.version)

    def ensure_version_tags(self, version: RegisteredVersion, tags: Mapping[str, str]) -> None:
        """Set the tags of a version that differ."""
        with sentences(self.location, "did not take a tag"):
            for key, value in sorted(tags.items()):
                if version.tags.get(key) != value:
                    self.client.set_model_version_tag(self.model, str(version.number), TAG + key, value)

    def describe(self, version: RegisteredVersion, text: str) -> None:
        """Write what stands beside a version in the list of versions."""
        with sentences(self.location, "did not take a description"):
            self.client.update_model_version(self.model, str(version.number), text)

    def set_alias(self, alias: str, number: int) -> None:
        """Move an alias to a version."""
        with sentences(self.location, "did not take an alias"):
            self.client.set_registered_model_alias(self.model, alias, str(number))

    def drop_alias(self, alias: str) -> None:
        """Take an alias away from the model."""
        with sentences(self.location, "did not drop an alias"):
            self.client.delete_registered_model_alias(self.model, alias)


def _prefixed(tags: Mapping[str, str]) -> dict[str, str]:
    return {key if "." in key else TAG + key: value for key, value in sorted(tags.items())}


def _words(identity: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value[:12]}" for key, value in sorted(identity.items()))


def _run(run: Any) -> Run:
    info, data = run.info, run.data
    return Run(
        info.run_id,
        info.artifact_uri,
        int(info.start_time),
        info.status,
        dict(data.tags),
        dict(data.params),
        dict(data.metrics),
    )


def pages(search: Any, **query: Any) -> Iterator[Any]:
    """Yield what a search of MLflow finds, page after page."""
    page = search(**query)
    while True:
        yield from page
        if not page.token:
            return
        page = search(**query, page_token=page.token)
