"""The history of a model from its releases alone, for a lab without an MLflow server.

The releases are replayed into an empty store. A person's acceptance of a version is an asset of its release.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, Field

from ...base.errors import ReleaseError
from ...base.files import read_json, write_json
from ...base.params import Block, validate
from ...measures.published.release_table import read_release
from ...store.client import RegisteredVersion, Store
from ...store.imported_version import import_version
from ...store.promotion import promote
from ...store.registration import register_version
from ...store.run_content import RunContent
from ..github.api import Release
from ..github.repository import MOST_ASSET_BYTES, Repository
from .archive import Digest, read_record
from .names import BUNDLE_ZIP, PROMOTION, PROVENANCE, RECORD_ZIP, version_of
from .plan import released_digest

Text = Annotated[str, Field(min_length=1)]
#: The largest sizes of an acceptance, and of a table that a release from before cordrift published.
MOST_PROMOTION_BYTES, MOST_TABLE_BYTES = 1 << 20, 256 << 20


class Promotion(Block):
    """A person's acceptance of a released version, as its asset says: who, when (ISO 8601 with its zone) and why."""

    digest: Digest
    who: Text
    when: AwareDatetime
    why: Text


@dataclass(frozen=True)
class Event:
    """Something that happened to the model at a time: a release, or the promotion of one."""

    when: datetime
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
    events = [Event(_time(release.published), release) for release in earlier]
    for release in earlier:
        if release.tag != tag and release.asset(PROMOTION):
            promotion = _promotion(repository, release, scratch)
            # Nobody accepts a release before it is published, whatever the file says.
            events.append(Event(max(promotion.when, _time(release.published)), release, promotion))
    said: list[str] = []
    gaps: list[str] = []
    digests: dict[int, str] = {}
    for event in sorted(events, key=lambda event: (event.when, event.promotion is not None)):
        if event.promotion is not None and _lost(event.release, tag):
            said.append(
                f"{event.release.tag} {_lost(event.release, tag)}: its acceptance counts for nothing until it is back"
            )
        elif event.promotion is not None:
            version = _accepted(store, event.release, event.promotion, digests.get(event.release.id, ""))
            when = event.promotion.when.isoformat(timespec="seconds")
            promote(store, version, reason=event.promotion.why, person=event.promotion.who, when=when)
            gaps = []  # a person has accepted a version with what there was
            said.append(f"{event.release.tag} was accepted by {event.promotion.who}: {event.promotion.why}")
        elif lost := _lost(event.release, tag):
            gap = (
                f"the release {event.release.tag} {lost}: what it measured is not in the history, so that nothing can "
                "be judged until that file is back or a person accepts a later release"
            )
            gaps.append(gap)
            said.append(gap)
        elif event.release.asset(RECORD_ZIP):
            record = _record(repository, event.release, scratch)
            digests[event.release.id] = record.digest
            register_version(store, record, say)
            if event.release.tag != tag:
                said.append(f"{event.release.tag}: bundle {record.digest[:12]}, from {RECORD_ZIP}")
        else:
            said += _imported(store, repository, event.release, tag, dataset, scratch)
        if gaps != store.gaps():
            store.set_gaps(gaps)
    return said


def _lost(release: Release, current: str) -> str:
    """Say what is gone of a release that was of a model, as its assets say; empty where nothing is."""
    if release.asset(RECORD_ZIP):
        # Without its bundle nobody can tell whether the record is of this release.
        return "" if release.asset(BUNDLE_ZIP) else f"has a {RECORD_ZIP} but no {BUNDLE_ZIP}"
    of_model = any(release.asset(name) for name in (BUNDLE_ZIP, PROVENANCE))
    imported = release.asset(f"csa_c2c3__model_{release.tag}.csv")
    return f"has a model but no {RECORD_ZIP}" if of_model and release.tag != current and not imported else ""


def _time(published: str) -> datetime:
    """Return a time of GitHub, the earliest there is for a draft, which has none."""
    return datetime.fromisoformat(published) if published else datetime.min.replace(tzinfo=UTC)


def _promotion(repository: Repository, release: Release, scratch: Path) -> Promotion:
    path = scratch / f"{release.id}-{PROMOTION}"
    repository.download(release, PROMOTION, path, MOST_PROMOTION_BYTES)
    value = read_json(path, error=ReleaseError)
    value.pop("schema")
    source = f"{PROMOTION} of the release {release.tag}"
    promotion: Promotion = validate(Promotion, value, source, error=ReleaseError)
    return promotion


def _accepted(store: Store, release: Release, promotion: Promotion, digest: str) -> RegisteredVersion:
    """Return the version that a release's promotion accepts, which must be that of the release itself."""
    if promotion.digest != digest:
        raise ReleaseError(
            f"{PROMOTION} of the release {release.tag} accepts the bundle {promotion.digest[:12]}, and the record of "
            f"this release is of {digest[:12] or 'no bundle'}: the bundle was replaced afterwards, or the file is that "
            "of another release. Delete that asset, or accept the release again."
        )
    return next(version for version in store.versions() if version.tags.get("digest") == digest)


def _record(repository: Repository, release: Release, scratch: Path) -> RunContent:
    """Download the record of a release, and make sure that it is of this release: of its tag and of its bundle.

    Raises
    ------
    ReleaseError
        The record has another label or another digest, or contradicts itself.
    """
    packed = scratch / f"{release.id}.zip"
    repository.download(release, RECORD_ZIP, packed, MOST_ASSET_BYTES)
    folder = scratch / str(release.id)
    folder.mkdir()
    record = read_record(packed, folder)
    if record.label != release.tag:
        raise ReleaseError(
            f"{RECORD_ZIP} of the release {release.tag} is of {record.label!r}: it is the file of another release. "
            f"Delete that asset and judge {release.tag} again."
        )
    digest = released_digest(repository, release)
    if record.digest != digest:
        raise ReleaseError(
            f"{RECORD_ZIP} of the release {release.tag} is of the bundle {record.digest[:12]}, and its {BUNDLE_ZIP} is "
            f"{digest[:12]}: one of the two was replaced. Put the other one back, or release the bundle under a new "
            "tag."
        )
    return record


def _imported(
    store: Store, repository: Repository, release: Release, current: str, dataset: str, scratch: Path
) -> list[str]:
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
        source = f"the acceptance of {tag}"
        digest = _record(repository, release, Path(scratch)).digest
        value = {"digest": digest, "who": who, "when": when, "why": why}
        promotion: Promotion = validate(Promotion, value, source, error=ReleaseError)
        path = Path(scratch) / PROMOTION
        write_json(path, promotion.model_dump(mode="json"))
        repository.upload(release, path, PROMOTION)
    return promotion
