"""Stage ``declare``: by what the packaged bundle will be judged, recorded in MLflow before it is measured."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from stages.core.cohort import frozen_digest, read_manifest
from stages.core.errors import run
from stages.core.files import write_json
from stages.core.morphometry.levels import range_name
from stages.core.params import load_params
from stages.core.protocol import FILE, Protocol, items
from stages.core.store.client import open_store
from stages.core.store.declaration import declare
from stages.core.store.packaged import bundle_digest


def main() -> None:
    """Write reports/declare/protocol.json: the first declaration of this bundle, whatever params say later."""
    params = load_params()
    manifests = [read_manifest(Path(f"data/fetch/{name}.json")) for name in params.segment.datasets]
    bundle = bundle_digest()
    fixed = items(params.compare, params.segment.contrasts, range_name(params.measure.levels), frozen_digest(manifests))
    if params.history.offline:
        protocol = Protocol(bundle, fixed, "", before_results=False)
    else:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        protocol = declare(open_store(params.registration.model), bundle, params.registration.label, fixed, now)
    value = {"bundle": bundle, "items": dict(sorted(protocol.items.items())), "when": protocol.when}
    write_json(Path("reports/declare") / FILE, {**value, "before_results": protocol.before_results})


if __name__ == "__main__":
    run(main)
