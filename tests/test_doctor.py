"""doctor: a line for everything, whatever is broken, and no password in any of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_factory import entry, workspace

from stages import doctor
from stages.core.diagnosis.check import Check, guarded, lines
from stages.core.errors import CordriftError


def _raise(error: Exception) -> list[Check]:
    raise error


@pytest.mark.parametrize("error", [CordriftError("no store at https://bob:secret@lab.org/x"), OSError("bob:secret")])
def test_whatever_goes_wrong_in_a_check_is_its_line(error: Exception) -> None:
    (line,) = guarded("MLflow", lambda: _raise(error), "problem")
    assert (line.name, line.state) == ("MLflow", "problem")
    assert "https://bob:secret@" not in line.found


def test_problems_and_warnings_are_counted() -> None:
    checks = [Check("a", "ok", "x"), Check("b", "warning", "y", "do z"), Check("c", "problem", "w")]
    out = lines(checks)
    assert out[-1] == "3 checks, problems: 1, warnings: 1; `dvc repro` would stop."
    assert any(line.endswith("-> do z") for line in out)
    assert lines(checks[:1])[-1].endswith("nothing here stops `dvc repro`.")


def test_a_folder_that_is_no_workspace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        doctor.main([str(tmp_path)])
    assert stop.value.code == 1
    said = capsys.readouterr().out
    assert "params.yaml is missing" in said
    assert "Traceback" not in said
    assert "git-annex" in said, "the other checks still help"


def test_a_dataset_without_a_pin_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace(tmp_path, {"ds": entry("https://example.org/ds", None)}, [("sub-f1", "other")])
    with pytest.raises(SystemExit):
        doctor.main([str(tmp_path)])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "dataset ds" in line]
    assert line.startswith("problem")
    assert "cordrift pin ds" in line
