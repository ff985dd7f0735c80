"""The connection to MLflow: without telemetry, quiet on the terminal, and with errors that say what to do."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..base.environment import environment
from ..base.errors import StoreError, redact
from ..base.files import PART, remove_parts
from .location import Location, check_location

#: What MLflow reads when it is imported: no telemetry, no progress bars, no addresses (with credentials) in the output.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # MLflow's own 7 retries last four minutes
}
#: Shorter limits for the first request, so that a wrong address is reported within seconds.
FIRST_REQUEST = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
}


@contextmanager
def connected(location: Location) -> Iterator[Any]:
    """Yield MLflow's client for a store; make the first request within the block.

    A local store that does not exist is created, whole or not at all. The client may be used after the block, with the
    usual time limits.

    Raises
    ------
    StoreError
        The store cannot be reached within some seconds, is not an MLflow store, or was moved.
    """
    check_location(location)
    _silence()
    with explained(location, "cannot be used"), environment(FIRST_REQUEST):
        from mlflow.tracking import MlflowClient

        if location.database is not None and not location.database.exists():
            _create(location.database, MlflowClient)
        yield MlflowClient(tracking_uri=location.uri, registry_uri=location.uri)


def _create(database: Path, client: Any) -> None:
    """Let MLflow make its tables in a temporary file, and give this its name when they are complete.

    MLflow makes them in many steps, and refuses for ever a file in which the last ones are missing.
    """
    remove_parts(database.parent, f"{PART}{database.name}-*")
    with tempfile.TemporaryDirectory(prefix=f"{PART}{database.name}-", dir=database.parent) as folder:
        part = Path(folder, database.name)
        client(tracking_uri=f"sqlite:///{part}").search_experiments(max_results=1)
        # A link, unlike a renaming, never replaces the store that another process has made meanwhile.
        with contextlib.suppress(FileExistsError):
            os.link(part, database)


def _silence() -> None:
    """Set the variables that MLflow reads when it is imported, and keep those that the user has set."""
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    for name, level in (("mlflow", "ERROR"), ("alembic", "WARNING"), ("urllib3.connectionpool", "ERROR")):
        logging.getLogger(name).setLevel(level)


@contextmanager
def explained(location: Location, what: str) -> Iterator[None]:
    """Raise a failure of MLflow within the block as a :class:`StoreError` that reads ``MLflow at <name> <what>: ...``.

    The original error is suppressed (``from None``), because its text may contain the password of the server.
    """
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError, OSError) as error:
        raise StoreError(f"MLflow at {location.name} {what}: {_cause(error)}. {_advice(location)}") from None


def _cause(error: Exception) -> str:
    """Return the first line of an error without credentials, or the innermost cause of a failed connection."""
    lines = redact(str(error)).strip().splitlines() or [type(error).__name__]
    cause = re.search(r"Caused by \w+\(.*?\): (.*?)['\")]*$", lines[0])
    return f"no connection ({cause[1]})" if cause else lines[0].rstrip(".")


def _advice(location: Location) -> str:
    if location.database is not None:
        folder = location.database.parent
        return f"Look at the store with `cordrift dashboard`, or at the rights and free space of {folder}."
    return (
        "Start the server, correct MLFLOW_TRACKING_URI (credentials: MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN), or set history.offline to true in params.yaml: nothing "
        "is judged or registered then."
    )
