"""Stage `package`: make a bundle, named by its content, and the zip for nnU-Net's toolbox from the trained folds."""

from __future__ import annotations

from pathlib import Path

from .core.base.errors import run
from .core.base.files import whole_folder, write_json
from .core.model.bundle.content import BACKENDS, build_bundle, read_bundle
from .core.model.bundle.revision import code_revision
from .core.model.bundle.toolbox import write_toolbox_zip
from .core.model.segmentation.backends import compare_backends
from .core.model.training.settings import Train
from .core.phantom.rendering.example import example_volume


def main() -> None:
    """Package the folds that params name; other folders of folds are not part of the model."""
    settings = Train.read()
    with whole_folder(Path("data/package")) as part:
        trained = {fold: Path(f"data/train/{fold}") for fold in settings.folds}
        build_bundle(trained, Path("data/prepare/manifest.json"), part, code_revision())
        bundle = read_bundle(part)
        write_toolbox_zip(bundle, part / "nnunet.zip")
        write_json(part / BACKENDS, compare_backends(bundle, example_volume(), settings.threads))


if __name__ == "__main__":
    run(main)
