"""The history of a model from its releases alone, for a lab without an MLflow server.

The releases are replayed into an empty store. A person's acceptance of a version is an asset of its release.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from ...base.errors import ReleaseError
from ...base.files import read_json, write_json
from ...base.params import Block, validate
from ...measures.published.release_table import read_release
from ...store.client import RegisteredVersion, Store
from ...store.imported_version import import_version
from ...store.promotion import promote
from ...store.registration import register_version
from ..github.api import Release
from ..github.repository import MOST_ASSET_BYTES, Repository
from .archive import Digest, read_record
from .names import BUNDLE_ZIP, PROMOTION, PROVENANCE, RECORD_ZIP, version_of

Text = Annotated[str, Field(min_length=1)]
#: The largest sizes of an acceptance, and of a table that a release from before cordrift published.
MOST_PROMOTION_BYTES, MOST_TABLE_BYTES = 1 << 20, 256 << 20


class Promotion(Block):
    """A person's acceptance of a released version, as its asset says: who, when (ISO 8601) and why."""

    digest: Digest
    who: Text
    when: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")]
    why: Text


@dataclass(frozen=True)
class Event:
    """Something that happened to the model at a time (ISO 8601): a release, or the promotion of one."""

    when: str
    release: Release
    promotion: Promotion | None = None


def rebuild(
    store: Store, repository: Repository, tag: str, dataset: str, scratch: Path, say: Callable[[str], None]
) -> list[str]:
    """Fill a store with every version that was released before ``tag``, and with ``tag`` where it has a record.

    Releases are replayed in the order of their publication and promotions at their time, so that the aliases come out
    as they were: the first champion, the versions that passed, and those that a person accepted.

    Parameters
    ----------
    store : an empty store
    repository : whose releases are replayed
    tag : of the release that is judged; ``""`` for all releases
    dataset : whose participants the tables of releases from before cordrift are about
    scratch : an empty folder for the downloaded files, which must stay while the store is used
    say : receives a line for what is registered again

    Returns
    -------
    One sentence for each release: what of it came into the history, or why nothing did.

    Raises
    ------
    CordriftError
        A record or table of a release cannot be read. It is not left out, because a history with a gap that nobody
        notices would judge wrongly.
    """
    known = repository.releases()
    current = next((release for release in known if release.tag == tag), None)
    until = current.published if current else ""
    earlier = [r for r in known if r.tag == tag or (not r.draft and (not until or r.published < until))]
    events = [Event(release.published, release) for release in earlier]
    for release in earlier:
        if release.tag != tag and release.asset(PROMOTION):
            promotion = _promotion(repository, release, scratch)
            events.append(Event(max(promotion.when, release.published), release, promotion))
    said: list[str] = []
    gaps: list[str] = []
    for event in sorted(events, key=lambda event: (event.when, event.promotion is not None)):
        if event.promotion is not None:
            version = _accepted(store, event.release, event.promotion)
            promote(store, version, reason=event.promotion.why, person=event.promotion.who, when=event.promotion.when)
            gaps = []  # a person has accepted a version with what there was
            said.append(f"{event.release.tag} was accepted by {event.promotion.who}: {event.promotion.why}")
        elif _is_lost(event.release, tag):
            gap = (
                f"the release {event.release.tag} has a model but no {RECORD_ZIP}: what it measured is not in the "
                "history, so that nothing can be judged until that file is back or a person accepts a later release"
            )
            gaps.append(gap)
            said.append(gap)
        else:
            said += _replay(store, repository, event.release, tag, dataset, scratch, say)
        if gaps != store.gaps():
            store.set_gaps(gaps)
    return said


def _is_lost(release: Release, current: str) -> bool:
    """Tell whether a release was of a model, as its assets say, and its record is gone."""
    of_model = any(release.asset(name) for name in (BUNDLE_ZIP, PROVENANCE))
    imported = release.asset(f"csa_c2c3__model_{release.tag}.csv")
    return bool(release.tag != current and of_model and not release.asset(RECORD_ZIP) and not imported)


def _promotion(repository: Repository, release: Release, scratch: Path) -> Promotion:
    path = scratch / f"{release.id}-{PROMOTION}"
    repository.download(release, PROMOTION, path, MOST_PROMOTION_BYTES)
    value = read_json(path, error=ReleaseError)
    value.pop("schema")
    source = f"{PROMOTION} of the release {release.tag}"
    promotion: Promotion = validate(Promotion, value, source, error=ReleaseError)
    return promotion


def _accepted(store: Store, release: Release, promotion: Promotion) -> RegisteredVersion:
    for version in store.versions():
        if version.tags.get("digest") == promotion.digest:
            return version
    raise ReleaseError(
        f"{PROMOTION} of the release {release.tag} accepts the bundle {promotion.digest[:12]}, of which no release has "
        "a record: the bundle was replaced afterwards. Delete that asset, or accept the release again."
    )


def _replay(
    store: Store,
    repository: Repository,
    release: Release,
    current: str,
    dataset: str,
    scratch: Path,
    say: Callable[[str], None],
) -> list[str]:
    if release.asset(RECORD_ZIP):
        path = scratch / f"{release.id}.zip"
        repository.download(release, RECORD_ZIP, path, MOST_ASSET_BYTES)
        folder = scratch / str(release.id)
        folder.mkdir()
        record = read_record(path, folder)
        register_version(store, record, say)
        return [] if release.tag == current else [f"{release.tag}: bundle {record.digest[:12]}, from {RECORD_ZIP}"]
    table = f"csa_c2c3__model_{release.tag}.csv"
    if release.asset(table) and version_of(release.tag):
        path = scratch / table
        repository.download(release, table, path, MOST_TABLE_BYTES)
        imported = import_version(store, read_release(path, release.tag, dataset), path)
        return [f"{release.tag}: imported from {table} as version {imported.number}, shown and judging nothing"]
    return [] if release.tag == current else [f"{release.tag}: no {RECORD_ZIP}, so it is not in the history"]


def write_acceptance(repository: Repository, tag: str, *, who: str, why: str, when: str) -> Promotion:
    """Add the acceptance of a release to its assets; the releases after it are judged against it.

    Parameters
    ----------
    repository, tag : name the release
    who : accepts it
    why : the reason, which everybody can read
    when : time in ISO 8601

    Raises
    ------
    CordriftError
        There is no reason, no such release, or it was not judged yet.
    """
    if not why.strip():
        raise ReleaseError("a promotion needs a reason: what was looked at, and why the drift is accepted.")
    release = repository.release(tag)
    with tempfile.TemporaryDirectory() as scratch:
        packed, folder = Path(scratch) / RECORD_ZIP, Path(scratch) / "record"
        repository.download(release, RECORD_ZIP, packed, MOST_ASSET_BYTES)
        folder.mkdir()
        promotion = Promotion(digest=read_record(packed, folder).digest, who=who, when=when, why=why)
        path = Path(scratch) / PROMOTION
        write_json(path, promotion.model_dump())
        repository.upload(release, path, PROMOTION)
    return promotion
