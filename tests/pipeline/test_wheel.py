"""A wheel installs the package as ``cordrift``, whole, and puts no package ``stages`` into anybody's environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.cords import ROOT, cord

from stages.cli import EXTRAS
from stages.core.images.volumes import write


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel of this checkout holds."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "stages", source / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(source)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_every_module_and_page_under_one_name(installed: Path) -> None:
    assert {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")} == {"cordrift"}

    def files(folder: Path) -> set[str]:
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        return {name for name in found if "__pycache__" not in name}

    assert files(installed / "cordrift") == files(ROOT / "stages")


def test_the_installed_command_measures_a_mask_far_from_any_checkout(installed: Path, tmp_path: Path) -> None:
    mask = cord((1.0, 1.0, 2.0), 5)
    write(tmp_path / "mask.nii.gz", (mask.data > 0.5).astype(np.uint8), mask.affine)
    env = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "cordrift.cli", "measure", "mask.nii.gz", "--per-slice", "-o", "csa.csv"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "csa.csv").is_file()
    code = "import cordrift, importlib.util as u; print(cordrift.__file__, u.find_spec('stages'))"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == [str(installed / "cordrift/__init__.py"), "None"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["measure", "mask.nii.gz", "--per-slice", "-o", "csa.csv"], "measure: 1 of 1 masks measured"),
        (["check", "./mask.nii.gz"], "check: 1 files"),
        (["segment", "--dataset", "x", "--shard", "0"], "`pip install 'cordrift[segment]'` adds it"),
        (["doctor"], "`pip install 'cordrift[all]'` adds it"),
    ],
)
def test_without_the_extras_masks_are_measured_and_the_rest_says_what_is_missing(
    words: list[str], said: str, installed: Path, tmp_path: Path
) -> None:
    mask = cord((1.0, 1.0, 2.0), 5)
    write(tmp_path / "mask.nii.gz", (mask.data > 0.5).astype(np.uint8), mask.affine)
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).touch()
    code = f"import sys; sys.modules.update(dict.fromkeys({list(EXTRAS)})); from cordrift.cli import main; main()"
    env = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
