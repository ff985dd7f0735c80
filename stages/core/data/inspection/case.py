"""One case from its files to a row of numbers and its findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...base.errors import CordriftError
from ...base.files import digest_of
from ...images.volumes import GRID_TOLERANCE_MM, Volume, read
from ..datasets.findings import Finding
from ..datasets.keys import verify
from ..datasets.manifest import CLONES, SYNTHETIC, Manifest, ManifestRow
from .fault import Fault, error, warning
from .header import Header, judge_grid, judge_header, read_header
from .settings import Check
from .voxels import components, disc_numbers, judge_discs, judge_image, judge_mask, mask_size, voxel_digest

#: Masks and labels of a case, by the name of the field.
KINDS = ("mask", "softmask", "discs")


@dataclass(frozen=True)
class Work:
    """A case, the files behind it with their content keys, and whether disc labels were promised for its contrast."""

    case: ManifestRow
    keys: dict[str, str]
    discs_expected: bool
    clone: Path
    again: str

    @property
    def digest(self) -> str:
        """What the findings follow from, beside the code and the params: names and contents."""
        return digest_of([self.case.model_dump(), self.keys, self.discs_expected])


def works(manifest: Manifest, clones: Path = CLONES) -> list[Work]:
    """List the cases of a dataset. Disc labels are expected where another participant has them for that contrast."""
    labelled = {case.contrast for case in manifest.cases if case.discs}
    again = f"python -m stages.fetch --dataset {manifest.dataset}"
    return [
        Work(
            case,
            {name: manifest.keys[name] for name in (case.image, case.mask, case.softmask, case.discs) if name},
            case.contrast in labelled,
            clones / manifest.dataset,
            again,
        )
        for case in manifest.cases
    ]


def inspect(work: Work, params: Check) -> dict[str, Any]:
    """Inspect a case; returns ``{"row": ..., "findings": [...]}`` of JSON values, ``None`` for an undefined number.

    Raises
    ------
    CordriftError
        A file is not as it was fetched: that is no fault of the dataset.
    """
    for name, key in work.keys.items():
        verify(work.clone / name, key, work.again)
    case = work.case
    row: dict[str, Any] = {**_identity(case), "image": case.image, "image_key": work.keys[case.image], "voxels": ""}
    findings: list[Finding] = []
    header = _header(work, case.image, params, findings, row)
    volume = _volume(work, case.image, findings) if header else None
    if volume is not None:
        row["voxels"] = voxel_digest(volume)
        low, middle, high = np.percentile(volume.data, [1, 50, 99])
        row |= {"intensity_p1": float(low), "intensity_p50": float(middle), "intensity_p99": float(high)}
        findings += _findings(case, case.image, judge_image(volume.data, params))
    for kind in KINDS:
        name = getattr(case, kind)
        if name is not None:
            _inspect_label(work, kind, name, header, params, findings, row)
    if case.discs is None and work.discs_expected and case.contrast != SYNTHETIC:
        say = warning("discs-missing", "comes without disc labels", "labels, as other participants have them")
        findings += _findings(case, case.image, [say])
    return {"row": row, "findings": [_plain(asdict(finding)) for finding in findings]}


def _header(work: Work, name: str, params: Check, findings: list[Finding], row: dict[str, Any]) -> Header | None:
    header, faults = read_header(work.clone / name)
    if header is not None:
        faults += judge_header(header, params)
        row["shape"] = " ".join(str(n) for n in header.shape)
        row |= {f"spacing_{k}_mm": size for k, size in enumerate(header.spacing_mm)}
        row |= {"orientation": header.orientation, "obliqueness_deg": header.obliqueness_deg}
    findings += _findings(work.case, name, faults)
    return header


def _inspect_label(
    work: Work,
    kind: str,
    name: str,
    image: Header | None,
    params: Check,
    findings: list[Finding],
    row: dict[str, Any],
) -> None:
    header, faults = read_header(work.clone / name)
    if header is not None and image is not None:
        faults += judge_grid(header, image, GRID_TOLERANCE_MM)
    findings += _findings(work.case, name, faults)
    volume = _volume(work, name, findings) if header is not None else None
    if volume is None:
        return
    if kind == "discs":
        findings += _findings(work.case, name, judge_discs(volume))
        row["discs"] = " ".join(str(number) for number in disc_numbers(volume))
        return
    faults = judge_mask(volume, params, soft=kind == "softmask")
    if work.case.contrast == SYNTHETIC:  # a crop on purpose
        faults = [fault for fault in faults if fault.check != "mask-border"]
    findings += _findings(work.case, name, faults)
    # A mask that is none has no size: it would be a second finding as an outlier, and bend what others are held to.
    if kind == "mask" and all(fault.severity == "warning" for fault in faults):
        row["mask_volume_mm3"], row["mask_length_mm"] = mask_size(volume)
        row["mask_components"] = components(volume.data >= 0.5, params.component_share)


def _volume(work: Work, name: str, findings: list[Finding]) -> Volume | None:
    try:
        return read(work.clone / name)
    except CordriftError as reason:
        # The sentence begins with a path of this machine; findings name paths inside the dataset.
        say = str(reason).removeprefix(str(work.clone / name)).strip().rstrip(".")
        findings += _findings(work.case, name, [error("values", say, "finite values")])
        return None


def _findings(case: ManifestRow, file: str, faults: Iterable[Fault]) -> list[Finding]:
    return [finding(_identity(case), file, fault) for fault in faults]


def finding(identity: dict[str, str], file: str, fault: Fault) -> Finding:
    """Put a fault into a sentence about a file of a case."""
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


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(item, float) and np.isnan(item) else item for key, item in value.items()}
