"""Who is withdrawn: the entries that hold a participant, and the other ids of the same person."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from ...base.errors import CordriftError, did_you_mean
from ...data.clones import annex
from ...data.datasets.keys import ContentKey
from ...data.datasets.manifest import CLONES, read_manifest
from ...data.datasets.registry import FROZEN, PERSONS, REGISTRY, Dataset, Registry, entry, read_frozen, read_persons
from ...data.datasets.selection import PARTICIPANTS
from ...model.lineage.manifest import IN_BUNDLE, TrainedImage, content, read_training_data
from .clones import participants_in
from .identity import PARTICIPANT

Id = tuple[str, str]
#: Manifests of training data that a workspace has.
TRAINED = (Path("data/prepare/manifest.json"), Path("data/package") / IN_BUNDLE)


@dataclass
class Known:
    """Everybody whom this workspace knows.

    Attributes
    ----------
    ids : (dataset, participant), of the registry's datasets and of those that persons.csv names
    images : content of the images of each
    persons : the person of an id, for those who have several
    """

    ids: set[Id] = field(default_factory=set)
    images: dict[Id, set[ContentKey | str]] = field(default_factory=lambda: defaultdict(set))
    persons: dict[Id, str] = field(default_factory=dict)


def known(root: Path, registry: Registry) -> Known:
    """Gather the participants of a workspace from manifests, clones and tables.

    Raises
    ------
    CordriftError
        One of them is faulty.
    """
    everyone = Known(persons=read_persons(root / PERSONS) if (root / PERSONS).is_file() else {})
    everyone.ids |= set(everyone.persons)
    frozen = read_frozen(root / FROZEN) if (root / FROZEN).is_file() else []
    everyone.ids |= {(row.dataset, row.participant) for row in frozen if row.dataset in registry.datasets}
    for name, dataset in registry.datasets.items():
        everyone.ids |= {(name, participant) for participant in dataset.withdrawn}
        _add_fetched(everyone, root, name)
        _add_cloned(everyone, root, name, dataset)
    for path in (root / name for name in TRAINED):
        for case in _trained(path):
            everyone.images[case.dataset, case.participant].add(content(case.image_key))
            if case.dataset in registry.datasets:
                everyone.ids.add((case.dataset, case.participant))
    return everyone


def _trained(path: Path) -> list[TrainedImage]:
    """Cases of a training manifest; a faulty one names nobody, and stops no withdrawal."""
    try:
        return list(read_training_data(path).cases.values()) if path.is_file() else []
    except CordriftError:
        return []


def _add_fetched(everyone: Known, root: Path, name: str) -> None:
    path = root / "data/fetch" / f"{name}.json"
    if path.is_file():
        manifest = read_manifest(path)
        everyone.ids |= {(name, row.participant) for row in manifest.excluded}
        for case in manifest.cases:
            everyone.ids.add((name, case.participant))
            everyone.images[name, case.participant].add(content(manifest.keys[case.image]))


def _add_cloned(everyone: Known, root: Path, name: str, dataset: Dataset) -> None:
    """Whom the clone's commit holds; content of images only of those who are not fetched any more."""
    clone = root / CLONES / name
    if not (clone / ".git").exists():
        return
    tree = set(annex.list_paths(clone))
    everyone.ids |= {(name, participant) for participant in participants_in(tree)}
    table = clone / PARTICIPANTS
    if table.is_file():
        rows = csv.DictReader(StringIO(table.read_text(encoding="utf-8", errors="replace")), delimiter="\t")
        listed = {row.get("participant_id") or "" for row in rows}
        everyone.ids |= {(name, participant) for participant in listed if PARTICIPANT.fullmatch(participant)}
    for participant in dataset.withdrawn:
        paths = {one.image.format(sub=participant) for one in dataset.contrasts.values()} & tree
        everyone.images[name, participant] |= image_contents(clone, paths)


def image_contents(clone: Path, paths: Iterable[str]) -> set[ContentKey | str]:
    """Return the content of files at the clone's commit; a key without a hash says nothing and is left out."""
    wanted = sorted(paths)
    try:
        return {content(key) for key, _ in annex.keys_and_sizes(clone, wanted).values()}
    except CordriftError:  # a key such as URL's, which fetch refuses too: the others one by one
        return set().union(*(image_contents(clone, [path]) for path in wanted)) if len(wanted) > 1 else set()


def find(participant: str, only: str | None, registry: Registry, everyone: Known) -> dict[Id, str]:
    """Return every id of the person with why it is one of them; the first is what was asked for.

    Parameters
    ----------
    participant : as asked, such as ``sub-01``
    only : a dataset; then its repository alone is looked in for the id itself

    Raises
    ------
    CordriftError
        Nobody of that name.
    """
    repository = None if only is None else entry(registry, only).url
    places = [name for name, one in registry.datasets.items() if repository in (None, one.url)]
    asked = [name for name in places if (name, participant) in everyone.ids]
    if not asked:
        names = sorted({sub for name, sub in everyone.ids if name in places})
        where = f"of {', '.join(places)}" if only else f"of the registry ({', '.join(places)})"
        raise CordriftError(
            f"No dataset {where} holds a participant {participant!r}{did_you_mean(participant, names)}; looked in "
            f"data/fetch, the clones in {CLONES}, {FROZEN} and {PERSONS}, which name {len(names)}. Fetch the dataset, "
            f"or write `withdrawn: {{{participant}: reason}}` into its entry in {REGISTRY} yourself."
        )
    found = dict.fromkeys(((name, participant) for name in asked), "asked for")
    while True:  # an id that is found may lead to further ones
        more = _further(found, registry, everyone)
        if not more:
            return found
        found |= more


def _further(found: Mapping[Id, str], registry: Registry, everyone: Known) -> dict[Id, str]:
    more: dict[Id, str] = {}
    persons = {everyone.persons[one] for one in found if one in everyone.persons}
    for one, person in everyone.persons.items():
        if person in persons:
            more[one] = f"the same person by {PERSONS}"
    images = {image: one for one in found for image in everyone.images.get(one, ())}
    for one, own in everyone.images.items():
        same = sorted(images[image] for image in own if image in images)
        if same and one not in found and one[0] in registry.datasets:
            more.setdefault(one, f"an image of {same[0][1]} of {same[0][0]}, byte for byte")
    for dataset, participant in found:
        if dataset in registry.datasets:
            url = registry.datasets[dataset].url
            for name, other in registry.datasets.items():
                if other.url == url:
                    more.setdefault((name, participant), f"the same repository as {dataset}")
    return {one: why for one, why in more.items() if one not in found}
