"""A lab's fork on the micro profile, whose workflow files run on this machine against a GitHub on loopback."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from stages.core.base.files import read_json, write_json
from stages.core.measures.kept_masks.zips import unpack
from stages.core.model.bundle.content import bundle_digest_of, read_model_and_dataset
from stages.core.model.training.weights import read_weights
from support.actions import Caches, Run, git, run_workflow
from support.github_api import GitHubServer
from support.micro import pin_cohort

ROOT = Path(__file__).parents[2]
#: Variables of the repository: nothing runs before a lab has set them.
VARIABLES = {"CORDRIFT_PROFILE": "micro", "CORDRIFT_TRAIN_RUNNER": "gpu-box"}
Hook = Callable[[Path], None]


@dataclass
class Lab:
    """The fork, its GitHub, the caches of its runner, and what else its runner has in its environment."""

    folder: Path
    github: GitHubServer
    caches: Caches
    environment: Mapping[str, str] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)

    @property
    def repository(self) -> Path:
        return self.folder / "fork"

    def retrain(self, **options: Any) -> Run:
        """Run retrain.yml by hand."""
        return self._run("retrain", event_name="workflow_dispatch", **options)

    def release(self, tag: str, **options: Any) -> Run:
        """Run release.yml as the publication of a release sets it going."""
        event = {"action": "published", "release": {"tag_name": tag}}
        return self._run("release", event_name="release", event=event, **_unattested(options))

    def release_by_hand(self, tag: str, **options: Any) -> Run:
        """Run release.yml on a tag as a person starts it."""
        ref = f"refs/tags/{tag}"
        return self._run(
            "release", event_name="workflow_dispatch", inputs={"tag": tag}, ref=ref, **_unattested(options)
        )

    def keep_data(self, **options: Any) -> Run:
        """Run data.yml as its schedule does, on the default branch."""
        return self._run("data", event_name="schedule", **options)

    def _run(
        self,
        name: str,
        *,
        hook: Hook | None = None,
        variables: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Run:
        def checked_out(tree: Path) -> None:
            for file in ("pyproject.toml", "constraints.txt"):  # older than the environment of this suite
                os.utime(tree / file, (0, 0))
            # `make setup` of a job installs the job's checkout; here the environment of this suite stands in for it.
            (tree.parent / "cordrift").symlink_to(tree / "stages")
            if hook is not None:
                hook(tree)

        run = run_workflow(
            self.repository / f".github/workflows/{name}.yml",
            source=self.repository,
            folder=self.folder / f"run-{len(self.runs) + 1}",
            tokens={"read": self.github.reader, "write": self.github.token},
            secrets=secrets,
            variables={**VARIABLES, **(variables or {})},
            environment={
                **self.environment,
                "PATH": self._programs(),
                "VENV": sys.prefix,
                # The commands run the code of the job's checkout, whichever one VENV was made for.
                "PYTHONPATH": os.pathsep.join(["..", *filter(None, [self.environment.get("PYTHONPATH")])]),
                "NO_PROXY": "127.0.0.1",
                "OMP_WAIT_POLICY": "PASSIVE",
            },
            api_url=self.github.url,
            server_url=self.github.origin,
            caches=self.caches,
            after_checkout=checked_out,
            **options,
        )
        self.runs.append(run)
        with (self.folder / "attested").open("a") as stream:
            stream.writelines(f"{one.sha256}\n" for one in run.attestations)
        return run

    def _programs(self) -> str:
        """Return the search path with a stand-in for ``gh``, which knows what earlier runs attested."""
        program = self.folder / "bin/gh"
        program.parent.mkdir(exist_ok=True)
        (self.folder / "attested").touch()
        program.write_text(
            f"""#!/bin/sh
[ "$1 $2" = "attestation verify" ] || exit 2
[ -n "$GH_TOKEN" ] || exit 4
sum=$(sha256sum "$3" | cut -d' ' -f1)
grep -q "$sum" '{self.folder}/attested' && exit 0
echo "no attestations found for subject sha256:$sum" >&2
exit 1
"""
        )
        program.chmod(0o755)
        return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


def _unattested(options: dict[str, Any]) -> dict[str, Any]:
    """Let a release be of a bundle that no training attested, unless the options say something of it."""
    return {**options, "variables": {"CORDRIFT_ATTEST": "no", **(options.get("variables") or {})}}


def make_lab(folder: Path, github: GitHubServer, environment: Mapping[str, str] | None = None) -> Lab:
    """Copy what git knows of this checkout into a repository of its own, with the micro cohort pinned."""
    if not (Path(sys.prefix) / ".ready").exists():
        pytest.skip("these tests run the workflow files in the environment that `make setup` makes")
    fork = folder / "fork"
    _copy_repository(ROOT, fork)
    shutil.copyfile(fork / "params/micro.yaml", fork / "params.yaml")
    pin_cohort(fork, folder / "cohort")
    commit_all(fork, "the fork of a lab")
    return Lab(folder, github, Caches(folder / "caches"), environment or {})


def _copy_repository(checkout: Path, to: Path) -> None:
    """Make a repository of what a checkout would commit now: tracked files and new ones that are not ignored."""
    listed = git(checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, listed):
        source = checkout / name
        if (source.is_symlink() and not source.readlink().is_absolute()) or source.is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to / name, follow_symlinks=False)
    git(to, "init", "--quiet", "--initial-branch=main")
    git(to, "add", "--force", "--all")
    git(to, "commit", "--quiet", "--message=source of the run")


def commit_all(repository: Path, message: str) -> None:
    """Commit everything."""
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", message)


def variant(packed: bytes, scale: float) -> bytes:
    """Another bundle: the same network with its weights of the last layer scaled, under its own digest."""
    with tempfile.TemporaryDirectory() as scratch:
        source, folder = Path(scratch) / "cordrift-bundle.zip", Path(scratch) / "bundle"
        source.write_bytes(packed)
        folder.mkdir()
        unpack(source, folder, most_bytes=1 << 30)
        path = folder / "fold_0/weights.safetensors"
        weights = {name: np.array(array) for name, array in read_weights(path).items()}
        last = [name for name in weights if "seg_layers" in name]
        for name in last:
            weights[name] = (weights[name] * scale).astype(weights[name].dtype)
        save_file(weights, path)
        model, dataset = read_model_and_dataset(folder)
        named = read_json(folder / "model.json")
        named["digest"] = bundle_digest_of({0: weights}, model, dataset)
        write_json(folder / "model.json", {key: value for key, value in named.items() if key != "schema"})
        return zipped(
            {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        )


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip of files by name."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def unzipped(packed: bytes) -> dict[str, bytes]:
    """Members of a zip by name."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
