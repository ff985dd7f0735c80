"""The reviewed masks as the next revision of the dataset: push, tag, pin; and failed images in the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...base.errors import DatasetError
from ...base.files import write_json
from ...data.clones import annex
from ...data.clones.programs import git
from ...data.datasets.registry import REGISTRY, load_registry
from ...data.datasets.selection import mask_pattern
from ...workspace.runs.new_dataset import SOURCES
from ...workspace.runs.next_revision import noted_names, renamed
from ...workspace.runs.params import load_params
from ...workspace.runs.yaml_edit import edit_yaml
from ..drafts.work import REVIEWED, Work


def exclude_images(registry: Path, name: str, failed: Mapping[str, str]) -> None:
    """Write the images that failed, with their reasons, into the entry of a dataset."""
    if not failed:
        return

    def change(value: Any) -> None:
        entry = value["datasets"][name]
        entry["exclude_images"] = {**(entry.get("exclude_images") or {}), **failed}

    edit_yaml(registry, change, load_registry)


def next_revision(root: Path, work: Work, tag: str | None, label: str | None, say: Callable[[str], object]) -> str:
    """Give the reviewed masks to the dataset as its next revision, pin it, and return its commit.

    Each step is done again where an earlier command was interrupted.

    Parameters
    ----------
    root : the workspace
    work : the clone with the reviewed branch
    tag, label : names of the revision and of the next model version; None: the present ones with the next number
    say : receives a line about each thing that was done

    Raises
    ------
    DatasetError
        There is no reviewed mask, or the dataset cannot be written.
    SettingsError
        A name has no number, and none was given.
    """
    name, dataset = work.name, work.dataset
    present = [dataset.tag, load_params(root / "params.yaml").registration.label]
    # Two files are edited: a note before that lets a second run finish what an interrupted one began.
    journal = root / f"data/scratch/accept-masks-{name}.json"
    begun = noted_names(journal, present)
    new_tag = renamed(tag or begun.get("tag"), dataset.tag, "--tag")
    new_label = renamed(label or begun.get("label"), present[1], "--label")
    commit = str(dataset.commit)
    if dataset.tag != begun.get("tag"):
        commit = _publish(root, work, new_tag, say)
        write_json(journal, {"from": begun.get("from", present), "tag": new_tag, "label": new_label})
        _pin(root, work, new_tag, commit)
        say(f"{REGISTRY}: {name} is pinned to {new_tag}, commit {commit[:12]} (before: {dataset.tag})")

    def change(params: Any) -> None:
        params["register"]["label"] = new_label
        for block in ("fetch", "prepare"):  # a dataset that had no mask before was in neither
            held = params[block]["datasets"]
            params[block]["datasets"] = held if name in held else [*held, name]

    edit_yaml(root / "params.yaml", change, load_params)
    journal.unlink()
    say(f"params.yaml: register.label is {new_label}; `dvc repro` fetches what is new and trains on all of it")
    return commit


def _publish(root: Path, work: Work, tag: str, say: Callable[[str], object]) -> str:
    """Give the reviewed branch to the dataset, and return its commit."""
    name, url = work.name, work.dataset.url
    masks: list[str] = []
    if work.has(REVIEWED):
        work.switch(REVIEWED)
        masks = work.masks()
    if not masks:
        raise DatasetError(f"no mask of {name} was passed or corrected since {work.dataset.tag}; accept marks first.")
    commit = git(work.path, ["rev-parse", "HEAD"]).strip()
    annex.publish(work.path, REVIEWED, tag, masks)
    if Path(url).parent == SOURCES:
        # This copy is the lab's own: its next revisions go on from here.
        git(root / url, ["merge", "--quiet", "--no-edit", REVIEWED], f"{url} has other changes")
    say(f"{url}: branch {REVIEWED} and tag {tag} with {len(masks)} reviewed masks, commit {commit[:12]}")
    return commit


def _pin(root: Path, work: Work, tag: str, commit: str) -> None:
    """Pin the registry; a contrast of which it names only images gets the pattern of the masks that it has now."""
    masks = work.masks()

    def pin(value: Any) -> None:
        entry = value["datasets"][work.name]
        entry.update(tag=tag, commit=commit)
        for contrast in entry["contrasts"].values():
            if contrast.get("mask") is None and any(_is_of(contrast["image"], mask) for mask in masks):
                contrast["mask"] = mask_pattern(contrast["image"])

    edit_yaml(root / REGISTRY, pin, load_registry)


def _is_of(image_pattern: str, mask: str) -> bool:
    """Tell whether a mask is where those of a contrast without a pattern belong."""
    end = mask_pattern(image_pattern).rpartition("}")[2]
    return mask.startswith("derivatives/labels/") and mask.endswith(end)
