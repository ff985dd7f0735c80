"""Prepare the training data: choose cases, check for leaks, split by participant, and write nnU-Net's raw layout."""

from __future__ import annotations

import os
from pathlib import Path

from .core.base.errors import DatasetError, run
from .core.base.files import whole_folder, write_json
from .core.base.inventory import write_inventory
from .core.data.datasets.findings import read_checked
from .core.data.datasets.manifest import Manifest, locate, read_manifest
from .core.data.datasets.registry import FROZEN, PERSONS, read_frozen, read_persons
from .core.data.datasets.settings import Monitored, check_blocks
from .core.data.trainset.cases import (
    check_leak,
    check_persons,
    check_roles,
    choose_images,
    describe,
    make_folds,
    read_labels,
)
from .core.data.trainset.raw import PREPARATION, RawImage, write_raw
from .core.data.trainset.settings import Prepare
from .core.model.lineage.training import told_folds

FETCHED = Path("data/fetch")
CHECKED = Path("data/check")
OUT = Path("data/prepare")


def read(name: str) -> Manifest:
    """Read the manifest of one dataset and make sure that it is of that dataset."""
    manifest = read_manifest(FETCHED / f"{name}.json")
    if manifest.dataset != name:
        raise DatasetError(
            f"{FETCHED / name}.json is the manifest of {manifest.dataset!r}, not of {name!r}; run "
            f"`dvc repro fetch@{name}`."
        )
    return manifest


def main() -> None:
    """Run the stage."""
    check_blocks()
    settings, monitored = Prepare.read(), Monitored.read()
    training = [read(name) for name in sorted(set(settings.datasets))]
    test = [read(name) for name in sorted(set(monitored.datasets))]
    known = {manifest.dataset for manifest in (*training, *test)}
    stale = [path for path in FETCHED.glob("*.json") if path.stem not in known]
    check_roles(training, test)
    checked = {manifest.dataset: read_checked(CHECKED / manifest.dataset, manifest) for manifest in (*training, *test)}
    frozen, persons = read_frozen(FROZEN), read_persons(PERSONS)
    cases, left_out = choose_images(training, checked, frozen, settings.contrasts)
    cases = read_labels(cases, training, settings.max_unreviewed)
    check_persons(cases, frozen, persons)
    check_leak(cases, test, checked)
    folds = make_folds(cases, persons, folds=settings.folds, seed=settings.seed)

    by_name = {manifest.dataset: manifest for manifest in training}
    located = [
        RawImage(
            case.name,
            locate(by_name[case.case.dataset], case.case.image),
            locate(by_name[case.case.dataset], case.mask),
        )
        for case in cases
    ]
    with whole_folder(OUT) as part:
        write_raw(part / "raw", located, processes=min(2, os.cpu_count() or 1))
        manifest = describe(training, cases, left_out, folds, PREPARATION)
        write_json(part / "manifest.json", manifest)
        write_inventory(part)
    print(f"prepare: {len(cases)} cases, {len(left_out)} left out, {len(stale)} manifests of other datasets ignored")
    print("\n".join(f"prepare: {told}" for told in told_folds(manifest)))


if __name__ == "__main__":
    run(main)
