"""What a table of participants says of people."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path

import pandas as pd

from ...base.errors import DatasetError
from .manifest import Manifest, Participant

#: Column of the manifest -> columns of participants.tsv; the first of them that has a value is used.
_COLUMNS = {
    "site": ("institution_id", "institution"),
    "manufacturer": ("manufacturer",),
    "sex": ("sex",),
    "age": ("age",),
    "pathology": ("pathology",),
}


def participants(names: Iterable[str], table: str) -> list[Participant]:
    """Return the rows of participants.tsv for some participants, sorted; ``table`` is the text of that file."""
    rows = {row.get("participant_id") or "": row for row in csv.DictReader(StringIO(table), delimiter="\t")}
    return [
        Participant(participant=sub, **{field: _cell(rows.get(sub, {}), names) for field, names in _COLUMNS.items()})
        for sub in sorted(set(names))
    ]


def people_of_table(path: Path | None, cases: pd.DataFrame) -> pd.DataFrame:
    """Return dataset and the columns of :class:`Participant` for everybody in some cases, from a participants.tsv.

    Parameters
    ----------
    path : of the table; None where there is none, and then only the names are known
    cases : columns dataset, participant

    Raises
    ------
    DatasetError
        The file cannot be read, or has no column participant_id.
    """
    text = "participant_id\n"
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(f"{path} cannot be read ({error}); expected a participants.tsv in UTF-8.") from error
        if "participant_id" not in text.partition("\n")[0].split("\t"):
            raise DatasetError(f"{path} has no column participant_id; expected a participants.tsv, separated by tabs.")
    people = [person.model_dump() for person in participants(cases["participant"], text)]
    table = pd.DataFrame(people, columns=list(Participant.model_fields), dtype=object)
    return cases[["dataset", "participant"]].drop_duplicates().merge(table, on="participant")


def people_of_manifests(manifests: Iterable[Manifest]) -> pd.DataFrame:
    """Return the same columns for everybody in some manifests."""
    rows = [{"dataset": m.dataset, **person.model_dump()} for m in manifests for person in m.participants]
    return pd.DataFrame(rows, columns=["dataset", *Participant.model_fields], dtype=object)


def _cell(row: dict[str, str], names: Sequence[str]) -> str:
    """Return the first value of a row among the columns ``names``; ``""`` where all are empty or ``n/a``."""
    values = ((row.get(name) or "").strip() for name in names)
    return next((value for value in values if value and value.lower() != "n/a"), "")
