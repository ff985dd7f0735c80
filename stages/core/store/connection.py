"""The connection to MLflow: quiet on the terminal, without telemetry, and given up soon when nobody answers."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..base.environment import environment
from .failures import explained
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

    A local store that does not exist is created. The client may be used after the block, with the usual time limits.

    Raises
    ------
    StoreError
        The store cannot be reached within some seconds, is not an MLflow store, or was moved.
    """
    check_location(location)
    _silence()
    with explained(location, "cannot be used"), environment(FIRST_REQUEST):
        from mlflow.tracking import MlflowClient

        yield MlflowClient(tracking_uri=location.uri, registry_uri=location.uri)


def _silence() -> None:
    """Set the variables that MLflow reads when it is imported, and keep those that the user has set."""
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    for name, level in (("mlflow", "ERROR"), ("alembic", "WARNING"), ("urllib3.connectionpool", "ERROR")):
        logging.getLogger(name).setLevel(level)
