"""``cordrift diff-metrics``: what a pull request moves, as a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages import diff_metrics
from stages.core.base.errors import CordriftError
from stages.core.base.files import write_json
from stages.core.drift.record.metrics import metrics_difference

OLD = {"candidate": {"dice_mean": 0.9, "n": 6, "hd95_mm": 1.5}, "passed": 0}
NEW = {"candidate": {"dice_mean": 0.925, "n": 4}, "passed": 1, "bias": {"contrasts": {"T1w": -0.5}}}


def test_every_number_of_both_is_a_row_and_what_is_absent_has_no_change() -> None:
    assert metrics_difference(OLD, NEW).splitlines() == [
        "| metric | old | new | change |",
        "|---|---:|---:|---:|",
        "| `bias.contrasts.T1w` | – | -0.5000 | – |",
        "| `candidate.dice_mean` | 0.9000 | 0.9250 | +0.0250 |",
        "| `candidate.hd95_mm` | 1.5000 | – | – |",
        "| `candidate.n` | 6 | 4 | -2 |",
        "| `passed` | 0 | 1 | +1 |",
    ]


def test_the_same_twice_shows_no_change() -> None:
    rows = metrics_difference(NEW, NEW).splitlines()[2:]
    assert [row.split("|")[4].strip() for row in rows] == ["+0.0000", "+0.0000", "+0", "+0"]


def test_the_command_reads_what_the_pipeline_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in (("old", OLD), ("new", NEW)):
        write_json(tmp_path / f"{name}.json", value)
    diff_metrics.main([str(tmp_path / "old.json"), str(tmp_path / "new.json")])
    shown = capsys.readouterr().out
    assert shown == metrics_difference(OLD, NEW) + "\n"
    assert "schema" not in shown


def test_a_file_that_is_absent_or_no_metrics_is_a_sentence(tmp_path: Path) -> None:
    write_json(tmp_path / "new.json", NEW)
    write_json(tmp_path / "other.json", {"verdict": {"drift": "drifted"}})
    with pytest.raises(CordriftError, match=r"absent.json is missing"):
        diff_metrics.main([str(tmp_path / "absent.json"), str(tmp_path / "new.json")])
    with pytest.raises(CordriftError, match=r"other.json cannot be compared: verdict.drift is 'drifted', no number"):
        diff_metrics.main([str(tmp_path / "new.json"), str(tmp_path / "other.json")])
