"""What holds for every test, and the fixtures that several modules share."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from support.github_api import GitHubServer

    from stages.core.release.github.repository import Repository

# A deadline per example fails on a busy machine; how fast a thing is, the benchmarks say. The examples are the same in
# every run, so that a fork is not red by chance; an example that once failed stands in its test with `@example`.
settings.register_profile("untimed", deadline=None, derandomize=True)
settings.load_profile("untimed")


#: Modules that run whole pipelines, the longest ones first.
LONG = ("loop", "workflows", "kills", "new", "withdrawal_whole", "rendering", "remotes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes, so that at the end no worker waits for another one."""
    ranks = {f"test_{name}": rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(LONG)))


@pytest.fixture(scope="session", autouse=True)
def _apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests away from the MLflow server that the shell may name, and from the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp().parent / "cache"))
        yield


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    """Spare the collector what is loaded: with torch and MLflow in the process, each of its passes takes long."""
    gc.freeze()


@pytest.fixture(scope="session")
def warm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables with which stages of programs that a test starts run where the libraries are loaded already."""
    from support.warm_server import warm

    with warm(tmp_path_factory.mktemp("warm")) as variables:
        yield variables


@pytest.fixture(scope="module")
def warm_stages(warm_server: dict[str, str]) -> Iterator[None]:
    """Set these variables for all tests of a module."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in warm_server.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small DataLad dataset, made once for the tests of a module."""
    from support.data_factory import make_dataset
    from support.difficult_fetch import PEOPLE

    path = tmp_path_factory.mktemp("published") / "ds"
    make_dataset(path, PEOPLE)
    return path


@pytest.fixture
def source(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the dataset, to spoil at will, and a workspace beside it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(published, tmp_path / "ds", symlinks=True)
    return tmp_path / "ds"


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubServer]:
    """A server on loopback that speaks GitHub's API."""
    from support.github_api import GitHubServer

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with GitHubServer() as server:
        yield server
        assert server.violations == [], "a token reached the storage host"


@pytest.fixture
def github_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds between attempts; the test does not really wait."""
    from stages.core.release.github import retry

    waited: list[float] = []
    monkeypatch.setattr(retry, "sleep", waited.append)
    return waited


@pytest.fixture
def repository(github: GitHubServer, github_waits: list[float]) -> Repository:
    """The server's repository, with the token that may write."""
    from stages.core.release.github.repository import open_repository

    return open_repository(github.environment())
