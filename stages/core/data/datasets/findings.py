"""The findings of ``check`` in one dataset: an error excludes an image, a warning stays with it in later tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

import pandas as pd

from ...base.errors import DatasetError
from ...base.files import read_csv, write_csv
from .manifest import Manifest, ManifestRow

#: Tables in ``data/check/<dataset>``: one row per finding, and one row per image.
FINDINGS, VOLUMES = "findings.csv", "volumes.csv"
_CASE = ("participant", "session", "contrast")


@dataclass(frozen=True)
class Finding:
    """One fault of one image, or of its masks or disc labels.

    Attributes
    ----------
    participant, session, contrast : the case
    file : path in the clone: the image, its mask or its disc labels
    check : name of the check, e.g. ``mask-empty``
    severity : an ``error`` excludes the case, a ``warning`` stays with it in later tables
    value : the number that was found, NaN where the fault has no number
    expected : what was expected, in words
    message : a whole sentence for a person
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

    @property
    def identity(self) -> tuple[str, str, str]:
        """Participant, session and contrast of the case."""
        return self.participant, self.session, self.contrast


@dataclass(frozen=True)
class Checked:
    """All findings of one dataset, and the digest of the voxels of each image (``""`` where it cannot be read)."""

    dataset: str
    findings: list[Finding]
    voxels: dict[str, str]

    def errors(self, case: ManifestRow) -> list[str]:
        """Return the messages of the errors of a case."""
        return [finding.message for finding in self._of(case) if finding.severity == "error"]

    def warnings(self, case: ManifestRow) -> list[str]:
        """Return the names of the checks that gave a warning for a case, sorted, each once."""
        return sorted({finding.check for finding in self._of(case) if finding.severity == "warning"})

    def _of(self, case: ManifestRow) -> list[Finding]:
        return [finding for finding in self.findings if finding.identity == case.identity]


def write_findings(folder: Path, findings: Iterable[Finding]) -> None:
    """Write ``findings.csv``, sorted; a dataset without findings gives a table without rows."""
    rows = sorted(
        (asdict(finding) for finding in findings),
        key=lambda row: [str(row[name]) for name in (*_CASE, "file", "check")],
    )
    write_csv(folder / FINDINGS, pd.DataFrame(rows, columns=[field.name for field in fields(Finding)]))


def read_checked(folder: Path, manifest: Manifest) -> Checked:
    """Read the tables that ``check`` wrote into ``folder`` for the dataset of ``manifest``.

    Raises
    ------
    CordriftError
        A table is missing or has a newer schema.
    DatasetError
        The tables are about other images than the manifest.
    """
    text = ("participant", "session", "contrast", "file", "check", "severity", "expected", "message")
    found = read_csv(folder / FINDINGS, text=text)
    volumes = read_csv(folder / VOLUMES, text=("image", "image_key", "voxels"))
    seen = dict(zip(volumes["image"], volumes["image_key"], strict=True))
    if seen != {case.image: manifest.keys[case.image] for case in manifest.cases}:
        raise DatasetError(
            f"{folder} is about other images than the manifest of {manifest.dataset!r}; run "
            f"`dvc repro check@{manifest.dataset}`."
        )
    findings = [Finding(**{f.name: row[f.name] for f in fields(Finding)}) for row in found.to_dict("records")]
    return Checked(manifest.dataset, findings, dict(zip(volumes["image"], volumes["voxels"], strict=True)))
