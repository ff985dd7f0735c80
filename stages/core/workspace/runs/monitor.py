"""The monitoring half of the pipeline, alone, for one bundle and one profile."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...base.errors import CordriftError
from ...base.files import read_csv, whole_folder
from ...data.clones.adoption import adopt
from ...data.datasets.manifest import CLONES, read_manifest
from ...data.datasets.registry import REGISTRY, entry, load_registry
from ...model.bundle.content import Bundle, read_bundle
from ...model.bundle.toolbox import write_toolbox_zip
from ...model.segmentation.predictions import read_shards
from ...pages.canvas import png_bytes
from ...reports.drift_report.contours import Source, contour_figure
from .params import Params, load_params
from .pin import pin
from .workspace import dvc, make
from .yaml_edit import edit_yaml

TABLES = ("measures.csv", "agreement.csv", "summary.json")
#: The stages after segment, in their order.
JUDGING = ("declare", "measure", "floor", "history", "compare", "report", "register")


def monitor(root: Path, model: Path, profile: str, label: str | None = None, plain: Path | None = None) -> Path:
    """Segment, measure, compare, report and register a bundle on a profile's test datasets.

    Runs in a scratch workspace of its own, ``.monitor/<profile>``, whose MLflow store is that of ``root``; then
    leaves tables and pictures in ``data/monitored/<profile>`` of ``root``. Returns the report's path.

    Parameters
    ----------
    label : the version's name in reports; by default the first digits of the bundle's digest
    plain : a plain BIDS folder, of which the profile's one test dataset is made in the scratch workspace

    Raises
    ------
    CordriftError
        ``model`` is no bundle or was tampered with, or a stage fails.
    """
    verified = read_bundle(model)
    folder = root / ".monitor" / profile
    params = monitor_workspace(root, folder, profile, label or verified.digest[:8])
    if plain is not None:
        _adopt(folder, plain, params.segment.datasets)
    bring(verified, model, folder)
    store = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(root / 'mlflow.db').resolve()}"
    # An explicit list: what is not downstream of segment (the frozen fetch, history) would else be left out.
    run_stages(folder, [*data_stages(params), *shard_stages(params), *JUDGING], MLFLOW_TRACKING_URI=store)
    _export(folder, root / "data/monitored" / profile, params)
    print(f"monitor: bundle {verified.digest[:12]} on {profile}: {folder / 'reports/report/index.html'}")
    return folder / "reports/report/index.html"


def monitor_workspace(root: Path, folder: Path, profile: str, label: str, device: str | None = None) -> Params:
    """Make or refresh a scratch workspace for a version called ``label``; returns its params.

    ``device`` takes the place of the profile's for inference; the series is another then.
    """

    def edit(params: Any) -> None:
        params["register"].update(label=label)
        params["segment"].update(device=device or params["segment"]["device"])

    make(root, folder, profile)
    edit_yaml(folder / "params.yaml", edit)
    return load_params(folder / "params.yaml")


def bring(verified: Bundle, model: Path, folder: Path) -> None:
    """Put the bundle that was read from ``model`` into a workspace."""
    with whole_folder(folder / "data/package") as part:
        # The digest does not cover the toolbox's zip, and there are pickles in it: a foreign one is made anew.
        shutil.copytree(model, part, dirs_exist_ok=True, ignore=shutil.ignore_patterns("nnunet.zip"))
        write_toolbox_zip(verified, part / "nnunet.zip")


def data_stages(params: Params) -> list[str]:
    """The stages that bring and check the test datasets."""
    return [f"{verb}@{name}" for verb in ("fetch", "check") for name in params.segment.datasets]


def shard_stages(params: Params, shards: Sequence[int] | None = None) -> list[str]:
    """The stages that segment the given shards; by default all."""
    wanted = params.segment.shards if shards is None else shards
    return [f"segment@{name}-{shard}" for name in params.segment.datasets for shard in wanted]


def run_stages(folder: Path, stages: Sequence[str], **environment: str) -> None:
    """Run these stages of a workspace where something of theirs changed, and no others."""
    dvc(folder, "repro", "--single-item", *stages, **environment)


def _export(folder: Path, out: Path, params: Params) -> None:
    """Leave the tables, and one picture per participant, where the calling workspace's report finds them."""
    manifests = [read_manifest(folder / f"data/fetch/{name}.json") for name in params.segment.datasets]
    segmentation = read_shards(folder / "reports/segment", params.segment.datasets, params.segment.shards)
    measures = read_csv(folder / "reports/measure/measures.csv", text=("dataset", "participant", "session", "contrast"))
    people = sorted({(case.dataset, case.participant, case.session) for m in manifests for case in m.case_list()})
    source = Source(manifests, segmentation, measures, params.measure.levels, folder / CLONES)
    with whole_folder(out) as part:
        for name in TABLES:
            shutil.copyfile(folder / "reports/measure" / name, part / name)
        for dataset, participant, session in people[:12]:  # a report is looked through, not archived
            panels = source.panels(dataset, participant, session, params.segment.contrasts)
            (part / f"{participant}.png").write_bytes(png_bytes(contour_figure(panels)))


def _adopt(folder: Path, plain: Path, datasets: list[str]) -> None:
    """Make the test dataset of a scratch workspace from a plain folder and pin it there; no tracked file changes."""
    if len(datasets) != 1:
        raise CordriftError(f"A plain folder can stand for one test dataset; this profile has {', '.join(datasets)}.")
    (name,) = datasets
    tag = entry(load_registry(folder / REGISTRY), name, folder / REGISTRY).tag
    edit_yaml(folder / REGISTRY, lambda registry: registry["datasets"][name].update(url=f"data/{name}"))
    pin(folder / REGISTRY, name, tag, adopt(plain, folder / f"data/{name}", tag))
