"""Publish a cohort as an annex dataset in the layout of spine-generic; each revision is a commit with a tag."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from ...base.errors import DatasetError
from ...base.files import digest_of, whole_file
from ...data.clones import annex
from ...data.clones.programs import call
from ...images.volumes import write
from ..acquisition.contrasts import PHANTOM_CONTRASTS
from ..acquisition.grid import View
from ..rendering.randomise import render_synth
from ..rendering.render import Rendering, render_case
from ..rendering.scene import texture_fields
from .cohort import (
    SITES,
    Cohort,
    PhantomParticipant,
    anatomy_of,
    find_cohort,
    find_revision,
    generator_of,
    participants_of,
)

#: Name of a revision, after that of the full one, which lacks the masks of what is new in it.
IMAGES_ONLY = "images"
#: Noise of a spoiled image, in that of its scanner: the cord drowns in it.
SPOILING = 12.0
#: Number to raise when the same participant would get other bytes. All files of a dataset come from one generator.
GENERATOR = "1"


@dataclass(frozen=True)
class Paths:
    """Paths of the files of one case, relative to the dataset; a synthetic case has only ``image`` and ``binary``."""

    image: str
    binary: str
    soft: str = ""
    rater: str = ""
    discs: str = ""
    truth: str = ""

    def all(self) -> list[str]:
        """Return all files of the case, with their JSON sidecars."""
        named = [p for p in (self.image, self.binary, self.soft, self.rater, self.discs) if p]
        return named + [_sidecar(p) for p in named] + ([self.truth] if self.truth else [])


def _sidecar(path: str) -> str:
    return path.removesuffix(".nii.gz") + ".json"


def paths_of(participant: str, contrast: str) -> Paths:
    """Return the paths of the files of one case."""
    if contrast == "synth":
        stem = f"{participant}/anat/{participant}_acq-synth_T1w"
        return Paths(f"{stem}.nii.gz", f"derivatives/labels_softseg_bin/{stem}_desc-softseg_label-SC_seg.nii.gz")
    c = PHANTOM_CONTRASTS[contrast]
    stem = f"{participant}/{c.folder}/{participant}_{c.suffix}"
    warp = "_desc-warp" if c.warped_discs else ""
    return Paths(
        image=f"{stem}.nii.gz",
        binary=f"derivatives/labels_softseg_bin/{stem}_desc-softseg_label-SC_seg.nii.gz",
        soft=f"derivatives/labels_softseg/{stem}_label-SC_softseg.nii.gz",
        rater=f"derivatives/labels/{stem}_label-SC_seg.nii.gz",
        discs=f"derivatives/labels/{stem}_label-discs{warp}_dlabel.nii.gz",
        truth=f"derivatives/phantom/{stem}_csa.csv",
    )


def truth_of(out: Path) -> Path:
    """Return the folder beside a dataset that holds the masks which the dataset lacks, at the paths of the dataset."""
    return out.with_name(f"{out.name}-truth")


def write_participant(out: Path, cohort: str | Cohort, person: PhantomParticipant, truth: Path | None = None) -> int:
    """Render and write the images that a participant lacks, and return their number.

    A case of which all files exist is not rendered again. An interrupted call leaves no half-written file.

    Parameters
    ----------
    out : folder of the dataset
    cohort, person : who is rendered
    truth : folder for masks, discs and true areas of the images that are new; None: they belong into the dataset
    """
    spec = find_cohort(cohort)

    def written(contrast: str) -> bool:
        paths = paths_of(person.participant, contrast)
        own = {paths.image, _sidecar(paths.image)}
        beside = [out, *([truth] if truth and not person.synth else [])]
        return all(any((at / p).is_file() for at in (beside if p not in own else [out])) for p in paths.all())

    missing = [c for c in person.contrasts if not written(c)]
    if not missing:
        return 0
    if person.synth:
        volume = render_synth(generator_of(spec, person.participant, "synth"))
        paths = paths_of(person.participant, "synth")
        _write(
            out,
            paths.image,
            volume.image,
            volume.affine,
            {"Description": "Domain-randomised phantom, for training only"},
        )
        _write(
            out,
            paths.binary,
            volume.mask,
            volume.affine,
            _mask_sidecar("true cord mask of the warped geometry", paths.image),
        )
        return 1
    an = anatomy_of(spec, person)
    fields = texture_fields(an.texture_seed)
    for name in missing:
        rng = generator_of(spec, person.participant, name)
        scanner = SITES[person.site]
        if truth and (person.participant, name) in spec.spoiled:
            scanner = replace(scanner, noise=SPOILING * scanner.noise)
        case = render_case(an, PHANTOM_CONTRASTS[name], scanner, rng, view=spec.view, fields=fields)
        _write_case(out, truth or out, person, name, case)
    return len(missing)


def _write_case(out: Path, beside: Path, person: PhantomParticipant, name: str, case: Rendering) -> None:
    """Write the image of one contrast, ``name``, of a participant into ``out``, and all else into ``beside``."""
    contrast, scanner, paths = PHANTOM_CONTRASTS[name], SITES[person.site], paths_of(person.participant, name)
    p = scanner.protocol(contrast.protocol)
    sidecar: dict[str, Any] = {
        "Manufacturer": scanner.manufacturer, "MagneticFieldStrength": 3,
        "InstitutionName": f"Phantom site {person.site}",
        "RepetitionTime": round(p.tr_ms / 1000, 6), "EchoTime": round(p.te_ms / 1000, 6), "FlipAngle": p.flip_deg,
    }  # fmt: skip
    if p.ti_ms:
        sidecar["InversionTime"] = round(p.ti_ms / 1000, 6)
    if p.ti2_ms:
        sidecar["InversionTime"] = [round(ti / 1000, 6) for ti in (p.ti_ms, p.ti2_ms)]
        sidecar["FlipAngle"] = [p.flip_deg, p.flip2_deg]
    code, affine = contrast.axcodes, case.grid.affine
    _write(out, paths.image, case.image, affine, sidecar, code)
    _write(
        beside,
        paths.binary,
        case.binary,
        affine,
        _mask_sidecar("true occupancy of the cord, >= 0.5", paths.image),
        code,
    )
    _write(beside, paths.soft, case.soft, affine, _mask_sidecar("true occupancy of the cord", paths.image), code)
    _write(beside, paths.rater, case.rater, affine, _mask_sidecar(
        "simulated manual segmentation with this contrast's boundary bias", paths.image), code)  # fmt: skip
    _write(beside, paths.discs, case.discs, affine, _mask_sidecar("value v = disc above vertebra v", paths.image), code)
    with whole_file(beside / paths.truth) as part:
        case.truth.to_csv(part, index=False, float_format="%.6f", lineterminator="\n")


def _mask_sidecar(what: str, source: str) -> dict[str, Any]:
    return {"SpatialReference": "orig", "Description": what, "Sources": [f"bids:raw:{source}"],
            "GeneratedBy": [{"Name": "cordrift phantom", "Version": GENERATOR}]}  # fmt: skip


def _write(out: Path, path: str, data: NDArray[np.generic], affine: NDArray[np.float64], sidecar: dict[str, Any],
           axcodes: str = "RAS") -> None:  # fmt: skip
    """Write a sidecar, and then a canonical array in the storage order ``axcodes``."""
    text = json.dumps(sidecar, indent=1, sort_keys=True) + "\n"
    with whole_file(out / _sidecar(path)) as part:
        part.write_text(text, encoding="utf-8")
    transform = nib.orientations.axcodes2ornt(axcodes)
    back = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), transform)
    stored = np.ascontiguousarray(nib.orientations.apply_orientation(data, back))
    write(out / path, stored, affine @ nib.orientations.inv_ornt_aff(back, data.shape))


def publish(out: Path, cohort: str | Cohort, revision: str, jobs: int, *, masks: bool = True) -> str:
    """Publish the revisions of a cohort up to ``revision`` and return the commit of that revision.

    Revisions that have their tag already are not generated again. An interrupted call can be repeated and continues.

    Parameters
    ----------
    out : folder of the dataset; created where it does not exist
    cohort, revision : names in ``COHORTS``; the cohort can also be an object, as ``order`` returns it
    jobs : number of processes
    masks : False: what is new in ``revision`` comes without masks, as it comes from a scanner. The tag is then
        ``<revision>-images``, and the masks lie in the folder :func:`truth_of`

    Raises
    ------
    SettingsError
        There is no such cohort or revision.
    DatasetError
        The folder holds other files, or a dataset of another cohort or generator.
    """
    spec = find_cohort(cohort)
    find_revision(spec, revision)
    _check_folder(out, spec)
    commit = ""
    for name in spec.revisions:
        whole = masks or name != revision
        tag = name if whole else f"{name}-{IMAGES_ONLY}"
        commit = tagged_commit(out, tag)
        if not whole and not commit and tagged_commit(out, name):
            raise DatasetError(f"{out} has the masks of revision {name} already; name another folder, or delete it.")
        commit = commit or _publish_one(out, spec, name, tag, jobs)
        if name == revision:
            break
    return commit


def _publish_one(out: Path, cohort: Cohort, name: str, tag: str, jobs: int) -> str:
    """Generate revision ``name``, save it in the dataset under ``tag``, and return its commit."""
    if not (out / ".git").exists():
        annex.create(out)
    people = participants_of(cohort, cohort.revisions[name])
    _write_tables(out, cohort, people)
    total = sum(len(p.contrasts) for p in people)
    with tqdm(total=total, unit="volume", desc=f"phantom {cohort.name} {name}") as bar:
        for person in _generate(out, cohort, people, jobs, truth_of(out) if tag != name else None):
            bar.update(len(person.contrasts))
    return annex.save(out, f"Generated cohort {cohort.name}, revision {tag}", tag=tag)


def _generate(
    out: Path, cohort: Cohort, people: list[PhantomParticipant], jobs: int, truth: Path | None
) -> Iterator[PhantomParticipant]:
    """Render all participants and yield each of them when it is written."""
    if jobs <= 1:
        for person in people:
            write_participant(out, cohort, person, truth)
            yield person
        return
    # spawn: a forked copy of a process that has run threads can hang.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(write_participant, out, cohort, person, truth): person for person in people}
        for future in as_completed(futures):
            future.result()
            yield futures[future]


def _describe(cohort: Cohort) -> dict[str, Any]:
    """Return the content of dataset_description.json; its digest of the cohort tells two cohorts apart."""
    described: dict[str, Any] = {"cohort": cohort.name, "seed": cohort.seed, "extent_mm": cohort.view.extent_mm}
    chosen = cohort.frozen_pathologies + cohort.training_pathologies
    if chosen or cohort.view != View(cohort.view.extent_mm):
        described |= {"view": asdict(cohort.view), "pathologies": chosen,
                      "revisions": {name: asdict(revision) for name, revision in cohort.revisions.items()}}  # fmt: skip
    what = "cohort " + digest_of(described)[:12]
    return {
        "Name": f"cordrift phantom ({cohort.name})", "BIDSVersion": "1.9.0", "DatasetType": "raw", "License": "CC0-1.0",
        "GeneratedBy": [{"Name": "cordrift phantom", "Version": GENERATOR, "Description": what}],
    }  # fmt: skip


def _check_folder(out: Path, cohort: Cohort) -> None:
    """Refuse a folder that holds something else than this cohort."""
    if not out.exists() or not any(out.iterdir()):
        return
    description = out / "dataset_description.json"
    if not (out / ".git").exists() and not description.is_file():
        raise DatasetError(f"{out} is not empty and holds no generated cohort; name another folder.")
    if description.is_file() and json.loads(description.read_text(encoding="utf-8")) != _describe(cohort):
        raise DatasetError(f"{out} was generated by another version or for another cohort than {cohort.name!r}; "
                            "delete it or name another folder.")  # fmt: skip


def _write_tables(out: Path, cohort: Cohort, people: list[PhantomParticipant]) -> None:
    """Write dataset_description.json and participants.tsv."""
    with whole_file(out / "dataset_description.json") as part:
        part.write_text(json.dumps(_describe(cohort), indent=1) + "\n", encoding="utf-8")
    rows = [
        {
            "participant_id": p.participant, "sex": p.sex, "age": "n/a" if p.synth else p.age, "pathology": p.pathology,
            "institution_id": p.site if p.synth else f"site{p.site}",
            "institution": "none (randomised)" if p.synth else f"Phantom site {p.site}",
            "manufacturer": "n/a" if p.synth else SITES[p.site].manufacturer,
        }
        for p in sorted(people, key=lambda p: p.participant)
    ]  # fmt: skip
    with whole_file(out / "participants.tsv") as part:
        pd.DataFrame(rows).to_csv(part, sep="\t", index=False, lineterminator="\n")


def tagged_commit(out: Path, name: str) -> str:
    """Return the commit of a tag, ``""`` where there is no such tag or no dataset."""
    if not (out / ".git").exists():
        return ""
    answer = call(["git", "-C", str(out), "rev-parse", "--verify", "--quiet", f"refs/tags/{name}^{{commit}}"])
    return answer.stdout.decode().strip()
