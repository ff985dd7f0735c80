"""Stage ``segment``: one shard of the frozen set through the bundle."""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from stages.core import bundle, volumes
from stages.core.cohort import locate, read_manifest
from stages.core.errors import CordriftError, run
from stages.core.files import whole_folder, write_json
from stages.core.masks import write_description, write_masks
from stages.core.nnunet.inference import Predictor, inference_digest
from stages.core.params import load_params
from stages.core.segmented import EMPTY
from stages.core.shards import check_shards, shard_of


def main() -> None:
    """Segment the participants of the shard named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shard", type=int, required=True)
    shard = parser.parse_args().shard
    params = load_params().segment
    n_shards = check_shards(params.shards)
    model = bundle.read(Path("data/package"))
    series = {"bundle": model.digest, "inference": inference_digest(params)}
    manifests = [read_manifest(Path(f"data/fetch/{name}.json")) for name in params.datasets]
    work = [
        (manifest, case)
        for manifest in manifests
        for case in manifest.case_list()
        if case.contrast in params.contrasts and shard_of(case.participant, n_shards) == shard
    ]
    predict = Predictor(model, params) if work else None
    done = []
    with whole_folder(Path(f"reports/segment/{shard}")) as part:
        write_description(part, model.digest)
        for manifest, case in tqdm(work, desc=f"segment shard {shard}", unit="image"):
            entry: dict[str, object] = {"dataset": case.dataset, "participant": case.participant}
            entry |= {"session": case.session, "contrast": case.contrast, "binary": None, "soft": None}
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
        write_json(part / "manifest.json", {"shard": shard, **series, "cases": done})


if __name__ == "__main__":
    run(main)
