"""The steps of a withdrawal: exclude the ids, rebuild, search for remaining data, list what people must delete."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ...base.errors import CordriftError, SettingsError, StoreError
from ...data.clones import annex
from ...data.datasets.manifest import CLONES
from ...data.datasets.registry import REGISTRY, Registry, load_registry
from ...data.datasets.selection import image_paths
from ...store.location import Location
from ...store.recorded_versions import open_recorded_versions
from . import rebuild, traces
from .exclusion import exclude
from .identity import PARTICIPANT, Identity
from .people import Id, People, find_ids, image_contents, read_people
from .purge import purge_steps
from .text import WithdrawalOutcome


def withdraw(root: Path, participant: str, reason: str, dataset: str | None, *, rebuilding: bool) -> WithdrawalOutcome:
    """Withdraw a participant from the workspace ``root`` and return what was done and found.

    A step that fails after the registry was written becomes a sentence in ``problems``, and the other steps are done
    all the same. A second run changes nothing and finds the same.

    Parameters
    ----------
    participant : id, such as ``sub-amu01``
    reason : one line of text, which the registry keeps
    dataset : search for the id only in the repository of this dataset; None for all datasets
    rebuilding : remove the data from clones and outputs; otherwise only exclude, search and list

    Raises
    ------
    CordriftError
        The id or the reason is malformed, no dataset holds the participant, or the registry or a manifest is faulty.
        Nothing was changed then.
    """
    if not PARTICIPANT.fullmatch(participant):
        raise SettingsError(f"{participant!r} is not the id of a participant; expected an id such as 'sub-amu01'.")
    reason = reason.strip()
    if not reason or re.search(r"[\r\n]", reason):
        raise SettingsError(f"The reason is {reason!r}; expected one line of text.")
    registry = load_registry(root / REGISTRY)
    people = read_people(root, registry)
    ids = find_ids(participant, dataset, registry, people)
    identity = _identity(root, registry, people, ids)
    new = exclude(root / REGISTRY, ids, reason)
    outcome = WithdrawalOutcome(participant, reason)
    outcome.ids = {one: (why, one in new) for one, why in ids.items() if one[0] in registry.datasets}
    outcome.outside = sorted(one for one in ids if one[0] not in registry.datasets)
    outcome.frozen = sorted(rebuild.frozen_ids(root, identity))
    if rebuilding:
        _rebuild(root, identity, registry, outcome)
    location = _search_store(root, identity, outcome)
    outcome.kept = traces.files_in_workspace(root, identity, frozen=bool(outcome.frozen))
    outcome.bundles = traces.trained_bundles(root, identity)
    outcome.source_tables = traces.source_tables(root, identity)
    outcome.steps = list(purge_steps(root, identity, registry, location, outcome.traces or [], outcome.kept))
    return outcome


def _identity(root: Path, registry: Registry, people: People, ids: Mapping[Id, str]) -> Identity:
    images = {image for one in ids for image in people.images.get(one, ())}
    for name, participant in ids:
        clone = root / CLONES / name
        if name in registry.datasets and (clone / ".git").exists():
            paths = image_paths(registry.datasets[name], participant, annex.list_paths(clone))
            images |= image_contents(clone, paths)
    return Identity(frozenset(ids), frozenset(registry.datasets), frozenset(images))


def _rebuild(root: Path, identity: Identity, registry: Registry, outcome: WithdrawalOutcome) -> None:
    outcome.rebuilt = []
    try:
        outcome.removed, outcome.scratch = rebuild.remove_data(root, identity, registry)
        outcome.rebuilt = rebuild.rerun_stages(root, identity)
    except CordriftError as error:
        outcome.problems.append(f"Not everything was rebuilt: {error}")


def _search_store(root: Path, identity: Identity, outcome: WithdrawalOutcome) -> Location | None:
    """Search MLflow; return where it is, or None where there is no store or it could not be searched."""
    try:
        recorded = open_recorded_versions(root)
        if recorded is None:
            outcome.traces = []
            return None
        outcome.traces = list(traces.traces_in_store(recorded, identity, frozen=bool(outcome.frozen)))
    except StoreError as error:
        outcome.traces = None
        outcome.problems.append(f"The store was not searched: {error}")
        return None
    outcome.store = f"MLflow at {recorded.location.name}"
    return recorded.location
