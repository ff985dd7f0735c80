"""The network of a bundle in torch: built from its plan, with the weights of its folds."""

from __future__ import annotations

import numpy as np
import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from ...base.errors import BundleError
from ..bundle.content import Bundle

#: The weights of one fold by name, as torch loads them.
State = dict[str, torch.Tensor]


def torch_network(bundle: Bundle) -> tuple[torch.nn.Module, list[State]]:
    """Return the network with the weights of the first fold, and the weights of all folds in their order.

    Raises
    ------
    BundleError
        The weights of the bundle do not fit its network.
    """
    plans = PlansManager(bundle.plans)
    configuration = plans.get_configuration(bundle.configuration)
    # The class is on the whitelist, because read_bundle checked the plan.
    network: torch.nn.Module = get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        len(bundle.dataset["channel_names"]),
        plans.get_label_manager(bundle.dataset).num_segmentation_heads,
        allow_init=False,
        deep_supervision=False,
    )
    folds = [
        {name: torch.from_numpy(np.array(array)) for name, array in bundle.folds[fold].items()}
        for fold in sorted(bundle.folds)
    ]
    try:
        network.load_state_dict(folds[0])
    except RuntimeError as error:
        raise BundleError(f"The weights of the bundle do not fit its network: {error}") from error
    if len(configuration.patch_size) == 3:
        # torch declares `to` without this argument
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return network.eval(), folds
