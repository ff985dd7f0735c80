"""The verdict on a candidate: judged against the champion and the anchor, the worse of both counts.

The champion is the version in use; the anchor is the last one that a person accepted with published conversion factors.
Against the champion alone five steps of half a margin would each pass, and together be more than a year of disease.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .verdict import DRIFT, INCONCLUSIVE, QUALITY, UNKNOWN, DriftRow, QualityRow, worst

#: What a first version gets: there is nothing that it could have moved from.
FIRST = "first"
#: How many rows a list of reasons names; the table has them all.
SHOWN = 3
#: Criteria of quality, as people call them.
CRITERIA = {"csa_std_mm2": "CSA STD", "csa_error_mm2": "CSA error"}
#: Aliases of the versions that judge.
JUDGES = ("champion", "anchor")


@dataclass(frozen=True)
class Judge:
    """A prior version that the candidate is judged against; without ``rows`` it could not be, ``why`` says so."""

    digest: str
    label: str
    roles: tuple[str, ...]
    rows: tuple[DriftRow, ...] = ()
    criteria: tuple[QualityRow, ...] = ()
    why: str = ""

    @property
    def drift(self) -> str:
        """Worst verdict of the rows."""
        return worst([row.verdict for row in self.rows], DRIFT) if self.rows else INCONCLUSIVE

    @property
    def quality(self) -> str:
        """Better when a criterion is and none is worse; worse, or unknown, when one is."""
        found = [row.verdict for row in self.criteria]
        if not found:
            return UNKNOWN
        bad = worst(found, QUALITY)
        return bad if bad in QUALITY[2:] else min(found, key=QUALITY.index)


@dataclass(frozen=True)
class Decision:
    """Drift and quality with the reasons; ``passed`` is what the gate asks."""

    drift: str
    quality: str
    reasons: tuple[str, ...]
    judges: tuple[Judge, ...]

    @property
    def passed(self) -> bool:
        """Equivalent and not worse; a first version has nothing to be judged against."""
        return self.drift == FIRST or (self.drift == DRIFT[0] and self.quality in QUALITY[:2])

    @property
    def smallest_margin_mm2(self) -> float:
        """Margin from which on every row would have been equivalent; NaN where none was judged."""
        needed = [row.smallest_margin_mm2 for judge in self.judges for row in judge.rows]
        return max(needed) if needed and all(map(math.isfinite, needed)) else math.nan

    def record(self) -> dict[str, Any]:
        """As JSON; undefined is null."""
        judges = [
            {
                "digest": judge.digest,
                "label": judge.label,
                "roles": list(judge.roles),
                "drift": judge.drift,
                "quality": judge.quality,
                "why": judge.why,
                "rows": [plain(asdict(row)) for row in judge.rows],
                "criteria": [plain(asdict(row)) for row in judge.criteria],
            }
            for judge in self.judges
        ]
        value = {"drift": self.drift, "quality": self.quality, "passed": self.passed, "reasons": list(self.reasons)}
        return value | plain({"smallest_margin_mm2": self.smallest_margin_mm2}) | {"judges": judges}


def decide(
    judges: Sequence[Judge],
    *,
    priors: int,
    offline: bool,
    changed: Sequence[str] = (),
    lost: Mapping[str, str] | None = None,
) -> Decision:
    """Bring the judges' verdicts together.

    Parameters
    ----------
    judges : champion and anchor, once where one version is both
    priors : how many earlier versions there are at all
    offline : the history was not asked
    changed : what of the rule or the frozen set is no longer as it was declared before the results: then nothing is
        equivalent any more, for a margin can be chosen after the fact
    lost : what of the frozen set was not delivered, shard -> why: then nothing is decided, whatever the rest shows
    """
    decided = _decide(judges, priors, offline=offline, changed=changed)
    if not lost:
        return decided
    quality = UNKNOWN if decided.quality == FIRST else decided.quality
    reasons = () if decided.drift == FIRST else decided.reasons
    return Decision(INCONCLUSIVE, quality, (*incomplete(lost), *reasons), decided.judges)


def incomplete(lost: Mapping[str, str]) -> list[str]:
    """What of the frozen set was not delivered, in sentences."""
    return [f"shard {name} of the frozen set is missing: {why}" for name, why in sorted(lost.items())]


def _decide(judges: Sequence[Judge], priors: int, *, offline: bool, changed: Sequence[str]) -> Decision:
    if offline:
        return Decision(INCONCLUSIVE, UNKNOWN, ("history was offline: no earlier version was asked for",), ())
    if not priors:
        return Decision(FIRST, FIRST, ("the first version of its series: there is nothing to compare it with",), ())
    if not judges:
        why = f"none of {priors} earlier version(s) is {' or '.join(JUDGES)}; `cordrift promote` names one"
        return Decision(INCONCLUSIVE, UNKNOWN, (why,), ())
    reasons = [reason for judge in judges for reason in _reasons(judge)]
    drift = worst([judge.drift for judge in judges], DRIFT)
    if changed:
        drift = worst([drift, INCONCLUSIVE], DRIFT)
        reasons.insert(0, f"changed after it was declared: {', '.join(changed)}; nothing is called equivalent then")
    return Decision(
        drift,
        worst([judge.quality for judge in judges], QUALITY),
        tuple(reasons),
        tuple(judges),
    )


def _reasons(judge: Judge) -> list[str]:
    """What decided: the worst rows of drift, and of quality what is not simply the same."""
    name = f"{' and '.join(judge.roles)} {judge.label or judge.digest[:12]}"
    if judge.why:
        return [f"against {name}: cannot be judged. {judge.why}"]
    deciding = [row for row in judge.rows if row.verdict == judge.drift]
    # Worst first; where all is well the row that came nearest to the margin speaks for the others.
    deciding.sort(key=lambda row: math.inf if math.isnan(row.smallest_margin_mm2) else row.smallest_margin_mm2)
    shown = deciding[::-1][: 1 if judge.drift == DRIFT[0] else SHOWN]
    out = [f"against {name}, {row.contrast}: {row.verdict}. {row.why}" for row in shown]
    if judge.drift != DRIFT[0] and len(deciding) > len(shown):
        more = len(deciding) - len(shown)
        out.append(f"against {name}: {more} more {'row is' if more == 1 else 'rows are'} {judge.drift}")
    return out + [
        f"against {name}, {CRITERIA.get(row.criterion, row.criterion)}: {row.verdict}. {row.why}"
        for row in judge.criteria
        if row.verdict == judge.quality
    ]


def plain(record: dict[str, Any]) -> dict[str, Any]:
    """NaN as None, so that the record is valid JSON."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
