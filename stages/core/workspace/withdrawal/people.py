"""The participants that a workspace knows, and all ids of the person who is withdrawn."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from ...base.errors import BundleError, DatasetError, SettingsError, did_you_mean
from ...data.clones import annex
from ...data.datasets.keys import ContentKey
from ...data.datasets.manifest import CLONES, read_manifest
from ...data.datasets.registry import FROZEN, PERSONS, REGISTRY, Dataset, Registry, entry, read_frozen, read_persons
from ...data.datasets.selection import PARTICIPANTS, image_paths
from ...model.lineage.manifest import IN_BUNDLE, TrainedImage, content, read_training_data
from .clones import participants_in
from .identity import PARTICIPANT

Id = tuple[str, str]
#: Training manifests of a workspace.
TRAINING_MANIFESTS = (Path("data/prepare/manifest.json"), Path("data/package") / IN_BUNDLE)


@dataclass
class People:
    """All participants that a workspace knows.

    Attributes
    ----------
    ids : (dataset, participant), for the datasets of the registry and those that persons.csv names
    images : id -> content of the participant's images
    persons : id -> name of the person, for persons with several ids
    """

    ids: set[Id] = field(default_factory=set)
    images: dict[Id, set[ContentKey | str]] = field(default_factory=lambda: defaultdict(set))
    persons: dict[Id, str] = field(default_factory=dict)


def read_people(root: Path, registry: Registry) -> People:
    """Collect the participants of a workspace from its manifests, clones and tables.

    Raises
    ------
    CordriftError
        One of these files is faulty.
    """
    people = People(persons=read_persons(root / PERSONS) if (root / PERSONS).is_file() else {})
    people.ids |= set(people.persons)
    frozen = read_frozen(root / FROZEN) if (root / FROZEN).is_file() else []
    people.ids |= {(row.dataset, row.participant) for row in frozen if row.dataset in registry.datasets}
    for name, dataset in registry.datasets.items():
        people.ids |= {(name, participant) for participant in dataset.withdrawn}
        _add_fetched(people, root, name)
        _add_cloned(people, root, name, dataset)
    for path in (root / name for name in TRAINING_MANIFESTS):
        for case in _training_images(path):
            people.images[case.dataset, case.participant].add(content(case.image_key))
            if case.dataset in registry.datasets:
                people.ids.add((case.dataset, case.participant))
    return people


def _training_images(path: Path) -> list[TrainedImage]:
    """Return the images of a training manifest; none where it is missing, or faulty: this must stop no withdrawal."""
    try:
        return list(read_training_data(path).cases.values()) if path.is_file() else []
    except BundleError:
        return []


def _add_fetched(people: People, root: Path, name: str) -> None:
    path = root / "data/fetch" / f"{name}.json"
    if path.is_file():
        manifest = read_manifest(path)
        people.ids |= {(name, row.participant) for row in manifest.excluded}
        for case in manifest.cases:
            people.ids.add((name, case.participant))
            people.images[name, case.participant].add(content(manifest.keys[case.image]))


def _add_cloned(people: People, root: Path, name: str, dataset: Dataset) -> None:
    """Add the participants of the clone's commit, and the images of those who are withdrawn and not fetched."""
    clone = root / CLONES / name
    if not (clone / ".git").exists():
        return
    tree = set(annex.list_paths(clone))
    people.ids |= {(name, participant) for participant in participants_in(tree)}
    table = clone / PARTICIPANTS
    if table.is_file():
        rows = csv.DictReader(StringIO(table.read_text(encoding="utf-8", errors="replace")), delimiter="\t")
        listed = {row.get("participant_id") or "" for row in rows}
        people.ids |= {(name, participant) for participant in listed if PARTICIPANT.fullmatch(participant)}
    for participant in dataset.withdrawn:
        people.images[name, participant] |= image_contents(clone, image_paths(dataset, participant, tree))


def image_contents(clone: Path, paths: Iterable[str]) -> set[ContentKey | str]:
    """Return the content of files at the clone's commit. A file whose key holds no hash is left out."""
    wanted = sorted(paths)
    try:
        return {content(key) for key, _ in annex.keys_and_sizes(clone, wanted).values()}
    except DatasetError:  # one of the keys holds no hash (such as a URL key): ask for each file alone
        return set().union(*(image_contents(clone, [path]) for path in wanted)) if len(wanted) > 1 else set()


def find_ids(participant: str, only: str | None, registry: Registry, people: People) -> dict[Id, str]:
    """Return all ids of the person -> the reason why the id belongs to the person.

    Parameters
    ----------
    participant : the id that the user named, such as ``sub-01``
    only : a dataset; the named id is then searched in the repository of this dataset only

    Raises
    ------
    SettingsError
        No dataset holds the participant, or the registry has no dataset ``only``.
    """
    repository = None if only is None else entry(registry, only).url
    datasets = [name for name, one in registry.datasets.items() if repository in (None, one.url)]
    holding = [name for name in datasets if (name, participant) in people.ids]
    if not holding:
        names = sorted({sub for name, sub in people.ids if name in datasets})
        where = f"of {', '.join(datasets)}" if only else f"of the registry ({', '.join(datasets)})"
        raise SettingsError(
            f"No dataset {where} holds a participant {participant!r}{did_you_mean(participant, names)}; looked in "
            f"data/fetch, the clones in {CLONES}, {FROZEN} and {PERSONS}, which name {len(names)} participants. Fetch "
            f"the dataset, or write `withdrawn: {{{participant}: reason}}` into its entry in {REGISTRY} yourself."
        )
    found = dict.fromkeys(((name, participant) for name in holding), "named in the command")
    while True:  # each further id may lead to others
        more = _further(found, registry, people)
        if not more:
            return found
        found |= more


def _further(found: Mapping[Id, str], registry: Registry, people: People) -> dict[Id, str]:
    more: dict[Id, str] = {}
    persons = {people.persons[one] for one in found if one in people.persons}
    for one, person in people.persons.items():
        if person in persons:
            more[one] = f"the same person according to {PERSONS}"
    images = {image: one for one in found for image in people.images.get(one, ())}
    for one, own in people.images.items():
        same = sorted(images[image] for image in own if image in images)
        if same and one not in found and one[0] in registry.datasets:
            more.setdefault(one, f"has the same image as {same[0][1]} of {same[0][0]}")
    for dataset, participant in found:
        if dataset in registry.datasets:
            url = registry.datasets[dataset].url
            for name, other in registry.datasets.items():
                if other.url == url:
                    more.setdefault((name, participant), f"the same repository as {dataset}")
    return {one: why for one, why in more.items() if one not in found}
