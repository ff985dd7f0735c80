"""A workspace in which a test can run the whole pipeline: micro cohort, small network, seconds of training."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from filelock import FileLock

from stages.core.data.datasets.registry import REGISTRY
from stages.core.phantom.dataset.publish import publish
from stages.core.workspace.runs.pin import pin_dataset
from stages.core.workspace.runs.workspace import make_workspace
from stages.core.workspace.runs.yaml_edit import edit_yaml

ROOT = Path(__file__).parents[2]
CONTRASTS = ["T1w", "T2w", "MTon"]


def micro_workspace(folder: Path, cohort: Path) -> None:
    """Make a workspace with the micro profile; the first revision of its cohort lies in ``cohort``."""
    make_workspace(ROOT, folder, "micro")
    pin_cohort(folder, cohort)
    edit_yaml(folder / "params.yaml", lambda params: params["register"].update(label="v1"))


def pin_cohort(folder: Path, cohort: Path) -> None:
    """Publish the first revision in ``cohort`` and pin it in ``folder``, for training and monitoring."""
    first = publish_micro(cohort)
    for name in ("micro", "micro-frozen"):
        edit_yaml(folder / REGISTRY, lambda registry, name=name: registry["datasets"][name].update(url=str(cohort)))
        pin_dataset(folder / REGISTRY, name, "r1", first)


def publish_micro(folder: Path) -> str:
    """Publish the first revision of the micro cohort in ``folder`` and return its commit; tests render it once."""
    if "XDG_CACHE_HOME" not in os.environ:
        return publish(folder, "micro", "r1", 2)
    rendered = Path(os.environ["XDG_CACHE_HOME"]) / "micro-r1"
    rendered.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{rendered}.lock"):
        if not rendered.exists():
            publish(rendered.with_name("micro-r1.part"), "micro", "r1", 2)
            rendered.with_name("micro-r1.part").rename(rendered)
    shutil.copytree(rendered, folder, symlinks=True)
    return publish(folder, "micro", "r1", 2)  # finds that it is published


def grow(folder: Path, cohort: Path) -> None:
    """Publish the second revision and pin it for training; the frozen set stays at the first one."""
    pin_dataset(folder / REGISTRY, "micro", "r2", publish(cohort, "micro", "r2", 2))
    edit_yaml(folder / "params.yaml", lambda params: params["register"].update(label="v2"))
