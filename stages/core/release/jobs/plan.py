"""The first job of a release: fetch and verify its bundle, name the shards, and the key of the data's cache."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from ...base.errors import ReleaseError
from ...base.files import digest_of, read_json
from ...data.datasets.registry import FROZEN, REGISTRY, entry, load_registry, read_frozen
from ...model.bundle.content import Bundle
from ...model.segmentation.shards import check_shards
from ...reports.change_report.facts import as_mapping
from ...workspace.bundles.named import open_bundle
from ...workspace.runs.params import Params
from ..github.api import Release
from ..github.repository import MOST_ASSET_BYTES, Repository
from .names import BUNDLE, BUNDLE_ZIP, FOLDER, PROVENANCE, label_of_tag

MOST_PROVENANCE_BYTES = 16 << 20


def fetch_bundle(repository: Repository, tag: str, root: Path) -> Bundle:
    """Download the bundle of a release, verify it, and unpack it into ``release/bundle`` of the checkout ``root``.

    The zip itself stays beside it, for the step that verifies its attestation.

    Raises
    ------
    CordriftError
        The tag is not a plain name; there is no such release or asset; the zip is damaged, leads out of itself or holds
        no bundle; the release was judged with another bundle.
    """
    label_of_tag(tag)
    release = repository.release(tag)
    packed = root / FOLDER / BUNDLE_ZIP
    repository.download(release, BUNDLE_ZIP, packed, MOST_ASSET_BYTES)
    verified = open_bundle(packed, root / BUNDLE)
    before = _judged(repository, tag)
    if before and before.get("bundle") != verified.digest:
        raise ReleaseError(
            f"the release {tag} was judged with the bundle {str(before.get('bundle'))[:12]} and now has "
            f"{verified.digest[:12]}; release the new one under the next tag."
        )
    return verified


def check_inference(repository: Repository, tag: str, inference: str) -> None:
    """Make sure that a release that was judged before is judged again with the same inference settings (a digest).

    Raises
    ------
    ReleaseError
        It was judged with other settings. Later releases are compared with what was published, so that stays.
    """
    before = _judged(repository, tag)
    earlier = as_mapping(before.get("inference")).get("digest")
    if before and earlier != inference:
        raise ReleaseError(
            f"the release {tag} was judged with other inference settings ({str(earlier)[:12]}, now {inference[:12]}), "
            "and what was published stays. Set the params of `segment` and CORDRIFT_DEVICE as they were; other "
            "settings begin with the next bundle."
        )


def _judged(repository: Repository, tag: str) -> dict[str, Any]:
    """Return the provenance of a release; empty where it was not judged yet."""
    release = repository.release(tag)
    if not release.asset(PROVENANCE):
        return {}
    with tempfile.TemporaryDirectory() as scratch:
        repository.download(release, PROVENANCE, Path(scratch) / PROVENANCE, MOST_PROVENANCE_BYTES)
        return read_json(Path(scratch) / PROVENANCE, error=ReleaseError)


def released_digest(repository: Repository, release: Release) -> str:
    """Download the bundle of a release, verify it, and return its digest; nothing of it is kept.

    Raises
    ------
    ReleaseError
        The release has no bundle, or it cannot be read.
    """
    with tempfile.TemporaryDirectory() as scratch:
        packed = Path(scratch) / BUNDLE_ZIP
        repository.download(release, BUNDLE_ZIP, packed, MOST_ASSET_BYTES)
        return open_bundle(packed, Path(scratch) / "bundle").digest


def outputs(root: Path, params: Params) -> dict[str, str]:
    """Return what the jobs after `plan` need, as outputs of a step: the numbers of the shards and :func:`cache`."""
    check_shards(params.segment.shards)
    return {"shards": json.dumps(sorted(params.segment.shards)), **cache(root, params)}


def cache(root: Path, params: Params) -> dict[str, str]:
    """Return the folder of the monitored data and the key of their cache, as outputs of a step.

    The key changes with the pins and patterns of the datasets and with the frozen participants.
    """
    registry = load_registry(root / REGISTRY)
    names = params.segment.datasets
    pins = {name: entry(registry, name, root / REGISTRY).model_dump(mode="json") for name in names}
    frozen = sorted([row.participant, row.dataset] for row in read_frozen(root / FROZEN) if row.dataset in names)
    key = f"cordrift-frozen-{params.profile}-{digest_of([pins, frozen])[:16]}"
    return {"cache_path": f".monitor/{params.profile}", "cache_key": key}
