"""What the run of one version holds, read from the tables of the pipeline: params, metrics, note, artifacts.

Metrics (an undefined one is NaN): ``csa_std_mean_mm2``, ``csa_std_sd_mm2``, ``csa_std_n`` (SD of CSA over contrasts,
lower is better, and over how many participants), ``dice_mean``, ``dice_min``, ``dice/<contrast>`` (0 to 1, higher is
better), ``csa_error_mean_mm2`` (absolute, lower is better), ``cases``, ``failures``, and against the champion among
the priors ``bias_to_champion_mm2`` with ``..._ci_low_mm2``, ``..._ci_high_mm2``, ``..._n`` (new - old, 0 is best), and
``bias_to_champion/<contrast>``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..base.errors import CordriftError
from ..base.files import digest_of, read_csv, read_json, sha256_of
from ..data.datasets.manifest import CLONES, read_manifest
from ..drift.record.record import Outcome, read_drift
from ..drift.statistics.bias import POOLED
from ..drift.versions.version import CHAMPION
from ..measures.kept_masks.writer import keep_masks
from ..measures.kept_masks.zips import pack
from ..model.lineage.manifest import training_params
from ..model.segmentation.predictions import read_shards
from ..model.segmentation.settings import Segment
from .bundle_files import MASKS, MEASURES_FILES, PACKAGE, SERIES, bundle_digest
from .judges import JUDGED, remembered

#: Column of bias.csv -> the metric ``bias_to_champion_...``.
BIAS = {"bias_mm2": "mm2", "ci_low_mm2": "ci_low_mm2", "ci_high_mm2": "ci_high_mm2", "n": "n"}


@dataclass(frozen=True)
class Artifact:
    """One file of a run: a copy of ``source``, or a zip of ``members`` (name in the zip -> file).

    ``once``: what is there stays, whatever comes later.
    """

    path: str
    source: Path | None = None
    members: tuple[tuple[str, Path], ...] = ()
    once: bool = False

    @property
    def files(self) -> list[Path]:
        """The files that it is made of."""
        return [self.source] if self.source is not None else [path for _, path in self.members]

    def digest(self) -> str:
        """SHA-256 of the file; of a zip, over its members, so that it need not be written to be compared."""
        if self.source is not None:
            return sha256_of(self.source)
        return digest_of({name: sha256_of(path) for name, path in self.members})

    def file(self, scratch: Path) -> Path:
        """Return the file to upload; a zip is written into ``scratch``."""
        if self.source is not None:
            return self.source
        packed = scratch / self.path.rpartition("/")[2]
        pack(packed, dict(self.members))
        return packed


@dataclass(frozen=True)
class Record:
    """All that is known of one version, ready to be registered."""

    digest: str
    label: str
    series: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    artifacts: tuple[Artifact, ...]
    verdict: Outcome
    judged: Mapping[str, str]
    lost: bool = False

    @property
    def name(self) -> str:
        """Label and verdict: the name of the run, which is all that MLflow's table of runs shows at first."""
        return f"{self.label} ({', '.join(dict.fromkeys((self.verdict.drift, self.verdict.quality)))})"

    @property
    def summary(self) -> str:
        """One line: the verdict, what moved, and the spread over contrasts."""
        said = [f"drift {self.verdict.drift}, quality {self.verdict.quality}"]
        bias, low, high, n = (self.metrics.get(f"bias_to_champion_{key}", math.nan) for key in BIAS.values())
        if math.isfinite(bias):
            interval = f" ({low:.2f} to {high:.2f})" if math.isfinite(low) else ""
            said.append(f"CSA {bias:+.2f} mm²{interval} to the champion before it, n = {n:.0f}")
        spread = self.metrics.get("csa_std_mean_mm2", math.nan)
        if math.isfinite(spread):
            said.append(f"CSA STD {spread:.2f} mm²")
        return "; ".join(said)

    @property
    def note(self) -> str:
        """The description shown in MLflow, as Markdown; of a long one its pages show the first lines."""
        shown = "\n".join(f"| {key} | {value:.4g} |" for key, value in sorted(self.metrics.items()))
        reasons = "\n".join(f"- {reason}" for reason in self.verdict.reasons)
        series = "\n".join(f"- {key}: `{value[:12]}`" for key, value in sorted(self.series.items()))
        return (
            f"**{self.label}: {self.summary}**\n\n{reasons}\n\nbundle `{self.digest[:12]}`\n\n{series}\n\n"
            f"| metric | value |\n|---|---|\n{shown}\n\n"
            "Report: artifact `report/index.html`. Tables: `measures/`, `compare/`. An undefined metric is `nan`."
        )


def collect(label: str, segment: Segment, scratch: Path, root: Path = Path()) -> Record:
    """Read the record of the packaged bundle from the outputs of the pipeline in the workspace ``root``.

    The kept masks are written into ``scratch``, which must stay while the record is used.

    Raises
    ------
    CordriftError
        A table is missing, or they are not of this bundle (an upstream stage did not run).
    """
    digest = bundle_digest(root / PACKAGE)
    summary = read_json(root / "reports/measure/summary.json")
    if summary["bundle"] != digest:
        raise CordriftError(
            f"reports/measure is of the bundle {summary['bundle'][:12]}, data/package holds {digest[:12]}; "
            "run `dvc repro`, which runs what lies between."
        )
    artifacts = tuple(sorted(_artifacts(root, segment, scratch), key=lambda artifact: artifact.path))
    files = [path for artifact in artifacts for path in artifact.files]
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise CordriftError(f"{', '.join(missing[:3])} (of {len(missing)} files) missing; `dvc repro` makes them.")
    judged = remembered(read_json(root / "reports/history/priors.json")["priors"])
    return Record(
        digest=digest,
        label=label,
        series={key: str(summary[key]) for key in SERIES},
        params=_params(root, digest),
        metrics=_metrics(root, digest, judged[JUDGED + CHAMPION], summary),
        artifacts=artifacts,
        verdict=read_drift(root / "reports/compare/drift.json").verdict,
        judged=judged,
        lost=bool(summary.get("lost")),
    )


def _params(root: Path, digest: str) -> dict[str, str]:
    """Flatten what the bundle says of its making; of several folds the first, which shares its settings."""
    params = {"bundle": digest, "folds": str(read_json(root / PACKAGE / "model.json")["folds"])}
    provenance = root / PACKAGE / "provenance.json"
    if provenance.is_file():
        training = read_json(provenance).get("training") or {}
        params |= training_params(training[min(training)]) if training else {}
    return params


def trainings() -> list[tuple[int, dict[str, str], list[dict[str, float]]]]:
    """Return fold, settings and progress (one row per epoch) of every training that the bundle came from."""
    provenance = read_json(PACKAGE / "provenance.json")["training"]
    out = []
    for fold in read_json(PACKAGE / "model.json")["folds"]:
        table = read_csv(PACKAGE / f"fold_{fold}/progress.csv").drop(columns="schema")
        progress = [{str(key): float(value) for key, value in row.items()} for row in table.to_dict("records")]
        out.append((int(fold), training_params(provenance[str(fold)]), progress))
    return out


def _metrics(root: Path, digest: str, champion: str, summary: Mapping[str, Any]) -> dict[str, float]:
    agreement = read_csv(root / "reports/measure/agreement.csv", text=("contrast", "flags"))
    dice, error = agreement["dice"].astype(float), agreement["csa_error_mm2"].astype(float).abs()
    metrics = {
        "cases": float(summary["cases"]),
        "failures": float(summary["failed"]),
        "dice_mean": float(dice.mean()),
        "dice_min": float(dice.min()),
        "csa_error_mean_mm2": float(error.mean()),
    }
    metrics |= {f"dice/{name}": float(values.mean()) for name, values in dice.groupby(agreement["contrast"])}
    stds = _of(read_csv(root / "reports/compare/csa_std.csv", text=("version",)), "version", digest)["csa_std_mm2"]
    metrics["csa_std_mean_mm2"] = float(stds.mean())
    metrics["csa_std_sd_mm2"] = float(stds.std(ddof=1))
    metrics["csa_std_n"] = float(stds.count())
    return metrics | _bias_to_champion(root, champion)


def _bias_to_champion(root: Path, champion: str) -> dict[str, float]:
    table = read_csv(root / "reports/compare/bias.csv", text=("prior", "contrast"))
    mine = _of(table, "prior", champion)
    rows = mine[mine["contrast"] == POOLED]
    contrasts = mine[mine["contrast"] != POOLED]
    pooled = {
        f"bias_to_champion_{name}": float(rows[column].iloc[0]) if len(rows) else float("nan")
        for column, name in BIAS.items()
    }
    return pooled | {
        f"bias_to_champion/{contrast}": float(bias)
        for contrast, bias in zip(contrasts["contrast"], contrasts["bias_mm2"], strict=True)
    }


def _of(table: pd.DataFrame, column: str, digest: str) -> pd.DataFrame:
    """Rows of one version, named by its digest or the first twelve digits of it; none where the digest is empty."""
    return table[table[column].isin([digest, digest[:12]] if digest else [])]


def _artifacts(root: Path, segment: Segment, scratch: Path) -> Iterable[Artifact]:
    package, reports = root / PACKAGE, root / "reports"
    for path in _files(package, "**/*"):
        yield Artifact(f"bundle/{path.relative_to(package).as_posix()}", path)
    for name in MEASURES_FILES:
        yield Artifact(f"measures/{name}", reports / "measure" / name)
    yield Artifact("compare/drift.json", reports / "compare/drift.json")
    segmentation = read_shards(reports / "segment", segment.datasets, segment.shards)
    if not segmentation.lost:
        # The first record of a digest: judged once, whatever is computed again later.
        yield Artifact("record/drift.json", reports / "compare/drift.json", once=True)
    for path in _files(reports / "compare", "*.csv"):
        yield Artifact(f"compare/{path.name}", path)
    yield Artifact("report/index.html", reports / "report/index.html")
    for path in _files(reports / "report/figures", "*.*"):  # each picture with its numbers
        yield Artifact(f"figures/{path.name}", path)
    manifests = [read_manifest(root / f"data/fetch/{name}.json") for name in segment.datasets]
    kept = keep_masks(manifests, segmentation, segment.contrasts, scratch, root / CLONES)
    yield Artifact(MASKS, members=tuple(kept))


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.is_file())
