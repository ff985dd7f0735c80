"""``summary.json`` of the stage `measure`: what was measured, by its digests; how many cases there are; lost shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..base.errors import CordriftError
from ..base.files import read_json

#: What every summary holds as text: digests of bundle, inference settings, ruler and frozen set; the range of levels.
#: The digest of the frozen set of an imported version is not known, and empty.
TEXTS = ("bundle", "inference", "ruler", "frozen", "range")


def read_summary(path: Path, *, error: type[CordriftError] = CordriftError) -> dict[str, Any]:
    """Read ``summary.json``: the texts of :data:`TEXTS`, ``lost`` (shard -> why), and what else it holds.

    Raises
    ------
    CordriftError
        The file is missing or no JSON, or lacks one of these, or has another type there.
    """
    value = read_json(path, error=error)
    for key in TEXTS:
        if not isinstance(value.get(key), str):
            raise error(
                f"{path} has {value.get(key)!r} as {key!r}; expected a text, as the stage `measure` writes it. "
                "It was edited or cut: `dvc repro measure` writes it again."
            )
    if isinstance(value.get("cases", 0), bool) or not isinstance(value.get("cases", 0), int):
        raise error(f"{path} has {value['cases']!r} as 'cases'; expected a number of images.")
    if not isinstance(value.get("lost", {}), dict):
        raise error(f"{path} has {value['lost']!r} as 'lost'; expected the lost shards by name.")
    return {"lost": {}, **value}
