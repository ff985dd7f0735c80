"""A server that has torch, nnU-Net, MLflow and DVC loaded, and runs each stage in a fork of itself.

A pipeline of 17 stages starts 17 times a Python that loads libraries for seconds before it works for one. Tests that
run whole pipelines ask for :func:`warm`. Every stage still is a process of its own, in the folder and with the
environment of its caller. `make demo` runs the stages without this.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: What takes long to load. No module of cordrift: each workspace runs its own.
HEAVY = (
    "torch._dynamo",
    "nnunetv2.training.nnUNetTrainer.nnUNetTrainer",
    "nnunetv2.inference.predict_from_raw_data",
    "mlflow",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "dvc.cli",
    "dvc.repo",
    "dvc.commands.repro",
    "pandas",
    "nibabel",
    "scipy.stats",
    "scipy.ndimage",
    "scipy.interpolate",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "ruamel.yaml",
    "requests",
)


@contextlib.contextmanager
def warm(folder: Path) -> Iterator[dict[str, str]]:
    """Start a server with its socket in ``folder``, and yield the variables by which programs find it."""
    address = folder / "warm"
    paths = [str(Path(__file__).parent / "warm"), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, __file__, str(address)]
    with subprocess.Popen(command, env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}, start_new_session=True) as server:
        try:
            while not address.exists():
                assert server.poll() is None, "the server ended"
                time.sleep(0.05)
            yield {"CORDRIFT_WARM": str(address), "PYTHONPATH": os.pathsep.join(paths)}
        finally:
            os.killpg(server.pid, signal.SIGKILL)


def serve(address: str) -> None:
    """Answer until killed."""
    for name in HEAVY:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who answer
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address + "~")
        server.listen()
        Path(address + "~").rename(address)
        while True:
            line, _ = server.accept()
            if os.fork() == 0:
                server.close()
                _answer(line)
            line.close()


def _answer(line: socket.socket) -> None:
    """Run what a caller asks for, and tell it the exit status; a caller that dies takes its process along."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(line, 1, 3)
    text = b""
    while part := line.recv(1 << 16):
        text += part
    asked = json.loads(text)
    child = os.fork()
    if child == 0:
        line.close()
        _become(asked, streams)
    for stream in streams:
        os.close(stream)
    os.setpgid(child, child)
    ended = os.pidfd_open(child)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(line, select.POLLHUP)
    poll.poll()
    gone, status = os.waitpid(child, os.WNOHANG)
    if not gone:
        os.killpg(child, signal.SIGKILL)
        os._exit(0)
    code = os.waitstatus_to_exitcode(status)
    with contextlib.suppress(OSError):
        line.sendall(str(code if code >= 0 else 128 - code).encode())
    os._exit(0)


def _become(asked: dict[str, Any], streams: list[int]) -> None:
    """Be the process that the caller wanted to be."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(asked["cwd"])
    os.umask(asked["umask"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    random.seed()
    here = str(Path(__file__).parent)
    paths = asked["environment"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [asked["cwd"], *filter(None, paths), *(path for path in sys.path if path != here)]
    sys.argv = [asked["module"], *asked["words"]]
    code: object = 0
    try:
        runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 - as Python itself ends
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    serve(sys.argv[1])
