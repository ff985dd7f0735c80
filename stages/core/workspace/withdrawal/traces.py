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
from ...store.recorded_versions import RecordedVersion, RecordedVersions
from .holdings import shows_people
from .identity import Identity

#: Folders of a workspace with data, results, and scratch workspaces.
ROOTS = ("data", "reports", "release", ".monitor", ".demo", ".demo-micro")
#: Folders that are not searched: git and DVC name their objects by hash, and code and params name no participant.
_SKIPPED = frozenset({".git", ".dvc", "stages", "params", "__pycache__"})
#: Tables of the lab, in which a withdrawn participant stays so that the data are never used again.
_LAB_TABLES = ("data/datasets.yaml", "data/frozen.csv", "data/persons.csv")
#: Endings of files whose content is searched; of all other files only the path is searched.
_TEXT = frozenset({".csv", ".tsv", ".json", ".html", ".txt", ".md", ".yml", ".yaml", ".lock"})
#: The largest text or zip inside a zip that is searched, and how deep zips may lie in each other.
MOST_MEMBER_BYTES, MOST_DEPTH = 1 << 30, 3
#: Folders of a run in MLflow that hold tables and pages.
_RUN_FOLDERS = ("measures", "compare", "report", "figures")


def files_in_workspace(root: Path, identity: Identity, *, frozen: bool) -> list[str]:
    """Return the sorted paths, relative to ``root``, of files that hold something of the person, or may hold it.

    A file holds something where its path or its text contains an id, also inside zips. A picture in which participants
    are drawn is listed where the table beside it names the person; where there is no such table, nobody can tell, and
    it is listed for everybody of the frozen set. The tables of participants in the clones are left out, because they
    belong to the source datasets.

    Parameters
    ----------
    root : the workspace
    identity : of the person
    frozen : whether the person is in the frozen set, whose participants the reports draw
    """
    found = []
    for name in ROOTS:
        for folder, folders, files in os.walk(root / name):
            folders[:] = [one for one in folders if one not in _SKIPPED]
            for file in (Path(folder) / one for one in files):
                path = file.relative_to(root).as_posix()
                if path.endswith(_LAB_TABLES) or (path.endswith(PARTICIPANTS) and CLONES.as_posix() in path):
                    continue
                inside = file.suffix == ".zip" and bool(in_zip(file, identity))
                drawn = shows_people(_in_its_workspace(path)) and _is_drawn(file, identity, frozen=frozen)
                if inside or drawn or identity.in_path(path) or (_is_text(file) and identity.in_file(file)):
                    found.append(path)
    return sorted(found)


def _in_its_workspace(path: str) -> str:
    """Return a path as it is in its own workspace: the demo and the monitoring work in scratch workspaces."""
    parts = path.split("/")
    depth = {".demo": 1, ".demo-micro": 1, ".monitor": 2}.get(parts[0], 0)
    return "/".join(parts[depth:])


def _is_drawn(file: Path, identity: Identity, *, frozen: bool) -> bool:
    """Tell whether a picture, or a page with pictures, shows the person, as far as the tables of its figures say."""
    if file.suffix == ".png":
        tables = [file.with_suffix(".csv")]
    else:
        folder = next((file.parent / name for name in ("figures", "../figures") if (file.parent / name).is_dir()), None)
        tables = sorted(folder.glob("worst*.csv")) if folder else []
        packed = file.parent / "figures.zip"
        if packed.is_file():
            return bool(in_zip(packed, identity))
    known = [table for table in tables if table.is_file()]
    return any(identity.in_file(table) for table in known) if known else frozen


def source_tables(root: Path, identity: Identity) -> list[str]:
    """Return the tables of participants in the clones that still have a row of the person."""
    names = sorted({dataset for dataset, _ in identity.ids})
    tables = [CLONES / name / PARTICIPANTS for name in names]
    return [path.as_posix() for path in tables if (root / path).is_file() and identity.in_file(root / path)]


def trained_bundles(root: Path, identity: Identity) -> list[str]:
    """Return the folders of bundles that were trained on the data, here and in the scratch workspaces."""
    found = []
    for pattern in ("", ".demo/", ".demo-micro/", ".monitor/*/", "release/bundle/", "release/trained/"):
        folder = pattern if pattern == "release/bundle/" else f"{pattern}data/package/"
        for path in sorted(root.glob(f"{folder}{IN_BUNDLE}")):
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
    kept : artifacts that hold masks, rows or pictures of the person, or may hold pictures; behind a zip, how many of
        its files
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


def traces_in_store(recorded: RecordedVersions, identity: Identity, *, frozen: bool) -> Iterator[Trace]:
    """Yield a trace for every version in MLflow, and for every run of a version that is not registered any more.

    ``frozen``: whether the person is in the frozen set, whose participants the reports draw.

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
        others = [path for path in files if not path.startswith("bundle/")]
        held = list(_kept(recorded, version, others, identity))
        kept = tuple(sorted({*held, *_drawn(others, held, frozen=frozen)}))
        yield Trace(version, by_name, by_content, kept, problem)


def _drawn(files: Iterable[str], held: Iterable[str], *, frozen: bool) -> Iterator[str]:
    """Yield the pictures, and the pages with pictures, that show the person, or of which nobody can tell.

    Parameters
    ----------
    files : artifacts of a run
    held : those that name the person
    frozen : whether the person is in the frozen set, whose participants the reports draw
    """
    named = set(held)
    tables = {path for path in files if Path(path).match("figures/worst*.csv")}
    for path in files:
        if not shows_people(f"mlartifacts/run/{path}"):
            continue
        own = {path.removesuffix(".png") + ".csv"} & tables if path.endswith(".png") else tables
        if own & named or (frozen and not own):
            yield path


def _is_by_name(case: TrainedImage, identity: Identity) -> bool:
    return identity.has(case.dataset, case.participant)


def _is_copy(case: TrainedImage, identity: Identity) -> bool:
    return content(case.image_key) in identity.images and not _is_by_name(case, identity)


def _kept(
    recorded: RecordedVersions, version: RecordedVersion, files: Iterable[str], identity: Identity
) -> Iterator[str]:
    """Yield the artifacts of a run that hold masks or rows of the person."""
    for path in files:
        if path.endswith(".zip"):
            with recorded.artifact(version, path) as file:
                found = in_zip(file, identity)
            if found:
                yield f"{path} ({found})"
        elif identity.in_path(path):
            yield path
        elif Path(path).suffix in _TEXT:
            with recorded.artifact(version, path) as file:
                if identity.in_file(file):
                    yield path


def in_zip(file: Path, identity: Identity, depth: int = 0) -> str:
    """Return how many files of a zip are about the person, or why this is unknown; ``""`` for none.

    Texts and zips inside it are looked into, and a file there that is too large to be read makes the answer unknown.
    """
    try:
        with zipfile.ZipFile(file) as archive, tempfile.TemporaryDirectory() as folder:
            count = 0
            for member in archive.infolist():
                if identity.in_path(member.filename):
                    count += 1
                    continue
                ending = Path(member.filename).suffix
                if ending not in _TEXT and ending != ".zip":
                    continue
                # A case that failed has no mask, but the index names it.
                most = MOST_INDEX_BYTES if member.filename == KEPT_INDEX else MOST_MEMBER_BYTES
                if member.file_size > most or depth > MOST_DEPTH:
                    return (
                        f"{member.filename} in it is too large to be read, so it is unknown which participants it names"
                    )
                inner = Path(folder) / f"member{ending}"
                inner.write_bytes(archive.read(member))
                count += bool(in_zip(inner, identity, depth + 1)) if ending == ".zip" else identity.in_file(inner)
    except UNREADABLE:
        return "not a readable zip, so it is unknown whose masks it holds"
    return f"{count} files of the participant" if count else ""
