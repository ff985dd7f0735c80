"""A summary that lacks a digest, or has another type there, is a sentence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from stages.core.base.errors import PipelineError
from stages.core.base.files import write_json
from stages.core.tables.summary import TEXTS, read_summary

WHOLE: dict[str, Any] = {**dict.fromkeys(TEXTS, "x"), "cases": 4, "failed": 1}


def test_a_whole_summary_is_read(tmp_path: Path) -> None:
    write_json(tmp_path / "summary.json", WHOLE)
    assert read_summary(tmp_path / "summary.json") == {"schema": 1, "lost": {}, **WHOLE}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        *(({key: None}, f"has None as '{key}'; expected a text") for key in TEXTS),
        ({"ruler": 3}, "has 3 as 'ruler'; expected a text"),
        ({"cases": "four"}, "has 'four' as 'cases'; expected a number"),
        ({"cases": True}, "has True as 'cases'; expected a number"),
        ({"lost": ["shard"]}, "has ['shard'] as 'lost'; expected the lost shards by name"),
    ],
)
def test_a_summary_that_was_edited_or_cut_is_a_sentence(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    value = {key: one for key, one in {**WHOLE, **change}.items() if one is not None}
    write_json(tmp_path / "summary.json", value)
    with pytest.raises(PipelineError, match=re.escape(sentence)):
        read_summary(tmp_path / "summary.json", error=PipelineError)
