"""The provenance of a release: every digest is in it, nothing of this machine and no credential is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support.change_factory import NEW, OLD, compared, facts, pin, provenance, saying, sides

from stages.core.reports.change_report.facts import Side
from stages.core.reports.change_report.provenance import release_provenance

JUDGED_BY = "cordrift-0.2.0+" + "3" * 40


def test_a_number_can_be_traced() -> None:
    given = facts()
    value = release_provenance(given, judged_by=JUDGED_BY)
    assert (value["label"], value["bundle"], value["compared_with"]) == ("v2.1", NEW, OLD)
    assert (value["ruler"], value["range"], value["frozen"]["digest"]) == ("r" * 64, "C2-C3", "f" * 64)
    assert value["inference"]["digest"] == "i" * 64
    assert value["inference"]["settings"]["threshold"] == 0.5
    assert value["code"] == {"trained": "cordrift-0.1.0+" + "2" * 40, "judged": JUDGED_BY}
    (frozen,) = value["frozen"]["datasets"]
    assert frozen == {
        "dataset": "set", "tag": "r1", "commit": "c" * 40, "licence": "CC0-1.0", "address": "https://example.org/set",
        "participants": 36, "images": 216,
    }  # fmt: skip
    training = value["training"]
    assert (training["folds"], training["seed"], training["settings"]["epochs"]) == (["0"], "1", "300")
    assert training["libraries"]["torch"] == "2.13.0"
    assert training["hardware"] == {"device": "cuda", "gpus": "1"}
    assert training["data_digests"] == ["2" * 64]
    (data,) = training["datasets"]
    assert (data["tag"], data["commit"], data["participants"], data["images"]) == ("r3", "3" * 40, 11, 22)
    assert value["declared"] == given.drift.declared.model_dump()
    assert value["verdict"]["reasons"] == given.drift.verdict.reasons
    assert value["verdict"]["judges"] == [{"digest": OLD, "label": "v2.0", "roles": ["champion", "anchor"]}]
    assert json.loads(json.dumps(value, allow_nan=False)) == value


def test_what_is_not_recorded_is_null() -> None:
    value = release_provenance(facts(new=Side("v2.1", NEW), first=True), judged_by=JUDGED_BY)
    assert value["code"]["trained"] is None
    assert set(value["training"].values()) == {None}
    assert value["compared_with"] is None


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://bob:secret@lab.org/set?token=1", "https://lab.org/set"),
        ("ssh://git@lab.org/set", "ssh://lab.org/set"),
        ("/lab/data/set", None),
        ("file:///lab/data/set", None),
        ("data/phantom", None),
    ],
)
def test_an_address_is_kept_where_others_can_reach_it(address: str, kept: str | None) -> None:
    given = facts(pins=[pin(["sub-1"]).model_copy(update={"url": address})])
    assert release_provenance(given, judged_by=JUDGED_BY)["frozen"]["datasets"][0]["address"] == kept


def test_no_text_holds_a_local_path_or_a_credential() -> None:
    missing = "Shard 3: /home/lab/x.nii.gz is missing (tried https://bob:secret@lab.org)."
    result = saying(compared(), incomplete=[missing])
    new = replace(sides()[0], provenance=provenance("2", cache="/scratch/lab/cache", drive=r"C:\lab\x", ratio="1/2"))
    value = release_provenance(facts(result, new=new), judged_by=JUDGED_BY)
    assert value["incomplete"] == ["Shard 3: (local path) is missing (tried https://lab.org)."]
    assert [value["training"]["settings"][key] for key in ("cache", "drive")] == ["(local path)"] * 2
    assert value["training"]["settings"]["ratio"] == "1/2"
    assert value["frozen"]["datasets"][0]["address"] == "https://example.org/set"
