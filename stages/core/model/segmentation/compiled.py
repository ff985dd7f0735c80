"""The network of a bundle compiled by OpenVINO, which on a CPU is about three times as fast as torch.

Torch traces the network once. What comes of it is kept in the user's cache under the digest of the bundle, because
tracing takes seconds and every shard is a process of its own. This is the only module that imports OpenVINO.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.jit._trace import TracerWarning

# `import openvino` alone reports to a statistics service on the internet. Without this package it cannot.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
import openvino  # noqa: E402 - after the line above
from openvino.frontend import FrontEndManager  # noqa: E402
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # noqa: E402

from ...base.errors import BundleError, CordriftError  # noqa: E402
from ...base.files import digest_of, read_json, sha256_of, whole_folder, write_json  # noqa: E402
from ..bundle.content import Bundle  # noqa: E402
from .network import torch_network  # noqa: E402

#: Lists the files of a kept network with their SHA-256.
INVENTORY = "files.json"
#: Networks that are kept. The weights of one take up to some hundred megabytes a fold.
MOST = 5
#: Largest difference of a logit that rounding explains, as a part of the largest logit of a patch.
MOST_WRONG = 1e-3
ADVICE = "Set segment.backend to torch (`cordrift segment --backend torch`)."


class CompiledNetwork(torch.nn.Module):
    """The compiled folds of a bundle behind the interface that nnU-Net's predictor knows."""

    def __init__(self, folds: list[Any]) -> None:
        super().__init__()
        self.folds = folds
        self.fold = folds[0]

    def load_state_dict(self, fold: int) -> None:  # type: ignore[override]
        """Choose the fold with this place in the list, where torch would load its weights."""
        self.fold = self.folds[fold]

    def forward(self, patch: torch.Tensor) -> torch.Tensor:
        """Return the logits (1, labels, ...) of a patch (1, 1, ...)."""
        return torch.from_numpy(self.fold(patch.contiguous().numpy())[0])


def compiled_network(bundle: Bundle, threads: int) -> CompiledNetwork:
    """Compile the folds of a bundle in single precision, as torch computes: half would move the CSA.

    Parameters
    ----------
    bundle : a bundle that was read and verified
    threads : of the CPU

    Raises
    ------
    BundleError
        The weights of the bundle do not fit its network, or OpenVINO does not compute what torch computes.
    """
    kept = _kept(digest_of([bundle.digest, openvino.__version__, torch.__version__]))
    files = _read(kept, len(bundle.folds)) if kept else []
    if files:
        core = openvino.Core()
        return CompiledNetwork([_compile(core.read_model(*pair), threads) for pair in files])
    models = _convert(bundle)
    if kept:
        _keep(kept, models)
    return CompiledNetwork([_compile(model, threads) for model in models])


def _compile(model: Any, threads: int) -> Any:
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    return openvino.Core().compile_model(model, "CPU", settings)


def _kept(name: str) -> Path | None:
    """Return the folder of a kept network, below ``XDG_CACHE_HOME`` or ``~/.cache``; None for a user without a home."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return base / "cordrift" / "openvino" / name


def _read(kept: Path, folds: int) -> list[tuple[bytes, bytes]]:
    """Return the two files of each fold; nothing where they are absent or not as they were written."""
    try:
        named = read_json(kept / INVENTORY)["files"]
        content = {name: (kept / name).read_bytes() for name in named}
        if any(hashlib.sha256(content[name]).hexdigest() != named[name] for name in named):
            return []
        os.utime(kept)  # it was used
        return [(content[f"fold_{fold}.xml"], content[f"fold_{fold}.bin"]) for fold in range(folds)]
    except (CordriftError, OSError, KeyError, TypeError):
        return []


def _convert(bundle: Bundle) -> list[Any]:
    """Convert the folds of a bundle to models of OpenVINO, each of which must give the logits that torch gives.

    Raises
    ------
    BundleError
        OpenVINO cannot convert the network, or computes something else than torch.
    """
    network, folds = torch_network(bundle)
    shape = [1, 1, *bundle.plans["configurations"][bundle.configuration]["patch_size"]]
    patch = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    frontend = FrontEndManager().load_by_framework("pytorch")
    models = []
    for fold, weights in enumerate(folds):
        network.load_state_dict(weights)
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore", TracerWarning)  # it does not know that all patches have one size
            expected = network(patch)
            traced = TorchScriptPythonDecoder(network, example_input=patch)  # must live until it was converted
        try:
            # `openvino.convert_model` would do the same, and report it.
            model = frontend.convert(frontend.load(traced))
        except RuntimeError as error:
            raise BundleError(f"OpenVINO cannot convert fold {fold} of the bundle: {error}. {ADVICE}") from error
        model.reshape(shape)
        found = CompiledNetwork([_compile(model, torch.get_num_threads())])(patch)
        wrong, largest = float((found - expected).abs().max()), float(expected.abs().max())
        if not wrong <= MOST_WRONG * largest:
            raise BundleError(
                f"OpenVINO {openvino.__version__.partition('-')[0]} gives other logits than torch for fold {fold} of "
                f"the bundle: they differ by up to {wrong:.2g}, expected at most {MOST_WRONG} of the largest, "
                f"{largest:.2g}. {ADVICE}"
            )
        models.append(model)
    return models


def _keep(kept: Path, models: list[Any]) -> None:
    """Keep converted folds, and of the others the last ones that were used; on a full disk nothing is kept."""
    with contextlib.suppress(OSError):
        with whole_folder(kept) as part:
            for fold, model in enumerate(models):
                openvino.serialize(model, str(part / f"fold_{fold}.xml"), str(part / f"fold_{fold}.bin"))
            write_json(part / INVENTORY, {"files": {file.name: sha256_of(file) for file in sorted(part.iterdir())}})
        others = (path for path in kept.parent.iterdir() if (path / INVENTORY).is_file() and path != kept)
        for old in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[MOST - 1 :]:
            shutil.rmtree(old)
