"""The command ``cordrift``: help that runs nothing, the folder it is called in, and packages that are missing."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from support.cords import ROOT

from stages import cli

WITHOUT_OPTIONS = sorted(set(cli.STAGES) - set(cli.WITH_OPTIONS))


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the command and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["cordrift", *words])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test fail when the ``main`` of a stage without options runs."""
    for name in WITHOUT_OPTIONS:
        module = import_module(f"stages.{name}")
        monkeypatch.setattr(module, "main", lambda name=name: pytest.fail(f"{name} ran"))


@pytest.mark.parametrize("name", [*cli.STAGES, *cli.COMMANDS])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_explains_and_runs_nothing(
    name: str, option: str, untouched: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, name, option) == 0
    assert f"cordrift {name}" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [name for name in WITHOUT_OPTIONS if name != "measure"])
def test_a_stage_without_options_refuses_one(
    name: str, untouched: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, name, "--dry-run") == 1
    assert (
        f"the stage {name} takes no options, and got --dry-run; `dvc repro {name}` runs it" in capsys.readouterr().err
    )


def test_stages_that_are_said_to_have_options_have_them() -> None:
    with_parser = {name for name in cli.STAGES if "argparse" in (ROOT / f"stages/{name}.py").read_text("utf-8")}
    assert with_parser == set(cli.WITH_OPTIONS)


@pytest.mark.parametrize("name", ["prepare", "pin", "gate", "promote"])
def test_a_folder_that_is_no_workspace_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inner = tmp_path / "lab/data/deep"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert call(monkeypatch, name) == 1
    assert f"{inner} has no params.yaml; go to the folder of the checkout" in capsys.readouterr().err
    for file in ("params.yaml", "dvc.yaml"):
        (tmp_path / "lab" / file).touch()
    assert call(monkeypatch, name) == 1
    assert f"the workspace is above it: `cd {tmp_path / 'lab'}`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("package", "command", "extra"),
    [("torch", "doctor", "segment"), ("ruamel.yaml", "pin", "all"), ("mlflow.tracking", "promote", "all")],
)
def test_a_package_that_is_missing_is_named_with_its_extra(
    package: str, command: str, extra: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(name: str, _: str | None) -> None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr(cli, "import_module", absent)
    assert call(monkeypatch, command) == 1
    top = package.partition(".")[0]
    said = f"`cordrift {command}` needs the package {top}, which is not installed; `pip install 'cordrift[{extra}]'`"
    assert said in capsys.readouterr().err


def test_every_package_of_an_extra_is_known() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    named = {
        re.split(r"[^A-Za-z0-9_.-]", name)[0]
        .replace("-", "_")
        .removesuffix("_py")
        .removesuffix(".yaml")
        .replace("scikit_image", "skimage"): extra
        for extra in ("segment", "all")
        for name in extras[extra]
    }
    named.pop("cordrift")
    named.pop("git_annex")  # a program
    assert named == cli.EXTRAS


def test_the_version_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith("cordrift 0.")
