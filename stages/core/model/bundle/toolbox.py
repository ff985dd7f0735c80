"""The zip in nnU-Net's own folder layout, for toolboxes that load such models. It is written here and never read."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from ...base.files import whole_file
from .content import Bundle

#: Date of every member of the zip: a fixed one, so that the same bundle gives the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


def write_toolbox_zip(bundle: Bundle, path: Path) -> None:
    """Write ``nnUNetTrainer__nnUNetPlans__<configuration>/`` with one ``checkpoint_final.pth`` per fold.

    nnU-Net's checkpoints are pickles: its format demands it. These hold tensors and plain values only, and they name
    nnU-Net's own trainer, so that ``nnUNetv2_predict`` works where cordrift is not installed.
    """
    import torch

    top = f"nnUNetTrainer__nnUNetPlans__{bundle.configuration}"
    with whole_file(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:

        def add(name: str, content: bytes) -> None:
            entry = zipfile.ZipInfo(f"{top}/{name}", EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)

        add("dataset.json", json.dumps(bundle.dataset, indent=1, sort_keys=True).encode())
        add("plans.json", json.dumps(bundle.plans, indent=1, sort_keys=True).encode())
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
