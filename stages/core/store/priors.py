"""The earlier versions of a model, with the tables that they are compared by.

A version that was measured with another ruler is measured again from its kept masks, where it has them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion
from packaging.version import Version as Label

from ..base.errors import CordriftError
from ..base.files import read_csv, read_json, sha256_of, write_csv, write_json
from ..measures.kept_masks.reader import read_kept
from ..measures.kept_masks.remeasurement import Ruler, remeasure, with_new_errors
from ..tables.columns import AGREEMENT_TEXT
from .bundle_files import MASKS, MEASURES_FILES, SERIES
from .client import INDEX, RegisteredVersion, Store


def select(versions: Iterable[RegisteredVersion], current: str) -> tuple[list[RegisteredVersion], int]:
    """Return the prior versions in their order, and how many were left out because they are not cordrift's.

    Labels that are versions come first, as versions (v2.0 before v10.0), whenever they were registered; the others
    follow by number. The current digest is no prior of itself: it would never come to rest. Where it is registered,
    only older versions are priors: what came later changes nothing. Of two versions with one digest (made by hand)
    the first counts.
    """
    chosen: dict[str, RegisteredVersion] = {}
    foreign = 0
    ascending = sorted(versions, key=lambda version: version.number)
    own = [version.number for version in ascending if version.tags.get("digest") == current]
    for version in [version for version in ascending if not own or version.number <= own[0]]:
        digest = version.tags.get("digest", "")
        foreign += not digest
        if digest and digest != current:
            chosen.setdefault(digest, version)
    return sorted(chosen.values(), key=_order), foreign


def _order(version: RegisteredVersion) -> tuple[bool, Label, int]:
    try:
        return False, Label(version.tags.get("label", "")), version.number
    except InvalidVersion:
        return True, Label("0"), version.number


def fetch(
    store: Store, version: RegisteredVersion, folder: Path, ruler: Ruler, roles: Mapping[str, list[str]]
) -> dict[str, Any]:
    """Fetch the tables of a version into ``folder/<digest12>`` and return its row for ``priors.json``.

    ``roles`` says by digest which versions judge the candidate, as champion or anchor.

    Where another ruler measured them, they are made anew from its kept masks: ``remeasured`` is true and
    ``ruler_was`` names the other one. Where that cannot be, ``other_ruler`` says why, and the tables stay as they were.
    The kept masks of a version that judges come along, for the report to draw; ``masks`` is their registered digest.

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
    for name in MEASURES_FILES:
        store.fetch(version.run_id, f"measures/{name}", place / name)
        if sha256_of(place / name) != index.get(f"measures/{name}"):
            raise CordriftError(
                f"{name} of version {version.number} of {store.model} in MLflow at {store.location.name} is not the "
                f"file that was registered: registering it again was interrupted, or it was changed. Check out the "
                f"revision of that version and run `dvc repro register`, which writes it again."
            )
    drawn = digest in roles and store.holds(version.run_id, MASKS)
    if drawn:
        store.fetch(version.run_id, MASKS, place / MASKS)
    summary = read_json(place / "summary.json")
    was, why = str(summary["ruler"]), ""
    if was != ruler.id:
        why = _measure_again(store, version, place, index.get(MASKS), ruler)
        summary = read_json(place / "summary.json")
    return {
        "digest": digest,
        "version": str(version.number),
        "label": version.tags.get("label", ""),
        "aliases": list(roles.get(digest, [])),
        "bundle": summary["bundle"],
        **{key: summary[key] for key in SERIES},
        "folder": digest[:12],
        "ruler_was": was,
        "remeasured": summary["ruler"] != was,
        "other_ruler": why,
        "masks": str(index.get(MASKS, "")) if drawn else "",
    }


def _measure_again(store: Store, version: RegisteredVersion, place: Path, masks: str | None, ruler: Ruler) -> str:
    """Replace the tables in ``place`` by those of today's ruler, or return why that cannot be."""
    if masks is None or not store.holds(version.run_id, MASKS):
        return f"its run in MLflow holds no {MASKS}."
    with tempfile.TemporaryDirectory() as scratch:
        store.fetch(version.run_id, MASKS, Path(scratch) / MASKS)
        try:
            kept = read_kept(Path(scratch) / MASKS, masks)
        except CordriftError as error:
            raise CordriftError(
                f"Version {version.number} of {store.model} in MLflow at {store.location.name} was measured with "
                f"another ruler and cannot be measured again: {error} Check out the revision of that version and run "
                f"`dvc repro register`, which writes {MASKS} again, or delete it from the run: the version is then "
                "shown, and not judged."
            ) from error
    if kept is None:
        return f"its {MASKS} is of a cordrift that did not keep masks so that they can be measured again."
    try:
        measures = remeasure(kept, ruler)
    except CordriftError as error:  # the new ruler refuses what the old one took: nobody can mend that
        return str(error)
    summary = read_json(place / "summary.json")
    agreement = read_csv(place / "agreement.csv", text=AGREEMENT_TEXT)
    write_csv(place / "agreement.csv", with_new_errors(agreement, measures, str(summary["frozen"]), ruler))
    write_csv(place / "measures.csv", measures)
    write_json(place / "summary.json", {**summary, "ruler": ruler.id, "range": ruler.range})
    return ""
