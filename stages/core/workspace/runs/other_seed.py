"""The same training with another seed, in a scratch workspace."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...base.errors import SettingsError
from ...base.files import whole_folder
from ...store.bundle_files import MEASURES_FILES
from .params import load_params
from .workspace import make_workspace, run_dvc
from .yaml_edit import edit_yaml


def train_again(root: Path, seed: int) -> Path:
    """Train and measure with ``seed`` in ``.monitor/seed-<seed>``; return the folder ``data/seeds/<seed>`` of measures.

    Raises
    ------
    SettingsError
        ``params.yaml`` already names this seed.
    CordriftError
        A stage fails.
    """
    params = load_params(root / "params.yaml")
    if seed == params.train.seed:
        raise SettingsError(f"the seed is {seed} already in params.yaml (train.seed); another one makes a floor.")
    folder = root / f".monitor/seed-{seed}"
    make_workspace(root, folder, params.profile)
    shutil.copyfile(root / "params.yaml", folder / "params.yaml")
    edit_yaml(folder / "params.yaml", lambda value: value["train"].update(seed=seed))
    # This training is not a version, so that MLflow is neither read nor written.
    edit_yaml(folder / "params.yaml", lambda value: value["history"].update(offline=True))
    run_dvc(folder, "repro", "measure")
    with whole_folder(root / f"data/seeds/{seed}") as part:
        for name in MEASURES_FILES:
            shutil.copyfile(folder / "reports/measure" / name, part / name)
        shutil.copyfile(folder / "data/package/provenance.json", part / "provenance.json")
    return root / f"data/seeds/{seed}"
