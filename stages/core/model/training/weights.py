"""The weights file: safetensors in which each tensor is stored once, also where the network has several names for it.

nnU-Net's network names a weight up to three times (``encoder.…conv``, ``encoder.…all_modules.0`` and
``decoder.encoder.…``). The file holds one of the names; its metadata maps each other name to that one. Reading gives
all names, so that a digest over names and values does not depend on how often a value is stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from ...base.errors import BundleError

#: Largest weights file that is read, bytes. No network of nnU-Net comes near it.
MOST_BYTES = 4 << 30
#: Key of the metadata that holds the other names of the stored tensors, as JSON.
NAMES = "other_names"

Weights = Mapping[str, NDArray[np.generic]]


def write_weights(path: Path, state: Mapping[str, Any]) -> None:
    """Write the state of a network; names that share memory are stored once.

    Parameters
    ----------
    path : file to write
    state : name -> torch tensor, as ``network.state_dict()`` returns them
    """
    from safetensors.torch import save_file

    first: dict[tuple[int, int, tuple[int, ...]], str] = {}
    other: dict[str, str] = {}
    for name in sorted(state, key=lambda name: (len(name), name)):
        tensor = state[name]
        place = (tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tuple(tensor.shape))
        if place in first and tensor.numel():
            other[name] = first[place]
        else:
            first[place] = name
    kept = {name: state[name].detach().cpu().clone().contiguous() for name in state if name not in other}
    # One entry of metadata: safetensors writes several of them in another order each time.
    save_file(kept, path, metadata={NAMES: json.dumps(other, sort_keys=True)})


def read_weights(path: Path) -> Weights:
    """Read a weights file and return an array for every name of the network.

    Raises
    ------
    BundleError
        The file is missing, too large or not a safetensors file, or its metadata names a tensor that it does not hold.
    """
    if not path.is_file():
        raise BundleError(f"{path} is missing from the bundle.")
    if path.stat().st_size > MOST_BYTES:
        raise BundleError(f"{path} has {path.stat().st_size} bytes; no network of nnU-Net has over {MOST_BYTES}.")
    try:
        with safe_open(path, framework="numpy") as stored:
            weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - it is no dict
            other = json.loads((stored.metadata() or {}).get(NAMES, "{}"))
    except (SafetensorError, ValueError, OSError) as error:
        raise BundleError(f"{path} is not a safetensors file ({error}); nothing of it was loaded.") from error
    if not isinstance(other, dict):
        raise BundleError(f"{path} has metadata whose {NAMES!r} is no table of names; fetch the bundle again.")
    wrong = sorted(name for name, held in other.items() if name in weights or str(held) not in weights)
    if wrong:
        raise BundleError(
            f"{path} says that {wrong[0]} is another name of {other[wrong[0]]}; expected the name of a tensor that the "
            "file holds, and one that is not stored itself. Fetch the bundle again."
        )
    return {**weights, **{name: weights[held] for name, held in other.items()}}
