"""Elliptic cords of known area, rendered as voxel occupancy, and a small segmented workspace of such cords."""

from __future__ import annotations

import copy
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from stages.core.base.files import read_json, write_json
from stages.core.data.datasets.manifest import frozen_digest, read_manifest
from stages.core.drift.rule.protocol import items
from stages.core.images.volumes import Volume, write
from stages.core.measures.morphometry.levels import range_name
from stages.core.workspace.runs.params import load_params
from support.rendering import binarised

ROOT = Path(__file__).parents[2]
REAL_CORD = ROOT.parent / "shared" / "real-cord"
#: Semi-axes of the cord, right-left and front-back, mm.
RL_MM, AP_MM = 6.5, 4.5
AREA_MM2 = np.pi * RL_MM * AP_MM
CONTRASTS = ("T1w", "T2w", "T2star", "MTon", "MToff", "DWI")


def cord(
    spacing: tuple[float, float, float],
    n_slices: int,
    *,
    tilt_rl: float = 0.0,
    tilt_ap: float = 0.0,
    radius: float = 0.0,
    offset: tuple[float, float] = (0.0, 0.0),
    semi: tuple[float, float] = (RL_MM, AP_MM),
    sub: int = 7,
    sub_z: int = 5,
) -> Volume:
    """Render occupancy of a straight cord tilted by degrees, or of a circular arc of ``radius`` mm in the front-back
    plane, whose perpendicular section is an ellipse with semi-axes ``semi`` (mm) and area pi * a * b.

    Each voxel is sampled at an odd number of points in the plane and along z, so that no value is exactly 0.5.
    """
    px, py, pz = spacing
    slope = np.tan(np.radians([tilt_rl, tilt_ap]))
    length = n_slices * pz
    bend = radius - np.sqrt(radius**2 - (length / 2) ** 2) if radius else 0.0
    nx = int(np.ceil((2 * semi[0] / np.cos(np.radians(tilt_rl)) + length * abs(slope[0]) + 4) / px)) + 2
    ny = int(np.ceil((2 * semi[1] / np.cos(np.radians(tilt_ap)) + length * abs(slope[1]) + bend + 6) / py)) + 2
    tangent = np.array([*slope, 1.0]) / np.sqrt(1.0 + slope @ slope)
    u = np.array([1.0, 0.0, 0.0]) - tangent[0] * tangent
    u /= np.linalg.norm(u)
    v = np.cross(tangent, u)
    data = np.zeros((nx, ny, n_slices))
    x = ((np.arange(nx * sub) + 0.5) / sub - nx / 2) * px - offset[0]
    y = ((np.arange(ny * sub) + 0.5) / sub - ny / 2) * py - offset[1]
    for k in range(n_slices):
        for z in (k + (np.arange(sub_z) + 0.5) / sub_z - n_slices / 2) * pz:
            if radius:
                across = radius - np.hypot(radius - bend / 2 - y, z)
                inside = (x[:, None] / semi[0]) ** 2 + (across[None, :] / semi[1]) ** 2 <= 1
            else:
                dx, dy = x[:, None] - slope[0] * z, y[None, :] - slope[1] * z
                inside = ((dx * u[0] + dy * u[1]) / semi[0]) ** 2 + ((dx * v[0] + dy * v[1]) / semi[1]) ** 2 <= 1
            data[:, :, k] += inside.reshape(nx, sub, ny, sub).sum(axis=(1, 3))
    return Volume((data / (sub * sub * sub_z)).astype(np.float32), np.diag([px, py, pz, 1.0]))


def discs_at(volume: Volume, slices: Mapping[int, int]) -> Volume:
    """Return labels of discs (number -> slice index); discs that share a slice lie beside each other."""
    data = np.zeros(volume.data.shape, dtype=np.float32)
    for number, index in slices.items():
        data[volume.data.shape[0] // 2, number, index] = number
    return Volume(data, volume.affine)


def key_of_file(path: Path) -> str:
    """Return the content key of a file as git-annex writes it."""
    content = path.read_bytes()
    return f"SHA256E-s{len(content)}--{hashlib.sha256(content).hexdigest()}.nii.gz"


class Workspace:
    """A workspace after the stage `segment`: params, one test dataset, masks of one version.

    The reference cord of every participant is an ellipse. The semi-axes of the prediction are larger by ``grow`` mm,
    for each contrast where a mapping is given. Voxels of 1 x 1 x 2 mm, 21 slices, discs 2, 3, 4 in slices 19, 11, 3.
    """

    SLICES: Mapping[int, int] = {2: 19, 3: 11, 4: 3}

    def __init__(self, root: Path, people: Sequence[str] = ("sub-a", "sub-b", "sub-c")) -> None:
        self.root = root
        self.people = people
        params = yaml.safe_load((ROOT / "params/demo.yaml").read_text(encoding="utf-8"))
        params["segment"] |= {"datasets": ["set"], "shards": [0, 1], "contrasts": list(CONTRASTS)}
        params["register"]["label"] = "v1"
        self.params: dict[str, Any] = params
        self.no_reference: set[str] = set()
        self.write_params()
        self.write_dataset()
        self.write_priors()
        self.write_floor()

    def copy(self, root: Path) -> Workspace:
        """Copy the workspace to another folder."""
        shutil.copytree(self.root, root, dirs_exist_ok=True)
        other = copy.deepcopy(self)
        other.root = root
        return other

    def write_params(self) -> None:
        (self.root / "params.yaml").write_text(yaml.safe_dump(self.params), encoding="utf-8")

    def write_dataset(self) -> None:
        """Write images, references and disc labels of every participant, and the manifest of the stage `fetch`."""
        files, cases = [], []
        clone = self.root / "data/clones/set"
        for number, sub in enumerate(self.people):
            for c, contrast in enumerate(CONTRASTS):
                truth = self._cord(number, c, 0.0)
                rng = np.random.default_rng([number, c])
                image = 100 + 200 * truth.data + rng.normal(0, 12, truth.data.shape)
                case: dict[str, Any] = {"participant": sub, "session": "", "contrast": contrast}
                made: dict[str, NDArray[Any]] = {
                    "image": image.astype(np.float32),
                    "mask": binarised(truth).data.astype(np.uint8),
                    "softmask": truth.data,
                    "discs": discs_at(truth, self.SLICES).data.astype(np.uint8),
                }
                for what, data in made.items():
                    name = f"{sub}/anat/{sub}_{contrast}_{what}.nii.gz".replace("_image", "")
                    write(clone / name, data, truth.affine)
                    files.append(
                        {"path": name, "key": key_of_file(clone / name), "size": (clone / name).stat().st_size}
                    )
                    case[what] = name
                if contrast in self.no_reference:
                    case |= {"mask": None, "softmask": None}
                cases.append(case)
        empty: dict[str, Any] = {"participants": [], "excluded": []}
        value = {"dataset": "set", "url": "u", "tag": "r1", "commit": "c" * 40, "role": "test", "licence": "CC0-1.0"}
        write_json(self.root / "data/fetch/set.json", {**value, "files": files, "cases": cases, **empty})

    def segment(
        self,
        bundle: str,
        grow: float | Mapping[str, float],
        failed: Sequence[tuple[str, str]] = (),
        shards: int = 2,
        reason: str = "the predicted mask is empty",
    ) -> None:
        """Declare a version and write its masks; ``failed`` holds (participant, contrast) of cases without masks."""
        self.declare(bundle)
        cases: dict[int, list[dict[str, Any]]] = {shard: [] for shard in range(shards)}
        for number, sub in enumerate(self.people):
            shard = number % shards
            for c, contrast in enumerate(CONTRASTS):
                entry: dict[str, Any] = {"dataset": "set", "participant": sub, "session": "", "contrast": contrast}
                entry |= {"status": "failed", "reason": reason, "binary": None, "soft": None}
                entry["warnings"] = []
                if (sub, contrast) not in failed:
                    more = grow if isinstance(grow, float) else grow[contrast]
                    soft = self._cord(number, c, more)
                    for kind, data in (("binary", binarised(soft).data.astype(np.uint8)), ("soft", soft.data)):
                        name = f"set/{sub}/anat/{sub}_{contrast}_{kind}.nii.gz"
                        write(self.root / f"reports/segment/set/{shard}" / name, data, soft.affine)
                        entry[kind] = name
                    entry |= {"status": "ok", "reason": ""}
                cases[shard].append(entry)
        for shard, entries in cases.items():
            record = {"shard": shard, "bundle": bundle, "inference": "i" * 64, "cases": entries}
            write_json(self.root / f"reports/segment/set/{shard}/manifest.json", record)

    def declare(self, bundle: str, **changes: str) -> None:
        """Write the output of the stage `declare` for a bundle: the current params with ``changes``."""
        params = load_params(self.root / "params.yaml")
        frozen = frozen_digest([read_manifest(self.root / "data/fetch/set.json")])
        fixed = items(params.compare, params.segment.contrasts, range_name(params.measure.levels), frozen)
        value = {"bundle": bundle, "items": fixed | changes, "when": "2026-01-02T03:04:05+00:00"}
        write_json(self.root / "reports/declare/protocol.json", value | {"before_results": True})

    def write_floor(self, runner: Sequence[dict[str, Any]] = (), seeds: Sequence[dict[str, Any]] = ()) -> None:
        """Write the output of the stage `floor`."""
        value = {"bundle": "d" * 64, "runner": list(runner), "seeds": list(seeds)}
        write_json(self.root / "reports/floor/floor.json", value)

    def write_priors(self, priors: Sequence[dict[str, Any]] = (), *, offline: bool = False) -> None:
        """Write ``priors.json``."""
        value = {"offline": offline, "model": "cord", "priors": list(priors)}
        write_json(self.root / "reports/history/priors.json", value)

    def _cord(self, number: int, contrast: int, grow: float) -> Volume:
        tilt = 4.0 + number
        size = 0.15 * number + grow
        shift = (0.13 * contrast, 0.21 * contrast)
        semi = (RL_MM + size, AP_MM + size)
        volume = cord((1.0, 1.0, 2.0), 21, tilt_ap=tilt, offset=shift, semi=(8.0, 8.0), sub=1, sub_z=1)
        made = cord((1.0, 1.0, 2.0), 21, tilt_ap=tilt, offset=shift, semi=semi, sub=5, sub_z=1)
        data = np.zeros((volume.data.shape[0] + 4, volume.data.shape[1] + 4, 21), dtype=np.float32)
        start = [(a - b) // 2 for a, b in zip(data.shape, made.data.shape, strict=True)]
        data[start[0] : start[0] + made.data.shape[0], start[1] : start[1] + made.data.shape[1]] = made.data
        return Volume(data, made.affine)


def keep_as_prior(workspace: Workspace, digest: str, label: str = "v1") -> None:
    """Copy the tables of reports/measure in the current folder to where `history` writes those of a prior."""
    shutil.copytree("reports/measure", f"reports/history/{digest[:12]}")
    summary = read_json(Path("reports/measure/summary.json"))
    entry = {key: summary[key] for key in ("bundle", "inference", "ruler", "frozen")}
    entry |= {
        "digest": digest,
        "version": "1",
        "label": label,
        "aliases": ["champion", "anchor"],
        "folder": digest[:12],
    }
    protocol = Path("reports/declare/protocol.json")
    entry |= {"masks": "", "declared": read_json(protocol)["items"] if protocol.is_file() else None}
    workspace.write_priors([entry])


def digest_of_folder(folder: Path) -> str:
    """Return one digest for all names and contents in a folder."""
    text = "".join(
        f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )
    return hashlib.sha256(text.encode()).hexdigest()
