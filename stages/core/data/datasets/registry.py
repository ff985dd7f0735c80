"""The dataset registry (``data/datasets.yaml``) and the frozen participants (``data/frozen.csv``)."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field

from ...base.errors import CordriftError, did_you_mean
from ...base.files import SCHEMA, read_csv
from ...base.params import Block, Name, load_yaml, validate

REGISTRY = Path("data/datasets.yaml")
FROZEN = Path("data/frozen.csv")
PERSONS = Path("data/persons.csv")


def _pattern(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\\" in text:
        raise ValueError("must be relative to the dataset, without '..'")
    if "{sub}" not in text or text.replace("{sub}", "").count("{") or text.replace("{sub}", "").count("}"):
        raise ValueError("must contain {sub}, for the participant, and no other field")
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]
#: A participant, or with a ``*`` at its end every participant whose id begins so (a site).
Participants = Annotated[str, Field(pattern=r"^sub-[A-Za-z0-9]+\*?$")]

Participant = Annotated[str, Field(pattern=r"^sub-[A-Za-z0-9]+$")]


class Contrast(Block):
    """Where a contrast's image lies and, where the dataset has them, its masks and disc labels.

    A contrast that matches nothing in the dataset is an error, unless it is ``optional``: a revision may lack it.
    """

    image: Pattern
    mask: Pattern | None = None
    softmask: Pattern | None = None
    discs: Pattern | None = None
    optional: bool = False


class Dataset(Block):
    """One dataset at one commit. ``role`` test: only its frozen participants; train: all but the frozen ones.

    ``exclude``: participants left out, with the reason; each must be there, else it is a misspelling. ``withdrawn``:
    those who withdrew consent, with the reason; left out whether or not the dataset still has them. ``remotes``:
    special remotes of the dataset that may be switched on in our clone, with their type (``S3``, ``external:NAME``).
    """

    url: Annotated[str, Field(min_length=1)]
    tag: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None
    licence: Annotated[str, Field(min_length=1)]
    role: Literal["train", "test"]
    contrasts: Annotated[dict[Name, Contrast], Field(min_length=1)]
    exclude: dict[Participants, str] = Field(default={})
    withdrawn: dict[Participant, str] = Field(default={})
    remotes: dict[Name, str] = Field(default={})


class Registry(Block):
    """All entries by name."""

    datasets: dict[Name, Dataset]


class Frozen(NamedTuple):
    """A monitored participant and the test entry to which it belongs."""

    participant: str
    dataset: str


def load_registry(path: Path) -> Registry:
    """Read and check the registry.

    Raises
    ------
    CordriftError
        Missing, not YAML, a newer schema, an unknown key (with a suggestion), a bad pattern or pin.
    """
    return _registry(load_yaml(path), path)


def _registry(value: object, path: Path) -> Registry:
    if not isinstance(value, dict):
        raise CordriftError(f"{path} must hold a mapping with keys 'schema' and 'datasets'.")
    schema = value.get("schema")
    if not isinstance(schema, int) or not 1 <= schema <= SCHEMA:
        raise CordriftError(f"{path} must say 'schema: {SCHEMA}', not {schema!r}.")
    registry: Registry = validate(Registry, {key: value[key] for key in value if key != "schema"}, str(path))
    return registry


def entry(registry: Registry, name: str, path: Path = REGISTRY) -> Dataset:
    """Return the entry of a dataset, or raise a sentence that suggests the name that was meant."""
    if name not in registry.datasets:
        known = ", ".join(sorted(registry.datasets))
        raise CordriftError(
            f"{path} has no dataset {name!r}{did_you_mean(name, registry.datasets)}; it has {known or 'none'}."
        )
    return registry.datasets[name]


def pinned(name: str, dataset: Dataset, path: Path = REGISTRY) -> str:
    """Return the pinned commit, or raise a sentence that says how to pin one."""
    if dataset.commit is None:
        way = f"run `cordrift pin {name}`, which asks {dataset.url} where tag {dataset.tag!r} points"
        if "://" not in dataset.url:
            way = f"run the command that makes {dataset.url} (`cordrift phantom`, `cordrift monitor`): it pins it here"
        raise CordriftError(f"{path}: dataset {name!r} has no commit yet; {way}.")
    return dataset.commit


def read_frozen(path: Path) -> list[Frozen]:
    """Read the frozen participants, sorted.

    Raises
    ------
    CordriftError
        Missing, without the columns ``participant`` and ``dataset``, or a row twice.
    """
    table = read_csv(path, text=("participant", "dataset"))
    missing = [name for name in Frozen._fields if name not in table.columns]
    if missing:
        raise CordriftError(f"{path} has no column {missing[0]!r}; expected schema, participant and dataset.")
    rows = [Frozen(str(p), str(d)) for p, d in zip(table["participant"], table["dataset"], strict=True)]
    twice = sorted({row for row in rows if rows.count(row) > 1})
    if twice:
        raise CordriftError(f"{path} lists {twice[0].participant} of {twice[0].dataset} more than once.")
    bad = [row for row in rows if not row.participant.startswith("sub-") or not row.dataset]
    if bad:
        raise CordriftError(f"{path} must list ids such as 'sub-amu01' with their dataset, not {tuple(bad[0])}.")
    return sorted(rows)


def read_persons(path: Path) -> dict[tuple[str, str], str]:
    """Read who is one person under several ids: (dataset, participant) -> person. Most participants are not in it.

    Raises
    ------
    CordriftError
        Missing, without its columns, an empty cell, or one participant as two persons.
    """
    columns = ("person", "dataset", "participant")
    table = read_csv(path, text=columns)
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise CordriftError(f"{path} has no column {missing[0]!r}; expected schema, person, dataset and participant.")
    persons: dict[tuple[str, str], str] = {}
    for person, dataset, participant in table[list(columns)].itertuples(index=False):
        if not (person and dataset and participant):
            raise CordriftError(f"{path} has a row with an empty cell: {(person, dataset, participant)}.")
        if persons.setdefault((dataset, participant), person) != person:
            raise CordriftError(
                f"{path} lists {participant} of {dataset} as {persons[dataset, participant]!r} and as {person!r}."
            )
    return persons
