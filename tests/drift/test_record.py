"""The record drift.json as a type: the same bytes, older records, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from support.drift_factory import (
    FLAT,
    drift_record,
    drift_row,
    failures_row,
    judge,
    older,
    prior_record,
    run,
    verdict,
    version,
    version_record,
)

from stages.core.base.errors import CordriftError
from stages.core.base.files import read_json, write_json
from stages.core.drift.record.floors import read_floors
from stages.core.drift.record.record import DriftRecord, read_drift, write_drift


def stored(path: Path, record: DriftRecord, **changes: Any) -> dict[str, Any]:
    """Write a record, change the file, and return its content."""
    write_drift(path, record)
    value = read_json(path) | changes
    write_json(path, value)
    return value


def test_a_record_that_is_read_and_written_has_the_same_bytes(tmp_path: Path) -> None:
    """Counts stay whole numbers; what is undefined is null in the file and NaN in the type."""
    one = {"sub-0": [70.0] * 6}
    record = run(version(one), older(one)).drift
    write_drift(tmp_path / "a.json", record)
    again = read_drift(tmp_path / "a.json")
    write_drift(tmp_path / "b.json", again)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    value = read_json(tmp_path / "a.json")
    (prior,) = value["priors"]
    assert (prior["pooled"]["n"], prior["pooled"]["sd_mm2"]) == (1, None)
    assert math.isnan(again.priors[0].pooled.sd_mm2)
    reference, _, candidate = value["versions"]
    assert "dice_mean" not in reference, "the ground truth has no agreement with itself"
    assert candidate["dice_mean"] == pytest.approx(0.95)
    assert math.isnan(again.versions[0].dice_mean)


def test_counts_of_failures_stay_whole_and_nothing_is_infinite(tmp_path: Path) -> None:
    rows = judge(drift_row(bias_mm2=math.inf), criteria=[failures_row(new=3, old=1, difference=2)])
    write_drift(tmp_path / "a.json", drift_record(verdict=verdict(judges=[rows])))
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert '"new": 3,' in text
    assert '"difference": 2,' in text
    found = json.loads(text)["verdict"]["judges"][0]
    assert (found["rows"][0]["bias_mm2"], found["criteria"][0]["low"]) == (None, None)


def test_a_record_from_before_most_fields_is_read(tmp_path: Path) -> None:
    """The first records that had a verdict: neither floors nor a declaration, no marks, no surfaces, no months."""
    record = run(version(FLAT), older(FLAT)).drift
    value = stored(tmp_path / "a.json", record)
    for name in ("incomplete", "used", "declared", "floors"):
        del value[name]
    del value["rule"]["atrophy_mm2_per_year"]
    for prior in value["priors"]:
        del prior["marks"]
        for row in (prior["pooled"], *prior["contrasts"].values()):
            del row["atrophy_months"]
    later = ("marks", "csa_std_low_mm2", "csa_std_high_mm2", "rve_percent", "assd_mm", "hd95_mm", "n_rve", "n_surface")
    value["versions"] = [{k: v for k, v in one.items() if k not in later} for one in value["versions"]]
    write_json(tmp_path / "a.json", value)
    old = read_drift(tmp_path / "a.json")
    assert old.verdict == record.verdict
    assert (old.incomplete, old.declared, old.floors.seeds, old.priors[0].marks) == ([], None, [], [])
    assert all(map(math.isnan, (old.used, old.candidate_version.assd_mm, old.priors[0].pooled.atrophy_months)))
    write_drift(tmp_path / "b.json", old)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_lost_shards_of_an_older_record_are_named(tmp_path: Path) -> None:
    value = stored(tmp_path / "a.json", drift_record(), lost={"set/3": "its job failed"})
    del value["incomplete"]
    write_json(tmp_path / "a.json", value)
    assert read_drift(tmp_path / "a.json").incomplete == ["shard set/3 of the frozen set is missing: its job failed"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"more": 1}, "unknown key 'more'"),
        ({"alpha": "0.05"}, "'alpha' is '0.05'"),
        ({"verdict": None}, "'verdict' is None"),
        ({"contrasts": "T1w"}, "'contrasts' is 'T1w'"),
    ],
)
def test_another_shape_is_a_sentence(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    stored(tmp_path / "a.json", drift_record(), **changes)
    with pytest.raises(CordriftError, match=r"a.json is not the record of a comparison, which .* writes: " + says):
        read_drift(tmp_path / "a.json")


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    write_drift(tmp_path / "a.json", drift_record())
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    (tmp_path / "a.json").write_text(text.replace('"schema": 1', '"schema": 2'), encoding="utf-8")
    with pytest.raises(CordriftError, match="install a newer cordrift"):
        read_drift(tmp_path / "a.json")


def test_the_prior_of_the_headline_is_found_by_its_digest() -> None:
    record = drift_record(priors=[prior_record("a"), prior_record("b"), prior_record("c")])
    assert record.headline_prior == record.priors[1] == record.prior("b")
    assert drift_record(against=None).headline_prior is None
    assert drift_record(versions=[version_record("a", "prior"), version_record("d")]).candidate_version.version == "d"


def test_floors_are_read_from_their_stage(tmp_path: Path) -> None:
    row = {"variant": "x", "n": 3, "lost": 0, "mean_mm2": -0.5, "mean_abs_mm2": 0.5, "worst_mm2": 0.9}
    undefined = row | {"n": 0, "mean_mm2": None, "mean_abs_mm2": None, "worst_mm2": None}
    write_json(tmp_path / "floor.json", {"bundle": "b", "runner": [row, undefined], "seeds": []})
    floors = read_floors(tmp_path / "floor.json")
    assert floors.runner_mm2 == 0.5
    assert math.isnan(floors.seeds_mm2)
    assert math.isnan(floors.seeds_csa_std_mm2)
    write_json(tmp_path / "floor.json", {"bundle": "b", "runner": [row]})
    with pytest.raises(CordriftError, match="'seeds' is None"):
        read_floors(tmp_path / "floor.json")
