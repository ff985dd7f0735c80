"""Many processes do what one does, and a process that dies costs at most its own item."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from distributed import Client
from pydantic import TypeAdapter, ValidationError
from support.bundles import make_bundle
from support.cluster import ROOT, running_cluster, steps_into
from support.own_masks import CORD

from stages import segment_files
from stages.core.base.errors import DatasetError, ImageError, SettingsError
from stages.core.base.files import PART
from stages.core.images.volumes import write
from stages.core.model.segmentation.settings import Segment
from stages.core.model.spread import cluster
from stages.core.model.spread.cluster import LOCAL, NONE, spread
from stages.core.model.spread.steps import Once
from stages.core.workspace.runs.params import load_params

slow = pytest.mark.slow


@pytest.mark.parametrize(
    "scheduler", ["", "many", "8786", "tcp://", "tcp://host", "http://host:8786", "tcp://host:port"]
)
def test_what_names_no_scheduler_is_refused(scheduler: str) -> None:
    annotation = Segment.model_fields["scheduler"].rebuild_annotation()
    with pytest.raises(ValidationError, match="none, local, or the address of a Dask scheduler"):
        TypeAdapter(annotation).validate_python(scheduler)
    assert TypeAdapter(annotation).validate_python("tls://[::1]:8786") == "tls://[::1]:8786"


@pytest.mark.parametrize(
    ("most", "threads", "cores", "gigabytes", "expected"),
    [(100, 2, 8, 64, 4), (100, 1, 8, 5, 2), (3, 1, 8, 64, 3), (100, 16, 8, 64, 1), (100, 1, 8, 1, 1)],
)
def test_there_are_as_many_processes_as_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch, most: int, threads: int, cores: int, gigabytes: int, expected: int
) -> None:
    monkeypatch.setattr(cluster, "_cores", lambda: cores)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=gigabytes * 1024**3))
    assert cluster.workers(most, threads) == expected


def test_processes_do_not_share_a_gpu() -> None:
    block = load_params(ROOT / "params/spine-generic.yaml").segment.model_dump()
    with pytest.raises(ValidationError, match="scheduler local is of no use"):
        Segment.model_validate(block | {"scheduler": "local"})


def test_what_is_made_once_is_made_once_and_again_for_another_maker() -> None:
    calls: list[str] = []
    one, other = Once(lambda: calls.append("one")), Once(lambda: calls.append("other"))
    one(), one(), other(), one()
    assert calls == ["one", "other", "one"]


def test_without_dask_one_process_works_and_many_are_refused_with_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setitem(sys.modules, "dask", None)
    steps = steps_into(tmp_path)
    assert [one.split()[0] for one in spread([1, 2], steps, NONE, threads=1, folder=tmp_path)] == ["2", "6"]
    with pytest.raises(
        SettingsError, match=r"scheduler is local, and dask is not installed; `pip install 'cordrift\[sc"
    ):
        list(spread([1], steps, LOCAL, threads=1, folder=tmp_path))


@slow
def test_a_dead_process_costs_its_own_item_alone(tmp_path: Path) -> None:
    done = list(spread([1, 2, 3, 4, 6, 7, 8], steps_into(tmp_path), LOCAL, threads=1, folder=tmp_path))
    assert done.pop(3) == "4: the processes that worked on it died 2 times, for want of memory perhaps"
    assert [one.split()[0] for one in done] == ["2", "6", "12", "42", "56", "72"]
    made = {one.split()[-1] for one in done}
    assert {path.read_text() for path in tmp_path.glob("made-*")} == {"x"}  # once in each process
    assert made <= {path.name.removeprefix("made-") for path in tmp_path.glob("made-*")}
    assert str(os.getpid()) not in made
    assert not list(tmp_path.glob(".part-*"))


@slow
def test_an_error_of_an_item_ends_the_run_with_its_sentence(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="the clone is not as it was fetched"):
        list(spread([1, 5, 2], steps_into(tmp_path), LOCAL, threads=1, folder=tmp_path))
    assert (tmp_path / "1").read_text() == "2"
    assert not list(tmp_path.glob(".part-*"))


@slow
def test_where_no_scheduler_answers_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE_S", 1)
    with pytest.raises(SettingsError, match=r"no Dask scheduler answers at tcp://127.0.0.1:1: .*dask worker tcp"):
        list(spread([1], steps_into(tmp_path), "tcp://127.0.0.1:1", threads=1, folder=tmp_path))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Two workers in folders of their own."""
    folders = [tmp_path_factory.mktemp(f"worker{number}") for number in range(2)]
    with running_cluster(folders) as started:
        yield started


@slow
def test_a_worker_with_other_software_or_another_disk_is_refused(
    tmp_path: Path, running: tuple[str, list[subprocess.Popen[bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _ = running
    monkeypatch.setattr(cluster, "software", lambda: {"torch": "1.0", "absent": "2"})
    with pytest.raises(
        SettingsError, match=r"has torch .* instead of 1\.0, absent None instead of 2: its masks could differ"
    ):
        list(spread([1], steps_into(tmp_path), address, threads=1, folder=tmp_path))
    monkeypatch.undo()
    monkeypatch.setattr(cluster.Path, "cwd", lambda: tmp_path / "elsewhere")
    with pytest.raises(
        SettingsError, match=r"does not see .*elsewhere and .*; all machines of a cluster need one shared"
    ):
        list(spread([1], steps_into(tmp_path), address, threads=1, folder=tmp_path))


@slow
def test_processes_without_the_code_are_refused(tmp_path: Path) -> None:
    with (
        running_cluster([tmp_path], code=[tmp_path]) as (address, _),
        pytest.raises(
            SettingsError, match=r"at tcp://.* cannot import (stages|support); start scheduler and workers from"
        ),
    ):
        list(spread([1], steps_into(tmp_path), address, threads=1, folder=tmp_path))


@slow
@pytest.mark.long
def test_an_interrupted_run_ends_with_one_sentence_and_leaves_no_process(tmp_path: Path) -> None:
    code = os.pathsep.join(map(str, [ROOT, ROOT / "tests"]))
    process = subprocess.Popen(
        [sys.executable, "-c", "from support.cluster import wait_for_ever; wait_for_ever()"], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": code}, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    end = time.monotonic() + 120
    while not (tmp_path / "begun").exists() and time.monotonic() < end:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said = process.communicate(timeout=240)[0]  # which ends when no process holds the pipe any more
    assert process.returncode == 130
    assert said.strip() == "cordrift: interrupted. What was written completely is kept; the same command does the rest."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun"]


@slow
@pytest.mark.long
def test_a_worker_killed_in_the_middle_of_a_volume_changes_no_byte_of_a_mask(
    tmp_path: Path, running: tuple[str, list[subprocess.Popen[bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, workers = running
    make_bundle(tmp_path / "data/package", tmp_path / "scratch")
    monkeypatch.chdir(tmp_path)
    images = [f"scan{number}.nii.gz" for number in range(16)]
    for number, image in enumerate(images):
        write(tmp_path / image, CORD.data + 0.01 * number, CORD.affine)
    (tmp_path / "scan3.nii.gz").write_bytes(b"no image")
    victim = workers[0]
    busy: list[bool] = []
    killer = threading.Thread(target=_kill_when_busy, args=(victim, address, tmp_path / "many", busy))
    killer.start()
    for folder, scheduler in (("many", address), ("one", NONE)):
        with pytest.raises(ImageError, match="1 of 16 images could not be segmented"):
            segment_files.main([*images, "-o", folder, "--threads", "1", "--soft", "--whole", "--scheduler", scheduler])
        killer.join()
    assert busy == [True]
    assert victim.wait(10) == -signal.SIGKILL
    # The killed worker may leave a part of a mask under its temporary name, which a later writing removes.
    one, many = (
        {path.name: path.read_bytes() for path in Path(folder).glob("*.nii.gz") if not path.name.startswith(PART)}
        for folder in ("one", "many")
    )
    assert len(one) == 2 * (len(images) - 1)
    assert many == one


def _kill_when_busy(victim: subprocess.Popen[bytes], address: str, folder: Path, busy: list[bool]) -> None:
    """Kill the worker 0 while it works on an image, after the first mask is there."""
    with Client(address, set_as_default=False) as client:
        [worker] = [where for where, what in client.scheduler_info()["workers"].items() if what["name"] == "worker0"]
        end = time.monotonic() + 120
        while time.monotonic() < end and not busy:
            time.sleep(0.005)
            if list(folder.glob("*_seg.nii.gz")) and client.processing().get(worker):
                busy.append(True)
    victim.kill()


#: What stands for SLURM: a job is a program that starts at once, and ends when it is cancelled.
SBATCH = """#!/bin/bash
cp "${@: -1}" "$JOBS/$$.sh"
setsid bash "$JOBS/$$.sh" > "$JOBS/$$.log" 2>&1 &
echo $! > "$JOBS/$$.pid"
echo "Submitted batch job $$"
"""
SCANCEL = """#!/bin/bash
for job in "$@"; do kill -- "-$(cat "$JOBS/$job.pid")"; done
"""


@slow
@pytest.mark.long
def test_the_documented_way_to_slurm_segments_on_its_jobs_and_speaks_tls(tmp_path: Path) -> None:
    page = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    make_key, settings, script = re.findall(r"(?ms)^```(?:yaml|python)?\n(.*?)^```", page)[:3]
    home, jobs, programs = tmp_path / "home", tmp_path / "jobs", tmp_path / "programs"
    for folder in (home, jobs, programs):
        folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    environment = {
        **os.environ, "HOME": str(home), "JOBS": str(jobs),
        "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
    }  # fmt: skip
    subprocess.run(["bash", "-ec", make_key], env=environment, check=True, capture_output=True)
    (home / ".config/dask/distributed.yaml").write_text(settings.replace("HOME", str(home)))
    (tmp_path / "on_slurm.py").write_text(script.replace("jobs=40", "jobs=2"))
    make_bundle(tmp_path / "data/package", tmp_path / "scratch")
    images = [f"scan{number}.nii.gz" for number in range(4)]
    for image in images:
        write(tmp_path / image, CORD.data, CORD.affine)
    done = subprocess.run(
        [sys.executable, "on_slurm.py", *images, "--whole"], cwd=tmp_path, env=environment, text=True, check=False,
        capture_output=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "4 of 4 images segmented" in done.stdout
    assert len(list(tmp_path.glob("masks/*_seg.nii.gz"))) == 4
    jobs_done = [path.read_text() for path in jobs.glob("*.sh")]
    assert len(jobs_done) == 2
    for text in jobs_done:
        assert "#SBATCH --cpus-per-task=2" in text
        assert "#SBATCH -p cpu" in text
        assert re.search(r"dask_worker tls://\S+ .*--nthreads 1 ", text)
