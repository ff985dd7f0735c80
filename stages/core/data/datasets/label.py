"""The sidecar of a mask that a model drafted: where it comes from, and who looked at it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...base.errors import DatasetError
from ...base.files import whole_file

#: What became of a mask: made by a model and seen by nobody, passed by a person, or corrected by one.
AUTOMATIC, REVIEWED, FIXED = "automatic", "reviewed", "fixed"
STATUSES = (AUTOMATIC, REVIEWED, FIXED)


@dataclass(frozen=True)
class Label:
    """Where a mask comes from.

    Attributes
    ----------
    status : one of :data:`STATUSES`
    source : path of the image in the dataset
    source_key : content key of the image
    bundle, inference : digests of the model and of its settings
    made : when the model drafted it, ISO 8601
    generation : 1 where all masks on which the model was trained were delivered with the data, 2 where some were drafts
        of such a model, and so on; None where the model does not say on what it was trained
    doubts : what spoke against the draft, a sentence each
    uncertainty : of the model, in bits per voxel of cord; NaN where it is not known
    reviewer, reviewed, comment : who looked at it, when (ISO 8601), and what they said; ``""`` for nobody
    """

    status: str
    source: str
    source_key: str
    bundle: str
    inference: str
    made: str
    generation: int | None
    doubts: tuple[str, ...] = ()
    uncertainty: float = math.nan
    reviewer: str = ""
    reviewed: str = ""
    comment: str = ""


def sidecar_of(mask: Path) -> Path:
    """Return the JSON beside a mask."""
    return mask.with_name(mask.name.removesuffix(".gz").removesuffix(".nii") + ".json")


def write_label(mask: Path, label: Label) -> None:
    """Write the sidecar of a mask."""
    value: dict[str, Any] = {
        "Sources": [f"bids::{label.source}"],
        "SpatialReference": "orig",
        "Type": "ROI",
        "GeneratedBy": "cordrift",
        "Status": label.status,
        "SourceKey": label.source_key,
        "Bundle": label.bundle,
        "Inference": label.inference,
        "Made": label.made,
        "Generation": label.generation,
    }
    more: dict[str, Any] = {"Doubts": list(label.doubts), "Reviewer": label.reviewer, "Reviewed": label.reviewed}
    value |= {key: item for key, item in (more | {"Comment": label.comment}).items() if item}
    if not math.isnan(label.uncertainty):
        value["Uncertainty"] = round(label.uncertainty, 4)
    with whole_file(sidecar_of(mask)) as part:
        part.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def read_label(mask: Path) -> Label | None:
    """Read the sidecar of a mask; None where there is none, or it is not of cordrift.

    Raises
    ------
    DatasetError
        It says that it is of cordrift, and is not as cordrift writes it.
    """
    path = sidecar_of(mask)
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    if not isinstance(value, dict) or value.get("GeneratedBy") != "cordrift" or "Status" not in value:
        return None
    texts = {"Status", "SourceKey", "Bundle", "Inference", "Made"}
    sources: Any
    generation: Any
    doubts: Any
    sources, generation, doubts = value.get("Sources"), value.get("Generation"), value.get("Doubts", [])
    wrong = sorted(key for key in texts if not isinstance(value.get(key), str))
    wrong += ["Status"] if value["Status"] not in STATUSES else []
    wrong += [] if isinstance(sources, list) and len(sources) == 1 and isinstance(sources[0], str) else ["Sources"]
    wrong += [] if generation is None or (isinstance(generation, int) and generation > 0) else ["Generation"]
    uncertainty = value.get("Uncertainty", math.nan)
    wrong += [] if isinstance(uncertainty, int | float) else ["Uncertainty"]
    wrong += [] if isinstance(doubts, list) and all(isinstance(doubt, str) for doubt in doubts) else ["Doubts"]
    if wrong:
        raise DatasetError(
            f"{path} is not as cordrift writes it: {wrong[0]} is {value.get(wrong[0])!r}. Restore it with git, or "
            "remove it where a person made the mask."
        )
    return Label(
        value["Status"],
        str(sources[0]).removeprefix("bids::"),
        value["SourceKey"],
        value["Bundle"],
        value["Inference"],
        value["Made"],
        generation,
        tuple(doubts),
        float(uncertainty),
        str(value.get("Reviewer", "")),
        str(value.get("Reviewed", "")),
        str(value.get("Comment", "")),
    )
