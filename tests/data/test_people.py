"""participants.tsv: read as spreadsheets write it, and whom it says nothing about."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from support.cases import fetch_case

from stages.core.base.errors import DatasetError
from stages.core.data.datasets.people import decode_table, participants, people_of_table, without_row

TABLE = "participant_id\tsex\tage\tpathology\tinstitution_id\tmanufacturer\nsub-01\tF\t31\tHC\tZürich\tSiemens\n"


@pytest.mark.parametrize(
    ("content", "warns"),
    [
        pytest.param(TABLE.encode(), False, id="UTF-8"),
        pytest.param(TABLE.encode("utf-8-sig"), False, id="byte-order mark"),
        pytest.param(TABLE.encode("utf-16"), True, id="UTF-16"),
        pytest.param(TABLE.encode("utf-16-be").join([b"\xfe\xff", b""]), True, id="UTF-16, big-endian"),
        pytest.param(TABLE.encode("latin-1"), True, id="Latin-1"),
        pytest.param(TABLE.replace("sub-01", "01").encode(), False, id="id without sub-"),
        pytest.param(
            TABLE.replace("participant_id\tsex", "Participant_ID\tSex").encode(), False, id="header in capitals"
        ),
        pytest.param(TABLE.replace("\n", "\r\n").encode(), False, id="line ends of Windows"),
        pytest.param(TABLE.replace("sub-01", "sub-01 ").encode(), False, id="a blank after the id"),
    ],
)
def test_participants_tsv_is_read_as_spreadsheets_write_it(content: bytes, warns: bool) -> None:
    text, doubt = decode_table(content, "participants.tsv")
    (row,) = participants(["sub-01"], text)
    assert (row.sex, row.age, row.pathology, row.site, row.manufacturer) == ("F", "31", "HC", "Zürich", "Siemens")
    assert bool(doubt) == warns
    assert without_row(["sub-01", "sub-02"], text) == ["sub-02"]


@pytest.mark.parametrize(
    "table",
    [
        TABLE.replace("sub-01", "sub-patient01"),
        TABLE.replace("participant_id", "id"),
        TABLE.replace("\t", ","),
        "participant_id\tsex\n",
    ],
)
def test_a_table_that_fits_nobody_is_said(table: str) -> None:
    assert without_row(["sub-01"], table) == ["sub-01"]
    assert participants(["sub-01"], table)[0].sex == ""


@pytest.mark.parametrize("case", ["participants-bom", "participants-latin1", "participants-id-without-sub"])
def test_cases_of_participants_tables(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people = fetch_case(case, tmp_path, monkeypatch).participants
    assert {person.sex for person in people} <= {"F", "M"}
    assert all(person.age and person.pathology for person in people)


def test_a_folder_in_the_place_of_the_table_is_said(tmp_path: Path) -> None:
    cases = pd.DataFrame({"dataset": ["ds"], "participant": ["sub-01"]})
    with pytest.raises(DatasetError, match=r"cannot be read \(.*\); expected a participants.tsv"):
        people_of_table(tmp_path, cases)
