"""The cohort as the stages see it: manifests of fetched datasets, their cases, and the files behind them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Literal

from ...base.errors import CordriftError
from ...base.files import digest_of, read_json
from ...base.params import Block, validate
from .keys import verify

#: Contrast of domain-randomised volumes: trained on, never validated on.
SYNTHETIC = "synth"
#: Where fetch puts its clones, relative to the workspace. Neither git nor DVC looks there.
CLONES = Path("data/clones")


class Case(Block):
    """One image with what belongs to it; paths inside the clone, ``None`` where the dataset has no such file."""

    dataset: str
    participant: str
    session: str
    contrast: str
    image: str
    mask: str | None
    softmask: str | None
    discs: str | None


class ManifestFile(Block):
    """One fetched file: path in the clone, annex key (``GIT-s<size>--<sha256>`` for git's own), size in bytes."""

    path: str
    key: str
    size: int


class ManifestRow(Block):
    """A case as the manifest stores it, without the dataset's name."""

    participant: str
    session: str
    contrast: str
    image: str
    mask: str | None
    softmask: str | None
    discs: str | None


class Participant(Block):
    """One row of participants.tsv; ``""`` where it says nothing."""

    participant: str
    site: str
    manufacturer: str
    sex: str
    age: str
    pathology: str


class Excluded(Block):
    """What was not taken and why; ``contrast`` is ``""`` when the whole participant was left out."""

    participant: str
    contrast: str
    reason: str


class Manifest(Block):
    """What fetch brought from one dataset, at which commit."""

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
        """All cases, sorted by participant, session and contrast."""
        cases = [Case(dataset=self.dataset, **case.model_dump()) for case in self.cases]
        return sorted(cases, key=lambda case: (case.participant, case.session, case.contrast))

    @cached_property
    def keys(self) -> dict[str, str]:
        """Content key of each fetched path."""
        return {file.path: file.key for file in self.files}


def read_manifest(path: Path) -> Manifest:
    """Read ``data/fetch/<dataset>.json``.

    Raises
    ------
    CordriftError
        Missing, not JSON, of a newer schema, or not a manifest.
    """
    value = read_json(path)
    value.pop("schema")
    manifest: Manifest = validate(Manifest, value, str(path))
    for case in manifest.cases:
        for name in (case.image, case.mask, case.softmask, case.discs):
            if name is not None and name not in manifest.keys:
                raise CordriftError(f"{path} has a case with {name}, which is not among its files.")
    return manifest


def people_of(manifests: Iterable[Manifest]) -> list[dict[str, str]]:
    """What the tables of participants say: one row a participant, with its dataset."""
    return [{"dataset": m.dataset, **person.model_dump()} for m in manifests for person in m.participants]


def case_name(case: Case) -> str:
    """Name of a case, used as nnU-Net's case id and as file stem, e.g. ``phantom_sub-p001_T1w``."""
    return "_".join(part for part in (case.dataset, case.participant, case.session, case.contrast) if part)


def locate(manifest: Manifest, relpath: str, clones: Path = CLONES) -> Path:
    """Return the working file of a fetched path, after its content was verified against its key.

    Raises
    ------
    CordriftError
        Not in the manifest, not fetched (a pointer file is named as such), truncated or edited.
    """
    if relpath not in manifest.keys:
        raise CordriftError(f"{relpath} is not among the files fetched from dataset {manifest.dataset!r}.")
    clone = clones / manifest.dataset
    again = f"python -m stages.fetch --dataset {manifest.dataset}"
    if not clone.is_dir():  # the manifest came from the DVC cache, which holds no clone
        raise CordriftError(f"{clone} is missing; run `{again}`.")
    path = clone / relpath
    verify(path, manifest.keys[relpath], again)
    return path


def frozen_digest(manifests: Iterable[Manifest]) -> str:
    """Digest (64 hex digits) of a frozen set: every case with the content keys of what belongs to it."""
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
