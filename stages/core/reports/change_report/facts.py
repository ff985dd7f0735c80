"""All that a change report says: both versions from their manifests, and the results of the comparison."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ...base.errors import BundleError, ReleaseError
from ...base.files import read_csv, read_json
from ...data.datasets.manifest import Manifest
from ...drift.record.record import DriftRecord, PriorRecord
from ...drift.versions.version import CHAMPION, holder
from ...measures.published.release_table import INFERENCE
from ...model.lineage.manifest import IN_BUNDLE, TrainingData, read_training_data
from ...model.segmentation.settings import Segment
from ..drift_report.wording import Shown, label_of, short, shown_versions

#: File of a bundle that says how it was made.
PROVENANCE = "provenance.json"


@dataclass(frozen=True)
class Side:
    """One of the two versions. Where they are not recorded, ``provenance`` is empty and ``training`` None."""

    label: str
    digest: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    training: TrainingData | None = None

    @property
    def code(self) -> str | None:
        """Code revision that packaged it; None where it is not recorded."""
        found = self.provenance.get("code")
        return str(found) if found else None

    @property
    def folds(self) -> dict[str, Mapping[str, Any]]:
        """``training.json`` of each fold by its number, in order; empty where nothing is recorded."""
        found = as_mapping(self.provenance.get("training"))
        return {key: as_mapping(found[key]) for key in sorted(found, key=lambda key: (len(key), key))}


@dataclass(frozen=True)
class ChangeTables:
    """Tables that the stage compare writes."""

    bias: pd.DataFrame
    conversion: pd.DataFrame
    subgroups: pd.DataFrame


@dataclass(frozen=True)
class Facts:
    """All that the report says.

    Attributes
    ----------
    new, old : the release, and the version that it is compared with; None where there is none
    drift : the record of the comparison
    tables : of the stage compare
    pins : manifests of the frozen datasets
    settings : of the segmentation
    imported : digests of the priors that others measured
    protocol : address of docs/drift.md; an https address becomes a link
    """

    new: Side
    old: Side | None
    drift: DriftRecord
    tables: ChangeTables
    pins: tuple[Manifest, ...]
    settings: Segment
    imported: frozenset[str]
    protocol: str

    @property
    def shown(self) -> list[Shown]:
        """The name of each version."""
        return shown_versions(self.drift, self.new.label)

    @property
    def new_name(self) -> str:
        """The name of the release."""
        return label_of(self.shown, self.new.digest)

    @property
    def old_name(self) -> str:
        """The name of the other version; ``""`` where there is none."""
        if self.old is None:
            return ""
        names = {one.version: one.label for one in self.shown}
        return names.get(self.old.digest) or self.old.label or short(self.old.digest)

    @property
    def prior(self) -> PriorRecord | None:
        """Record of the other version among the priors."""
        return self.drift.prior(self.old.digest) if self.old else None

    @property
    def missing(self) -> list[str]:
        """What is missing of the measures, in sentences."""
        return self.drift.incomplete


def as_mapping(value: object) -> Mapping[str, Any]:
    """Return the value if it is a mapping, else an empty one: a file from elsewhere may hold anything."""
    return value if isinstance(value, Mapping) else {}


def compared_with(drift: DriftRecord) -> str | None:
    """Return the digest of the version that the report compares with: that of the headline, else the champion."""
    prior = drift.headline_prior or holder(CHAMPION, drift.priors)
    return prior.digest if prior else None


def imported_digests(priors: Mapping[str, Any]) -> frozenset[str]:
    """Return the digests of the versions in ``priors.json`` that others measured (``cordrift import-release``)."""
    return frozenset(str(row["digest"]) for row in priors["priors"] if row["inference"] == INFERENCE)


def read_side(folder: Path | None, *, label: str, digest: str) -> Side:
    """Read a version from a folder that holds ``provenance.json`` and ``training_data.json`` as a bundle does.

    Either file may be missing, and the folder may be None.

    Raises
    ------
    BundleError
        A file is there and cannot be read.
    """
    provenance: dict[str, Any] = {}
    training = None
    if folder is not None and (folder / PROVENANCE).is_file():
        provenance = read_json(folder / PROVENANCE, error=BundleError)
    if folder is not None and (folder / IN_BUNDLE).is_file():
        training = read_training_data(folder / IN_BUNDLE)
    return Side(label, digest, provenance, training)


def read_change_tables(folder: Path) -> ChangeTables:
    """Read the tables that the report needs from the output of the stage compare."""
    return ChangeTables(
        read_csv(folder / "bias.csv", text=("prior", "contrast")),
        read_csv(folder / "conversion.csv", text=("prior", "metric", "contrast", "withheld")),
        read_csv(folder / "subgroups.csv", text=("version", "attribute", "group")),
    )


def collect_facts(
    new: Side,
    old: Side | None,
    drift: DriftRecord,
    tables: ChangeTables,
    *,
    pins: Sequence[Manifest],
    settings: Segment,
    imported: Collection[str] = (),
    protocol: str = "docs/drift.md",
) -> Facts:
    """Return the facts of the report, after making sure that they all belong to one comparison.

    Parameters
    ----------
    new, old, drift, tables, pins, settings, imported, protocol : the attributes of :class:`Facts`

    Raises
    ------
    ReleaseError
        The record belongs to another bundle, or was compared with another version than ``old``.
    """
    judged, wanted = drift.candidate.bundle, compared_with(drift)
    if judged != new.digest:
        raise ReleaseError(
            f"drift.json is of the bundle {short(judged)}, the release is {short(new.digest)}: judge the release first."
        )
    if wanted != (old.digest if old else None):
        raise ReleaseError(
            f"The change report must compare with {short(wanted) if wanted else 'no version'}, as drift.json does, not "
            f"with {short(old.digest) if old else 'none'}."
        )
    return Facts(new, old, drift, tables, tuple(pins), settings, frozenset(imported), protocol)
