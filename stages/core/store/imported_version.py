"""A release that others measured, as a version in MLflow: shown with its mark, without aliases, judging nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ..base.errors import CordriftError
from ..base.files import write_csv, write_json
from ..drift.statistics.csa_std import csa_std, summarise
from ..measures.cohort.published_tables import CONTRASTS, Imported
from ..tables.monitored import range_csa
from .bundle_files import version_identity
from .client import RegisteredVersion, Store
from .record import Artifact
from .registration import ensure_artifacts

#: Tag of a version that was imported.
IMPORTED = "imported"


def import_version(store: Store, release: Imported, source: Path) -> RegisteredVersion:
    """Bring a release into MLflow; the same file again changes nothing.

    Raises
    ------
    CordriftError
        A version of that name is there, of another origin: a record is never overwritten.
    """
    known = next((v for v in store.versions() if v.tags.get("label") == release.label), None)
    if known is not None and known.tags.get("digest") != release.digest:
        raise CordriftError(
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
        artifacts = [Artifact(f"measures/{n}", folder / n) for n in ("measures.csv", "agreement.csv", "summary.json")]
        ensure_artifacts(store, run, [Artifact("imported/release.csv", folder / "release.csv"), *artifacts])
    store.ensure_metrics(run, _metrics(release))
    tags = {"label": release.label, **{key: str(summary[key]) for key in ("inference", "ruler", "frozen")}}
    note = (
        f"**{release.label}**, imported: CSA of {release.cases} masks as the release published them, measured with "
        f"another ruler. Shown beside later versions; it judges nothing. {release.empty} rows were empty, "
        f"{release.missing} masks had none."
    )
    names = {"mlflow.runName": release.label, "mlflow.note.content": note}
    store.ensure_tags(run, {**tags, IMPORTED: "yes", **names})
    store.finish(run)
    found = _find(store, release.digest)
    if found is None:
        # `aliased`: it never takes part in who is champion
        more = {"digest": release.digest, IMPORTED: "yes", "aliased": "yes"}
        store.create_version(run, {**tags, **more}, note.replace("*", ""))
        found = _find(store, release.digest)
    if found is None:
        raise CordriftError(f"MLflow at {store.location.name} did not keep the version {release.label}.")
    return found


def _find(store: Store, digest: str) -> RegisteredVersion | None:
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
