"""Stage `segment`: segment one shard of a test dataset with the bundle."""

from __future__ import annotations

import argparse
from pathlib import Path

from .core.base.errors import run
from .core.base.files import whole_folder
from .core.base.stage import matrix_item, whole_number
from .core.data.datasets.findings import read_checked
from .core.data.datasets.manifest import read_manifest, require_contrasts
from .core.model.bundle.content import read_bundle
from .core.model.localisation.search import make_search
from .core.model.segmentation.predictor import inference_digest
from .core.model.segmentation.settings import Segment
from .core.model.segmentation.shard import segment_shard
from .core.model.segmentation.shards import check_shards, deal


def main() -> None:
    """Segment the participants of the dataset and shard named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", help="a monitored dataset")
    parser.add_argument("--shard", help="number of the shard, from 0")
    options = parser.parse_args()
    given = None if None in (options.dataset, options.shard) else f"{options.dataset}-{options.shard}"
    name, _, number = matrix_item("segment", given, "--dataset NAME --shard N").rpartition("-")
    shard = whole_number(number, "a shard")
    settings = Segment.read()
    n_shards = check_shards(settings.shards)
    model = read_bundle(Path("data/package"))
    series = {"bundle": model.digest, "inference": inference_digest(settings)}
    manifest = read_manifest(Path(f"data/fetch/{name}.json"))
    if settings.datasets == [name]:  # of several datasets `measure` knows them all
        require_contrasts(settings.contrasts, [manifest])
    checked = read_checked(Path(f"data/check/{name}"), manifest)
    participants = deal((case.participant for case in manifest.cases), n_shards)[shard]
    with whole_folder(Path(f"reports/segment/{name}/{shard}")) as part:
        segment_shard(
            part, shard, participants, manifest, checked, series, settings, lambda: make_search(model, settings)
        )


if __name__ == "__main__":
    run(main)
