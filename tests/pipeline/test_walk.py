"""The way of a mask to the sentence of the report: how many files a reader opens who follows one number."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from cords import ROOT, Workspace, keep_as_prior

from stages import compare, measure
from stages.core.base.files import read_json
from stages.core.reports.drift_report.wording import headline, shown_versions

#: Files that run on the way and that nobody opens to follow the number: reading, writing, settings, keys, names.
BASE = ("stages/core/base/", "stages/core/data/", "stages/core/images/")


@contextmanager
def followed() -> Iterator[set[str]]:
    """Collect the files of the package whose functions run while the block does."""
    found: set[str] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if (
            event == "call"
            and frame.f_code.co_name not in {"<module>", "<lambda>"}
            and path.is_relative_to(ROOT / "stages")
        ):
            found.add(path.relative_to(ROOT).as_posix())

    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)


def test_from_a_mask_to_the_sentence_in_twenty_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
        drift = read_json(Path("reports/compare/drift.json"))
        sentences = headline(drift, shown_versions(drift, "v2"))
    assert "larger" in sentences[0]
    way = sorted(name for name in opened if not name.startswith(BASE))
    print(len(opened), len(way), *way, sep="\n")
    assert len(way) <= 20
