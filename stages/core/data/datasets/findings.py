"""What ``check`` found in one dataset, as later stages read it: errors stop an image, warnings travel with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

import pandas as pd

from ...base.errors import CordriftError
from ...base.files import read_csv, write_csv
from .manifest import Case, Manifest, ManifestRow

#: Tables in ``data/check/<dataset>``: one row a finding, one row an image.
FINDINGS, VOLUMES = "findings.csv", "volumes.csv"
_CASE = ("participant", "session", "contrast")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with one image or with what belongs to it.

    Attributes
    ----------
    participant, session, contrast : the case
    file : path in the clone: the image, its mask or its disc labels
    check : name of the check, e.g. ``mask-empty``
    severity : an ``error`` stops the case, a ``warning`` travels with it
    value : the number that was found, NaN where there is none
    expected : what was expected, in words
    message : a sentence for a person
    """

    participant: str
    session: str
    contrast: str
    file: str
    check: str
    severity: Literal["error", "warning"]
    value: float
    expected: str
    message: str


@dataclass(frozen=True)
class Checked:
    """All findings of one dataset, and for each image the digest of its voxels (``""`` where it cannot be read)."""

    dataset: str
    findings: list[Finding]
    voxels: dict[str, str]

    def errors(self, case: Case | ManifestRow) -> list[str]:
        """Messages of what stops a case."""
        return self._messages(case, "error")

    def warnings(self, case: Case | ManifestRow) -> list[str]:
        """Names of the checks that warn of a case, sorted, each once."""
        return sorted({f.check for f in self._of(case) if f.severity == "warning"})

    def _of(self, case: Case | ManifestRow) -> list[Finding]:
        return [f for f in self.findings if all(getattr(f, name) == getattr(case, name) for name in _CASE)]

    def _messages(self, case: Case | ManifestRow, severity: str) -> list[str]:
        return [f.message for f in self._of(case) if f.severity == severity]


def write_findings(folder: Path, findings: Iterable[Finding]) -> None:
    """Write ``findings.csv``; a clean dataset gives a table without rows."""
    rows = sorted(
        (asdict(finding) for finding in findings),
        key=lambda row: [str(row[name]) for name in (*_CASE, "file", "check")],
    )
    write_csv(folder / FINDINGS, pd.DataFrame(rows, columns=[field.name for field in fields(Finding)]))


def read_checked(folder: Path, manifest: Manifest) -> Checked:
    """Read what ``check`` left in ``folder`` for a dataset.

    Raises
    ------
    CordriftError
        Missing, of a newer schema, or of other images than those of ``manifest``.
    """
    text = ("participant", "session", "contrast", "file", "check", "severity", "expected", "message")
    found = read_csv(folder / FINDINGS, text=text)
    volumes = read_csv(folder / VOLUMES, text=("image", "image_key", "voxels"))
    seen = dict(zip(volumes["image"], volumes["image_key"], strict=True))
    if seen != {case.image: manifest.keys[case.image] for case in manifest.cases}:
        raise CordriftError(
            f"{folder} is about other images than the manifest of {manifest.dataset!r}; run "
            f"`dvc repro check@{manifest.dataset}`."
        )
    findings = [Finding(**{f.name: row[f.name] for f in fields(Finding)}) for row in found.to_dict("records")]
    return Checked(manifest.dataset, findings, dict(zip(volumes["image"], volumes["voxels"], strict=True)))
