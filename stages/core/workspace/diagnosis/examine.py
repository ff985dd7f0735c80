"""All checks of a workspace in their order."""

from __future__ import annotations

from pathlib import Path

from ...model.segmentation.hardware import gpus
from ..runs.params import Params, load_params
from . import machine, pipeline, settings, software
from .check import Check, guarded


def examine(workspace: Path) -> list[Check]:
    """Look at machine and workspace: about 10 s, most of it for loading torch and MLflow and for DVC's hashing."""
    checks = guarded("Python", software.python)
    checks += guarded("packages", lambda: software.packages(workspace / "constraints.txt"), "problem")
    checks += guarded("git", software.git, "problem")
    checks += guarded("git-annex", software.annex, "problem")
    params, reading = _params(workspace)
    checks += reading
    if params is not None:
        checks += _of_params(workspace, params)
    checks += guarded("cores", lambda: machine.cores(params))
    checks += guarded("GPU", lambda: machine.gpu(gpus(), params))
    return checks + _of_dvc(workspace, params)


def _params(workspace: Path) -> tuple[Params | None, list[Check]]:
    """The params, and their line; without them the checks that need them are left out."""
    read: list[Params] = []

    def look() -> list[Check]:
        read.append(load_params(workspace / "params.yaml"))
        return list(settings.profile(workspace, read[0]))

    checks = guarded("params", look, "problem")
    return (read[0] if read else None), checks


def _of_params(workspace: Path, params: Params) -> list[Check]:
    checks = guarded("train.versions", lambda: software.pinned_libraries(params.train.versions), "problem")
    checks += guarded("registry", lambda: settings.registry(workspace, params), "problem")
    # `history` asks the store in every run.
    return checks + guarded("MLflow", lambda: settings.mlflow_store(workspace, params), "problem")


def _of_dvc(workspace: Path, params: Params | None) -> list[Check]:
    """Remotes, disks and what would run; where DVC does not say where its cache is, the usual place is looked at."""
    config: dict[str, str] = {}

    def remotes() -> list[Check]:
        config.update(pipeline.settings(workspace))
        return list(pipeline.remotes(workspace, config))

    checks = guarded("DVC", remotes, "problem")
    names = [] if params is None else params.fetch.datasets
    manifests = [settings.fetched(workspace, name) for name in names]
    checks += guarded("disk", lambda: machine.disk(manifests, workspace, pipeline.cache_of(workspace, config)))
    checks += guarded("python of stages", pipeline.interpreter)
    return checks + guarded("to run", lambda: pipeline.pipeline(workspace), "problem")
