"""The search for remaining data of the withdrawn person, in the workspace and in MLflow."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...base.errors import BundleError, StoreError
from ...data.datasets.manifest import CLONES
from ...data.datasets.selection import PARTICIPANTS
from ...measures.kept_masks.layout import KEPT_INDEX
from ...measures.kept_masks.reader import MOST_INDEX_BYTES
from ...measures.kept_masks.zips import UNREADABLE
from ...model.lineage.manifest import IN_BUNDLE, TrainedImage, content, read_training_data
from ...store.bundle_files import MASKS
from ...store.recorded_versions import RecordedVersion, RecordedVersions
from .identity import Identity

#: Folders of a workspace with data, results, and scratch workspaces.
ROOTS = ("data", "reports", "release", ".monitor", ".demo", ".demo-micro")
#: Folders that are not searched: git and DVC name their objects by hash, and code and params name no participant.
_SKIPPED = frozenset({".git", ".dvc", "stages", "params", "__pycache__"})
#: Tables of the lab, in which a withdrawn participant stays so that the data are never used again.
_LAB_TABLES = ("data/datasets.yaml", "data/frozen.csv", "data/persons.csv")
#: Endings of files whose content is searched; of all other files only the path is searched.
_TEXT = frozenset({".csv", ".tsv", ".json", ".html", ".txt", ".md"})
#: Folders of a run in MLflow that hold tables and pages.
_RUN_FOLDERS = ("measures", "compare", "report", "figures")


def files_in_workspace(root: Path, identity: Identity) -> list[str]:
    """Return the sorted paths, relative to ``root``, of files that contain an id of the person or are named after it.

    The tables of participants in the clones are left out, because they belong to the source datasets.
    """
    found = []
    for name in ROOTS:
        for folder, folders, files in os.walk(root / name):
            folders[:] = [one for one in folders if one not in _SKIPPED]
            for file in (Path(folder) / one for one in files):
                path = file.relative_to(root).as_posix()
                if path.endswith(_LAB_TABLES) or (path.endswith(PARTICIPANTS) and CLONES.as_posix() in path):
                    continue
                inside = file.name == MASKS and bool(_in_masks(file, identity))
                if inside or identity.in_path(path) or (_is_text(file) and identity.in_file(file)):
                    found.append(path)
    return sorted(found)


def source_tables(root: Path, identity: Identity) -> list[str]:
    """Return the tables of participants in the clones that still have a row of the person."""
    names = sorted({dataset for dataset, _ in identity.ids})
    tables = [CLONES / name / PARTICIPANTS for name in names]
    return [path.as_posix() for path in tables if (root / path).is_file() and identity.in_file(root / path)]


def trained_bundles(root: Path, identity: Identity) -> list[str]:
    """Return the folders of bundles that were trained on the data, here and in the scratch workspaces."""
    found = []
    for pattern in ("", ".demo/", ".monitor/*/"):
        for path in sorted(root.glob(f"{pattern}data/package/{IN_BUNDLE}")):
            try:
                cases = read_training_data(path).cases.values()
            except BundleError:  # an unreadable manifest with the id is listed by files_in_workspace
                continue
            if any(_is_by_name(case, identity) or _is_copy(case, identity) for case in cases):
                found.append(path.parent.relative_to(root).as_posix())
    return found


def _is_text(path: Path) -> bool:
    return path.suffix in _TEXT and path.is_file()


@dataclass(frozen=True)
class Trace:
    """What MLflow keeps of the person with one version.

    Attributes
    ----------
    version : the version, or a run without a version
    by_name : names of the cases on which the version was trained, under an id of the person
    by_content : names of the cases that are copies of the person's images under another name
    kept : artifacts that hold masks or rows of the person; behind ``masks.zip``, how many files of the zip
    problem : why the training data of the version are unknown; ``""`` when they are known
    """

    version: RecordedVersion
    by_name: tuple[str, ...]
    by_content: tuple[str, ...]
    kept: tuple[str, ...]
    problem: str

    @property
    def trained(self) -> bool:
        """Whether the version was trained on the data."""
        return bool(self.by_name or self.by_content)


def traces_in_store(recorded: RecordedVersions, identity: Identity) -> Iterator[Trace]:
    """Yield a trace for every version in MLflow, and for every run of a version that is not registered any more.

    Raises
    ------
    StoreError
        MLflow does not answer.
    """
    for version in recorded.all():
        cases: list[TrainedImage] = []
        problem = ""
        files = recorded.artifacts(version, (*_RUN_FOLDERS, "bundle")) if version.run_id else []
        if f"bundle/{IN_BUNDLE}" in files:
            try:
                cases = list(recorded.training_data(version).cases.values())
            except StoreError as error:
                problem = str(error)
        else:
            problem = f"{version.name}, run {version.run_id or 'none'}, has no training manifest."
        by_name = tuple(case.name for case in cases if _is_by_name(case, identity))
        by_content = tuple(case.name for case in cases if _is_copy(case, identity))
        kept = tuple(_kept(recorded, version, [path for path in files if not path.startswith("bundle/")], identity))
        yield Trace(version, by_name, by_content, kept, problem)


def _is_by_name(case: TrainedImage, identity: Identity) -> bool:
    return identity.has(case.dataset, case.participant)


def _is_copy(case: TrainedImage, identity: Identity) -> bool:
    return content(case.image_key) in identity.images and not _is_by_name(case, identity)


def _kept(
    recorded: RecordedVersions, version: RecordedVersion, files: Iterable[str], identity: Identity
) -> Iterator[str]:
    """Yield the artifacts of a run that hold masks or rows of the person."""
    for path in files:
        if path == MASKS:
            with recorded.artifact(version, path) as file:
                found = _in_masks(file, identity)
            if found:
                yield f"{path} ({found})"
        elif identity.in_path(path):
            yield path
        elif Path(path).suffix in _TEXT:
            with recorded.artifact(version, path) as file:
                if identity.in_file(file):
                    yield path


def _in_masks(file: Path, identity: Identity) -> str:
    """Return how many files of a zip of kept masks are about the person, or why this is unknown; ``""`` for none."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            count = sum(identity.in_path(name) for name in names)
            # A case that failed has no mask, but the index names it.
            if KEPT_INDEX in names:
                if archive.getinfo(KEPT_INDEX).file_size > MOST_INDEX_BYTES:
                    return f"{KEPT_INDEX} in it is too large to be read, so it is unknown which participants it names"
                with tempfile.TemporaryDirectory() as folder:
                    index = Path(folder) / KEPT_INDEX
                    index.write_bytes(archive.read(KEPT_INDEX))
                    count += identity.in_file(index)
    except UNREADABLE:
        return "not a readable zip, so it is unknown whose masks it holds"
    return f"{count} files of the participant" if count else ""
