"""The prediction of a bundle for one volume, by nnU-Net's predictor and without files in between."""

from __future__ import annotations

import contextlib
import copy
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
from ..bundle.localiser import localiser_digest
from .settings import Segment
from .tiles import Mask, box_of, following_tiles, on_grid_of

#: Soft values below this are left over from resampling. They are written as 0, because they would move a centroid.
DUST = 0.002
#: Width of the soft border that is kept outside the 0.5 surface of the largest component, voxels of the plan's grid.
BORDER = 2

#: Most voxels of a volume on the plan's grid: at four bytes each, image and two outputs of the network take 4.8 GB.
MOST_VOXELS = 400_000_000

#: Logit of the background where there is certainly no cord; that of the cord is the same with the other sign.
CERTAIN = 20.0

#: A function that gives the probability of cord, in [0, 1], on the grid of a volume.
Predict = Callable[[Volume], NDArray[np.float32]]


def inference_digest(settings: Segment) -> str:
    """Return the digest of the inference settings that decide the output. It is one of the two names of a series."""
    return digest_of(
        {
            **({"localiser": localiser_digest()} if settings.coarse_to_fine else {}),
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
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        if settings.device == "cuda" and not torch.cuda.is_available():
            raise SettingsError(
                "segment.device is cuda, and torch finds no GPU here (`cordrift doctor` says which build it is); set "
                "it to cpu, or segment on a machine with a GPU and its driver."
            )
        torch.set_num_threads(settings.threads)
        self.settings = settings
        self.plans = PlansManager(bundle.plans)
        self.name = bundle.configuration
        self.configuration = self.plans.get_configuration(self.name)
        unchanged = copy.deepcopy(bundle.plans)
        unchanged["configurations"][self.name]["normalization_schemes"] = ["NoNormalization"]
        self.normalised = PlansManager(unchanged)
        self.dataset = bundle.dataset
        self.regions = bundle.regions
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
            self.predictor = _predictor_class()(
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

    def _check_size(self, shape: tuple[int, ...], spacing_mm: tuple[float, float, float]) -> None:
        """Refuse a volume, or a box of one, that would fill the memory on the plan's grid, before it is resampled.

        Raises
        ------
        ImageError
            It has over :data:`MOST_VOXELS` voxels there.
        """
        x, y, z = (size * mm for size, mm in zip(shape, spacing_mm, strict=True))
        extents_mm = [(z, y, x)[axis] for axis in self.plans.transpose_forward]
        spacing = self.configuration.spacing
        # The plan of a 2D network has no spacing along the first axis, along which nothing is resampled.
        per_axis = [extent / mm for extent, mm in zip(extents_mm[-len(spacing) :], spacing, strict=True)]
        voxels = math.prod(per_axis) * (1 if len(spacing) == 3 else max(shape))
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
        cord: NDArray[np.float32] = self.each(volume)[0]
        return cord

    def each(self, volume: Volume) -> NDArray[np.float32]:
        """Return the probabilities of all regions of the bundle, (r, nx, ny, nz), the cord first."""
        return _rounded(self._segment(volume.data, volume, self.plans, None))

    def each_within(self, volume: Volume, near: Mask) -> NDArray[np.float32]:
        """Return what :meth:`each` returns, with the network computed near a place only; elsewhere it is 0.

        Intensities are normalised by the statistics of the whole volume, as nnU-Net does it. Memory grows with the box
        around the region.

        Parameters
        ----------
        volume : the whole volume
        near : (nx, ny, nz) the place
        """
        soft = np.zeros((len(self.regions), *volume.data.shape), np.float32)
        filled = volume.data != 0
        if not filled.any():
            return soft
        whole = box_of(filled, (0, 0, 0))  # nnU-Net leaves out what is 0 around the image
        near = near & _only(whole, near.shape)
        if not near.any():
            return soft
        values = volume.data[whole]
        mean, sd = values.mean(), max(float(values.std()), 1e-8)
        reach_mm = [
            0.5 * n * mm for n, mm in zip(self.configuration.patch_size, self.configuration.spacing, strict=True)
        ]
        reach_mm = [reach_mm[self.plans.transpose_forward.index(axis)] for axis in (2, 1, 0)]
        x, y, z = (math.ceil(reach / mm) for reach, mm in zip(reach_mm, volume.spacing_mm, strict=True))
        x_box, y_box, z_box = (
            slice(max(a.start, b.start), min(a.stop, b.stop))
            for a, b in zip(box_of(near, (x, y, z)), whole, strict=True)
        )
        box = (x_box, y_box, z_box)
        data = (volume.data[box] - mean) / np.float32(sd)
        soft[:, *box] = self._segment(data, volume, self.normalised, near[box])
        return _rounded(soft)

    def _segment(self, data: NDArray[Any], volume: Volume, plans: Any, near: Mask | None) -> NDArray[np.float32]:
        """Return the probabilities (r, nx, ny, nz) on the grid of ``data`` (nx, ny, nz), a part of a volume or all."""
        self._check_size(data.shape, volume.spacing_mm)
        extended = [(0, more) for more in self._missing_voxels(data.shape, volume.spacing_mm)]
        data_shape, data = data.shape, np.pad(data, extended, mode="edge")
        near = None if near is None else np.pad(near, extended, mode="edge")
        import torch
        from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
        from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor

        # nnU-Net changes the thread count of the process and leaves it changed when a volume fails.
        torch.set_num_threads(self.settings.threads)
        x, y, z = volume.spacing_mm
        configuration = plans.get_configuration(self.name)
        properties: dict[str, object] = {"spacing": [z, y, x]}
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            prepared, _, properties = DefaultPreprocessor(verbose=False).run_case_npy(
                data.transpose(2, 1, 0)[None],
                None,
                properties,
                plans,
                configuration,
                self.dataset,
            )
            turned = None if near is None else near.transpose(2, 1, 0).transpose(plans.transpose_forward)
            self.predictor.near = None if turned is None else on_grid_of(turned, prepared.shape[1:])
            logits = self.predictor.predict_logits_from_preprocessed_data(torch.from_numpy(np.asarray(prepared)))
            logits = logits.float().cpu()
            alone = len(self.regions) == 1
            if near is not None:
                where = logits[0].isnan().numpy()  # where no tile was
                logits = torch.from_numpy(_nothing(logits.numpy(), where, alone=alone))
            if self.settings.largest_component:
                logits = torch.from_numpy(_keep_largest(logits.numpy(), alone=alone))
            _, probabilities = convert_predicted_logits_to_segmentation_with_correct_shape(
                logits,
                plans,
                configuration,
                plans.get_label_manager(self.dataset),
                properties,
                return_probabilities=True,
                num_threads_torch=self.settings.threads,
            )
        # The background has an output of its own where the cord is the only region.
        soft = np.asarray(probabilities[-len(self.regions) :], dtype=np.float32).transpose(0, 3, 2, 1)
        return soft[:, *(slice(n) for n in data_shape)]

    def _missing_voxels(self, shape: tuple[int, ...], spacing_mm: tuple[float, float, float]) -> list[int]:
        """Return how many voxels x, y and z lack to be as long as one voxel of the plan; nnU-Net would make none of it.

        So a single thin slice is segmented as if its neighbours looked like it.
        """
        spacing = [np.inf] * (3 - len(self.configuration.spacing)) + list(self.configuration.spacing)
        wanted = [spacing[self.plans.transpose_forward.index(axis)] for axis in (2, 1, 0)]
        return [
            math.ceil(want / have) - n if want < np.inf and n * have < want else 0
            for n, have, want in zip(shape, spacing_mm, wanted, strict=True)
        ]


def _rounded(soft: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return three decimals: enough for a CSA to 0.01 %, and masks that compress to a tenth."""
    soft = np.round(soft, 3)
    soft[soft < DUST] = 0.0
    return np.ascontiguousarray(soft)


def _only(box: tuple[slice, slice, slice], shape: tuple[int, ...]) -> Mask:
    inside = np.zeros(shape, bool)
    inside[box] = True
    return inside


def _predictor_class() -> Any:
    """Return nnU-Net's predictor with tiles that follow the region ``near`` (z, y, x), where one is set."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    class Following(nnUNetPredictor):  # type: ignore[misc]
        near: Mask | None = None

        def _internal_get_sliding_window_slicers(self, image_size: tuple[int, ...]) -> list[tuple[slice, ...]]:
            if self.near is None:
                whole: list[tuple[slice, ...]] = super()._internal_get_sliding_window_slicers(image_size)
                return whole
            patch = tuple(self.configuration_manager.patch_size)
            missing = [have - n for have, n in zip(image_size, self.near.shape, strict=True)]
            # nnU-Net puts an image that is smaller than a tile into the middle of it.
            near = np.pad(self.near, [(n // 2, n - n // 2) for n in missing])
            starts = following_tiles(near, patch, self.tile_step_size)
            return [(slice(None), *(slice(a, a + n) for a, n in zip(at, patch, strict=True))) for at in starts]

    return Following


def _keep_largest(logits: NDArray[np.float32], *, alone: bool) -> NDArray[np.float32]:
    """Return logits (c, z, y, x) in which all but the cord's largest component and its soft border is nothing.

    Parameters
    ----------
    logits : of background and cord, or of cord and other regions
    alone : whether the cord is the only region
    """
    inside = logits[1] > logits[0] if alone else logits[0] > 0
    components, count = ndimage.label(inside, structure=np.ones((3, 3, 3)))
    if count < 2:
        keep = inside
    else:
        sizes = np.bincount(components.ravel())
        sizes[0] = 0
        keep = components == int(sizes.argmax())
    # the border must not reach into another component
    keep = ndimage.binary_dilation(keep, iterations=BORDER) & (keep | ~inside)
    return _nothing(logits, ~keep, alone=alone)


def _nothing(logits: NDArray[np.float32], where: Mask, *, alone: bool) -> NDArray[np.float32]:
    """Return logits (c, z, y, x) by which there is certainly no region in some voxels (z, y, x)."""
    out = logits.copy()
    out[:, where] = -CERTAIN
    if alone:
        out[0][where] = CERTAIN
    return out
