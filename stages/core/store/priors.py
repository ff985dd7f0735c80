"""The prior versions of a model, which of them judge, and the tables with which a new version is compared.

The judges of a version are recorded when it is registered, so that a later promotion changes no verdict. A prior
version that was measured with another ruler is measured again from its kept masks, if it has any.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion
from packaging.version import Version as Label

from ..base.errors import BundleError, StoreError
from ..base.files import read_csv, read_json, sha256_of, write_csv, write_json
from ..drift.record.record import read_drift
from ..drift.versions.version import JUDGES, holder
from ..measures.kept_masks.reader import read_kept
from ..measures.kept_masks.remeasurement import Ruler, remeasure, with_new_errors
from ..model.lineage.manifest import IN_BUNDLE
from ..tables.columns import AGREEMENT_TEXT
from ..tables.resources import RESOURCES
from ..tables.summary import read_summary
from .bundle_files import JUDGED, MASKS, MEASURES_FILES, SERIES
from .client import INDEX, TRIAL, RegisteredVersion, Store

#: Artifact of a version's run: its verdict, with the rule that was declared.
VERDICT = "compare/drift.json"


def select_priors(versions: Sequence[RegisteredVersion], current: str) -> tuple[list[RegisteredVersion], int]:
    """Return the prior versions of the bundle ``current`` in order, and how many versions carry no digest.

    A version without a digest was not registered by cordrift and is left out. Versions whose label is a version number
    come first, in the order of these numbers (v2.0 before v10.0); the others follow in the order of registration.

    The bundle ``current`` is not a prior of itself: its registration would change the result of the next run. If it is
    registered, only versions that were registered before it are priors, so that later ones do not change its verdict.
    Of two versions with the same digest (a person made one by hand) only the first is taken. A trial is no prior, and
    a retired version is one only where it judged.
    """
    chosen: dict[str, RegisteredVersion] = {}
    without_digest = 0
    before, judging = _before(versions, current), judges_of(versions, current)
    for version in before:
        digest = version.tags.get("digest", "")
        without_digest += not digest
        if digest and digest != current and (not version.left_out or digest in judging):
            chosen.setdefault(digest, version)
    return sorted(chosen.values(), key=_order), without_digest


def left_out(versions: Sequence[RegisteredVersion], current: str) -> list[dict[str, str]]:
    """Return the trials and the retired versions before the bundle ``current`` that are none of its priors.

    They were measured too: whoever asks how often a frozen set was used must count them.

    Returns
    -------
    ``label``, ``digest``, ``frozen`` (digest of the frozen set) and ``why`` of each
    """
    priors = {version.number for version in select_priors(versions, current)[0]}
    return [
        {key: version.tags.get(key, "") for key in ("label", "digest", "frozen")} | {"why": version.left_out}
        for version in _before(versions, current)
        if version.left_out and version.number not in priors and version.tags.get("digest", "") not in ("", current)
    ]


def acceptances(versions: Sequence[RegisteredVersion], current: str) -> list[dict[str, str]]:
    """Return the promotions of the bundle ``current`` by people, the oldest first, that nobody has taken back.

    Who promotes an earlier version afterwards goes back to it: the later version is accepted no longer. The promotion
    of a later version takes nothing back.
    """
    own = next((version for version in versions if version.tags.get("digest") == current), None)
    if own is None:
        return []
    back = [_time(entry) for version in versions if version.number < own.number for entry in version.promotions]
    return [entry for entry in own.promotions if not any(_time(entry) < time for time in back)]


def _time(promotion: Mapping[str, str]) -> datetime:
    found = datetime.fromisoformat(promotion["when"])
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _before(versions: Iterable[RegisteredVersion], current: str) -> list[RegisteredVersion]:
    """Return the versions up to the one of the bundle ``current``, all where it is not registered."""
    ascending = sorted(versions, key=lambda version: version.number)
    own = [version.number for version in ascending if version.tags.get("digest") == current]
    return [version for version in ascending if not own or version.number <= own[0]]


def _order(version: RegisteredVersion) -> tuple[bool, Label, int]:
    try:
        return False, Label(version.tags.get("label", "")), version.number
    except InvalidVersion:
        return True, Label("0"), version.number


def judges_of(versions: Iterable[RegisteredVersion], current: str) -> dict[str, list[str]]:
    """Return digest -> sorted roles of the versions that judge the bundle with the digest ``current``.

    A registered version keeps its judges. For a bundle that is not registered yet, the present champion and anchor
    judge. A trial judges nothing, also where somebody gave it an alias on MLflow's pages.
    """
    everyone = list(versions)
    own = next((version for version in everyone if version.tags.get("digest") == current), None)
    known = [version for version in everyone if version.tags.get(TRIAL) != "yes"]
    judges: dict[str, list[str]] = {}
    for role in sorted(JUDGES):
        if own is not None and JUDGED + role in own.tags:
            digest = own.tags[JUDGED + role]
        else:
            version = holder(role, known)
            digest = version.tags.get("digest", "") if version else ""
        if digest and digest != current:
            judges.setdefault(digest, []).append(role)
    return judges


def fetch_prior(
    store: Store, version: RegisteredVersion, folder: Path, ruler: Ruler, judges: Mapping[str, list[str]]
) -> dict[str, Any]:
    """Copy the tables of a prior version into ``folder/<digest12>`` and return its row for ``priors.json``.

    If another ruler made the tables, today's ruler measures the kept masks again and the new tables replace them:
    ``remeasured`` is then true, and ``ruler_was`` is the id of the other ruler. If this is not possible, the tables
    stay as they are, and ``other_ruler`` says why. The kept masks of a version that judges are copied too, because the
    report draws them; ``masks`` is their registered digest, and ``declared`` the rule by which it was judged itself.

    Parameters
    ----------
    folder : the folder of all priors
    ruler : today's ruler
    judges : digest -> roles of the versions that judge the candidate, as champion or anchor

    Raises
    ------
    StoreError
        A file is missing in MLflow, or is not the file that was registered.
    """
    digest = version.tags["digest"]
    place = folder / digest[:12]
    with tempfile.TemporaryDirectory() as scratch:
        store.fetch(version.run_id, INDEX, Path(scratch) / INDEX)
        index = read_json(Path(scratch) / INDEX, error=StoreError)["files"]
    files = {f"measures/{name}": place / name for name in MEASURES_FILES}
    # A version that was registered before its segmentation was timed does not have this one.
    files |= {path: place / RESOURCES for path in (f"report/{RESOURCES}",) if path in index}
    # On what the judges were trained: new training data are compared with it.
    files |= {path: place / IN_BUNDLE for path in (f"bundle/{IN_BUNDLE}",) if path in index and digest in judges}
    for path, target in files.items():
        store.fetch(version.run_id, path, target)
        if sha256_of(target) != index.get(path):
            raise StoreError(
                f"{target.name} of version {version.number} of {store.model} in MLflow at {store.location.name} is not "
                f"the file that was registered: registering it again was interrupted, or it was changed. Check out the "
                f"revision of that version and run `dvc repro register`, which writes it again."
            )
    declared = _declared(store, version, index) if digest in judges else None
    drawn = digest in judges and store.holds(version.run_id, MASKS)
    if drawn:
        store.fetch(version.run_id, MASKS, place / MASKS)
    summary = read_summary(place / "summary.json", error=StoreError)
    ruler_was, obstacle = str(summary["ruler"]), ""
    if ruler_was != ruler.id:
        obstacle = _measure_again(store, version, place, index.get(MASKS), ruler)
        summary = read_summary(place / "summary.json", error=StoreError)
    return {
        "digest": digest,
        "version": str(version.number),
        "label": version.tags.get("label", ""),
        "aliases": list(judges.get(digest, [])),
        "bundle": summary["bundle"],
        **{key: summary[key] for key in SERIES},
        "folder": digest[:12],
        "ruler_was": ruler_was,
        "remeasured": summary["ruler"] != ruler_was,
        "other_ruler": obstacle,
        "masks": str(index.get(MASKS, "")) if drawn else "",
        "declared": declared,
    }


def _declared(store: Store, version: RegisteredVersion, index: Mapping[str, str]) -> dict[str, str] | None:
    """Return the rule by which a version was declared, item -> text; None where its record does not hold one."""
    if VERDICT not in index:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        store.fetch(version.run_id, VERDICT, Path(scratch) / "drift.json")
        declared = read_drift(Path(scratch) / "drift.json").declared
    return None if declared is None else {item.name: item.declared for item in declared.items if item.declared}


def _measure_again(store: Store, version: RegisteredVersion, place: Path, masks: str | None, ruler: Ruler) -> str:
    """Replace the tables in ``place`` by tables of today's ruler; return ``""``, or why this is not possible."""
    if masks is None or not store.holds(version.run_id, MASKS):
        return f"its run in MLflow holds no {MASKS}."
    with tempfile.TemporaryDirectory() as scratch:
        store.fetch(version.run_id, MASKS, Path(scratch) / MASKS)
        try:
            kept = read_kept(Path(scratch) / MASKS, masks)
        except BundleError as error:
            raise StoreError(
                f"Version {version.number} of {store.model} in MLflow at {store.location.name} was measured with "
                f"another ruler and cannot be measured again: {error} Check out the revision of that version and run "
                f"`dvc repro register`, which writes {MASKS} again, or delete it from the run: the version is then "
                "shown, and not judged."
            ) from error
    if kept is None:
        return f"its {MASKS} was written by an older cordrift that did not keep masks for measuring them again."
    try:
        measures = remeasure(kept, ruler)
    except BundleError as error:  # the new ruler refuses a mask that the old one measured: no user can change that
        return str(error)
    summary = read_summary(place / "summary.json", error=StoreError)
    agreement = read_csv(place / "agreement.csv", text=AGREEMENT_TEXT)
    write_csv(place / "agreement.csv", with_new_errors(agreement, measures, str(summary["frozen"]), ruler))
    write_csv(place / "measures.csv", measures)
    write_json(place / "summary.json", {**summary, "ruler": ruler.id, "range": ruler.range})
    return ""
