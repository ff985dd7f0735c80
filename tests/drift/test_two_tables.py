"""Two tables of measures, ours or of SCT, are compared by the statistics of the verdict, without a workspace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from support.cords import ROOT
from support.drift_factory import CONTRASTS, RULE, older, version

from stages import compare_tables
from stages.core.base.errors import CordriftError
from stages.core.base.files import read_csv, write_csv
from stages.core.drift.judgement.comparison import compare
from stages.core.drift.record.record import read_drift
from stages.core.drift.versions.version import JUDGES, Prior

pytestmark = pytest.mark.slow

NORMATIVE = ROOT.parent / "shared/normative"
RNG = np.random.default_rng(8)
OLD = {f"sub-{k:02d}": [float(v) for v in RNG.normal(76, 6, 6)] for k in range(31)}
NEW = {sub: [v + float(RNG.normal(0.3, 0.5)) for v in values] for sub, values in OLD.items()}


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with two tables of ours, and no workspace."""
    monkeypatch.chdir(tmp_path)
    for name, values in (("old", OLD), ("new", NEW)):
        write_csv(tmp_path / f"{name}.csv", version(values).measures)
    return tmp_path


def test_the_numbers_are_those_of_the_pipeline(tables: Path) -> None:
    compare_tables.main(["old.csv", "new.csv", "-o", "out"])
    drift = read_drift(Path("out/drift.json"))
    before = older(OLD)
    pipeline = compare(
        version(NEW), [Prior(before.series, "v1", JUDGES, before)], contrasts=CONTRASTS, rule=RULE, offline=False
    )
    (judge,), (expected,) = drift.verdict.judges, pipeline.drift.verdict.judges
    assert len(judge.rows) == 7
    for row, other in zip(judge.rows, expected.rows, strict=True):
        assert (row.contrast, row.n, row.verdict) == (other.contrast, 31, other.verdict)
        assert row.smallest_margin_mm2 == pytest.approx(other.smallest_margin_mm2)
    factors = read_csv(Path("out/conversion.csv"), text=("prior", "metric", "contrast", "withheld"))
    factors = factors[factors["metric"] == "csa_mm2"].set_index("contrast")
    people = np.array([[n / o for n, o in zip(NEW[s], OLD[s], strict=True)] for s in OLD]).mean(axis=1)
    assert factors.loc["pooled", "factor"] == pytest.approx(people.mean())


def test_what_is_said(tables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare_tables.main(["old.csv", "new.csv"])
    said = capsys.readouterr().out
    differences = np.array([np.subtract(NEW[s], OLD[s]) for s in OLD])
    low, high = stats.ttest_1samp(differences.mean(axis=1), 0).confidence_interval(0.90)
    assert f"pooled: equivalent. 90 % interval +{low:.2f} to +{high:.2f} mm²" in said.replace("\N{NO-BREAK SPACE}", " ")
    assert "OLD  old.csv: 186 masks of 31 participants, T1w, T2w, T2star, MTon, MToff, DWI, at C2-C3" in said
    assert "sites are not known" in said
    assert not list(tables.glob("out*"))


def test_sites_and_groups_come_from_a_table_of_participants(tables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{sub}\tsite{k % 12}\t{'GE' if k % 2 else 'Philips'}" for k, sub in enumerate(OLD)]
    text = "\n".join(["participant_id\tinstitution\tmanufacturer", *rows])
    Path("participants.tsv").write_text("\ufeff" + text, encoding="utf-8")
    compare_tables.main(["old.csv", "new.csv", "--participants", "participants.tsv", "-o", "out"])
    (judge,) = read_drift(Path("out/drift.json")).verdict.judges
    assert judge.rows[-1].sites == 12
    assert [group.name for group in judge.watched[0].groups] == ["GE", "Philips"]
    assert Path("out/subgroups.png").is_file()
    assert "sites are not known" not in capsys.readouterr().out


def test_what_only_one_table_has_is_said_and_counts_as_missing(
    tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = version(NEW).measures
    lost = (rows["participant"].isin(["sub-00", "sub-01"]) & (rows["contrast"] == "DWI")) | (rows["contrast"] == "T1w")
    write_csv(tables / "new.csv", rows[~lost])
    compare_tables.main(["old.csv", "new.csv", "-o", "out"])
    said = capsys.readouterr().out
    assert "only the old table has T1w, which is left out" in said
    assert "2 case(s) stand in the old table alone and count as missing in the other" in said
    (judge,) = read_drift(Path("out/drift.json")).verdict.judges
    assert {row.contrast: row.missing for row in judge.rows} == {
        **{"T2w": 0, "T2star": 0, "MTon": 0, "MToff": 0, "DWI": 2, "pooled": 2}
    }


def test_a_crumb_counts_as_missing_and_is_said(tables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = {**NEW, "sub-00": [0.4, *NEW["sub-00"][1:]]}
    write_csv(tables / "new.csv", version(values).measures)
    compare_tables.main(["old.csv", "new.csv", "-o", "out"])
    assert "1 area(s) of the new table are not between 10 and 300 mm2" in capsys.readouterr().out
    (judge,) = read_drift(Path("out/drift.json")).verdict.judges
    first = judge.rows[0]
    assert (first.contrast, first.n, first.missing) == ("T1w", 30, 1)
    assert abs(first.bias_mm2) < 1.0, "the crumb would move the mean by 2.4 mm2"


def test_margins_that_name_no_such_contrast_are_a_sentence(tables: Path) -> None:
    text = (ROOT / "params/spine-generic.yaml").read_text(encoding="utf-8")
    Path("params.yaml").write_text(text.replace("margin_contrast_mm2: 1.0", "margin_contrast_mm2: {T1w: 1.0}"))
    with pytest.raises(CordriftError, match=r"names no margin of 'T2w'; it has T1w"):
        compare_tables.main(["old.csv", "new.csv"])


def test_bad_input_is_a_sentence_and_nothing_is_written(tables: Path) -> None:
    other = {f"sub-x{k}": [70.0] * 6 for k in range(3)}
    write_csv(tables / "other.csv", version(other).measures)
    Path("there").mkdir()
    Path("p.tsv").write_text("id\tsex\n")
    for words, says in (
        (["old.csv", "other.csv", "-o", "out"], "no case stands in both old.csv and other.csv"),
        (["old.csv", "new.csv", "-o", "there"], "there exists already"),
        (["old.csv", "new.csv", "--participants", "p.tsv", "-o", "out"], "p.tsv has no column participant_id"),
        (["old.csv", "new.csv", "--levels", "C9", "-o", "out"], "C9"),
    ):
        with pytest.raises(CordriftError, match=says):
            compare_tables.main(words)
    assert not Path("out").exists()
    assert not list(Path("there").iterdir())


def test_a_file_against_itself_says_so(tables: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare_tables.main(["old.csv", "old.csv", "-o", "out"])
    said = capsys.readouterr().out
    assert "both tables hold the same files" in said
    assert "Drift: equivalent." in said
    assert len(list(Path("out").glob("*.png"))) >= 2


@pytest.mark.skipif(not NORMATIVE.is_dir(), reason="the normative tables are not beside the checkout")
def test_two_published_editions(capsys: pytest.CaptureFixture[str]) -> None:
    """The 26 people of the normative tables, by an independent path: file means, then a paired t-interval."""
    sides = []
    for edition in ("r20231016", "r20250321"):
        files = sorted((NORMATIVE / edition).glob("*.csv"))
        tables = [pd.read_csv(path) for path in files]
        sides.append([t[t["VertLevel"].isin([2, 3])]["MEAN(area)"].mean() for t in tables])
    interval = stats.ttest_rel(sides[1], sides[0]).confidence_interval(0.90)
    compare_tables.main([str(NORMATIVE / "r20231016"), str(NORMATIVE / "r20250321")])
    said = capsys.readouterr().out.replace("−", "-").replace("\N{NO-BREAK SPACE}", " ")
    assert f"T2w: drifted. 90 % interval {interval.low:.2f} to {interval.high:.2f} mm², n = 26" in said
