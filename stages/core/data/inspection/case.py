"""Inspect the files of one case: a row of numbers about its image, and its findings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...base.errors import ImageError
from ...base.files import digest_of
from ...images.fault import Fault, error, warning
from ...images.header import Header, faults_of_grid, faults_of_header, read_header
from ...images.volumes import Volume, grid_difference, read
from ..datasets.findings import Finding
from ..datasets.image_features import IMAGE_FEATURES
from ..datasets.keys import verify
from ..datasets.label import sidecar_of
from ..datasets.manifest import CLONES, SYNTHETIC, Manifest, ManifestRow
from .features import image_features
from .limits import faults_of_limits
from .settings import Check
from .voxels import components, disc_numbers, faults_of_discs, faults_of_image, faults_of_mask, mask_size, voxel_digest

#: Fields of a case with its masks and labels.
LABEL_FIELDS = ("mask", "softmask", "discs")
#: No scanner for people has a stronger field, so that a larger number is in gauss or wrong.
LARGEST_FIELD_T = 30.0


@dataclass(frozen=True)
class Task:
    """One case to inspect.

    Attributes
    ----------
    case : row of the manifest
    keys : path of each of its files, and of the sidecar of its image -> content key
    discs_expected : whether it should have disc labels
    clone : folder of the files
    refetch : command that fetches a damaged file again
    """

    case: ManifestRow
    keys: dict[str, str]
    discs_expected: bool
    clone: Path
    refetch: str

    @property
    def digest(self) -> str:
        """Digest of the names and contents on which the findings depend; code and params are not part of it."""
        return digest_of([self.case.model_dump(), self.keys, self.discs_expected])


def list_tasks(manifest: Manifest, clones: Path = CLONES) -> list[Task]:
    """Return a task for each case of a dataset.

    Disc labels are expected in a contrast for which any participant of the dataset has them.
    """
    labelled = {case.contrast for case in manifest.cases if case.discs}
    refetch = f"python -m stages.fetch --dataset {manifest.dataset}"
    return [
        Task(
            case,
            {name: manifest.keys[name] for name in (*case.files, *_sidecar(case, manifest))},
            case.contrast in labelled,
            clones / manifest.dataset,
            refetch,
        )
        for case in manifest.cases
    ]


def _sidecar(case: ManifestRow, manifest: Manifest) -> list[str]:
    name = sidecar_of(Path(case.image)).as_posix()
    return [name] if name in manifest.keys else []


def inspect(task: Task, params: Check) -> dict[str, Any]:
    """Inspect a case and return ``row``, ``findings`` and ``features``, JSON values with None for an undefined number.

    Raises
    ------
    DatasetError
        A file is not as it was fetched. This is not a finding, because the dataset itself may be right.
    """
    for name, key in task.keys.items():
        verify(task.clone / name, key, task.refetch)
    case = task.case
    row: dict[str, Any] = {**_identity(case), "image": case.image, "image_key": task.keys[case.image], "voxels": ""}
    findings: list[Finding] = []
    header = _inspect_header(task, case.image, params, findings, row)
    volume = _read_volume(task, case.image, findings) if header else None
    if volume is not None:
        row["voxels"] = voxel_digest(volume)
        low, middle, high = np.percentile(volume.data, [1, 50, 99])
        row |= {"intensity_p1": float(low), "intensity_p50": float(middle), "intensity_p99": float(high)}
        findings += _findings(case, case.image, faults_of_image(volume.data, params))
    cord: Volume | None = None
    for kind in LABEL_FIELDS:
        name = getattr(case, kind)
        if name is not None:
            usable = _inspect_label(task, kind, name, header, params, findings, row)
            cord = usable if kind == "mask" else cord
    if case.discs is None and task.discs_expected and case.contrast != SYNTHETIC:
        fault = warning("discs-missing", "comes without disc labels", "labels, as other participants have them")
        findings += _findings(case, case.image, [fault])
    features = _features(volume, cord) | {"field_strength_t": field_strength_t(task)}
    return {
        "row": row,
        "findings": [_json_values(asdict(finding)) for finding in findings],
        "features": _json_values(_identity(case) | features),
    }


def _features(image: Volume | None, cord: Volume | None) -> dict[str, float]:
    if image is None:
        return dict.fromkeys(IMAGE_FEATURES, np.nan)
    fits = cord is not None and not grid_difference(cord, image)
    return image_features(image, cord.data >= 0.5 if cord is not None and fits else None)


def field_strength_t(task: Task) -> float:
    """Return the field strength in tesla that the sidecar of the image states; NaN where it states none."""
    name = sidecar_of(Path(task.case.image)).as_posix()
    if name not in task.keys:
        return float("nan")
    try:
        stated = json.loads((task.clone / name).read_text(encoding="utf-8"))
        value = float(stated["MagneticFieldStrength"])
    except (OSError, ValueError, KeyError, TypeError):
        return float("nan")
    return value if 0 < value < LARGEST_FIELD_T else float("nan")


def _inspect_header(
    task: Task, name: str, params: Check, findings: list[Finding], row: dict[str, Any]
) -> Header | None:
    """Check the header of the image; add its findings and its columns of the row."""
    header, faults = read_header(task.clone / name)
    if header is not None:
        faults += faults_of_header(header, form_mm=params.form_mm) + faults_of_limits(header, params)
        row["shape"] = " ".join(str(n) for n in header.shape)
        row |= {f"spacing_{k}_mm": size for k, size in enumerate(header.spacing_mm)}
        row |= {"orientation": header.orientation, "obliqueness_deg": header.obliqueness_deg}
    findings += _findings(task.case, name, faults)
    return header


def _inspect_label(
    task: Task,
    kind: str,
    name: str,
    image: Header | None,
    params: Check,
    findings: list[Finding],
    row: dict[str, Any],
) -> Volume | None:
    """Check a mask or label file; add its findings and its columns of the row. Return a mask that can be used.

    Parameters
    ----------
    kind, name : one of ``LABEL_FIELDS``, and the path of the file in the clone
    image : header of the image; None where that cannot be read
    params : limits of the checks
    findings, row : lists to which this function adds
    """
    header, faults = read_header(task.clone / name)
    if header is not None and image is not None:
        faults += faults_of_grid(header, image)
    findings += _findings(task.case, name, faults)
    volume = _read_volume(task, name, findings) if header is not None else None
    if volume is None:
        return None
    if kind == "discs":
        findings += _findings(task.case, name, faults_of_discs(volume))
        row["discs"] = " ".join(str(number) for number in disc_numbers(volume))
        return None
    faults = faults_of_mask(volume, params, soft=kind == "softmask")
    if task.case.contrast == SYNTHETIC:  # its images are cropped on purpose
        faults = [fault for fault in faults if fault.check != "mask-border"]
    findings += _findings(task.case, name, faults)
    # Do not record a size for an invalid mask: it would be reported again as an outlier, and it would distort the
    # median to which the other masks are compared.
    if kind == "mask" and all(fault.severity == "warning" for fault in faults):
        row["mask_volume_mm3"], row["mask_length_mm"] = mask_size(volume)
        row["mask_components"] = components(volume.data >= 0.5, params.component_share)
        return volume
    return None


def _read_volume(task: Task, name: str, findings: list[Finding]) -> Volume | None:
    """Read a volume; where its values cannot be used, add a finding and return None."""
    try:
        return read(task.clone / name)
    except ImageError as reason:
        # The message begins with a path of this machine, but findings name paths inside the dataset.
        message = str(reason).removeprefix(str(task.clone / name)).strip().rstrip(".")
        findings += _findings(task.case, name, [error("values", message, "finite values")])
        return None


def _findings(case: ManifestRow, file: str, faults: Iterable[Fault]) -> list[Finding]:
    return [finding(_identity(case), file, fault) for fault in faults]


def finding(identity: dict[str, str], file: str, fault: Fault) -> Finding:
    """Return the finding about a fault of a file; ``identity`` is participant, session and contrast of the case."""
    message = f"{file} {fault.message}; expected {fault.expected}."
    return Finding(
        **identity,
        file=file,
        check=fault.check,
        severity=fault.severity,
        value=fault.value,
        expected=fault.expected,
        message=message,
    )


def _identity(case: ManifestRow) -> dict[str, str]:
    return {"participant": case.participant, "session": case.session, "contrast": case.contrast}


def _json_values(value: dict[str, Any]) -> dict[str, Any]:
    """Replace NaN by None, because JSON has no NaN."""
    return {key: None if isinstance(item, float) and np.isnan(item) else item for key, item in value.items()}
