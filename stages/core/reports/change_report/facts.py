"""What a change report is made of: both versions as their manifests tell, and what the comparison found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ...base.errors import CordriftError
from ...base.files import read_csv, read_json
from ...data.datasets.manifest import Manifest
from ...drift.record.record import DriftRecord, PriorRecord
from ...drift.versions.version import CHAMPION, holder
from ...measures.cohort.published_tables import INFERENCE
from ...model.lineage.manifest import IN_BUNDLE, TrainingData, read_training_data
from ...model.segmentation.settings import Segment
from ..drift_report.wording import Shown, label_of, short, shown_versions

#: Name in a bundle of what made it.
PROVENANCE = "provenance.json"


@dataclass(frozen=True)
class Side:
    """One of both versions. ``provenance`` is empty, ``training`` None, where they are not recorded."""

    label: str
    digest: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    training: TrainingData | None = None

    @property
    def code(self) -> str | None:
        """Code revision that packaged it."""
        found = self.provenance.get("code")
        return str(found) if found else None

    @property
    def folds(self) -> dict[str, Mapping[str, Any]]:
        """``training.json`` of each fold by its number, in order; empty where nothing is recorded."""
        found = as_mapping(self.provenance.get("training"))
        return {key: as_mapping(found[key]) for key in sorted(found, key=lambda key: (len(key), key))}


@dataclass(frozen=True)
class Tables:
    """Tables of the stage compare."""

    bias: pd.DataFrame
    conversion: pd.DataFrame
    subgroups: pd.DataFrame


@dataclass(frozen=True)
class Facts:
    """All that the report says.

    Attributes
    ----------
    new, old : the release, and the version it is compared with (None: there is none)
    drift : the record of the comparison
    pins : manifests of the frozen datasets
    settings : of the segmentation
    imported : digests of the priors that are releases measured by others
    protocol : where docs/drift.md stands; an https address becomes a link
    """

    new: Side
    old: Side | None
    drift: DriftRecord
    tables: Tables
    pins: tuple[Manifest, ...]
    settings: Segment
    imported: frozenset[str]
    protocol: str

    @property
    def shown(self) -> list[Shown]:
        """How each version is called."""
        return shown_versions(self.drift, self.new.label)

    @property
    def new_name(self) -> str:
        """What the release is called."""
        return label_of(self.shown, self.new.digest)

    @property
    def old_name(self) -> str:
        """What the other version is called; ``""`` where there is none."""
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
    """The value where it is a mapping, else an empty one: what others wrote may be anything."""
    return value if isinstance(value, Mapping) else {}


def compared_with(drift: DriftRecord) -> str | None:
    """Return the digest of the version that the report compares with: that of the headline, else the champion."""
    prior = drift.headline_prior or holder(CHAMPION, drift.priors)
    return prior.digest if prior else None


def imported_digests(priors: Mapping[str, Any]) -> frozenset[str]:
    """Digests of those in ``priors.json`` that others measured (``cordrift import-release``)."""
    return frozenset(str(row["digest"]) for row in priors["priors"] if row["inference"] == INFERENCE)


def read_side(folder: Path | None, *, label: str, digest: str) -> Side:
    """Read a version from a bundle's folder, or one with the same two file names; either may be missing.

    Raises
    ------
    CordriftError
        A file that is there is not what it should be.
    """
    provenance: dict[str, Any] = {}
    training = None
    if folder is not None and (folder / PROVENANCE).is_file():
        provenance = read_json(folder / PROVENANCE)
    if folder is not None and (folder / IN_BUNDLE).is_file():
        training = read_training_data(folder / IN_BUNDLE)
    return Side(label, digest, provenance, training)


def read_tables(folder: Path) -> Tables:
    """Read the tables that the report needs from the output of the stage compare."""
    return Tables(
        read_csv(folder / "bias.csv", text=("prior", "contrast")),
        read_csv(folder / "conversion.csv", text=("prior", "metric", "contrast")),
        read_csv(folder / "subgroups.csv", text=("version", "attribute", "group")),
    )


def collect_facts(
    new: Side,
    old: Side | None,
    drift: DriftRecord,
    tables: Tables,
    *,
    pins: Sequence[Manifest],
    settings: Segment,
    imported: Collection[str] = (),
    protocol: str = "docs/drift.md",
) -> Facts:
    """Bring together what the report says, after making sure that it is of one comparison.

    Raises
    ------
    CordriftError
        The record is of another bundle, or was compared with another version than ``old``.
    """
    judged, wanted = drift.candidate.bundle, compared_with(drift)
    if judged != new.digest:
        raise CordriftError(
            f"drift.json is of the bundle {short(judged)}, the release is {short(new.digest)}: judge the release first."
        )
    if wanted != (old.digest if old else None):
        raise CordriftError(
            f"The change report must compare with {short(wanted) if wanted else 'no version'}, as drift.json does, not "
            f"with {short(old.digest) if old else 'none'}."
        )
    return Facts(new, old, drift, tables, tuple(pins), settings, frozenset(imported), protocol)
