"""The runs and versions of one model in MLflow.

Every write first compares with what MLflow holds. After an interruption it can therefore be repeated.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..base.errors import StoreError
from .connection import connected, explained
from .location import ROOT_TAG, Location, find_location

#: Artifact that lists the other artifacts of a run with their hashes. It is written after them, so that all of them are
#: complete where it exists.
INDEX = "index.json"
#: Prefix of every tag that cordrift sets.
TAG = "cordrift."
#: Tag of the model with what is missing in its history, as JSON.
GAPS = "gaps"
#: Tags of a version: that it is a trial (``yes``), its promotions as JSON, and why it was retired.
TRIAL, PROMOTIONS, RETIRED = "trial", "promotions", "retired"
#: A user must name a version by at least so many digits of its digest: fewer could be a number or a short label.
LEAST_DIGITS = 6
#: MLflow's ``ViewType.ALL``: a search that also finds what is marked as deleted.
ALSO_DELETED = 3


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model. The keys of ``tags`` come without the prefix ``cordrift.``."""

    number: int
    run_id: str
    aliases: tuple[str, ...]
    tags: Mapping[str, str]

    @property
    def left_out(self) -> str:
        """Why the version is no point of a series, in a few words; ``""`` where it is one."""
        if self.tags.get(RETIRED):
            return f"retired: {self.tags[RETIRED]}"
        return "a trial" if self.tags.get(TRIAL) == "yes" else ""

    @property
    def promotions(self) -> list[dict[str, str]]:
        """The promotions, the oldest first: ``who``, ``when``, ``why`` and ``champion_before``."""
        log: list[dict[str, str]] = json.loads(self.tags.get(PROMOTIONS, "[]"))
        return log


@dataclass
class Run:
    """The content of one run in MLflow. The methods of :class:`Store` that write to the run also update this object."""

    run_id: str
    artifact_uri: str
    start_ms: int
    status: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]


def open_store(model: str, workspace: Path = Path()) -> Store:
    """Open the MLflow store of a workspace for one registered model; a local store that does not exist is created.

    Raises
    ------
    StoreError
        The store cannot be reached within some seconds, is not an MLflow store or was moved, or the experiment of the
        model was deleted.
    """
    location = find_location(workspace)
    with connected(location) as client:
        experiment = client.get_experiment_by_name(model)
    if experiment is not None and experiment.lifecycle_stage != "active":
        raise StoreError(
            f"The experiment {model!r} was deleted in MLflow at {location.name}; restore it with "
            f"`mlflow experiments restore --experiment-id {experiment.experiment_id}`, or name another register.model."
        )
    return Store(client, location, model, experiment.experiment_id if experiment is not None else None)


class Store:
    """The runs and versions of one model. Every method ``ensure_...`` writes only what MLflow does not hold yet."""

    def __init__(self, client: Any, location: Location, model: str, experiment_id: str | None) -> None:
        self.client = client
        self.location = location
        self.model = model
        self._experiment_id = experiment_id

    def versions(self) -> list[RegisteredVersion]:
        """Return all versions in the order of their numbers; none while the model is not registered."""
        with explained(self.location, "did not list the versions"):
            found = list(search_all(self.client.search_model_versions, filter_string=f"name='{self.model}'"))
            # The search returns no aliases: MLflow keeps them with the model.
            aliases = self.client.get_registered_model(self.model).aliases if found else {}
        versions = []
        for version in found:
            number = int(version.version)
            own_aliases = tuple(sorted(alias for alias, target in aliases.items() if int(target) == number))
            tags = {key.removeprefix(TAG): str(value) for key, value in version.tags.items() if key.startswith(TAG)}
            versions.append(RegisteredVersion(number, version.run_id, own_aliases, tags))
        return sorted(versions, key=lambda version: version.number)

    def require_free_label(self, label: str, digest: str) -> None:
        """Refuse a label that another bundle of this model has: two versions of one name look the same in a report.

        Parameters
        ----------
        label : that the version is to get
        digest : of its bundle, 64 hexadecimal digits

        Raises
        ------
        StoreError
            A version of another bundle has the label. Trials and retired versions do not count.
        """
        others = (v for v in self.versions() if v.tags.get("label") == label and not v.left_out)
        taken = next((version for version in others if version.tags.get("digest") != digest), None)
        if taken is not None:
            raise StoreError(
                f"the label {label!r} belongs to version {taken.number} of {self.model} (bundle "
                f"{taken.tags.get('digest', '')[:12]}), and this bundle is another one ({digest[:12]}). Write another "
                "label into register.label of params.yaml, or set register.trial to true where the run is only tried, "
                f"then run `dvc repro` again: nothing is trained again for it. (`cordrift retire {label} --reason ...` "
                "takes the earlier version out of the series, and frees its label.)"
            )

    def find_run(self, identity: Mapping[str, str]) -> Run | None:
        """Return the run that has all tags of ``identity``, the oldest one where several have them.

        Raises
        ------
        StoreError
            MLflow does not answer, or the run is marked as deleted.
        """
        if self._experiment_id is None:
            return None
        query = " and ".join(f"tags.`{TAG}{key}` = '{value}'" for key, value in sorted(identity.items()))
        with explained(self.location, "did not answer a search for runs"):
            # A run that is marked as deleted still belongs to its version: a second run must not take its place.
            runs = self.client.search_runs(
                [self._experiment_id],
                query,
                run_view_type=ALSO_DELETED,
                max_results=1,
                order_by=["attributes.start_time ASC"],
            )
        if not runs:
            return None
        if runs[0].info.lifecycle_stage != "active":
            run_id = runs[0].info.run_id
            raise StoreError(
                f"The run of {_described(identity)} was deleted in MLflow at {self.location.name}; restore it with "
                f"`mlflow runs restore --run-id {run_id}`, or remove it for good with `mlflow gc --run-ids {run_id}`."
            )
        return _run(runs[0])

    def ensure_run(self, identity: Mapping[str, str], name: str) -> Run:
        """Return the run of ``identity``. Create it, and its experiment, where they do not exist."""
        run = self.find_run(identity)
        if run is not None:
            return run
        with explained(self.location, "did not create a run"):
            if self._experiment_id is None:
                self._experiment_id = self._create_experiment()
            tags = {f"{TAG}{key}": value for key, value in identity.items()}
            return _run(self.client.create_run(self._experiment_id, tags=tags, run_name=name))

    def _create_experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        place: dict[str, Any] = {}
        if self.location.database is not None:
            root = self.location.database.parent
            place = {"artifact_location": str(root / "mlartifacts" / self.model), "tags": {ROOT_TAG: str(root)}}
        try:
            return str(self.client.create_experiment(self.model, **place))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # somebody else registers at the same time
                raise
            return str(self.client.get_experiment_by_name(self.model).experiment_id)

    def ensure_tags(self, run: Run, tags: Mapping[str, str]) -> None:
        """Set the tags that differ. A name without a dot gets the prefix ``cordrift.``."""
        from mlflow.entities import RunTag

        new = {key: value for key, value in _prefixed(tags).items() if run.tags.get(key) != value}
        if new:
            with explained(self.location, "did not take the tags"):
                self.client.log_batch(run.run_id, tags=[RunTag(key, value) for key, value in new.items()])
            run.tags.update(new)

    def ensure_params(self, run: Run, params: Mapping[str, str]) -> None:
        """Log the params that are missing. A param that exists stays as it is, because MLflow never changes one."""
        from mlflow.entities import Param

        new = sorted((key, value) for key, value in params.items() if key not in run.params)
        with explained(self.location, "did not take the params"):
            for first in range(0, len(new), 100):  # MLflow takes no more params in one call
                self.client.log_batch(run.run_id, params=[Param(*pair) for pair in new[first : first + 100]])
        run.params.update(new)

    def ensure_metrics(self, run: Run, metrics: Mapping[str, float]) -> None:
        """Log the metrics that differ, each as a further step. Log NaN only where MLflow holds an older number."""
        now_ms = int(time.time() * 1000)
        points = []
        with explained(self.location, "did not take the metrics"):
            for key, value in sorted(metrics.items()):
                known = run.metrics.get(key, math.nan)
                if known == value or (math.isnan(known) and math.isnan(value)):
                    continue
                # Of two values at one step MLflow shows the larger one, so that a change needs a step of its own.
                step = len(self.client.get_metric_history(run.run_id, key)) if key in run.metrics else 0
                points.append((key, value, now_ms, step))
        self.log_points(run, points)
        run.metrics.update({key: value for key, value, _, _ in points})

    def ensure_inputs(self, run: Run, inputs: Sequence[tuple[str, str, str, str]]) -> None:
        """Log the datasets of a run that are missing: (name, digest, address, context ``training`` or ``testing``)."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        with explained(self.location, "did not take the datasets"):
            known = self.client.get_run(run.run_id).inputs.dataset_inputs
            held = {(one.dataset.name, one.dataset.digest) for one in known}
            new = [
                DatasetInput(Dataset(name, digest, "datalad", url), [InputTag("mlflow.data.context", context)])
                for name, digest, url, context in inputs
                if (name, digest) not in held
            ]
            if new:
                self.client.log_inputs(run.run_id, new)

    def metrics_of(self, version: RegisteredVersion) -> tuple[dict[str, float], int]:
        """Return the metrics of a version's run and when it began (ms since 1970); none where the run is gone."""
        from mlflow.exceptions import MlflowException

        try:
            run = self.client.get_run(version.run_id)
        except MlflowException:
            return {}, 0
        return dict(run.data.metrics), int(run.info.start_time)

    def read_index(self, run: Run) -> dict[str, str]:
        """Return path -> SHA-256 of the artifacts of a run, as its index lists them; empty without an index."""
        if not self.holds(run.run_id, INDEX):
            return {}
        with explained(self.location, "did not hand out its index"), tempfile.TemporaryDirectory() as folder:
            path = Path(self.client.download_artifacts(run.run_id, INDEX, folder))
            index: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))["files"]
        return index

    def holds(self, run_id: str, path: str) -> bool:
        """Tell whether a run has the artifact ``path`` at its root."""
        with explained(self.location, "did not list the artifacts"):
            return any(item.path == path for item in self.client.list_artifacts(run_id))

    def upload(self, run: Run, source: Path, path: str) -> None:
        """Log one file as the artifact ``path``, whose last part must be the name of ``source``."""
        folder, _, name = path.rpartition("/")
        if name != source.name:
            raise ValueError(f"MLflow names an artifact after its file: {source.name} cannot become {path}")
        with explained(self.location, f"did not take the artifact {path}"):
            self.client.log_artifact(run.run_id, str(source), folder or None)

    def remove(self, run: Run, path: str) -> None:
        """Delete one artifact. Where MLflow cannot delete files it stays, and the index does not name it."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        with explained(self.location, f"did not delete the artifact {path}"):
            try:
                get_artifact_repository(run.artifact_uri, tracking_uri=self.location.uri).delete_artifacts(path)
            except NotImplementedError:
                return

    def fetch(self, run_id: str, path: str, target: Path) -> None:
        """Copy one artifact of a run into the file ``target``."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            explained(self.location, f"does not hold the artifact {path} of run {run_id}"),
            tempfile.TemporaryDirectory() as folder,
        ):
            shutil.copyfile(self.client.download_artifacts(run_id, path, folder), target)

    def log_points(self, run: Run, points: list[tuple[str, float, int, int]]) -> None:
        """Log points of curves: (key, value, timestamp in ms, step). MLflow ignores a point that it already holds."""
        from mlflow.entities import Metric

        with explained(self.location, "did not take the metrics"):
            for first in range(0, len(points), 1000):  # MLflow takes no more metrics in one call
                self.client.log_batch(run.run_id, metrics=[Metric(*point) for point in points[first : first + 1000]])

    def finish(self, run: Run, end_ms: int | None = None) -> None:
        """Mark a run as finished at ``end_ms`` (ms since 1970), by default now."""
        if run.status != "FINISHED":
            with explained(self.location, "did not close a run"):
                self.client.set_terminated(run.run_id, end_time=end_ms)
            run.status = "FINISHED"

    def gaps(self) -> list[str]:
        """Return what is missing in the history of this model, in sentences; empty where nothing is known to be."""
        with explained(self.location, "did not list the models"):
            found = list(search_all(self.client.search_registered_models, filter_string=f"name='{self.model}'"))
        return [str(gap) for model in found for gap in json.loads(model.tags.get(TAG + GAPS, "[]"))]

    def set_gaps(self, sentences: Sequence[str]) -> None:
        """Record what is missing in the history, in the place of what was recorded before."""
        with explained(self.location, "did not take a tag"):
            self._ensure_model()
            self.client.set_registered_model_tag(self.model, TAG + GAPS, json.dumps(list(sentences)))

    def _ensure_model(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(self.model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def create_version(self, run: Run, tags: Mapping[str, str], description: str = "") -> int:
        """Register the bundle of ``run`` as a new version of the model and return the number of the version."""
        with explained(self.location, "did not create a version"):
            self._ensure_model()
            version = self.client.create_model_version(
                self.model,
                f"{run.artifact_uri}/bundle",
                run.run_id,
                tags=_prefixed(tags),
                description=description,
                await_creation_for=0,
            )
        return int(version.version)

    def delete_version(self, number: int) -> None:
        """Delete a version; its run stays."""
        with explained(self.location, "did not delete a version"):
            self.client.delete_model_version(self.model, str(number))

    def discard(self, run: Run) -> None:
        """Delete a run, so that it is found under the name of its bundle no longer."""
        with explained(self.location, "did not delete a run"):
            self.client.set_tag(run.run_id, f"{TAG}kind", "registered twice")
            self.client.delete_run(run.run_id)

    def is_active(self, run_id: str) -> bool:
        """Tell whether a run is there and not deleted."""
        from mlflow.exceptions import MlflowException

        with explained(self.location, "did not hand out a run"):
            try:
                return bool(self.client.get_run(run_id).info.lifecycle_stage == "active")
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return False

    def ensure_version_tags(self, version: RegisteredVersion, tags: Mapping[str, str]) -> None:
        """Set the tags of a version that differ."""
        with explained(self.location, "did not take a tag"):
            for key, value in sorted(tags.items()):
                if version.tags.get(key) != value:
                    self.client.set_model_version_tag(self.model, str(version.number), TAG + key, value)

    def describe(self, version: RegisteredVersion, text: str) -> None:
        """Write the description of a version, which MLflow shows in its list of versions."""
        with explained(self.location, "did not take a description"):
            self.client.update_model_version(self.model, str(version.number), text)

    def set_alias(self, alias: str, number: int) -> None:
        """Move an alias to a version."""
        with explained(self.location, "did not take an alias"):
            self.client.set_registered_model_alias(self.model, alias, str(number))

    def drop_alias(self, alias: str) -> None:
        """Take an alias away from the model."""
        with explained(self.location, "did not drop an alias"):
            self.client.delete_registered_model_alias(self.model, alias)


def experiments(location: Location) -> dict[str, str]:
    """Return name -> id of the experiments of a store in which somebody registered something.

    Raises
    ------
    StoreError
        The store cannot be reached within some seconds.
    """
    with connected(location) as client:
        found = list(search_all(client.search_experiments))
    return {str(one.name): str(one.experiment_id) for one in found if one.experiment_id != "0"}


def _prefixed(tags: Mapping[str, str]) -> dict[str, str]:
    return {key if "." in key else TAG + key: value for key, value in sorted(tags.items())}


def _described(identity: Mapping[str, str]) -> str:
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


def search_all(search: Any, **query: Any) -> Iterator[Any]:
    """Yield all results of a search in MLflow, which returns them in pages."""
    page = search(**query)
    while True:
        yield from page
        if not page.token:
            return
        page = search(**query, page_token=page.token)
