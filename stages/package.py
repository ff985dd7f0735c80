"""Stage ``package``: the trained folds become a bundle, named by its content, and the toolbox's zip."""

from __future__ import annotations

from pathlib import Path

from stages.core import bundle, toolbox
from stages.core.errors import run
from stages.core.files import whole_folder
from stages.core.params import load_params
from stages.core.provenance import code_revision


def main() -> None:
    """Package the folds that params name; folders of other folds are no longer part of the model."""
    folds = load_params().train.folds
    with whole_folder(Path("data/package")) as part:
        trained = {fold: Path(f"data/train/{fold}") for fold in folds}
        bundle.build(trained, Path("data/prepare/manifest.json"), part, code_revision())
        toolbox.write_zip(bundle.read(part), part / "nnunet.zip")


if __name__ == "__main__":
    run(main)
