"""A plain BIDS folder becomes a DataLad dataset of its own. The folder is only read."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...base.errors import CordriftError
from ...base.files import sha256_of, whole_folder
from . import annex
from .programs import git


def adopt(folder: Path, out: Path, tag: str) -> str:
    """Copy a plain folder to ``out``, make an annex dataset of the copy and tag it; returns the commit.

    A dataset that is there already with this tag is left as it is.

    Raises
    ------
    CordriftError
        ``folder`` is no folder, or ``out`` is something else.
    """
    if not folder.is_dir():
        raise CordriftError(f"{folder} is not a folder; expected one in BIDS layout.")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if (out / ".git").exists():
        for path in files:
            copy = out / path.relative_to(folder)
            if not copy.is_file() or sha256_of(copy) != sha256_of(path):
                raise CordriftError(f"{out} was made of other files than {folder} ({path.name}); delete it first.")
        return git(out, ["rev-list", "-n", "1", tag], f"{out} is a dataset without the tag {tag!r}").strip()
    if out.exists():
        raise CordriftError(f"{out} exists and is no dataset; name another folder.")
    with whole_folder(out) as part:
        for path in files:
            copy = part / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)  # without its mode: a source that is read-only stays no obstacle
        annex.create(part)
        return annex.save(part, f"Adopted from {folder.name}", tag=tag)
