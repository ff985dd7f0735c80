"""Checks of programs and packages: the installed versions, compared with those of constraints.txt and the params."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from packaging.requirements import Requirement

from ...data.clones.programs import call
from .check import DoctorCheck

SETUP = "run `make setup`, which installs what constraints.txt lists"
#: How many packages a line names before it only counts the others.
_NAMED = 3
#: Extras of the package that the loop needs.
EXTRAS = ("segment", "all")
#: Versions of Python with which CI installs, measures and trains.
PYTHONS = ((3, 11), (3, 12), (3, 13))


def installed(name: str) -> str | None:
    """Return the version of an installed package; None where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_python() -> Iterator[DoctorCheck]:
    """Compare the version of Python with those that cordrift is tested with."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] in PYTHONS:
        yield DoctorCheck("Python", "ok", found)
    else:
        *others, last = (f"{major}.{minor}" for major, minor in PYTHONS)
        yield DoctorCheck("Python", "warning", found, f"use Python {', '.join(others)} or {last}; see `make setup`")


def required() -> set[str]:
    """Return the names of the packages that cordrift needs in a workspace, those of its extras included."""
    needed = [Requirement(name) for name in importlib.metadata.requires("cordrift") or []]
    for_all = (one for one in needed if one.marker is None or any(one.marker.evaluate({"extra": e}) for e in EXTRAS))
    return {one.name.lower() for one in for_all} - {"cordrift"}


def check_packages(constraints: Path) -> Iterator[DoctorCheck]:
    """Compare the installed versions with ``constraints.txt``; only a package that cordrift needs must be installed."""
    absent = sorted(name for name in required() if installed(name) is None)
    if absent:
        yield DoctorCheck("packages", "problem", f"not installed: {', '.join(absent)}", SETUP)
    if not constraints.is_file():
        yield DoctorCheck("versions", "ok", f"{constraints.name} is not in this folder: nothing to compare with")
        return
    pins = dict(line.split("==") for line in constraints.read_text(encoding="utf-8").split() if "==" in line)
    found = {name: installed(name) for name in pins}
    here = {name: version for name, version in found.items() if version is not None}
    other = sorted(name for name, version in here.items() if version.split("+")[0] != pins[name])
    if other:
        named = ", ".join(f"{name} {here[name]} (not {pins[name]})" for name in other[:_NAMED])
        more = f" and {len(other) - _NAMED} more" if len(other) > _NAMED else ""
        yield DoctorCheck("versions", "warning", f"{len(other)} of {len(here)} packages differ: {named}{more}", SETUP)
    else:
        yield DoctorCheck("versions", "ok", f"{len(here)} packages as {constraints.name} pins them")


def check_libraries(expected: Mapping[str, str]) -> Iterator[DoctorCheck]:
    """Check the libraries that decide the weights: `train` requires the versions in ``train.versions``."""
    for name, wanted in sorted(expected.items()):
        found = installed(name)
        if found is not None and found.split("+")[0] == wanted:
            yield DoctorCheck(name, "ok", f"{found}, as train.versions names it")
        else:
            advice = f"{SETUP}; or change train.versions, and the model is retrained"
            yield DoctorCheck(name, "problem", f"{found or 'not installed'}, but train.versions names {wanted}", advice)


def check_git() -> Iterator[DoctorCheck]:
    """Check git, and the name and address for commits; without them cordrift uses its own in its clones."""
    path = shutil.which("git")
    if path is None:
        yield DoctorCheck("git", "problem", "not found on the search path", "install git from your system's packages")
        return
    yield DoctorCheck("git", "ok", call(["git", "version"]).stdout.decode(errors="replace").strip())
    # Run git without cordrift's own variables, because these always name somebody.
    identity = [_output([path, "config", "--get", key]) for key in ("user.name", "user.email")]
    if all(identity):
        yield DoctorCheck("git identity", "ok", f"{identity[0]} <{identity[1]}>")
    else:
        advice = "for commits of your own: `git config --global user.name NAME`, and the same with user.email"
        yield DoctorCheck("git identity", "ok", "none set; cordrift uses its own for commits in its clones", advice)


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def check_annex() -> Iterator[DoctorCheck]:
    """Check git-annex and DataLad, which `fetch` needs."""
    answer = call(["git-annex", "version", "--raw"])
    version = answer.stdout.decode(errors="replace").strip()
    if answer.returncode:
        yield DoctorCheck("git-annex", "problem", f"it does not start (exit status {answer.returncode})", SETUP)
    else:
        yield DoctorCheck("git-annex", "ok", version)
    beside = shutil.which("datalad", path=str(Path(sys.executable).parent)) or shutil.which("datalad")
    found = installed("datalad")
    if beside and found:
        yield DoctorCheck("DataLad", "ok", found)
    else:
        yield DoctorCheck("DataLad", "problem", "its program is not beside Python nor on the search path", SETUP)
