"""Every profile of params is valid, and every fault in params.yaml is reported in a sentence."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages.core.base.errors import CordriftError, SettingsError
from stages.core.base.params import load_yaml
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


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"paint": {"anatomies": 0}}, r"needs paint\.anatomies of at least 1"),
        ({"paint": {"size": [96, 63, 96]}}, r"a paint\.size of at least \[64, 64, 64\]"),
        ({"paint": {"voxel_mm": 1.5}}, r"paint\.voxel_mm is 1\.5, but must be that of train\.plan"),
        ({"train": {"loss": "nnunet"}}, r"loss must be soft where painted\.share is not 0"),
        ({"train": {"plan": None}}, r"painted\.share must be 0 where plan is null"),
    ],
)
def test_painted_batches_need_maps_a_plan_and_the_loss_for_shares(
    tmp_path: Path, change: dict[str, dict[str, object]], sentence: str
) -> None:
    params = yaml.safe_load((ROOT / "params/starter.yaml").read_text())
    for block, values in change.items():
        params[block].update(values)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(CordriftError, match=sentence):
        load_params(tmp_path / "params.yaml")


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
        CordriftError, match=r"There is no profile 'dmeo' .* there are demo, (?:.*, )?micro, (?:.*, )?real-cord, "
    ):
        use_profile(_checkout(tmp_path), "dmeo")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: 2\na: 3\n", r"line 3: the key 'a' is given twice in one block"),
        ("x:\n  a: 1\n  a: 1\n", r"line 3: the key 'a' is given twice"),
        ("- {a: 1, a: 2}\n", r"the key 'a' is given twice"),
        ("a: &a [*a]\n", r"holds itself"),
        ("a: !!python/object/apply:os.system ['true']\n", r"is not valid YAML"),
        ("a: [1, 2\n", r"is not valid YAML"),
        ("[" * 5000, r"is not valid YAML"),
        ("a: 2020-13-45\n", r"is not valid YAML"),
    ],
)
def test_a_file_that_says_two_things_or_hides_one_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=sentence):
        load_yaml(path)


def test_aliases_that_multiply_are_counted_before_they_are_written_out(tmp_path: Path) -> None:
    """Twelve lines that stand for 10^11 values; merge keys and a few aliases, as people write them, stay allowed."""
    path = tmp_path / "params.yaml"
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    path.write_text("\n".join(lines))
    with pytest.raises(SettingsError, match=r"over 100000 parts once its aliases"):
        load_yaml(path)
    path.write_text("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: {<<: *a, <<: *a}\nd: [*a, *a]\n")
    assert load_yaml(path)["b"] == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    "content", ["fetch: {datasets: [café]}\n".encode("latin-1"), "a: 1".encode("utf-16"), b"\x00\x01"]
)
def test_a_file_in_another_encoding_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"params.yaml is not (a text in UTF-8|valid YAML)"):
        load_yaml(path)


@pytest.mark.parametrize(
    ("block", "key", "value"),
    [
        ("compare", "bound_pooled_mm2", float("inf")),
        ("compare", "missing_bound_mm2", float("nan")),
        ("measure", "stiffness_mm", float("inf")),
        ("train", "seed", 10**21),
        ("train", "seed", -1),
        ("prepare", "seed", 10**21),
    ],
)
def test_numbers_without_a_bound_are_refused(tmp_path: Path, block: str, key: str, value: float) -> None:
    path = _edited(tmp_path, lambda params: params[block].update({key: value}))
    with pytest.raises(SettingsError, match=rf"'{block}.{key}' is .*: input should be"):
        load_params(path)
