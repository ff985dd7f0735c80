"""Stage ``register``: register the packaged bundle as a version in MLflow, with everything that was measured on it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from .core.base.errors import StoreError, run
from .core.store.rest import keep, put_back

RECEIPT = Path("reports/register/receipt.json")


def main() -> None:
    """Register the version and its trainings and write the receipt; add nothing that MLflow already holds."""
    if not put_back("register", print):
        _ask()
        keep("register")


def _ask() -> None:
    # Imported here, because MLflow takes seconds to import and is needed only where something has changed.
    from .core.base.files import write_json
    from .core.drift.versions.settings import History, Register
    from .core.model.segmentation.settings import Segment
    from .core.store.bundle_files import bundle_digest
    from .core.store.client import open_store
    from .core.store.registration import log_series, log_training, register_version
    from .core.store.run_content import collect_run_content, read_trainings

    version_settings = Register.read()
    model, label = version_settings.model, version_settings.label
    if History.read().offline:
        print(f"history.offline is true: {label} was not compared with its priors, so it is not registered.")
        write_json(RECEIPT, {"digest": bundle_digest(), "model": model, "version": None, "aliases": []})
        return
    with tempfile.TemporaryDirectory() as scratch:
        record = collect_run_content(label, Segment.read(), Path(scratch), trial=version_settings.trial)
        store = open_store(model)
        version = register_version(store, record, print)
    for fold, settings, progress in read_trainings():
        try:
            log_training(store, fold, record.digest, settings, progress)
        except StoreError as error:  # the version is registered, and its bundle holds the curves
            print(f"cordrift: warning: the training of fold {fold} is not in MLflow: {error}", file=sys.stderr)
    try:
        log_series(store)
    except StoreError as error:
        print(f"cordrift: warning: the curves over all versions are not in MLflow: {error}", file=sys.stderr)
    aliases = sorted(version.aliases)
    roles = ", ".join(aliases) or ("a trial" if version_settings.trial else "no alias")
    print(f"{model} version {version.number} ({label}, bundle {record.digest[:12]}): {roles}")
    write_json(RECEIPT, {"digest": record.digest, "model": model, "version": str(version.number), "aliases": aliases})


if __name__ == "__main__":
    run(main)
