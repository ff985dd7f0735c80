"""Where the MLflow store of a workspace is, and how the paths in a local store are repaired after a move.

This module is the only one that reads ``MLFLOW_TRACKING_URI``.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import StoreError, redact

#: Environment variable that names the store, and the store that is meant where the variable is not set.
VARIABLE, DEFAULT = "MLFLOW_TRACKING_URI", "sqlite:///mlflow.db"
#: Tag of an experiment: the folder in which the store lay when the artifact paths were written.
ROOT_TAG = "cordrift.root"
#: Columns of MLflow's tables that hold absolute paths of artifacts (verified with MLflow 3.17).
PATH_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


@dataclass(frozen=True)
class Location:
    """The place of one MLflow store.

    Attributes
    ----------
    uri : tracking URI. It may contain credentials, so print ``name`` instead.
    database : the SQLite file of a local store; None for a server
    """

    uri: str
    database: Path | None

    @property
    def name(self) -> str:
        """The file or address of the store, without credentials."""
        return str(self.database) if self.database else redact(self.uri)


def find_location(workspace: Path = Path()) -> Location:
    """Return where the store of a workspace is: what ``MLFLOW_TRACKING_URI`` names, else ``mlflow.db`` in the folder.

    Raises
    ------
    StoreError
        The variable names neither an SQLite file nor a server, or the path of the file has a character that changes
        addresses.
    """
    uri = os.environ.get(VARIABLE, "").strip() or DEFAULT
    if uri.startswith(("http://", "https://")):
        return Location(uri, None)
    name = uri.removeprefix("sqlite:///").partition("?")[0]
    if not uri.startswith("sqlite:///") or name in ("", ":memory:"):
        raise StoreError(
            f"{VARIABLE} is {redact(uri)!r}; expected the address of an MLflow server (https://...) or an "
            f"SQLite file ({DEFAULT}). A database server and a bucket are reached through `mlflow server`."
        )
    database = (workspace / name).resolve()
    odd = sorted({character for character in "?%" if character in str(database)})
    if odd:
        raise StoreError(
            f"the MLflow store would be {database}, whose path holds {' and '.join(odd)}: MLflow reads it as an "
            f"address, and would put the store elsewhere. Move the checkout to a folder without {' and '.join(odd)}, "
            f"or let {VARIABLE} name a store in such a folder, or a server."
        )
    return Location(f"sqlite:///{database}", database)


def is_named() -> bool:
    """Tell whether ``MLFLOW_TRACKING_URI`` names a store, so that no workspace uses a store of its own."""
    return bool(os.environ.get(VARIABLE, "").strip())


def forget_server() -> None:
    """Make every workspace use its own local store, in this process and in those that it starts."""
    os.environ.pop(VARIABLE, None)


def check_location(location: Location) -> None:
    """Refuse a local store that cannot be used; MLflow itself would try for minutes.

    Raises
    ------
    StoreError
        The folder is missing, the store is not writable or not a database, or it was moved after its artifact paths
        were written.
    """
    if location.database is None:
        return
    folder = location.database.parent
    if not folder.is_dir():
        raise StoreError(f"The MLflow store {location.database} cannot be created: there is no folder {folder}.")
    if not os.access(location.database if location.database.exists() else folder, os.W_OK):
        raise StoreError(f"The MLflow store {location.database} is not writable for this user.")
    old = [root for root in artifact_roots(location.database) if root != str(folder)]
    if old:
        raise StoreError(
            f"The MLflow store {location.database} was made in {' and '.join(old)}, and the artifact paths in it still "
            f"lead there. Run `cordrift store mend` in {folder}: it rewrites these paths and changes nothing else."
        )


def artifact_roots(database: Path) -> list[str]:
    """Return the folders to which the artifact paths of a store lead; empty for a new store."""
    if not database.exists():
        return []
    with _connection(database) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "experiment_tags" not in tables:
            return []
        query = "SELECT DISTINCT value FROM experiment_tags WHERE key = ? ORDER BY value"
        return [str(row[0]) for row in connection.execute(query, (ROOT_TAG,))]


def mend_paths(database: Path, old_root: str, new_root: Path) -> int:
    """Rewrite the artifact paths of a moved store from ``old_root`` to ``new_root`` in one transaction.

    Returns
    -------
    The number of paths that were rewritten. Paths outside ``old_root`` (a bucket, another disk) stay as they are.
    """
    old, new = old_root.rstrip("/"), str(new_root.resolve())
    count = 0
    with _connection(database) as connection, connection:  # the second `connection` is the transaction
        for table, column in PATH_COLUMNS:
            if column not in {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}:
                continue  # other versions of MLflow lack some of these columns
            # The slash restricts the match to whole folder names: /lab/a must not match /lab/ab.
            sql = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column} || '/', 1, ?) = ?"  # noqa: S608 - names from PATH_COLUMNS
            count += connection.execute(sql, (new, len(old) + 1, len(old) + 1, old + "/")).rowcount
        retag = "UPDATE experiment_tags SET value = ? WHERE key = ? AND value = ?"
        connection.execute(retag, (new, ROOT_TAG, old_root))
    return count


@contextmanager
def _connection(database: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(database)) as connection:
            yield connection
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{database} cannot be used as an MLflow store: {error}.") from error
