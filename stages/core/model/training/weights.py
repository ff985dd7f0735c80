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
#: How the weights of a network may be stored; torch trains in F32.
TYPES = ("F16", "F32", "F64")
#: Key of the metadata that holds the other names of the stored tensors, as JSON.
NAMES = "other_names"

Weights = Mapping[str, NDArray[np.generic]]


def write_weights(path: Path, state: Mapping[str, Any]) -> None:
    """Write the state of a network; names that share memory are stored once.

    Parameters
    ----------
    path : file to write
    state : name -> torch tensor, as ``network.state_dict()`` returns them

    Raises
    ------
    BundleError
        A weight is not finite: the training diverged. Nothing is written.
    """
    from safetensors.torch import save_file

    for name in sorted(state):
        if not bool(state[name].isfinite().all()):
            raise BundleError(
                f"the weight {name} is not finite: the training diverged. Lower train.optimiser.learning_rate."
            )

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
        The file is missing, too large or not a safetensors file, or its metadata names a tensor that it does not hold;
        a tensor has another type than :data:`TYPES`, or a value that is not finite, with which every mask is empty.
    """
    if not path.is_file():
        raise BundleError(f"{path} is missing from the bundle.")
    if path.stat().st_size > MOST_BYTES:
        raise BundleError(f"{path} has {path.stat().st_size} bytes; no network of nnU-Net has over {MOST_BYTES}.")
    try:
        with safe_open(path, framework="numpy") as stored:
            names = list(stored.keys())
            for name in names:
                kind = stored.get_slice(name).get_dtype()
                if kind not in TYPES:
                    raise BundleError(
                        f"{path}: the weight {name} has the type {kind}; expected {', '.join(TYPES)}. Save the weights "
                        "in F32, as torch trains them, and package them again."
                    )
            weights = {name: stored.get_tensor(name) for name in names}
            other = json.loads((stored.metadata() or {}).get(NAMES, "{}"))
    except (SafetensorError, ValueError, TypeError, RecursionError, OSError) as error:
        raise BundleError(f"{path} is not a safetensors file ({error}); nothing of it was loaded.") from error
    broken = sorted(name for name, array in weights.items() if not np.isfinite(array).all())
    if broken:
        raise BundleError(
            f"{path}: the weight {broken[0]} is not finite{f' ({len(broken) - 1} more)' if len(broken) > 1 else ''}: "
            "its training diverged, and every mask would be empty. Train it again with a lower learning rate."
        )
    if not isinstance(other, dict):
        raise BundleError(f"{path} has metadata whose {NAMES!r} is no table of names; fetch the bundle again.")
    wrong = sorted(
        name for name, held in other.items() if name in weights or not isinstance(held, str) or held not in weights
    )
    if wrong:
        raise BundleError(
            f"{path} says that {wrong[0]} is another name of {other[wrong[0]]}; expected the name of a tensor that the "
            "file holds, and one that is not stored itself. Fetch the bundle again."
        )
    return {**weights, **{name: weights[held] for name, held in other.items()}}
