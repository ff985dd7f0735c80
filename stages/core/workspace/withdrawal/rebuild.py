"""Removing the withdrawn data from clones and from the state of trainings, and running the stages before training."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ...base.files import remove_parts, whole_file
from ...data.clones.lock import clone_lock
from ...data.datasets.manifest import CLONES
from ...data.datasets.registry import FROZEN, Registry, read_frozen
from ...store.rest import KEPT
from ..runs.params import Params, load_params
from ..runs.workspace import run_dvc
from .clones import Removed, remove_participants
from .holdings import ANNOTATED, CHECKED
from .identity import Identity

#: Where unfinished trainings, nnU-Net's plans and its preprocessed data are kept.
SCRATCH = Path("data/scratch")


def remove_data(root: Path, identity: Identity, registry: Registry) -> tuple[list[Removed], list[Path]]:
    """Remove the data from the clones and from the state of trainings.

    Returns
    -------
    What was removed from each clone, and the folders and files that were removed in ``data/scratch``.

    Raises
    ------
    CordriftError
        A fetch is running, or git or git-annex fails.
    """
    for name in ("data", "reports", "release"):
        for folder, folders, _ in os.walk(root / name):
            folders[:] = [one for one in folders if one != ".git"]
            remove_parts(Path(folder))  # what a killed stage left, such as prepared volumes and masks
    removed = []
    for name in sorted(registry.datasets):
        participants = {participant for dataset, participant in identity.ids if dataset == name}
        for clone in (root / CLONES / name, root / ANNOTATED / name):
            if participants and (clone / ".git").exists():
                with clone_lock(clone):  # a running fetch could bring the data back
                    removed.append(remove_participants(clone, participants))
    return removed, _clean_scratch(root / SCRATCH, identity) + _clean_checks(root / CHECKED, identity)


def _clean_checks(folder: Path, identity: Identity) -> list[Path]:
    """Remove the pages that show the person, the person's masks to correct, and their lines in the lists of images."""
    gone = [path for path in sorted(folder.glob("*/index.html")) if identity.in_file(path)]
    gone += [path for path in sorted(folder.glob("*/fix/*")) if identity.in_path(path.name)]
    for path in gone:
        path.unlink()
    for path in sorted([*folder.glob("*/fix/*"), *folder.glob("*/selection.csv")]):
        if identity.in_file(path):
            text = path.read_text(encoding="utf-8")
            end = "\n\n" if path.suffix == ".txt" else "\n"  # commands have a paragraph, the table a line for each mask
            with whole_file(path) as part:
                part.write_text(end.join(one for one in text.split(end) if not identity.in_text(one)), encoding="utf-8")
    return gone


def _clean_scratch(scratch: Path, identity: Identity) -> list[Path]:
    """Remove what may hold the data: preprocessed images, trainings on them, results of `check`, kept outputs."""
    if not scratch.is_dir():
        return []
    states = [path for path in sorted(scratch.iterdir()) if path.is_dir() and not path.is_symlink()]
    # Kept outputs name everybody; the stages make them again.
    answers = [path for path in states if path.name == KEPT.name]
    holding = {path.name for path in states if _holds(path, identity)}
    gone = answers + [path for path in states if path.name in holding or _works_on(path) in holding]
    # Remove the preprocessed data last: after an interruption they still lead to the trainings that use them.
    for path in sorted(gone, key=lambda path: path.name in holding):
        shutil.rmtree(path)
    checked = [path for path in sorted(scratch.glob("check-*/*.json")) if identity.in_file(path)]
    for path in checked:
        path.unlink()
    return gone + checked


def _holds(folder: Path, identity: Identity) -> bool:
    return any(identity.in_path(path.relative_to(folder).as_posix()) for path in folder.rglob("*"))


def _works_on(training: Path) -> str:
    """Return the name of the preprocessed data that an unfinished training uses; "" for any other folder."""
    link = training / "preprocessed"
    return link.readlink().name if link.is_symlink() else ""


def rerun_stages(root: Path, identity: Identity) -> list[str]:
    """Run the stages whose outputs may hold the data, without training, and return their names.

    A stage without an output is not run. The manifest of a dataset that params do not name any more is removed.

    Raises
    ------
    CordriftError
        A stage fails. Its output on the terminal says why.
    """
    params = load_params(root / "params.yaml")
    withdrawn = sorted({dataset for dataset, _ in identity.ids} & identity.registered)
    for name in set(withdrawn) - set(params.fetch.datasets):
        (root / "data/fetch" / f"{name}.json").unlink(missing_ok=True)
        shutil.rmtree(root / "data/check" / name, ignore_errors=True)
    stages = [stage for stage, out in _stages(root, identity, params, withdrawn) if (root / out).exists()]
    if stages:
        run_dvc(root, "repro", "--single-item", *stages)
    return stages


def _stages(root: Path, identity: Identity, params: Params, withdrawn: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the stages in the order of the pipeline, each with its output."""
    used = [name for name in withdrawn if name in params.fetch.datasets]
    for name in used:
        yield f"fetch@{name}", f"data/fetch/{name}.json"
    for name in used:
        yield f"check@{name}", f"data/check/{name}"
    yield "prepare", "data/prepare"
    tested = {dataset for dataset, _ in frozen_ids(root, identity)} & set(params.segment.datasets)
    for name in sorted(tested):
        for shard in params.segment.shards:
            yield f"segment@{name}-{shard}", f"reports/segment/{name}/{shard}"
    if tested:
        yield "measure", "reports/measure"


def frozen_ids(root: Path, identity: Identity) -> set[tuple[str, str]]:
    """Return the ids of the person that are in the frozen set."""
    path = root / FROZEN
    frozen = {(row.dataset, row.participant) for row in read_frozen(path)} if path.is_file() else set()
    return frozen & identity.ids
