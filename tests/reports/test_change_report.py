"""The change report: what it says of two versions, and what it does not guess."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.change_factory import (
    CONTRASTS,
    NEW,
    OLD,
    RULE,
    compared,
    declared,
    facts,
    pin,
    provenance,
    saying,
    sides,
    trained_on,
    version,
)
from support.drift_factory import seed_floor

from stages.core.base.errors import CordriftError
from stages.core.base.files import write_csv, write_json
from stages.core.drift.record.floors import Floors
from stages.core.drift.versions.version import Prior
from stages.core.model.lineage.manifest import TrainedImage
from stages.core.reports.change_report.facts import (
    Facts,
    Side,
    collect_facts,
    compared_with,
    imported_digests,
    read_change_tables,
    read_side,
)
from stages.core.reports.change_report.report import HTML, MARKDOWN, write_change_report
from stages.core.reports.drift_report.wording import headline

pytestmark = pytest.mark.slow

HOSTILE = "v1<script>alert(1)</script>|`x`\n\n| a | b |\n=1+1"
PEOPLE = [f"sub-{n:03}" for n in range(36)]


def written(given: Facts, folder: Path) -> tuple[str, str]:
    """Both files of a report."""
    write_change_report(folder, given)
    assert sorted(path.name for path in folder.iterdir()) == [MARKDOWN, HTML]
    return tuple((folder / name).read_text(encoding="utf-8") for name in (MARKDOWN, HTML))  # type: ignore[return-value]


def shown(page: str) -> str:
    """What a reader of the page sees, on one line."""
    bare = re.sub(r"<style>.*?</style>", " ", page, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", bare)))


def row(text: str, first: str) -> list[str]:
    """Cells of the first row of the Markdown that begins so."""
    found = next(one for one in text.splitlines() if one.startswith(f"| {first} |"))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", found)[1:-1]]


def part(text: str, number: int) -> str:
    """One of the three parts of the Markdown."""
    return text.split("\n## ")[number]


def test_the_three_parts_follow_what_moved_and_the_verdict(tmp_path: Path) -> None:
    given = facts()
    text, page = written(given, tmp_path)
    assert text.startswith(f"# {headline(given.drift, given.shown)[0]}\n")
    assert "**drift: equivalent** **quality: same**" in text.split("\n## ")[0]
    for number, name in enumerate(("Description of Modifications", "Modification Protocol", "Impact Assessment"), 1):
        assert part(text, number).startswith(f"Part {number}. ")
        assert name in part(text, number).splitlines()[0]
    assert page.count("<section>") == 3


def test_what_changed_is_told_from_both_manifests(tmp_path: Path) -> None:
    text = part(written(facts(), tmp_path)[0], 1)
    assert row(text, "bundle") == ["bundle", OLD[:12], NEW[:12]]
    assert row(text, "code revision")[1:] == ["cordrift-0.1.0+" + "1" * 12, "cordrift-0.1.0+" + "2" * 12]
    assert "r2 (222222222222) → r3 (333333333333)" in text
    assert "T1w 10 → 11" in text
    assert row(text, "added")[1] == row(text, "relabelled")[1] == "2"
    assert row(text, "unchanged")[1] == "18"
    assert "- added: whole-spine_sub-t10_T1w, whole-spine_sub-t10_T2w" in text
    assert row(text, "epochs") == ["epochs", "250", "300"]
    assert not re.search(r"^\| (seed|optimiser)", text, re.M), "what is the same makes no row"
    assert row(text, "torch") == ["torch", "2.12.0", "2.13.0"]
    assert "The same in both: machine x86_64, nnunetv2 2.8.1, python 3.11.7." in text


def test_a_setting_that_one_side_lacks_is_not_recorded(tmp_path: Path) -> None:
    old = replace(sides()[1], provenance=provenance("cordrift-0.0.9", patience=7))
    text = written(facts(old=old), tmp_path)[0]
    assert row(text, "patience") == ["patience", "7", "not recorded"]


def test_the_first_version_is_compared_with_nothing(tmp_path: Path) -> None:
    text = written(facts(first=True), tmp_path)[0]
    assert "v2.1 is compared with nothing: it is the first version." in text
    assert row(text, "epochs") == ["epochs", "300"]
    assert "T1w 11, T2w 11" in text
    for word in ("before →", "Bias", "Conversion", "Groups", "removed"):
        assert word not in text
    assert "**drift: first**" in text
    assert "so it is no independent test" not in text


def test_offline_is_not_taken_for_a_first_version(tmp_path: Path) -> None:
    text = written(facts(compared([], says={"offline": True}), first=True), tmp_path)[0]
    assert "is compared with nothing: its history was not asked" in text
    assert "History was offline" in part(text, 3)


def test_nothing_is_guessed_of_a_side_that_is_not_recorded(tmp_path: Path) -> None:
    text = written(facts(old=Side("v2.0", OLD)), tmp_path)[0]
    assert row(text, "code revision")[1] == "not recorded"
    assert "The training data of v2.0 are not recorded: which cases were added, removed or relabelled" in text
    assert "The settings of v2.0 are not recorded, so that nothing can be said of a change" in text
    assert "The library versions of v2.0 are not recorded" in text
    assert not re.search(r"^\| (epochs|torch|added) ", text, re.M)
    assert "The provenance of v2.0: not recorded" in part(text, 3)
    assert "The training data of v2.0: not recorded" in part(text, 3)
    odd = Side("v2.0", OLD, {"code": None, "training": {"0": "none", "1": {"settings": [], "libraries": 3}}})
    assert "The settings of v2.0 are not recorded" in written(facts(old=odd), tmp_path)[0]


def test_the_protocol_with_when_it_was_fixed(tmp_path: Path) -> None:
    address = "https://lab.org/cord/blob/v2.1/docs/drift.md"
    text = part(written(facts(protocol=address), tmp_path)[0], 2)
    assert f"[docs/drift.md]({address})" in text
    assert "Recorded in MLflow on 2026-03-02T10:43:45+00:00, before the release was measured." in text
    assert "used for 2 version(s)" in text
    assert row(text, "missing_bound_mm2") == ["missing_bound_mm2", "4", "the same"]
    assert row(text, "set") == ["set", "r1", "c" * 12, "CC0-1.0", "36", "216"]
    assert row(text, "ruler")[1] == "r" * 12
    assert row(text, "threshold")[1] == "0.5"
    assert row(text, "seed 2") == ["seed 2", "6", "0.11", "0.03 (n = 6)"]
    assert "**" not in text, "bold is a warning"


def test_a_rule_that_was_changed_is_bold(tmp_path: Path) -> None:
    says = {"declared": declared(missing_bound_mm2="2")}
    text, page = written(facts(compared(says=says)), tmp_path)
    assert row(text, "missing_bound_mm2") == ["missing_bound_mm2", "4", "**2 (changed)**"]
    assert "**Changed since: missing_bound_mm2. Nothing is called equivalent then.**" in text
    assert '<strong class="red">2 (changed)</strong>' in page
    assert "Changed after the declaration: missing_bound_mm2." in part(text, 3)


@pytest.mark.parametrize(
    ("says", "bold"),
    [
        (None, "When the rule was fixed is not recorded."),
        (declared().model_copy(update={"when": "", "before_results": False}), "recorded nowhere before the results"),
        (declared().model_copy(update={"before_results": False}), "when the release had results already"),
    ],
)
def test_a_rule_that_was_not_fixed_beforehand_is_bold(says: Any, bold: str, tmp_path: Path) -> None:
    text = part(written(facts(compared(says={"declared": says})), tmp_path)[0], 2)
    assert any(bold in found for found in re.findall(r"\*\*(.+?)\*\*", text))


def test_test_images_that_were_trained_on_are_found_by_content(tmp_path: Path) -> None:
    people = sorted(PEOPLE)
    frozen = pin(people)
    assert "None of the 216 test images is among the training images" in written(facts(), tmp_path)[0]
    new = sides()[0]
    assert new.training
    leaked = frozen.keys[frozen.cases[0].image].replace("SHA256E", "SHA256").removesuffix(".nii.gz")
    case = TrainedImage("other_name", "whole-spine", "sub-x", "", "T1w", leaked, leaked, None, None)
    training = replace(new.training, cases={**new.training.cases, "other_name": case})
    text = written(facts(new=replace(new, training=training)), tmp_path)[0]
    assert "**v2.1 was trained on 1 of the 216 test images (the same content).**" in text
    unknown = written(facts(new=replace(new, training=None)), tmp_path)[0]
    assert "Whether v2.1 was trained on test images cannot be said" in unknown


def test_the_impact_in_numbers(tmp_path: Path) -> None:
    given = facts()
    text = part(written(given, tmp_path)[0], 3)
    table = given.tables.bias.set_index("contrast")
    assert row(text, "pooled")[1] == f"{table.loc['pooled', 'bias_mm2']:.2f}"
    assert row(text, "pooled")[6] == f"−{-table.loc['pooled', 'atrophy_months']:.1f}"
    assert [line.split(" |")[0] for line in text.splitlines() if line.startswith("| T")][:3] == [
        "| T1w",
        "| T2w",
        "| T2star",
    ]
    stds = {one.label or "v2.1": one for one in given.drift.versions if one.role != "reference"}
    for name in ("v2.0", "v2.1"):
        assert row(text, name)[1].startswith(f"{stds[name].csa_std_mean_mm2:.2f} ±")
        assert row(text, name)[2] == "36 of 36"
    factors = given.tables.conversion.query("metric == 'csa_mm2'").set_index("contrast")
    pooled = next(line for line in text.split("Conversion factors")[1].splitlines() if line.startswith("| pooled"))
    assert f"{factors.loc['pooled', 'factor']:.4f}" in pooled
    nearest = max(given.drift.verdict.rows, key=lambda one: one.smallest_margin_mm2 / one.margin_mm2)
    assert f"it needs ±{nearest.smallest_margin_mm2:.2f} mm²" in text
    for reason in given.drift.verdict.reasons:
        assert f"- {reason}\n" in text


def test_groups_that_leave_the_margin_are_named(tmp_path: Path) -> None:
    given = facts()
    groups = given.tables.subgroups.copy()
    mine = (groups["version"] == OLD) & (groups["group"] == "Philips")
    groups.loc[mine, "ci_high_mm2"] = 0.65
    text = written(replace(given, tables=replace(given.tables, subgroups=groups)), tmp_path)[0]
    assert "Of 9 groups the interval of 1 leaves the pooled ±0.65 mm²; 0 have fewer" in text
    assert row(text, "manufacturer")[1] == "Philips"
    assert "Siemens" not in text


def test_missing_shards_are_listed_first(tmp_path: Path) -> None:
    result = saying(compared(), incomplete=["Shard 3 of 16 is missing: 3 participants.", "Shard 7 of 16 is missing."])
    text, page = written(facts(result), tmp_path)
    for sentence in result.drift.incomplete:
        assert f"- **{sentence}**" in text.split("\n## ")[0]
        assert sentence in page.split("</header>")[0]
    assert "Measures are missing" not in written(facts(), tmp_path)[0]


def test_a_champion_of_another_ruler_is_shown_and_said_to_judge_nothing(tmp_path: Path) -> None:
    other = version(OLD, 0.0, PEOPLE, 2, ruler="q" * 64)
    result = compared([Prior(other.series, "v2.0", ("champion",), other)])
    assert result.drift.against is None
    assert compared_with(result.drift) == OLD
    text = written(facts(result), tmp_path)[0]
    assert "**This difference judges nothing.** It was measured with another ruler" in text
    assert "v2.0: measured with another ruler; shown, they judge nothing." in text
    assert "v2.0: measured by others" in written(facts(result, imported={OLD}), tmp_path)[0]


def test_other_inference_settings_are_a_change(tmp_path: Path) -> None:
    other = version(OLD, 0.0, PEOPLE, 2, inference="j" * 64)
    text = written(facts(compared([Prior(other.series, "v2.0", ("champion",), other)])), tmp_path)[0]
    assert "Its inference settings differ from the candidate's." in part(text, 1)
    assert "inference settings differ" not in written(facts(), tmp_path)[0]


def test_limits_follow_from_the_facts(tmp_path: Path) -> None:
    few = PEOPLE[:4]
    old = version(OLD, 0.0, few, 2)
    floors = Floors(runner=[], seeds=[seed_floor(-9.0)])
    result = compared([Prior(old.series, "v2.0", ("champion",), old)], people=few, says={"floors": floors})
    text = part(written(facts(result), tmp_path)[0], 3).split("### Known limits")[1]
    assert "Too few participants: n = 4 where fewest, 30 are asked for" in text
    assert "used for 2 versions" in text
    assert "No other way of running was tried" in text
    assert "Another seed of the same training moves the area by 9.00 mm²" in text
    assert f"All of it holds for C2-C3, {', '.join(CONTRASTS)} and these 4 participants alone." in text
    for absent in ("offline", "not recorded", "Changed after", "imported", "No other seed"):
        assert absent not in text
    assert "Too few" not in part(written(facts(), tmp_path)[0], 3)


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    people = [f"sub-{n}{HOSTILE}" for n in range(3)]
    new, old = sides()
    assert old.training
    old = replace(old, label=HOSTILE, training=trained_on("r2", people), provenance=provenance(HOSTILE, epochs=HOSTILE))
    new = replace(new, label=f"{HOSTILE} new", training=trained_on("r3", people[:2]))
    prior = version(OLD, 0.0, people, 2)
    result = compared([Prior(prior.series, HOSTILE, ("champion",), prior)], people=people)
    reasons = [*result.drift.verdict.reasons, HOSTILE]
    verdict = result.drift.verdict.model_copy(update={"reasons": reasons})
    result = saying(result, incomplete=[HOSTILE], verdict=verdict)
    text, page = written(facts(result, new=new, old=old, pins=[pin(["sub-1"])]), tmp_path)
    plain = written(facts(), tmp_path / "plain")
    assert "<" not in text
    assert "<script" not in page
    assert set(re.findall(r"</?(\w+)", page)) - {"strong"} <= set(re.findall(r"</?(\w+)", plain[1]))
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, block
    assert text.count("\n## ") == 3
    assert "v1<script>alert(1)</script>|`x` | a | b | =1+1 new" in shown(page)


def test_the_same_facts_give_the_same_bytes(tmp_path: Path) -> None:
    assert written(facts(), tmp_path / "a") == written(facts(), tmp_path / "b")


def test_the_page_stands_alone(tmp_path: Path) -> None:
    assert not re.search(r"https?://|<script|<link|@import|url\(|src=", written(facts(), tmp_path)[1])


def test_facts_of_two_comparisons_are_refused() -> None:
    result = compared()
    new, old = sides()
    with pytest.raises(CordriftError, match=r"drift\.json is of the bundle dddddddddddd"):
        facts(result, new=replace(new, digest="a" * 64))
    with pytest.raises(CordriftError, match="must compare with bbbbbbbbbbbb"):
        facts(result, old=replace(old, digest="a" * 64))
    given = facts(result)
    with pytest.raises(CordriftError, match="not with none"):
        collect_facts(new, None, result.drift, given.tables, pins=given.pins, settings=given.settings)


def test_sides_and_tables_are_read_from_folders(tmp_path: Path) -> None:
    assert read_side(None, label="v1", digest=OLD) == read_side(tmp_path, label="v1", digest=OLD) == Side("v1", OLD)
    write_json(tmp_path / "provenance.json", provenance("cordrift-0.1.0"))
    side = read_side(tmp_path, label="v1", digest=OLD)
    assert (side.code, list(side.folds), side.training) == ("cordrift-0.1.0", ["0"], None)
    case = {"case": "a_b_T1w", "dataset": "a", "participant": "b", "contrast": "T1w", "image_key": "k", "mask_key": "m"}
    write_json(tmp_path / "training_data.json", {"datasets": {"a": {"tag": "r1", "commit": "c"}}, "cases": [case]})
    read = read_side(tmp_path, label="v1", digest=OLD).training
    assert read is not None
    assert list(read.cases) == ["a_b_T1w"]
    (tmp_path / "provenance.json").write_text("[]")
    with pytest.raises(CordriftError, match=r"provenance.json must hold a JSON object"):
        read_side(tmp_path, label="v1", digest=OLD)
    result = compared()
    for name in ("bias", "conversion", "subgroups"):
        write_csv(tmp_path / f"{name}.csv", result.tables()[name])
    tables = read_change_tables(tmp_path)
    again = facts(result)
    assert written(replace(again, tables=tables), tmp_path / "a") == written(again, tmp_path / "b")


def test_imported_versions_are_known_by_their_inference() -> None:
    rows = [{"digest": OLD, "inference": "imported"}, {"digest": NEW, "inference": "i" * 64}]
    assert imported_digests({"priors": rows}) == {OLD}
    assert RULE.min_participants == 30
