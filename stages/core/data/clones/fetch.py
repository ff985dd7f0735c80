"""Fetch a dataset of the registry: clone it, select its files, download their content and verify it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ...base.errors import DatasetError, SettingsError
from ..datasets.manifest import CLONES, Manifest, ManifestFile
from ..datasets.people import ID_COLUMN, decode_table, participants, without_row
from ..datasets.registry import Dataset, Frozen, pinned
from ..datasets.selection import PARTICIPANTS, Selection, leave_links, select, summarise_excluded
from . import annex
from .commits import list_inner_links
from .fetch_plan import FetchPlan, check_space, describe_plan, describe_unavailable, plan_fetch
from .lock import clone_lock
from .probe import silent_remotes
from .programs import granted, variable
from .special_remotes import SpecialRemote, forget_keys


@dataclass(frozen=True)
class SelectedClone:
    """A clone at its pinned commit, without content, and the files that the registry selects from it.

    Attributes
    ----------
    name, dataset : name and entry of the registry
    commit : pinned commit, which is checked out
    clone : folder
    selection : cases and files that the registry selects
    keys : path of each selected file -> content key and size in bytes
    remotes : special remotes of the dataset, enabled or not
    """

    name: str
    dataset: Dataset
    commit: str
    clone: Path
    selection: Selection
    keys: Mapping[str, tuple[str, int]]
    remotes: list[SpecialRemote]

    def plan(self) -> FetchPlan:
        """Return what a download would bring, and from where."""
        return plan_fetch(self.clone, {name: size for name, (_, size) in self.keys.items()})


def fetch_dataset(
    name: str, dataset: Dataset, frozen: list[Frozen], jobs: int, say: Callable[[str], object] = str
) -> Manifest:
    """Clone a dataset, download the files that the registry selects, verify them and return the manifest.

    Parameters
    ----------
    name, dataset : name and entry of the registry
    frozen : rows of ``data/frozen.csv``
    jobs : number of parallel transfers
    say : called with what a person should know: which remotes are asked, and warnings

    Raises
    ------
    CordriftError
        See :func:`clone_and_select` and :func:`download`; also where another process works on the clone.
    """
    return fetch_selected(name, dataset, lambda tree: select(name, dataset, frozen, tree), jobs, say)


def fetch_selected(
    name: str,
    dataset: Dataset,
    choose: Callable[[Iterable[str]], Selection],
    jobs: int,
    say: Callable[[str], object] = str,
) -> Manifest:
    """Fetch the files that a function selects; otherwise like :func:`fetch_dataset`.

    Parameters
    ----------
    name, dataset : name and entry of the registry
    choose : returns the selection for the paths of the pinned commit
    jobs : number of parallel transfers
    say : called with what a person should know
    """
    with clone_lock(CLONES / name), _keys(name, dataset):
        return download(_clone_and_choose(name, dataset, choose, CLONES), jobs, say)


def explain_fetch(name: str, dataset: Dataset, frozen: list[Frozen]) -> list[str]:
    """Clone a dataset without content and return, as lines of text, what a fetch would do.

    Raises
    ------
    CordriftError
        See :func:`clone_and_select`; also where another process works on the clone.
    """
    with clone_lock(CLONES / name), _keys(name, dataset):
        selected = clone_and_select(name, dataset, frozen)
        lines = describe_plan(name, selected.plan(), selected.remotes, dataset.remotes)
    selection = selected.selection
    return [*lines, f"  {len(selection.cases)} images selected, {summarise_excluded(selection.excluded)}"]


@contextmanager
def _keys(name: str, dataset: Dataset) -> Iterator[None]:
    """Grant git-annex the keys of this dataset within the block, and leave none of them in the clone.

    Raises
    ------
    SettingsError
        A variable that holds a key is not set.
    DatasetError
        The clone holds keys that nobody granted.
    """
    unset = sorted(source for source in dataset.environment.values() if not variable(source))
    if unset:
        raise SettingsError(
            f"dataset {name!r} needs the variable {unset[0]}, which its registry entry names under `environment`, and "
            "it is not set: on a runner it is a secret of the repository, here `export` sets it."
        )
    folder = CLONES / name / ".git/annex/creds"
    if not dataset.environment and folder.is_dir() and any(folder.iterdir()):
        raise DatasetError(
            f"{folder} holds keys in plain text, as git-annex writes them where a person has enabled a special remote. "
            f"Name their variables and their host in the registry, under `environment` and `host` of {name}, and "
            f"delete {folder}."
        )
    try:
        with granted({seen: variable(source) for seen, source in dataset.environment.items()}):
            yield
    finally:
        forget_keys(CLONES / name)


def clone_and_select(name: str, dataset: Dataset, frozen: list[Frozen], clones: Path = CLONES) -> SelectedClone:
    """Clone a dataset without content, at its pinned commit, and select its files.

    Parameters
    ----------
    name, dataset : name and entry of the registry
    frozen : rows of ``data/frozen.csv``
    clones : folder of the clones

    Raises
    ------
    SettingsError
        The entry has no commit, an address that is refused, or a pattern that matches no file.
    DatasetError
        The address cannot be reached, the tag was moved, or a key contains no content hash.
    """
    return _clone_and_choose(name, dataset, lambda tree: select(name, dataset, frozen, tree), clones)


def _clone_and_choose(
    name: str, dataset: Dataset, choose: Callable[[Iterable[str]], Selection], clones: Path
) -> SelectedClone:
    commit, clone = pinned(name, dataset), clones / name
    remotes = annex.clone(dataset.url, clone, commit, dataset.tag, dataset.remotes, dataset.host)
    selection = choose(annex.list_paths(clone))
    selection = leave_links(name, selection, list_inner_links(clone, selection.files))
    return SelectedClone(name, dataset, commit, clone, selection, annex.keys_and_sizes(clone, selection.files), remotes)


def download(selected: SelectedClone, jobs: int, say: Callable[[str], object] = str) -> Manifest:
    """Download the content that is missing, verify every file against its key, and return the manifest.

    ``jobs`` is the number of parallel transfers; ``say`` is called with what a person should know.

    Raises
    ------
    DatasetError
        The disk is too small; no remote answers; some content is not available (everything else was downloaded); or a
        file does not have the content of its key.
    """
    todo = selected.plan()
    check_space(todo, selected.clone)
    wanted = [name for name in selected.selection.files if name not in todo.nowhere]
    silent = _ask_remotes(selected, todo, say)
    asked = ", ".join(remote for remote in todo.sources if remote not in silent)
    desc = f"fetch {selected.name}" + (f" from {asked}" if asked else "")
    with tqdm(total=todo.to_come_size, desc=desc, unit="B", unit_scale=True, disable=None) as bar:
        failed = annex.get(
            selected.clone, wanted, jobs, lambda name: bar.update(selected.keys.get(name, ("", 0))[1]), silent
        )
    if failed or todo.nowhere:
        _check_complete(selected, failed)
    refetch = f"python -m stages.fetch --dataset {selected.name}"
    for name in tqdm(selected.selection.files, desc=f"verify {selected.name}", unit="file", disable=None):
        annex.verify(selected.clone / name, selected.keys[name][0], refetch)
    people = [case.participant for case in selected.selection.cases]
    table = _participants_table(selected, people, say)
    return Manifest(
        dataset=selected.name,
        **selected.dataset.model_dump(include={"url", "tag", "role", "licence"}),
        commit=selected.commit,
        files=[
            ManifestFile(path=name, key=selected.keys[name][0], size=selected.keys[name][1]) for name in selected.keys
        ],
        cases=selected.selection.cases,
        participants=participants(people, table),
        excluded=selected.selection.excluded,
    )


def _participants_table(selected: SelectedClone, people: list[str], say: Callable[[str], object]) -> str:
    """Return the text of participants.tsv; warn where it cannot be read as it should, or says nothing of somebody."""
    if PARTICIPANTS not in selected.keys:
        return ""
    table, doubt = decode_table((selected.clone / PARTICIPANTS).read_bytes(), PARTICIPANTS)
    unknown = without_row(people, table)
    if unknown:
        ids = ", ".join(unknown[:3]) + (" ..." if len(unknown) > 3 else "")
        columns = table.partition("\n")[0].strip().replace("\t", ", ")
        doubt += (
            f" {PARTICIPANTS} has no row of {len(unknown)} of {len(set(people))} participants ({ids}): their site, "
            f"sex, age and pathology stay unknown. Expected a column {ID_COLUMN} with these ids; its columns are "
            f"{columns}."
        )
    if doubt:
        say(f"cordrift: warning: {selected.name}: {doubt.strip()}")
    return table


def _ask_remotes(selected: SelectedClone, todo: FetchPlan, say: Callable[[str], object]) -> list[str]:
    """Return the remotes that do not answer, after a warning; raise an error where no remote answers."""
    if not todo.samples:
        return []
    say(f"fetch {selected.name}: asking {', '.join(todo.samples)}")
    silent = silent_remotes(selected.clone, todo.samples)
    known = {remote.name: remote.address for remote in selected.remotes} | {"origin": selected.dataset.url}
    said = "; ".join(f"{remote} ({known.get(remote) or 'no address'}): {reason}" for remote, reason in silent.items())
    if len(silent) == len(todo.samples):
        raise DatasetError(
            f"no remote of dataset {selected.name!r} answers: {said}. Check the network, and whether the address is "
            "still right; then fetch again (files that were downloaded are kept)."
        )
    if silent:
        say(f"cordrift: warning: not asked, because they do not answer: {said}")
    return list(silent)


def _check_complete(selected: SelectedClone, failed: dict[str, str]) -> None:
    """Raise an error about content that no place has, and about downloads that failed (path -> reason)."""
    left = selected.plan()
    sentences = []
    if left.nowhere:
        sentences.append(describe_unavailable(selected.name, left.nowhere, selected.remotes, left.files))
    not_given = sorted(failed.keys() - left.nowhere.keys())
    if not_given:
        sentences.append(
            f"{len(not_given)} of {left.files} files of dataset {selected.name!r} could not be downloaded from "
            f"{', '.join(left.sources)}, the first is {not_given[0]} ({failed[not_given[0]]}); fetch again (files that "
            "were downloaded are kept)."
        )
    if sentences:
        raise DatasetError(" ".join(sentences))
