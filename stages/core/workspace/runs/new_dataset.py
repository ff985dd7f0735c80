"""A lab's own folder as a dataset of the workspace: DataLad dataset, registry entries, frozen list and profile.

The registry is written last: until it names the dataset, the same command can be repeated after an interruption.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...base.errors import DatasetError, SettingsError
from ...base.files import whole_file
from ...data.clones import annex
from ...data.clones.adoption import adopt
from ...data.clones.commits import list_paths
from ...data.clones.programs import git
from ...data.datasets.guess import Guess, Unmatched, guess_patterns
from ...data.datasets.people import decode_table, participants
from ...data.datasets.registry import (
    FROZEN,
    PERSONS,
    REGISTRY,
    ContrastFiles,
    Dataset,
    load_registry,
    read_frozen,
    read_persons,
)
from ...data.datasets.selection import PARTICIPANTS, select
from ...data.datasets.split import LEAST_LEFT, freeze
from ...images.header import read_header
from ...images.volumes import is_pointer
from .params import load_params
from .workspace import profile_file
from .yaml_edit import edit_yaml

#: Where the datasets lie that are made of plain folders.
SOURCES = Path("data/sources")
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
#: Ending of the name of the entry with the test split.
TEST = "-frozen"


@dataclass(frozen=True)
class NewDataset:
    """What a folder would become; nothing is written yet.

    Attributes
    ----------
    url : address of the dataset in the registry
    made : whether the dataset is made of a plain folder; otherwise the folder is a dataset already
    train, test : registry entry without its commit; ``test`` None without a test split
    frozen : participants of the test split
    trained : participants with an image and a mask who are not frozen
    unmatched : images that no pattern takes
    remark : who is left out of the training although nobody froze them here; ``""`` for nobody
    """

    name: str
    folder: Path
    url: str
    tag: str
    made: bool
    train: dict[str, Any] | None
    test: dict[str, Any] | None
    frozen: list[str]
    trained: list[str]
    unmatched: list[Unmatched]
    remark: str = ""

    @property
    def entries(self) -> dict[str, dict[str, Any]]:
        """The registry entries by name."""
        both = {self.name: self.train, self.name + TEST: self.test}
        return {name: entry for name, entry in both.items() if entry is not None}


def plan_dataset(
    root: Path, name: str, folder: Path, *, share: float, seed: int, tag: str, licence: str, unmasked: bool = False
) -> NewDataset:
    """Look at a folder in BIDS layout, and return what it would become in the workspace ``root``.

    Parameters
    ----------
    root : the workspace
    name : of the dataset in the registry
    folder : plain, or a DataLad dataset whose files are committed under the tag
    share : part of the people who are frozen; 0 for a dataset without a test split
    seed : of the random choice
    tag : name of the revision
    licence : as the registry states it
    unmasked : whether images without masks are registered too, so that their masks can be drafted

    Raises
    ------
    SettingsError
        The name is taken, or the folder has no image with a mask, or too few people for a test split.
    DatasetError
        ``folder`` is no folder, or a dataset without this tag.
    """
    if not re.fullmatch(NAME, name):
        raise SettingsError(f"{name!r} is no name of a dataset; expected letters, digits, '.', '_' and '-'.")
    profile = root / f"params/{name}.yaml"
    if profile.is_file() and not profile.read_text(encoding="utf-8").startswith(_head(name)):
        raise SettingsError(f"{profile} is another profile, which would be lost; choose another name.")
    registry = load_registry(root / REGISTRY)
    taken = [entry for entry in (name, name + TEST) if entry in registry.datasets]
    if taken:
        raise SettingsError(
            f"{REGISTRY} has a dataset {taken[0]!r} already; for its next revision use `cordrift add-data {name}`."
        )
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder; expected one in BIDS layout (sub-01/anat/sub-01_T2w.nii.gz).")
    made = not (folder / ".git").exists()
    paths = files_of(folder) if made else _committed(folder, tag)
    guess = _volumes_only(folder, guess_patterns(paths, unmasked=unmasked))
    if not guess.contrasts:
        raise SettingsError(
            f"{folder} holds no image in BIDS layout with a mask or disc labels ({_listed(guess.unmatched)}); expected "
            "files such as sub-01/anat/sub-01_T2w.nii.gz and "
            "derivatives/labels/sub-01/anat/sub-01_T2w_label-SC_seg.nii.gz. Images whose masks are still to be drafted "
            "are registered with --unmasked."
        )
    url = (SOURCES / name).as_posix() if made else os.path.relpath(folder.resolve(), root.resolve())
    common = {"url": url, "tag": tag, "commit": None, "licence": licence}
    test: dict[str, Any] = {**common, "role": "test", "contrasts": _dumped(guess.contrasts, measured=True)}
    trainable = _dumped(guess.contrasts, measured=False, unmasked=unmasked)
    train: dict[str, Any] = {**common, "role": "train", "contrasts": trainable}
    rows = read_frozen(root / FROZEN)
    # A list that a person wrote, or one of a command that was interrupted, is not drawn again.
    listed = [row.participant for row in rows if row.dataset == name + TEST]
    share = share if any(files.mask or files.discs for files in guess.contrasts.values()) else 0
    frozen = [] if share == 0 else listed or _frozen(root, folder, name, test, paths, share, seed)
    elsewhere = {row.participant: row.dataset for row in rows if row.dataset != name + TEST}
    masked = _with_masks(name, train, paths) - set(frozen)
    trained = masked - set(elsewhere)
    if frozen and len(trained) < LEAST_LEFT:
        raise SettingsError(
            f"{len(trained)} participants with masks are left to train on; expected {LEAST_LEFT} or more, one of whom "
            f"validates. {_same_ids(masked, elsewhere) or 'Add data, or freeze fewer people (--share).'}"
        )
    return NewDataset(
        name, folder, url, tag, made,
        train=train if train["contrasts"] else None,
        test=test if frozen else None,
        frozen=frozen,
        trained=sorted(trained),
        unmatched=guess.unmatched,
        remark=_same_ids(masked, elsewhere),
    )  # fmt: skip


def _head(name: str) -> str:
    return f"# The dataset {name}, on the settings of params/"


def make_dataset(root: Path, new: NewDataset, say: Callable[[str], object]) -> str:
    """Make the dataset and append its frozen participants; return its commit. :func:`register` comes last.

    Parameters
    ----------
    root : the workspace
    new : what :func:`plan_dataset` returned
    say : receives a line about each thing that was written
    """
    source = root / new.url
    commit = adopt(new.folder, source, new.tag) if new.made else annex.commit_of(str(new.folder.resolve()), new.tag)
    if new.made:
        git(source, ["config", "cordrift.source", str(new.folder.resolve())])
        say(f"{new.url}: a DataLad dataset with a copy of the files of {new.folder}, tag {new.tag}")
    append_frozen(root / FROZEN, new.name + TEST, new.frozen)
    if new.frozen:
        say(f"{FROZEN}: {len(new.frozen)} participants of {new.name}{TEST}")
    return commit


def register(root: Path, new: NewDataset, commit: str) -> None:
    """Write the entries of a dataset into the registry, pinned to its commit."""

    def add(registry: Any) -> None:
        for name, entry in new.entries.items():
            registry["datasets"][name] = {**entry, "commit": commit}

    edit_yaml(root / REGISTRY, add, load_registry)


def write_profile(root: Path, new: NewDataset, base: str, changes: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write ``params/<name>.yaml``: the profile ``base`` with the new dataset, and some changed keys.

    Parameters
    ----------
    root : the workspace
    new : the dataset
    base : a file of ``params/`` without its ending
    changes : block -> key -> value
    """
    path = root / f"params/{new.name}.yaml"
    text = profile_file(root, base).read_text(encoding="utf-8")
    _, _, rest = text.partition("profile:")
    with whole_file(path) as part:
        part.write_text(f"{_head(new.name)}{base}.yaml.\nprofile:{rest}", "utf-8")

        def change(params: Any) -> None:
            params["profile"] = new.name
            params["fetch"]["datasets"] = list(new.entries)
            params["prepare"]["datasets"] = [new.name]
            params["segment"]["datasets"] = [new.name + TEST]
            measured = list((new.test or {"contrasts": {}})["contrasts"])
            params["segment"]["contrasts"] = measured
            params["compare"]["min_contrasts"] = min(params["compare"]["min_contrasts"], len(measured))
            params["report"]["title"] = f"Morphometric drift: {new.name}"
            params["register"].update(model=f"cord-{new.name}", label="v1")
            for block, values in changes.items():
                params[block].update(values)

        edit_yaml(part, change, load_params)
    return path


def add_to_params(root: Path, new: NewDataset) -> None:
    """Add the dataset to the lists of ``params.yaml``, and change nothing else there."""

    def change(params: Any) -> None:
        lists = {"fetch": list(new.entries), "prepare": [new.name], "segment": [new.name + TEST] if new.test else []}
        for block, names in lists.items():
            held = params[block]["datasets"]
            params[block]["datasets"] = [*held, *(name for name in names if name in new.entries and name not in held)]

    edit_yaml(root / "params.yaml", change, load_params)


def describe(new: NewDataset) -> list[str]:
    """Return lines that show what would be registered, and what would not."""
    lines = [f"{new.name}: {len(new.trained)} participants to train on, {len(new.frozen)} frozen for the test"]
    shown = (new.test or new.train or {"contrasts": {}})["contrasts"]
    for contrast, files in shown.items():
        lines += [f"  {contrast}: {kind:<8} {pattern}" for kind, pattern in files.items()]
        if new.test is not None and "discs" not in files:
            lines.append(f"  {contrast}: no disc labels, so that its area at the vertebrae cannot be measured")
    trained = (new.train or {"contrasts": {}})["contrasts"]
    for contrast in [name for name, files in trained.items() if "mask" not in files]:
        lines += [] if contrast in shown else [f"  {contrast}: image    {trained[contrast]['image']}"]
        lines.append(f"  {contrast}: no masks yet")
    if new.frozen:
        lines.append(f"  frozen: {', '.join(new.frozen)}")
    lines += [f"  {new.remark}"] if new.remark else []
    return [*lines, *told_unmatched(new.unmatched)]


def _same_ids(masked: set[str], elsewhere: Mapping[str, str]) -> str:
    same = sorted(masked & set(elsewhere))
    if not same:
        return ""
    return (
        f"Not trained on: {', '.join(same)}; {FROZEN} has these ids for {elsewhere[same[0]]}, and a frozen id is never "
        "trained on. Rename them where they are other people."
    )


def files_of(folder: Path) -> list[str]:
    """Return the paths of all files of a folder, relative to it, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _committed(folder: Path, tag: str) -> list[str]:
    """Return the paths of the files at the tag of a dataset; refuse a dataset with changes that are not saved."""
    if git(folder, ["status", "--porcelain"]).strip():
        raise DatasetError(f"{folder} has files that are not saved; `datalad save` them and tag the revision ({tag}).")
    commit = annex.commit_of(str(folder.resolve()), tag)
    return list_paths(folder, commit)


def _volumes_only(folder: Path, guess: Guess) -> Guess:
    """Leave out contrasts whose images are series or unreadable; one of each is looked at, if its content is there."""
    kept: dict[str, ContrastFiles] = {}
    unmatched = list(guess.unmatched)
    for name, files in guess.contrasts.items():
        found = sorted(folder.glob(files.image.replace("{sub}", "sub-*").replace("{ses}", "ses-*")))
        # In a clone without content a pointer stands in the place of the image.
        _, faults = read_header(found[0]) if found and not is_pointer(found[0]) else (None, [])
        wrong = next((fault for fault in faults if fault.severity == "error"), None)
        if wrong is not None:
            example = found[0].relative_to(folder).as_posix()
            unmatched.append(Unmatched(name, len(found), f"{wrong.message}; expected {wrong.expected}", example))
        else:
            kept[name] = files
    return Guess(kept, unmatched)


def measured_contrasts(folder: Path, paths: Sequence[str]) -> tuple[dict[str, dict[str, str]], list[Unmatched]]:
    """Return the contrasts of a folder as the registry holds those of a test, and the images that no pattern takes.

    Parameters
    ----------
    folder : in BIDS layout
    paths : of its files, relative to it
    """
    guess = _volumes_only(folder, guess_patterns(paths))
    return _dumped(guess.contrasts, measured=True), guess.unmatched


def told_unmatched(unmatched: Sequence[Unmatched]) -> list[str]:
    """Return a line about each kind of images that no pattern takes."""
    return [
        f"  Not registered: {one.images} images {one.what!r} ({one.reason}), such as {one.example}" for one in unmatched
    ]


def _dumped(
    contrasts: Mapping[str, ContrastFiles], *, measured: bool, unmasked: bool = False
) -> dict[str, dict[str, str]]:
    """Return the contrasts as the registry holds them.

    Those that can be measured have a mask or disc labels. For training it is image and mask alone, of contrasts that
    have masks; with ``unmasked`` also of others.
    """
    kinds = ("image", "mask", "softmask", "discs") if measured else ("image", "mask")
    return {
        name: {kind: getattr(files, kind) for kind in kinds if getattr(files, kind) is not None}
        for name, files in contrasts.items()
        if files.mask or (files.discs if measured else unmasked)
    }


def _with_masks(name: str, train: Mapping[str, Any], paths: Sequence[str]) -> set[str]:
    if not any("mask" in files for files in train["contrasts"].values()):
        return set()
    chosen = select(name, Dataset.model_validate(train), [], paths)
    return {case.participant for case in chosen.cases}


def _frozen(
    root: Path, folder: Path, name: str, test: Mapping[str, Any], paths: Sequence[str], share: float, seed: int
) -> list[str]:
    """Return who is frozen, of all who have an image with mask and disc labels."""
    measurable = {key: files for key, files in test["contrasts"].items() if {"mask", "discs"} <= set(files)}
    if not measurable:
        raise SettingsError(
            f"{folder} has no image with both a mask and disc labels, so that no area can be measured at C2-C3 and "
            "nothing can be frozen for the test. Add labels, or give --share 0 for training data without a test split."
        )
    as_train = Dataset.model_validate({**test, "role": "train", "contrasts": measurable})
    cases = [case for case in select(name, as_train, [], paths).cases if case.discs]
    table = ""
    if PARTICIPANTS in paths:
        table, _ = decode_table((folder / PARTICIPANTS).read_bytes(), PARTICIPANTS)
    known = participants({case.participant for case in cases}, table or "participant_id\n")
    sites = {person.participant: person.site for person in known}
    persons = {sub: person for (dataset, sub), person in read_persons(root / PERSONS).items() if dataset == name}
    return freeze(sites, persons, share=share, seed=seed)


def append_frozen(path: Path, dataset: str, people: Sequence[str]) -> None:
    """Append the participants of a test dataset to a table such as ``data/frozen.csv``.

    Rows that are there, and their bytes, stay.
    """
    held = set(read_frozen(path))
    rows = [sub for sub in people if (sub, dataset) not in held]
    text = path.read_text(encoding="utf-8")
    text += "" if text.endswith("\n") else "\n"
    with whole_file(path) as part:
        part.write_text(text + "".join(f"1,{sub},{dataset}\n" for sub in rows), encoding="utf-8")


def _listed(unmatched: Sequence[Unmatched]) -> str:
    return ", ".join(f"{one.images} images {one.what!r}: {one.reason}" for one in unmatched) or "no image at all"
