"""Ten invented participants with masks and discs for the tests of `check`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stages.core.base.files import sha256_of, write_json
from stages.core.data.datasets.findings import Checked
from stages.core.data.datasets.manifest import Manifest, read_manifest
from stages.core.data.inspection.settings import Check
from stages.core.workspace.runs.params import load_params
from support.data_factory import ROOT

SHAPE = (20, 22, 30)
AFFINE = np.array([[1.0, 0, 0, -9], [0, 1.0, 0, -10], [0, 0, 2.0, -30], [0, 0, 0, 1]])
PARAMS: Check = load_params(ROOT / "params.yaml").check
PEOPLE = [f"sub-{n:02d}" for n in range(10)]
Spoil = Callable[[dict[str, Path]], None]


def cord(radius: float = 4.0) -> np.ndarray[Any, np.dtype[np.float32]]:
    x, y = np.meshgrid(np.arange(SHAPE[0]) - 9, np.arange(SHAPE[1]) - 10, indexing="ij")
    inside = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    return np.repeat(inside[:, :, None], SHAPE[2], axis=2)


def discs() -> np.ndarray[Any, np.dtype[np.uint8]]:
    labels = np.zeros(SHAPE, np.uint8)
    for number, height in ((2, 26), (3, 20), (4, 14), (5, 8)):
        labels[9, 10, height] = number
    return labels


def paths(sub: str) -> dict[str, str]:
    return {kind: f"{sub}/{sub}_T2w_{kind}.nii.gz" for kind in ("image", "mask", "softmask", "discs")}


def describe(clone: Path, drop: tuple[str, ...] = ()) -> Manifest:
    """Write the manifest of whatever lies in the clone, as if it had been fetched so; ``drop``: kinds not there."""
    cases = []
    for sub in PEOPLE:
        here = paths(sub) | (dict.fromkeys(drop) if sub == PEOPLE[0] else {})
        cases.append({"participant": sub, "session": "", "contrast": "T2w"} | here)
    names = sorted({name for case in cases for kind in paths("x") if (name := case[kind])})
    names += sorted(path.relative_to(clone).as_posix() for path in clone.rglob("*.json"))
    files = [
        {"path": name, "key": f"SHA256E-s{size}--{sha256_of(clone / name)}{''.join(Path(name).suffixes)}", "size": size}
        for name in names
        for size in [(clone / name).stat().st_size]
    ]
    value = {"dataset": "ds", "url": "u", "tag": "r1", "commit": "c" * 40, "role": "train", "licence": "CC0-1.0"}
    write_json(
        Path("data/fetch/ds.json"), {**value, "files": files, "cases": cases, "participants": [], "excluded": []}
    )
    return read_manifest(Path("data/fetch/ds.json"))


def found(checked: Checked) -> set[tuple[str, str, str]]:
    return {(f.participant, f.check, f.severity) for f in checked.findings}
