"""The output of the stage `segment`: predictions of the shards that params name. Other folders are ignored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...base.errors import BundleError
from ...base.files import read_json, write_json
from ...data.datasets.manifest import Case, Manifest

CaseId = tuple[str, str, str, str]
#: Reason of a case whose image could be read, but in which the model found no cord.
EMPTY_MASK = "the predicted mask is empty"
#: Start of the reason of a case that ``check`` stopped: neither its image nor its reference is used.
STOPPED = "check: "
#: Start of the reason of a case whose shard was not delivered: its result is unknown, which is not a failure.
LOST = "lost: "


@dataclass(frozen=True)
class Prediction:
    """The result of one case: its masks, or None and a reason when it has none.

    Attributes
    ----------
    binary, soft : files of the masks
    names : path of each kind of mask inside its shard's folder; the same when a participant moves to another shard
    reason : why there is no mask; empty when there is one
    warnings : names of the checks that warn of the case
    """

    binary: Path | None
    soft: Path | None
    names: dict[str, str]
    reason: str
    warnings: tuple[str, ...] = ()

    @property
    def stopped(self) -> bool:
        """Whether ``check`` stopped the case."""
        return self.reason.startswith(STOPPED)

    @property
    def lost(self) -> bool:
        """Whether the shard of the case was not delivered."""
        return self.reason.startswith(LOST)


@dataclass(frozen=True)
class Segmentation:
    """All predictions of one bundle with one set of inference settings.

    Attributes
    ----------
    predictions : by (dataset, participant, session, contrast)
    ignored : folders, as ``dataset/shard``, that an earlier run left and params do not name
    lost : shards that were not delivered, ``dataset/shard`` -> reason
    """

    bundle: str
    inference: str
    predictions: dict[CaseId, Prediction]
    ignored: list[str]
    lost: dict[str, str]


def id_of_case(case: Case) -> CaseId:
    """Return the names that identify a case: dataset, participant, session, contrast."""
    return case.dataset, case.participant, case.session, case.contrast


def read_shards(root: Path, datasets: list[str], shards: list[int]) -> Segmentation:
    """Read the manifests of every shard of every dataset under ``root``. Other folders there are ignored and named.

    Raises
    ------
    BundleError
        A shard or a mask is missing, shards come from different bundles or settings, or a case is in two of them.
    """
    wanted = [f"{dataset}/{shard}" for dataset in datasets for shard in shards]
    predictions: dict[CaseId, Prediction] = {}
    series: set[tuple[str, str]] = set()
    lost: dict[str, str] = {}
    for name in wanted:
        folder = root / name
        if not (folder / "manifest.json").is_file():
            raise BundleError(f"{folder} is missing, but params name it; run `dvc repro segment`.")
        manifest = read_json(folder / "manifest.json", error=BundleError)
        series.add((str(manifest["bundle"]), str(manifest["inference"])))
        if "lost" in manifest:
            lost[name] = str(manifest["lost"])
        for entry in manifest["cases"]:
            key = (entry["dataset"], entry["participant"], entry["session"] or "", entry["contrast"])
            if key in predictions:
                raise BundleError(f"case {' '.join(filter(None, key))} is in two shards under {root}.")
            predictions[key] = _prediction(folder, entry)
    if len(series) != 1:
        raise BundleError(
            f"the shards under {root} come from {len(series)} combinations of bundle and inference settings, "
            "expected one; run `dvc repro segment`."
        )
    bundle, inference = series.pop()
    present = {path.relative_to(root).as_posix() for path in root.glob("*/*") if path.is_dir()}
    return Segmentation(bundle, inference, predictions, sorted(present - set(wanted)), lost)


def write_lost(folder: Path, cases: list[Case], series: dict[str, str], why: str) -> None:
    """Write the manifest of a shard that was not delivered: it names the cases, and none of them has a mask.

    Parameters
    ----------
    folder : folder of the shard, ``<dataset>/<shard>``
    cases : the cases that the shard should have held
    series : digests ``bundle`` and ``inference`` of the other shards
    why : reason, for the reader of the report
    """
    nothing: dict[str, object] = {"binary": None, "soft": None, "warnings": [], "status": "lost", "reason": LOST + why}
    rows = [{**case.model_dump(include={"dataset", "participant", "session", "contrast"}), **nothing} for case in cases]
    value = {"dataset": folder.parent.name, "shard": int(folder.name), **series, "lost": why, "cases": rows}
    write_json(folder / "manifest.json", value)


def _prediction(folder: Path, entry: dict[str, Any]) -> Prediction:
    warnings = tuple(str(name) for name in entry["warnings"])
    if entry["status"] != "ok":
        return Prediction(None, None, {}, str(entry["reason"] or "no reason was given"), warnings)
    names = {kind: str(entry[kind]) for kind in ("binary", "soft") if entry[kind]}
    paths = {kind: folder / name for kind, name in names.items()}
    for path in paths.values():
        if not path.is_file():
            raise BundleError(f"{path} is missing, but the shard's manifest names it; run `dvc repro segment`.")
    return Prediction(paths.get("binary"), paths.get("soft"), names, "", warnings)


def monitored_cases(
    manifests: list[Manifest], contrasts: list[str], segmentation: Segmentation
) -> list[tuple[Manifest, Case]]:
    """Return the cases of the frozen set, sorted. `segment` must have processed exactly these cases.

    Raises
    ------
    BundleError
        The segmentation belongs to another set of cases.
    """
    cases = [(m, c) for m in manifests for c in m.case_list() if c.contrast in contrasts]
    cases.sort(key=lambda pair: id_of_case(pair[1]))
    expected, found = {id_of_case(case) for _, case in cases}, set(segmentation.predictions)
    for fault, ids in (
        ("were not segmented", expected - found),
        ("are segmented but not in the set", found - expected),
    ):
        if ids:
            first = " ".join(filter(None, min(ids)))
            raise BundleError(f"{len(ids)} case(s) {fault}, first: {first}; run `dvc repro segment`.")
    return cases
