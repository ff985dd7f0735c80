"""Choose the training data: cases of the training manifests without frozen participants, and their folds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...base.errors import DatasetError, SettingsError, did_you_mean
from ...base.files import digest_of
from ..datasets.findings import Checked
from ..datasets.keys import ContentKey, content_digest, parse_key
from ..datasets.label import AUTOMATIC, Label, read_label, sidecar_of
from ..datasets.manifest import CLONES, SYNTHETIC, Case, Manifest, case_name, locate
from ..datasets.registry import PERSONS, Frozen
from .folds import validation_sets


@dataclass(frozen=True)
class TrainingImage:
    """A case that may be used for training.

    Attributes
    ----------
    case, mask : the case, and the path of its mask in the clone
    image_key, mask_key : content keys
    site, pathology : of the participant; ``""`` where the dataset has no value
    warnings : names of the checks that gave a warning, sorted
    voxels : digest of the voxels of the image
    label : where the mask comes from; None of one that was delivered with the data
    """

    case: Case
    mask: str
    image_key: str
    mask_key: str
    site: str = ""
    pathology: str = ""
    warnings: tuple[str, ...] = ()
    voxels: str = ""
    label: Label | None = None

    @property
    def name(self) -> str:
        """Name of the case, nnU-Net's case id."""
        return case_name(self.case)

    def row(self) -> dict[str, Any]:
        """Return the case as the manifest of prepare lists it."""
        fields = ("dataset", "participant", "session", "contrast")
        own = {"case": self.name, "warnings": list(self.warnings)}
        own |= {field: getattr(self, field) for field in ("site", "pathology", "image_key", "mask_key")}
        own |= {field: getattr(self.case, field) for field in fields}
        label = self.label
        if label is None:
            return own
        return own | {"label": {"status": label.status, "bundle": label.bundle, "generation": label.generation}}


def check_roles(training: Iterable[Manifest], test: Iterable[Manifest]) -> None:
    """Make sure that the role of each dataset is that for which params use it.

    Raises
    ------
    SettingsError
        A test dataset is used for training, or a training dataset is monitored.
    """
    for manifests, role, block in ((training, "train", "prepare"), (test, "test", "segment")):
        for manifest in manifests:
            if manifest.role != role:
                raise SettingsError(
                    f"params {block}.datasets names {manifest.dataset!r}, whose role in the registry is "
                    f"{manifest.role}; expected a dataset with role {role}."
                )


def choose_images(
    manifests: Sequence[Manifest],
    checked: Mapping[str, Checked],
    frozen: Sequence[Frozen],
    contrasts: Sequence[str] | None,
) -> tuple[list[TrainingImage], list[dict[str, str]]]:
    """Choose the cases to train on.

    Parameters
    ----------
    manifests : of the training datasets
    checked : findings of check, by dataset; errors exclude a case, warnings stay with it
    frozen : rows of ``data/frozen.csv``
    contrasts : contrasts to train on; None: all

    Returns
    -------
    The cases, sorted by name; and a row with the reason for each case or participant that was left out.

    Raises
    ------
    SettingsError
        No manifest has one of the contrasts.
    DatasetError
        Two participants have the same image, or no case is left.
    """
    available = {case.contrast for manifest in manifests for case in manifest.cases}
    for contrast in contrasts or ():
        if contrast not in available:
            raise SettingsError(
                f"params prepare.contrasts names {contrast!r}{did_you_mean(contrast, available)}, which no fetched "
                f"case has; the datasets {[m.dataset for m in manifests]} have {sorted(available)}."
            )
    frozen_in = {row.participant: row.dataset for row in frozen}
    cases: list[TrainingImage] = []
    left_out: list[dict[str, str]] = []
    for manifest in manifests:
        left_out += [{"dataset": manifest.dataset, **row.model_dump()} for row in manifest.excluded]
        people = {row.participant: row for row in manifest.participants}
        findings = checked[manifest.dataset]
        for case in manifest.case_list():
            if case.participant in frozen_in:
                why = f"frozen test set ({frozen_in[case.participant]})"
            elif contrasts is not None and case.contrast not in contrasts:
                why = "contrast not in prepare.contrasts"
            elif case.mask is None:
                why = "missing mask"
            elif errors := findings.errors(case):
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
                        warnings=tuple(findings.warnings(case)),
                        voxels=findings.voxels[case.image],
                    )
                )
                continue
            row = {"dataset": case.dataset, "participant": case.participant, "contrast": case.contrast}
            left_out.append(row | {"reason": why})
    if not cases:
        raise DatasetError(f"nothing is left to train on; {len(left_out)} cases were left out.")
    _check_twins(cases)
    left_out.sort(key=lambda row: (row["dataset"], row["participant"], row["contrast"], row["reason"]))
    return sorted(cases, key=lambda case: case.name), left_out


def _check_twins(cases: Sequence[TrainingImage]) -> None:
    """Refuse one image under two participants: it could be used for training and for validation."""
    seen: dict[ContentKey | str, TrainingImage] = {}
    for case in cases:
        twins = [seen.setdefault(name, case) for name in (parse_key(case.image_key), case.voxels) if name]
        for first in twins:
            if first.case.participant != case.case.participant:
                raise DatasetError(
                    f"the same image lies in the training data as {first.case.image} of {first.case.dataset} and "
                    f"{case.case.image} of {case.case.dataset}; exclude one of the participants in the registry."
                )


def read_labels(
    cases: Sequence[TrainingImage], manifests: Sequence[Manifest], most_unreviewed: float
) -> list[TrainingImage]:
    """Return the cases with what the sidecars of their masks say; only sidecars of cordrift count.

    Parameters
    ----------
    cases : to train on
    manifests : of the training datasets
    most_unreviewed : the largest share (0 to 1) of masks that a model drafted and nobody looked at

    Raises
    ------
    DatasetError
        A sidecar was changed, or more masks are unreviewed.
    """
    by_name = {manifest.dataset: manifest for manifest in manifests}
    labelled = []
    for case in cases:
        manifest = by_name[case.case.dataset]
        beside = sidecar_of(Path(case.mask)).as_posix()
        if beside in manifest.keys:
            locate(manifest, beside)
            case = replace(case, label=read_label(CLONES / manifest.dataset / case.mask))
        labelled.append(case)
    unseen = [case for case in labelled if case.label and case.label.status == AUTOMATIC]
    if len(unseen) > most_unreviewed * len(labelled):
        raise DatasetError(
            f"{len(unseen)} of {len(labelled)} masks were drafted by a model and seen by nobody ({unseen[0].mask} "
            f"of {unseen[0].case.dataset}, ...); prepare.max_unreviewed allows a share of {most_unreviewed:g}. Check "
            "them (`cordrift annotate`), pin a revision without them, or raise the share."
        )
    return labelled


def check_persons(
    cases: Sequence[TrainingImage], frozen: Sequence[Frozen], persons: Mapping[tuple[str, str], str]
) -> None:
    """Refuse a training participant who is a frozen participant under another id.

    Parameters
    ----------
    cases : to train on
    frozen : rows of ``data/frozen.csv``
    persons : (dataset, participant) -> person, as in ``data/persons.csv``

    Raises
    ------
    DatasetError
        "leak", with both ids and datasets.
    """
    frozen_persons = {
        persons[row.dataset, row.participant]: row for row in frozen if (row.dataset, row.participant) in persons
    }
    for case in cases:
        same = frozen_persons.get(persons.get((case.case.dataset, case.case.participant), ""))
        if same is not None:
            raise DatasetError(
                f"leak: {case.case.participant} of training dataset {case.case.dataset!r} is, by {PERSONS}, the same "
                f"person as {same.participant} of the frozen test dataset {same.dataset!r}; exclude the participant "
                "in the registry."
            )


def check_leak(
    cases: Sequence[TrainingImage], test: Sequence[Manifest], checked: Mapping[str, Checked], clones: Path = CLONES
) -> None:
    """Refuse training files whose content is also in a frozen test set, whatever their names are.

    Files are compared by hash and size. Where two datasets use different hashes, a training file of the same size is
    hashed again. Images are also compared by the digest of their voxels, which does not depend on compression and
    storage order.

    Parameters
    ----------
    cases : to train on
    test : manifests of the frozen test sets
    checked : findings of check, by dataset
    clones : folder of the clones

    Raises
    ------
    DatasetError
        "leak", with the participant, the file and both datasets.
    """
    frozen = {parse_key(file.key): (manifest, file.path) for manifest in test for file in manifest.files}
    voxels = {
        digest: (manifest, path) for manifest in test for path, digest in checked[manifest.dataset].voxels.items()
    }
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
                _raise_leak(case, path, "byte for byte", *frozen[same[0]])
        if case.voxels and case.voxels in voxels:
            _raise_leak(case, case.case.image, "voxel for voxel", *voxels[case.voxels])


def _raise_leak(case: TrainingImage, path: str, how: str, manifest: Manifest, frozen_path: str) -> None:
    raise DatasetError(
        f"leak: {path} of participant {case.case.participant} in training dataset {case.case.dataset!r} is {how} "
        f"{frozen_path} of the frozen test dataset {manifest.dataset!r}; exclude the participant in the registry."
    )


def make_folds(
    cases: Sequence[TrainingImage], persons: Mapping[tuple[str, str], str], *, folds: int, seed: int
) -> list[dict[str, list[str]]]:
    """Split cases into folds ``{"train": [...], "val": [...]}`` of case names; all cases of a person stay together.

    Synthetic volumes are used for training only, and not in the fold in which their participant validates. The same id
    in two datasets is one person. Folds are even within each dataset and site; a person counts where it comes first.

    Parameters
    ----------
    cases : to train on
    persons : (dataset, participant) -> person, for persons with several ids
    folds, seed : see :func:`validation_sets`

    Raises
    ------
    SettingsError
        There are too few participants.
    """

    def person(case: TrainingImage) -> str:
        # The first id of a person stands for all of them, so that a new row in persons.csv moves nobody else.
        name = persons.get((case.case.dataset, case.case.participant))
        return first_id.setdefault(name, case.case.participant) if name else case.case.participant

    first_id: dict[str, str] = {}
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
    """Return numbers about the cases of one dataset: participants, images, and images by contrast, site, pathology."""
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
    """Return the manifest of prepare, with a digest that changes with the training data.

    Parameters
    ----------
    manifests : of the training datasets
    cases, left_out : see :func:`choose_images`
    folds : see :func:`make_folds`
    preparation : version of the code that writes the volumes
    """
    rows = [case.row() for case in cases]
    datasets = {m.dataset: _revision(m, [case for case in cases if case.case.dataset == m.dataset]) for m in manifests}
    content = [[row["case"], row["image_key"], row["mask_key"]] for row in rows]
    digest = digest_of({"cases": content, "folds": folds, "preparation": preparation})
    counts = Counter(case.label.status for case in cases if case.label)
    # Without drafts the manifest is as it was before drafts were counted.
    labels = {"labels": {"delivered": len(cases) - counts.total(), **dict(sorted(counts.items()))}} if counts else {}
    return {"datasets": datasets, "cases": rows, "left_out": left_out, "folds": folds, "digest": digest, **labels}
