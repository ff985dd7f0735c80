"""The item of a matrix for which DVC runs a stage, such as the fold of a training.

DVC writes params into the text of a command, which a shell reads: a dataset called ``x; rm -rf ~`` would run. Therefore
the commands of dvc.yaml hold no params. A stage reads its item from the variable in which DVC names the stage.
"""

from __future__ import annotations

import os
import re

from .errors import SettingsError

#: The variable that DVC sets for the command of each stage: ``train@0``, ``segment@phantom-frozen-1``.
VARIABLE = "DVC_STAGE"
_ITEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def matrix_item(stage: str, given: str | None, option: str) -> str:
    """Return the item that an option names, else the one for which DVC runs ``stage``.

    Parameters
    ----------
    stage : name of the stage
    given : what the command line says; None where it says nothing
    option : how the command line says it, for the error

    Raises
    ------
    SettingsError
        Neither names an item, or it is no plain name.
    """
    item = given
    if item is None:
        name, _, item = os.environ.get(VARIABLE, "").partition("@")
        if name != stage or not item:
            raise SettingsError(f"{stage} needs {option}, where DVC does not run it (`dvc repro {stage}@...`).")
    if not _ITEM.fullmatch(item):
        raise SettingsError(f"{stage} cannot run for {item!r}: expected letters, digits, '.', '_' and '-'.")
    return item


def whole_number(text: str, what: str) -> int:
    """Return an item that is a number, from 0; ``what`` it counts, for the error.

    Raises
    ------
    SettingsError
        It is another text.
    """
    if not (text.isascii() and text.isdigit()):
        raise SettingsError(f"{text!r} is not the number of {what}; expected 0, 1, ...")
    return int(text)
