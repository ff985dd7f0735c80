"""The beginning of a release: its bundle, verified, the shards of its jobs, and what its data are cached under."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from ...base.errors import CordriftError
from ...base.files import digest_of, read_json, whole_folder
from ...data.datasets.registry import FROZEN, REGISTRY, entry, load_registry, read_frozen
from ...measures.kept_masks.zips import unpack
from ...model.bundle.content import Bundle, read_bundle
from ...model.segmentation.shards import check_shards
from ...reports.change_report.facts import as_mapping
from ...workspace.runs.params import Params
from ..github.repository import MOST_ASSET_BYTES, Repository
from .names import BUNDLE, BUNDLE_ZIP, PROVENANCE, label_of

#: Of a bundle, unpacked: safetensors hardly shrink, so a zip of GitHub's size holds hardly more.
MOST_BUNDLE_BYTES = 4 << 30
MOST_PROVENANCE_BYTES = 16 << 20


def fetch_bundle(repository: Repository, tag: str, root: Path) -> Bundle:
    """Bring the bundle of a release to ``release/bundle``, verified.

    Raises
    ------
    CordriftError
        A tag that is no name, no such release or asset, a zip that is none or leads out of itself, or no bundle.
    """
    label_of(tag)
    release = repository.release(tag)
    with tempfile.TemporaryDirectory() as scratch:
        packed = Path(scratch) / BUNDLE_ZIP
        repository.download(release, BUNDLE_ZIP, packed, MOST_ASSET_BYTES)
        verified = open_bundle(packed, root / BUNDLE)
    before = _judged(repository, tag)
    if before and before.get("bundle") != verified.digest:
        raise CordriftError(
            f"the release {tag} was judged with the bundle {str(before.get('bundle'))[:12]} and now has "
            f"{verified.digest[:12]}; release the new one under the next tag."
        )
    return verified


def check_inference(repository: Repository, tag: str, inference: str) -> None:
    """Make sure that a release that was judged before is judged again with the same inference settings (a digest).

    Raises
    ------
    CordriftError
        It was judged with others: later releases are compared with what was published.
    """
    before = _judged(repository, tag)
    was = as_mapping(before.get("inference")).get("digest")
    if before and was != inference:
        raise CordriftError(
            f"the release {tag} was judged with other inference settings ({str(was)[:12]}, now {inference[:12]}), and "
            "what was published stays. Set the params of `segment` and CORDRIFT_DEVICE as they were; other settings "
            "begin with the next bundle."
        )


def _judged(repository: Repository, tag: str) -> dict[str, Any]:
    """What a release says of its judgement; empty where there was none."""
    release = repository.release(tag)
    if not release.asset(PROVENANCE):
        return {}
    with tempfile.TemporaryDirectory() as scratch:
        repository.download(release, PROVENANCE, Path(scratch) / PROVENANCE, MOST_PROVENANCE_BYTES)
        return read_json(Path(scratch) / PROVENANCE)


def open_bundle(packed: Path, folder: Path) -> Bundle:
    """Unpack a zip of a bundle into ``folder`` and verify it; nothing is left where it is none."""
    with whole_folder(folder) as part:
        unpack(packed, part, most_bytes=MOST_BUNDLE_BYTES)
        try:
            return read_bundle(part)
        except CordriftError as error:
            raise CordriftError(f"{packed.name} holds no bundle: {error}".replace(f"{part}/", "")) from error


def outputs(root: Path, params: Params) -> dict[str, str]:
    """What the jobs after `plan` need: outputs of a step, each one line."""
    check_shards(params.segment.shards)
    return {"shards": json.dumps(sorted(params.segment.shards)), **cache(root, params)}


def cache(root: Path, params: Params) -> dict[str, str]:
    """Folder of the monitored data and the key of their cache: outputs of a step.

    The key is by the pins and patterns of their datasets and the frozen participants.
    """
    registry = load_registry(root / REGISTRY)
    names = params.segment.datasets
    pins = {name: entry(registry, name, root / REGISTRY).model_dump(mode="json") for name in names}
    frozen = sorted([row.participant, row.dataset] for row in read_frozen(root / FROZEN) if row.dataset in names)
    key = f"cordrift-frozen-{params.profile}-{digest_of([pins, frozen])[:16]}"
    return {"cache_path": f".monitor/{params.profile}", "cache_key": key}
