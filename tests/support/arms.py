"""Small trainings on a generated cohort whose truth is known: the same network on other masks or other images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from stages.core.base.errors import CordriftError
from stages.core.base.files import read_csv, write_csv
from stages.core.data.clones import annex
from stages.core.data.datasets.registry import FROZEN, REGISTRY
from stages.core.images.volumes import read, write_like
from stages.core.phantom.acquisition.grid import View
from stages.core.phantom.dataset.cohort import Cohort, Revision, participants_of
from stages.core.phantom.dataset.publish import paths_of, publish
from stages.core.tables.columns import AGREEMENT_TEXT, MEASURES_TEXT
from stages.core.workspace.runs.pin import pin_dataset
from stages.core.workspace.runs.workspace import make_workspace, run_command, run_dvc
from stages.core.workspace.runs.yaml_edit import edit_yaml

ROOT = Path(__file__).parents[2]
CONTRASTS = ("T1w", "T2w", "MTon")
#: A voxel with a probability between these two is part of the boundary.
BOUNDARY = (0.05, 0.95)


class Arms:
    """A workspace in which one training follows another."""

    def __init__(self, folder: Path, people: int, frozen: int) -> None:
        self.folder, self.data = folder, folder / "data/micro"
        self.revision = Revision(frozen, CONTRASTS, people, CONTRASTS)
        self.cohort = Cohort("arms", {"r1": self.revision}, View((40.0, 44.0, 60.0)))
        make_workspace(ROOT, folder, "micro")
        self.first = publish(self.data, self.cohort, "r1", 2)
        everybody = participants_of(self.cohort, self.revision)
        self.people = [one.participant for one in everybody if not one.frozen]
        rows = [{"participant": one.participant, "dataset": "micro-frozen"} for one in everybody if one.frozen]
        write_csv(folder / FROZEN, pd.DataFrame(rows))
        for name in ("micro", "micro-frozen"):
            edit_yaml(folder / REGISTRY, lambda value, name=name: value["datasets"][name].update(url="data/micro"))
            pin_dataset(folder / REGISTRY, name, "r1", self.first)

    @property
    def images(self) -> list[tuple[str, str]]:
        """The training images: participant and contrast."""
        return [(person, contrast) for person in self.people for contrast in CONTRASTS]

    def train(self, seed: int, epochs: int, left_out: Iterable[tuple[str, str]] = (), commit: str = "") -> None:
        """Train, segment the frozen images and measure them; ``left_out`` images are not trained on."""
        reason = {paths_of(*image).image: "not in this arm" for image in sorted(left_out)}

        def settle(params: dict) -> None:
            params["train"].update(seed=seed, epochs=epochs, versions=params["train"]["versions"])
            params["history"].update(offline=True)

        edit_yaml(self.folder / "params.yaml", settle)
        tag = f"arm-{commit[:12]}" if commit else "r1"
        pin_dataset(self.folder / REGISTRY, "micro", tag, commit or self.first)
        edit_yaml(self.folder / REGISTRY, lambda value: value["datasets"]["micro"].update(exclude_images=reason))
        with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing):
            run_dvc(self.folder, "repro", "--quiet", "measure")

    def segment(self, images: Iterable[tuple[str, str]], out: Path) -> dict[tuple[str, str], Path]:
        """Segment images with the present bundle; return the soft mask of each in which a cord was found."""
        named = {paths_of(*image).image: image for image in images}
        words = ["--model", "data/package", "--soft", "--whole", "-o", str(out.resolve())]
        if run_command(self.folder, "segment_files", *(f"data/micro/{name}" for name in named), *words) not in (0, 1):
            raise CordriftError(f"the images could not be segmented in {self.folder}; see above.")
        return self.found(named.values(), out)

    def found(self, images: Iterable[tuple[str, str]], out: Path) -> dict[tuple[str, str], Path]:
        """Return the soft masks of images that lie in a folder."""
        named = {paths_of(*image).image: image for image in images}
        ends = {f"{Path(name).name.removesuffix('.nii.gz')}_label-SC_probseg.nii.gz": named[name] for name in named}
        return {ends[path.name]: path for path in out.rglob("*.nii.gz") if path.name in ends}

    def with_masks(self, masks: Mapping[tuple[str, str], np.ndarray]) -> str:
        """Return a commit of the dataset in which these binary masks stand in the place of the true ones."""
        annex.git(self.data, ["checkout", "--quiet", "--detach", self.first])
        for image, mask in masks.items():
            path = self.data / paths_of(*image).binary
            path.unlink()
            write_like(path, mask.astype(np.uint8), self.data / paths_of(*image).image)
        commit = annex.save(self.data, "masks of a model")
        annex.git(self.data, ["tag", "--force", f"arm-{commit[:12]}"])
        return commit

    def numbers(self) -> dict[str, float]:
        """Return what was measured on the frozen images.

        ``dice``; ``csa_error_mm2`` (absolute), ``csa_bias_mm2`` (signed); ``csa_std_mm2``, the mean over participants
        of the SD over contrasts; ``boundary_mm``, the width of the zone in which the model is not certain.
        """
        agreement = read_csv(self.folder / "reports/measure/agreement.csv", text=AGREEMENT_TEXT)
        table = read_csv(self.folder / "reports/measure/measures.csv", text=MEASURES_TEXT)
        table = table[(table["scope"] == "range") & (table["kind"] == "binary")]
        wide = table.pivot_table(index=["participant", "contrast"], columns="source", values="csa_mm2")
        prediction = wide["prediction"] if "prediction" in wide else pd.Series(np.nan, wide.index)
        widths = [boundary_width_mm(path) for path in (self.folder / "reports/segment").rglob("*_probseg.nii.gz")]
        return {
            "dice": float(agreement["dice"].mean()),
            "csa_error_mm2": float(agreement["csa_error_mm2"].mean()),
            "csa_bias_mm2": float((prediction - wide["reference"]).mean()),
            "csa_std_mm2": float(prediction.groupby("participant").std(ddof=1).mean()),
            "boundary_mm": float(np.nanmean(widths)) if widths else float("nan"),
        }


def boundary_width_mm(path: Path) -> float:
    """Return the area of the uncertain zone over the length of the contour at one half, the mean over slices."""
    volume = read(path)
    step = volume.spacing_mm[0]
    body = volume.data >= 0.5
    zone = (volume.data > BOUNDARY[0]) & (volume.data < BOUNDARY[1])
    near = ndimage.binary_dilation(body, np.ones((5, 5, 1), bool))
    ratios = []
    for k in np.flatnonzero(body.any(axis=(0, 1))):
        area = float(body[:, :, k].sum()) * step * volume.spacing_mm[1]
        # The contour of a cord is nearly an ellipse; that of a circle of the same area is a few per cent shorter.
        length = 2 * np.sqrt(np.pi * area)
        ratios.append(float((zone & near)[:, :, k].sum()) * step * volume.spacing_mm[1] / length)
    return float(np.mean(ratios)) if ratios else float("nan")


def append_row(path: Path, row: Mapping[str, object]) -> None:
    """Add a row to a table, written whole."""
    known = read_csv(path) if path.is_file() else pd.DataFrame()
    write_csv(path, pd.concat([known.drop(columns="schema", errors="ignore"), pd.DataFrame([row])], ignore_index=True))
