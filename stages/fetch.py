"""Fetch one dataset of the registry: clone at the pinned commit, get what is selected, verify, write the manifest."""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from stages.core import annex
from stages.core.cohort import CLONES, Manifest, ManifestFile
from stages.core.errors import run
from stages.core.files import write_json
from stages.core.params import load_params
from stages.core.registry import entry, load_registry, pinned, read_frozen
from stages.core.selection import PARTICIPANTS, participants, select

#: Files between two steps of the progress bar.
STEP = 50


def main(argv: list[str] | None = None) -> None:
    """Run the stage for the dataset that the arguments name (default: the command line's)."""
    parser = argparse.ArgumentParser(prog="fetch", description=__doc__)
    parser.add_argument("--dataset", required=True)
    name = parser.parse_args(argv).dataset
    jobs = load_params().fetch.jobs
    dataset = entry(load_registry(), name)
    out, clone = Path("data/fetch") / f"{name}.json", CLONES / name
    out.unlink(missing_ok=True)  # a fetch that fails leaves no manifest, not the one of an earlier commit
    commit = pinned(name, dataset)

    annex.clone(dataset.url, clone, commit, dataset.tag)
    selection = select(name, dataset, read_frozen(), annex.tree(clone))
    keys = annex.keys(clone, selection.files)
    with tqdm(total=len(selection.files), desc=f"fetch {name}", unit="file", disable=None) as progress:
        for start in range(0, len(selection.files), STEP):
            files = selection.files[start : start + STEP]
            annex.get(clone, files, jobs)
            for file in files:
                annex.verify(clone / file, keys[file][0], f"python -m stages.fetch --dataset {name}")
            progress.update(len(files))
    table = (clone / PARTICIPANTS).read_text(encoding="utf-8") if PARTICIPANTS in keys else ""
    manifest = Manifest(
        dataset=name,
        **dataset.model_dump(include={"url", "tag", "role", "licence"}),
        commit=commit,
        files=[ManifestFile(path=file, key=keys[file][0], size=keys[file][1]) for file in selection.files],
        cases=selection.cases,
        participants=participants(selection.cases, table),
        excluded=selection.excluded,
    )
    write_json(out, manifest.model_dump())
    print(f"fetch {name}: {len(manifest.cases)} images, {len(manifest.excluded)} left out (reasons in {out})")


if __name__ == "__main__":
    run(main)
