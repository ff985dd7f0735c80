"""Editing a YAML file that people wrote, without losing comments, order and quotes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ...base.errors import SettingsError
from ...base.files import whole_file


def edit_yaml(path: Path, change: Callable[[Any], object], check: Callable[[Path], object] | None = None) -> None:
    """Apply ``change`` to the content of a file and write the result, if ``check`` accepts it.

    Parameters
    ----------
    change : changes the content in place
    check : reads the new file and raises an error if it is faulty

    Raises
    ------
    SettingsError
        The file is not valid YAML.
    CordriftError
        ``check`` raised it. The file was not changed then.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    # Write a null as `null`; ruamel.yaml would write an empty value.
    yaml.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    try:
        value = yaml.load(path.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise SettingsError(f"{path} is not valid YAML: {error}.") from error
    change(value)
    with whole_file(path) as part:
        with part.open("w", encoding="utf-8") as stream:
            yaml.dump(value, stream)
        if check is not None:
            check(part)
