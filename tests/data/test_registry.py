"""The registry: misspelt keys, bad patterns and pins, and a pin written without loss of comments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.data_factory import ROOT, entry

from stages.core.base.errors import SettingsError
from stages.core.data.datasets.registry import Frozen, load_registry, pinned, read_frozen, read_persons
from stages.core.data.datasets.registry import entry as find
from stages.core.phantom.dataset.cohort import frozen_participants
from stages.core.phantom.dataset.publish import paths_of
from stages.core.workspace.runs.pin import pin_dataset

COMMIT = "0123456789" * 4


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "datasets.yaml"
    path.write_text(yaml.safe_dump({"schema": 1, "datasets": {"one": entry("one", COMMIT) | changes}}))
    return path


def test_the_projects_own_registry_and_frozen_set_agree() -> None:
    registry = load_registry(ROOT / "data/datasets.yaml")
    frozen = read_frozen(ROOT / "data/frozen.csv")
    tests = {name for name, dataset in registry.datasets.items() if dataset.role == "test"}
    assert {row.dataset for row in frozen} == tests
    assert sum(row.dataset == "spine-generic-frozen" for row in frozen) == 49


@pytest.mark.parametrize(
    ("name", "cohort"), [("phantom", ""), ("phantom-frozen", "demo"), ("micro", ""), ("micro-frozen", "micro")]
)
def test_entries_of_the_phantom_are_where_it_writes(name: str, cohort: str) -> None:
    for contrast, patterns in load_registry(ROOT / "data/datasets.yaml").datasets[name].contrasts.items():
        paths = paths_of("{sub}", contrast)
        assert (patterns.image, patterns.mask) == (paths.image, paths.binary)
        if cohort:
            assert (patterns.softmask, patterns.discs) == (paths.soft, paths.discs)
    frozen = [row.participant for row in read_frozen(ROOT / "data/frozen.csv") if row.dataset == name]
    assert frozen == (sorted(frozen_participants(cohort, "r1")) if cohort else [])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"licens": "MIT"}, r"unknown key 'datasets\.one\.licens' \(did you mean 'licence'\?\)"),
        (
            {"contrasts": {"T1w": {"image": "{sub}.nii.gz", "maks": "{sub}.nii.gz"}}},
            r"unknown key 'datasets\.one\.contrasts\.T1w\.maks' \(did you mean 'mask'\?\)",
        ),
        ({"contrasts": {"T1w": {"image": "sub-01.nii.gz"}}}, r"must contain \{sub\}"),
        ({"contrasts": {"T1w": {"image": "{sub}/{run}.nii.gz"}}}, r"must contain \{sub\}.*is the only other field"),
        ({"contrasts": {"T1w": {"image": "/data/{sub}.nii.gz"}}}, "must be relative to the dataset"),
        ({"contrasts": {"T1w": {"image": "../{sub}.nii.gz"}}}, "must be relative to the dataset"),
        ({"contrasts": {}}, r"'datasets\.one\.contrasts'"),
        ({"commit": "abc"}, r"'datasets\.one\.commit\S* is 'abc'"),
        ({"role": "training"}, r"'datasets\.one\.role' is 'training'"),
        ({"exclude": {"amu01": "no"}}, "amu01"),
    ],
)
def test_each_fault_gives_an_error_that_names_it(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(SettingsError, match=sentence) as caught:
        load_registry(path)
    assert str(path) in str(caught.value)


def test_schema_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "datasets.yaml"
    for text in ("datasets: {}", "schema: 99\ndatasets: {}", "- a list"):
        path.write_text(text)
        with pytest.raises(SettingsError, match="schema"):
            load_registry(path)


def test_unknown_dataset_and_missing_pin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = load_registry(write(tmp_path, commit=None))
    with pytest.raises(SettingsError, match=r"no dataset 'onne' \(did you mean 'one'\?\)"):
        find(registry, "onne")
    with pytest.raises(SettingsError, match=r"nothing at one yet: run the command that makes the dataset, or correct"):
        pinned("one", registry.datasets["one"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").mkdir()
    with pytest.raises(SettingsError, match="run `cordrift pin one`"):
        pinned("one", registry.datasets["one"])
    generated = load_registry(write(tmp_path, commit=None, url="data/phantom"))
    with pytest.raises(SettingsError, match="nothing at data/phantom yet: run `cordrift phantom`; then"):
        pinned("one", generated.datasets["one"])
    remote = load_registry(write(tmp_path, commit=None, url="https://example.org/x"))
    with pytest.raises(SettingsError, match="run `cordrift pin one`"):
        pinned("one", remote.datasets["one"])


def test_pin_changes_two_lines_of_the_projects_registry(tmp_path: Path) -> None:
    path = tmp_path / "datasets.yaml"
    before = (ROOT / "data/datasets.yaml").read_text()
    path.write_text(before)
    pin_dataset(path, "real-cord", "r7", COMMIT)
    after = path.read_text()
    changed = [line for line in after.splitlines() if line not in before.splitlines()]
    assert [line.split(": ")[1].strip("'\"") for line in changed] == ["r7", COMMIT]
    assert len(after.splitlines()) == len(before.splitlines())
    assert pinned("real-cord", load_registry(path).datasets["real-cord"]) == COMMIT


def test_a_bad_pin_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path)
    before = path.read_bytes()
    for name, tag, commit in (("two", "r1", COMMIT), ("one", "r1", "abc"), ("one", "-x", COMMIT)):
        with pytest.raises(SettingsError):
            pin_dataset(path, name, tag, commit)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_frozen_table(tmp_path: Path) -> None:
    path = tmp_path / "frozen.csv"
    path.write_text("schema,participant,dataset\n1,sub-b,two\n1,sub-a,two\n")
    assert read_frozen(path) == [Frozen("sub-a", "two"), Frozen("sub-b", "two")]
    for text, sentence in (
        (
            "schema,participant,dataset\n1,sub-a,two\n1,sub-a,two\n",
            "row 2 below the header, lists sub-a of two more than once",
        ),
        ("schema,participant\n1,sub-a\n", "no column 'dataset'"),
        ("schema,participant,dataset\n1,amu01,two\n", r"frozen\.csv, row 1 .*'amu01'"),
        ("schema,participant,dataset\n1,sub-a,\n", "'sub-a', ''"),
        ("schema,participant,dataset\n99,sub-a,two\n", "has schema 99"),
        ("", "not a table of comma-separated values"),
    ):
        path.write_text(text)
        with pytest.raises(SettingsError, match=sentence):
            read_frozen(path)


def test_a_table_of_persons_without_a_column_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "persons.csv").write_text("schema,person,participant\n1,p1,sub-01\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"persons\.csv has no column 'dataset'; expected schema, person, dataset"):
        read_persons(tmp_path / "persons.csv")
