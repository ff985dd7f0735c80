"""What may be trained on: cases of the training manifests, less everything frozen, and their folds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...base.errors import CordriftError, did_you_mean
from ...base.files import digest_of
from ..datasets.findings import Checked
from ..datasets.keys import ContentKey, content_digest, parse_key
from ..datasets.manifest import CLONES, SYNTHETIC, Case, Manifest, case_name
from ..datasets.registry import PERSONS, Frozen
from .folds import validation_sets


@dataclass(frozen=True)
class TrainingImage:
    """A case that may be trained on, with its mask, site and content keys."""

    case: Case
    mask: str
    image_key: str
    mask_key: str
    site: str = ""
    pathology: str = ""
    warnings: tuple[str, ...] = ()
    voxels: str = ""

    @property
    def name(self) -> str:
        """nnU-Net's case id."""
        return case_name(self.case)

    def row(self) -> dict[str, Any]:
        """The case as the manifest of prepare lists it."""
        fields = ("dataset", "participant", "session", "contrast")
        own = {"case": self.name, "warnings": list(self.warnings)}
        own |= {field: getattr(self, field) for field in ("site", "pathology", "image_key", "mask_key")}
        return own | {field: getattr(self.case, field) for field in fields}


def check_roles(training: Iterable[Manifest], test: Iterable[Manifest]) -> None:
    """Refuse a test dataset among those to train on, and the reverse."""
    for manifests, role, block in ((training, "train", "prepare"), (test, "test", "segment")):
        for manifest in manifests:
            if manifest.role != role:
                raise CordriftError(
                    f"params {block}.datasets names {manifest.dataset!r}, whose role in the registry is "
                    f"{manifest.role}; expected a dataset with role {role}."
                )


def choose_images(
    manifests: Sequence[Manifest],
    checked: Mapping[str, Checked],
    frozen: Sequence[Frozen],
    contrasts: Sequence[str] | None,
) -> tuple[list[TrainingImage], list[dict[str, str]]]:
    """Choose cases, sorted by name, and list what was left out with the reason.

    ``checked``: what check found, by dataset. Its errors leave a case out, its warnings travel with it.

    Raises
    ------
    CordriftError
        A contrast that no manifest has, one content under two participants, or nothing left.
    """
    have = {case.contrast for manifest in manifests for case in manifest.cases}
    for contrast in contrasts or ():
        if contrast not in have:
            raise CordriftError(
                f"params prepare.contrasts names {contrast!r}{did_you_mean(contrast, have)}, which no fetched case "
                f"has; the datasets {[m.dataset for m in manifests]} have {sorted(have)}."
            )
    held = {row.participant: row.dataset for row in frozen}
    cases: list[TrainingImage] = []
    left_out: list[dict[str, str]] = []
    for manifest in manifests:
        left_out += [{"dataset": manifest.dataset, **row.model_dump()} for row in manifest.excluded]
        people = {row.participant: row for row in manifest.participants}
        found = checked[manifest.dataset]
        for case in manifest.case_list():
            if case.participant in held:
                why = f"frozen test set ({held[case.participant]})"
            elif contrasts is not None and case.contrast not in contrasts:
                why = "contrast not in prepare.contrasts"
            elif case.mask is None:
                why = "missing mask"
            elif errors := found.errors(case):
                why = f"check: {errors[0]}"
            else:
                person = people.get(case.participant)
                cases.append(
                    TrainingImage(
                        case,
                        case.mask,
                        manifest.keys[case.image],
                        manifest.keys[case.mask],
                        site=person.site if person else "",
                        pathology=person.pathology if person else "",
                        warnings=tuple(found.warnings(case)),
                        voxels=found.voxels[case.image],
                    )
                )
                continue
            row = {"dataset": case.dataset, "participant": case.participant, "contrast": case.contrast}
            left_out.append(row | {"reason": why})
    if not cases:
        raise CordriftError(f"nothing is left to train on; {len(left_out)} cases were left out.")
    _check_twins(cases)
    left_out.sort(key=lambda row: (row["dataset"], row["participant"], row["contrast"], row["reason"]))
    return sorted(cases, key=lambda case: case.name), left_out


def _check_twins(cases: Sequence[TrainingImage]) -> None:
    """One image under two participants would be trained and validated on."""
    seen: dict[ContentKey | str, TrainingImage] = {}
    for case in cases:
        twins = [seen.setdefault(name, case) for name in (parse_key(case.image_key), case.voxels) if name]
        for first in twins:
            if first.case.participant != case.case.participant:
                raise CordriftError(
                    f"the same image lies in the training data as {first.case.image} of {first.case.dataset} and "
                    f"{case.case.image} of {case.case.dataset}; exclude one of the participants in the registry."
                )


def check_persons(
    cases: Sequence[TrainingImage], frozen: Sequence[Frozen], persons: Mapping[tuple[str, str], str]
) -> None:
    """Refuse a training participant who, by the table of persons, is a frozen one under another id or dataset.

    Raises
    ------
    CordriftError
        "leak", with both ids and datasets.
    """
    held = {persons[row.dataset, row.participant]: row for row in frozen if (row.dataset, row.participant) in persons}
    for case in cases:
        there = held.get(persons.get((case.case.dataset, case.case.participant), ""))
        if there is not None:
            raise CordriftError(
                f"leak: {case.case.participant} of training dataset {case.case.dataset!r} is, by {PERSONS}, the same "
                f"person as {there.participant} of the frozen test dataset {there.dataset!r}; exclude the participant "
                "in the registry."
            )


def check_leak(
    cases: Sequence[TrainingImage], test: Sequence[Manifest], checked: Mapping[str, Checked], clones: Path = CLONES
) -> None:
    """Refuse training content that is part of a frozen test set, under whatever name it comes.

    Contents are compared by hash and size, and images by the digest of their voxels, which an image keeps when it is
    compressed or stored otherwise. Where two datasets use different hashes, the training file of equal size is hashed
    anew.

    Raises
    ------
    CordriftError
        "leak", with the participant, the file and both datasets.
    """
    frozen = {parse_key(file.key): (manifest, file.path) for manifest in test for file in manifest.files}
    voxels = {seen: (manifest, path) for manifest in test for path, seen in checked[manifest.dataset].voxels.items()}
    by_size: dict[int, set[str]] = {}
    for key in frozen:
        by_size.setdefault(key.size, set()).add(key.algorithm)
    for case in cases:
        for path, text in ((case.case.image, case.image_key), (case.mask, case.mask_key)):
            key = parse_key(text)
            same = [key] if key in frozen else []
            for algorithm in sorted(by_size.get(key.size, set()) - {key.algorithm}):
                other = ContentKey(algorithm, key.size, content_digest(clones / case.case.dataset / path, algorithm))
                same += [other] if other in frozen else []
            if same:
                _leak(case, path, "byte for byte", *frozen[same[0]])
        if case.voxels and case.voxels in voxels:
            _leak(case, case.case.image, "voxel for voxel", *voxels[case.voxels])


def _leak(case: TrainingImage, path: str, how: str, manifest: Manifest, theirs: str) -> None:
    raise CordriftError(
        f"leak: {path} of participant {case.case.participant} in training dataset {case.case.dataset!r} is {how} "
        f"{theirs} of the frozen test dataset {manifest.dataset!r}; exclude the participant in the registry."
    )


def make_folds(
    cases: Sequence[TrainingImage], persons: Mapping[tuple[str, str], str], *, folds: int, seed: int
) -> list[dict[str, list[str]]]:
    """Split cases into folds ``{"train": [...], "val": [...]}`` by whole persons.

    Synthetic volumes are trained on only, and not in the fold in which their participant validates. One id is one
    person, whatever the dataset, and so are the ids that ``persons`` joins; the stratum is the dataset and site where
    the person comes first.
    """

    def person(case: TrainingImage) -> str:
        # The id of the first of them stands for all, so that joining two ids moves nobody else.
        name = persons.get((case.case.dataset, case.case.participant))
        return first.setdefault(name, case.case.participant) if name else case.case.participant

    first: dict[str, str] = {}
    sites: dict[str, str] = {}
    for case in cases:
        if case.case.contrast != SYNTHETIC:
            sites.setdefault(person(case), f"{case.case.dataset}/{case.site}")
    result = []
    for held_out in validation_sets(sites, folds=folds, seed=seed):
        train = [case.name for case in cases if person(case) not in held_out]
        val = [case.name for case in cases if person(case) in held_out and case.case.contrast != SYNTHETIC]
        result.append({"train": train, "val": val})
    return result


def _revision(manifest: Manifest, cases: Sequence[TrainingImage]) -> dict[str, Any]:
    """Say what of one dataset revision is trained on: participants, images, and images by contrast, site, pathology."""
    return {
        "url": manifest.url,
        "tag": manifest.tag,
        "commit": manifest.commit,
        "participants": len({case.case.participant for case in cases}),
        "images": len(cases),
        "contrasts": dict(sorted(Counter(case.case.contrast for case in cases).items())),
        "sites": dict(sorted(Counter(case.site for case in cases).items())),
        "pathologies": dict(sorted(Counter(case.pathology for case in cases).items())),
    }


def describe(
    manifests: Sequence[Manifest],
    cases: Sequence[TrainingImage],
    left_out: list[dict[str, str]],
    folds: list[dict[str, list[str]]],
    preparation: int,
) -> dict[str, Any]:
    """Return the manifest of prepare, with the digest of what decides the training data."""
    rows = [case.row() for case in cases]
    datasets = {m.dataset: _revision(m, [case for case in cases if case.case.dataset == m.dataset]) for m in manifests}
    content = [[row["case"], row["image_key"], row["mask_key"]] for row in rows]
    digest = digest_of({"cases": content, "folds": folds, "preparation": preparation})
    return {"datasets": datasets, "cases": rows, "left_out": left_out, "folds": folds, "digest": digest}
