"""Reading ``params.yaml``: each room describes its block as a class, and a misspelt key is reported in a sentence.

A stage reads only the blocks that it needs. An edit of one of these classes therefore reruns the stages that use it and
no others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import CordriftError, SettingsError, did_you_mean

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
#: What every generator of random numbers takes, also where a number of a fold is mixed into it.
Seed = Annotated[int, Field(ge=0, lt=2**31)]

#: Most values that a YAML file may have once its aliases are written out; params have some hundred, a registry of
#: hundreds of datasets some ten thousand.
MOST_VALUES = 100_000


class Block(BaseModel):
    """Typed values from a file. Unknown keys and infinite numbers are refused, and values cannot change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Settings(Block):
    """One block of ``params.yaml``; ``block`` is its name there."""

    block: ClassVar[str]

    @classmethod
    def read(cls, path: Path = Path("params.yaml")) -> Self:
        """Read this block; the other blocks are neither read nor checked.

        Raises
        ------
        SettingsError
            The file or the block is missing, a key is unknown or missing, or a value is out of its range.
        """
        value = load_yaml(path)
        if not isinstance(value, dict) or cls.block not in value:
            known = [str(key) for key in value] if isinstance(value, dict) else []
            close = did_you_mean(cls.block, known).replace("did you mean", "the file holds").replace("?", "")
            raise SettingsError(f"{path}: key {cls.block!r} is missing{close}.")
        settings: Self = validate(cls, value[cls.block], str(path), cls.block, error=SettingsError)
        return settings


def validate(
    model: type[Any], value: object, source: str, *above: str, error: type[CordriftError] = CordriftError
) -> Any:
    """Return ``value`` as a ``model``.

    Parameters
    ----------
    model : a class of pydantic
    value : what a file holds, as JSON or YAML is read
    source : the file, for the sentence about a fault
    above : the keys under which the value stands in the file
    error : the class of the error that a fault raises

    Raises
    ------
    CordriftError
        The value does not fit: one clause for each fault, with the key and what was expected.
    """
    try:
        return model.model_validate(value)
    except ValidationError as invalid:
        faults = "; ".join(_fault(model, fault, above) for fault in invalid.errors())
        raise error(f"{source}: {faults}.") from invalid


def _fault(model: type[Any], fault: Any, above: tuple[str, ...]) -> str:
    where = ".".join(str(part) for part in (*above, *fault["loc"]))
    if fault["type"] == "extra_forbidden":
        return f"unknown key {where!r}{did_you_mean(str(fault['loc'][-1]), _keys(model))}"
    if fault["type"] == "missing":
        return f"key {where!r} is missing"
    if isinstance(fault["input"], dict) and fault["type"] == "value_error":  # keys that do not go together
        return f"{f'{where!r}: ' if where else ''}{fault['msg'].removeprefix('Value error, ')}"
    return f"{where!r} is {_short(fault['input'])}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def _short(value: object) -> str:
    """Return a value as text, cut where nobody would read it to its end."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _keys(model: type[Any]) -> set[str]:
    """Return all keys of ``model`` and of the models inside it; one of them may be the key that was meant."""
    keys: set[str] = set()
    for name, field in model.model_fields.items():
        keys.add(field.alias or name)
        for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, BaseModel):
                keys |= _keys(part)
    return keys


def load_yaml(path: Path) -> Any:
    """Read a YAML file; a tag in it that would build a Python object is refused.

    Raises
    ------
    SettingsError
        The file is missing, is not UTF-8, is not valid YAML, gives a key twice, or has aliases that make it huge.
    """
    if not path.is_file():
        raise SettingsError(f"{path} is missing (looked in {path.parent.resolve()}).")
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        try:
            node = loader.get_single_node()
            _check_nodes(path, node)
            return None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not a text in UTF-8 ({error}); save it in this encoding.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path} is not valid YAML: {error}.") from error


def _check_nodes(path: Path, top: yaml.Node | None) -> None:
    """Refuse a key that is given twice, of which YAML would take the last, and aliases that multiply or form a ring.

    An alias stands for a whole tree, and so ten lines of aliases can stand for millions of values.
    """
    sizes: dict[int, int] = {}

    def size(node: yaml.Node | None) -> int:
        if node is None or isinstance(node, yaml.ScalarNode):
            return 1
        if id(node) in sizes:
            return sizes[id(node)]
        sizes[id(node)] = MOST_VALUES + 1  # what a node that holds itself finds
        parts: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                    if key.value in seen:
                        raise SettingsError(
                            f"{path}, line {key.start_mark.line + 1}: the key {key.value!r} is given twice in one "
                            "block; keep one of them."
                        )
                    seen.add(key.value)
                parts += [key, value]
        else:
            parts = list(node.value)
        sizes[id(node)] = 1 + sum(size(part) for part in parts)
        if sizes[id(node)] > MOST_VALUES:
            raise SettingsError(
                f"{path}, line {node.start_mark.line + 1}: this value has over {MOST_VALUES} parts once its aliases "
                "(*name) are written out, or holds itself; write out what is meant."
            )
        return sizes[id(node)]

    size(top)
