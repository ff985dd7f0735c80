"""Command ``cordrift dashboard``: MLflow's pages on the store of a workspace."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from .core.base.errors import CordriftError, run
from .core.store.location import check_location, find_location

#: Not needed to look at runs: its background jobs start more processes, and the telemetry leaves the machine.
ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
#: Where `cordrift demo` works.
DEMO = Path(".demo")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the address, then become MLflow's server; of a team server only the address is printed."""
    parser = argparse.ArgumentParser(prog="cordrift dashboard", description=__doc__)
    parser.add_argument("--workspace", type=Path, help="folder with the store (default: this one, else the demo's)")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 shows it to the network, without a password")
    options = parser.parse_args(arguments)
    place = find_location(options.workspace or Path())
    if options.workspace is None and place.database is not None and not place.database.is_file() and DEMO.is_dir():
        place = find_location(DEMO)
    if place.database is None:
        print(f"The dashboard of the team's store is {place.name}")
        return
    if not place.database.is_file():
        raise CordriftError(
            f"There is no MLflow store at {place.database} yet; `make demo` or `dvc repro` makes one, "
            "`--workspace` names another folder."
        )
    check_location(place)
    command = server(place.database, options.host, _free(options.host, options.port))
    address = f"http://{options.host}:{options.port}"
    print(f"Dashboard of {place.database}: {address}")
    # MLflow opens on a page for chat models; this one lists what is here.
    print(f"Models, their versions and verdicts: {address}/#/models?workflowType=machine_learning")
    print("(ready in about 10 seconds; Ctrl-C ends it)")
    sys.stdout.flush()  # exec does not
    os.execve(sys.executable, command, {**os.environ, **ENVIRONMENT})  # noqa: S606 - an argument list, no shell


def server(database: Path, host: str, port: int) -> list[str]:
    """Return the command line of MLflow's server; one worker answers in half the time that four take."""
    options = {"--backend-store-uri": f"sqlite:///{database}", "--host": host, "--port": str(port), "--workers": "1"}
    flat = [word for option in options.items() for word in option]
    # Artifacts are read from their folder: a proxy for uploads is not wanted here.
    return [sys.executable, "-m", "mlflow", "server", *flat, "--no-serve-artifacts"]


def _free(host: str, port: int) -> int:
    """Return ``port`` when a server may listen there; MLflow would print a stack trace after ten seconds."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise CordriftError(f"{host}:{port} cannot be used: {error}; choose another with `--port`.") from error
    return port


if __name__ == "__main__":
    run(main)
