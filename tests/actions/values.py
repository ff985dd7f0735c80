"""Values of GitHub's expressions: null, boolean, number, string, array and object, and how one becomes another."""

from __future__ import annotations

import json
import math
import re
from typing import Any

NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


def truthy(value: Any) -> bool:
    """Return whether a condition holds: false, 0, NaN, the empty string and null do not."""
    if isinstance(value, float) and math.isnan(value):
        return False
    return value is not None and value is not False and value != 0 and value != ""


def number(value: Any) -> float:
    """Return a value as a number, NaN where it is none."""
    if value is None:
        return 0.0
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, str):
        text = value.strip()
        if text == "":
            return 0.0
        if re.fullmatch(r"0x[0-9a-fA-F]+|0o[0-7]+", text):
            return float(int(text, 0))
        if NUMBER.fullmatch(text):
            return float(text)
        return {"Infinity": math.inf, "-Infinity": -math.inf}.get(text, math.nan)
    return math.nan


def text(value: Any) -> str:
    """Return a value as the text that takes the place of ``${{ }}``."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        return str(int(value)) if value.is_integer() else f"{value:.15g}"
    if isinstance(value, dict):
        return "Object"
    if isinstance(value, list):
        return "Array"
    return str(value)


def same(left: Any, right: Any) -> bool:
    """Return whether two values are equal: text ignores case, other types are compared as numbers."""
    if isinstance(left, dict | list) or isinstance(right, dict | list):
        return left is right
    if isinstance(left, str) and isinstance(right, str):
        return left.upper() == right.upper()
    if left is None and right is None:
        return True
    return number(left) == number(right)


def less(left: Any, right: Any) -> bool:
    """Return whether one value is below another; never when one of them is no number."""
    if isinstance(left, str) and isinstance(right, str):
        return left.upper() < right.upper()
    return number(left) < number(right)


def to_json(value: Any) -> str:
    """Return a value as JSON, written over several lines as ``toJSON`` does."""
    return json.dumps(value, indent=2, ensure_ascii=False)
