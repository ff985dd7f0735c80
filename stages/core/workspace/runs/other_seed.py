"""The same training once more with another seed, in a scratch workspace of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...base.errors import CordriftError
from ...base.files import whole_folder
from .params import load_params
from .workspace import make_workspace, run_dvc
from .yaml_edit import edit_yaml

TABLES = ("measures.csv", "agreement.csv", "summary.json")


def train_again(root: Path, seed: int) -> Path:
    """Train and measure with ``seed`` in ``.monitor/seed-<seed>``; leave the measures in ``data/seeds/<seed>``.

    Raises
    ------
    CordriftError
        The seed is the one that params name already, or a stage fails.
    """
    params = load_params(root / "params.yaml")
    if seed == params.train.seed:
        raise CordriftError(f"the seed is {seed} already in params.yaml (train.seed); another one makes a floor.")
    folder = root / f".monitor/seed-{seed}"
    make_workspace(root, folder, params.profile)
    shutil.copyfile(root / "params.yaml", folder / "params.yaml")
    edit_yaml(folder / "params.yaml", lambda value: value["train"].update(seed=seed))
    # Nothing of it is a version: MLflow is neither asked nor told.
    edit_yaml(folder / "params.yaml", lambda value: value["history"].update(offline=True))
    run_dvc(folder, "repro", "measure")
    with whole_folder(root / f"data/seeds/{seed}") as part:
        for name in TABLES:
            shutil.copyfile(folder / "reports/measure" / name, part / name)
        shutil.copyfile(folder / "data/package/provenance.json", part / "provenance.json")
    return root / f"data/seeds/{seed}"
