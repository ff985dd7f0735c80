"""Make a DataLad dataset from a copy of a plain BIDS folder. The folder itself is only read."""

from __future__ import annotations

import shutil
from pathlib import Path

from ...base.errors import DatasetError
from ...base.files import sha256_of, whole_folder
from . import annex
from .programs import git


def adopt(folder: Path, out: Path, tag: str) -> str:
    """Copy a plain folder to ``out``, make the copy an annex dataset with a tag, and return the commit.

    A dataset that was made from the same files before, with this tag, is not changed.

    Raises
    ------
    DatasetError
        ``folder`` is no folder, is a dataset already or holds a link to nowhere, or ``out`` is no dataset of these
        files with this tag.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder; expected one in BIDS layout.")
    if (folder / ".git").exists():
        raise DatasetError(
            f"{folder} is a dataset already (it has .git); register it by its address: an entry with `url: {folder}` "
            "in data/datasets.yaml (docs/datasets.md), then `cordrift pin`."
        )
    dangling = [path for path in sorted(folder.rglob("*")) if path.is_symlink() and not path.exists()]
    if dangling:
        raise DatasetError(
            f"{dangling[0]} is a link to {dangling[0].readlink()}, which is not there ({len(dangling)} such links "
            f"in {folder}); fetch its content or mount its disk, or remove the link, so that no image is lost unseen."
        )
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if (out / ".git").exists():
        for path in files:
            copy = out / path.relative_to(folder)
            if not copy.is_file() or sha256_of(copy) != sha256_of(path):
                raise DatasetError(f"{out} was made of other files than {folder} ({path.name}); delete it first.")
        return git(out, ["rev-list", "-n", "1", tag], f"{out} is a dataset without the tag {tag!r}").strip()
    if out.exists():
        raise DatasetError(f"{out} exists and is no dataset; name another folder.")
    with whole_folder(out) as part:
        for path in files:
            copy = part / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)  # not with its mode: a read-only copy could not be changed
        annex.create(part)
        return annex.save(part, f"Adopted from {folder.name}", tag=tag)
