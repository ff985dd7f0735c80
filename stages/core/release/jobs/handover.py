"""The shards of a release brought together; one that was not delivered is named, and stands there without masks."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...base.files import read_json, whole_folder
from ...data.datasets.manifest import read_manifest
from ...model.segmentation.predictions import write_lost
from ...model.segmentation.predictor import inference_digest
from ...model.segmentation.shards import deal
from ...workspace.runs.params import Params

#: Why a shard is lost: which of its job's faults it was, the job's log says.
MISSING = "its job failed, or was stopped, and left no masks"


def shard_folder(root: Path, shard: int) -> Path:
    """Where the masks of a shard lie on their way between jobs, by dataset."""
    return root / f"segmented-{shard}"


def hand_over(workspace: Path, shards: Path, shard: int, params: Params) -> Path:
    """Copy what the job of a shard segmented to where the next job looks for it."""
    with whole_folder(shard_folder(shards, shard)) as part:
        for name in params.segment.datasets:
            shutil.copytree(workspace / f"reports/segment/{name}/{shard}", part / name)
    return shard_folder(shards, shard)


def bring_shards(shards: Path, workspace: Path, params: Params, bundle: str) -> dict[str, str]:
    """Bring every shard of params into the workspace; returns the lost ones, as ``dataset/shard`` -> why.

    A shard of another bundle or of other settings is as good as none: it is of another release.
    """
    series = {"bundle": bundle, "inference": inference_digest(params.segment)}
    lost = {}
    shutil.rmtree(workspace / "reports/segment", ignore_errors=True)
    for name in params.segment.datasets:
        manifest = read_manifest(workspace / f"data/fetch/{name}.json")
        people = deal((case.participant for case in manifest.cases), len(params.segment.shards))
        for shard in params.segment.shards:
            source, target = shard_folder(shards, shard) / name, workspace / f"reports/segment/{name}/{shard}"
            why = _why_not(source, series)
            if not why:
                shutil.copytree(source, target)
                continue
            cases = [case for case in manifest.case_list() if case.participant in people[shard]]
            write_lost(target, [case for case in cases if case.contrast in params.segment.contrasts], series, why)
            lost[f"{name}/{shard}"] = why
    return lost


def _why_not(source: Path, series: dict[str, str]) -> str:
    if not (source / "manifest.json").is_file():
        return MISSING
    found = read_json(source / "manifest.json")
    if any(found.get(key) != value for key, value in series.items()):
        return f"its masks are of the bundle {str(found.get('bundle'))[:12]} or of other settings"
    return ""
