"""Reading, writing and hashing files; a file or folder is written completely or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .errors import CordriftError

#: How the names of temporary files and folders begin, and for how many seconds nobody removes them.
PART, RECENT_S = ".part-", 60.0
#: Beginnings of texts that a spreadsheet would compute, and of texts that look as if they had got their ``'`` already.
_COMPUTED = ("=", "+", "-", "@", "\t", "\r", "'=", "'+", "'-", "'@")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|-|\+")
#: The schema number in every JSON and CSV file that this version writes. A reader refuses a larger number.
SCHEMA = 1


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file beside ``path``, which becomes ``path`` when the block ends without error.

    What a killed process left of an earlier writing of this file is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_parts(path.parent, f"{PART}*-{glob.escape(path.name)}")
    # The temporary name keeps the ending, because nibabel and numpy choose the format by it.
    handle, name = tempfile.mkstemp(prefix=PART, suffix="-" + path.name, dir=path.parent)
    part = Path(name)
    with _held(handle):
        try:
            yield part
            umask = os.umask(0)
            os.umask(umask)
            part.chmod(0o666 & ~umask)  # mkstemp allows only the owner to read; others in the lab must read it too
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``, which replaces ``path`` when the block ends without error.

    What a killed process left of an earlier writing of this folder is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_parts(path.parent, f"{PART}{glob.escape(path.name)}-*")
    part = Path(tempfile.mkdtemp(prefix=f"{PART}{path.name}-", dir=path.parent))
    with _held(os.open(part, os.O_RDONLY)):
        try:
            yield part
            umask = os.umask(0)
            os.umask(umask)
            part.chmod(0o777 & ~umask)
            if path.exists():
                shutil.rmtree(path)
            part.replace(path)
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _held(handle: int) -> Iterator[None]:
    """Mark an open file or folder as in use. The operating system ends that with the process, however it ends."""
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def remove_parts(folder: Path, pattern: str = f"{PART}*") -> list[Path]:
    """Remove temporary files and folders that killed processes left in ``folder``, and return them.

    Those that a process uses stay, and so do those of the last minute, since a process that has just made one has not
    marked it yet.
    """
    removed = []
    for path in sorted(folder.glob(pattern)):
        try:
            if path.is_symlink() or time.time() - path.stat().st_mtime < RECENT_S:
                continue
            handle = os.open(path, os.O_RDONLY)
        except OSError:  # another process removed it, or it belongs to another user
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        finally:
            os.close(handle)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        removed.append(path)
    return removed


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a JSON value in canonical form (sorted keys, no white space, no NaN)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write ``value`` and the schema number as JSON.

    The keys are sorted, so that the same value gives the same bytes. NaN is refused, because JSON has none: an
    undefined number is written as ``None``.
    """
    text = json.dumps({"schema": SCHEMA, **value}, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    with whole_file(path) as part:
        part.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path, *, error: type[CordriftError] = CordriftError) -> dict[str, Any]:
    """Read a JSON object that :func:`write_json` wrote.

    Parameters
    ----------
    path : the file
    error : the class of the error that a fault of the file raises

    Raises
    ------
    CordriftError
        The file is missing, is not a JSON object, or has a schema number that this version does not know.
    """
    if not path.is_file():
        raise error(f"{path} is missing; `dvc repro` or `dvc pull` makes it.")
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as fault:
        raise error(f"{path} is not valid JSON: {fault}.") from fault
    if not isinstance(value, dict):
        raise error(f"{path} must hold a JSON object, not a {type(value).__name__}.")
    _check_schema(path, value.get("schema"), error)
    return value


def _inert(cell: Any) -> Any:
    """Put a ``'`` before a text that a spreadsheet would compute; a number that is written as text is harmless."""
    if not isinstance(cell, str) or not cell.startswith(_COMPUTED) or _NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}"


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV: ``schema`` is its first column, numbers have ten digits, undefined cells are empty.

    A spreadsheet would compute a text such as ``=HYPERLINK(...)``, and names come from outside. Such a text gets a
    ``'`` before it, as people write it in spreadsheets; :func:`read_csv` takes it away.
    """
    out = table.drop(columns="schema", errors="ignore")
    for name in out.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in out.dtypes]]:
        out[name] = out[name].map(_inert)
    out.insert(0, "schema", SCHEMA)
    with whole_file(path) as part:
        out.to_csv(part, index=False, float_format="%.10g", lineterminator="\n")


def read_csv(path: Path, *, text: tuple[str, ...] = (), error: type[CordriftError] = CordriftError) -> pd.DataFrame:
    """Read a table that :func:`write_csv` wrote.

    Parameters
    ----------
    path : the file
    text : columns that are read as strings; an empty cell in them is ``""``
    error : the class of the error that a fault of the file raises

    Raises
    ------
    CordriftError
        The file is missing or is no table, or its column ``schema`` is missing or holds a number that this version does
        not know.
    """
    if not path.is_file():
        raise error(f"{path} is missing; `dvc repro` or `dvc pull` makes it.")
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(text, "object"), keep_default_na=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as fault:
        reason = str(fault).strip().rstrip(".")
        raise error(f"{path} is not a table of comma-separated values in UTF-8: {reason}.") from fault
    if "schema" not in table.columns:
        raise error(f"{path} has no column 'schema': it was not written by cordrift.")
    for schema in table["schema"].unique():
        _check_schema(path, schema, error)
    for name in text:
        if name in table.columns:
            table[name] = table[name].fillna("").astype(str).map(lambda cell: cell[1:] if _guarded(cell) else cell)
    return table


def _guarded(cell: str) -> bool:
    return cell.startswith("'") and cell[1:].startswith(_COMPUTED)


def _check_schema(path: Path, schema: Any, error: type[CordriftError]) -> None:
    if isinstance(schema, bool) or not isinstance(schema, int | np.integer) or schema < 1:
        raise error(f"{path} carries no schema number; expected 1 to {SCHEMA}.")
    if schema > SCHEMA:
        raise error(f"{path} has schema {schema}, this cordrift reads up to {SCHEMA}; install a newer cordrift.")
