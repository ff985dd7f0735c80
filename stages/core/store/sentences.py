"""MLflow kept quiet, private and quick to give up, and its errors as sentences."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from ..base.environment import environment
from ..base.errors import CordriftError, redact
from .location import Location

#: Silence and privacy: no telemetry, no progress bars, no addresses (with credentials) on the terminal.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # MLflow's 7 are four minutes of silence
}
#: The first question to a server is a short one: a wrong address must be told at once.
GREETING = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
}


def hush() -> None:
    """Set what MLflow reads when it is imported; what the user set stays."""
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    for name, level in (("mlflow", "ERROR"), ("alembic", "WARNING"), ("urllib3.connectionpool", "ERROR")):
        logging.getLogger(name).setLevel(level)


def greeting() -> AbstractContextManager[None]:
    """Ask briefly and rarely in this block (MLflow reads its settings from the environment only)."""
    return environment(GREETING)


@contextmanager
def sentences(location: Location, what: str) -> Iterator[None]:
    """Turn what MLflow raises into a sentence; ``from None``, since its own words hold the credentials."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError, OSError) as error:
        raise CordriftError(f"MLflow at {location.name} {what}: {_why(error)}. {_way_out(location)}") from None


def _why(error: Exception) -> str:
    lines = redact(str(error)).strip().splitlines() or [type(error).__name__]
    cause = re.search(r"Caused by \w+\(.*?\): (.*?)['\")]*$", lines[0])
    return f"no connection ({cause[1]})" if cause else lines[0].rstrip(".")


def _way_out(location: Location) -> str:
    if location.database is not None:
        folder = location.database.parent
        return f"Look at the store with `cordrift dashboard`, or at the rights and free space of {folder}."
    return (
        "Start the server, correct MLFLOW_TRACKING_URI (credentials: MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN), or set history.offline to true in params.yaml: nothing "
        "is judged or registered then."
    )
