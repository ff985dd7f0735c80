"""A release that others measured, registered as a version in MLflow.

Reports show it with a mark. It has no alias, and no version is judged against it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from ..base.errors import StoreError
from ..base.files import write_csv, write_json
from ..drift.statistics.csa_std import csa_std, summarise
from ..measures.published.release_table import CONTRASTS, Imported
from ..tables.monitored import range_csa
from .bundle_files import MEASURES_FILES, SERIES, version_identity
from .client import RegisteredVersion, Store
from .registration import ensure_artifacts
from .run_content import Artifact

#: Tag that marks an imported version.
IMPORTED = "imported"


def import_version(store: Store, release: Imported, source: Path) -> RegisteredVersion:
    """Register a release in MLflow. Importing the same file again changes nothing.

    Parameters
    ----------
    source : the table from which ``release`` was read; it is kept with the version

    Raises
    ------
    StoreError
        A version with this label exists and does not come from this file: a record is never overwritten.
    """
    known = next((v for v in store.versions() if v.tags.get("label") == release.label), None)
    if known is not None and known.tags.get("digest") != release.digest:
        raise StoreError(
            f"{store.model} in MLflow at {store.location.name} has a {release.label} already (version {known.number}, "
            f"digest {known.tags.get('digest', '')[:12]}), which is not from this file; a record is never overwritten."
        )
    run = store.ensure_run(version_identity(release.digest), release.label)
    summary = release.summary()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_csv(folder / "measures.csv", release.measures)
        write_csv(folder / "agreement.csv", release.agreement)
        write_json(folder / "summary.json", summary)
        (folder / "release.csv").write_bytes(source.read_bytes())
        artifacts = [Artifact(f"measures/{n}", folder / n) for n in MEASURES_FILES]
        ensure_artifacts(store, run, [Artifact("imported/release.csv", folder / "release.csv"), *artifacts])
    store.ensure_metrics(run, _metrics(release))
    tags = {"label": release.label, **{key: str(summary[key]) for key in SERIES}}
    note = (
        f"**{release.label}**, imported: CSA of {release.cases} masks as the release published them, measured with "
        f"another ruler. Reports show it beside later versions; no version is judged against it. {release.empty} rows "
        f"were empty, {release.missing} masks had no row."
    )
    names = {"mlflow.runName": release.label, "mlflow.note.content": note}
    store.ensure_tags(run, {**tags, IMPORTED: "yes", **names})
    store.finish(run)
    version = _registered(store, release.digest)
    if version is None:
        # The tag `aliased` keeps the version from ever becoming champion.
        more = {"digest": release.digest, IMPORTED: "yes", "aliased": "yes"}
        store.create_version(run, {**tags, **more}, note.replace("*", ""))
        version = _registered(store, release.digest)
    if version is None:
        raise StoreError(f"MLflow at {store.location.name} did not keep the version {release.label}.")
    return version


def _registered(store: Store, digest: str) -> RegisteredVersion | None:
    return next((version for version in store.versions() if version.tags.get("digest") == digest), None)


def _metrics(release: Imported) -> dict[str, float]:
    csa = range_csa(release.measures, "prediction", release.range)
    spread = summarise(csa_std(csa, [name for name in CONTRASTS if name in set(csa["contrast"])])["csa_std_mm2"])
    error = summarise(release.agreement["csa_error_mm2"])
    return {
        "cases": float(release.cases),
        "csa_std_mean_mm2": spread.mean,
        "csa_std_sd_mm2": spread.sd,
        "csa_std_n": float(spread.n),
        "csa_error_mean_mm2": error.mean,
        "rows_empty": float(release.empty),
        "rows_missing": float(release.missing),
    }
