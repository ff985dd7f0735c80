"""Rules of the house that a linter does not know."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.imports import ROOT

SOURCES = sorted(path for path in (ROOT / "stages").rglob("*.py") if path.name != "__init__.py")
CORE = [path for path in SOURCES if "core" in path.parts]
#: From this number of arguments on, a docstring describes them.
MANY = 4
#: Where core may read the environment: the doors to tools from outside, which are told in no other way.
ENVIRONMENT = (
    "stages/core/base/errors.py",
    "stages/core/base/stage.py",
    "stages/core/base/environment.py",
    "stages/core/data/clones/programs.py",
    "stages/core/model/bundle/revision.py",
    "stages/core/model/segmentation/compiled.py",
    "stages/core/model/segmentation/predictor.py",
    "stages/core/model/training/fold.py",
    "stages/core/release/github/",
    "stages/core/store/",
    "stages/core/workspace/runs/workspace.py",
)
#: Where core may print: errors of a command, and what a runner of GitHub reads from the output.
PRINTING = ("stages/core/base/errors.py", "stages/core/release/github/runner.py")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _public_functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Yield the functions and methods whose names, and whose classes' names, begin with no underscore."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            waiting += node.body
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_public_functions_with_many_arguments_describe_them(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for function in _public_functions(tree):
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        named = [one.arg for one in arguments if one.arg not in {"self", "cls"}]
        # A module may describe the arguments that its functions share.
        text = f"{ast.get_docstring(tree)}\n{ast.get_docstring(function)}"
        told = "Parameters\n" in text or "rguments as for" in text or all(name in text for name in named)
        assert len(named) < MANY or told, f"{_name(path)}: {function.name}({', '.join(named)})"


@pytest.mark.parametrize("path", CORE, ids=_name)
def test_core_neither_prints_nor_reads_the_environment_outside_the_doors(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            assert _name(path).startswith(PRINTING), f"line {node.lineno} prints"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            read = node.attr in {"environ", "getenv", "putenv"}
            assert not read or _name(path).startswith(ENVIRONMENT), f"line {node.lineno} reads the environment"


def test_no_riddle_comes_back() -> None:
    """Turns of phrase that were hard to understand; this file names them."""
    riddles = ("that is " + "none", " an" + "ew", "of " + "theirs", "sentences" + "(", "fei" + "gn")
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "dvc.yaml", ROOT / "Makefile"]
    for path in [*SOURCES, *(ROOT / "tests").rglob("*.py"), *pages]:
        text = path.read_text(encoding="utf-8")
        assert not [riddle for riddle in riddles if riddle in text], _name(path)
