"""Manifests of fetched datasets (``data/fetch/<dataset>.json``): their cases, participants and files."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Literal

from ...base.errors import DatasetError, SettingsError, did_you_mean
from ...base.files import digest_of, read_json
from ...base.params import Block, validate
from .keys import verify

#: Contrast of the domain-randomised volumes, which are used for training and never for validation.
SYNTHETIC = "synth"
#: How the reason begins for which an image is left out that a person failed.
EXCLUDED_IMAGE = "excluded image"
#: Folder of the clones, relative to the workspace. Neither git nor DVC tracks it.
CLONES = Path("data/clones")


class ManifestFile(Block):
    """One fetched file: path in the clone, content key (``GIT-s<size>--<sha256>`` if git keeps it), size in bytes."""

    path: str
    key: str
    size: int


class ManifestRow(Block):
    """A case as the manifest lists it: one image of a participant, session and contrast, and its masks and labels.

    Attributes
    ----------
    participant, session, contrast : the session is ``""`` where the dataset has none
    image, mask, softmask, discs : paths inside the clone; None where the dataset has no such file
    """

    participant: str
    session: str
    contrast: str
    image: str
    mask: str | None
    softmask: str | None
    discs: str | None

    @property
    def identity(self) -> tuple[str, str, str]:
        """Participant, session and contrast: they name a case inside its dataset."""
        return self.participant, self.session, self.contrast

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of the files that the case has: image, mask, soft mask, disc labels."""
        return tuple(path for path in (self.image, self.mask, self.softmask, self.discs) if path is not None)


class _OfDataset(Block):
    """What belongs to one dataset."""

    dataset: str


class Case(ManifestRow, _OfDataset):
    """A row of a manifest with the name of its dataset.

    The name comes from the last base class, because pydantic lists the fields of that class first: files that list
    cases keep the dataset as their first key.
    """


class Participant(Block):
    """One row of participants.tsv; ``""`` where the table has no value."""

    participant: str
    site: str
    manufacturer: str
    sex: str
    age: str
    pathology: str


class Excluded(Block):
    """A case that was not selected, with the reason; ``contrast`` is ``""`` for a whole participant."""

    participant: str
    session: str = ""
    contrast: str
    reason: str


class Manifest(Block):
    """What ``fetch`` took from one dataset, and from which commit."""

    dataset: str
    url: str
    tag: str
    commit: str
    role: Literal["train", "test"]
    licence: str
    files: list[ManifestFile]
    cases: list[ManifestRow]
    participants: list[Participant]
    excluded: list[Excluded]

    def case_list(self) -> list[Case]:
        """Return all cases, sorted by participant, session and contrast."""
        cases = [Case(dataset=self.dataset, **case.model_dump()) for case in self.cases]
        return sorted(cases, key=lambda case: case.identity)

    @cached_property
    def keys(self) -> dict[str, str]:
        """Content key of each fetched file, by its path in the clone."""
        return {file.path: file.key for file in self.files}


def read_manifest(path: Path) -> Manifest:
    """Read ``data/fetch/<dataset>.json``.

    Raises
    ------
    DatasetError
        The file is missing, is no manifest or has a newer schema, or a case names a file that it does not list.
    """
    value = read_json(path, error=DatasetError)
    value.pop("schema")
    manifest: Manifest = validate(Manifest, value, str(path), error=DatasetError)
    for case in manifest.cases:
        for name in case.files:
            if name not in manifest.keys:
                raise DatasetError(
                    f"{path} has a case with {name}, which is not among its files; run "
                    f"`dvc repro fetch@{manifest.dataset}`."
                )
    return manifest


def case_name(case: Case) -> str:
    """Return the name of a case, nnU-Net's case id and the stem of its files, e.g. ``phantom_sub-p001_T1w``."""
    return "_".join(part for part in (case.dataset, case.participant, case.session, case.contrast) if part)


def locate(manifest: Manifest, relpath: str, clones: Path = CLONES) -> Path:
    """Verify a fetched file against its content key and return where it lies on this machine.

    ``relpath`` is the path inside the clone.

    Raises
    ------
    DatasetError
        The file is not in the manifest, was not fetched, or was truncated or edited.
    """
    if relpath not in manifest.keys:
        raise DatasetError(f"{relpath} is not among the files fetched from dataset {manifest.dataset!r}.")
    clone = clones / manifest.dataset
    refetch = f"python -m stages.fetch --dataset {manifest.dataset}"
    if not clone.is_dir():  # the manifest came from the DVC cache, which holds no clone
        raise DatasetError(f"{clone} is missing; run `{refetch}`.")
    path = clone / relpath
    verify(path, manifest.keys[relpath], refetch)
    return path


def require_contrasts(contrasts: Iterable[str], manifests: Iterable[Manifest]) -> None:
    """Refuse a contrast to segment that none of the datasets has, not even for a participant who is left out.

    Raises
    ------
    SettingsError
        ``segment.contrasts`` names such a contrast; nothing would be measured of it, and nothing would say so.
    """
    manifests = list(manifests)
    known = {case.contrast for one in manifests for case in one.case_list()}
    known |= {row.contrast for one in manifests for row in one.excluded} - {""}
    for name in contrasts:
        if name not in known:
            datasets = ", ".join(one.dataset for one in manifests)
            raise SettingsError(
                f"segment.contrasts in params.yaml names {name!r}{did_you_mean(name, known)}; "
                f"the monitored datasets ({datasets}) have {', '.join(sorted(known))}."
            )


def frozen_digest(manifests: Iterable[Manifest]) -> str:
    """Return the digest (64 hexadecimal digits) of a frozen set: all its cases and the content keys of their files."""
    rows = [
        [
            case.dataset,
            case.participant,
            case.session,
            case.contrast,
            *(manifest.keys[name] if name else "" for name in (case.image, case.mask, case.softmask, case.discs)),
        ]
        for manifest in manifests
        for case in manifest.case_list()
    ]
    return digest_of(sorted(rows))
