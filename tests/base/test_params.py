"""Every profile of params is valid, and every fault in params.yaml is reported in a sentence."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages.core.base.errors import CordriftError, SettingsError
from stages.core.data.datasets.settings import BLOCKS, check_blocks
from stages.core.drift.versions.settings import History
from stages.core.workspace.runs.params import Params, load_params
from stages.core.workspace.runs.workspace import use_profile

ROOT = Path(__file__).parents[2]
PROFILES = sorted((ROOT / "params").glob("*.yaml"))


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_profile_is_valid_and_named_like_its_file(path: Path) -> None:
    assert load_params(path).profile == path.stem


def test_there_are_the_profiles_that_the_readme_names() -> None:
    assert {path.stem for path in PROFILES} >= {"demo", "micro", "spine-generic", "real-cord"}, "a lab may have more"


def test_params_yaml_is_a_copy_of_the_demo_profile() -> None:
    if load_params(ROOT / "params.yaml").profile != "demo":
        pytest.skip("params.yaml is a lab's own, as `cordrift new` and `cordrift profile` write it")
    assert (ROOT / "params.yaml").read_bytes() == (ROOT / "params/demo.yaml").read_bytes()


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_pinned_versions_are_those_of_constraints(path: Path) -> None:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    for name, pinned in load_params(path).train.versions.items():
        assert re.search(rf"^{name}=={re.escape(pinned)}$", constraints, re.MULTILINE), name
        assert version(name).split("+")[0] == pinned


def _edited(tmp_path: Path, change: Any) -> Path:
    value = yaml.safe_load((ROOT / "params/demo.yaml").read_text(encoding="utf-8"))
    change(value)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(value), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: p["train"].update(epoch=3), r"unknown key 'train.epoch' \(did you mean 'epochs'\?\)"),
        (lambda p: p["train"].pop("epochs"), r"key 'train.epochs' is missing"),
        (lambda p: p["train"].update(epochs=0), r"'train.epochs' is 0: input should be greater than or equal to 1"),
        (
            lambda p: p["compare"].update(missing_bound_mm2="wide"),
            r"'compare.missing_bound_mm2' is 'wide': input should be a valid",
        ),
        (lambda p: p["fetch"].update(datasets=["../x"]), r"'fetch.datasets.0' is '../x'"),
        (lambda p: p.pop("measure"), r"key 'measure' is missing"),
        (lambda p: p.update(registr={}), r"unknown key 'registr' \(did you mean 'register'\?\)"),
    ],
)
def test_a_fault_is_a_sentence_that_names_key_and_value(tmp_path: Path, change: Any, sentence: str) -> None:
    path = _edited(tmp_path, change)
    with pytest.raises(CordriftError, match=sentence) as caught:
        load_params(path)
    assert str(path) in str(caught.value)


def test_the_first_stages_refuse_a_block_that_no_stage_knows(tmp_path: Path) -> None:
    assert set(BLOCKS) == {field.alias or key for key, field in Params.model_fields.items()}
    for profile in PROFILES:
        check_blocks(profile)
    path = _edited(tmp_path, lambda params: params.update(repport={}))
    with pytest.raises(SettingsError, match=r"unknown key 'repport' \(did you mean 'report'\?\)"):
        check_blocks(path)


def test_a_missing_block_names_its_likely_misspelling(tmp_path: Path) -> None:
    path = _edited(tmp_path, lambda params: params.update(histroy=params.pop("history")))
    with pytest.raises(SettingsError, match=r"key 'history' is missing \(the file holds 'histroy'\)"):
        History.read(path)


def test_a_file_that_is_no_yaml_or_absent_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("a: [1", encoding="utf-8")
    with pytest.raises(CordriftError, match="is not valid YAML"):
        load_params(tmp_path / "params.yaml")
    with pytest.raises(CordriftError, match="is missing"):
        load_params(tmp_path / "absent.yaml")


def _checkout(tmp_path: Path) -> Path:
    (tmp_path / "params").mkdir()
    for path in PROFILES:
        (tmp_path / "params" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "params.yaml").write_bytes((ROOT / "params/demo.yaml").read_bytes())
    return tmp_path


def test_profile_moves_there_and_back(tmp_path: Path) -> None:
    root = _checkout(tmp_path)
    use_profile(root, "spine-generic")
    assert load_params(root / "params.yaml").train.epochs == 1000
    use_profile(root, "demo")
    assert (root / "params.yaml").read_bytes() == (root / "params/demo.yaml").read_bytes()


def test_profile_refuses_to_overwrite_edits(tmp_path: Path) -> None:
    root = _checkout(tmp_path)
    edited = (root / "params.yaml").read_bytes() + b"# mine\n"
    (root / "params.yaml").write_bytes(edited)
    with pytest.raises(CordriftError, match="holds edits that would be lost"):
        use_profile(root, "real-cord")
    assert (root / "params.yaml").read_bytes() == edited


def test_an_unknown_profile_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        CordriftError, match=r"There is no profile 'dmeo' .* there are demo, micro, (?:.*, )?real-cord, spine-generic"
    ):
        use_profile(_checkout(tmp_path), "dmeo")
