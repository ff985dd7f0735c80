"""The prediction of a bundle for one volume, by nnU-Net's predictor and without files in between."""

from __future__ import annotations

import contextlib
import io
import math
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...base.errors import ImageError, SettingsError
from ...base.files import digest_of
from ...images.volumes import Volume
from ..bundle.content import Bundle
from .settings import Segment

#: Soft values below this are left over from resampling. They are written as 0, because they would move a centroid.
DUST = 0.002
#: Width of the soft border that is kept outside the 0.5 surface of the largest component, voxels of the plan's grid.
BORDER = 2

#: Most voxels of a volume on the plan's grid: at four bytes each, image and two outputs of the network take 4.8 GB.
MOST_VOXELS = 400_000_000

#: A function that gives the probability of cord, in [0, 1], on the grid of a volume.
Predict = Callable[[Volume], NDArray[np.float32]]


def inference_digest(settings: Segment) -> str:
    """Return the digest of the inference settings that decide the output. It is one of the two names of a series."""
    return digest_of(
        {
            # nnU-Net computes in half precision on a GPU, which gives another series
            "backend": f"torch-{settings.device}-channels-last" if settings.backend == "torch" else "openvino-cpu-f32",
            "dust": DUST,
            "border": BORDER,
            **settings.model_dump(include={"step", "mirror", "threshold", "largest_component"}),
        }
    )


class Predictor:
    """Segment volumes with one bundle. Make it once: importing nnU-Net takes seconds.

    Raises
    ------
    SettingsError
        The settings ask for a GPU, and there is none.
    BundleError
        The weights of the bundle do not fit its network.
    """

    def __init__(self, bundle: Bundle, settings: Segment) -> None:
        # Threads that wait actively would take the core from the thread that works.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        os.environ.setdefault("nnUNet_compile", "false")
        os.environ.setdefault("nnUNet_def_n_proc", str(settings.threads))
        import torch
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        if settings.device == "cuda" and not torch.cuda.is_available():
            raise SettingsError(
                "segment.device is cuda, and torch finds no GPU here (`cordrift doctor` says which build it is); set "
                "it to cpu, or segment on a machine with a GPU and its driver."
            )
        torch.set_num_threads(settings.threads)
        self.settings = settings
        self.plans = PlansManager(bundle.plans)
        self.configuration = self.plans.get_configuration(bundle.configuration)
        self.dataset = bundle.dataset
        network: Any
        folds: Sequence[Any]
        if settings.backend == "openvino":
            try:
                from .compiled import compiled_network
            except ModuleNotFoundError as error:
                raise SettingsError(
                    f"segment.backend is openvino, and {error.name} is not installed; `pip install "
                    "'cordrift[segment]'` adds it (in the checkout: `make setup`), or set segment.backend to torch."
                ) from error

            network, folds = compiled_network(bundle, settings.threads), range(len(bundle.folds))
        else:
            from .network import torch_network

            network, folds = torch_network(bundle)
        device = torch.device(settings.device)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints a remark for every device but a GPU
            self.predictor = nnUNetPredictor(
                tile_step_size=settings.step,
                use_gaussian=True,
                use_mirroring=settings.mirror and bundle.mirroring is not None,
                perform_everything_on_device=settings.device == "cuda",
                device=device,
                verbose=False,
                allow_tqdm=False,
            )
        self.predictor.manual_initialization(
            network.to(device), self.plans, self.configuration, folds, bundle.dataset, "CordTrainer", bundle.mirroring
        )

    def _check_size(self, volume: Volume) -> None:
        """Refuse a volume that would fill the memory on the grid of the plan, before nnU-Net resamples it.

        Raises
        ------
        ImageError
            It has over :data:`MOST_VOXELS` voxels there.
        """
        x, y, z = (size * mm for size, mm in zip(volume.data.shape, volume.spacing_mm, strict=True))
        extents_mm = [(z, y, x)[axis] for axis in self.plans.transpose_forward]
        spacing = self.configuration.spacing
        # The plan of a 2D network has no spacing along the first axis, along which nothing is resampled.
        per_axis = [extent / mm for extent, mm in zip(extents_mm[-len(spacing) :], spacing, strict=True)]
        voxels = math.prod(per_axis) * (1 if len(spacing) == 3 else max(volume.data.shape))
        if voxels > MOST_VOXELS:
            raise ImageError(
                f"the volume of {x:.0f} x {y:.0f} x {z:.0f} mm would have {voxels:.2g} voxels on the grid of the plan "
                f"({', '.join(f'{mm:g}' for mm in spacing)} mm), more than {MOST_VOXELS:.0e}; crop it, or use a bundle "
                "with a coarser grid."
            )

    def __call__(self, volume: Volume) -> NDArray[np.float32]:
        """Return the probability of cord, in [0, 1], on the volume's own grid (x, y, z); all 0 when no cord was found.

        Where the settings say so, only the largest component is kept. Components are searched on the plan's grid, on
        which thick slices are connected.
        """
        import torch
        from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
        from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor

        # nnU-Net changes the thread count of the process and leaves it changed when a volume fails.
        torch.set_num_threads(self.settings.threads)
        self._check_size(volume)
        x, y, z = volume.spacing_mm
        properties: dict[str, object] = {"spacing": [z, y, x]}
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            data, _, properties = DefaultPreprocessor(verbose=False).run_case_npy(
                volume.data.transpose(2, 1, 0)[None],
                None,
                properties,
                self.plans,
                self.configuration,
                self.dataset,
            )
            logits = self.predictor.predict_logits_from_preprocessed_data(torch.from_numpy(np.asarray(data)))
            logits = logits.float().cpu()
            if self.settings.largest_component:
                logits = torch.from_numpy(_keep_largest(logits.numpy()))
            _, probabilities = convert_predicted_logits_to_segmentation_with_correct_shape(
                logits,
                self.plans,
                self.configuration,
                self.plans.get_label_manager(self.dataset),
                properties,
                return_probabilities=True,
                num_threads_torch=self.settings.threads,
            )
        soft = np.asarray(probabilities[1], dtype=np.float32).transpose(2, 1, 0)
        # Three decimals: enough for a CSA to 0.01 %, and masks that compress to a tenth.
        soft = np.round(soft, 3)
        soft[soft < DUST] = 0.0
        return np.ascontiguousarray(soft)


def _keep_largest(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return logits (2, z, y, x) in which all but the largest component and its soft border is certain background."""
    inside = logits[1] > logits[0]
    components, count = ndimage.label(inside, structure=np.ones((3, 3, 3)))
    if count < 2:
        keep = inside
    else:
        sizes = np.bincount(components.ravel())
        sizes[0] = 0
        keep = components == int(sizes.argmax())
    # the border must not reach into another component
    keep = ndimage.binary_dilation(keep, iterations=BORDER) & (keep | ~inside)
    out = logits.copy()
    out[0][~keep] = 20.0
    out[1][~keep] = -20.0
    return out
