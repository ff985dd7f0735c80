"""Stage ``declare``: record in MLflow by what the packaged bundle will be judged, before it is measured."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .core.base.errors import run
from .core.store.rest import keep, put_back

if TYPE_CHECKING:
    from .core.drift.rule.protocol import Protocol
    from .core.store.client import Store

#: Prefix of the params that hold the declaration, and the names of two further ones beside its items.
DECLARED = "declared."
WHEN, BEFORE = "when", "before_results"


def main() -> None:
    """Write reports/declare/protocol.json with the first declaration of this bundle; later params do not change it."""
    if not put_back("declare", print):
        _ask()
        keep("declare")


def _ask() -> None:
    # Imported here, because MLflow takes seconds to import and is needed only where something has changed.
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

    monitored, version = Monitored.read(), Register.read()
    manifests = [read_manifest(Path(f"data/fetch/{name}.json")) for name in monitored.datasets]
    bundle = bundle_digest()
    fixed = items(Compare.read(), monitored.contrasts, range_name(Measure.read().levels), frozen_digest(manifests))
    if History.read().offline:
        protocol = Protocol(bundle, fixed, "", before_results=False)
    else:
        store, now = open_store(version.model), datetime.now(UTC).isoformat(timespec="seconds")
        if not version.trial:
            store.require_free_label(version.label, bundle)
        protocol = _declare(store, bundle, version.label, fixed, now)
    value = {"bundle": bundle, "items": dict(sorted(protocol.items.items())), "when": protocol.when}
    write_json(Path("reports/declare") / FILE, {**value, "before_results": protocol.before_results})


def _declare(store: Store, bundle: str, label: str, fixed: Mapping[str, str], now: str) -> Protocol:
    """Record a declaration unless the run of the bundle has one already, and return the one that is recorded.

    The declaration is kept in params of the run, because MLflow never changes a param.

    Parameters
    ----------
    bundle : digest of the bundle, 64 hexadecimal digits
    label : name of the run, where it does not exist yet
    fixed : what is declared, by name, as text
    now : ISO time of the declaration
    """
    from .core.drift.rule.protocol import Protocol
    from .core.store.bundle_files import version_identity

    run = store.ensure_run(version_identity(bundle), label)
    if not any(name.startswith(DECLARED) for name in run.params):
        # A version that was registered before declarations existed has results already.
        circumstances = {WHEN: now, BEFORE: "no" if run.metrics else "yes"}
        store.ensure_params(run, {DECLARED + name: value for name, value in {**fixed, **circumstances}.items()})
    found = {name.removeprefix(DECLARED): text for name, text in run.params.items() if name.startswith(DECLARED)}
    when, before = found.pop(WHEN), found.pop(BEFORE)
    return Protocol(bundle, found, when, before == "yes")


if __name__ == "__main__":
    run(main)
