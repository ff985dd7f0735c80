"""Judge a release: from the masks of its shards to the files that become assets beside its bundle."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ...base.errors import StoreError
from ...base.files import read_json, whole_folder, write_json
from ...data.datasets.manifest import read_manifest
from ...drift.record.record import read_drift
from ...measures.kept_masks.zips import pack
from ...model.bundle.content import read_bundle
from ...model.bundle.revision import code_revision
from ...model.segmentation.predictor import inference_digest
from ...reports.change_report.facts import (
    Facts,
    collect_facts,
    compared_with,
    imported_digests,
    read_change_tables,
    read_side,
)
from ...reports.change_report.provenance import release_provenance
from ...reports.change_report.report import write_change_report
from ...store.bundle_files import version_identity
from ...store.client import Store, open_store
from ...store.location import VARIABLE, find_location, is_named
from ...store.run_content import RunContent, collect_run_content
from ...workspace.runs.monitor import STAGES_AFTER_SEGMENT, bring_bundle, data_stages, monitor_workspace, run_stages
from ...workspace.runs.params import Params
from ..github.repository import Repository
from .archive import copy_masks, write_record
from .handover import bring_shards
from .history import rebuild
from .names import ASSETS, BUNDLE, FIGURE, PROVENANCE, RECORD_ZIP, SHARDS, label_of_tag
from .plan import check_inference

#: Tables and pages of the workspace that go to the release as they are.
COPIED_REPORTS = {
    "csa_measures.csv": "measure/measures.csv",
    "drift.json": "compare/drift.json",
    "conversion.csv": "compare/conversion.csv",
    "report.html": "report/index.html",
    FIGURE: f"report/figures/{FIGURE}",
}


@dataclass(frozen=True)
class Judged:
    """The facts of a judged release, and where its history came from, in sentences."""

    facts: Facts
    history: list[str]


def judge_release(
    root: Path,
    repository: Repository,
    tag: str,
    profile: str,
    device: str | None,
    say: Callable[[str], None],
    *,
    images: bool = False,
) -> Judged:
    """Measure, compare, report and register a release, and write ``release/assets``.

    The history comes from the store that ``MLFLOW_TRACKING_URI`` names. Where it names none, the earlier releases are
    replayed into a new store, which is deleted at the end; no other store is touched.

    Parameters
    ----------
    root : checkout with ``release/bundle`` and ``release/shards``
    repository, tag : name the release
    profile : a file of params/, which names the test datasets
    device : cpu or cuda; None for that of the profile
    say : gets a sentence for each shard that is missing
    images : whether the report, which everybody who sees the release can read, may show anatomy

    Raises
    ------
    CordriftError
        ``release/bundle`` holds no bundle; the release was judged with other inference settings before; a stage fails;
        or the history cannot be read.
    """
    label = label_of_tag(tag)
    verified = read_bundle(root / BUNDLE)
    folder = root / ".monitor" / profile
    params = monitor_workspace(root, folder, profile, label, device, images=images)
    check_inference(repository, tag, inference_digest(params.segment))
    bring_bundle(verified, root / BUNDLE, folder)
    run_stages(folder, data_stages(params))
    lost = bring_shards(root / SHARDS, folder, params, verified.digest)
    for name, why in sorted(lost.items()):
        say(f"shard {name} is missing: {why}. Nothing is decided without it.")
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        place, history = root, ["from MLflow"]
        if not is_named():
            place, history = _replay(repository, tag, params, scratch, say)
        run_stages(folder, STAGES_AFTER_SEGMENT, **{VARIABLE: find_location(place).uri})
        store = open_store(params.registration.model, place)  # opened after the stages, whose runs it must know
        protocol = f"{repository.page}/blob/{tag}/docs/drift.md"
        return Judged(_assets(root, folder, store, params, scratch, protocol), history)


def _replay(
    repository: Repository, tag: str, params: Params, scratch: Path, say: Callable[[str], None]
) -> tuple[Path, list[str]]:
    """Replay the releases into a new store below ``scratch``; return its folder and a sentence for each release."""
    place, downloads = scratch / "store", scratch / "history"
    place.mkdir()
    downloads.mkdir()
    store = open_store(params.registration.model, place)
    return place, rebuild(store, repository, tag, params.segment.datasets[0], downloads, say) or ["no earlier release"]


def _assets(root: Path, folder: Path, store: Store, params: Params, scratch: Path, protocol: str) -> Facts:
    """Write ``release/assets`` from a workspace in which every stage ran."""
    masks = scratch / "masks"
    masks.mkdir()
    record = collect_run_content(params.registration.label, params.segment, masks, folder)
    run = store.find_run(version_identity(record.digest))
    if run is None:
        raise StoreError(f"MLflow at {store.location.name} holds no run of the bundle {record.digest[:12]}.")
    record = _with_first(record, store, run.run_id, scratch)
    facts = _facts(folder, store, params, record.digest, scratch, protocol)
    with whole_folder(root / ASSETS) as part:
        for name, source in COPIED_REPORTS.items():
            shutil.copyfile(folder / "reports" / source, part / name)
        figures = sorted((folder / "reports/report/figures").iterdir())
        pack(part / "figures.zip", {path.name: path for path in figures})
        copy_masks(record, part / "kept_masks.zip", scratch)
        write_record(part / RECORD_ZIP, record, run.params, scratch)
        write_change_report(part, facts)
        write_json(part / PROVENANCE, release_provenance(facts, judged_by=code_revision(root)))
    return facts


def _with_first(record: RunContent, store: Store, run_id: str, scratch: Path) -> RunContent:
    """Return the record with the files that the store keeps of the first judgement, in place of today's."""
    artifacts = []
    for artifact in record.artifacts:
        if artifact.once:
            first = scratch / "first" / artifact.path
            store.fetch(run_id, artifact.path, first)
            artifact = replace(artifact, source=first)
        artifacts.append(artifact)
    return replace(record, artifacts=tuple(artifacts))


def _facts(folder: Path, store: Store, params: Params, digest: str, scratch: Path, protocol: str) -> Facts:
    drift = read_drift(folder / "reports/compare/drift.json")
    wanted = compared_with(drift)
    old = None
    if wanted is not None:
        place = scratch / "old"
        run = store.find_run(version_identity(wanted))
        for name in ("provenance.json", "training_data.json") if run else ():
            if run and f"bundle/{name}" in store.read_index(run):
                store.fetch(run.run_id, f"bundle/{name}", place / name)
        old = read_side(place, label=run.tags.get("cordrift.label", "") if run else "", digest=wanted)
    return collect_facts(
        read_side(folder / "data/package", label=params.registration.label, digest=digest),
        old,
        drift,
        read_change_tables(folder / "reports/compare"),
        pins=[read_manifest(folder / f"data/fetch/{name}.json") for name in params.segment.datasets],
        settings=params.segment,
        imported=imported_digests(read_json(folder / "reports/history/priors.json")),
        protocol=protocol,
    )
