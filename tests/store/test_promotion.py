"""Gate, champion and promotion: a passed version becomes champion, a person moves both roles, and verdicts stay."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from support.store_workspace import MODEL, A, B, C, contents, workspace

from stages import gate, history, promote, register, retire
from stages.core.base.errors import CordriftError
from stages.core.base.files import read_json, write_csv, write_json
from stages.core.drift.record.record import Acceptance, read_drift, write_drift
from stages.core.drift.versions.folders import read_decisions
from stages.core.store.bundle_files import version_identity
from stages.core.store.client import RegisteredVersion, Store, open_store
from stages.core.store.promotion import find_version
from stages.core.store.promotion import promote as promote_version

pytestmark = pytest.mark.slow

DRIFT = Path("reports/compare/drift.json")


def judge(**changes: object) -> None:
    record = read_drift(DRIFT)
    write_drift(DRIFT, record.model_copy(update={"verdict": record.verdict.model_copy(update=changes)}))


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Version A is registered; B was packaged, measured and judged, and is not registered yet."""
    monkeypatch.chdir(workspace(tmp_path / "lab"))
    history.main()
    register.main()
    workspace(tmp_path / "lab", B, label="v2")
    history.main()
    return tmp_path / "lab"


def versions() -> dict[str, RegisteredVersion]:
    return {version.tags["label"]: version for version in open_store(MODEL).versions()}


def roles() -> dict[str, list[str]]:
    return {row["digest"]: row["aliases"] for row in read_json(Path("reports/history/priors.json"))["priors"]}


# The gate ---


@pytest.mark.parametrize("passed", [True, False])
def test_the_gate_does_what_the_verdict_says(lab: Path, capsys: pytest.CaptureFixture[str], passed: bool) -> None:
    judge(passed=passed)
    if passed:
        gate.main([])
    else:
        with pytest.raises(SystemExit) as stop:
            gate.main([str(DRIFT)])
        assert stop.value.code == 1
    said = capsys.readouterr()
    assert "drift: drifted, quality: better" in said.out
    assert "T2w: drifted. Why" in said.out
    assert ("cordrift promote DIGEST" in said.err) != passed


@pytest.mark.parametrize("changes", [{"verdict": None}, {"passed": "yes"}, {"passed": 1}, None])
def test_without_a_verdict_nothing_passes(lab: Path, changes: dict[str, object] | None) -> None:
    value = read_json(DRIFT)
    if changes is None:
        write_json(DRIFT, {})
    else:
        write_json(DRIFT, value | {"verdict": value["verdict"] | changes} | changes)
    with pytest.raises(CordriftError, match=r"drift.json is not the record of .* which `dvc repro compare` writes"):
        gate.main([])


# The champion ---


def test_what_does_not_pass_waits_as_candidate(lab: Path) -> None:
    register.main()
    assert versions()["v1"].aliases == ("anchor", "champion")
    assert versions()["v2"].aliases == ("candidate",)
    assert versions()["v2"].tags["drift"] == "drifted"
    assert versions()["v2"].tags["quality"] == "better"


def test_what_passes_becomes_champion_and_the_anchor_stays(lab: Path) -> None:
    judge(passed=True, drift="equivalent", quality="same")
    register.main()
    assert versions()["v1"].aliases == ("anchor",)
    assert versions()["v2"].aliases == ("champion",)


def test_who_was_overtaken_by_another_release_does_not_become_champion(lab: Path) -> None:
    """Two releases at once: the second one was judged against a version that is champion no longer."""
    judge(passed=True)
    history = (lab / "reports/history/priors.json").read_bytes()
    register.main()
    workspace(lab, C, label="v3")
    judge(passed=True)
    (lab / "reports/history/priors.json").write_bytes(history)
    register.main()
    assert versions()["v2"].aliases == ("champion",)
    assert versions()["v3"].aliases == ("candidate",)


def test_what_was_not_measured_whole_gets_its_alias_when_it_is(lab: Path) -> None:
    judge(passed=False, drift="inconclusive")
    summary = read_json(lab / "reports/measure/summary.json")
    write_json(lab / "reports/measure/summary.json", {**summary, "lost": {"frozen/1": "its job failed"}})
    register.main()
    assert versions()["v2"].aliases == ()
    write_json(lab / "reports/measure/summary.json", summary)
    judge(passed=True, drift="equivalent")
    register.main()
    assert versions()["v2"].aliases == ("champion",)


def test_what_was_judged_whole_is_not_replaced_by_what_lacks_a_shard(lab: Path) -> None:
    judge(passed=True, drift="equivalent")
    register.main()
    before = contents(lab)
    summary = read_json(lab / "reports/measure/summary.json")
    write_json(lab / "reports/measure/summary.json", {**summary, "lost": {"frozen/1": "its job failed"}})
    judge(passed=False, drift="inconclusive")
    with pytest.raises(CordriftError, match="was judged on the complete frozen set before, and a shard is missing now"):
        register.main()
    assert contents(lab) == before


def test_what_was_judged_is_not_replaced_by_other_inference_settings(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise v3 would be compared with numbers of v2 that were never released."""
    judge(passed=True, drift="equivalent")
    register.main()
    before = contents(lab)
    summary = read_json(lab / "reports/measure/summary.json")
    was = summary["inference"]
    write_json(lab / "reports/measure/summary.json", {**summary, "inference": "f" * 64, "failed": 7})
    judge(passed=False, drift="inconclusive")
    capsys.readouterr()
    register.main()
    said = capsys.readouterr().out
    assert (
        f"was judged with other inference settings ({was[:12]}, now ffffffffffff): its record in MLflow stays" in said
    )
    assert contents(lab) == before
    assert read_json(register.RECEIPT)["aliases"] == ["champion"]


def test_a_verdict_keeps_its_judges_when_the_roles_move(lab: Path) -> None:
    """At the second `dvc repro` the candidate is champion already; the version before it still judges it."""
    assert roles() == {A: ["anchor", "champion"]}
    judge(passed=True)
    register.main()
    history.main()
    assert roles() == {A: ["anchor", "champion"]}
    workspace(lab, C, label="v3")
    history.main()
    assert roles() == {A: ["anchor"], B: ["champion"]}
    register.main()
    promote.main(["v3", "--reason", "looked at"])
    history.main()
    assert roles() == {A: ["anchor"], B: ["champion"]}


def test_what_was_registered_later_is_no_prior(lab: Path) -> None:
    register.main()
    workspace(lab, A, label="v1")
    history.main()
    assert roles() == {}


def test_an_interruption_before_the_alias_leaves_no_version_as_its_own_judge(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(passed=True)
    with monkeypatch.context() as patch:
        patch.setattr("stages.core.store.client.Store.set_alias", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            register.main()
    history.main()
    assert roles() == {A: ["anchor", "champion"]}
    register.main()
    assert versions()["v2"].aliases == ("champion",)


# Promotion ---


def test_a_person_moves_champion_and_anchor_and_says_why(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register.main()
    promote.main([B[:8], "--reason", "=cmd() <b>better</b>", "--by", "Ada"])
    said = capsys.readouterr().out
    assert "version 2 (v2) is champion and anchor. Its drift was: drifted" in said
    assert "champion was version 1" in said
    now = versions()
    assert (now["v1"].aliases, now["v2"].aliases) == ((), ("anchor", "champion"))
    (entry,) = now["v2"].promotions
    assert (entry["who"], entry["why"], entry["champion_before"]) == ("Ada", "=cmd() <b>better</b>", "1")
    assert entry["when"].endswith("+00:00")
    assert now["v2"].tags["drift"] == "drifted", "a promotion must not change the verdict"


def test_a_promotion_publishes_the_conversion_factors(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tag of the version holds the CSA factors from the former champion, as the table of its run has them."""
    row = {"prior": A, "metric": "csa_mm2", "contrast": "T1w", "factor": 1.0125, "ci_low": 1.01, "ci_high": 1.015}
    row |= {"line_intercept": 3.0, "line_slope": 0.97, "person_half_width": 2.5, "old_low": 60.0, "old_high": 95.0}
    row |= {"n": 49, "withheld": ""}
    few = {"contrast": "pooled", "factor": 0.98, "n": 1, "withheld": "n = 1 is fewer than 30"}
    rows = [row, row | few | {"ci_low": None, "ci_high": None}]
    others = [row | {"metric": "diameter_ap_mm", "factor": 3.0}, row | {"prior": "c" * 64, "factor": 4.0}]
    write_csv(Path("reports/compare/conversion.csv"), pd.DataFrame([*rows, *others]))
    register.main()
    promote.main(["v2", "--reason", "looked at"])
    assert json.loads(versions()["v2"].tags["conversion"]) == {
        "v1": {
            "T1w": {
                **{"factor": 1.0125, "ci_low": 1.01, "ci_high": 1.015, "n": 49, "line_intercept": 3.0},
                **{"line_slope": 0.97, "person_half_width": 2.5, "old_low": 60.0, "old_high": 95.0},
            }
        }
    }
    said = capsys.readouterr().out
    assert "CSA of version 1, T1w: multiplied by 1.0125 (1.0100 to 1.0150, n = 49; one person ±2.5 mm2)" in said
    assert "CSA of version 1, pooled: no factor is published: n = 1 is fewer than 30" in said
    promote.main(["v1", "--reason", "back"])
    assert "CSA of version 2: no factor to this version is known" in capsys.readouterr().out
    assert "conversion" not in versions()["v1"].tags


def test_a_factor_from_before_n_and_interval_were_asked_is_not_published(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"prior": A, "metric": "csa_mm2", "contrast": "pooled", "factor": 1.1, "ci_low": 1.0, "ci_high": 1.2, "n": 49}
    write_csv(Path("reports/compare/conversion.csv"), pd.DataFrame([row]))
    register.main()
    promote.main(["v2", "--reason", "looked at"])
    assert "conversion" not in versions()["v2"].tags
    assert "pooled: no factor is published: the comparison is older" in capsys.readouterr().out


def test_a_promotion_said_twice_is_kept_once_and_another_is_added(lab: Path) -> None:
    register.main()
    for reason in ("looked at", "looked at", "looked at again"):
        promote.main(["v2", "--reason", reason, "--by", "Ada"])
    assert [entry["why"] for entry in versions()["v2"].promotions] == ["looked at", "looked at again"]
    json.loads(versions()["v2"].tags["promotions"])


def test_going_back_is_a_promotion_too(lab: Path) -> None:
    register.main()
    promote.main(["v2", "--reason", "new"])
    promote.main(["v1", "--reason", "v2 fails on DWI"])
    assert versions()["v1"].aliases == ("anchor", "champion")
    assert versions()["v2"].aliases == ()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["v9", "--reason", "x"], r"no version of cord-demo .* named 'v9'; there are: v1 aaaaaaaaaaaa \(version 1\)"),
        (["aaa", "--reason", "x"], "no version of cord-demo"),
        (["v1", "--reason", "  "], "a promotion needs a reason"),
    ],
)
def test_what_cannot_be_promoted_is_a_sentence(lab: Path, words: list[str], sentence: str) -> None:
    with pytest.raises(CordriftError, match=sentence):
        promote.main(words)
    assert versions()["v1"].aliases == ("anchor", "champion")


def test_the_gate_lets_an_accepted_version_pass_and_says_who_accepted_it(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register.main()
    promote.main(["v2", "--reason", "new coil", "--by", "Ada"])
    history.main()
    (entry,) = read_decisions(lab / "reports/history")["accepted"]
    assert (entry["who"], entry["why"]) == ("Ada", "new coil")
    record = read_drift(DRIFT).model_copy(update={"accepted": [Acceptance(**entry)]})
    write_drift(DRIFT, record)
    capsys.readouterr()
    gate.main([])
    assert f"accepted by Ada on {entry['when'][:10]}: new coil" in capsys.readouterr().out
    assert not read_drift(DRIFT).verdict.passed, "the verdict must stay as it was"


def test_who_goes_back_takes_the_acceptance_back(lab: Path) -> None:
    def accepted(*decisions: str) -> list[str]:
        for second, label in enumerate(decisions):
            promoted(open_store(MODEL), label, f"2026-01-02T03:04:{10 + second}+00:00")
        history.main()
        return [entry["when"] for entry in read_decisions(lab / "reports/history")["accepted"]]

    register.main()
    assert accepted("v2") == ["2026-01-02T03:04:10+00:00"]
    workspace(lab, C, label="v3")
    register.main()
    workspace(lab, B, label="v2")
    promoted(open_store(MODEL), "v3", "2026-01-02T03:05:00+00:00")
    assert accepted() == ["2026-01-02T03:04:10+00:00"], "a later version takes nothing back"
    promoted(open_store(MODEL), "v1", "2026-01-02T03:06:00+00:00")
    assert accepted() == []


def promoted(store: Store, label: str, when: str) -> None:
    promote_version(store, find_version(store, label), reason=f"{label} at {when}", person="Ada", when=when)


# Trials and retired versions ---


def as_trial(root: Path, *, trial: bool = True) -> None:
    path = root / "params.yaml"
    value = yaml.safe_load(path.read_text(encoding="utf-8"))
    value["register"]["trial"] = trial
    path.write_text(yaml.safe_dump(value), encoding="utf-8")


def test_a_trial_is_registered_without_an_alias_and_is_no_prior(lab: Path) -> None:
    judge(passed=True, drift="equivalent", quality="same")
    as_trial(lab)
    register.main()
    assert versions()["v2"].aliases == ()
    assert versions()["v1"].aliases == ("anchor", "champion")
    workspace(lab, C, label="v3")
    history.main()
    assert list(roles()) == [A]
    (aside,) = read_decisions(lab / "reports/history")["left_out"]
    assert (aside["label"], aside["frozen"], aside["why"]) == ("v2", "f" * 64, "a trial")
    open_store(MODEL).set_alias("champion", 2)  # as somebody may do on MLflow's pages
    history.main()
    assert roles() == {A: ["anchor"]}


def test_a_trial_of_an_empty_store_leaves_the_first_place_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = workspace(tmp_path / "lab", label="v0")
    monkeypatch.chdir(root)
    as_trial(root)
    history.main()
    register.main()
    assert versions()["v0"].aliases == ()
    workspace(root, B, label="v1")
    history.main()
    judge(passed=True, drift="first", quality="first", reasons=["the first version"])
    register.main()
    assert versions()["v1"].aliases == ("anchor", "champion")


def test_a_first_version_that_did_not_pass_gets_no_role_until_a_person_accepts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As one that finds no cord in any image: whatever came after it would be judged against nothing."""
    monkeypatch.chdir(workspace(tmp_path / "lab"))
    history.main()
    judge(passed=False, drift="inconclusive", quality="unknown", reasons=["it measures 0 of 6 cases"])
    register.main()
    assert versions()["v1"].aliases == ("candidate",)
    said = capsys.readouterr().out
    assert "did not pass (it measures 0 of 6 cases): it becomes neither champion nor anchor" in said
    assert f"cordrift promote {A[:12]}" in said


def test_a_trial_becomes_a_version_when_it_is_none_any_more(lab: Path) -> None:
    judge(passed=True, drift="equivalent", quality="same")
    for trial, expected in ((True, ()), (False, ("champion",)), (True, ("champion",))):
        as_trial(lab, trial=trial)
        register.main()
        assert versions()["v2"].aliases == expected
    run = open_store(MODEL).find_run(version_identity(B))
    assert run is not None
    assert "trial" not in run.tags["mlflow.runName"]


def test_a_retired_version_leaves_the_series_and_frees_its_label(lab: Path) -> None:
    register.main()
    with pytest.raises(CordriftError, match=r"label 'v2' belongs to version 2 .*cordrift retire v2 --reason"):
        open_store(MODEL).require_free_label("v2", C)
    open_store(MODEL).require_free_label("v2", B)
    retire.main(["v2", "--reason", "wrong data", "--by", "Ada"])
    assert versions()["v2"].aliases == ()
    open_store(MODEL).require_free_label("v2", C)
    workspace(lab, C, label="v2")
    history.main()
    assert list(roles()) == [A]
    (aside,) = read_decisions(lab / "reports/history")["left_out"]
    assert aside["why"].startswith("retired: wrong data (Ada, 20")
    register.main()
    assert find_version(open_store(MODEL), "v2").number == 3
    with pytest.raises(CordriftError, match="retired: wrong data"):
        promote.main([B[:8], "--reason", "after all"])


def test_what_judges_is_not_retired(lab: Path) -> None:
    with pytest.raises(
        CordriftError, match=r"version 1 \(v1\) is champion and anchor: .* Promote another version first"
    ):
        retire.main(["v1", "--reason", "old"])
    with pytest.raises(CordriftError, match="needs a reason"):
        retire.main(["v1", "--reason", " "])
    register.main()
    promote.main(["v2", "--reason", "new"])
    retire.main(["v1", "--reason", "old"])
    history.main()
    assert roles() == {A: ["anchor", "champion"]}, "what judged a version stays beside it"
