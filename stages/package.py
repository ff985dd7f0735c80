"""Stage ``package``: the trained folds become a bundle, named by its content, and the toolbox's zip."""

from __future__ import annotations

from pathlib import Path

from .core.base.errors import run
from .core.base.files import whole_folder
from .core.model.bundle import content as bundle
from .core.model.bundle import toolbox
from .core.model.bundle.revision import code_revision
from .core.model.training.settings import Train


def main() -> None:
    """Package the folds that params name; folders of other folds are no longer part of the model."""
    folds = Train.read().folds
    with whole_folder(Path("data/package")) as part:
        trained = {fold: Path(f"data/train/{fold}") for fold in folds}
        bundle.build(trained, Path("data/prepare/manifest.json"), part, code_revision())
        toolbox.write_zip(bundle.read(part), part / "nnunet.zip")


if __name__ == "__main__":
    run(main)
