"""The withdrawal of a participant, step by step: exclude, rebuild, search, and tell what is left to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ...base.errors import CordriftError
from ...data.datasets.manifest import CLONES
from ...data.datasets.registry import REGISTRY, Registry, load_registry
from ...store.location import Location
from ...store.training_data import open_archive
from . import rebuild, traces
from .exclusion import exclude
from .identity import PARTICIPANT, Identity
from .people import Id, Known, find, image_contents, known
from .purge import steps
from .text import Done


def withdraw(root: Path, participant: str, reason: str, dataset: str | None, *, rebuilding: bool) -> Done:
    """Withdraw a participant from the workspace ``root`` and return what was done and found.

    What fails after the registry was written is a sentence in ``problems``; the rest is done all the same. A second
    run changes nothing and finds the same.

    Raises
    ------
    CordriftError
        A malformed id or reason, nobody of that name, a faulty registry or manifest. Nothing was changed then.
    """
    if not PARTICIPANT.fullmatch(participant):
        raise CordriftError(f"A participant is named such as 'sub-amu01', not {participant!r}.")
    reason = reason.strip()
    if not reason or re.search(r"[\r\n]", reason):
        raise CordriftError(f"The reason must be one line that says something, not {reason!r}.")
    registry = load_registry(root / REGISTRY)
    everyone = known(root, registry)
    ids = find(participant, dataset, registry, everyone)
    identity = _identity(root, registry, everyone, ids)
    new = exclude(root / REGISTRY, ids, reason)
    done = Done(participant, reason)
    done.ids = {one: (why, one in new) for one, why in ids.items() if one[0] in registry.datasets}
    done.outside = sorted(one for one in ids if one[0] not in registry.datasets)
    done.frozen = sorted(rebuild.frozen_ids(root, identity))
    if rebuilding:
        _rebuild(root, identity, registry, done)
    location = _search_store(root, identity, done)
    done.kept = traces.in_workspace(root, identity)
    done.bundles = traces.bundles(root, identity)
    done.sources = traces.in_tables_of_sources(root, identity)
    done.steps = list(steps(root, identity, registry, location, done.traces or [], done.kept))
    return done


def _identity(root: Path, registry: Registry, everyone: Known, ids: Mapping[Id, str]) -> Identity:
    images = {image for one in ids for image in everyone.images.get(one, ())}
    for name, participant in ids:
        clone = root / CLONES / name
        if name in registry.datasets and (clone / ".git").exists():
            patterns = registry.datasets[name].contrasts.values()
            images |= image_contents(clone, {one.image.format(sub=participant) for one in patterns})
    return Identity(frozenset(ids), frozenset(registry.datasets), frozenset(images))


def _rebuild(root: Path, identity: Identity, registry: Registry, done: Done) -> None:
    done.rebuilt = []
    try:
        done.removed, done.scratch = rebuild.clean(root, identity, registry)
        done.rebuilt = rebuild.repro(root, identity)
    except CordriftError as error:
        done.problems.append(f"Not everything was rebuilt: {error}")


def _search_store(root: Path, identity: Identity, done: Done) -> Location | None:
    try:
        archive = open_archive(root)
        if archive is None:
            done.traces, done.store = [], "no store: nothing was registered from here"
            return None
        done.traces, done.store = list(traces.in_store(archive, identity)), f"MLflow at {archive.location.name}"
    except CordriftError as error:
        done.traces = None
        done.problems.append(f"The store was not searched: {error}")
        return None
    return archive.location
