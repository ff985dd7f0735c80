"""Pass the masks of each shard from job to job; a shard that is lost is named, and its cases count as failed."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...base.files import read_json, whole_folder
from ...data.datasets.manifest import read_manifest
from ...model.segmentation.predictions import write_lost
from ...model.segmentation.predictor import inference_digest
from ...model.segmentation.shards import deal
from ...tables.resources import RESOURCES
from ...workspace.runs.params import Params

#: Why a shard is lost; the log of its job says what went wrong there.
MISSING = "its job failed, or was stopped, and left no masks"


def shard_folder(root: Path, shard: int) -> Path:
    """Return the folder with the masks of a shard on their way between jobs; it has a folder for each dataset."""
    return root / f"segmented-{shard}"


def hand_over(workspace: Path, shards: Path, shard: int, params: Params) -> Path:
    """Copy the masks of a shard from its workspace to where the next job expects them, and return that folder.

    Parameters
    ----------
    workspace : in which the shard was segmented
    shards : folder with a folder for each shard
    shard : number of the shard, one of ``segment.shards``
    params : of the workspace
    """
    with whole_folder(shard_folder(shards, shard)) as part:
        for name in params.segment.datasets:
            shutil.copytree(workspace / f"reports/segment/{name}/{shard}", part / name)
    return shard_folder(shards, shard)


def bring_shards(shards: Path, workspace: Path, params: Params, bundle: str) -> dict[str, str]:
    """Copy every shard that params name into the workspace; return the lost ones, as ``dataset/shard`` -> the reason.

    A shard of another bundle or of other settings belongs to another release and counts as lost.

    Parameters
    ----------
    shards : folder with a folder for each shard
    workspace : in which the release is judged
    params : of the workspace
    bundle : digest of the release's bundle
    """
    made_with = {"bundle": bundle, "inference": inference_digest(params.segment)}
    lost = {}
    shutil.rmtree(workspace / "reports/segment", ignore_errors=True)
    for name in params.segment.datasets:
        manifest = read_manifest(workspace / f"data/fetch/{name}.json")
        people = deal((case.participant for case in manifest.cases), len(params.segment.shards))
        for shard in params.segment.shards:
            source, target = shard_folder(shards, shard) / name, workspace / f"reports/segment/{name}/{shard}"
            why = _why_lost(source, made_with)
            if not why:
                # Times differ in every run, and a release that is judged again must give the same bytes.
                shutil.copytree(source, target, ignore=shutil.ignore_patterns(RESOURCES))
                continue
            cases = [case for case in manifest.case_list() if case.participant in people[shard]]
            write_lost(target, [case for case in cases if case.contrast in params.segment.contrasts], made_with, why)
            lost[f"{name}/{shard}"] = why
    return lost


def _why_lost(source: Path, made_with: dict[str, str]) -> str:
    """Return why the masks in a folder cannot be used; ``""`` where they can."""
    if not (source / "manifest.json").is_file():
        return MISSING
    found = read_json(source / "manifest.json")
    if any(found.get(key) != value for key, value in made_with.items()):
        return f"its masks are of the bundle {str(found.get('bundle'))[:12]} or of other settings"
    return ""
