"""Before a download each remote is asked for one file, so that a host that does not answer is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.difficult_fetch import fetched, make_bucket, register

from stages import fetch
from stages.core.base.errors import CordriftError
from stages.core.data.clones import probe
from stages.core.data.clones.programs import git

pytestmark = pytest.mark.slow


@pytest.fixture
def bucket(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_bucket(source, tmp_path, monkeypatch)


def test_a_host_that_does_not_answer_is_named_before_anything_is_downloaded(
    bucket: Path, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    register("ds", source, remotes={"bucket": "external:bucket"})
    (bucket / "silent").touch()
    monkeypatch.setattr(probe, "LIMIT_S", 2.0)
    with pytest.raises(CordriftError, match=r"no remote of dataset 'ds' answers: bucket \(.*no answer within 2 s"):
        fetch.main(["--dataset", "ds"])
    assert "fetch ds: asking bucket" in capsys.readouterr().err
    assert "RETRIEVE" not in (bucket / "log").read_text()
    (bucket / "silent").unlink()
    assert fetched() == 9


def test_of_two_remotes_only_the_one_that_answers_is_asked(
    bucket: Path, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    git(source, ["annex", "get", "--quiet", "."])
    register("ds", source, remotes={"bucket": "external:bucket"})
    (bucket / "log").write_text("")
    (bucket / "silent").touch()
    monkeypatch.setattr(probe, "LIMIT_S", 2.0)
    assert fetched() == 9
    assert "not asked, because they do not answer: bucket (no address): no answer within 2 s" in capsys.readouterr().err
    assert "RETRIEVE" not in (bucket / "log").read_text()
