"""The second revision of the demo: models draft the new images, a scripted reviewer looks, and the dataset grows."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from tqdm import tqdm

from ..annotation.acceptance.worklist import read_worklist
from ..annotation.drafts.work import DRAFTS, open_work
from ..annotation.review.items import page_of
from ..annotation.review.marks import FAIL, FIX, PASS
from ..base.errors import CordriftError
from ..base.files import whole_file, write_csv
from ..data.clones.commits import recorded_keys
from ..data.clones.fetch import fetch_selected
from ..data.datasets.label import read_label
from ..data.datasets.manifest import locate
from ..data.datasets.registry import FROZEN, REGISTRY, entry, load_registry, read_frozen
from ..data.datasets.selection import mask_path, select_unmasked
from ..images.volumes import read, read_on_grid
from ..workspace.runs.workspace import run_command
from .reviewer import look

REVIEWER = "the scripted reviewer"
#: What the reviewer saw, in the workspace: a row for each new image.
SEEN = Path("growth.csv")
#: The scripted reviewer always looks at this moment, so that the same drafts give the same sidecars.
WHEN = "2025-03-14T12:00:00+00:00"


def grow(work: Path, name: str, truth: Path, models: Mapping[str, str]) -> dict[str, str]:
    """Draft the masks that a dataset lacks and check them; return the images that failed, with their reasons.

    The commands are those that a person runs. A second call goes on where the first one stopped.

    Parameters
    ----------
    work : the workspace, in which the revision without masks is pinned
    name : entry of the dataset
    truth : folder with the true masks, at the paths of the dataset
    models : ``""`` -> the model in use; contrast -> another model for it

    Raises
    ------
    CordriftError
        A command failed.
    """
    truth = truth.resolve()
    own = [word for key, model in models.items() if key for word in ("--model-for", f"{key}={model}")]
    _run(work, "annotate", name, "--model", models[""], *own)
    marks = work / page_of(name).with_name("qc.yml")
    with contextlib.chdir(work):
        seen = _look_at_all(name, truth)
        write_csv(SEEN, seen)
    with whole_file(marks) as part:
        part.write_text(yaml.safe_dump(_review(name, seen), sort_keys=False), encoding="utf-8")
    marked = seen[seen["mark"] != ""]
    if marked.empty:
        raise CordriftError(f"no model found a cord in any of the {len(seen)} new images of {name}; see {work / SEEN}.")
    _run(work, "accept_masks", name, str(marks.relative_to(work)))
    folder = marks.parent / "fix"
    to_fix = read_worklist(folder)
    if len(to_fix):
        places = dict(zip(seen["image"], seen["mask"], strict=True))
        for row in to_fix.to_dict("records"):
            with whole_file(folder / str(row["mask_file"])) as part:
                shutil.copyfile(truth / places[str(row["image"])], part)
        _run(work, "accept_masks", name, "--corrected", "--confirm", "--reviewer", REVIEWER)
    return dict(entry(load_registry(work / REGISTRY), name).exclude_images)


def pin_grown(work: Path, name: str, tag: str, label: str) -> None:
    """Make the reviewed masks the next revision of the dataset.

    Parameters
    ----------
    work : the workspace
    name : entry of the dataset
    tag, label : of the revision, and of the next model version
    """
    _run(work, "accept_masks", name, "--pin", "--tag", tag, "--label", label)


def _run(work: Path, module: str, *words: str) -> None:
    if run_command(work, module, *words):
        raise CordriftError(f"`cordrift {' '.join((module.replace('_', '-'), *words))}` failed in {work}; see above.")


def _look_at_all(name: str, truth: Path) -> pd.DataFrame:
    """Let the reviewer look at every draft; return a row for each image that had no mask, by columns.

    Runs in the workspace. The mark is ``""`` where there is no draft.
    """
    dataset, frozen = entry(load_registry(REGISTRY), name), read_frozen(FROZEN)
    manifest = fetch_selected(name, dataset, lambda tree: select_unmasked(name, dataset, frozen, tree), 2, _quiet)
    rows: list[dict[str, Any]] = []
    with open_work(name, dataset) as work:
        work.switch(DRAFTS)
        keys = recorded_keys(work.path, work.masks())
        for case in tqdm(manifest.case_list(), desc="review", unit="image", disable=None):
            mask = mask_path(dataset, case)
            row: dict[str, Any] = {"image": case.image, "contrast": case.contrast, "mask": mask, "mark": ""}
            label = read_label(work.path / mask)
            if label is not None:
                image_file = locate(manifest, case.image)
                image = read(image_file)
                draft, real = (read_on_grid(at / mask, image, image_file) for at in (work.path, truth))
                seen = look(image, draft, real)
                row |= asdict(seen) | {"wrong": seen.wrong, "model": label.bundle[:12], "doubts": len(label.doubts)}
                row |= {"uncertainty": label.uncertainty, "mask_key": keys[mask], "image_key": label.source_key}
            rows.append(row)
    return pd.DataFrame(rows)


def _quiet(_: object) -> None:
    """Say nothing: the command before has said what was fetched."""


def _review(name: str, seen: pd.DataFrame) -> dict[str, Any]:
    """Return the marks as the page exports them."""
    kept = ["image", "image_key", "mask_key", "mark"]
    marks = [
        {**row, "when": WHEN, "tags": ["low contrast"] * (row["mark"] == FAIL)}
        for row in seen.loc[seen["mark"] != "", kept].to_dict("records")
    ]
    return {"schema": 1, "dataset": name, "reviewer": REVIEWER, "images": marks}


def growth_lines(seen: pd.DataFrame) -> Iterator[str]:
    """Yield a table for the terminal: what became of the drafts, by contrast, and what the reviewer let through.

    Parameters
    ----------
    seen : what the reviewer saw, a row for each new image
    """
    yield "New images, and what became of their drafts (area: of the passed masks against the truth)"
    heads = (
        "drafted by",
        "images",
        "passed",
        "replaced from truth",
        "failed",
        "no draft",
        "passed, off by > 5 %",
        "area",
    )
    yield " " * 14 + "  ".join(heads)
    for contrast, rows in [*seen.groupby("contrast"), ("all", seen)]:
        marks = rows["mark"].value_counts()
        models = sorted(set(rows.loc[rows["mark"] != "", "model"]))
        passed = rows[rows["mark"] == PASS]
        counts = [int(marks.get(mark, 0)) for mark in (PASS, FIX, FAIL, "")]
        off = f"{passed['area_error'].mean():+.1%}" if len(passed) else "–"
        share = f"{counts[1]} ({counts[1] / len(rows):.0%})"
        yield (
            f"{contrast:13s} {models[0] if len(models) == 1 else f'{len(models)} models':13s} {len(rows):6d} "
            f"{counts[0]:7d} {share:>20s} {counts[2]:7d} {counts[3]:9d} {int(passed['wrong'].eq(True).sum()):21d} "
            f"{off:>5s}"
        )
