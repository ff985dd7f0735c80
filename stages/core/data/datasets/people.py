"""What a table of participants says of people."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path

import pandas as pd

from ...base.errors import DatasetError
from .manifest import Manifest, Participant

#: Column of the ids in participants.tsv.
ID_COLUMN = "participant_id"
#: Column of the manifest -> columns of participants.tsv; the first of them that has a value is used.
_COLUMNS = {
    "site": ("institution_id", "institution"),
    "manufacturer": ("manufacturer",),
    "sex": ("sex",),
    "age": ("age",),
    "pathology": ("pathology",),
}


def decode_table(content: bytes, name: str) -> tuple[str, str]:
    """Return the text of a table, and a warning where it is not in UTF-8; ``name`` is that of the file.

    Spreadsheets write a byte-order mark, UTF-16 or Latin-1. BIDS asks for UTF-8.

    >>> decode_table("Z\xfcrich".encode("latin-1"), "participants.tsv")[0]
    'Z\xfcrich'
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace"), f"{name} is in UTF-16; expected UTF-8, as BIDS asks."
    try:
        return content.decode("utf-8-sig"), ""
    except UnicodeDecodeError as error:
        why = f"byte {error.start} (0x{content[error.start]:02x}) is not UTF-8"
        return content.decode("latin-1"), f"{name} is read as Latin-1, because its {why}; save it as UTF-8."


def participants(names: Iterable[str], table: str) -> list[Participant]:
    """Return the rows of participants.tsv for some participants, sorted; who has no row has empty fields.

    Columns are found whatever their case, and ids with or without ``sub-``.

    Parameters
    ----------
    names : ids such as ``sub-01``
    table : the text of that file
    """
    rows = _rows(table)
    return [
        Participant(participant=sub, **{field: _cell(rows.get(sub, {}), names) for field, names in _COLUMNS.items()})
        for sub in sorted(set(names))
    ]


def without_row(names: Iterable[str], table: str) -> list[str]:
    """Return the participants of whom participants.tsv has no row, sorted; arguments as for :func:`participants`."""
    return sorted(set(names) - _rows(table).keys())


def _rows(table: str) -> dict[str, dict[str, str]]:
    """Return the rows of the table by participant, ids with ``sub-``, names of columns in small letters."""
    head, line, rest = table.partition("\n")
    found = {}
    for row in csv.DictReader(StringIO(head.strip("\r").lower() + line + rest), delimiter="\t"):
        sub = (row.get(ID_COLUMN) or "").strip()
        if sub:
            found[sub if sub.startswith("sub-") else f"sub-{sub}"] = row
    return found


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
            text, _ = decode_table(path.read_bytes(), path.name)
        except OSError as error:
            raise DatasetError(f"{path} cannot be read ({error}); expected a participants.tsv.") from error
        if ID_COLUMN not in text.partition("\n")[0].lower().rstrip("\r").split("\t"):
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
