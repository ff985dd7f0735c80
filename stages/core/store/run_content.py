"""The record of one version, read from the outputs of the pipeline: params, metrics, note and artifacts of its run.

Metrics (an undefined one is NaN):

- ``csa_std_mean_mm2``, ``csa_std_sd_mm2``, ``csa_std_n``: mean and SD over participants of the SD of CSA over
  contrasts (lower is better), and the number of participants;
- ``dice_mean``, ``dice_min``, ``dice/<contrast>``: 0 to 1, higher is better;
- ``csa_error_mean_mm2``: mean over participants of their mean absolute error of CSA, lower is better;
- ``cases``, ``failures``: counts; a mask that misses the cord is a failure;
- ``bias_to_champion_mm2`` with ``..._ci_low_mm2``, ``..._ci_high_mm2`` and ``..._n``, and
  ``bias_to_champion/<contrast>``: CSA of this version minus CSA of the champion, 0 is best.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..base.errors import PipelineError, redact
from ..base.files import digest_of, read_csv, read_json, sha256_of
from ..data.datasets.manifest import CLONES, read_manifest
from ..drift.record.record import Outcome, read_drift
from ..drift.statistics.bias import POOLED
from ..drift.statistics.quality import ALL
from ..drift.versions.version import CHAMPION, JUDGES
from ..measures.kept_masks.writer import keep_masks
from ..measures.kept_masks.zips import pack
from ..model.lineage.manifest import training_params
from ..model.lineage.training import read_training
from ..model.segmentation.predictions import read_shards
from ..model.segmentation.settings import Segment
from ..tables.resources import RESOURCES
from ..tables.summary import read_summary
from .bundle_files import JUDGED, MASKS, MEASURES_FILES, PACKAGE, SERIES, bundle_digest

#: Column of bias.csv -> the ending of the metric ``bias_to_champion_...``.
BIAS_NAMES = {"bias_mm2": "mm2", "ci_low_mm2": "ci_low_mm2", "ci_high_mm2": "ci_high_mm2", "n": "n"}


@dataclass(frozen=True)
class Artifact:
    """One file of a run: a copy of ``source``, or a zip of ``members`` (name in the zip -> file).

    ``once``: the first file that is written under this path stays, and a later one does not replace it.
    """

    path: str
    source: Path | None = None
    members: tuple[tuple[str, Path], ...] = ()
    once: bool = False

    @property
    def files(self) -> list[Path]:
        """The local files from which the artifact is made."""
        return [self.source] if self.source is not None else [path for _, path in self.members]

    def digest(self) -> str:
        """Return the SHA-256 of the file. For a zip it is computed from the members, without writing the zip."""
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
class DataInput:
    """A revision of a dataset on which a version was trained (``context`` training) or measured (testing)."""

    name: str
    commit: str
    url: str
    context: str


@dataclass(frozen=True)
class RunContent:
    """Everything that is registered of one version.

    Attributes
    ----------
    digest : of the bundle
    series : the digests that, with the bundle, name the series
    verdict : as in ``drift.json``
    judged : tags that record the judges
    lost : whether a shard is missing
    trial : whether it is only tried
    code : revision of the code that packaged the bundle; ``""`` where it is not known
    trained : on what and how long, a sentence each
    inputs : the datasets
    """

    digest: str
    label: str
    series: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    artifacts: tuple[Artifact, ...]
    verdict: Outcome
    judged: Mapping[str, str]
    lost: bool = False
    trial: bool = False
    code: str = ""
    trained: tuple[str, ...] = ()
    inputs: tuple[DataInput, ...] = ()

    @property
    def name(self) -> str:
        """The name of the run: label and verdict, because MLflow's table of runs first shows the name only."""
        trial = "trial, " if self.trial else ""
        return f"{self.label} ({trial}{', '.join(dict.fromkeys((self.verdict.drift, self.verdict.quality)))})"

    @property
    def summary(self) -> str:
        """One line with the verdict, the bias to the champion and the SD of CSA over contrasts."""
        parts = [f"drift {self.verdict.drift}, quality {self.verdict.quality}"]
        bias, low, high, n = (self.metrics.get(f"bias_to_champion_{key}", math.nan) for key in BIAS_NAMES.values())
        if math.isfinite(bias):
            interval = f" ({low:.2f} to {high:.2f})" if math.isfinite(low) else ""
            parts.append(f"CSA {bias:+.2f} mm²{interval} to the champion before it, n = {n:.0f}")
        spread = self.metrics.get("csa_std_mean_mm2", math.nan)
        if math.isfinite(spread):
            parts.append(f"CSA STD {spread:.2f} mm²")
        return "; ".join(parts)

    @property
    def note(self) -> str:
        """The description of the run as Markdown. The verdict comes first: MLflow shows the first lines."""
        metrics = "\n".join(f"| {key} | {value:.4g} |" for key, value in sorted(self.metrics.items()))
        reasons = "\n".join(f"- {reason}" for reason in self.verdict.reasons)
        trained = "\n".join(f"- {text}" for text in self.trained)
        series = "\n".join(f"- {key}: `{value[:12]}`" for key, value in sorted(self.series.items()))
        return (
            f"**{self.label}: {self.summary}**\n\n{reasons}\n\nbundle `{self.digest[:12]}`\n\n{series}\n\n{trained}\n\n"
            f"| metric | value |\n|---|---|\n{metrics}\n\n"
            "Report: artifact `report/index.html`. Tables: `measures/`, `compare/`. An undefined metric is `nan`."
        )


def collect_run_content(
    label: str, segment: Segment, scratch: Path, root: Path = Path(), *, trial: bool = False
) -> RunContent:
    """Read the record of the packaged bundle from the outputs of the pipeline.

    Parameters
    ----------
    label : the name of the version in reports
    segment : names the test datasets, contrasts and shards
    scratch : an empty folder into which the kept masks are written; it must exist as long as the record is used
    root : the workspace
    trial : whether the version is only tried

    Raises
    ------
    PipelineError
        An output of a stage is missing, or the tables were measured on another bundle, because a stage in between did
        not run.
    """
    digest = bundle_digest(root / PACKAGE)
    summary = read_summary(root / "reports/measure/summary.json", error=PipelineError)
    if summary["bundle"] != digest:
        raise PipelineError(
            f"reports/measure is of the bundle {summary['bundle'][:12]}, data/package holds {digest[:12]}; "
            "run `dvc repro`, which runs what lies between."
        )
    artifacts = tuple(sorted(_artifacts(root, segment, scratch), key=lambda artifact: artifact.path))
    files = [path for artifact in artifacts for path in artifact.files]
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise PipelineError(f"{', '.join(missing[:3])} (of {len(missing)} files) missing; `dvc repro` makes them.")
    judged = judge_tags(read_json(root / "reports/history/priors.json", error=PipelineError)["priors"])
    return RunContent(
        digest=digest,
        label=label,
        series={key: str(summary[key]) for key in SERIES},
        params=_params(root, digest),
        metrics=metrics_of(root / "reports", "measure", digest, judged[JUDGED + CHAMPION], int(summary["cases"])),
        artifacts=artifacts,
        verdict=read_drift(root / "reports/compare/drift.json").verdict,
        judged=judged,
        lost=bool(summary["lost"]),
        trial=trial,
        code=str(_provenance(root).get("code", "")),
        trained=tuple(f"{name}: {text}" for name, text in read_training(root / PACKAGE).rows),
        inputs=tuple(_inputs(root, segment)),
    )


def _params(root: Path, digest: str) -> dict[str, str]:
    """Return the settings of the training as text. All folds have the same settings, so the first fold is read."""
    params = {"bundle": digest, "folds": str(read_json(root / PACKAGE / "model.json")["folds"])}
    training = _provenance(root).get("training") or {}
    return params | (training_params(training[min(training)]) if training else {})


def _provenance(root: Path) -> dict[str, Any]:
    path = root / PACKAGE / "provenance.json"
    return read_json(path) if path.is_file() else {}


def _inputs(root: Path, segment: Segment) -> Iterable[DataInput]:
    """Return the datasets of the training, as the bundle names them, and those that were measured."""
    training = _provenance(root).get("training") or {}
    trained = training[min(training)].get("data", {}).get("datasets", {}) if training else {}
    for name, one in sorted(trained.items()):
        yield DataInput(name, str(one["commit"]), redact(str(one["url"])), "training")
    for name in segment.datasets:
        manifest = read_manifest(root / f"data/fetch/{name}.json")
        yield DataInput(name, manifest.commit, redact(manifest.url), "testing")


def read_trainings() -> list[tuple[int, dict[str, str], list[dict[str, float]]]]:
    """Return fold, settings and progress (one row for each epoch) of every training of the packaged bundle."""
    provenance = read_json(PACKAGE / "provenance.json")["training"]
    out = []
    for fold in read_json(PACKAGE / "model.json")["folds"]:
        table = read_csv(PACKAGE / f"fold_{fold}/progress.csv").drop(columns="schema")
        progress = [{str(key): float(value) for key, value in row.items()} for row in table.to_dict("records")]
        out.append((int(fold), training_params(provenance[str(fold)]), progress))
    return out


def metrics_of(folder: Path, measure: str, digest: str, champion: str, cases: int) -> dict[str, float]:
    """Return the metrics of a version, from its tables; an undefined one is NaN.

    Parameters
    ----------
    folder : holds the tables, in ``compare`` and in a folder named ``measure``
    measure : ``measure`` in a workspace, ``measures`` in a record
    digest, champion : of the version, and of the champion that judged it (``""`` where none did)
    cases : how many images were to be measured
    """
    agreement = read_csv(folder / measure / "agreement.csv", text=("contrast", "flags"))
    dice = agreement["dice"].astype(float)
    quality = read_csv(folder / "compare/quality.csv", text=("version", "contrast"))
    overall = _rows_of(quality[quality["contrast"] == ALL], "version", digest)
    metrics = {
        "cases": float(cases),
        "failures": float(overall["failed"].iloc[0]),
        "dice_mean": float(dice.mean()),
        "dice_min": float(dice.min()),
        "csa_error_mean_mm2": float(overall["csa_error_mm2"].iloc[0]),
    }
    metrics |= {f"dice/{name}": float(values.mean()) for name, values in dice.groupby(agreement["contrast"])}
    spread = read_csv(folder / "compare/csa_std.csv", text=("version",))
    stds = _rows_of(spread, "version", digest)["csa_std_mm2"]
    metrics["csa_std_mean_mm2"] = float(stds.mean())
    metrics["csa_std_sd_mm2"] = float(stds.std(ddof=1))
    metrics["csa_std_n"] = float(stds.count())
    return metrics | _bias_to_champion(folder / "compare/bias.csv", champion)


def _bias_to_champion(path: Path, champion: str) -> dict[str, float]:
    table = read_csv(path, text=("prior", "contrast"))
    bias = _rows_of(table, "prior", champion)
    pooled = bias[bias["contrast"] == POOLED]
    contrasts = bias[bias["contrast"] != POOLED]
    overall = {
        f"bias_to_champion_{name}": float(pooled[column].iloc[0]) if len(pooled) else float("nan")
        for column, name in BIAS_NAMES.items()
    }
    return overall | {
        f"bias_to_champion/{contrast}": float(bias)
        for contrast, bias in zip(contrasts["contrast"], contrasts["bias_mm2"], strict=True)
    }


def _rows_of(table: pd.DataFrame, column: str, digest: str) -> pd.DataFrame:
    """Return the rows of one version, whose ``column`` holds its digest or the first twelve digits of it.

    An empty digest has no rows.
    """
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
        # The first verdict on a bundle stays on record, even if the bundle is judged again later.
        yield Artifact("record/drift.json", reports / "compare/drift.json", once=True)
    for path in _files(reports / "compare", "*.csv"):
        yield Artifact(f"compare/{path.name}", path)
    yield Artifact("report/index.html", reports / "report/index.html")
    yield Artifact(f"report/{RESOURCES}", reports / "report" / RESOURCES)
    for path in _files(reports / "report/figures", "*.*"):  # pictures, and the tables of their numbers
        yield Artifact(f"figures/{path.name}", path)
    manifests = [read_manifest(root / f"data/fetch/{name}.json") for name in segment.datasets]
    kept = keep_masks(manifests, segmentation, segment.contrasts, scratch, root / CLONES)
    yield Artifact(MASKS, members=tuple(kept))


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.is_file())


def judge_tags(priors: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the tags that record which prior version judged in each role; ``""`` where none did."""
    rows = list(priors)
    return {JUDGED + role: next((str(row["digest"]) for row in rows if role in row["aliases"]), "") for role in JUDGES}
