"""The declaration of a version is recorded in MLflow before its results and never changes there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from support.cords import Workspace, keep_as_prior
from support.store_workspace import MODEL, A, B, params, workspace

from stages import compare, declare, measure, register, report
from stages.core.base.errors import PipelineError
from stages.core.base.files import read_json, write_json
from stages.core.drift.record.record import read_drift, write_drift
from stages.core.drift.rule.protocol import items, read_protocol
from stages.core.store.bundle_files import version_identity
from stages.core.store.client import Run, open_store
from stages.core.workspace.runs.params import load_params

pytestmark = pytest.mark.slow

PROTOCOL = Path("reports/declare/protocol.json")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(workspace(tmp_path))
    return tmp_path


def run_of(bundle: str = A) -> Run:
    found = open_store(MODEL).find_run(version_identity(bundle))
    assert found is not None
    return found


def widen(margin: float = 9.0) -> None:
    value = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    value["compare"]["missing_bound_mm2"] = margin
    Path("params.yaml").write_text(yaml.safe_dump(value), encoding="utf-8")


def test_it_is_in_the_run_before_any_result(lab: Path) -> None:
    declare.main()
    run = run_of()
    assert run.metrics == {}
    assert run.params["declared.missing_bound_mm2"] == "4"
    assert run.params["declared.range"] == "C2-C3"
    assert len(run.params["declared.frozen"]) == 64
    assert run.params["declared.before_results"] == "yes"
    assert open_store(MODEL).versions() == [], "a declaration must not register a version"
    register.main()
    assert [version.run_id for version in open_store(MODEL).versions()] == [run.run_id], (
        "a bundle must have only one run"
    )
    assert run_of().params["declared.missing_bound_mm2"] == "4"


def test_the_first_declaration_stands_and_what_follows_rests(lab: Path) -> None:
    declare.main()
    before = PROTOCOL.read_bytes()
    widen()
    declare.main()
    assert PROTOCOL.read_bytes() == before
    assert read_json(PROTOCOL)["items"]["missing_bound_mm2"] == "4"


def test_another_bundle_has_its_own(lab: Path) -> None:
    declare.main()
    workspace(lab, B, label="v2")
    widen(0.5)
    declare.main()
    assert (read_json(PROTOCOL)["bundle"], read_json(PROTOCOL)["items"]["missing_bound_mm2"]) == (B, "0.5")
    assert run_of().params["declared.missing_bound_mm2"] == "4"


def test_a_version_from_before_declarations_says_so(lab: Path) -> None:
    register.main()
    declare.main()
    assert read_json(PROTOCOL)["before_results"] is False
    declare.main()
    assert read_json(PROTOCOL)["before_results"] is False


def test_offline_nothing_is_recorded(lab: Path) -> None:
    params(lab, offline=True)
    (lab / "mlflow.db").unlink()
    declare.main()
    assert (read_json(PROTOCOL)["when"], read_json(PROTOCOL)["before_results"]) == ("", False)
    assert not (lab / "mlflow.db").exists()


def test_the_rate_of_atrophy_is_no_part_of_the_rule(lab: Path) -> None:
    rule = load_params().compare
    other = rule.model_copy(update={"atrophy_mm2_per_year": 3.0})
    assert items(rule, ["T1w"], "C2-C3", "f") == items(other, ["T1w"], "C2-C3", "f")


def test_the_first_record_of_a_digest_is_never_overwritten(lab: Path) -> None:
    register.main()
    path = Path("reports/compare/drift.json")
    first = path.read_bytes()
    for drift in ("equivalent", "inconclusive"):
        record = read_drift(path)
        verdict = record.verdict.model_copy(update={"drift": drift})
        write_drift(path, record.model_copy(update={"verdict": verdict}))
        register.main()
    root = Path(run_of().artifact_uri)
    assert (root / "record/drift.json").read_bytes() == first
    assert (root / "compare/drift.json").read_bytes() == path.read_bytes() != first
    assert {v.tags["drift"] for v in open_store(MODEL).versions()} == {"first"}


# Measure, compare, report ---


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with v2 and the prior v1, which have the same masks."""
    root = tmp_path_factory.mktemp("declared")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        made = Workspace(root)
        made.params["compare"]["min_participants"] = 2
        made.write_params()
        made.segment("b" * 64, 0.1)
        measure.main()
        keep_as_prior(made, "b" * 64)
        made.segment("d" * 64, 0.1)
        measure.main()
    return made


@pytest.fixture
def judged(template: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.chdir(tmp_path)
    return template.copy(tmp_path)


def page() -> str:
    compare.main()
    report.main([])
    return Path("reports/report/index.html").read_text(encoding="utf-8")


def test_without_a_declaration_nothing_is_measured(judged: Workspace) -> None:
    shutil.rmtree("reports/declare")
    with pytest.raises(PipelineError, match=r"protocol\.json is missing"):
        measure.main()
    judged.declare("b" * 64)
    with pytest.raises(PipelineError, match="was declared for the bundle bbbbbbbbbbbb, the masks are of dddddddddddd"):
        measure.main()


def test_what_was_declared_and_kept_is_equivalent(judged: Workspace) -> None:
    html = page()
    verdict = read_drift(Path("reports/compare/drift.json")).verdict
    assert (verdict.drift, verdict.passed) == ("equivalent", True)
    assert "before it was measured" in html
    assert 'class="red"' not in html
    assert "used for 2 version(s)" in html


@pytest.mark.parametrize(
    ("change", "name"),
    [({"missing_bound_mm2": "3"}, "missing_bound_mm2"), ({"frozen": "0" * 64}, "frozen"), ({"new": "1"}, "new")],
)
def test_a_change_after_the_declaration_shows_in_red_and_does_not_pass(
    judged: Workspace, change: dict[str, str], name: str
) -> None:
    judged.declare("d" * 64, **change)
    html = page()
    drift = read_drift(Path("reports/compare/drift.json"))
    assert drift.declared is not None
    assert drift.declared.changed == [name]
    assert (drift.verdict.drift, drift.verdict.passed) == ("inconclusive", False)
    assert drift.verdict.reasons[0].startswith(f"changed after it was declared: {name}")
    assert '<strong class="red">' in html
    assert "(changed)" in html


def test_a_declaration_after_the_results_shows_in_red(judged: Workspace) -> None:
    path = Path("reports/declare/protocol.json")
    write_json(path, read_json(path) | {"before_results": False})
    assert "it had results already" in page()
    write_json(path, read_json(path) | {"when": ""})
    assert "Recorded nowhere" in page()
    assert read_protocol(path.parent, "d" * 64).when == ""
