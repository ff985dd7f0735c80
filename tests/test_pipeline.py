"""``dvc.yaml`` is true: what a stage imports and reads is declared, and nothing lies where DVC does not look."""

from __future__ import annotations

import ast
import re
from pathlib import Path, PurePosixPath
from typing import Any

import pathspec
import pytest
import yaml
from imports import closure

from stages.core.params import Params

ROOT = Path(__file__).parents[1]
STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
#: Written for the pipeline from outside it; see stages/core/cohort.py and README of data/monitored.
CLONES = "data/clones"


def _code(stage: str) -> set[str]:
    return {dep for dep in STAGES[stage]["deps"] if dep.startswith("stages/") and dep.endswith(".py")}


def _paths(stage: str, key: str) -> set[str]:
    """Return deps or outs that are no code, without their matrix fields."""
    names = {re.sub(r"/?\$\{item\.[a-z]+\}.*", "", name) for name in STAGES[stage].get(key, [])}
    return {name for name in names if not name.startswith("stages/")}


@pytest.mark.parametrize("stage", STAGES)
def test_declared_code_is_exactly_what_the_stage_imports(stage: str) -> None:
    imported = {name for name in closure(f"stages.{stage}") if (ROOT / name).read_text(encoding="utf-8").strip()}
    assert _code(stage) == imported


def test_the_import_closure_follows_nested_and_package_imports() -> None:
    files = closure("stages.train")
    assert "stages/core/nnunet/trainer.py" in files, "imported inside a function"
    assert "stages/core/nnunet/__init__.py" in files, "a package runs its __init__"
    assert not any("store" in name or "figures" in name for name in files), "logging and figures must not retrain"
    assert "stages/core/nnunet/inference.py" not in files, "a faster segment must not retrain"


def _literals(path: Path) -> set[str]:
    """Return every path below data/ or reports/ that a module names, up to its first formatted field."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and re.fullmatch(r"(data|reports)/[\w./-]*", text):
            found.add(text.rstrip("/"))
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_every_path_that_a_stage_names_is_declared(stage: str) -> None:
    declared = _paths(stage, "deps") | _paths(stage, "outs")
    # state of a training that was interrupted, and images verified against the declared manifest
    known = {"data/scratch", CLONES}
    if stage == "fetch":
        known |= {"data/datasets.yaml"}  # declared as params, so that one entry's edit reruns one dataset
        assert any("data/datasets.yaml" in str(entry) for entry in STAGES[stage]["params"])
    for module in _code(stage):
        for name in _literals(ROOT / module):
            if module.split("/")[1] == "core" and name in {"data/datasets.yaml", "data/frozen.csv", "data/persons.csv"}:
                continue  # defaults of arguments; the stages that use them name them themselves
            near = [p for p in declared | known if name == p or name.startswith(p + "/") or p.startswith(name + "/")]
            assert near, f"{module}: {name}"


@pytest.mark.parametrize("stage", STAGES)
def test_one_word_names_stage_module_and_output(stage: str) -> None:
    assert (ROOT / "stages" / f"{stage}.py").is_file()
    assert STAGES[stage]["cmd"].startswith(f"python -m stages.{stage}")
    (out,) = STAGES[stage]["outs"]
    assert PurePosixPath(out).parts[1] == stage
    assert out.startswith("data/" if stage in {"fetch", "check", "prepare", "train", "package"} else "reports/")


@pytest.mark.parametrize("stage", STAGES)
def test_params_that_a_stage_declares_exist(stage: str) -> None:
    for name in STAGES[stage].get("params", []):
        if isinstance(name, dict):
            continue
        model: Any = Params
        for part in name.split("."):
            fields = {field.alias or key: field for key, field in model.model_fields.items()}
            assert part in fields, f"{stage}: {name}"
            model = fields[part].annotation


def _used_params(path: Path) -> set[str]:
    """Return ``block`` or ``block.field`` for every ``params.block[.field]`` and ``load_params().block``."""
    blocks = {key: field.alias or key for key, field in Params.model_fields.items()}
    used: set[str] = set()

    def root(node: ast.expr) -> bool:
        called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "load_params"
        return called or (isinstance(node, ast.Name) and node.id == "params")

    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Attribute):
            continue
        if root(node.value) and node.attr in blocks:
            used.add(blocks[node.attr])
        inner = node.value
        if isinstance(inner, ast.Attribute) and root(inner.value) and inner.attr in blocks:
            used.discard(blocks[inner.attr])
            used.add(f"{blocks[inner.attr]}.{node.attr}")
    fields = {name.split(".")[0] for name in used if "." in name}
    return {name for name in used if "." in name or name not in fields}


@pytest.mark.parametrize("stage", STAGES)
def test_params_that_a_stage_uses_are_declared(stage: str) -> None:
    declared = {name for name in STAGES[stage].get("params", []) if isinstance(name, str)}
    matrix = re.findall(r"\$\{([a-z.]+)\}", str(STAGES[stage].get("matrix", "")))
    undeclared = set()
    for module in _code(stage):
        for name in _used_params(ROOT / module):
            block = name.split(".")[0]
            part = any(entry.startswith(f"{block}.") for entry in declared) and "." not in name
            if not ({name, block} & declared or name in matrix or part):
                undeclared.add(f"{module}: {name}")
    # how many transfers run at once decides nothing
    assert undeclared <= {"stages/fetch.py: fetch.jobs"}


def test_a_declared_block_covers_what_train_is_given() -> None:
    declared = {name.removeprefix("train.") for name in STAGES["train"]["params"]}
    fields = set(Params.model_fields["train"].annotation.model_fields)  # type: ignore[union-attr]
    # folds is the matrix itself; how often the state is saved decides nothing
    assert declared == fields - {"folds", "save_every"}


def test_a_shard_depends_on_its_own_dataset_and_not_on_the_list_of_datasets() -> None:
    declared = {name.removeprefix("segment.") for name in STAGES["segment"]["params"]}
    fields = set(Params.model_fields["segment"].annotation.model_fields)  # type: ignore[union-attr]
    assert declared == fields - {"datasets"}
    data = {name for name in STAGES["segment"]["deps"] if name.startswith("data/") and "package" not in name}
    assert data == {"data/fetch/${item.dataset}.json", "data/check/${item.dataset}"}


def test_no_dependency_or_output_lies_under_a_path_that_dvc_ignores() -> None:
    lines = (ROOT / ".dvcignore").read_text(encoding="utf-8").splitlines()
    ignored = pathspec.GitIgnoreSpec.from_lines(lines)
    assert ignored.match_file(f"{CLONES}/x"), "the clones must be ignored: DVC would walk tens of thousands of paths"
    for stage in STAGES:
        for name in _paths(stage, "deps") | _paths(stage, "outs") | _code(stage):
            assert not ignored.match_file(name), f"{stage}: {name}"
            assert not ignored.match_file(name + "/x"), f"{stage}: {name}"


def test_every_read_path_is_made_by_a_stage_or_tracked() -> None:
    made = set().union(*(_paths(stage, "outs") for stage in STAGES))
    tracked = {"data/frozen.csv", "data/persons.csv", "data/monitored", "data/seeds"}
    for stage in STAGES:
        for name in _paths(stage, "deps"):
            assert name in tracked or any(name == out or name.startswith(out + "/") for out in made), f"{stage}: {name}"


def test_only_what_asks_mlflow_runs_every_time() -> None:
    assert {stage for stage, block in STAGES.items() if block.get("always_changed")} == {
        "declare",
        "history",
        "register",
    }


def test_each_outside_tool_has_one_door() -> None:
    doors = {
        "nnunetv2": "stages/core/nnunet/",
        "mlflow": "stages/core/store/",
        "datalad": "stages/core/children.py",
        "torch": "stages/core/nnunet/",
    }
    for path in sorted((ROOT / "stages").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for tool in {module.split(".")[0] for module in modules} & set(doors):
                assert name.startswith(doors[tool]) or name == "stages/core/toolbox.py", f"{name} imports {tool}"
