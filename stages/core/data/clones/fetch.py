"""A dataset of the registry, from its address to verified files in a clone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ...base.errors import CordriftError
from ..datasets.manifest import CLONES, Manifest, ManifestFile
from ..datasets.registry import Dataset, Frozen, pinned
from ..datasets.selection import PARTICIPANTS, Selection, participants, select
from . import annex
from .lock import alone
from .special_remotes import SpecialRemote
from .whereabouts import Plan, check_space, describe, plan, unreachable


@dataclass(frozen=True)
class Chosen:
    """A clone at its pinned commit, what the registry selects of it, and the keys and sizes of those files."""

    name: str
    dataset: Dataset
    commit: str
    clone: Path
    selection: Selection
    keys: Mapping[str, tuple[str, int]]
    remotes: list[SpecialRemote]

    def plan(self) -> Plan:
        """What a fetch would bring, and from where."""
        return plan(self.clone, {name: size for name, (_, size) in self.keys.items()})


def fetch(name: str, dataset: Dataset, frozen: list[Frozen], jobs: int) -> Manifest:
    """Clone a dataset, bring what the registry selects with ``jobs`` transfers at a time, and verify it.

    Raises
    ------
    CordriftError
        As :func:`choose` and :func:`bring`, or another fetch works on the clone.
    """
    with alone(CLONES / name):
        return bring(choose(name, dataset, frozen), jobs)


def explain(name: str, dataset: Dataset, frozen: list[Frozen]) -> list[str]:
    """Clone a dataset without content and say in lines of text what a fetch would do.

    Raises
    ------
    CordriftError
        As :func:`choose`, or another fetch works on the clone.
    """
    with alone(CLONES / name):
        chosen = choose(name, dataset, frozen)
        lines = describe(name, chosen.plan(), chosen.remotes, dataset.remotes)
    left_out = len(chosen.selection.excluded)
    return [*lines, f"  {len(chosen.selection.cases)} images selected, {left_out} participants or images left out"]


def choose(name: str, dataset: Dataset, frozen: list[Frozen], clones: Path = CLONES) -> Chosen:
    """Clone a dataset (names and keys, no content) and select its files.

    Raises
    ------
    CordriftError
        No pin, an address or a tag that does not hold, a pattern that matches nothing, a key without a content hash.
    """
    commit, clone = pinned(name, dataset), clones / name
    remotes = annex.clone(dataset.url, clone, commit, dataset.tag, dataset.remotes)
    selection = select(name, dataset, frozen, annex.tree(clone))
    return Chosen(name, dataset, commit, clone, selection, annex.keys(clone, selection.files), remotes)


def bring(chosen: Chosen, jobs: int) -> Manifest:
    """Download what is missing, verify every file against its key, and return the manifest.

    Raises
    ------
    CordriftError
        No room on the disk, content that cannot be had (everything else was brought), or a file that is not what its
        key says.
    """
    todo = chosen.plan()
    check_space(todo, chosen.clone)
    wanted = [name for name in chosen.selection.files if name not in todo.nowhere]
    with tqdm(total=todo.to_come_size, desc=f"fetch {chosen.name}", unit="B", unit_scale=True, disable=None) as bar:
        failed = annex.get(chosen.clone, wanted, jobs, lambda name: bar.update(chosen.keys.get(name, ("", 0))[1]))
    if failed or todo.nowhere:
        _explain(chosen, failed)
    again = f"python -m stages.fetch --dataset {chosen.name}"
    for name in tqdm(chosen.selection.files, desc=f"verify {chosen.name}", unit="file", disable=None):
        annex.verify(chosen.clone / name, chosen.keys[name][0], again)
    table = (chosen.clone / PARTICIPANTS).read_text(encoding="utf-8") if PARTICIPANTS in chosen.keys else ""
    return Manifest(
        dataset=chosen.name,
        **chosen.dataset.model_dump(include={"url", "tag", "role", "licence"}),
        commit=chosen.commit,
        files=[ManifestFile(path=name, key=chosen.keys[name][0], size=chosen.keys[name][1]) for name in chosen.keys],
        cases=chosen.selection.cases,
        participants=participants(chosen.selection.cases, table),
        excluded=chosen.selection.excluded,
    )


def _explain(chosen: Chosen, failed: dict[str, str]) -> None:
    """Say of content that did not come where it was last known, or why a place that should have it did not give it."""
    left = chosen.plan()
    sentences = []
    if left.nowhere:
        sentences.append(unreachable(chosen.name, left.nowhere, chosen.remotes, left.files))
    withheld = sorted(failed.keys() - left.nowhere.keys())
    if withheld:
        sentences.append(
            f"{len(withheld)} of {left.files} files of dataset {chosen.name!r} did not come, first: {withheld[0]} "
            f"({failed[withheld[0]]}), from {', '.join(left.sources)}; fetch again: what came is kept."
        )
    if sentences:
        raise CordriftError(" ".join(sentences))
