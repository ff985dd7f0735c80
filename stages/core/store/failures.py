"""Turning the errors of MLflow's client into sentences that say what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ..base.errors import StoreError, redact
from .location import Location


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
