"""The earlier versions of a model, with the tables that they are compared by."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stages.core.errors import CordriftError
from stages.core.files import read_json, sha256_of
from stages.core.store.client import INDEX, Store, Version
from stages.core.store.packaged import MEASURES, SERIES


def select(versions: Iterable[Version], current: str) -> tuple[list[Version], int]:
    """Return the prior versions by number, and how many were left out because they are not cordrift's.

    The current digest is no prior of itself: it would never come to rest. Of two versions with one digest (made by
    hand) the first counts.
    """
    chosen: dict[str, Version] = {}
    foreign = 0
    for version in sorted(versions, key=lambda version: version.number):
        digest = version.tags.get("digest", "")
        foreign += not digest
        if digest and digest != current:
            chosen.setdefault(digest, version)
    return list(chosen.values()), foreign


def fetch(store: Store, version: Version, folder: Path) -> dict[str, Any]:
    """Fetch the tables of a version into ``folder/<digest12>`` and return its row for ``priors.json``.

    Raises
    ------
    CordriftError
        A file is not there, or not the one that was registered.
    """
    digest = version.tags["digest"]
    place = folder / digest[:12]
    with tempfile.TemporaryDirectory() as scratch:
        store.fetch(version.run_id, INDEX, Path(scratch) / INDEX)
        index = read_json(Path(scratch) / INDEX)["files"]
    for name in MEASURES:
        store.fetch(version.run_id, f"measures/{name}", place / name)
        if sha256_of(place / name) != index.get(f"measures/{name}"):
            raise CordriftError(
                f"{name} of version {version.number} of {store.model} in MLflow at {store.location.name} is not the "
                f"file that was registered: registering it again was interrupted, or it was changed. Check out the "
                f"revision of that version and run `dvc repro register`, which writes it again."
            )
    summary = read_json(place / "summary.json")
    return {
        "digest": digest,
        "version": str(version.number),
        "label": version.tags.get("label", ""),
        # `candidate` moves with every registration: with it, a prior's row would change and nothing would rest
        "aliases": sorted({"champion", "anchor"} & set(version.aliases)),
        "bundle": summary["bundle"],
        **{key: summary[key] for key in SERIES},
        "folder": digest[:12],
    }
