"""Stage ``segment``: one shard of a test dataset through the bundle."""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from .core.base.errors import CordriftError, run
from .core.base.files import whole_folder, write_json
from .core.base.params import load_params
from .core.data.datasets.findings import read_checked
from .core.data.datasets.manifest import locate, read_manifest
from .core.images import volumes
from .core.model.bundle import content as bundle
from .core.model.segmentation.masks import write_description, write_masks
from .core.model.segmentation.predictions import EMPTY, STOPPED
from .core.model.segmentation.predictor import Predictor, inference_digest
from .core.model.segmentation.shards import check_shards, deal


def main() -> None:
    """Segment the participants of the dataset and shard named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--shard", type=int, required=True)
    options = parser.parse_args()
    name, shard = options.dataset, options.shard
    params = load_params().segment
    n_shards = check_shards(params.shards)
    model = bundle.read(Path("data/package"))
    series = {"bundle": model.digest, "inference": inference_digest(params)}
    manifest = read_manifest(Path(f"data/fetch/{name}.json"))
    checked = read_checked(Path(f"data/check/{name}"), manifest)
    people = deal((case.participant for case in manifest.cases), n_shards)[shard]
    work = [case for case in manifest.case_list() if case.contrast in params.contrasts and case.participant in people]
    predict = Predictor(model, params) if work else None
    done = []
    with whole_folder(Path(f"reports/segment/{name}/{shard}")) as part:
        write_description(part, model.digest)
        for case in tqdm(work, desc=f"segment {name}, shard {shard}", unit="image"):
            entry: dict[str, object] = {"dataset": case.dataset, "participant": case.participant}
            entry |= {"session": case.session, "contrast": case.contrast, "binary": None, "soft": None}
            entry["warnings"] = checked.warnings(case)
            if errors := checked.errors(case):
                done.append({**entry, "status": "failed", "reason": STOPPED + errors[0]})
                continue
            image = locate(manifest, case.image)  # a clone that is not as fetched stops the shard
            try:
                soft = predict(volumes.read(image)) if predict else None
            except CordriftError as error:  # one bad image is one failure, not the loss of the shard
                done.append({**entry, "status": "failed", "reason": str(error)})
                continue
            if soft is None or not (soft >= params.threshold).any():
                done.append({**entry, "status": "failed", "reason": EMPTY})
                continue
            paths = write_masks(part, case, image, soft, params.threshold, series)
            done.append({**entry, **paths, "status": "ok", "reason": ""})
        write_json(part / "manifest.json", {"dataset": name, "shard": shard, **series, "cases": done})


if __name__ == "__main__":
    run(main)
