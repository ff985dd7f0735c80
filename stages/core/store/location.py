"""Where the MLflow store is, whether it still lies where its paths say, and how a moved one is mended."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import CordriftError, redact

#: Experiment tag that holds the folder in which its artifact paths were made.
ROOT_TAG = "cordrift.root"
#: Columns of MLflow's tables that hold absolute paths of artifacts (checked against MLflow 3.17).
PATH_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


@dataclass(frozen=True)
class Location:
    """One MLflow store.

    Attributes
    ----------
    uri : tracking URI; may hold credentials, so it is never shown: show ``name``
    database : the SQLite file of a local store, None for a server
    """

    uri: str
    database: Path | None

    @property
    def name(self) -> str:
        """The store in words that may be printed."""
        return str(self.database) if self.database else redact(self.uri)


def find(workspace: Path = Path()) -> Location:
    """Return the store of a workspace: ``MLFLOW_TRACKING_URI`` when set, else ``mlflow.db`` in it.

    Raises
    ------
    CordriftError
        The variable names neither an SQLite file nor a server.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI", "").strip() or "sqlite:///mlflow.db"
    if uri.startswith(("http://", "https://")):
        return Location(uri, None)
    name = uri.removeprefix("sqlite:///").partition("?")[0]
    if not uri.startswith("sqlite:///") or name in ("", ":memory:"):
        raise CordriftError(
            f"MLFLOW_TRACKING_URI is {redact(uri)!r}; expected the address of an MLflow server (https://...) or an "
            "SQLite file (sqlite:///mlflow.db). A database server and a bucket are reached through `mlflow server`."
        )
    database = (workspace / name).resolve()
    return Location(f"sqlite:///{database}", database)


def check(location: Location) -> None:
    """Refuse a local store that cannot be used as it lies; MLflow itself would retry for minutes.

    Raises
    ------
    CordriftError
        No such folder, not writable, not a database, or moved since its artifact paths were written.
    """
    if location.database is None:
        return
    folder = location.database.parent
    if not folder.is_dir():
        raise CordriftError(f"The MLflow store {location.database} cannot be made: there is no folder {folder}.")
    if not os.access(location.database if location.database.exists() else folder, os.W_OK):
        raise CordriftError(f"The MLflow store {location.database} is not writable for this user.")
    old = [root for root in roots(location.database) if root != str(folder)]
    if old:
        raise CordriftError(
            f"The MLflow store {location.database} was made in {' and '.join(old)}, and the artifact paths in it still "
            f"lead there. Run `cordrift store mend` in {folder}: it rewrites the paths, and nothing else."
        )


def roots(database: Path) -> list[str]:
    """Return the folders in which the experiments of a store were made; empty for a new store."""
    if not database.exists():
        return []
    with _opened(database) as store:
        tables = {row[0] for row in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "experiment_tags" not in tables:
            return []
        rows = store.execute("SELECT DISTINCT value FROM experiment_tags WHERE key = ? ORDER BY value", (ROOT_TAG,))
        return [str(row[0]) for row in rows]


def mend(database: Path, old_root: str, new_root: Path) -> int:
    """Lead the artifact paths of a moved store from ``old_root`` to ``new_root``, all or none.

    Returns
    -------
    How many paths were rewritten; paths elsewhere (a bucket, another disk) are left alone.
    """
    old, new = old_root.rstrip("/"), str(new_root.resolve())
    count = 0
    with _opened(database) as store, store:  # the second `store` is one transaction
        for table, column in PATH_COLUMNS:
            if column not in {row[1] for row in store.execute(f"PRAGMA table_info({table})")}:
                continue  # another version of MLflow
            # Whole folder names only: /lab/a must not match /lab/ab.
            sql = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column} || '/', 1, ?) = ?"  # noqa: S608 - names from PATH_COLUMNS
            count += store.execute(sql, (new, len(old) + 1, len(old) + 1, old + "/")).rowcount
        store.execute("UPDATE experiment_tags SET value = ? WHERE key = ? AND value = ?", (new, ROOT_TAG, old_root))
    return count


@contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(database)) as store:
            yield store
    except sqlite3.DatabaseError as error:
        raise CordriftError(f"{database} cannot be used as an MLflow store: {error}.") from error
