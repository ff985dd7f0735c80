"""Stage ``history``: copy the measures of the versions that were registered before this one from MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .core.base.errors import run
from .core.store.rest import keep, put_back


def main() -> None:
    """Write reports/history: priors.json, and for each prior version a folder with its tables, by today's ruler."""
    if not put_back("history", print):
        _ask()
        keep("history")


def _ask() -> None:
    # Imported here, because MLflow takes seconds to import and is needed only where something has changed.
    from .core.base.files import whole_folder, write_json
    from .core.drift.versions.settings import History, Register
    from .core.measures.kept_masks.remeasurement import current_ruler
    from .core.measures.morphometry.settings import Measure
    from .core.store.bundle_files import bundle_digest
    from .core.store.client import open_store
    from .core.store.priors import acceptances, fetch_prior, judges_of, left_out, select_priors

    offline, model = History.read().offline, Register.read().model
    rows: list[dict[str, Any]] = []
    gaps: list[str] = []
    aside: list[dict[str, str]] = []
    accepted: list[dict[str, str]] = []
    with whole_folder(Path("reports/history")) as part:
        if offline:
            print("history.offline is true: MLflow was not asked, so there are no priors and nothing can be judged.")
        else:
            store = open_store(model)
            known = store.versions()
            versions, without_digest = select_priors(known, bundle_digest())
            if without_digest:
                print(
                    f"{without_digest} versions of {store.model} carry no digest (not registered by cordrift): ignored."
                )
            ruler = current_ruler(Measure.read(), Path("reports/measure"))
            judges = judges_of(known, bundle_digest())
            gaps, aside = store.gaps(), left_out(known, bundle_digest())
            accepted = acceptances(known, bundle_digest())
            rows = [fetch_prior(store, version, part, ruler, judges) for version in versions]
            for row in rows:
                if row["other_ruler"]:
                    print(f"version {row['version']} keeps the tables of another ruler: {row['other_ruler']}")
        write_json(
            part / "priors.json",
            {
                "offline": offline,
                "model": model,
                "priors": rows,
                "gaps": gaps,
                "left_out": aside,
                "accepted": accepted,
            },
        )


if __name__ == "__main__":
    run(main)
