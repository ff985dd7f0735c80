"""Checks of the params, the registry, the pins and the MLflow store of a workspace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...base.errors import DatasetError, SettingsError, did_you_mean
from ...data.clones.addresses import source_of
from ...data.datasets.manifest import Manifest, read_manifest
from ...data.datasets.registry import (
    FROZEN,
    PERSONS,
    REGISTRY,
    Frozen,
    Registry,
    entry,
    load_registry,
    pinned,
    read_frozen,
    read_persons,
)
from ...store.client import open_store
from ...store.location import check_location, find_location
from ..runs.params import Params
from .check import DoctorCheck, State


def check_profile(workspace: Path, params: Params) -> Iterator[DoctorCheck]:
    """Tell whether the params are a copy of a file of ``params/`` or contain edits."""
    current = (workspace / "params.yaml").read_bytes()
    same = [path.stem for path in sorted((workspace / "params").glob("*.yaml")) if path.read_bytes() == current]
    found = f"profile {params.profile!r}, " + (f"as params/{same[0]}.yaml" if same else "with edits of its own")
    yield DoctorCheck("params", "ok", found)


def check_registry(workspace: Path, params: Params) -> Iterator[DoctorCheck]:
    """Check the registry and the tables beside it, and whether each dataset in use is pinned and can be fetched."""
    known = load_registry(workspace / REGISTRY)
    frozen = read_frozen(workspace / FROZEN)
    persons = read_persons(workspace / PERSONS)
    found = f"{len(known.datasets)} datasets, {len(frozen)} frozen participants, {len(set(persons.values()))} persons"
    yield DoctorCheck("registry", "ok", f"{found} under several ids")
    yield from check_monitored(known, frozen, params)
    used = dict.fromkeys([*params.fetch.datasets, *params.prepare.datasets, *params.segment.datasets])
    for name in used:
        yield _check_dataset(workspace, name, params)


def check_monitored(known: Registry, frozen: list[Frozen], params: Params) -> Iterator[DoctorCheck]:
    """Tell what would let a verdict fail only after the training: unknown contrasts, and too few participants."""
    names = [name for name in params.segment.datasets if name in known.datasets]
    contrasts = {contrast for name in names for contrast in known.datasets[name].contrasts}
    for contrast in sorted(set(params.segment.contrasts) - contrasts if names else ()):
        near = did_you_mean(contrast, contrasts)
        advice = f"correct segment.contrasts in params.yaml; known: {', '.join(sorted(contrasts))}"
        yield DoctorCheck("contrasts", "problem", f"no monitored dataset has {contrast!r}{near}", advice)
    people, least = sum(row.dataset in names for row in frozen), params.compare.min_participants
    state: State = "ok" if people >= least else "warning"
    found = f"{people} frozen participants, compare.min_participants is {least}"
    advice = "" if people >= least else "no version can be called equivalent: freeze more people in data/frozen.csv"
    yield DoctorCheck("frozen set", state, found, advice)


def _check_dataset(workspace: Path, name: str, params: Params) -> DoctorCheck:
    label = f"dataset {name}"
    try:
        dataset = entry(load_registry(workspace / REGISTRY), name)
        commit = pinned(name, dataset)
    except SettingsError as error:
        return DoctorCheck(label, "problem", str(error))
    if name not in params.fetch.datasets:
        return DoctorCheck(label, "problem", "used, but not fetched", f"add {name} to fetch.datasets in params.yaml")
    manifest = fetched_manifest(workspace, name)
    is_fetched = manifest is not None and manifest.commit == commit
    at = f"{dataset.tag} ({commit[:12]}), " + ("fetched" if is_fetched else "not fetched yet")
    try:
        # A path in the registry is relative to the workspace.
        source_of(dataset.url if ":" in dataset.url else str(workspace / dataset.url))
    except (SettingsError, DatasetError) as error:
        return DoctorCheck(label, "warning" if is_fetched else "problem", f"{at}; {error}")
    return DoctorCheck(label, "ok", at)


def fetched_manifest(workspace: Path, name: str) -> Manifest | None:
    """Return the manifest of a dataset; None where it is missing or cannot be read (`fetch` then writes it again)."""
    path = workspace / "data/fetch" / f"{name}.json"
    try:
        return read_manifest(path) if path.is_file() else None
    except DatasetError:
        return None


def check_store(workspace: Path, params: Params) -> Iterator[DoctorCheck]:
    """Check that the MLflow store can be used and count the versions of the model; do not create a store."""
    location = find_location(workspace)
    if location.database is None and params.history.offline:
        yield DoctorCheck("MLflow", "ok", f"{location.name}, not asked: history.offline is true")
        return
    check_location(location)
    if location.database is not None and not location.database.exists():
        yield DoctorCheck("MLflow", "ok", f"no store at {location.name} yet; the first `dvc repro` creates it")
        return
    versions = open_store(params.registration.model, workspace).versions()
    yield DoctorCheck("MLflow", "ok", f"{location.name}, {params.registration.model} has {len(versions)} versions")
