"""Dask: the steps of each item in processes of this machine, or of the machines of a cluster.

What Dask sends between processes is pickled: a scheduler is for people who may run code as its user. The processes of
this machine talk over TLS with a key that lives as long as they do.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import signal
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from ...base.errors import SettingsError
from ...base.files import PART
from .steps import Found, Item, Read, Result, Steps
from .streaming import stream

#: Values of ``scheduler`` beside an address: one process, or as many as the machine has room for.
NONE, LOCAL = "none", "local"
#: The memory that one process needs for a large volume. The number of processes follows from it, and Dask's own limit
#: is off: Dask gives no more work to a process that uses 80 % of its share of the memory, and on a small machine torch
#: and OpenVINO alone use that much, so that the run would stand still without a message.
MEMORY_BYTES = 2 * 1024**3
#: Where the processes of this machine listen.
HERE = "127.0.0.1"
#: A worker that does not answer within this time is none, seconds.
PATIENCE_S = 60

_computing = threading.Lock()


def spread(
    items: Sequence[Item], steps: Steps[Item, Read, Found, Result], scheduler: str, *, threads: int, folder: Path
) -> Iterator[Result]:
    """Yield the result of each item, in the order of the items; the scheduler does not change the results.

    With Dask an item is one task. When the process of a worker dies, its item is given to another one; an item whose
    processes die again and again is lost alone.

    Parameters
    ----------
    items : the work
    steps : what is done with each
    scheduler : ``none``, ``local``, or the address of a Dask scheduler, such as ``tcp://login-1:8786``
    threads : of the CPU that one process uses
    folder : where the results are written; with an address all machines must see it, and this working folder

    Raises
    ------
    SettingsError
        Dask is not installed, no scheduler answers, or a worker has other software or sees other files.
    """
    if scheduler == NONE:
        yield from stream(items, steps)
        return
    with _client(scheduler, threads, len(items)) as client, _proof(folder) as proof:
        from distributed import KilledWorker, as_completed

        place = _Place(Path.cwd(), proof, proof.read_text(encoding="utf-8"), software())
        # One task holds the steps, and with them the bundle: Dask sends it once to each worker that needs it.
        held = client.submit(_same, steps, pure=False)
        tasks = client.map(_run, items, steps=held, place=place, pure=False)
        number = {task.key: count for count, task in enumerate(tasks)}
        done: dict[int, Result] = {}
        upcoming = 0
        # Each result is fetched when it is there: the death of its worker would lose it, and its item came again.
        for task in as_completed(tasks):
            item = items[number[task.key]]
            try:
                done[number[task.key]] = task.result()
            except KilledWorker as died:
                why = f"the processes that worked on it died {died.allowed_failures + 1} times"
                done[number[task.key]] = steps.lost(item, f"{why}, for want of memory perhaps")
            except (ImportError, RuntimeError) as error:
                lacking = error if isinstance(error, ImportError) else error.__cause__
                if not isinstance(lacking, ImportError):
                    raise
                raise SettingsError(
                    f"the Dask processes at {scheduler} cannot import {lacking.name}; start scheduler and workers from "
                    "the environment of this command, for a stage of the pipeline with PYTHONPATH set to its folder."
                ) from error
            while upcoming in done:
                yield done.pop(upcoming)
                upcoming += 1


def software() -> dict[str, str]:
    """Return what decides the values of a mask: cordrift by the hash of its code and models, Python, and libraries.

    The libraries are those of the package and of its extra for segmentation, by their versions.
    """
    root = Path(__file__).parents[3]
    code = hashlib.sha256()
    for path in sorted([*root.rglob("*.py"), *root.glob("models/*/model.json")]):
        code.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    found = {"cordrift": code.hexdigest()[:12], "Python": platform.python_version()}
    for needed in map(Requirement, requires("cordrift") or ()):
        if needed.marker is None or needed.marker.evaluate({"extra": "segment"}):
            try:
                found[needed.name] = version(needed.name)
            except PackageNotFoundError:
                found[needed.name] = "absent"
    return found


class _Place:
    """What a worker must have: the working folder, a file in the folder of the results, and the software."""

    def __init__(self, folder: Path, proof: Path, says: str, software_here: dict[str, str]) -> None:
        self.folder, self.proof, self.says, self.software = folder, proof.absolute(), says, software_here

    def enter(self) -> None:
        """Go to the working folder.

        Raises
        ------
        SettingsError
            This worker sees other files, or has other software.
        """
        if _entered.get("place") == self.says:
            return
        try:
            os.chdir(self.folder)
            seen = self.proof.read_text(encoding="utf-8")
        except OSError:
            seen = ""
        if seen != self.says:
            raise SettingsError(
                f"a Dask worker on {platform.node()} does not see {self.folder} and {self.proof.parent}; all machines "
                "of a cluster need one shared disk, under the same path."
            )
        here = software()
        other = [
            f"{name} {here.get(name)} instead of {want}"
            for name, want in self.software.items()
            if here.get(name) != want
        ]
        if other:
            raise SettingsError(
                f"a Dask worker on {platform.node()} has {', '.join(other)}: its masks could differ; start the workers "
                "from the same environment as the command."
            )
        _entered["place"] = self.says


#: Which place this process was last found fit for.
_entered: dict[str, str] = {}


def _same(steps: Steps[Item, Read, Found, Result]) -> Steps[Item, Read, Found, Result]:
    return steps


def _run(item: Item, steps: Steps[Item, Read, Found, Result], place: _Place) -> Result:
    with _computing:  # a worker of several threads still computes one item at a time
        place.enter()
        return steps.write(item, steps.compute(item, steps.read(item)))


@contextmanager
def _proof(folder: Path) -> Iterator[Path]:
    """Yield a file in the folder of the results that no other machine can have by chance."""
    path = folder / f"{PART}proof-{uuid.uuid4().hex}"
    path.write_text(uuid.uuid4().hex, encoding="utf-8")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _client(scheduler: str, threads: int, most: int) -> Iterator[Any]:
    """Yield a client of the cluster; one of this machine ends with the context."""
    try:
        import dask
        from distributed import Client, LocalCluster
        from distributed.security import Security
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"scheduler is {scheduler}, and {error.name} is not installed; `pip install 'cordrift[scale]'` adds it (in "
            f"the checkout: `make setup`), or use {NONE}."
        ) from error
    settings: dict[str, Any] = {
        # One task at a time in a worker: a task that waits there would be suspected when the worker dies.
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.scheduler.allowed-failures": 1,
        # No pages: on the machine that others use too, nobody shall look on.
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
        "distributed.comm.timeouts.connect": f"{PATIENCE_S}s",
    }
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with dask.config.set(settings):
        if scheduler == LOCAL:
            with _uninterrupted():
                cluster = LocalCluster(
                    n_workers=workers(most, threads), threads_per_worker=1, processes=True, memory_limit=0,
                    host=HERE, dashboard_address=f"{HERE}:0", worker_dashboard_address=f"{HERE}:0",
                    security=Security.temporary(), silence_logs=logging.CRITICAL,
                )  # fmt: skip
            with cluster, Client(cluster) as client:
                yield client
            return
        try:
            client = Client(scheduler, timeout=PATIENCE_S)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"no Dask scheduler answers at {scheduler}: {error}. Start one there (`dask scheduler`) with workers "
                f"(`dask worker {scheduler} --nthreads 1`), or use {LOCAL}."
            ) from error
        with client:
            yield client


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let the processes that start meanwhile leave Ctrl-C to this one, which ends them."""
    if threading.current_thread() is not threading.main_thread():  # only this one may set what a signal does
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def workers(most: int, threads: int) -> int:
    """Return for how many processes this machine has cores and memory that nobody uses.

    Parameters
    ----------
    most : there are no more items than this
    threads : of each process
    """
    import psutil

    room = int(psutil.virtual_memory().available // MEMORY_BYTES)
    return max(1, min(most, _cores() // threads, room))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
