"""Select the cases and files of a dataset that a registry entry asks for. Input is a list of paths, not the disk."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ...base.errors import SettingsError, did_you_mean
from .label import sidecar_of
from .manifest import EXCLUDED_IMAGE, SYNTHETIC, Excluded, ManifestRow
from .registry import ContrastFiles, Dataset, Frozen

#: The table of participants, fetched with every dataset that has one.
PARTICIPANTS = "participants.tsv"
_PARTICIPANT = re.compile(r"sub-[A-Za-z0-9]+")
_SESSION = re.compile(r"ses-[A-Za-z0-9]+")
#: Entities that make several files of one image: session, run, part of a stack, part of a complex image, echo.
_FURTHER = re.compile(r"_(?:ses|run|chunk|part|echo)-[A-Za-z0-9]+|(?<=/)ses-[A-Za-z0-9]+/")


class Unit(NamedTuple):
    """A participant in one session; ``session`` is ``""`` where the dataset has none."""

    participant: str
    session: str


@dataclass(frozen=True)
class Selection:
    """The cases to fetch, sorted; the cases that were not selected, with the reason; all paths that must be fetched."""

    cases: list[ManifestRow]
    excluded: list[Excluded]
    files: list[str]


def select(name: str, dataset: Dataset, frozen: Sequence[Frozen], tree: Iterable[str]) -> Selection:
    """Select cases from the paths of a commit.

    A case needs an image and, for role train, a mask. Role train selects all participants whom ``frozen`` does not list
    for any dataset; role test selects those whom it lists for ``name``.

    Parameters
    ----------
    name, dataset : name and entry of the registry
    frozen : rows of ``data/frozen.csv``
    tree : all paths of the commit

    Raises
    ------
    SettingsError
        A pattern or an exclusion matches nothing, a test dataset has no frozen participants, or nothing is selected.
    """
    return _select(name, dataset, frozen, frozenset(tree), needs_mask=dataset.role == "train")


def select_unmasked(name: str, dataset: Dataset, frozen: Sequence[Frozen], tree: Iterable[str]) -> Selection:
    """Select the images of a training dataset that have no mask yet, and nothing but these images.

    Who is frozen, excluded or withdrawn is left out as in :func:`select`, and so are domain-randomised volumes.
    :func:`mask_path` says where the mask of such an image belongs.

    Parameters
    ----------
    name, dataset : name and entry of the registry
    frozen : rows of ``data/frozen.csv``
    tree : all paths of the commit

    Raises
    ------
    SettingsError
        As :func:`select`; or the entry is a test split; or every image has a mask.
    """
    if dataset.role == "test":
        raise SettingsError(
            f"{name} is a test split, whose references are made by people; name the training entry of the dataset."
        )
    paths = frozenset(tree)
    _require_places(name, dataset)
    real = {key: files for key, files in dataset.contrasts.items() if key != SYNTHETIC}
    bare = {
        key: files.model_copy(update={"mask": None, "softmask": None, "discs": None}) for key, files in real.items()
    }
    found = _select(name, dataset.model_copy(update={"contrasts": bare}), frozen, paths, needs_mask=False)
    cases = [case for case in found.cases if mask_path(dataset, case) not in paths]
    if not cases:
        raise SettingsError(
            f"every image of {name!r} at {dataset.tag} has a mask ({len(found.cases)} images, "
            f"{summarise_excluded(found.excluded)}); add images to the dataset and pin its next revision."
        )
    files = {case.image for case in cases}
    return Selection(cases, found.excluded, sorted(files | ({PARTICIPANTS} & paths)))


def _require_places(name: str, dataset: Dataset) -> None:
    """Refuse an entry in which a drafted mask has no place of its own."""
    taken: dict[str, str] = {}
    for key, files in dataset.contrasts.items():
        pattern = files.mask or mask_pattern(files.image)
        if not pattern.endswith(".nii.gz"):
            raise SettingsError(
                f"dataset {name!r}, contrast {key!r}: drafts are written as .nii.gz, and the mask pattern is "
                f"{pattern!r}; pack the masks of the dataset (`gzip`) and correct the pattern."
            )
        if pattern in taken:
            raise SettingsError(
                f"dataset {name!r}: the contrasts {taken[pattern]!r} and {key!r} have one mask pattern, {pattern!r}, "
                "so that one draft would replace the other; give each a pattern of its own."
            )
        taken[pattern] = key


def mask_path(dataset: Dataset, case: ManifestRow) -> str:
    """Return the path at which the mask of a case belongs.

    Without a pattern in the registry it is that of :func:`mask_pattern`.
    """
    contrast = dataset.contrasts[case.contrast]
    return path_of(contrast.mask or mask_pattern(contrast.image), Unit(case.participant, case.session))


def contrast_of(dataset: Dataset, image: str) -> str:
    """Return the contrast of an image by its path; ``""`` where no pattern of the registry names it."""
    named = (key for key, files in dataset.contrasts.items() if _units_with(files.image, frozenset({image})))
    return next(named, "")


def mask_pattern(image: str) -> str:
    """Return the pattern of masks, as the field names them, for a contrast of which the registry names only images.

    >>> mask_pattern("{sub}/anat/{sub}_T2w.nii.gz")
    'derivatives/labels/{sub}/anat/{sub}_T2w_label-SC_seg.nii.gz'
    """
    return f"derivatives/labels/{image.removesuffix('.gz').removesuffix('.nii')}_label-SC_seg.nii.gz"


def _select(
    name: str, dataset: Dataset, frozen: Sequence[Frozen], paths: frozenset[str], *, needs_mask: bool
) -> Selection:
    imaged = {key: _imaged(name, key, contrast, paths) for key, contrast in dataset.contrasts.items()}
    units = set().union(*imaged.values())
    everyone = sorted({unit.participant for unit in units})
    reasons = _exclusions(name, dataset, everyone)
    _require_images(name, dataset, paths)
    wanted, left_out = _by_role(name, dataset.role, frozen, everyone)
    _require_known(name, set(wanted) - set(everyone) - set(reasons), paths)
    excluded = [Excluded(participant=sub, contrast="", reason=why) for sub, why in left_out.items()]
    excluded += _not_matched(dataset, paths, wanted, {*everyone, *left_out})
    cases: list[ManifestRow] = []
    for sub in wanted:
        if sub in reasons:
            excluded.append(Excluded(participant=sub, contrast="", reason=reasons[sub]))
            continue
        for unit in sorted(unit for unit in units if unit.participant == sub) or [Unit(sub, "")]:
            for key in _expected_contrasts(unit, imaged):
                files = dataset.contrasts[key]
                failed = dataset.exclude_images.get(path_of(files.image, unit), "")
                why = f"{EXCLUDED_IMAGE}: {failed}" if failed else ""
                why = why or _missing_file(unit, files, paths, needs_mask=needs_mask)
                if why:
                    excluded.append(Excluded(participant=sub, session=unit.session, contrast=key, reason=why))
                else:
                    cases.append(_case(unit, key, files, paths))
    return _selection(name, cases, excluded, ({PARTICIPANTS} | _sidecars(cases, masks=needs_mask)) & paths)


def _sidecars(cases: Iterable[ManifestRow], *, masks: bool) -> set[str]:
    """Return what may lie beside images (how they were acquired) and, with ``masks``, beside masks (who made them)."""
    files = [case.image for case in cases] + [case.mask for case in cases if case.mask and masks]
    return {sidecar_of(Path(name)).as_posix() for name in files}


def people_with_images(name: str, dataset: Dataset, tree: Iterable[str]) -> list[str]:
    """Return all participants who have an image of one of the contrasts.

    Parameters
    ----------
    name, dataset : name and entry of the registry
    tree : all paths of the dataset

    Raises
    ------
    SettingsError
        A pattern matches nothing.
    """
    paths = frozenset(tree)
    units = (_imaged(name, key, contrast, paths) for key, contrast in dataset.contrasts.items())
    return sorted({unit.participant for found in units for unit in found})


def leave_links(name: str, selection: Selection, links: Mapping[str, str]) -> Selection:
    """Leave out the cases with a file that is a link to another file of the dataset: nobody knows whose image it is.

    Parameters
    ----------
    name : name of the dataset
    selection : what was selected
    links : such a file -> the target of its link

    Raises
    ------
    SettingsError
        Nothing is left.
    """
    cases, excluded = [], list(selection.excluded)
    for case in selection.cases:
        found = next((path for path in case.files if path in links), None)
        if found is None:
            cases.append(case)
            continue
        reason = f"a link inside the dataset: {found} points to {links[found]}"
        sub, session, contrast = case.identity
        excluded.append(Excluded(participant=sub, session=session, contrast=contrast, reason=reason))
    return _selection(name, cases, excluded, ({PARTICIPANTS} | _sidecars(cases, masks=True)) & set(selection.files))


def summarise_excluded(excluded: Sequence[Excluded]) -> str:
    """Return how many rows were left out, and for which reasons, the most frequent first.

    >>> summarise_excluded([Excluded(participant="sub-1", contrast="T2w", reason="missing mask")])
    '1 left out: 1 missing mask'
    """
    count = Counter(row.reason.partition(":")[0] for row in excluded)
    said = ", ".join(f"{n} {reason}" for reason, n in count.most_common())
    return f"{len(excluded)} left out" + (f": {said}" if said else "")


def _selection(
    name: str, cases: Sequence[ManifestRow], excluded: Sequence[Excluded], tables: Collection[str]
) -> Selection:
    if not cases:
        raise SettingsError(
            f"dataset {name!r}: nothing is left to fetch; {summarise_excluded(excluded)}; correct its entry in the "
            "registry."
        )
    files = {path for case in cases for path in case.files}
    return Selection(
        sorted(cases, key=lambda case: case.identity),
        sorted(excluded, key=lambda row: (row.participant, row.session, row.contrast, row.reason)),
        sorted(files | set(tables)),
    )


def path_of(pattern: str, unit: Unit) -> str:
    """Return the path that a pattern gives for a participant and session; without a session, ``{ses}`` falls away.

    >>> path_of("{sub}/{ses}/anat/{sub}_{ses}_T2w.nii.gz", Unit("sub-01", ""))
    'sub-01/anat/sub-01_T2w.nii.gz'
    """
    if unit.session:
        pattern = pattern.replace("{ses}", unit.session)
    for empty in ("{ses}/", "_{ses}", "{ses}_", "{ses}"):
        pattern = pattern.replace(empty, "")
    return pattern.replace("{sub}", unit.participant)


def image_paths(dataset: Dataset, participant: str, tree: Iterable[str]) -> set[str]:
    """Return the paths of all images of a participant, of every contrast and session."""
    mine = frozenset(path for path in tree if participant in path)
    return {
        path_of(contrast.image, unit)
        for contrast in dataset.contrasts.values()
        for unit in _units_with(contrast.image, mine)
        if unit.participant == participant
    }


def _imaged(name: str, key: str, contrast: ContrastFiles, paths: frozenset[str]) -> set[Unit]:
    """Return who has an image of the contrast; every pattern must match a file of the dataset."""
    if contrast.optional and not _units_with(contrast.image, paths):
        return set()
    for kind in ("image", "mask", "softmask", "discs"):
        pattern = getattr(contrast, kind)
        if pattern is not None and not _units_with(pattern, paths):
            raise SettingsError(
                f"dataset {name!r}, contrast {key!r}: the {kind} pattern {pattern!r} matches none of the "
                f"{len(paths)} files at the pinned commit; correct it in the registry or remove the contrast."
            )
    return _units_with(contrast.image, paths)


def _units_with(pattern: str, paths: frozenset[str]) -> set[Unit]:
    """Return the participants and sessions for whom a path matches the pattern."""
    end = pattern.rpartition("}")[2]
    found = set()
    for path in paths:
        sub = _PARTICIPANT.search(path) if path.endswith(end) else None
        if sub is None:
            continue
        session = _SESSION.search(path) if "{ses}" in pattern else None
        unit = Unit(sub[0], session[0] if session else "")
        if path_of(pattern, unit) == path:
            found.add(unit)
    return found


def _not_matched(
    dataset: Dataset, paths: frozenset[str], wanted: Sequence[str], known: Collection[str]
) -> list[Excluded]:
    """Return who has images and no pattern that matches, and files that only a further entity keeps from matching.

    Parameters
    ----------
    dataset : entry of the registry
    paths : all paths of the commit
    wanted : participants whom the role selects
    known : participants of whom a pattern matches an image, or who are left out with another reason
    """
    found = []
    images = sorted(path for path in paths if path.startswith("sub-") and path.endswith((".nii", ".nii.gz")))
    if dataset.role == "train":
        for sub in sorted({path.split("/")[0] for path in images} - set(known)):
            reason = "no image matches a pattern of the registry"
            if not _PARTICIPANT.fullmatch(sub):
                reason = "its id has characters other than letters and digits, which BIDS does not allow"
            found.append(Excluded(participant=sub, contrast="", reason=reason))
    matched = {
        path_of(contrast.image, unit)
        for contrast in dataset.contrasts.values()
        for unit in _units_with(contrast.image, paths)
    }
    for path in images:
        sub = path.split("/")[0]
        plain = _FURTHER.sub("", path)
        if path in matched or plain == path or sub not in wanted:
            continue
        session = _SESSION.search(path)
        for key, contrast in dataset.contrasts.items():
            if plain == path_of(contrast.image, Unit(sub, "")):
                reason = f"no pattern names this file: {path}"
                found.append(
                    Excluded(participant=sub, session=session[0] if session else "", contrast=key, reason=reason)
                )
    return found


def _exclusions(name: str, dataset: Dataset, everyone: Sequence[str]) -> dict[str, str]:
    """Return participant -> reason for all whom the entry excludes."""
    reasons: dict[str, str] = {}
    for sub, why in dataset.withdrawn.items():  # whether or not the dataset still has the participant
        reasons[sub] = f"withdrawn: {why}"
    for key, why in dataset.exclude.items():
        named = [sub for sub in everyone if (sub.startswith(key[:-1]) if key.endswith("*") else sub == key)]
        if not named:
            raise SettingsError(
                f"dataset {name!r} excludes {key!r}, but has no such participant{did_you_mean(key, everyone)}; "
                "correct `exclude` in the registry."
            )
        reasons = dict.fromkeys(named, why) | reasons
    return reasons


def _require_images(name: str, dataset: Dataset, paths: Collection[str]) -> None:
    """Refuse an exclusion of an image that the dataset does not have; who withdrew may be gone from it."""
    for path in dataset.exclude_images:
        gone = path.split("/")[0] in dataset.withdrawn
        if path not in paths and not gone:
            raise SettingsError(
                f"dataset {name!r} excludes the image {path!r}, but has no such file; correct `exclude_images` in the "
                "registry."
            )


def _by_role(
    name: str, role: str, frozen: Sequence[Frozen], everyone: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """Return the participants whom the role selects, and participant -> reason for the others."""
    if role == "test":
        own = sorted(row.participant for row in frozen if row.dataset == name)
        if not own:
            known = {row.dataset for row in frozen}
            raise SettingsError(
                f"dataset {name!r} is a test dataset, but data/frozen.csv lists no participant of it"
                f"{did_you_mean(name, known)}; add its participants there."
            )
        return own, {}
    held = {row.participant: f"frozen test set ({row.dataset})" for row in frozen}
    return [sub for sub in everyone if sub not in held], {sub: held[sub] for sub in everyone if sub in held}


def _require_known(name: str, without_image: Iterable[str], paths: Collection[str]) -> None:
    """Refuse a frozen participant whom the dataset does not know: one would be missing from the test set unnoticed."""
    known = {path.split("/")[0] for path in paths if path.startswith("sub-")}
    unknown = sorted(set(without_image) - known)
    if unknown:
        raise SettingsError(
            f"data/frozen.csv lists {', '.join(unknown)} of dataset {name!r}, which has no such participant"
            f"{did_you_mean(unknown[0], known)}; correct the row. "
            "A participant who withdrew belongs under `withdrawn` of the entry."
        )


def _expected_contrasts(unit: Unit, imaged: dict[str, set[Unit]]) -> list[str]:
    """Return the contrasts that a participant should have in a session.

    These are all contrasts that some participant has. Synthetic volumes are the exception: a participant who has only
    those needs no other contrast, and a participant who has none of them needs none.
    """
    measured = [key for key in imaged if key != SYNTHETIC and imaged[key]]
    has_synthetic = unit in imaged.get(SYNTHETIC, set())
    if has_synthetic and not any(unit in imaged[key] for key in measured):
        return [SYNTHETIC]
    return sorted([*measured, SYNTHETIC] if has_synthetic else measured)


def _missing_file(unit: Unit, contrast: ContrastFiles, paths: frozenset[str], *, needs_mask: bool) -> str:
    """Return which file of a case the dataset lacks, as a reason to leave the case out; ``""`` when none is missing."""
    if path_of(contrast.image, unit) not in paths:
        return "missing contrast"
    if needs_mask and (contrast.mask is None or path_of(contrast.mask, unit) not in paths):
        return "missing mask"
    return ""


def _case(unit: Unit, key: str, contrast: ContrastFiles, paths: frozenset[str]) -> ManifestRow:
    def existing(pattern: str | None) -> str | None:
        path = None if pattern is None else path_of(pattern, unit)
        return path if path in paths else None

    return ManifestRow(
        participant=unit.participant,
        session=unit.session,
        contrast=key,
        image=path_of(contrast.image, unit),
        mask=existing(contrast.mask),
        softmask=existing(contrast.softmask),
        discs=existing(contrast.discs),
    )
