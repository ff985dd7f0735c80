"""``dvc.yaml`` is true: what a stage imports and reads is declared, and nothing lies where DVC does not look."""

from __future__ import annotations

import ast
import re
from pathlib import Path, PurePosixPath
from typing import Any

import pathspec
import pytest
import yaml
from support.imports import closure

from stages.core.data.datasets import registry
from stages.core.data.datasets.settings import Monitored
from stages.core.workspace.runs.params import Params

ROOT = Path(__file__).parents[2]
STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
#: Git-annex owns the clones and DVC ignores them; each read of an image is checked against the declared manifest.
CLONES = "data/clones"
REGISTRY_MODULE = "stages/core/data/datasets/registry.py"
#: Constants of that module -> the tables of the lab that they name.
TABLES = {name: value.as_posix() for name, value in vars(registry).items() if isinstance(value, Path)}


def _rooms(stage: str) -> set[str]:
    """Return the folders of code that a stage declares."""
    return {dep for dep in STAGES[stage]["deps"] if dep.startswith("stages/core/")}


def _code(stage: str) -> set[str]:
    """Return the files that a stage runs."""
    return closure(f"stages.{stage}")


def _paths(stage: str, key: str) -> set[str]:
    """Return deps or outs that are no code, without their matrix fields."""
    names = {re.sub(r"/?\$\{item\.[a-z]+\}.*", "", name) for name in STAGES[stage].get(key, [])}
    return {name for name in names if not name.startswith("stages/")}


@pytest.mark.parametrize("stage", STAGES)
def test_declared_rooms_are_exactly_those_that_the_stage_imports_from(stage: str) -> None:
    imported = {PurePosixPath(name).parent.as_posix() for name in _code(stage)} - {"stages"}
    assert _rooms(stage) == imported
    # The localiser comes with the code: its digest is read, and with it everything that it names is verified.
    models = {dep for dep in STAGES[stage]["deps"] if dep.startswith("stages/models/")}
    searches = "stages/core/model/localisation/search.py" in _code(stage)
    assert models == ({"stages/models/localiser/model.json"} if searches else set())
    modules = {dep for dep in STAGES[stage]["deps"] if dep.startswith("stages/")} - _rooms(stage) - models
    assert modules == {f"stages/{stage}.py"} == {name for name in _code(stage) if name.count("/") == 1}


def test_a_room_that_is_declared_holds_no_other_room() -> None:
    """DVC hashes a folder with all that lies below it: a wing would rerun a stage for a room that it never imports."""
    for room in set().union(*map(_rooms, STAGES)):
        below = [path for path in (ROOT / room).rglob("*.py") if path.parent != ROOT / room]
        assert not below, room


def test_what_retrains_is_the_training_and_nothing_else() -> None:
    code = [dep for dep in STAGES["train"]["deps"] if dep.startswith("stages/")]
    # The trainer computes images from painted anatomies as a scanner does; the code that paints is an input of `paint`.
    assert code == [
        "stages/train.py",
        "stages/core/base",
        "stages/core/model/training",
        "stages/core/phantom/acquisition",
    ]


def test_the_files_of_packages_hold_nothing() -> None:
    """They would run with every import of the package, and no stage declares them."""
    for path in (ROOT / "stages").rglob("__init__.py"):
        assert path.read_text(encoding="utf-8") == "", path


def test_the_import_closure_follows_nested_and_relative_imports() -> None:
    files = closure("stages.train")
    assert "stages/core/model/training/trainer.py" in files, "imported inside a function"
    assert "stages/core/base/files.py" in closure("stages.core.data.clones.fetch"), "three levels up"


def _literals(path: Path) -> set[str]:
    """Return every path below data/ or reports/ that a module names, up to its first formatted field.

    A module also names a path when it uses the constant of the registry module that holds this path.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and re.fullmatch(r"(data|reports)/[\w./-]*(?<!\.py)", text):
            found.add(text.rstrip("/"))
        elif isinstance(node, ast.ImportFrom) and str(node.module).split(".")[-1] == "registry":
            found |= {TABLES[alias.name] for alias in node.names if alias.name in TABLES}
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value).split(".")[-1] == "registry":
            found |= {TABLES[node.attr]} if node.attr in TABLES else set()
    return found


@pytest.mark.parametrize(
    "source",
    [
        "path = Path('data/persons.csv')",
        "from .core.data.datasets.registry import PERSONS, read_persons",
        "def f():\n    from stages.core.data.datasets.registry import PERSONS as table",
        "from .core.data.datasets import registry\ntable = registry.PERSONS",
    ],
)
def test_a_path_that_a_module_names_is_found_however_it_is_written(tmp_path: Path, source: str) -> None:
    (tmp_path / "module.py").write_text(source, encoding="utf-8")
    assert _literals(tmp_path / "module.py") == {"data/persons.csv"}


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
            if module == REGISTRY_MODULE:
                continue  # it names three files and reads those that it is given: their stages name them too
            near = [p for p in declared | known if name == p or name.startswith(p + "/") or p.startswith(name + "/")]
            assert near, f"{module}: {name}"


@pytest.mark.parametrize("stage", STAGES)
def test_one_word_names_stage_module_and_output(stage: str) -> None:
    assert (ROOT / "stages" / f"{stage}.py").is_file()
    # A shell reads the command, so that no value of params may stand in it.
    assert STAGES[stage]["cmd"] == f"python -m stages.{stage}"
    (out,) = STAGES[stage]["outs"]
    assert PurePosixPath(out).parts[1] == stage
    assert out.startswith(
        "data/" if stage in {"fetch", "check", "prepare", "paint", "train", "package"} else "reports/"
    )


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


def _blocks() -> dict[str, str]:
    """Return the name of the block for each class of settings."""
    fields = [field.annotation for key, field in Params.model_fields.items() if key != "profile"]
    return {model.__name__: model.block for model in (*fields, Monitored)}  # type: ignore[union-attr, attr-defined]


def _used_params(path: Path) -> set[str]:
    """Return ``block.field``, or ``block`` where it is used as a whole, for each block that a module reads."""
    blocks, tree = _blocks(), ast.parse(path.read_text(encoding="utf-8"))

    def read(node: ast.expr) -> str | None:
        """Name of the block that an expression such as ``Segment.read()`` reads."""
        called = node.func if isinstance(node, ast.Call) else None
        if not isinstance(called, ast.Attribute) or called.attr != "read" or not isinstance(called.value, ast.Name):
            return None
        return blocks.get(called.value.id)

    names: dict[str, str] = {}
    done: set[ast.expr] = set()  # what is assigned to a name counts where the name is used
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            several = isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple)
            targets = node.targets[0].elts if several else node.targets[:1]  # type: ignore[attr-defined]
            values = node.value.elts if several else [node.value]  # type: ignore[attr-defined]
            for target, value in zip(targets, values, strict=True):
                if block := read(value):
                    names[target.id] = block
                    done.add(value)
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (block := read(node.value) or names.get(getattr(node.value, "id", ""))):
            used.add(f"{block}.{node.attr}")
            done.add(node.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Call) and not isinstance(getattr(node, "ctx", None), ast.Store):
            block = read(node) or names.get(getattr(node, "id", ""))
            if block and node not in done:
                used.add(block)
    return used


def test_what_a_module_uses_of_params_is_found(tmp_path: Path) -> None:
    source = """
segment, rule = Segment.read(), Compare.read()
only = Floor.read()
f(segment.shards, rule, Measure.read().levels, Train.read(), only.step)
"""
    (tmp_path / "module.py").write_text(source, encoding="utf-8")
    assert _used_params(tmp_path / "module.py") == {
        "segment.shards",
        "compare",
        "measure.levels",
        "train",
        "floor.step",
    }


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
    # How many transfers run at once decides nothing. `fetch --dry-run` names the datasets; no stage runs it.
    assert undeclared <= {"stages/fetch.py: fetch.jobs", "stages/fetch.py: fetch.datasets"}


@pytest.mark.parametrize("stage", STAGES)
def test_params_that_a_stage_declares_are_used(stage: str) -> None:
    used = set().union(*(_used_params(ROOT / module) for module in _code(stage)))
    for name in STAGES[stage].get("params", []):
        if isinstance(name, str):
            block = name.split(".")[0]
            assert any(one in (name, block) or one.startswith(f"{name}.") for one in used), f"{stage}: {name}"


def test_a_declared_block_covers_what_train_is_given() -> None:
    declared = {name.removeprefix("train.") for name in STAGES["train"]["params"]}
    fields = set(Params.model_fields["train"].annotation.model_fields)  # type: ignore[union-attr]
    # folds is the matrix itself; how often the state is saved decides nothing
    assert declared == fields - {"folds", "save_every"}


def test_a_shard_depends_on_its_own_dataset_and_not_on_the_list_of_datasets() -> None:
    declared = {name.removeprefix("segment.") for name in STAGES["segment"]["params"]}
    fields = set(Params.model_fields["segment"].annotation.model_fields)  # type: ignore[union-attr]
    assert declared == fields - {"datasets", "scheduler"}
    data = {name for name in STAGES["segment"]["deps"] if name.startswith("data/") and "package" not in name}
    assert data == {"data/fetch/${item.dataset}.json", "data/check/${item.dataset}"}


def test_no_dependency_or_output_lies_under_a_path_that_dvc_ignores() -> None:
    lines = (ROOT / ".dvcignore").read_text(encoding="utf-8").splitlines()
    ignored = pathspec.GitIgnoreSpec.from_lines(lines)
    assert ignored.match_file(f"{CLONES}/x"), "the clones must be ignored: DVC would walk tens of thousands of paths"
    for stage in STAGES:
        for name in _paths(stage, "deps") | _paths(stage, "outs") | _rooms(stage):
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


GITHUB = "stages/core/release/github/"
#: Where each tool from outside may be used, and () where it may be used nowhere. torch is also asked for the machine's
#: GPUs, and writes the zip for the field's toolbox; neither knows nnU-Net. `new` times a few steps of the network.
DOORS = {
    "nnunetv2": (
        "stages/core/model/segmentation/network.py",
        "stages/core/model/training/",
        "stages/core/model/segmentation/predictor.py",
        "stages/core/workspace/runs/speed.py",
    ),
    "torch": (
        "stages/core/model/training/",
        "stages/core/model/segmentation/predictor.py",
        "stages/core/model/segmentation/network.py",
        "stages/core/model/segmentation/compiled.py",
        "stages/core/model/segmentation/hardware.py",
        "stages/core/model/bundle/toolbox.py",
        "stages/core/workspace/runs/speed.py",
    ),
    # `import openvino` reports to a service on the internet; its door keeps it from that.
    "openvino": ("stages/core/model/segmentation/compiled.py",),
    # What Dask receives is unpickled, so that it has one door.
    "dask": ("stages/core/model/spread/cluster.py",),
    "distributed": ("stages/core/model/spread/cluster.py",),
    "mlflow": ("stages/core/store/", "stages/dashboard.py"),
    "datalad": ("stages/core/data/clones/programs.py",),
    # The words of a git command. `doctor` asks git-annex for its version. `purge` runs nothing: it prints commands for
    # a person, who runs them where participants must also be removed.
    "annex": (
        "stages/core/data/clones/",
        "stages/core/workspace/withdrawal/purge.py",
    ),
    "git-annex": ("stages/core/workspace/diagnosis/software.py",),
    # MLflow's client raises errors of requests, which its door turns into sentences.
    "requests": (GITHUB, "stages/core/store/connection.py"),
    "api.github.com": (GITHUB,),
    # Other ways to GitHub and to the network: nobody needs them beside requests.
    **dict.fromkeys(("gh", "urllib.request", "http.client", "httpx", "urllib3", "aiohttp"), ()),
}


def _tools(source: str) -> set[str]:
    """Return the tools of DOORS that a module imports, by statement or by name, starts as a program or addresses."""
    modules: set[str] = set()
    words: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in {
            "import_module",
            "__import__",
        }:
            modules |= {str(word.value) for word in node.args if isinstance(word, ast.Constant)}
        elif isinstance(node, ast.List | ast.Tuple):  # the words of a command
            words |= {str(word.value) for word in node.elts if isinstance(word, ast.Constant)}
        elif isinstance(node, ast.Constant) and "api.github.com" in str(node.value):
            words.add("api.github.com")
    packages = {".".join(name.split(".")[:n]) for name in modules for n in range(1, name.count(".") + 2)}
    # These two are no programs: as words they are values of `segment.backend`.
    return (packages | words - {"torch", "openvino"}) & set(DOORS)


def test_each_outside_tool_has_one_door() -> None:
    used = {name: _tools((ROOT / name).read_text(encoding="utf-8")) for name in _sources()}
    wrong = [(name, tool) for name, tools in used.items() for tool in tools if not name.startswith(DOORS[tool])]
    assert wrong == []
    for tool, doors in DOORS.items():
        for door in doors:
            assert any(tool in tools for name, tools in used.items() if name.startswith(door)), (tool, door)


def _sources() -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "stages").rglob("*.py"))


@pytest.mark.parametrize(
    ("tool", "source"),
    [
        ("datalad", "def f():\n    call(['datalad', 'get', '.'])"),
        ("datalad", "from datalad.api import get"),
        ("mlflow", "def f():\n    import mlflow.tracking"),
        ("mlflow", "import importlib\nclient = importlib.import_module('mlflow.client')"),
        ("requests", "import requests as r"),
        ("urllib.request", "import urllib.request"),
        ("urllib.request", "from urllib.request import urlopen"),
        ("urllib.request", "from urllib import parse, request"),
        ("http.client", "import importlib\nclient = importlib.import_module('http.client')"),
        ("gh", "call(['gh', 'release', 'list'])"),
        ("api.github.com", "def f(tag):\n    return f'https://api.github.com/repos/{tag}'"),
        ("annex", "git(clone, ['annex', *words, '--batch'])"),
        ("git-annex", "call(('git-annex', 'get', '.'))"),
    ],
)
def test_a_second_door_is_found_however_it_is_written(tool: str, source: str) -> None:
    assert _tools(source) == {tool}


def test_no_function_of_core_knows_by_default_where_a_table_of_the_lab_lies() -> None:
    """A stage that reads a file through a default argument names it nowhere, and nobody misses it among its inputs."""
    for name in _sources():
        if not name.startswith("stages/core/"):
            continue
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith(("load_", "read_")):
                defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
                found = {value.id for value in defaults if isinstance(value, ast.Name)} & set(TABLES)
                assert not found, f"{name}: {node.name} takes {found} by default"
