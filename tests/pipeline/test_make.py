"""The Makefile, run with a fake Python that only writes down its arguments."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: A fake Python that writes down its arguments. The demo makes its folder, and fails where a file `broken` exists.
PYTHON = """#!/bin/sh
echo "$(basename "$PWD"): $*" >> "$NOTES"
case "$*" in
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *" demo --micro"*) test ! -e broken && mkdir -p .demo-micro/reports/compare ;;
  *" diff-metrics "*) echo "a table" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Two checkouts side by side, ``head`` and ``base``, which contain only the files that make reads."""
    python = tmp_path / "python"
    python.write_text(PYTHON, encoding="utf-8")
    python.chmod(0o755)
    for name in ("head", "base"):
        (tmp_path / name).mkdir()
        for file in ("Makefile", "pyproject.toml", "constraints.txt"):
            shutil.copyfile(ROOT / file, tmp_path / name / file)
    return tmp_path / "head"


def make(folder: Path, *words: str, **more: str) -> list[str]:
    """Run make and return the arguments that its Python received, one line for each call."""
    notes = folder.parent / "notes"
    notes.write_text("", encoding="utf-8")
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MAKE") and key != "VENV"}
    env = {**clean, "NOTES": str(notes), "PYTHON": str(folder.parent / "python"), **more}
    done = subprocess.run(["make", *words], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return notes.read_text(encoding="utf-8").splitlines()


def test_setup_installs_once_at_the_pinned_versions(checkout: Path) -> None:
    assert make(checkout, "setup") == [
        "head: -m venv .venv",
        "head: -m pip install --quiet --constraint constraints.txt --editable .[all,dev]",
    ]
    assert make(checkout, "setup") == []


def test_another_build_of_torch_comes_first_and_from_its_index_alone(checkout: Path) -> None:
    index = "https://example.org/builds of 'torch'"
    _, torch, rest = make(checkout, "setup", TORCH_INDEX=index)
    assert torch == (
        f"head: -m pip install --quiet --constraint constraints.txt --no-deps --index-url {index} torch torchvision"
    )
    assert rest.endswith("--editable .[all,dev]")
    assert "example.org" not in rest


def test_an_environment_that_is_ready_elsewhere_is_used_as_it_is(checkout: Path) -> None:
    make(checkout, "setup", VENV=str(checkout.parent / "shared"))
    assert (checkout.parent / "shared/.ready").is_file()
    assert make(checkout, "setup", VENV=str(checkout.parent / "shared")) == []
    assert not (checkout / ".venv").exists()


def test_metrics_of_base_and_head_are_added_to_the_summary(checkout: Path) -> None:
    summary = checkout.parent / "summary.md"
    summary.write_text("before\n", encoding="utf-8")
    asked = make(checkout, "diff-metrics", SUMMARY=str(summary))
    assert [line for line in asked if " demo " in line] == [
        f"{name}: -m stages.cli demo --micro --seeds 1" for name in ("head", "base")
    ]
    metrics = ".demo-micro/reports/compare/metrics.json"
    assert asked[-1] == f"head: -m stages.cli diff-metrics ../base/{metrics} {metrics}"
    assert summary.read_text(encoding="utf-8") == "before\na table\n"


def test_a_base_that_cannot_be_compared_with_is_said_and_is_no_failure(checkout: Path) -> None:
    summary = checkout.parent / "summary.md"
    (checkout.parent / "base/broken").write_text("", encoding="utf-8")
    make(checkout, "diff-metrics", SUMMARY=str(summary))
    older = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\ndemo-micro:", "\nsomething-else:")
    (checkout.parent / "base/Makefile").write_text(older, encoding="utf-8")
    asked = make(checkout, "diff-metrics", SUMMARY=str(summary))
    assert not [line for line in asked if line.startswith("base:")]
    assert summary.read_text(encoding="utf-8").splitlines() == [
        "Nothing to compare with: `make demo-micro` fails in the base.",
        "Nothing to compare with: the base has no target `demo-micro`.",
    ]


def test_a_head_that_fails_is_a_failure(checkout: Path) -> None:
    (checkout / "broken").write_text("", encoding="utf-8")
    with pytest.raises(AssertionError, match="demo-micro"):
        make(checkout, "diff-metrics")


def test_every_target_is_listed_and_no_file_can_stand_for_it(checkout: Path) -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    targets = {
        line.split(":")[0] for line in text.splitlines() if line[:1].islower() and ": " in line and "=" not in line
    }
    phony = next(line for line in text.splitlines() if line.startswith(".PHONY:"))
    assert targets == set(phony.removeprefix(".PHONY:").split())
    assert all(f"\n{name}:" in text and "##" in text.split(f"\n{name}:")[1].split("\n")[0] for name in targets)
