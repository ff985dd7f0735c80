"""Who decides is known, or asked for."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from stages.core.base.errors import SettingsError
from stages.core.data.clones.programs import person


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose git knows no user."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("nobody")
def test_the_option_comes_first_then_git_then_the_login_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "login")
    assert person(None) == "login"
    (tmp_path / "none").write_text("[user]\nname = Ada\n")
    assert person(None) == "Ada"
    assert person("Grace") == "Grace"


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found"), OSError("no login")])
def test_a_user_without_a_name_is_asked_for_one(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", fail)
    with pytest.raises(SettingsError, match="say it with --by NAME"):
        person(None)
