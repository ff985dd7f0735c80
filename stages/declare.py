"""Stage ``declare``: record in MLflow by what the packaged bundle will be judged, before it is measured."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from .core.base.errors import run
from .core.base.files import write_json
from .core.data.datasets.manifest import frozen_digest, read_manifest
from .core.data.datasets.settings import Monitored
from .core.drift.rule.protocol import FILE, Protocol, items
from .core.drift.rule.settings import Compare
from .core.drift.versions.settings import History, Register
from .core.measures.morphometry.levels import range_name
from .core.measures.morphometry.settings import Measure
from .core.store.bundle_files import bundle_digest
from .core.store.client import open_store
from .core.store.declaration import declare


def main() -> None:
    """Write reports/declare/protocol.json with the first declaration of this bundle; later params do not change it."""
    monitored, version = Monitored.read(), Register.read()
    manifests = [read_manifest(Path(f"data/fetch/{name}.json")) for name in monitored.datasets]
    bundle = bundle_digest()
    fixed = items(Compare.read(), monitored.contrasts, range_name(Measure.read().levels), frozen_digest(manifests))
    if History.read().offline:
        protocol = Protocol(bundle, fixed, "", before_results=False)
    else:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        protocol = declare(open_store(version.model), bundle, version.label, fixed, now)
    value = {"bundle": bundle, "items": dict(sorted(protocol.items.items())), "when": protocol.when}
    write_json(Path("reports/declare") / FILE, {**value, "before_results": protocol.before_results})


if __name__ == "__main__":
    run(main)
