"""Reading ``params.yaml``: each room owns its block as a class, and a misspelt key is a sentence.

A stage reads the blocks that it needs, by their names. An edit of the class of one block therefore reruns the stages of
that block and no others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import CordriftError, did_you_mean

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Block(BaseModel):
    """Typed values from a file: unknown keys are refused and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Settings(Block):
    """One block of ``params.yaml``, whose name is ``block``."""

    block: ClassVar[str]

    @classmethod
    def read(cls, path: Path = Path("params.yaml")) -> Self:
        """Read this block and leave all others alone.

        Raises
        ------
        CordriftError
            The file or the block is missing, a key is unknown or missing, or a value is out of its range.
        """
        value = load_yaml(path)
        if not isinstance(value, dict) or cls.block not in value:
            known = [str(key) for key in value] if isinstance(value, dict) else []
            raise CordriftError(f"{path}: key {cls.block!r} is missing{did_you_mean(cls.block, known)}.")
        settings: Self = validate(cls, value[cls.block], str(path), cls.block)
        return settings


def validate(model: type[Any], value: object, source: str, *above: str) -> Any:
    """Return ``value`` as a ``model``, or raise a sentence per fault that names the key and what was expected.

    ``source`` is the file in which the value stands, ``above`` the keys that lead to it there.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = "; ".join(_fault(model, fault, above) for fault in error.errors())
        raise CordriftError(f"{source}: {faults}.") from error


def _fault(model: type[Any], fault: Any, above: tuple[str, ...]) -> str:
    where = ".".join(str(part) for part in (*above, *fault["loc"]))
    if fault["type"] == "extra_forbidden":
        return f"unknown key {where!r}{did_you_mean(str(fault['loc'][-1]), _keys(model))}"
    if fault["type"] == "missing":
        return f"key {where!r} is missing"
    return f"{where!r} is {fault['input']!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _keys(model: type[Any]) -> set[str]:
    """All keys that ``model`` and the models inside it know, for a suggestion."""
    keys: set[str] = set()
    for name, field in model.model_fields.items():
        keys.add(field.alias or name)
        for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, BaseModel):
                keys |= _keys(part)
    return keys


def load_yaml(path: Path) -> Any:
    """Read a YAML file without running anything it names."""
    if not path.is_file():
        raise CordriftError(f"{path} is missing (looked in {path.parent.resolve()}).")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise CordriftError(f"{path} is not valid YAML: {error}.") from error
