"""Segment images of any folder one after the other: a bad image costs no other one, and a second run does the rest."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...base.errors import ImageError, SettingsError
from ...base.files import sha256_of, whole_file
from ...data.datasets.label import sidecar_of
from ...data.inspection.plain import LIMITS, inspect_files
from ...images.fault import Fault
from ...images.volumes import Volume, read
from ..segmentation.found import LOCALISER_CHECK, Found, Searching
from ..segmentation.hardware import peak_memory_mb
from ..segmentation.masks import CORD, DESCRIPTION, LABELS, mask_paths, write_description, write_masks
from ..spread.cluster import NONE, spread
from ..spread.steps import Once, Steps

#: What may lie beside the masks: the table of measures, the page, and the pictures on it. A second run replaces them.
TABLE, PAGE, FIGURES = "measures.csv", "index.html", "figures"
#: What the validator of BIDS shall not judge: the field keeps the image's own name before ``_label-SC_seg``, where BIDS
#: has ``sub-01_label-SC_dseg``; and table, page and pictures of the command.
NOT_OF_BIDS = (
    *(f"*_label-{label}_{kind}.*" for label in LABELS.values() for kind in ("seg", "probseg")),
    TABLE,
    PAGE,
    FIGURES,
)


@dataclass(frozen=True)
class Segmented:
    """What became of one image.

    Attributes
    ----------
    image : the file
    masks : ``binary``, and ``soft`` where it is asked for, and those of other regions: where they are, or would be if
        the image had not failed
    kept : whether an earlier run had made the masks
    empty : whether no cord was found; the mask is all 0 then
    problem : why the image failed; ``""`` when it did not
    warnings : what `check` warns of, a sentence each; of an image that was segmented now
    doubts : what speaks against the mask, a sentence each; also of a mask that an earlier run made
    checks : names of the checks that warn of the image; ``localiser`` where there are doubts
    """

    image: Path
    masks: dict[str, Path]
    kept: bool = False
    empty: bool = False
    problem: str = ""
    warnings: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()

    @property
    def lack(self) -> str:
        """Why there is no mask of a cord; ``""`` where there is one."""
        return self.problem or (f"{self.image}: no cord was found; its mask is empty." if self.empty else "")


@dataclass(frozen=True)
class Job:
    """What is the same for all images.

    Attributes
    ----------
    folder : where the masks go
    series : digests ``bundle`` and ``inference``
    threshold : voxels with at least this probability belong to the binary mask, in (0, 1)
    soft : whether soft masks are written too
    force : whether masks of another model or of another image are replaced
    regions : what the bundle finds, the cord first
    scheduler, threads : see :func:`~stages.core.model.spread.cluster.spread`
    """

    folder: Path
    series: dict[str, str]
    threshold: float
    soft: bool
    force: bool
    regions: Sequence[str] = (CORD,)
    scheduler: str = NONE
    threads: int = 1


def segment_images(
    images: Sequence[Path], stems: Sequence[str], job: Job, make_search: Callable[[], Searching]
) -> list[Segmented]:
    """Segment images, and write their masks with sidecars. What `check` calls an error of an image stops this image.

    Parameters
    ----------
    images : NIfTI files
    stems : the paths of their masks in the folder, without ending
    job : what is the same for all
    make_search : returns the function that segments a volume; called once in a process, when it is first needed

    Raises
    ------
    SettingsError
        The folder holds another dataset, whose files would be replaced; or see ``spread``.
    """
    search = Once(make_search)
    _refuse_foreign(job.folder)
    write_description(job.folder, job.series["bundle"])
    with whole_file(job.folder / ".bidsignore") as part:
        part.write_text("".join(f"{pattern}\n" for pattern in NOT_OF_BIDS), encoding="utf-8")

    def predict(_: _Task, loaded: _Loaded | Segmented) -> _Computed | Segmented:
        if isinstance(loaded, Segmented):
            return loaded
        try:
            segment = search()
            begin = time.monotonic()
            found = segment(loaded.volume)
            return _Computed(loaded, found, time.monotonic() - begin)
        except (ImageError, OSError) as error:
            return loaded.task.failed(error)

    tasks = []
    for image, stem in zip(images, stems, strict=True):
        names = mask_paths(stem, job.regions).items()
        masks = {kind: job.folder / name for kind, name in names if kind.endswith("binary") or job.soft}
        tasks.append(_Task(image, stem, masks, job))
    steps = Steps(_load, predict, _write, _Task.lost)
    results = spread(tasks, steps, job.scheduler, threads=job.threads, folder=job.folder)
    return list(tqdm(results, desc="segment", total=len(tasks), unit="image", disable=None))


@dataclass(frozen=True)
class _Task:
    image: Path
    stem: str
    masks: dict[str, Path]
    job: Job

    def failed(self, error: ImageError | OSError) -> Segmented:
        """Say why there is no mask; an OSError is one of the machine, such as a full disk."""
        why = str(error) if isinstance(error, ImageError) else f"{self.image}: {error.strerror or error}."
        return Segmented(self.image, self.masks, problem=why)

    def lost(self, why: str) -> Segmented:
        """Say why there is no mask, of an image whose process died."""
        return Segmented(self.image, self.masks, problem=f"{self.image}: {why}.")


@dataclass(frozen=True)
class _Loaded:
    """An image that is to be segmented: its voxels, which masks are missing, what `check` warns of, its SHA-256."""

    task: _Task
    volume: Volume
    missing: list[str]
    warnings: list[Fault]
    sha256: str


@dataclass(frozen=True)
class _Computed:
    """An image with what was found in it, and the seconds that it took."""

    loaded: _Loaded
    found: Found
    seconds: float


def _load(task: _Task) -> _Loaded | Segmented:
    try:
        missing = _missing(task.image, task.masks, task.job)
        if not missing:
            said = _json(sidecar_of(task.masks["binary"]))
            doubts, checks = _doubts(task.image, said)
            empty = not said.get("CordFound", True)
            return Segmented(task.image, task.masks, kept=True, empty=empty, doubts=doubts, checks=checks)
        volume = read(task.image)
        faults = next(iter(inspect_files([task.image], LIMITS)))[1]
        for fault in faults:
            if fault.severity == "error":
                raise ImageError(f"{task.image} {fault.message}; expected {fault.expected} (check {fault.check}).")
        return _Loaded(task, volume, missing, faults, sha256_of(task.image))
    except (ImageError, OSError) as error:
        return task.failed(error)


def _write(task: _Task, computed: _Computed | Segmented) -> Segmented:
    if isinstance(computed, Segmented):
        return computed
    loaded, found, job, image = computed.loaded, computed.found, task.job, task.image
    empty = not bool((found.soft >= job.threshold).any())
    origin = {"Sources": [str(image)], "SourceSHA256": loaded.sha256, "CordFound": not empty, **job.series}
    origin["CheckWarnings"] = [fault.check for fault in loaded.warnings]
    origin |= {"Seconds": round(computed.seconds, 2), "ShareComputed": round(found.share, 4)}
    origin["PeakMemoryMB"] = peak_memory_mb()
    origin |= found.doubts
    try:
        write_masks(job.folder, task.stem, image, found.regions, job.threshold, origin, loaded.missing)
    except (ImageError, OSError) as error:
        return task.failed(error)
    said = [f"{image} {one.message}; expected {one.expected} (check {one.check})." for one in loaded.warnings]
    doubts, checks = _doubts(image, origin)
    return Segmented(image, task.masks, empty=empty, warnings=tuple(said), doubts=doubts, checks=checks)


def _doubts(image: Path, sidecar: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what speaks against a mask by its sidecar, a sentence each, and the checks that warn of the image."""
    said = []
    if sidecar.get("WholeImageSearched"):
        said.append(f"{image}: {sidecar['WholeImageSearched']}; the whole image was segmented. Look at its mask.")
    if sidecar.get("Doubt"):
        said.append(f"{image}: {sidecar['Doubt']}. Look at its mask.")
    checks = sidecar.get("CheckWarnings")
    names = [str(name) for name in checks] if isinstance(checks, list) else []
    return tuple(said), (*names, *([LOCALISER_CHECK] if said else []))


def _missing(image: Path, masks: dict[str, Path], job: Job) -> list[str]:
    """Return which masks of an image an earlier run with this model and these settings has not made.

    Raises
    ------
    ImageError
        There are other masks in their place, which nobody asked to replace.
    """
    there = {kind: path for kind, path in masks.items() if path.exists()}
    asked = {**job.series, "SourceSHA256": sha256_of(image)} if there else {}
    for kind, path in there.items():
        said = _json(sidecar_of(path))
        wanted = asked | ({"Threshold": job.threshold} if kind.endswith("binary") else {})
        # The sidecar is written before the mask, and the mask under a temporary name: a mask that is there is whole.
        if any(said.get(key) != value for key, value in wanted.items()):
            if job.force:
                return list(masks)
            raise ImageError(
                f"{path} exists, and is of another model, other settings or another image than {image}, or made by "
                "hand; add --force to replace it, or write into another folder (-o)."
            )
    return [kind for kind in masks if kind not in there]


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder with files of others under the names of ours, such as the dataset of the images."""
    ours = [one.get("Name") for one in _json(folder / DESCRIPTION).get("GeneratedBy", []) if isinstance(one, dict)]
    there = [name for name in (DESCRIPTION, ".bidsignore", TABLE, PAGE) if (folder / name).exists()]
    if there and "cordrift" not in ours:
        raise SettingsError(
            f"{folder} holds a {there[0]} that cordrift did not write, which would be replaced; write the masks into a "
            "folder of their own (-o)."
        )


def _json(path: Path) -> dict[str, Any]:
    """Return a JSON object; an empty one where there is none that can be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
