"""A workspace with small invented outputs of all stages before `register`, and an empty MLflow store."""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from stages.core.base.files import write_csv, write_json
from stages.core.drift.record.record import SeriesRecord, write_drift
from stages.core.images.volumes import Volume, write
from stages.core.measures.morphometry.ruler import ruler_id
from stages.core.store.client import open_store
from stages.core.tables.resources import BY_CONTRAST_COLUMNS
from stages.core.workspace.runs.params import load_params
from support import drift_factory
from support.cords import cord, discs_at, key_of_file
from support.rendering import binarised

A, B, C = "a" * 64, "b" * 64, "c" * 64
MODEL = "cord-demo"
REPOSITORY = Path(__file__).parents[2]


@functools.cache
def empty_store() -> Path:
    """Return an SQLite store without experiments. Tests copy it, because its creation takes seconds."""
    folder = Path(tempfile.mkdtemp(prefix="cordrift-template-"))
    open_store(MODEL, folder)
    return folder / "mlflow.db"


def workspace(root: Path, digest: str = A, *, label: str = "v1", report: str = "one", store: bool = True) -> Path:
    """Write a workspace as it is after `report` of the bundle ``digest``; an existing store is kept."""
    root.mkdir(parents=True, exist_ok=True)
    if store and not (root / "mlflow.db").exists():
        shutil.copy(empty_store(), root / "mlflow.db")
    params(root, label=label)
    for name in ("data/package", "reports/segment", "reports/measure", "reports/compare"):
        shutil.rmtree(root / name, ignore_errors=True)
    training = {
        "settings": {"epochs": 2, "optimiser": {"name": "AdamW"}},
        "data": {"n_cases": 9, "digest": "d" * 8},
        "fold": 0,
    }
    write_json(root / "data/package/model.json", {"digest": digest, "folds": [0]})
    write_json(root / "data/package/provenance.json", {"training": {"0": training}, "code": "1234"})
    (root / "data/package/fold_0").mkdir()
    (root / "data/package/fold_0/weights.safetensors").write_bytes(digest.encode())
    curve = {"epoch": [0, 1], "train_loss": [0.5, 0.25], "val_loss": [0.6, None], "dice": [0.1, 0.9], "seconds": [2, 3]}
    write_csv(root / "data/package/fold_0/progress.csv", pd.DataFrame(curve))
    write_json(root / "data/package/training_data.json", {"cases": [digest]})
    fetched(root)
    for shard in (0, 1):
        segmented(root, shard, digest)
    series = {"bundle": digest, "inference": "i" * 64, "ruler": ruler(), "frozen": "f" * 64}
    write_json(root / "reports/measure/summary.json", {**series, "cases": 4, "failed": 1, "range": "C2-C3"})
    reference = {
        "scope": "range",
        "source": "reference",
        "kind": "binary",
        "levels": "C2-C3",
        "flags": "",
        "csa_mm2": 70.0,
        "bundle": digest,
    }
    reference |= {"dataset": "frozen", "participant": "sub-0", "session": "", "contrast": "T1w"}
    write_csv(root / "reports/measure/measures.csv", pd.DataFrame([reference]))
    agreement = {
        "dataset": ["frozen"] * 4,
        "participant": ["sub-0", "sub-1", "sub-0", "sub-1"],
        "session": [""] * 4,
        "contrast": ["T1w", "T1w", "T2w", "T2w"],
        "dice": [0.9, 0.8, 0.7, None],
        "csa_error_mm2": [1.0, 3.0, 2.0, None],
        "flags": ["", "", "", "failed"],
    }
    write_csv(root / "reports/measure/agreement.csv", pd.DataFrame(agreement))
    std = {"version": ["reference", digest, digest, digest], "csa_std_mm2": [9.0, 1.0, 3.0, None]}
    write_csv(root / "reports/compare/csa_std.csv", pd.DataFrame(std))
    write_csv(root / "reports/compare/bias.csv", bias())
    quality = {"version": [digest], "contrast": ["all"], "failed": [1], "csa_error_mm2": [2.0]}
    write_csv(root / "reports/compare/quality.csv", pd.DataFrame(quality))
    if digest == A:  # the first version of the series
        verdict = drift_factory.verdict("first", quality="first", passed=True, reasons=["the first version"])
    else:
        verdict = drift_factory.verdict("drifted", quality="better", reasons=["T2w: drifted. Why"])
    record = drift_factory.drift_record(candidate=SeriesRecord(**series), verdict=verdict)
    write_drift(root / "reports/compare/drift.json", record)
    page(root, report)
    if not (root / "reports/history/priors.json").exists():
        write_json(root / "reports/history/priors.json", {"offline": False, "model": MODEL, "priors": []})
    return root


def bias() -> pd.DataFrame:
    """Return the bias to the prior A, pooled and in one contrast."""
    rows = [[A, "T1w", 2, 9.0, 8.0, 10.0], [A, "pooled", 2, 0.5, -0.25, 1.25]]
    return pd.DataFrame(rows, columns=["prior", "contrast", "n", "bias_mm2", "ci_low_mm2", "ci_high_mm2"])


def params(root: Path, *, label: str = "v1", offline: bool = False) -> None:
    """Write the demo's params with two shards and one fold."""
    value: dict[str, Any] = yaml.safe_load((REPOSITORY / "params/demo.yaml").read_text(encoding="utf-8"))
    value["register"] = {"model": MODEL, "label": label}
    value["history"]["offline"] = offline
    value["segment"] |= {"datasets": ["frozen"], "shards": [0, 1]}
    value["train"]["folds"] = [0]
    (root / "params.yaml").write_text(yaml.safe_dump(value), encoding="utf-8")


def page(root: Path, report: str) -> None:
    """Write a report page with one figure; ``report`` is their content and the name of the figure."""
    shutil.rmtree(root / "reports/report", ignore_errors=True)
    (root / "reports/report/figures").mkdir(parents=True)
    (root / "reports/report/index.html").write_text(f"<p>{report}</p>", encoding="utf-8")
    (root / f"reports/report/figures/{report}.png").write_bytes(report.encode())
    took = [["T1w", 2, "openvino", "cpu", 0.05, 1.0, 2.0, 900]]
    write_csv(root / "reports/report/resources.csv", pd.DataFrame(took, columns=list(BY_CONTRAST_COLUMNS)))


@functools.cache
def ruler() -> str:
    """Return the id of today's ruler with the params of the demo."""
    return ruler_id(load_params(REPOSITORY / "params/demo.yaml").measure)


def fetched(root: Path) -> None:
    """Write the manifest of the frozen set: two participants, each with a contrast that fails and one with discs."""
    files, cases = [], []
    for number, sub in enumerate(("sub-0", "sub-1")):
        path = root / f"data/clones/frozen/{sub}/discs.nii.gz"
        write(path, discs_at(_cord(0.0), {2: 13 + number, 3: 8, 4: 3}).data.astype(np.uint8), _cord(0.0).affine)
        labels = {"path": f"{sub}/discs.nii.gz", "key": key_of_file(path), "size": path.stat().st_size}
        files += [
            labels,
            *({"path": f"{sub}_{name}", "key": f"GIT-s0--{sub}{name}", "size": 0} for name in ("T1w", "T2w")),
        ]
        for contrast in ("T1w", "T2w"):
            case: dict[str, Any] = {
                "participant": sub,
                "session": "",
                "contrast": contrast,
                "image": f"{sub}_{contrast}",
            }
            cases.append(case | {"mask": None, "softmask": None, "discs": labels["path"]})
    value: dict[str, Any] = {"dataset": "frozen", "url": "u", "tag": "r1", "commit": "c" * 40, "role": "test"}
    value |= {"licence": "CC0-1.0", "participants": [], "excluded": []}
    write_json(root / "data/fetch/frozen.json", {**value, "files": files, "cases": cases})


def _cord(grow: float) -> Volume:
    """Return a small soft cord of 17 slices in a corner of its volume."""
    made = cord((1.0, 1.0, 2.0), 17, semi=(4.0 + grow, 3.0 + grow), sub=3, sub_z=1)
    data = np.zeros((20, 18, 17), dtype=np.float32)
    data[2 : 2 + made.data.shape[0], 1 : 1 + made.data.shape[1]] = made.data
    return Volume(data, np.diag([1.0, 1.0, 2.0, 1.0]))


def segmented(root: Path, shard: int, digest: str) -> None:
    """Write one shard with a good case, a failed case, and a file that no manifest names."""
    folder = root / f"reports/segment/frozen/{shard}"
    stem = f"frozen/sub-{shard}/anat/sub-{shard}_T1w_label-SC_"
    case = {"dataset": "frozen", "participant": f"sub-{shard}", "session": None, "contrast": "T1w", "warnings": []}
    good = {**case, "status": "ok", "reason": "", "binary": f"{stem}seg.nii.gz", "soft": f"{stem}probseg.nii.gz"}
    bad = {**case, "contrast": "T2w", "status": "failed", "reason": "empty", "binary": None, "soft": None}
    soft = _cord(int(digest[0], 16) / 20 + 0.4 * shard)  # each version and participant has another cord
    write(folder / f"{stem}seg.nii.gz", binarised(soft).data.astype(np.uint8), soft.affine)
    write(folder / f"{stem}probseg.nii.gz", soft.data, soft.affine)
    (folder / "stray.nii.gz").write_bytes(b"left over")
    write_json(
        folder / "manifest.json", {"shard": shard, "bundle": digest, "inference": "i" * 64, "cases": [good, bad]}
    )


def contents(root: Path) -> dict[str, Any]:
    """Return everything that the store of a workspace holds of the model, except ids and times."""
    store = open_store(MODEL, root)
    client = store.client
    experiment = client.get_experiment_by_name(MODEL)
    found = client.search_runs([experiment.experiment_id], run_view_type=3) if experiment else []
    runs = sorted(
        found, key=lambda run: (run.data.tags["cordrift.kind"] != "version", run.data.tags["cordrift.digest"])
    )
    named = {run.info.run_id: run.info.run_name for run in runs}
    return {
        "runs": {
            f"{run.data.tags['cordrift.kind']} {run.data.tags['cordrift.digest'][0]} {number}": {
                "tags": {key: named.get(value, value) for key, value in run.data.tags.items()},
                "params": run.data.params,
                "metrics": {
                    key: [(one.step, str(one.value)) for one in client.get_metric_history(run.info.run_id, key)]
                    for key in run.data.metrics
                },
                "status": (run.info.status, run.info.lifecycle_stage),
                "files": files(Path(run.info.artifact_uri)),
            }
            for number, run in enumerate(runs)
        },
        "versions": [(one.number, named[one.run_id], one.aliases, one.tags) for one in store.versions()],
    }


def files(folder: Path) -> dict[str, bytes]:
    """Return path -> content of every file below a folder."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


class Overtaken:
    """A client of MLflow before whose first call of one method another process does ``work``."""

    def __init__(self, inner: Any, call: str, work: Callable[[], object]) -> None:
        self.inner, self.call, self.work = inner, call, work

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name != self.call:
            return found

        def late(*args: Any, **kwargs: Any) -> Any:
            self.call = ""
            self.work()
            return found(*args, **kwargs)

        return late
