"""The zip in nnU-Net's own folder layout, for toolboxes that load such models. It is written here and never read."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict

from ...base.files import whole_file
from ...base.params import Settings
from .content import Bundle

#: Date of every member of the zip: a fixed one, so that the same bundle gives the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


class Shipped(Settings):
    """The inference settings that go with the weights. The other keys of the block ``segment`` are ignored."""

    block: ClassVar = "segment"
    model_config = ConfigDict(extra="ignore")

    step: float
    mirror: bool
    threshold: float
    largest_component: bool


#: Folder of the model in nnU-Net's results. A name that a bundle states is not used as a path.
DATASET = "Dataset001_cord"
#: What stands beside the weights for people; nnU-Net itself reads none of it.
README = """This model is {digest}.

Install:   nnUNetv2_install_pretrained_model_from_zip nnunet.zip
Predict:   nnUNetv2_predict -i IMAGES -o MASKS -d {dataset} -c {configuration} -f {folds} -step_size {step:g}{mirror}

cordrift segments with the settings of inference.json. nnU-Net's own settings are others (a step of 0.5), and give other
areas. These steps are not nnU-Net's; do them yourself, or let `cordrift monitor` do them:
{steps}
"""


def write_toolbox_zip(bundle: Bundle, path: Path, shipped: Shipped | None = None) -> None:
    """Write ``<dataset>/nnUNetTrainer__nnUNetPlans__<configuration>/`` with one ``checkpoint_final.pth`` per fold.

    It is what ``nnUNetv2_install_pretrained_model_from_zip`` installs. The zip of a release also holds the settings
    ``shipped`` with which the model is segmented and measured (``inference.json``), and a ``README.txt`` with the
    commands. The zip of the stage ``package`` does not: these settings may change without another package.

    nnU-Net's checkpoints are pickles: its format demands it. These hold tensors and plain values only, and they name
    nnU-Net's own trainer, so that ``nnUNetv2_predict`` works where cordrift is not installed.
    """
    import torch

    top = f"{DATASET}/nnUNetTrainer__nnUNetPlans__{bundle.configuration}"
    with whole_file(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:

        def add(name: str, content: bytes) -> None:
            entry = zipfile.ZipInfo(f"{top}/{name}", EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)

        add("dataset.json", json.dumps(bundle.dataset, indent=1, sort_keys=True).encode())
        add("plans.json", json.dumps(bundle.plans, indent=1, sort_keys=True).encode())
        if shipped is not None:
            add("inference.json", json.dumps(shipped.model_dump(), indent=1, sort_keys=True).encode())
            add("README.txt", _readme(bundle, shipped).encode())
        for fold, weights in sorted(bundle.folds.items()):
            checkpoint = {
                "network_weights": {name: torch.from_numpy(array.copy()) for name, array in sorted(weights.items())},
                "init_args": {"configuration": bundle.configuration},
                "trainer_name": "nnUNetTrainer",
                "inference_allowed_mirroring_axes": bundle.mirroring,
            }
            stream = io.BytesIO()
            torch.save(checkpoint, stream)
            add(f"fold_{fold}/checkpoint_final.pth", stream.getvalue())


def _readme(bundle: Bundle, shipped: Shipped) -> str:
    steps = ["before: bring each image to RAS+ axes (nibabel.as_closest_canonical)"]
    if shipped.threshold != 0.5:
        steps.append(
            f"after: keep the voxels with a probability of {shipped.threshold:g} or more (-save_probabilities)"
        )
    if shipped.largest_component:
        steps.append("after: keep the largest component only")
    return README.format(
        digest=bundle.digest,
        dataset=DATASET,
        configuration=bundle.configuration,
        folds=" ".join(map(str, sorted(bundle.folds))),
        step=shipped.step,
        mirror="" if shipped.mirror else " --disable_tta",
        steps="\n".join(f"- {step}" for step in steps),
    )
