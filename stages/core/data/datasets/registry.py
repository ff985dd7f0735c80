"""The dataset registry (``data/datasets.yaml``), and the tables ``data/frozen.csv`` and ``data/persons.csv``."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, model_validator

from ...base.errors import SettingsError, did_you_mean
from ...base.files import SCHEMA, read_csv
from ...base.params import Block, Name, load_yaml, validate

REGISTRY = Path("data/datasets.yaml")
FROZEN = Path("data/frozen.csv")
#: Addresses of datasets that a command makes, with the command.
GENERATED = {
    "data/phantom": "`cordrift phantom`",
    "data/micro": "`cordrift phantom data/micro --cohort micro`",
    "data/real-cord": "`cordrift monitor BUNDLE --profile real-cord --adopt FOLDER`",
}
PERSONS = Path("data/persons.csv")


def _pattern(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\\" in text:
        raise ValueError("must be relative to the dataset, without '..'")
    rest = text.replace("{sub}", "").replace("{ses}", "")
    if "{sub}" not in text or "{" in rest or "}" in rest:
        raise ValueError("must contain {sub}, for the participant; {ses}, for the session, is the only other field")
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]
#: One participant, or with a ``*`` at the end all participants whose ids begin so, e.g. those of a site.
Participants = Annotated[str, Field(pattern=r"^sub-[A-Za-z0-9]+\*?$")]

#: Name of an environment variable.
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Participant = Annotated[str, Field(pattern=r"^sub-[A-Za-z0-9]+$")]


class ContrastFiles(Block):
    """Path patterns of a contrast's images and, where the dataset has them, of its masks and disc labels.

    It is an error when a pattern matches no file, unless the contrast is ``optional``: some revision may lack it.
    """

    image: Pattern
    mask: Pattern | None = None
    softmask: Pattern | None = None
    discs: Pattern | None = None
    optional: bool = False


class Dataset(Block):
    """One dataset at one commit.

    Attributes
    ----------
    url, tag, commit : address; name of the revision; its commit, None as long as none is pinned
    role : ``test``: participants that ``data/frozen.csv`` lists for this entry; ``train``: all that it lists nowhere
    contrasts : path patterns by the name of the contrast
    exclude : participant -> reason; every name must match a participant of the dataset
    exclude_images : path of an image -> reason; `cordrift accept-masks` writes those that a person failed
    withdrawn : participants who withdrew their consent -> reason; the dataset need not have them any more
    remotes : special remotes that may be enabled in the clone, name -> type (``S3``, ``external:NAME``)
    host : the host that gets the values of ``environment``; those of the remotes must be this one
    environment : variables that git-annex sees while it fetches this dataset, such as ``AWS_ACCESS_KEY_ID`` -> the name
        of the variable on this machine that holds the value. It sees no other keys
    """

    url: Annotated[str, Field(min_length=1)]
    tag: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None
    licence: Annotated[str, Field(min_length=1)]
    role: Literal["train", "test"]
    contrasts: Annotated[dict[Name, ContrastFiles], Field(min_length=1)]
    exclude: dict[Participants, str] = Field(default={})
    exclude_images: dict[str, str] = Field(default={})
    withdrawn: dict[Participant, str] = Field(default={})
    remotes: dict[Name, str] = Field(default={})
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$")] | None = None
    environment: dict[Variable, Variable] = Field(default={})

    @model_validator(mode="after")
    def _keys_have_a_host(self) -> Self:
        if self.environment and self.host is None:
            raise ValueError("environment names keys, so that host must name the only host that gets them")
        return self


class Registry(Block):
    """All entries of the registry by name."""

    datasets: dict[Name, Dataset]


class Frozen(NamedTuple):
    """A monitored participant and the test entry to which it belongs."""

    participant: str
    dataset: str


def load_registry(path: Path) -> Registry:
    """Read the registry and check it.

    Raises
    ------
    SettingsError
        The file is missing, is not YAML or has a newer schema, or a key, pattern or commit in it is wrong.
    """
    return _registry(load_yaml(path), path)


def _registry(value: object, path: Path) -> Registry:
    if not isinstance(value, dict):
        raise SettingsError(f"{path} must hold a mapping with keys 'schema' and 'datasets'.")
    schema = value.get("schema")
    if not isinstance(schema, int) or not 1 <= schema <= SCHEMA:
        raise SettingsError(f"{path} must say 'schema: {SCHEMA}', not {schema!r}.")
    entries = {key: value[key] for key in value if key != "schema"}
    registry: Registry = validate(Registry, entries, str(path), error=SettingsError)
    return registry


def entry(registry: Registry, name: str, path: Path = REGISTRY) -> Dataset:
    """Return the entry of a dataset; the error for an unknown name suggests the nearest one."""
    if name not in registry.datasets:
        known = ", ".join(sorted(registry.datasets))
        raise SettingsError(
            f"{path} has no dataset {name!r}{did_you_mean(name, registry.datasets)}; it has {known or 'none'}."
        )
    return registry.datasets[name]


def pinned(name: str, dataset: Dataset, path: Path = REGISTRY) -> str:
    """Return the pinned commit of an entry; the error for an entry without a commit says how to pin one."""
    if dataset.commit is None:
        way = f"run `cordrift pin {name}`, which asks {dataset.url} where tag {dataset.tag!r} points"
        if ":" not in dataset.url and not Path(dataset.url).exists():
            makes = GENERATED.get(dataset.url, "the command that makes the dataset, or correct its url")
            way = f"there is nothing at {dataset.url} yet: run {makes}; then it can be pinned"
        raise SettingsError(f"{path}: dataset {name!r} has no commit yet; {way}.")
    return dataset.commit


def read_frozen(path: Path) -> list[Frozen]:
    """Read the frozen participants, sorted.

    Raises
    ------
    SettingsError
        The table is missing, lacks the column ``participant`` or ``dataset``, or has a wrong or repeated row.
    """
    table = read_csv(path, text=("participant", "dataset"), error=SettingsError)
    missing = [name for name in Frozen._fields if name not in table.columns]
    if missing:
        raise SettingsError(f"{path} has no column {missing[0]!r}; expected schema, participant and dataset.")
    rows = [Frozen(str(p), str(d)) for p, d in zip(table["participant"], table["dataset"], strict=True)]
    for number, row in enumerate(rows):
        where = f"{path}, row {number + 1} below the header,"
        if row in rows[:number]:
            raise SettingsError(f"{where} lists {row.participant} of {row.dataset} more than once; delete the row.")
        if not row.participant.startswith("sub-") or not row.dataset:
            raise SettingsError(f"{where} must hold an id such as 'sub-amu01' and its dataset, not {tuple(row)}.")
    return sorted(rows)


def read_persons(path: Path) -> dict[tuple[str, str], str]:
    """Read which ids belong to one person: (dataset, participant) -> person. Most participants are not listed.

    Raises
    ------
    SettingsError
        The table is missing, lacks a column or has an empty cell, or lists one participant as two persons.
    """
    columns = ("person", "dataset", "participant")
    table = read_csv(path, text=columns, error=SettingsError)
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise SettingsError(f"{path} has no column {missing[0]!r}; expected schema, person, dataset and participant.")
    persons: dict[tuple[str, str], str] = {}
    for person, dataset, participant in table[list(columns)].itertuples(index=False):
        if not (person and dataset and participant):
            raise SettingsError(f"{path} has a row with an empty cell: {(person, dataset, participant)}.")
        if persons.setdefault((dataset, participant), person) != person:
            raise SettingsError(
                f"{path} lists {participant} of {dataset} as {persons[dataset, participant]!r} and as {person!r}."
            )
    return persons
