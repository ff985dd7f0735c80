"""Command ``monitor``: the monitoring half of the pipeline, alone, for one bundle and one profile."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from stages.core import bundle
from stages.core.adoption import adopt
from stages.core.cohort import CLONES, read_manifest
from stages.core.contours import contour_figure, read_panels
from stages.core.errors import CordriftError, run
from stages.core.figures import png_bytes
from stages.core.files import read_csv, whole_folder
from stages.core.params import Params, load_params
from stages.core.registry import REGISTRY, entry, load_registry, pin
from stages.core.segmented import read_shards
from stages.core.workspace import dvc, edit_yaml, make

TABLES = ("measures.csv", "agreement.csv", "summary.json")


def monitor(root: Path, model: Path, profile: str, label: str | None = None) -> Path:
    """Segment, measure, compare, report and register a bundle on a profile's test datasets.

    Runs in a scratch workspace of its own, ``.monitor/<profile>``, whose MLflow store is that of ``root``; then
    leaves tables and pictures in ``data/monitored/<profile>`` of ``root``. Returns the report's path.

    Raises
    ------
    CordriftError
        ``model`` is no bundle or was tampered with, or a stage fails.
    """
    digest = bundle.read(model).digest
    folder = root / ".monitor" / profile
    make(root, folder, profile)
    if label:
        edit_yaml(folder / "params.yaml", lambda params: params["register"].update(label=label))
    params = load_params(folder / "params.yaml")
    with whole_folder(folder / "data/package") as part:
        shutil.copytree(model, part, dirs_exist_ok=True)
    store = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(root / 'mlflow.db').resolve()}"
    # An explicit list: what is not downstream of segment (the frozen fetch, history) would else be left out.
    stages = [f"fetch@{name}" for name in params.segment.datasets]
    stages += [f"segment@{shard}" for shard in params.segment.shards]
    stages += ["measure", "history", "compare", "report", "register"]
    dvc(folder, "repro", "--single-item", *stages, MLFLOW_TRACKING_URI=store)
    _export(folder, root / "data/monitored" / profile, params)
    print(f"monitor: bundle {digest[:12]} on {profile}: {folder / 'reports/report/index.html'}")
    return folder / "reports/report/index.html"


def _export(folder: Path, out: Path, params: Params) -> None:
    """Leave the tables, and one picture per participant, where the calling workspace's report finds them."""
    manifests = [read_manifest(folder / f"data/fetch/{name}.json") for name in params.segment.datasets]
    segmentation = read_shards(folder / "reports/segment", params.segment.shards)
    measures = read_csv(folder / "reports/measure/measures.csv", text=("dataset", "participant", "session", "contrast"))
    people = sorted({(case.dataset, case.participant, case.session) for m in manifests for case in m.case_list()})
    with whole_folder(out) as part:
        for name in TABLES:
            shutil.copyfile(folder / "reports/measure" / name, part / name)
        for dataset, participant, session in people[:12]:  # a report is looked through, not archived
            panels = read_panels(
                manifests,
                segmentation,
                measures,
                dataset=dataset,
                participant=participant,
                session=session,
                contrasts=params.segment.contrasts,
                levels=params.measure.levels,
                clones=folder / CLONES,
            )
            (part / f"{participant}.png").write_bytes(png_bytes(contour_figure(panels)))


def main() -> None:
    """Monitor the bundle named on the command line."""
    parser = argparse.ArgumentParser(prog="cordrift monitor", description=__doc__)
    parser.add_argument("bundle", type=Path, help="a bundle: the folder that `package` writes (data/package)")
    parser.add_argument("--profile", required=True, help="whose test datasets: a file of params/ without its ending")
    parser.add_argument("--label", help="the version's name in reports (default: the profile's)")
    parser.add_argument("--adopt", type=Path, metavar="FOLDER", help="a plain BIDS folder to make the dataset from")
    options = parser.parse_args()
    root = Path()
    if options.adopt:
        adopt_for(root, options.adopt, options.profile)
    monitor(root, options.bundle, options.profile, options.label)


def adopt_for(root: Path, folder: Path, profile: str) -> None:
    """Make the one test dataset of a profile from a plain folder, and pin it."""
    datasets = load_params(root / f"params/{profile}.yaml").segment.datasets
    if len(datasets) != 1:
        raise CordriftError(f"--adopt needs a profile with one test dataset; {profile} has {', '.join(datasets)}.")
    found = entry(load_registry(root / REGISTRY), datasets[0], root / REGISTRY)
    pin(root / REGISTRY, datasets[0], found.tag, adopt(folder, root / found.url, found.tag))


if __name__ == "__main__":
    run(main)
