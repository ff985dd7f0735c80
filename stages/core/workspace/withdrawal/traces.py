"""What is kept of somebody: files of this workspace, and models, masks and tables in MLflow."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...base.errors import CordriftError
from ...data.datasets.manifest import CLONES
from ...data.datasets.selection import PARTICIPANTS
from ...measures.kept_masks.layout import INDEX
from ...measures.kept_masks.reader import MOST_INDEX_BYTES
from ...measures.kept_masks.zips import UNREADABLE
from ...model.lineage.manifest import IN_BUNDLE, TrainedImage, content, read_training_data
from ...store.bundle_files import MASKS
from ...store.training_data import Holder, RecordedVersions
from .identity import Identity

#: Where a workspace keeps data, results and scratch workspaces (which may have a store of their own).
ROOTS = ("data", "reports", "release", ".monitor", ".demo", ".demo-micro")
#: Folders with nothing in them that bears a name: objects of git and DVC; the code; the params.
_SKIPPED = frozenset({".git", ".dvc", "stages", "params", "__pycache__"})
#: Tables that say who is what: they must name a withdrawn participant for ever.
_RECORDS = ("data/datasets.yaml", "data/frozen.csv", "data/persons.csv")
#: Files that are read; others are known by their name.
_TEXT = frozenset({".csv", ".tsv", ".json", ".html", ".txt", ".md"})
#: Folders of a run that hold tables and pages, besides its root.
_KEPT = ("measures", "compare", "report", "figures")


def in_workspace(root: Path, identity: Identity) -> list[str]:
    """Return the paths of files that speak of somebody or are named after them, relative to ``root``, sorted.

    The table of participants in a clone is not among them: it is its source's.
    """
    found = []
    for name in ROOTS:
        for folder, folders, files in os.walk(root / name):
            folders[:] = [one for one in folders if one not in _SKIPPED]
            for file in (Path(folder) / one for one in files):
                path = file.relative_to(root).as_posix()
                if path.endswith(_RECORDS) or (path.endswith(PARTICIPANTS) and CLONES.as_posix() in path):
                    continue
                inside = file.name == MASKS and bool(_masks(file, identity))
                if inside or identity.in_path(path) or (_is_text(file) and identity.in_file(file)):
                    found.append(path)
    return sorted(found)


def in_tables_of_sources(root: Path, identity: Identity) -> list[str]:
    """Return the tables of participants in the clones that still have a row of theirs."""
    names = sorted({dataset for dataset, _ in identity.ids})
    tables = [CLONES / name / PARTICIPANTS for name in names]
    return [path.as_posix() for path in tables if (root / path).is_file() and identity.in_file(root / path)]


def bundles(root: Path, identity: Identity) -> list[str]:
    """Return the folders of bundles, here and in the scratch workspaces, that were trained on their data."""
    found = []
    for pattern in ("", ".demo/", ".monitor/*/"):
        for path in sorted(root.glob(f"{pattern}data/package/{IN_BUNDLE}")):
            try:
                cases = read_training_data(path).cases.values()
            except CordriftError:  # named among the files when it speaks of them
                continue
            if any(_is_theirs(case, identity) or _is_copy(case, identity) for case in cases):
                found.append(path.parent.relative_to(root).as_posix())
    return found


def _is_text(path: Path) -> bool:
    return path.suffix in _TEXT and path.is_file()


@dataclass(frozen=True)
class Trace:
    """What a version keeps.

    Attributes
    ----------
    by_name, by_content : cases that it was trained on, under an id of theirs, or as a copy under another name
    kept : artifacts that hold masks or rows of theirs, with how many masks
    problem : why nothing is known of its training; ``""`` when it is known
    """

    holder: Holder
    by_name: tuple[str, ...]
    by_content: tuple[str, ...]
    kept: tuple[str, ...]
    problem: str

    @property
    def trained(self) -> bool:
        """Whether it was trained on their data."""
        return bool(self.by_name or self.by_content)


def in_store(archive: RecordedVersions, identity: Identity) -> Iterator[Trace]:
    """Yield a trace for every version, and every run of a version, in MLflow; empty where nothing is kept.

    Raises
    ------
    CordriftError
        MLflow does not answer.
    """
    for holder in archive.holders():
        by_name: list[str] = []
        by_content: list[str] = []
        problem = ""
        files = archive.artifacts(holder, (*_KEPT, "bundle")) if holder.run_id else []
        try:
            if f"bundle/{IN_BUNDLE}" not in files:
                raise CordriftError(f"{holder.name}, run {holder.run_id or 'none'}, has no training manifest.")
            cases = archive.training_data(holder).cases.values()
        except CordriftError as error:
            problem = str(error)
        else:
            by_name = [case.name for case in cases if _is_theirs(case, identity)]
            by_content = [case.name for case in cases if _is_copy(case, identity)]
        kept = tuple(_kept(archive, holder, [path for path in files if not path.startswith("bundle/")], identity))
        yield Trace(holder, tuple(by_name), tuple(by_content), kept, problem)


def _is_theirs(case: TrainedImage, identity: Identity) -> bool:
    return identity.has(case.dataset, case.participant)


def _is_copy(case: TrainedImage, identity: Identity) -> bool:
    return content(case.image_key) in identity.images and not _is_theirs(case, identity)


def _kept(archive: RecordedVersions, holder: Holder, files: Iterable[str], identity: Identity) -> Iterator[str]:
    for path in files:
        if path == MASKS:
            with archive.artifact(holder, path) as file:
                masks = _masks(file, identity)
            if masks:
                yield f"{path} ({masks})"
        elif identity.in_path(path):
            yield path
        elif Path(path).suffix in _TEXT:
            with archive.artifact(holder, path) as file:
                if identity.in_file(file):
                    yield path


def _masks(file: Path, identity: Identity) -> str:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            count = sum(identity.in_path(name) for name in names)
            # Of a case that failed there is no mask, but a row in the index.
            if INDEX in names:
                if archive.getinfo(INDEX).file_size > MOST_INDEX_BYTES:
                    return f"{INDEX} in it is too large to be read: nobody can say of whom it speaks"
                with tempfile.TemporaryDirectory() as folder:
                    index = Path(folder) / INDEX
                    index.write_bytes(archive.read(INDEX))
                    count += identity.in_file(index)
    except UNREADABLE:
        return "no readable zip: nobody can say whose masks it holds"
    return f"{count} files of theirs" if count else ""
