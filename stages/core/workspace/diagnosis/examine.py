"""All checks of a machine and a workspace, in their order."""

from __future__ import annotations

from pathlib import Path

from ...model.segmentation.hardware import gpus
from ..runs.params import Params, load_params
from . import machine, pipeline, settings, software
from .check import DoctorCheck, guarded


def examine(workspace: Path) -> list[DoctorCheck]:
    """Run all checks. This takes about 10 s, mostly to import torch and MLflow and for the hashes of DVC."""
    checks = guarded("Python", software.check_python)
    checks += guarded("packages", lambda: software.check_packages(workspace / "constraints.txt"), "problem")
    checks += guarded("git", software.check_git, "problem")
    checks += guarded("git-annex", software.check_annex, "problem")
    params, reading = _read_params(workspace)
    checks += reading
    if params is not None:
        checks += _check_params(workspace, params)
    checks += guarded("cores", lambda: machine.check_cores(params))
    checks += guarded("GPU", lambda: machine.check_gpu(gpus(), params))
    return checks + _check_dvc(workspace, params)


def _read_params(workspace: Path) -> tuple[Params | None, list[DoctorCheck]]:
    """Return the params, None where they cannot be read, and the check about them."""
    params: list[Params] = []

    def look() -> list[DoctorCheck]:
        params.append(load_params(workspace / "params.yaml"))
        return list(settings.check_profile(workspace, params[0]))

    checks = guarded("params", look, "problem")
    return (params[0] if params else None), checks


def _check_params(workspace: Path, params: Params) -> list[DoctorCheck]:
    checks = guarded("train.versions", lambda: software.check_libraries(params.train.versions), "problem")
    checks += guarded("registry", lambda: settings.check_registry(workspace, params), "problem")
    # A store that does not answer is a problem, because `history` asks it in every run.
    return checks + guarded("MLflow", lambda: settings.check_store(workspace, params), "problem")


def _check_dvc(workspace: Path, params: Params | None) -> list[DoctorCheck]:
    """Check remotes, disks and what would run. Without DVC's settings the cache is expected in ``.dvc``."""
    config: dict[str, str] = {}

    def remotes() -> list[DoctorCheck]:
        config.update(pipeline.dvc_settings(workspace))
        return list(pipeline.check_remotes(workspace, config))

    checks = guarded("DVC", remotes, "problem")
    names = [] if params is None else params.fetch.datasets
    manifests = [settings.fetched_manifest(workspace, name) for name in names]
    checks += guarded(
        "disk", lambda: machine.check_disks(manifests, workspace, pipeline.cache_folder(workspace, config))
    )
    checks += guarded("python of stages", pipeline.check_interpreter)
    return checks + guarded("to run", lambda: pipeline.check_stages(workspace), "problem")
