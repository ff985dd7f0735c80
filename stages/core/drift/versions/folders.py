"""Reading versions from the folders that the stages measure and history wrote."""

from __future__ import annotations

from pathlib import Path

from ...base.errors import PipelineError
from ...base.files import read_csv, read_json
from ...tables.columns import AGREEMENT_COLUMNS, AGREEMENT_TEXT, MEASURES_COLUMNS, MEASURES_TEXT
from ...tables.summary import TEXTS, read_summary
from .version import MeasuredVersion, Prior, Series, marks, obstacle


def read_series(folder: Path) -> Series:
    """Read what names the series of a folder of measures.

    Raises
    ------
    PipelineError
        ``summary.json`` is missing or lacks one of the names.
    """
    summary = read_summary(folder / "summary.json", error=PipelineError)
    return Series(**{name: summary[name] for name in TEXTS})


def read_version(folder: Path, label: str = "", aliases: tuple[str, ...] = ()) -> MeasuredVersion:
    """Read measures.csv, agreement.csv and summary.json of one version."""
    measures = read_csv(folder / "measures.csv", text=MEASURES_TEXT)
    agreement = read_csv(folder / "agreement.csv", text=AGREEMENT_TEXT)
    # A version that was registered before a column existed has no value in it.
    measures = measures.reindex(columns=list(dict.fromkeys([*MEASURES_COLUMNS, *measures.columns])))
    agreement = agreement.reindex(columns=list(AGREEMENT_COLUMNS))
    lost = read_summary(folder / "summary.json", error=PipelineError)["lost"]
    return MeasuredVersion(read_series(folder), label, aliases, measures, agreement, lost)


def read_priors(root: Path, candidate: Series) -> tuple[list[Prior], bool]:
    """Read ``priors.json`` and the tables of the priors that can be shown; and whether history was offline."""
    value = read_json(root / "priors.json")
    priors = []
    for entry in value["priors"]:
        label, aliases = str(entry["label"]), tuple(map(str, entry["aliases"]))
        series = read_series(root / str(entry["folder"]))
        if series.bundle == candidate.bundle:
            raise PipelineError(f"{root}/priors.json holds the candidate itself ({candidate.bundle[:12]}).")
        hidden = obstacle(candidate, series)
        version = None if hidden else read_version(root / str(entry["folder"]), label, aliases)
        declared = entry.get("declared")
        rule = None if declared is None else {str(name): str(text) for name, text in declared.items()}
        priors.append(Prior(series, label, aliases, version, rule, bool(entry.get("remeasured"))))
    return priors, bool(value["offline"])


def read_gaps(history: Path) -> list[str]:
    """Return what is known to be missing in the history, in sentences."""
    return [str(gap) for gap in read_json(history / "priors.json").get("gaps", [])]


def read_decisions(history: Path) -> dict[str, list[dict[str, str]]]:
    """Return what people decided: who ``accepted`` the candidate, and which versions are ``left_out`` of the series."""
    value = read_json(history / "priors.json")
    keys = {"accepted": ("who", "when", "why"), "left_out": ("label", "digest", "frozen", "why")}
    return {
        name: [{key: str(entry[key]) for key in wanted} for entry in value.get(name, [])]
        for name, wanted in keys.items()
    }


def read_past_pairs(history: Path, candidate: Series) -> list[tuple[MeasuredVersion, MeasuredVersion]]:
    """Return each earlier version of a workspace beside the one before it, as (new, old); empty where there are none.

    Only versions of the present frozen set, range and ruler count. The candidate is left out: its own difference is
    what a rule will judge, and no reason for a margin.

    Parameters
    ----------
    history : folder that the stage history wrote
    candidate : the present series
    """
    if not (history / "priors.json").is_file():
        return []
    priors, _ = read_priors(history, candidate)
    alike = [one.version for one in priors if one.version and not marks(candidate, one.series)]
    own = [version for version in alike if version.series.frozen]  # the frozen set of an imported version is not known
    return list(zip(own[1:], own, strict=False))
