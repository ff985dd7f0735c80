"""The revision of the code is known in every checkout that git can read, whoever owns it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from stages.core.model.bundle.revision import REVISION, code_revision


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(REVISION, raising=False)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    words = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"]
    subprocess.run(["git", "-C", tmp_path, *words], check=True)
    return tmp_path


def _head(checkout: Path) -> str:
    words = ["git", "-c", f"safe.directory={checkout}", "-C", checkout, "rev-parse", "HEAD"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def test_it_names_the_commit(checkout: Path) -> None:
    assert code_revision(checkout).endswith(f"+{_head(checkout)}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder to another user")
def test_it_names_the_commit_in_a_checkout_of_another_owner(checkout: Path) -> None:
    """As in a container with a mounted checkout, where git alone refuses."""
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, 1234, 1234)
    assert subprocess.run(["git", "-C", checkout, "rev-parse"], capture_output=True, check=False).returncode
    assert code_revision(checkout).endswith(f"+{_head(checkout)}")


def test_a_folder_that_is_no_checkout_has_the_version_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REVISION, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "+" not in code_revision(tmp_path)
