"""The next revision of a dataset in the registry: files, tag, pin and label."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...base.errors import DatasetError, SettingsError
from ...base.files import read_json, sha256_of, write_json
from ...data.clones import annex
from ...data.clones.programs import git
from ...data.datasets.label import read_label, sidecar_of
from ...data.datasets.registry import REGISTRY, entry, load_registry
from .new_dataset import SOURCES
from .params import load_params
from .pin import pin_dataset
from .yaml_edit import edit_yaml

#: `add-data` edits two files. Before that it writes the old and the new names into a file in this folder, so that a
#: second run can finish what an interrupted one began.
_SCRATCH = Path("data/scratch")
_NUMBERED = re.compile(r"(.*?)(\d+)")


def next_name(name: str) -> str | None:
    """Return a name with the next number; None where it ends with no number.

    >>> next_name("r1"), next_name("r20250314"), next_name("final")
    ('r2', 'r20250315', None)
    """
    found = _NUMBERED.fullmatch(name)
    return None if found is None else f"{found[1]}{int(found[2]) + 1:0{len(found[2])}d}"


def add_data(
    root: Path, name: str, folder: Path | None, tag: str | None, label: str | None, say: Callable[[str], object]
) -> str:
    """Bring a dataset to its next revision and return its commit.

    Parameters
    ----------
    root : the workspace
    name : entry of the registry, with the role ``train``
    folder : the plain folder from which ``cordrift new`` made the dataset; None: as it was given then
    tag : name of the revision; None: the present one with the next number
    label : name of the next model version; None: the present one with the next number
    say : receives a line about each thing that was done

    Raises
    ------
    SettingsError
        The entry is unknown or a test split, or the tag or label has no number and none was given.
    DatasetError
        The folder is missing or holds nothing new, or the dataset has no such tag.
    """
    dataset = entry(load_registry(root / REGISTRY), name)
    if dataset.role == "test":
        raise SettingsError(
            f"{name} is a test split: the frozen set does not change when data are added. Name the training entry."
        )
    present = [dataset.tag, load_params(root / "params.yaml").registration.label]
    journal = root / _SCRATCH / f"add-data-{name}.json"
    begun = noted_names(journal, present)
    new_tag = renamed(tag or begun.get("tag"), dataset.tag, "--tag")
    new_label = renamed(label or begun.get("label"), present[1], "--label")
    source = root / dataset.url
    if Path(dataset.url).parent == SOURCES:
        plain = folder or Path(git(source, ["config", "cordrift.source"], f"{source} names no folder").strip())
        changes = _take_files(plain, source)
        # An interrupted command may have copied or saved the files already; then only the rest is done.
        unsaved = changes or git(source, ["status", "--porcelain"]).strip()
        is_tagged = bool(git(source, ["tag", "--list", new_tag]).strip())
        is_pinned = git(source, ["rev-parse", "HEAD"]).strip() == dataset.commit
        if is_pinned and not unsaved and not begun:
            raise DatasetError(f"{plain} holds the files that {name} has at {dataset.tag}; nothing is to be added.")
        done = changes or "the files that an interrupted command had copied"
        if unsaved or not is_tagged:
            annex.save(source, f"{new_tag}: {done}", tag=new_tag)
        commit = annex.commit_of(str(source), new_tag)
        say(f"{dataset.url}: {done}, tag {new_tag}")
    else:
        commit = annex.commit_of(dataset.url, new_tag)
    write_json(journal, {"from": begun.get("from", present), "tag": new_tag, "label": new_label})
    pin_dataset(root / REGISTRY, name, new_tag, commit)
    say(f"{REGISTRY}: {name} is pinned to {new_tag}, commit {commit[:12]} (before: {dataset.tag})")

    def change(params: Any) -> None:
        params["register"]["label"] = new_label

    edit_yaml(root / "params.yaml", change, load_params)
    journal.unlink()
    say(f"params.yaml: register.label is {new_label}; `dvc repro` fetches what is new and trains on all of it")
    return commit


def noted_names(journal: Path, present: list[str]) -> dict[str, Any]:
    """Return the note of an interrupted command: ``from`` (tag and label before it), ``tag`` and ``label``.

    It is empty where there is no note, and where somebody has changed the tag or the label since then.
    """
    noted = read_json(journal) if journal.is_file() else {}
    pairs = zip(noted.get("from", ()), (noted.get("tag"), noted.get("label")), present, strict=False)
    return noted if noted and all(now in (old, new) for old, new, now in pairs) else {}


def renamed(given: str | None, present: str, option: str) -> str:
    """Return the name that was given, else the present one with the next number.

    Raises
    ------
    SettingsError
        The present name ends with no number, and none was given with ``option``.
    """
    name = given or next_name(present)
    if name is None:
        raise SettingsError(f"{present!r} ends with no number, so that the next name is not known; give {option}.")
    return name


def _take_files(plain: Path, source: Path) -> str:
    """Bring the files of the dataset to those of the folder; return in words what changed, ``""`` for nothing."""
    if not plain.is_dir():
        raise DatasetError(f"{plain} is not a folder; name the folder with --bids.")
    wanted = {path.relative_to(plain).as_posix(): path for path in plain.rglob("*") if path.is_file()}
    held = {
        path.relative_to(source).as_posix(): path
        for path in source.rglob("*")
        if path.is_file() and not {".git", ".datalad"} & set(path.relative_to(source).parts)
    }
    held.pop(".gitattributes", None)
    added = sorted(set(wanted) - set(held))
    changed = [name for name in sorted(set(wanted) & set(held)) if sha256_of(wanted[name]) != sha256_of(held[name])]
    # Masks that people accepted here (`cordrift accept-masks`) are in no folder of the lab, and stay.
    ours = {name for name, path in held.items() if name.endswith(".nii.gz") and read_label(path) is not None}
    ours |= {sidecar_of(Path(name)).as_posix() for name in ours}
    gone = sorted(set(held) - set(wanted) - ours)
    for name in [*added, *changed]:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # the annex may hold the old content under the same inode
        shutil.copyfile(wanted[name], target)
    for name in gone:
        held[name].unlink()
    counted = {"added": len(added), "changed": len(changed), "removed": len(gone)}
    said = ", ".join(f"{count} {what}" for what, count in counted.items() if count)
    return f"files {said}" if said else ""
