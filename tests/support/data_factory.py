"""Tiny datasets for tests: random images in the layout of spine-generic, published with DataLad, and a workspace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import yaml

from stages.core.base.files import sha256_of, write_csv, write_json
from stages.core.data.clones import annex
from stages.core.data.datasets.findings import VOLUMES, Finding, write_findings
from stages.core.data.datasets.manifest import CLONES, Manifest
from stages.core.images.volumes import write

#: The repository under test, and the folder of given material beside it.
ROOT = Path(__file__).parents[2]
SHARED = Path(__file__).parents[3] / "shared"
SHAPE = (8, 9, 7)
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def image_path(sub: str, contrast: str) -> str:
    """Where the image of a participant lies in the dataset."""
    return f"{sub}/anat/{sub}_{contrast}.nii.gz"


def mask_path(sub: str, contrast: str) -> str:
    """Where its binary mask lies."""
    return f"derivatives/labels_softseg_bin/{sub}/anat/{sub}_{contrast}_desc-softseg_label-SC_seg.nii.gz"


def fill(folder: Path, people: Mapping[str, str], contrasts: Sequence[str], *, seed: int = 0) -> None:
    """Write images, masks and participants.tsv of ``people`` (participant -> site) into a folder.

    Each image depends only on seed, participant and contrast; the mask is a block of 2 x 3 x 7 voxels.
    """
    for sub in people:
        for contrast in contrasts:
            rng = np.random.default_rng([seed, *f"{sub}{contrast}".encode()])
            write(folder / image_path(sub, contrast), rng.normal(100, 20, SHAPE).astype(np.float32), AFFINE)
            mask = np.zeros(SHAPE, np.uint8)
            mask[3:5, 3:6, :] = 1
            mask[int(rng.integers(3)), tuple(rng.integers(9, size=3)), :] = 1  # no two masks are alike
            write(folder / mask_path(sub, contrast), mask, AFFINE)
    table = folder / "participants.tsv"
    rows = pd.DataFrame({"participant_id": list(people), "sex": "F", "age": 30, "pathology": "HC"})
    rows["institution_id"], rows["institution"], rows["manufacturer"] = list(people.values()), "an institution", "n/a"
    old = [pd.read_csv(table, sep="\t", keep_default_na=False)] if table.exists() else []
    pd.concat([*old, rows]).drop_duplicates("participant_id").to_csv(table, sep="\t", index=False)


def make_dataset(
    path: Path, people: Mapping[str, str], contrasts: Sequence[str] = ("T1w", "T2w"), *, tag: str = "r1", seed: int = 0
) -> str:
    """Publish a dataset at ``path`` (about 4 s) and return its commit."""
    fill(path, people, contrasts, seed=seed)
    annex.create(path)
    return annex.save(path, "first", tag)


def entry(
    url: str, commit: str | None, *, role: str = "train", contrasts: Sequence[str] = ("T1w", "T2w"), tag: str = "r1"
) -> dict[str, Any]:
    """Registry entry for such a dataset, as a mapping to change at will."""
    patterns = {c: {"image": image_path("{sub}", c), "mask": mask_path("{sub}", c)} for c in contrasts}
    return {"url": url, "tag": tag, "commit": commit, "licence": "CC0-1.0", "role": role, "contrasts": patterns}


def workspace(
    folder: Path,
    datasets: Mapping[str, dict[str, Any]],
    frozen: Sequence[tuple[str, str]],
    *,
    prepare: Mapping[str, Any] | None = None,
) -> None:
    """Write registry, frozen.csv and params.yaml (the demo's, with these datasets) into a workspace folder."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    write_registry(folder, datasets)
    rows = "".join(f"1,{sub},{name}\n" for sub, name in frozen)
    (folder / "data/frozen.csv").write_text("schema,participant,dataset\n" + rows)
    (folder / "data/persons.csv").write_text("schema,person,dataset,participant\n")
    params = yaml.safe_load((ROOT / "params/demo.yaml").read_text())
    params["fetch"]["datasets"] = sorted(datasets)
    params["prepare"]["datasets"] = [name for name in datasets if datasets[name]["role"] == "train"]
    params["prepare"] |= dict(prepare or {})
    params["segment"]["datasets"] = [name for name in datasets if datasets[name]["role"] == "test"]
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def write_registry(folder: Path, datasets: Mapping[str, dict[str, Any]]) -> None:
    """Write ``data/datasets.yaml``."""
    text = yaml.safe_dump({"schema": 1, "datasets": dict(datasets)}, sort_keys=False)
    (folder / "data/datasets.yaml").write_text(text)


def fetched(
    name: str, people: dict[str, str], contrasts: Sequence[str] = ("T1w", "T2w"), *, role: str = "train", seed: int = 0
) -> Manifest:
    """Write clone and manifest of a dataset as fetch leaves them, without the annex."""
    clone = CLONES / name
    fill(clone, people, contrasts, seed=seed)
    files = sorted(str(path.relative_to(clone)) for path in clone.rglob("*.nii.gz"))
    manifest = Manifest(
        dataset=name,
        url=name,
        tag="r1",
        commit="a" * 40,
        role=role,
        licence="CC0-1.0",
        files=[
            {"path": file, "key": f"SHA256E-s{size}--{sha256_of(clone / file)}.nii.gz", "size": size}
            for file in files
            for size in [(clone / file).stat().st_size]
        ],
        cases=[
            {"participant": sub, "session": "", "contrast": c, "image": image_path(sub, c), "mask": mask_path(sub, c)}
            | {"softmask": None, "discs": None}
            for sub in people
            for c in contrasts
        ],
        participants=[
            {"participant": sub, "site": site, "manufacturer": "", "sex": "", "age": "", "pathology": ""}
            for sub, site in people.items()
        ],
        excluded=[],
    )
    write_json(Path("data/fetch") / f"{name}.json", manifest.model_dump())
    return manifest


def checked(manifest: Manifest, findings: Sequence[Finding] = (), voxels: Mapping[str, str] | None = None) -> None:
    """Write what check leaves for a dataset; without ``voxels`` every image has voxels of its own."""
    folder = Path("data/check") / manifest.dataset
    rows = [
        {
            "image": case.image,
            "image_key": manifest.keys[case.image],
            "voxels": (voxels or {}).get(case.image, case.image),
        }
        for case in manifest.cases
    ]
    write_csv(folder / VOLUMES, pd.DataFrame(rows))
    write_findings(folder, findings)


def finding(sub: str, contrast: str, check: str, severity: Literal["error", "warning"]) -> Finding:
    """One finding about an image."""
    image = image_path(sub, contrast)
    return Finding(sub, "", contrast, image, check, severity, float("nan"), "another image", f"{image} is bad.")
