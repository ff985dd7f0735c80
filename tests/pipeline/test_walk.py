"""The way of a mask to the sentence of the report: how many files a reader opens who follows one number."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from support.cords import ROOT, Workspace, keep_as_prior

from stages import compare, measure
from stages.core.drift.record.record import read_drift
from stages.core.reports.drift_report.wording import headline, shown_versions

pytestmark = pytest.mark.slow

#: The files that a reader opens in this order, each with the question that it answers. docs/architecture.md lists them.
WAY = {
    "stages/measure.py": "which masks are measured",
    "stages/core/model/segmentation/predictions.py": "which mask belongs to which image",
    "stages/core/measures/cohort/measurement.py": "how each image becomes rows of measures.csv",
    "stages/core/measures/morphometry/table.py": "the rows of one mask: slice, level, range",
    "stages/core/measures/morphometry/csa.py": "the area of each slice",
    "stages/core/measures/morphometry/mask.py": "which voxels are cord",
    "stages/core/measures/morphometry/centreline.py": "how the cord leans in each slice",
    "stages/core/measures/morphometry/plausible.py": "which slices may bend that line",
    "stages/core/measures/morphometry/levels.py": "where the discs are, and which slices belong to C2-C3",
    "stages/compare.py": "which versions are compared, and by which rule",
    "stages/core/drift/versions/folders.py": "how the tables of a version are read again",
    "stages/core/drift/versions/version.py": "which versions may be compared, and which of them judge",
    "stages/core/drift/judgement/comparison.py": "the candidate beside each earlier version",
    "stages/core/tables/monitored.py": "which row of measures.csv counts",
    "stages/core/drift/statistics/bias.py": "the paired difference and its interval",
    "stages/core/drift/judgement/evidence.py": "both versions by participant and contrast",
    "stages/core/drift/judgement/verdict.py": "equivalent, drifted or inconclusive, row by row",
    "stages/core/drift/judgement/decision.py": "which row and which judge decide",
    "stages/core/drift/record/record.py": "what drift.json holds",
    "stages/core/reports/drift_report/wording.py": "the sentence of the report",
}
#: Files that run beside the way: they compute other numbers of the same tables, or name what
#: measured.
BESIDE = {
    "stages/core/drift/conversion/factors.py",
    "stages/core/drift/conversion/line.py",
    "stages/core/drift/conversion/publication.py",
    "stages/core/drift/judgement/judges.py",
    "stages/core/drift/record/floors.py",
    "stages/core/drift/record/metrics.py",
    "stages/core/drift/record/parts.py",
    "stages/core/drift/rule/settings.py",
    "stages/core/drift/statistics/clustered.py",
    "stages/core/drift/statistics/coverage.py",
    "stages/core/drift/statistics/heterogeneity.py",
    "stages/core/drift/statistics/multiplicity.py",
    "stages/core/drift/versions/validity.py",
    "stages/core/tables/change.py",
    "stages/core/tables/flags.py",
    "stages/core/tables/summary.py",
    "stages/core/tables/weighted.py",
    "stages/core/drift/rule/protocol.py",
    "stages/core/drift/statistics/concordance.py",
    "stages/core/drift/statistics/contrast_pairs.py",
    "stages/core/drift/statistics/csa_std.py",
    "stages/core/drift/statistics/quality.py",
    "stages/core/drift/statistics/subgroups.py",
    "stages/core/measures/cohort/agreement.py",
    "stages/core/measures/morphometry/oddities.py",
    "stages/core/measures/morphometry/ruler.py",
    "stages/core/measures/morphometry/solidity.py",
}
#: What every way goes through: whole files, errors, params, manifests, volumes, and the check of the block `segment`.
GROUND = (
    "stages/core/base/",
    "stages/core/data/datasets/",
    "stages/core/images/",
    "stages/core/model/segmentation/settings.py",
)
MOST_FILES = 20


@contextmanager
def followed() -> Iterator[set[str]]:
    """Collect the files of the package whose functions run while the block does."""
    codes: set[CodeType] = set()
    found: set[str] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":  # this runs at millions of calls
            codes.add(frame.f_code)

    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)
        called = {Path(code.co_filename) for code in codes if code.co_name not in {"<module>", "<lambda>"}}
        found |= {path.relative_to(ROOT).as_posix() for path in called if path.is_relative_to(ROOT / "stages")}


def test_a_reader_of_one_number_opens_twenty_files_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    workspace = Workspace(tmp_path, ("sub-a", "sub-b"))
    workspace.segment("a" * 64, 0.0)
    measure.main()
    keep_as_prior(workspace, "a" * 64)
    workspace.segment("b" * 64, 0.1)
    workspace.write_floor()
    with followed() as opened:
        measure.main()
        compare.main()
        drift = read_drift(Path("reports/compare/drift.json"))
        sentences = headline(drift, shown_versions(drift, "v2"))
    assert "larger" in sentences[0]
    assert {name for name in opened if not name.startswith(GROUND)} == set(WAY) | BESIDE
    assert len(WAY) <= MOST_FILES


def test_the_way_is_told_in_the_documentation() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    told = re.findall(r"^\d+\. `([\w/.]+)`: (.+)\.$", page, re.MULTILINE)
    assert dict(told) == WAY
