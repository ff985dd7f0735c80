"""Steps for the tests of many processes: workers import them from here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stages.core.base.errors import DatasetError, run
from stages.core.model.spread.cluster import LOCAL, spread
from stages.core.model.spread.steps import Once, Steps

ROOT = Path(__file__).parents[2]


def _read(item: int) -> int:
    return item + 1


def _compute(item: int, read: int) -> int:
    if item == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    if item == 5:
        raise DatasetError("the clone is not as it was fetched")
    return item * read


def _lost(item: int, why: str) -> str:
    return f"{item}: {why}"


def steps_into(folder: Path) -> Steps[int, int, int, str]:
    """Return steps that write a file for each item; 4 kills its process, and 5 ends the run."""

    def make() -> int:
        with (folder / f"made-{os.getpid()}").open("a") as file:
            file.write("x")
        return os.getpid()

    made = Once(make)

    def write(item: int, found: int) -> str:
        (folder / str(item)).write_text(f"{found}")
        return f"{found} by {made()}"

    return Steps(_read, _compute, write, _lost)


def wait_for_ever() -> None:
    """Work on items that never end, in processes of this machine and in this folder, until somebody interrupts it."""

    def compute(item: int, _: int) -> int:
        Path("begun").write_text("")
        time.sleep(600)
        return item

    steps = Steps(_read, compute, compute, _lost)
    run(lambda: print(list(spread([1, 2, 3], steps, LOCAL, threads=1, folder=Path()))))


@contextmanager
def running_cluster(
    folders: list[Path], code: list[Path] | None = None
) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Start a scheduler and a worker process in each folder, and yield its address and the workers.

    ``code`` is where the workers find modules, those of the checkout if None.
    """
    path = os.pathsep.join(map(str, [ROOT, ROOT / "tests"] if code is None else code))
    environment = {**os.environ, "PYTHONPATH": path}
    with ExitStack() as stack:

        def start(*words: str, cwd: Path) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *words], cwd=cwd, env=environment, stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        said = folders[0] / "scheduler.json"
        start(
            "scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--scheduler-file",
            str(said),
            cwd=folders[0],
        )
        words = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--scheduler-file", str(said), "--local-directory")
        workers = [
            start("worker", *words, str(folder), "--name", f"worker{number}", cwd=folder)
            for number, folder in enumerate(folders)
        ]
        yield _address(said, len(workers)), workers


def _address(said: Path, workers: int) -> str:
    from distributed import Client

    with Client(scheduler_file=str(said), timeout=60) as client:
        client.wait_for_workers(workers, timeout=60)
        address: str = client.scheduler_info()["address"]
        return address
