"""The record of a version as one zip: all that `register` writes into a store, without the weights."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from ...base.errors import ReleaseError
from ...base.files import read_json, write_json
from ...base.params import Block, Name, validate
from ...drift.judgement.consistency import contradictions
from ...drift.record.record import Outcome, read_drift
from ...drift.versions.version import CHAMPION, JUDGES
from ...measures.kept_masks.zips import pack, unpack
from ...store.bundle_files import JUDGED, MASKS, SERIES
from ...store.run_content import Artifact, DataInput, RunContent, metrics_of
from ...tables.summary import read_summary

RECORD_INDEX = "record.json"
#: The largest size of an unpacked record: tables, figures and some hundred kept masks.
MOST_BYTES = 2 << 30
#: Files that stay out of a record: the bundle and the toolbox's zip are assets of the release themselves.
HEAVY = (".safetensors", ".zip")

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Role = Annotated[str, Field(pattern=f"^{JUDGED}({'|'.join(JUDGES)})$")]


class ArchivedInput(Block):
    """A :class:`DataInput`."""

    name: str
    commit: str
    url: str
    context: Literal["training", "testing"]


class Archived(Block):
    """``record.json``: a :class:`RunContent` without its files.

    Attributes
    ----------
    metrics : None where a metric is not defined
    once : paths of the files whose first content a store keeps, whatever is registered later
    """

    digest: Digest
    label: Name
    series: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float | None]
    verdict: Outcome
    judged: dict[Role, Digest | Literal[""]]
    lost: bool
    once: list[str]
    code: str = ""
    trained: list[str] = Field(default_factory=list)
    inputs: list[ArchivedInput] = Field(default_factory=list)


def write_record(path: Path, record: RunContent, params: Mapping[str, str], scratch: Path) -> None:
    """Write the record of a version as a zip; the same record gives the same bytes.

    Parameters
    ----------
    path : of the zip
    record : of the version, with its files
    params : all params of the version's run in the store, including its declaration
    scratch : an existing folder for temporary files
    """
    archived = Archived(
        digest=record.digest,
        label=record.label,
        series=dict(record.series),
        params=dict(params),
        metrics=_defined(record.metrics),
        verdict=Outcome(**record.verdict.model_dump(include=set(Outcome.model_fields))),
        judged=dict(record.judged),
        lost=record.lost,
        once=[artifact.path for artifact in record.artifacts if artifact.once],
        code=record.code,
        trained=list(record.trained),
        inputs=[ArchivedInput(**asdict(one)) for one in record.inputs],
    )
    write_json(scratch / RECORD_INDEX, archived.model_dump(mode="json"))
    files = {RECORD_INDEX: scratch / RECORD_INDEX}
    for artifact in record.artifacts:
        if artifact.path == MASKS:
            files |= {f"{MASKS}/{name}": member for name, member in artifact.members}
        elif artifact.source is not None and not artifact.path.endswith(HEAVY):
            files[f"artifacts/{artifact.path}"] = artifact.source
    pack(path, files)


def read_record(path: Path, folder: Path) -> RunContent:
    """Read a record that :func:`write_record` wrote.

    Its files are unpacked into ``folder``, which must stay while the record is used.

    Raises
    ------
    BundleError
        The file is not a zip, or has a path that leads out of it.
    ReleaseError
        The zip is not a record; or what it says of its version does not follow from the tables in it.
    """
    names = unpack(path, folder, most_bytes=MOST_BYTES)
    value = read_json(folder / RECORD_INDEX, error=ReleaseError)
    value.pop("schema")
    archived: Archived = validate(Archived, value, f"{RECORD_INDEX} in {path.name}", error=ReleaseError)
    artifacts = [
        Artifact(name.removeprefix("artifacts/"), folder / name, once=name.removeprefix("artifacts/") in archived.once)
        for name in names
        if name.startswith("artifacts/")
    ]
    masks = [(name.removeprefix(f"{MASKS}/"), folder / name) for name in names if name.startswith(f"{MASKS}/")]
    if not masks or not artifacts:
        raise ReleaseError(f"{path.name} holds no masks or no tables; it was not written by a release of cordrift.")
    artifacts.append(Artifact(MASKS, members=tuple(masks)))
    _check_claims(archived, folder / "artifacts", path.name)
    return RunContent(
        digest=archived.digest,
        label=archived.label,
        series=archived.series,
        params=archived.params,
        metrics={key: math.nan if value is None else value for key, value in archived.metrics.items()},
        artifacts=tuple(sorted(artifacts, key=lambda artifact: artifact.path)),
        verdict=archived.verdict,
        judged=archived.judged,
        lost=archived.lost,
        code=archived.code,
        trained=tuple(archived.trained),
        inputs=tuple(DataInput(**one.model_dump()) for one in archived.inputs),
    )


def _defined(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Return the metrics as JSON holds them: None where one is not defined."""
    return {key: None if math.isnan(value) else value for key, value in metrics.items()}


def _contradiction(source: str, name: str, claimed: object, follows: object) -> str:
    return (
        f"{RECORD_INDEX} in {source} has {claimed!r} as {name}, and the files beside it say {follows!r}: it is the "
        "record of another version, or was edited. Delete that asset and judge the release again."
    )


def _metrics_of_tables(
    archived: Archived, files: Path, summary: Mapping[str, Any], source: str
) -> dict[str, float | None]:
    """Return the metrics as they follow from the tables of a record.

    Raises
    ------
    ReleaseError
        A table lacks a column or has no row of the version.
    """
    champion = archived.judged.get(JUDGED + CHAMPION, "")
    try:
        return _defined(metrics_of(files, "measures", archived.digest, champion, int(summary["cases"])))
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as fault:
        raise ReleaseError(
            f"the tables in {source} give no metrics of its version ({type(fault).__name__}: {fault}): they were "
            "edited. Delete that asset and judge the release again."
        ) from fault


def _check_claims(archived: Archived, files: Path, source: str) -> None:
    """Compare ``record.json`` with the files beside it, from which every word of it follows.

    Raises
    ------
    ReleaseError
        They differ, or the verdict is better than its own numbers.
    """
    summary = read_summary(files / "measures/summary.json", error=ReleaseError)
    drift = read_drift(files / "compare/drift.json")
    model = read_json(files / "bundle/model.json", error=ReleaseError)
    judged = {JUDGED + role: judge.digest for judge in drift.verdict.judges for role in judge.roles}
    said: dict[str, tuple[object, object]] = {
        "digest": (archived.digest, summary["bundle"]),
        "digest of the bundle": (archived.digest, model.get("digest")),
        "digest of the verdict": (archived.digest, drift.candidate.bundle),
        "series": (archived.series, {key: str(summary[key]) for key in SERIES}),
        "series of the verdict": (
            {key: archived.series.get(key) for key in SERIES},
            {key: getattr(drift.candidate, key) for key in SERIES},
        ),
        "lost": (archived.lost, bool(summary["lost"])),
        "verdict": (archived.verdict.model_dump(), drift.verdict.model_dump(include=set(Outcome.model_fields))),
        "judged": ({key: one for key, one in archived.judged.items() if one}, judged),
    }
    for name, (claimed, follows) in said.items():
        if claimed != follows:
            raise ReleaseError(_contradiction(source, name, claimed, follows))
    metrics = _metrics_of_tables(archived, files, summary, source)
    for name in sorted(metrics.keys() | archived.metrics.keys()):
        claimed, follows = (one.get(name, "no number") for one in (archived.metrics, metrics))
        if claimed != follows:
            raise ReleaseError(_contradiction(source, f"metric {name}", claimed, follows))
    if wrong := contradictions(drift):
        raise ReleaseError(
            f"compare/drift.json in {source} contradicts itself: {wrong[0]}. It was edited; delete that asset and "
            "judge the release again."
        )


def copy_masks(record: RunContent, path: Path, scratch: Path) -> None:
    """Write the kept masks of a record as a zip of their own, with ``scratch`` for temporary files."""
    (masks,) = (artifact for artifact in record.artifacts if artifact.path == MASKS)
    shutil.copyfile(masks.file(scratch), path)
