"""The members of a job's matrix."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from actions.errors import StepError, WorkflowError


def members(matrix: Any) -> list[dict[str, Any]]:
    """Return the combinations of a matrix, in GitHub's order; one empty combination where there is none.

    Raises:
        StepError: a list of the matrix is empty; on GitHub the job fails.
        WorkflowError: the matrix is no mapping of lists.
    """
    if not matrix:
        return [{}]
    if not isinstance(matrix, Mapping):
        raise WorkflowError(f"strategy.matrix must be a mapping, not {matrix!r}")
    axes = {name: entries for name, entries in matrix.items() if name not in ("include", "exclude")}
    for name, entries in axes.items():
        if not isinstance(entries, list):
            raise WorkflowError(f"strategy.matrix.{name} must be a list, not {entries!r}")
        if not entries:
            raise StepError(f"Matrix vector '{name}' does not contain any values")
    combined = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())] if axes else []
    kept = [one for one in combined if not any(_within(out, one) for out in matrix.get("exclude") or [])]
    grown = [dict(one) for one in kept]
    for extra in matrix.get("include") or []:
        into = [
            grown[at]
            for at, one in enumerate(kept)
            if all(one[name] == value for name, value in extra.items() if name in one)
        ]
        for one in into:
            one.update(extra)
        if not into:
            grown.append(dict(extra))
    return grown


def _within(part: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    return all(name in whole and whole[name] == value for name, value in part.items())
