"""Rebuilding what held the data: clones, state of training, and the stages that come before training."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from ...data.clones.lock import clone_lock
from ...data.datasets.manifest import CLONES
from ...data.datasets.registry import FROZEN, Registry, read_frozen
from ..runs.params import Params, load_params
from ..runs.workspace import dvc
from .clones import Removed, take_out
from .identity import Identity

#: State of trainings, of nnU-Net's preprocessing and of its planning.
SCRATCH = Path("data/scratch")


def clean(root: Path, identity: Identity, registry: Registry) -> tuple[list[Removed], list[Path]]:
    """Take the content out of the clones and remove state of training; returns what was done to which.

    Raises
    ------
    CordriftError
        A fetch is under way, or git or git-annex fails.
    """
    removed = []
    for name in sorted(registry.datasets):
        participants = {participant for dataset, participant in identity.ids if dataset == name}
        if participants and (root / CLONES / name / ".git").exists():
            with clone_lock(root / CLONES / name):  # a fetch that is under way would bring it back
                removed.append(take_out(root / CLONES / name, participants))
    return removed, _clean_scratch(root / SCRATCH, identity)


def _clean_scratch(scratch: Path, identity: Identity) -> list[Path]:
    """Remove state that holds a case of theirs, trainings that work on it, and what `check` remembers of them."""
    if not scratch.is_dir():
        return []
    states = [path for path in sorted(scratch.iterdir()) if path.is_dir() and not path.is_symlink()]
    holding = {path.name for path in states if _holds(path, identity)}
    gone = [path for path in states if path.name in holding or _works_on(path) in holding]
    for path in sorted(gone, key=lambda path: path.name in holding):  # last what leads to the others
        shutil.rmtree(path)
    remembered = [path for path in sorted(scratch.glob("check-*/*.json")) if identity.in_file(path)]
    for path in remembered:
        path.unlink()
    return gone + remembered


def _holds(folder: Path, identity: Identity) -> bool:
    return any(identity.in_path(path.relative_to(folder).as_posix()) for path in folder.rglob("*"))


def _works_on(training: Path) -> str:
    """Name of the preprocessed data of a training's state, "" for anything else."""
    link = training / "preprocessed"
    return link.readlink().name if link.is_symlink() else ""


def repro(root: Path, identity: Identity) -> list[str]:
    """Run the stages whose outputs may hold the data, up to training, and return their names.

    Only what was there before is made again. The manifest of a dataset that params name no more is removed.

    Raises
    ------
    CordriftError
        A stage fails; its own output said why.
    """
    params = load_params(root / "params.yaml")
    withdrawn = sorted({dataset for dataset, _ in identity.ids} & identity.registered)
    for name in set(withdrawn) - set(params.fetch.datasets):
        (root / "data/fetch" / f"{name}.json").unlink(missing_ok=True)
        shutil.rmtree(root / "data/check" / name, ignore_errors=True)
    stages = [stage for stage, out in _stages(root, identity, params, withdrawn) if (root / out).exists()]
    if stages:
        dvc(root, "repro", "--single-item", *stages)
    return stages


def _stages(root: Path, identity: Identity, params: Params, withdrawn: list[str]) -> Iterator[tuple[str, str]]:
    """Yield stages in order, each with its output."""
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
    """Return those of the ids that are frozen."""
    path = root / FROZEN
    frozen = {(row.dataset, row.participant) for row in read_frozen(path)} if path.is_file() else set()
    return frozen & identity.ids
