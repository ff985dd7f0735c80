"""Stage ``declare``: by what the packaged bundle will be judged, recorded in MLflow before it is measured."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from .core.base.errors import run
from .core.base.files import write_json
from .core.base.params import load_params
from .core.data.datasets.manifest import frozen_digest, read_manifest
from .core.drift.rule.protocol import FILE, Protocol, items
from .core.measures.morphometry.levels import range_name
from .core.store.bundle_files import bundle_digest
from .core.store.client import open_store
from .core.store.judges import declare


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
