"""actions/checkout, and the source trees that it copies."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from actions.context import JobContext
from actions.errors import StepError, WorkflowError
from actions.globs import absolute
from actions.permissions import require

IDENTITY = {
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


def checkout(job: JobContext, inputs: Mapping[str, str]) -> dict[str, str]:
    """Put a clean copy of the source into the workspace: of a repository its commit, of a folder its files.

    A token is left in the copy's Git configuration unless ``persist-credentials`` is false, as on GitHub.
    """
    require(job.permissions, "contents", "read", "actions/checkout")
    if inputs.get("repository", job.run.github["repository"]) != job.run.github["repository"]:
        raise WorkflowError(f"actions/checkout: repository {inputs['repository']!r} is not emulated")
    to = Path(absolute(inputs.get("path") or ".", job.workspace, job.home))
    if not to.is_relative_to(job.workspace):
        raise StepError(f"Repository path '{to}' is not under '{job.workspace}'")
    if to.exists():
        shutil.rmtree(to)
    source = job.run.source
    if (source / ".git").exists():
        _fetch(source, to, inputs.get("ref") or job.run.github["sha"], inputs.get("fetch-depth") or "1")
        if inputs.get("persist-credentials") != "false":
            secret = base64.b64encode(f"x-access-token:{job.run.github['token']}".encode()).decode()
            header = f"http.{job.run.github['server_url']}/.extraheader"
            git(to, "config", header, f"AUTHORIZATION: basic {secret}")
    else:
        shutil.copytree(source, to, symlinks=True)
    if job.run.after_checkout is not None:
        job.run.after_checkout(to)
    return {"ref": inputs.get("ref", ""), "commit": job.run.github["sha"]}


def _fetch(source: Path, to: Path, ref: str, depth: str) -> None:
    to.mkdir(parents=True)
    git(to, "init", "--quiet")
    # A commit that no ref names can be asked for by protocol 2 alone.
    shallow = [] if depth == "0" else ["--depth", depth]
    refs = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"] if depth == "0" else []
    options = ["-c", "protocol.version=2", "fetch", "--quiet", "--no-tags", *shallow]
    git(to, *options, "--", source.resolve().as_uri(), ref, *refs)
    git(to, "checkout", "--quiet", "--detach", "FETCH_HEAD")


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder.

    Raises:
        StepError: git fails.
    """
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **IDENTITY}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def repository_of(checkout: Path, to: Path) -> str:
    """Make a repository of what a checkout would commit now: tracked files and new ones that are not ignored.

    Returns:
        The commit, for ``sha``.
    """
    listed = git(checkout, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, listed):
        source = checkout / name
        if (source.is_symlink() and not source.readlink().is_absolute()) or source.is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to / name, follow_symlinks=False)
    git(to, "init", "--quiet", "--initial-branch=main")
    git(to, "add", "--force", "--all")
    git(to, "commit", "--quiet", "--message=source of the run")
    return git(to, "rev-parse", "HEAD").strip()
