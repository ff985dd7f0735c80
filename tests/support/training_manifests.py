"""Training manifests of invented content, as the stage prepare writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def key(content: str, backend: str = "SHA256E") -> str:
    """Return an annex key of invented content."""
    digest = {"SHA256E": 64, "SHA256": 64, "GIT": 64, "MD5E": 32}[backend] * "0"
    return f"{backend}-s9--{content.encode().hex()}".ljust(len(f"{backend}-s9--") + len(digest), "0")


def row(name: str, image: str, mask: str, **more: Any) -> dict[str, Any]:
    """One case as prepare lists it; ``name`` is dataset_participant_contrast."""
    dataset, participant, contrast = name.split("_")
    own = {"case": name, "dataset": dataset, "participant": participant, "session": "", "contrast": contrast}
    own |= {"image_key": key(image), "mask_key": key(mask), "site": "s1", "pathology": "HC", "warnings": []}
    return own | more


def manifest(*rows: dict[str, Any], revisions: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A training manifest of cases; ``revisions``: tag by dataset."""
    datasets = {row["dataset"]: "r1" for row in rows} | dict(revisions or {})
    return {
        "datasets": {name: {"tag": tag, "commit": tag[-1] * 40, "url": name} for name, tag in datasets.items()},
        "cases": list(rows),
    }
