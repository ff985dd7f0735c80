"""What a rule would do: margins, participants and drifts that are caught, from simulated rates."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from support.cords import ROOT
from support.drift_factory import RULE, SERIES, version

from stages import power
from stages.core.base.errors import CordriftError
from stages.core.base.files import read_csv, read_json, sha256_of, write_csv, write_json
from stages.core.data.datasets.people import people_of_table
from stages.core.drift.power.plan import Row, caught, cells, suggest, truths
from stages.core.drift.rule.protocol import items, other_rule

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(4)


def row(what: str = "unchanged", shift: float = 0.0, passes: float = 0.9, n: int = 49, need: float = 0.9) -> Row:
    return Row(what, "normal", 2, shift, n, 100, passes, 0.01, 0.9, 0.0, 0.0, need, 1.1 * need)


def test_the_smallest_shift_that_is_caught_lies_between_two_that_were_tried() -> None:
    curve = [row("every contrast, curve", shift, passes) for shift, passes in ((0.0, 0.9), (0.5, 0.5), (1.0, 0.0))]
    assert caught(curve, "every contrast", 0.8) == pytest.approx(0.8)
    assert caught(curve, "every contrast", 0.05) == 0.0, "an unchanged version is refused so often"
    assert math.isnan(caught(curve[:2], "every contrast", 0.8))
    assert math.isnan(caught([], "one contrast", 0.8))


def test_margins_are_those_that_the_worst_shape_needs_within_the_bounds() -> None:
    sizes = [row("participants", passes=passes, n=n) for passes, n in ((0.85, 60), (0.95, 80))]
    rows = [row(need=0.5), row(need=0.8), *sizes]
    in_80, in_90 = suggest(rows, RULE)
    assert (in_80.pooled_mm2, in_80.contrast_mm2) == (pytest.approx(0.55), pytest.approx(0.80))
    assert (in_80.participants, in_90.participants) == (60, 80)
    wide, _ = suggest([row(need=1.2)], RULE)
    assert math.isnan(wide.pooled_mm2), "0.78 is wider than the bound of 0.65"
    assert wide.participants == 0


def test_the_command_plans_by_past_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    old = {f"sub-{k:02d}": [float(v) for v in RNG.normal(76, 6, 6)] for k in range(40)}
    for name in ("a", "b", "c"):
        values = {sub: [v + float(RNG.normal(0.2, 0.3)) for v in row] for sub, row in old.items()}
        write_csv(Path(f"{name}.csv"), version(values).measures)
    power.main(["--pair", "a.csv", "b.csv", "--pair", "b.csv", "c.csv", "--runs", "50", "-o", "out"])
    said = capsys.readouterr().out
    assert "2 pair(s) of versions, 40 participants" in said
    assert "2 judge(s): passes 1.000" in said, "an SD of 0.4 mm2 is far below the margins"
    assert sha256_of(Path("out/power.json"))[:12] in said
    value = read_json(Path("out/power.json"))
    assert value["observed"]["sd_mm2"] == pytest.approx([0.3 * 2**0.5] * 6, rel=0.25)
    table = read_csv(Path("out/power.csv"), text=("what", "shape"))
    assert set(table["what"]) == {
        *("unchanged", "every contrast", "one contrast", "every contrast, curve", "one contrast, curve", "participants")
    }
    assert (table.loc[table["what"] == "every contrast", "passes"] < 0.2).all()
    assert Path("out/power.png").stat().st_size > 10_000


def test_in_a_workspace_past_versions_and_sites_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The candidate, and a prior of another frozen set, are no past; sites come from the manifest."""
    monkeypatch.chdir(tmp_path)
    old = {f"sub-{k:02d}": [float(v) for v in RNG.normal(76, 6, 6)] for k in range(40)}
    priors = []
    places = {"measure": "reports/measure", "2": "data/seeds/2"}
    for name, frozen in (("a", "f"), ("b", "f"), ("c", "other"), ("measure", "f"), ("2", "f")):
        folder = Path(places.get(name, f"reports/history/{name}"))
        series = SERIES.__dict__ | {"bundle": name * 12, "frozen": frozen}
        values = {sub: [v + float(RNG.normal(0.2, 0.3)) for v in row] for sub, row in old.items()}
        made = version(values)
        folder.mkdir(parents=True)
        write_csv(folder / "measures.csv", made.measures)
        write_csv(folder / "agreement.csv", made.agreement)
        write_json(folder / "summary.json", series)
        if name not in places:
            priors.append({"folder": name, "label": name, "aliases": [], "declared": None})
    write_json(Path("reports/history/priors.json"), {"priors": priors, "offline": False})
    for folder in ("data/package", "data/seeds/2"):
        write_json(Path(folder) / "provenance.json", {"training": {}})
    people = [{"participant": sub, "site": f"site {k % 20}", "manufacturer": "GE"} for k, sub in enumerate(old)]
    rest = {"sex": "", "age": "", "pathology": ""}
    value = {"dataset": "set", "url": "u", "tag": "r1", "commit": "c" * 40, "role": "test", "licence": "CC0-1.0"}
    Path("data/fetch").mkdir(parents=True)
    lists = {"files": [], "cases": [], "excluded": [], "participants": [person | rest for person in people]}
    write_json(Path("data/fetch/set.json"), value | lists)
    params = yaml.safe_load((ROOT / "params/demo.yaml").read_text(encoding="utf-8"))
    params["segment"]["datasets"] = ["set"]
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    power.main(["--runs", "50"])
    said = capsys.readouterr().out
    assert "2 pair(s) of versions, 40 participants" in said
    assert "sites not known" not in said
    assert read_json(Path("reports/power/power.json"))["observed"]["sites"] == [2] * 20


def test_margins_by_contrast_are_planned_with() -> None:
    """The contrast that moves alone is the one with the widest margin, and by its own margin."""
    metric = RULE.primary.model_copy(update={"margin_contrast_mm2": {"T1w": 0.8, "T2w": 1.2, "DWI": 1.0}})
    bases, rule = truths(RULE.model_copy(update={"metrics": [metric]}), None)
    assert [base.names for base in bases] == [("T1w", "T2w", "DWI")] * 3
    assert rule.min_contrasts == 3
    moved = {cell.scenario.shift_mm2 for cell in cells(bases, rule, 50) if cell.what == "one contrast"}
    assert moved == {(0.0, 1.2, 0.0), (0.0, -1.2, 0.0)}


def test_sites_of_named_people_are_found_whatever_their_dataset_is_called(tmp_path: Path) -> None:
    table = tmp_path / "participants.tsv"
    table.write_text("participant_id\tinstitution\nsub-a\tLab\nsub-b\tLab\n")
    cases = pd.DataFrame({"dataset": ["one", "two", "one"], "participant": ["sub-a", "sub-b", "sub-a"]})
    found = people_of_table(table, cases).set_index(["dataset", "participant"])["site"]
    assert found.to_dict() == {("one", "sub-a"): "Lab", ("two", "sub-b"): "Lab"}


def test_a_margin_that_is_missing_is_said_when_the_rule_is_declared() -> None:
    metric = RULE.primary.model_copy(update={"margin_contrast_mm2": {"T1w": 1.0}})
    with pytest.raises(CordriftError, match="names no margin of 'DWI'"):
        items(RULE.model_copy(update={"metrics": [metric]}), ["T1w", "DWI"], "C2-C3", "f")


def test_bad_input_is_a_sentence_and_no_folder_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years of work")
    two = {f"sub-{k}": [70.0] * 6 for k in range(2)}
    write_csv(Path("two.csv"), version(two).measures)
    for words, says in (
        (["-o", "mine"], "mine exists and holds no power.json"),
        (["--runs", "3", "-o", "out"], "--runs is 3; expected 50 or more"),
        (["--pair", "two.csv", "two.csv", "-o", "out"], "2 people have T1w in both versions"),
        (["--pair", "absent.csv", "two.csv", "-o", "out"], "absent.csv is not a file"),
    ):
        with pytest.raises(CordriftError, match=says):
            power.main(words)
    assert Path("mine/thesis.txt").read_text() == "years of work"
    assert not Path("out").exists()


def test_the_digest_is_declared_and_is_no_other_rule() -> None:
    planned = RULE.model_copy(update={"power": "0123456789ab"})
    declared = [items(rule, ["T1w"], "C2-C3", "f") for rule in (RULE, planned)]
    assert declared[1]["power"] == "0123456789ab"
    assert other_rule(declared[1], declared[0]) == []
