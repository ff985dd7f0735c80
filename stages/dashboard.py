"""Command ``cordrift dashboard``: open MLflow's pages on the store of a workspace."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .core.base.errors import SettingsError, StoreError, run
from .core.store.client import experiments
from .core.store.location import check_location, find_location

#: Switches off the background jobs, which start more processes, and the telemetry.
DASHBOARD_ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
#: What MLflow's addresses need, so that they show models and not traces of chats.
PAGES = "workflowType=machine_learning"
#: The workspace of `cordrift demo`.
DEMO = Path(".demo")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the address and become MLflow's server; for the server of a team only print the address."""
    parser = argparse.ArgumentParser(prog="cordrift dashboard", description=__doc__)
    parser.add_argument("--workspace", type=Path, help="folder with the store (default: this one, else the demo's)")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument(
        "--host", default="127.0.0.1", help="0.0.0.0 shows the pages to the whole network, without a password"
    )
    options = parser.parse_args(arguments)
    location = find_location(options.workspace or Path())
    if (
        options.workspace is None
        and location.database is not None
        and not location.database.is_file()
        and DEMO.is_dir()
    ):
        location = find_location(DEMO)
    if location.database is not None and not location.database.is_file():
        raise StoreError(
            f"There is no MLflow store at {location.database} yet; `make demo` or `dvc repro` creates one, "
            "`--workspace` names another folder."
        )
    check_location(location)
    if location.database is None:
        found = experiments(location)  # an error where the server does not answer
        print(f"The dashboard of the team's store is {location.name}")
        _print_pages(location.name, found)
        return
    command = server(location.database, options.host, _free(options.host, options.port))
    address = f"http://{options.host}:{options.port}"
    print(f"Dashboard of {location.database}: {address}")
    _print_pages(address, experiments(location))
    print("(ready in about 10 seconds; Ctrl-C ends it)")
    sys.stdout.flush()  # execve discards what is still buffered
    os.execve(sys.executable, command, {**os.environ, **DASHBOARD_ENVIRONMENT})  # noqa: S606 - an argument list, no shell


def _print_pages(address: str, found: Mapping[str, str]) -> None:
    """Print the pages worth opening: MLflow opens an empty page for chat models first."""
    for name, number in sorted(found.items()):
        print(f"Runs of {name}, with verdicts: {address}/#/experiments/{number}/runs?{PAGES}")
    print(f"Models and their versions: {address}/#/models?{PAGES}")


def server(database: Path, host: str, port: int) -> list[str]:
    """Return the command line of MLflow's server, with one worker, which starts in half the time of four."""
    options = {"--backend-store-uri": f"sqlite:///{database}", "--host": host, "--port": str(port), "--workers": "1"}
    flat = [word for option in options.items() for word in option]
    # The server reads artifacts from their folder, so that it need not receive uploads.
    return [sys.executable, "-m", "mlflow", "server", *flat, "--no-serve-artifacts"]


def _free(host: str, port: int) -> int:
    """Return ``port`` if a server can listen there; MLflow would print a stack trace after ten seconds."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise SettingsError(f"{host}:{port} cannot be used: {error}; choose another with `--port`.") from error
    return port


if __name__ == "__main__":
    run(main)
