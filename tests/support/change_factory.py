"""A release and the version before it, made up: measures, comparison, manifests, for the change report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from stages.core.data.datasets.manifest import Manifest
from stages.core.drift.judgement.comparison import Comparison, compare, declared_record
from stages.core.drift.record.floors import Floors
from stages.core.drift.record.record import Declared
from stages.core.drift.rule.protocol import Protocol
from stages.core.drift.versions.version import MeasuredVersion, Prior, Series
from stages.core.measures.morphometry.table import as_table
from stages.core.model.lineage.manifest import TrainedImage, TrainingData
from stages.core.model.segmentation.settings import Segment
from stages.core.reports.change_report.facts import ChangeTables, Facts, Side, collect_facts
from stages.core.tables.columns import AGREEMENT_COLUMNS
from stages.core.workspace.runs.params import load_params
from support.cords import ROOT
from support.drift_factory import RULE as FACTORY_RULE
from support.drift_factory import runner_floor, seed_floor

CONTRASTS = ["T1w", "T2w", "T2star", "MTon", "MToff", "DWI"]
NEW, OLD = "d" * 64, "b" * 64
RULE = FACTORY_RULE.model_copy(update={"min_participants": 30})


def key(name: str) -> str:
    """A content key of its own for each name."""
    return f"SHA256E-s9--{name.encode().hex():0<64.64}.nii.gz"


def version(digest: str, moved_mm2: float, people: Sequence[str], seed: int, **series: str) -> MeasuredVersion:
    """Measures of a version whose areas lie ``moved_mm2`` above an anatomy that all versions share."""
    measures, agreement = _measured(moved_mm2, tuple(people), seed)
    named = Series(digest, "i" * 64, "r" * 64, "f" * 64, "C2-C3")
    return MeasuredVersion(replace(named, **series), "", (), measures, agreement)


@cache
def _measured(moved_mm2: float, people: tuple[str, ...], seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    anatomy, noise = np.random.default_rng(1), np.random.default_rng(seed)
    rows, pairs = [], []
    for sub in people:
        truth = float(anatomy.normal(74, 7))
        for contrast in CONTRASTS:
            csa = truth + moved_mm2 + float(noise.normal(0, 0.6))
            case = {"dataset": "set", "participant": sub, "session": "", "contrast": contrast, "kind": "binary"}
            common = case | {"scope": "range", "levels": "C2-C3", "coverage": 1.0}
            rows.append(common | {"source": "prediction", "csa_mm2": csa, "flags": ""})
            rows.append(common | {"source": "reference", "csa_mm2": truth})
            pairs.append(case | {"dice": 0.95, "csa_error_mm2": abs(csa - truth), "flags": ""})
    return as_table(rows), pd.DataFrame(pairs, columns=list(AGREEMENT_COLUMNS))


#: By what both versions were declared.
RULES = {"alpha": "0.05", "missing_bound_mm2": "4", "min_participants": "30", "range": "C2-C3", "frozen": "f" * 64}


def declared(**changes: str) -> Declared:
    """What was declared; ``changes``: what holds now instead."""
    protocol = Protocol(NEW, RULES, "2026-03-02T10:43:45+00:00", before_results=True)
    return declared_record(protocol, RULES | changes)


def compared(
    priors: list[Prior] | None = None, *, people: list[str] | None = None, says: dict[str, Any] | None = None
) -> Comparison:
    """The comparison of the release with v2.0, the champion, unless ``priors`` says otherwise."""
    people = people or [f"sub-{n:03}" for n in range(36)]
    if priors is None:
        old = version(OLD, 0.0, people, 2)
        priors = [Prior(old.series, "v2.0", ("champion", "anchor"), old, RULES)]
    table = pd.DataFrame(
        [
            [
                "set",
                sub,
                f"site{n}",
                ("Siemens", "Philips", "GE")[n % 3],
                "FM"[n % 2],
                str(20 + n),
                "MS" if n < 2 else "HC",
            ]
            for n, sub in enumerate(people)
        ],
        columns=["dataset", "participant", "site", "manufacturer", "sex", "age", "pathology"],
    )
    priors = [replace(prior, declared=prior.declared or RULES) for prior in priors]
    floors = Floors(runner=[runner_floor(0.02)], seeds=[seed_floor(0.11, 0.03)])
    given: dict[str, Any] = {"offline": False, "declared": declared(), "floors": floors, "rule": RULE} | (says or {})
    return compare(version(NEW, 0.3, people, 3), priors, contrasts=CONTRASTS, people=table, **given)


def saying(result: Comparison, **changes: Any) -> Comparison:
    """The comparison with other fields in its record."""
    return replace(result, drift=result.drift.model_copy(update=changes))


def trained_on(tag: str, people: list[str], relabelled: tuple[str, ...] = ()) -> TrainingData:
    """T1w and T2w of each participant; masks of ``relabelled`` differ."""
    cases = {}
    for n, sub in enumerate(people):
        for contrast in ("T1w", "T2w"):
            name = f"whole-spine_{sub}_{contrast}"
            mask = key(f"{name} mask" + (" again" if sub in relabelled else ""))
            site, pathology = f"site{'AB'[n % 2]}", "MS" if n % 5 == 0 else "HC"
            cases[name] = TrainedImage(name, "whole-spine", sub, "", contrast, key(name), mask, site, pathology)
    return TrainingData({"whole-spine": (tag, tag[-1] * 40)}, cases)


def provenance(code: str, **settings: Any) -> dict[str, Any]:
    """What a bundle says of its making."""
    own = {"epochs": 250, "seed": 1, "optimiser": {"name": "SGD", "learning_rate": 0.01}, "device": "cuda", "gpus": 1}
    torch = settings.pop("torch", "2.12.0")
    fold = {
        "settings": own | settings,
        "data": {"digest": code[-1] * 64, "n_cases": 22 if code.endswith("2") else 20, "datasets": {}},
        "libraries": {"torch": torch, "nnunetv2": "2.8.1"},
        "python": "3.11.7",
        "machine": "x86_64",
    }
    return {"schema": 1, "code": code, "training": {"0": fold}}


def pin(people: list[str]) -> Manifest:
    """Manifest of the frozen dataset."""
    names = [(sub, contrast, f"{sub}/anat/{sub}_{contrast}.nii.gz") for sub in people for contrast in CONTRASTS]
    none = {"session": "", "mask": None, "softmask": None, "discs": None}
    return Manifest(
        dataset="set", url="https://example.org/set", tag="r1", commit="c" * 40, role="test", licence="CC0-1.0",
        files=[{"path": path, "key": key(path[-30:]), "size": 9} for _, _, path in names],
        cases=[{"participant": sub, "contrast": contrast, "image": path, **none} for sub, contrast, path in names],
        participants=[], excluded=[],
    )  # fmt: skip


def sides() -> tuple[Side, Side]:
    """The release v2.1 and v2.0: one participant more, one mask corrected, one setting and one library changed."""
    people = [f"sub-t{n:02}" for n in range(10)]
    new = Side(
        "v2.1", NEW, provenance("cordrift-0.1.0+" + "2" * 40, epochs=300, torch="2.13.0"),
        trained_on("r3", [*people, "sub-t10"], relabelled=("sub-t03",)),
    )  # fmt: skip
    return new, Side("v2.0", OLD, provenance("cordrift-0.1.0+" + "1" * 40), trained_on("r2", people))


@cache
def _ordinary(first: bool) -> Comparison:
    return compared([] if first else None)


def facts(
    result: Comparison | None = None,
    *,
    new: Side | None = None,
    old: Side | None = None,
    first: bool = False,
    pins: list[Manifest] | None = None,
    **more: Any,
) -> Facts:
    """Facts of an ordinary release; with ``first`` of one that nothing came before."""
    result = result or _ordinary(first)
    people = sorted(set(result.csa["participant"]))
    settings: Segment = load_params(ROOT / "params/demo.yaml").segment
    return collect_facts(
        new or sides()[0], None if first else old or sides()[1], result.drift,
        ChangeTables(result.bias, result.conversion, result.subgroups),
        pins=pins if pins is not None else [pin(people)], settings=settings, **more,
    )  # fmt: skip
