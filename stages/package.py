"""Stage `package`: make a bundle, named by its content, and the zip for nnU-Net's toolbox from the trained folds."""

from __future__ import annotations

from pathlib import Path

from .core.base.errors import run
from .core.base.files import whole_folder
from .core.model.bundle.content import build_bundle, read_bundle
from .core.model.bundle.revision import code_revision
from .core.model.bundle.toolbox import write_toolbox_zip
from .core.model.training.settings import Train


def main() -> None:
    """Package the folds that params name; other folders of folds are not part of the model."""
    folds = Train.read().folds
    with whole_folder(Path("data/package")) as part:
        trained = {fold: Path(f"data/train/{fold}") for fold in folds}
        build_bundle(trained, Path("data/prepare/manifest.json"), part, code_revision())
        write_toolbox_zip(read_bundle(part), part / "nnunet.zip")


if __name__ == "__main__":
    run(main)
