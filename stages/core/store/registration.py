"""Registering a version in MLflow. After an interruption at any point, registering again completes the rest."""

from __future__ import annotations

import contextlib
import getpass
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

from ..base.errors import StoreError
from ..base.files import digest_of, write_json
from ..drift.versions.version import CHAMPION, JUDGES, holder
from .bundle_files import JUDGED, version_identity
from .client import INDEX, TRIAL, RegisteredVersion, Run, Store
from .run_content import Artifact, RunContent

#: Aliases of the first version of a model, of a later version that passed the gate, and of one that did not pass. Only
#: a person moves the anchor. (MLflow reserves names such as `latest` and `v2`.)
FIRST_ALIASES = JUDGES
PASSED_ALIASES = (CHAMPION,)
LATER_ALIASES = ("candidate",)
#: Metrics that are shown as curves over the versions.
CURVES = ("csa_std_mean_mm2", "bias_to_champion_mm2", "dice_mean", "csa_error_mean_mm2", "failures")
#: Value of the tag `artifacts` while artifacts are being written.
INCOMPLETE = "incomplete"


def register_version(store: Store, record: RunContent, say: Callable[[str], None]) -> RegisteredVersion:
    """Bring MLflow to the state in which it holds ``record``; write nothing where it holds the record already.

    The version is created after its run and artifacts, so that every version is complete. A bundle that was judged
    before and is now segmented with other inference settings keeps its first record, because the next version must be
    compared with the numbers that were released. ``say`` receives a line about this case.

    Raises
    ------
    StoreError
        ``record`` lacks a shard, and the record in MLflow does not.
    """
    judged = next(
        (v for v in store.versions() if v.tags.get("digest") == record.digest and v.tags.get("aliased")), None
    )
    if judged is not None and record.lost:
        raise StoreError(
            f"{record.label} (bundle {record.digest[:12]}) was judged on the complete frozen set before, and "
            "a shard is missing now; nothing is replaced. Run the shard's job again."
        )
    if judged is not None and judged.tags.get("inference", "") != record.series["inference"]:
        say(
            f"{record.label} (bundle {record.digest[:12]}) was judged with other inference settings "
            f"({judged.tags.get('inference', '')[:12]}, now {record.series['inference'][:12]}): its record in MLflow "
            f"stays, and the new numbers are under reports/ alone. The next version is compared with what stays."
        )
        return judged
    if judged is not None and record.trial:
        say(f"{record.label} (bundle {record.digest[:12]}) is a version already: register.trial changes nothing of it.")
        record = replace(record, trial=False)
    run = store.ensure_run(version_identity(record.digest), record.label)
    store.ensure_params(run, record.params)
    store.ensure_metrics(run, record.metrics)
    # MLflow takes at most 36 characters as the digest of a dataset; a commit has 40.
    store.ensure_inputs(run, [(one.name, one.commit[:12], one.url, one.context) for one in record.inputs])
    ensure_artifacts(store, run, record.artifacts)
    store.ensure_tags(run, {key: value for key, value in _origin(record.code).items() if key not in run.tags})
    tags = {"label": record.label, TRIAL: "yes" if record.trial else "no", **record.series}
    verdict = {"drift": record.verdict.drift, "quality": record.verdict.quality}
    store.ensure_tags(run, {**tags, **verdict, "mlflow.runName": record.name, "mlflow.note.content": record.note})
    store.finish(run)
    return _ensure_version(store, run, {"digest": record.digest, **tags}, record, say)


def _origin(code: str) -> dict[str, str]:
    """Return MLflow's own tags of where a run comes from: program, commit of the code, and user."""
    found = {"mlflow.source.name": "cordrift", "mlflow.source.type": "PROJECT"}
    commit = code.partition("+")[2].removesuffix("-dirty")
    if commit:
        found["mlflow.source.git.commit"] = commit
    with contextlib.suppress(OSError, KeyError):  # a user without a name, as in some containers
        found["mlflow.user"] = getpass.getuser()
    return found


def ensure_artifacts(store: Store, run: Run, artifacts: Sequence[Artifact]) -> None:
    """Log artifacts that are missing or differ, delete those that are not listed any more, and write the index last."""
    before, index = run.tags.get("cordrift.artifacts"), store.read_index(run)
    kept = {artifact.path: index[artifact.path] for artifact in artifacts if artifact.once and artifact.path in index}
    wanted = {artifact.path: artifact.digest() for artifact in artifacts} | kept
    state = digest_of(wanted)
    if before == state and index == wanted:
        return
    # After an interruption some files may be newer than the index, so that all of them are written again.
    logged = kept if before == INCOMPLETE else index
    store.ensure_tags(run, {"artifacts": INCOMPLETE})
    with tempfile.TemporaryDirectory() as folder:
        for artifact in artifacts:
            if logged.get(artifact.path) != wanted[artifact.path]:
                store.upload(run, artifact.file(Path(folder)), artifact.path)
        for path in sorted(set(index) - set(wanted)):
            store.remove(run, path)
        write_json(Path(folder) / INDEX, {"files": wanted})
        store.upload(run, Path(folder) / INDEX, INDEX)
    store.ensure_tags(run, {"artifacts": state})


def _ensure_version(
    store: Store, run: Run, tags: Mapping[str, str], record: RunContent, say: Callable[[str], None]
) -> RegisteredVersion:
    versions = store.versions()
    version = next((known for known in versions if known.tags.get("digest") == tags["digest"]), None)
    if version is None:
        made = store.create_version(run, tags)
        versions = store.versions()
        version = next(known for known in versions if known.tags.get("digest") == tags["digest"])
        if version.number != made:
            # Two registrations ran at a time. Both of them keep the version with the lower number.
            store.delete_version(made)
            versions = [known for known in versions if known.number != made]
    if version.run_id != run.run_id:
        if not store.is_active(version.run_id):
            raise StoreError(
                f"Version {version.number} of {store.model} is of the bundle {tags['digest'][:12]}, but its run "
                f"{version.run_id} is gone from MLflow at {store.location.name}. Delete that version there (page "
                "Models), then run `dvc repro register` again."
            )
        store.discard(run)
        say(
            f"{record.label} (bundle {record.digest[:12]}) is registered by somebody else at the same time, as version "
            f"{version.number} of {store.model}. That version stays; should its registration have been interrupted, "
            "`dvc repro register` completes it."
        )
        return version
    store.ensure_version_tags(version, tags)
    if record.trial:
        store.ensure_version_tags(version, {"drift": record.verdict.drift, "quality": record.verdict.quality})
        store.describe(version, f"{record.label}, a trial: {record.summary}")
        return version
    # Give aliases only once, so that an alias that a person moved stays there, and only when no shard is missing.
    if version.tags.get("aliased") != "yes" and not record.lost:
        first = version.number == next(
            known.number
            for known in versions
            if known.number == version.number or not (known.tags.get("imported") or known.left_out)
        )
        named = sorted({digest[:12] for digest in record.judged.values() if digest})
        blind = first and not record.verdict.passed
        orphan = first and (bool(named) or bool(store.gaps()) or blind)
        if first and named:
            # An earlier version judged this one and is gone: nobody accepted this one in its place.
            say(
                f"{record.label} (bundle {record.digest[:12]}) was judged by {', '.join(named)}, which {store.model} "
                "does not hold: it becomes neither champion nor anchor. Register that version again, or, where it is "
                f"lost, accept this one: `cordrift promote {record.digest[:12]} --reason ...`."
            )
        elif blind and not store.gaps():
            say(
                f"{record.label} (bundle {record.digest[:12]}) is the first version of {store.model} and did not pass "
                f"({'; '.join(record.verdict.reasons)}): it becomes neither champion nor anchor until somebody accepts "
                f"it: `cordrift promote {record.digest[:12]} --reason ...`."
            )
        elif orphan:
            say(
                f"{record.label} (bundle {record.digest[:12]}) is the first version that {store.model} holds, but not "
                f"the first that there was ({'; '.join(store.gaps())}): it becomes neither champion nor anchor until "
                f"somebody accepts it: `cordrift promote {record.digest[:12]} --reason ...`."
            )
        taken = {alias for known in versions for alias in known.aliases}
        passed = record.verdict.passed and not _overtaken(versions, record) and not orphan
        later = PASSED_ALIASES if passed else LATER_ALIASES
        # Write verdict and judges before the alias: after an interruption the version would else judge itself.
        verdict = {"drift": record.verdict.drift, "quality": record.verdict.quality}
        store.ensure_version_tags(version, {**verdict, **record.judged})
        store.describe(version, f"{record.label}: {record.summary}")
        for alias in FIRST_ALIASES if first and not orphan else later:
            if not first or orphan or alias not in taken:
                store.set_alias(alias, version.number)
        store.ensure_version_tags(version, {"aliased": "yes"})
        return next(known for known in store.versions() if known.number == version.number)
    return version


def _overtaken(versions: Sequence[RegisteredVersion], record: RunContent) -> bool:
    """Tell whether the present champion is another version than the champion that judged this one."""
    champion = holder(CHAMPION, versions)
    digest = champion.tags.get("digest", "") if champion else ""
    return digest not in {record.digest, record.judged.get(JUDGED + CHAMPION, "")}


def log_training(
    store: Store,
    fold: int,
    digest: str,
    params: Mapping[str, str],
    progress: Sequence[Mapping[str, float]],
) -> None:
    """Log the training of one fold as a run of its own, below the run of its version.

    Parameters
    ----------
    fold : number of the fold
    digest : of the bundle of which the fold is part; with ``fold`` it names the run
    params : settings of the training
    progress : one row for each epoch: ``epoch``, ``seconds`` (of this epoch), and further numbers, one curve each

    Raises
    ------
    StoreError
        MLflow does not answer. The curves are not lost: the bundle holds them in ``progress.csv``.
    """
    ends_ms = list(accumulate(round(row["seconds"] * 1000) for row in progress))
    run = store.ensure_run({"kind": "training", "digest": digest, "fold": str(fold)}, f"fold {fold} of {digest[:12]}")
    parent = store.find_run(version_identity(digest))
    if parent is not None:
        store.ensure_tags(run, {"mlflow.parentRunId": parent.run_id})
    store.ensure_params(run, {"fold": str(fold), **params})
    # NaN is a gap in a curve and is not logged.
    points = [
        (key, float(value), run.start_ms + end_ms, int(row["epoch"]))
        for row, end_ms in zip(progress, ends_ms, strict=True)
        for key, value in sorted(row.items())
        if key not in ("epoch", "schema") and value == value
    ]
    state = digest_of([[key, value, step] for key, value, _, step in points])
    if run.tags.get("cordrift.progress") != state:
        store.log_points(run, points)
        store.ensure_tags(run, {"progress": state})
    store.finish(run, run.start_ms + (ends_ms[-1] if ends_ms else 0))


def log_series(store: Store) -> None:
    """Log metrics of the versions as curves; a step is the number of a version.

    Each frozen set has a run of its own. An imported version was measured with another ruler, and one that lacks a
    shard on fewer people: neither is a point of a curve.
    """
    known = store.versions()
    complete = [v for v in known if v.tags.get("aliased") == "yes" and not (v.tags.get("imported") or v.left_out)]
    for frozen in sorted({version.tags.get("frozen", "") for version in complete} - {""}):
        points = []
        for version in (one for one in complete if one.tags.get("frozen") == frozen):
            metrics, began_ms = store.metrics_of(version)
            points += [
                (name, metrics[name], began_ms, version.number)
                for name in CURVES
                if math.isfinite(metrics.get(name, math.nan))
            ]
        run = store.ensure_run({"kind": "series", "digest": frozen}, f"all versions (frozen set {frozen[:6]})")
        state = digest_of([[name, value, step] for name, value, _, step in points])
        if run.tags.get("cordrift.progress") != state:
            store.log_points(run, points)
            note = "Curves over the versions that were measured on this frozen set: a step is the number of a version."
            store.ensure_tags(run, {"progress": state, "mlflow.note.content": note})
        store.finish(run)
