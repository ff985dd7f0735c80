"""A lab whose dataset lacks masks: a model that knows them, what the page shows, and marks as a person makes them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import yaml

from stages.core.base.files import digest_of
from stages.core.data.clones.commits import list_paths
from stages.core.data.clones.programs import git
from stages.core.data.datasets.label import read_label
from stages.core.data.datasets.registry import REGISTRY, load_registry
from stages.core.images import volumes
from stages.core.images.volumes import Volume
from stages.core.model.segmentation.found import Found

WORK = Path("data/annotate/lab")


class Truth:
    """A model that knows the masks of the cohort, and finds nothing in images of which ``blind`` holds the path."""

    blind: frozenset[str] = frozenset()

    def __init__(self, cohort: Path) -> None:
        self.masks: dict[bytes, tuple[str, Path]] = {}
        for path in sorted(cohort.glob("sub-*/anat/*.nii.gz")):
            folder = cohort / "derivatives/labels_softseg_bin" / path.parent.relative_to(cohort)
            mask = folder / path.name.replace(".nii.gz", "_desc-softseg_label-SC_seg.nii.gz")
            name = path.relative_to(cohort).as_posix().replace("sub-site", "sub-lab")
            self.masks[volumes.read(path).data.tobytes()] = name, mask

    def __call__(self, volume: Volume) -> Found:
        name, mask = self.masks[volume.data.tobytes()]
        soft = volumes.read(mask).data * np.float32(0.9)
        return Found(soft * 0 if name in self.blind else soft, doubt="it looks odd" if "labB101_T1w" in name else "")


def model(name: str) -> SimpleNamespace:
    """Return a bundle as far as drafts depend on it."""
    return SimpleNamespace(digest=digest_of(name), regions=["cord"], generation=2, contrasts=frozenset({"T1w"}))


def items() -> list[dict[str, Any]]:
    """Return what the page shows."""
    source = Path("reports/qc/lab/index.html").read_text(encoding="utf-8")
    data = source.partition('<script id="data" type="application/json">')[2].partition("</script>")[0]
    found: list[dict[str, Any]] = json.loads(data)["items"]
    return found


def review(path: str, marks: dict[str, str], who: str = "A", when: str = "2026-01-02T03:04:05Z", **more: Any) -> str:
    """Write a qc.yml that marks the images whose path ends so, and return its path."""
    rows = [
        {name: item[name] for name in ("image", "image_key", "mask_key")} | {"mark": mark, "when": when, **more}
        for end, mark in marks.items()
        for item in items()
        if item["image"].endswith(end)
    ]
    text = yaml.safe_dump({"schema": 1, "dataset": "lab", "reviewer": who, "images": rows})
    Path(path).write_text(text, encoding="utf-8")
    return path


def branch(name: str) -> dict[str, str]:
    """Return mask -> status on a branch."""
    git(WORK, ["checkout", "--quiet", "--force", name])
    before = set(list_paths(WORK, load_registry(REGISTRY).datasets["lab"].commit or ""))
    masks = [path for path in list_paths(WORK) if path.endswith("_seg.nii.gz") and path not in before]
    labels = {path: read_label(WORK / path) for path in masks}
    return {path: label.status if label else "" for path, label in labels.items()}
