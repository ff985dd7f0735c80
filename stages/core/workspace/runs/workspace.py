"""Making scratch workspaces, and running DVC and commands in a workspace.

A workspace is a folder in which DVC runs the pipeline. A scratch workspace has outputs and a store of its own, so that
those of the lab stay as they are.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ...base.errors import PipelineError, SettingsError
from ...base.files import whole_file
from ...data.clones.programs import condensed, passed
from ...data.datasets.registry import REGISTRY, load_registry
from ...model.bundle.revision import REVISION, code_revision
from .params import load_params
from .yaml_edit import edit_yaml

#: Files and folders that are copied from the checkout into a workspace. Outputs, caches and stores are not copied.
COPIED = ("dvc.yaml", ".dvcignore", "params", "stages", "data/datasets.yaml", "data/frozen.csv", "data/persons.csv")
#: Configuration of DVC in a scratch workspace, which is no git repository; DVC must not contact its makers.
DVC_CONFIG = "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n"
#: What stages see of the environment of :func:`repro_with_keys`, beside what git sees and what the registry grants:
#: settings of Python, of the libraries that compute, of the GPU and of a cluster's job.
_OF_STAGES = re.compile(
    r"CORDRIFT_(REVISION|DEVICE|IMAGES|PROFILE)|PYTHON\w+|COLUMNS|(OMP|MKL|KMP|OPENBLAS|NUMEXPR|GOMP)_\w+"
    r"|(CUDA|CUBLAS|CUDNN|NCCL|NVIDIA|ROCR|HIP|HSA|PYTORCH|TORCH|nnUNet)_\w+|(SLURM|PBS|LSB|SGE)_\w+"
)


def make_workspace(source: Path, folder: Path, profile: str | None) -> None:
    """Make or refresh a scratch workspace of ``source`` in ``folder`` with ``profile`` as its params.

    With None it gets the present ``params.yaml`` of ``source``.

    Paths in the registry that are relative to ``source`` are rewritten, so that they lead to the same place. Outputs of
    an earlier run in ``folder`` stay, so that DVC continues from there.

    Raises
    ------
    SettingsError
        ``source`` is not a checkout or workspace of cordrift, or has no such profile.
    """
    if not (source / "dvc.yaml").is_file():
        raise SettingsError(f"{source.resolve()} has no dvc.yaml: run this in a checkout of cordrift.")
    chosen = source / "params.yaml" if profile is None else profile_file(source, profile)
    for name in COPIED:
        origin, target = source / name, folder / name
        if origin.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(origin, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif origin.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(origin, target)
    for name in ("data/monitored", "data/seeds"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(chosen, folder / "params.yaml")
    (folder / ".dvc").mkdir(exist_ok=True)
    with whole_file(folder / ".dvc/config") as part:
        part.write_text(DVC_CONFIG, encoding="utf-8")
    edit_yaml(folder / "data/datasets.yaml", lambda registry: _relocate(registry, source, folder))


def profile_file(root: Path, profile: str) -> Path:
    """Return the file of a profile.

    Raises
    ------
    SettingsError
        There is no such profile. The sentence lists those that exist.
    """
    known = {path.stem: path for path in sorted((root / "params").glob("*.yaml"))}
    if profile not in known:
        raise SettingsError(f"There is no profile {profile!r} in {root / 'params'}; there are {', '.join(known)}.")
    return known[profile]


def use_profile(root: Path, name: str) -> None:
    """Copy ``params/<name>.yaml`` to ``params.yaml``.

    Raises
    ------
    SettingsError
        There is no such profile, it is not valid, or ``params.yaml`` contains edits that would be lost.
    """
    chosen, current = profile_file(root, name), root / "params.yaml"
    load_params(chosen)
    if current.is_file():
        known = [path.read_bytes() for path in sorted((root / "params").glob("*.yaml"))]
        if current.read_bytes() not in known:
            raise SettingsError(
                f"{current} differs from every file of {root / 'params'}: it holds edits that would be lost. "
                f"Save them as a profile (`cp params.yaml params/mine.yaml`) or drop them (`git checkout params.yaml`)."
            )
    with whole_file(current) as part:
        shutil.copyfile(chosen, part)


def _relocate(registry: Any, source: Path, folder: Path) -> None:
    for entry in registry["datasets"].values():
        # Every address that is not a path contains a colon (https://, ssh://, user@host:folder).
        if ":" not in entry["url"] and not Path(entry["url"]).is_absolute():
            entry["url"] = os.path.relpath(source / entry["url"], folder)


def dvc_environment(**more: str) -> dict[str, str]:
    """Return the environment for DVC and the stages that it starts, with ``more`` variables.

    This Python comes first on the search path, and the revision of the code is passed on.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    # With PYTHONSAFEPATH Python would not import the workspace's own copy of stages, which is the code that DVC hashes.
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    return {**kept, "PATH": path, REVISION: code_revision(), "OMP_WAIT_POLICY": "PASSIVE", **more}


def run_command(folder: Path, module: str, *words: str) -> int:
    """Run a command of cordrift with the code of the workspace ``folder``; return its exit status."""
    line = [sys.executable, "-m", f"stages.{module}", *words]
    return subprocess.run(line, cwd=folder, env=dvc_environment(), check=False).returncode


def run_dvc(folder: Path, *words: str, **environment: str) -> None:
    """Run a DVC command in a workspace. Its output appears on the terminal at once.

    Before stages run, all of ``params.yaml`` is checked: DVC puts params into names of outputs, which it deletes before
    a stage begins.

    Raises
    ------
    SettingsError
        ``params.yaml`` is missing or faulty; DVC was not started.
    PipelineError
        The command failed; its output says why.
    """
    if words[0] == "repro":
        load_params(folder / "params.yaml")
    command = [sys.executable, "-m", "dvc", *words]
    done = subprocess.run(command, cwd=folder, env=dvc_environment(**environment), check=False)
    if done.returncode:
        raise PipelineError(
            f"`dvc {' '.join(words)}` failed in {folder} (exit status {done.returncode}); the lines above say why. "
            f"Remove the cause and run the same command again: finished stages are not repeated."
        )


def repro_with_keys(folder: Path, *targets: str) -> None:
    """Run ``dvc repro --pull`` so that DVC alone has the keys of its remote, and the stages that it starts do not.

    DVC pulls what its run cache names between the stages, so that it needs the keys all the time. It starts stages with
    the shell that the variable SHELL names. Here this is a small one that first drops all variables except those that
    stages need: what git and DataLad see, what the registry grants to datasets, and :data:`_OF_STAGES`.

    Raises
    ------
    SettingsError, PipelineError
        As for :func:`run_dvc`.
    """
    granted = {
        name for entry in load_registry(folder / REGISTRY).datasets.values() for name in entry.environment.values()
    }
    dropped = [name for name in os.environ if not (passed(name) or name in granted or _OF_STAGES.fullmatch(name))]
    words = ["env", *(word for name in dropped for word in ("-u", name)), f"SHELL={os.environ.get('SHELL', '/bin/sh')}"]
    with tempfile.TemporaryDirectory() as place:
        shell = Path(place) / "shell"
        shell.write_text(f'#!/bin/sh\nexec {shlex.join(words)} /bin/sh "$@"\n', encoding="utf-8")
        shell.chmod(0o700)
        run_dvc(folder, "repro", "--pull", *targets, SHELL=str(shell))


def ask_dvc(workspace: Path, *words: str) -> str:
    """Run a DVC command quietly and return its output.

    Raises
    ------
    PipelineError
        The command failed; the sentence holds its error message.
    """
    command = [sys.executable, "-m", "dvc", *words]
    env = dvc_environment(DVC_NO_ANALYTICS="1")
    done = subprocess.run(command, cwd=workspace, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr]
        raise PipelineError(f"`dvc {' '.join(words)}` failed: {condensed(said[0].removeprefix('ERROR:'))}.")
    return done.stdout
