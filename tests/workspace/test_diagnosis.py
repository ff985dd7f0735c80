"""`cordrift doctor` prints a line for every check, also on a broken machine, and never a password."""

from __future__ import annotations

import os
import shutil
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from support.cords import ROOT
from support.data_factory import entry, workspace

from stages import doctor
from stages.core.base.errors import CordriftError
from stages.core.base.files import write_json
from stages.core.data.datasets.manifest import CLONES, Manifest, read_manifest
from stages.core.data.datasets.registry import Frozen, Registry
from stages.core.model.segmentation.hardware import Gpu
from stages.core.model.segmentation.settings import FAST
from stages.core.workspace.diagnosis import machine, pipeline, settings, software
from stages.core.workspace.diagnosis.check import DoctorCheck, check_lines, guarded
from stages.core.workspace.runs.params import Params, load_params


def _raise(error: Exception) -> list[DoctorCheck]:
    raise error


@pytest.mark.parametrize("error", [CordriftError("no store at https://bob:secret@lab.org/x"), OSError("bob:secret")])
def test_whatever_goes_wrong_in_a_check_is_its_line(error: Exception) -> None:
    (line,) = guarded("MLflow", lambda: _raise(error), "problem")
    assert (line.name, line.state) == ("MLflow", "problem")
    assert "https://bob:secret@" not in line.found


def test_problems_and_warnings_are_counted() -> None:
    checks = [DoctorCheck("a", "ok", "x"), DoctorCheck("b", "warning", "y", "do z"), DoctorCheck("c", "problem", "w")]
    out = check_lines(checks)
    assert out[-1] == "3 checks, problems: 1, warnings: 1; `dvc repro` would stop."
    assert any(line.endswith("-> do z") for line in out)
    assert check_lines(checks[:1])[-1].endswith("nothing here stops `dvc repro`.")


def test_a_folder_that_is_no_workspace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        doctor.main([str(tmp_path)])
    assert stop.value.code == 1
    said = capsys.readouterr().out
    assert "params.yaml is missing" in said
    assert "Traceback" not in said
    assert "git-annex" in said, "the other checks must still run"


def test_a_dataset_without_a_pin_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace(tmp_path, {"ds": entry("https://example.org/ds", None)}, [("sub-f1", "other")])
    with pytest.raises(SystemExit):
        doctor.main([str(tmp_path)])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "dataset ds" in line]
    assert line.startswith("problem")
    assert "cordrift pin ds" in line


def test_what_would_stop_a_verdict_after_the_training_is_said_before_it(tmp_path: Path) -> None:
    known = Registry.model_validate({"datasets": {"ds": entry("ds", None), "other": entry("other", None)}})
    params = load_params(ROOT / "params/micro.yaml")
    segment = params.segment.model_copy(update={"datasets": ["ds"], "contrasts": ["T1w", "T2s"]})
    params = params.model_copy(update={"segment": segment})
    checks = list(settings.check_monitored(known, [Frozen("sub-1", "ds"), Frozen("sub-2", "other")], params))
    assert [check.state for check in checks] == ["problem", "warning"]
    assert checks[0].found == "no monitored dataset has 'T2s' (did you mean 'T2w'?)"
    assert checks[1].found == f"1 frozen participants, compare.min_participants is {params.compare.min_participants}"
    many = [Frozen(f"sub-{n}", "ds") for n in range(params.compare.min_participants)]
    assert list(settings.check_monitored(known, many, params))[-1].state == "ok"


def _state(checks: Iterable[DoctorCheck], name: str) -> DoctorCheck:
    (found,) = [check for check in checks if check.name == name]
    return found


def test_a_python_that_nothing_is_tested_with_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    for version_info, state, advice in (
        ((3, 10, 9), "warning", "use Python 3.11, 3.12 or 3.13; see `make setup`"),
        ((3, 11, 7), "ok", ""),
        ((3, 13, 0), "ok", ""),
        ((3, 14, 0), "warning", "use Python 3.11, 3.12 or 3.13; see `make setup`"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(sys, "version_info", version_info)
            (check,) = software.check_python()
        assert (check.state, check.advice) == (state, advice)


def test_ci_and_pyproject_name_the_pythons_that_the_doctor_accepts() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [f"{major}.{minor}" for major, minor in software.PYTHONS]
    assert jobs["python"]["strategy"]["matrix"]["python"] == names
    assert project["requires-python"] == f">={names[0]}"


def test_packages_that_differ_from_the_pins_are_named(tmp_path: Path) -> None:
    pins = tmp_path / "constraints.txt"
    here = version("numpy")
    pins.write_text(f"numpy=={here}\nscipy==0.0.1\nno-such-package==1.0\n")
    check = _state(software.check_packages(pins), "versions")
    assert check.state == "warning"
    assert check.found == f"1 of 2 packages differ: scipy {version('scipy')} (not 0.0.1)"
    pins.write_text(f"numpy=={here}\n")
    assert _state(software.check_packages(pins), "versions").state == "ok"
    assert "nothing to compare with" in _state(software.check_packages(tmp_path / "absent.txt"), "versions").found


def test_a_library_that_decides_the_weights_stops_the_run() -> None:
    checks = list(software.check_libraries({"numpy": version("numpy"), "torch": "0.1", "nothing-such": "1"}))
    assert [(check.name, check.state) for check in checks] == [
        ("nothing-such", "problem"), ("numpy", "ok"), ("torch", "problem"),
    ]  # fmt: skip
    assert "not installed, but train.versions names 1" in checks[0].found


def test_without_git_or_git_annex_the_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    checks = guarded("git", software.check_git, "problem") + guarded("git-annex", software.check_annex, "problem")
    assert _state(checks, "git").state == "problem"
    assert "install git" in _state(checks, "git").advice
    assert [check.state for check in checks] == ["problem"] * len(checks)


def test_a_machine_without_git_identity_is_told_that_one_is_lent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.chdir(tmp_path)
    assert (
        _state(software.check_git(), "git identity").found
        == "none set; cordrift uses its own for commits in its clones"
    )
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n")
    assert _state(software.check_git(), "git identity").found == "Ada <ada@example.org>"


def _params(device: str = "cpu", threads: int = 1) -> Params:
    value = yaml.safe_load((ROOT / "params/demo.yaml").read_text(encoding="utf-8"))
    for block in ("train", "segment"):
        value[block] |= {"device": device, "threads": threads}
    value["segment"] |= {"backend": FAST[device]}
    return Params.model_validate(value)


def test_gpu_asked_for_and_missing() -> None:
    (line,) = machine.check_gpu([], _params("cuda"))
    assert line.state == "problem"
    assert "train.device and segment.device is cuda" in line.found
    (line,) = machine.check_gpu([Gpu("H1", 8 * 10**9)], _params("cpu"))
    assert (line.state, line.found) == ("ok", "H1 (8.0 GB); not used: params say cpu")
    (line,) = machine.check_gpu([], _params("cpu"))
    assert (line.state, line.found) == ("ok", "none that torch can use")


def test_more_threads_than_cores_is_a_warning() -> None:
    count = len(os.sched_getaffinity(0))
    assert _state(machine.check_cores(_params(threads=count)), "cores").state == "ok"
    line = _state(machine.check_cores(_params(threads=count + 1)), "cores")
    assert line.state == "warning"
    assert f"train.threads and segment.threads to {count}" in line.advice


def _manifest(folder: Path, size: int) -> Manifest:
    files = [{"path": "a.nii.gz", "key": f"SHA256E-s{size}--{'0' * 64}.nii.gz", "size": size}]
    value = {"dataset": "ds", "url": "u", "tag": "r1", "commit": "c" * 40, "role": "test", "licence": "CC0-1.0"}
    write_json(folder / "ds.json", {**value, "files": files, "cases": [], "participants": [], "excluded": []})
    return read_manifest(folder / "ds.json")


def test_room_for_what_is_to_come(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    clone = tmp_path / CLONES / "ds"
    (line, _) = machine.check_disks([_manifest(tmp_path, free)], tmp_path, tmp_path / ".dvc/cache")
    assert line.state == "problem", "the dataset needs twice the free space"
    assert "move data/clones" in line.advice
    (line, same) = machine.check_disks([_manifest(tmp_path, 1000)], tmp_path, tmp_path / ".dvc/cache")
    assert line.state == "ok"
    assert same.found.endswith("is on the same disk")
    (line, _) = machine.check_disks([None], tmp_path, tmp_path / ".dvc/cache")
    assert "unknown until all datasets are fetched" in line.found
    assert machine.fetch_need([_manifest(tmp_path, 1000)], tmp_path / CLONES) == 2000.0
    clone.mkdir(parents=True)
    (clone / "a.nii.gz").write_bytes(bytes(1000))
    assert machine.fetch_need([_manifest(tmp_path, 1000)], tmp_path / CLONES) == 0.0


GRAPH = """strict digraph {
"fetch@a";
"check@a";
"prepare";
"segment@a-0";
"history";
"fetch@a" -> "check@a";
"check@a" -> "prepare";
"prepare" -> "segment@a-0";
}"""


def test_what_would_run_is_counted_at_once_and_afterwards() -> None:
    assert pipeline.downstream(["check@a"], GRAPH) == ["prepare", "segment@a-0"]
    check = pipeline.would_run({"check@a": [{"changed deps": {}}], "history": ["always changed"]}, GRAPH)
    assert check.found == "check 1; then, if results differ: prepare 1, segment 1, history 1"
    check = pipeline.would_run({"history": ["always changed"]}, GRAPH)
    assert check.found == "nothing, of 5 stages; every time: history 1"


def test_a_remote_is_shown_without_its_password(tmp_path: Path) -> None:
    config = {"remote.lab.url": "s3://bucket/x", "remote.http.url": "https://bob:secret@lab.org/x"}
    config |= {"core.remote": "lab", "remote.gone.url": str(tmp_path / "gone"), "remote.lab.verify": "true"}
    checks = guarded("DVC", lambda: pipeline.check_remotes(tmp_path, config))
    assert "(default)" in _state(checks, "DVC remote lab").found
    assert _state(checks, "DVC remote lab").state == "ok"
    assert "believes what it holds" in _state(checks, "DVC remote http").found
    assert _state(checks, "DVC remote http").advice == "`dvc remote modify http verify true`"
    assert "secret" not in _state(checks, "DVC remote http").found
    assert _state(checks, "DVC remote gone").state == "warning"
    assert _state(pipeline.check_remotes(tmp_path, {}), "DVC remote").found == "none: outputs stay on this machine"


def test_the_python_of_the_stages_must_be_the_one_with_cordrift(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    (line,) = pipeline.check_interpreter()
    assert line.state == "ok"
    monkeypatch.setenv("PATH", str(tmp_path))
    (line,) = pipeline.check_interpreter()
    assert (line.state, line.found) == ("warning", "no python on the search path")
