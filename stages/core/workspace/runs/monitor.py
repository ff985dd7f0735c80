"""Monitoring without training: segment, measure, judge and register one bundle on the test datasets of a profile."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...base.errors import SettingsError
from ...base.files import read_csv, whole_folder
from ...data.clones.adoption import adopt
from ...data.datasets.manifest import CLONES, read_manifest
from ...data.datasets.registry import REGISTRY, entry, load_registry
from ...measures.kept_masks.zips import unpack
from ...model.bundle.content import Bundle, read_bundle
from ...model.bundle.toolbox import write_toolbox_zip
from ...model.segmentation.predictions import read_shards
from ...pages.canvas import png_bytes
from ...reports.drift_report.contours import Source, contour_figure
from ...store.bundle_files import MEASURES_FILES, MOST_BUNDLE_BYTES
from ...store.client import open_store
from ...store.location import VARIABLE, find_location
from .params import Params, load_params
from .pin import pin_dataset
from .workspace import make_workspace, profile_file, run_dvc
from .yaml_edit import edit_yaml

#: The stages after `segment`, in the order of the pipeline.
STAGES_AFTER_SEGMENT = ("declare", "measure", "floor", "history", "compare", "report", "register")


def monitor(
    root: Path,
    model: Path,
    profile: str,
    label: str | None = None,
    plain: Path | None = None,
    *,
    say: Callable[[str], None],
) -> Path:
    """Segment, measure, compare, report and register a bundle on the test datasets of a profile.

    The stages run in the scratch workspace ``.monitor/<profile>``, but write to the MLflow store of ``root``. Tables
    and pictures are then copied to ``data/monitored/<profile>`` of ``root``.

    Parameters
    ----------
    root : the workspace that calls
    model : the folder of the bundle, or a zip of it as a release has it
    label : name of the version in reports; by default the one under which the bundle is registered, else the first
        digits of its digest
    plain : a plain BIDS folder, from which the one test dataset of the profile is made in the scratch workspace
    say : receives a line about the result

    Returns
    -------
    The path of the drift report.

    Raises
    ------
    CordriftError
        ``model`` is not a bundle or was changed, or a stage fails.
    """
    if model.is_file():
        with whole_folder(root / ".monitor/.bundle") as part:
            unpack(model, part, most_bytes=MOST_BUNDLE_BYTES)
            read_bundle(part)
        model = root / ".monitor/.bundle"
    verified = read_bundle(model)
    folder = root / ".monitor" / profile
    registered = _registered_label(root, profile, verified.digest)
    params = monitor_workspace(root, folder, profile, label or registered or verified.digest[:8])
    if plain is not None:
        _adopt(folder, plain, params.segment.datasets)
    bring_bundle(verified, model, folder)
    # Name every stage: DVC's option `--downstream` would leave out those that do not depend on `segment`.
    stages = [*data_stages(params), *shard_stages(params), *STAGES_AFTER_SEGMENT]
    run_stages(folder, stages, **{VARIABLE: find_location(root).uri})
    _export(folder, root / "data/monitored" / profile, params)
    report = folder / "reports/report/index.html"
    say(f"monitor: bundle {verified.digest[:12]} on {profile}: {report}")
    return report


def _registered_label(root: Path, profile: str, digest: str) -> str:
    """Return the label under which the bundle is registered, which must not change; ``""`` where it is not."""
    settings = load_params(profile_file(root, profile))
    database = find_location(root).database
    if settings.history.offline or (database is not None and not database.is_file()):
        return ""
    versions = open_store(settings.registration.model, root).versions()
    return next((v.tags.get("label", "") for v in versions if v.tags.get("digest") == digest), "")


def monitor_workspace(root: Path, folder: Path, profile: str, label: str, device: str | None = None) -> Params:
    """Make or refresh a scratch workspace and return its params.

    Parameters
    ----------
    root : the checkout or workspace whose code and profiles are used
    folder : the scratch workspace
    label : name of the version in reports
    device : for inference, instead of the device that the profile names; the numbers are then another series
    """

    def edit(params: Any) -> None:
        params["register"].update(label=label)
        params["segment"].update(device=device or params["segment"]["device"])

    make_workspace(root, folder, profile)
    edit_yaml(folder / "params.yaml", edit)
    return load_params(folder / "params.yaml")


def bring_bundle(verified: Bundle, model: Path, folder: Path) -> None:
    """Copy a verified bundle from the folder ``model`` into a workspace."""
    with whole_folder(folder / "data/package") as part:
        # The zip for the toolbox contains pickles, and the digest does not cover it: write it again, do not copy it.
        shutil.copytree(model, part, dirs_exist_ok=True, ignore=shutil.ignore_patterns("nnunet.zip"))
        write_toolbox_zip(verified, part / "nnunet.zip")


def data_stages(params: Params) -> list[str]:
    """Return the names of the stages that fetch and check the test datasets."""
    return [f"{verb}@{name}" for verb in ("fetch", "check") for name in params.segment.datasets]


def shard_stages(params: Params, shards: Sequence[int] | None = None) -> list[str]:
    """Return the names of the stages that segment these shards of each test dataset; by default all shards."""
    chosen = params.segment.shards if shards is None else shards
    return [f"segment@{name}-{shard}" for name in params.segment.datasets for shard in chosen]


def run_stages(folder: Path, stages: Sequence[str], **environment: str) -> None:
    """Run these stages of a workspace and no others; DVC skips a stage whose inputs have not changed.

    ``environment``: variables that DVC and the stages get besides those of this process.
    """
    run_dvc(folder, "repro", "--single-item", *stages, **environment)


def _export(folder: Path, out: Path, params: Params) -> None:
    """Write the tables, and one picture for each participant, into the folder ``out``."""
    manifests = [read_manifest(folder / f"data/fetch/{name}.json") for name in params.segment.datasets]
    segmentation = read_shards(folder / "reports/segment", params.segment.datasets, params.segment.shards)
    measures = read_csv(folder / "reports/measure/measures.csv", text=("dataset", "participant", "session", "contrast"))
    people = sorted({(case.dataset, case.participant, case.session) for m in manifests for case in m.case_list()})
    source = Source(manifests, segmentation, measures, params.measure.levels, folder / CLONES)
    with whole_folder(out) as part:
        for name in MEASURES_FILES:
            shutil.copyfile(folder / "reports/measure" / name, part / name)
        for dataset, participant, session in people[
            :12
        ]:  # more pictures would make the report too long to look through
            panels = source.panels(dataset, participant, session, params.segment.contrasts)
            (part / f"{participant}.png").write_bytes(png_bytes(contour_figure(panels)))


def _adopt(folder: Path, plain: Path, datasets: list[str]) -> None:
    """Make the test dataset of a scratch workspace from a plain folder and pin it in the registry of this workspace."""
    if len(datasets) != 1:
        raise SettingsError(f"A plain folder can stand for one test dataset; this profile has {', '.join(datasets)}.")
    (name,) = datasets
    tag = entry(load_registry(folder / REGISTRY), name, folder / REGISTRY).tag
    edit_yaml(folder / REGISTRY, lambda registry: registry["datasets"][name].update(url=f"data/{name}"))
    pin_dataset(folder / REGISTRY, name, tag, adopt(plain, folder / f"data/{name}", tag))
