"""The commands with which people delete the remaining copies in caches, source datasets and MLflow.

They are printed and never run, because what they delete cannot be restored.
"""

from __future__ import annotations

import configparser
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...base.errors import redact
from ...data.clones import annex
from ...data.clones.programs import git
from ...data.datasets.manifest import CLONES
from ...data.datasets.registry import Registry
from ...store.bundle_files import MASKS
from ...store.location import Location
from ...store.recorded_versions import RecordedVersion
from .clones import participants_in
from .identity import Identity
from .traces import Trace


@dataclass(frozen=True)
class Step:
    """One thing to do: what it deletes, and its commands (none where people must do it by hand)."""

    what: str
    commands: tuple[str, ...] = ()


def purge_steps(
    root: Path,
    identity: Identity,
    registry: Registry,
    location: Location | None,
    traces: Sequence[Trace],
    kept: Iterable[str],
) -> Iterator[Step]:
    """Yield all steps.

    Parameters
    ----------
    location : the MLflow store; None where there is none or it was not searched
    traces : what MLflow keeps of the person
    kept : paths in this workspace that still hold data of the person
    """
    yield from _dvc_steps(root)
    yield from _source_steps(root, identity, registry)
    if location is not None:
        yield from _mlflow_steps(location, traces)
    scratch = sorted(
        {"/".join(Path(path).parts[: 2 if path.startswith(".monitor") else 1]) for path in kept} - {"data"}
    )
    scratch = [name for name in scratch if name.startswith(".")]
    if scratch:
        yield Step(
            "Scratch workspaces. Deletes everything in them; `cordrift monitor` and `cordrift demo` create them again.",
            tuple(f"chmod -R u+w {shlex.quote(name)} && rm -r {shlex.quote(name)}" for name in scratch),
        )
    yield Step(
        "nnU-Net's preprocessed data and unfinished trainings. Run it on every machine that trained; `dvc repro` "
        "creates them again.",
        ("rm -r data/scratch",),
    )
    yield Step(
        "By hand, in other places: bundles and packages that were released from the versions above (assets of "
        "releases, the zip for the toolbox), caches and artifacts of CI runs, copies of this folder on other machines, "
        "and backups. The git history of this repository holds no images, because dvc.lock and .dvc files name outputs "
        "by hash only. The id and the reason stay in data/datasets.yaml, so that nobody adds the data again."
    )


def _dvc_steps(root: Path) -> Iterator[Step]:
    if not (root / ".dvc").is_dir():
        return
    yield Step(
        "DVC cache. Deletes all outputs that the dvc.lock of this folder does not name, also those of other commits "
        "and branches. Add `--dry` to see first what would be deleted; where several projects share the cache, name "
        "the others with `--projects`. Run it after `dvc repro` has trained again: until then dvc.lock names the old "
        "model.",
        ("dvc gc --workspace --force",),
    )
    for name in _remotes(root):
        yield Step(
            f"DVC remote {name}. Deletes the same outputs from the remote.",
            (shlex.join(["dvc", "gc", "--workspace", "--cloud", "--remote", name, "--force"]),),
        )
    yield Step(
        "DVC run cache. Deletes the record of which outputs (by hash) earlier params and data gave, from which DVC "
        "could restore them. If `dvc push --run-cache` wrote to a remote, delete the folder with this name there too.",
        ('rm -rf "$(dvc cache dir)/runs"',),
    )


def _remotes(root: Path) -> list[str]:
    """Return the names of the remotes in DVC's configuration, where a section is named ``['remote "lab"']``."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    config.read([root / ".dvc/config", root / ".dvc/config.local"], encoding="utf-8")
    heads = [section.strip("'") for section in config.sections()]
    return sorted({head.removeprefix('remote "').rstrip('"') for head in heads if head.startswith('remote "')})


def _source_steps(root: Path, identity: Identity, registry: Registry) -> Iterator[Step]:
    """Yield the steps for the owner of each source dataset; entries of the same repository share them."""
    done = set()
    for name in sorted(registry.datasets):
        participants = {participant for dataset, participant in identity.ids if dataset == name}
        url, clone = registry.datasets[name].url, root / CLONES / name
        if not participants or url in done:
            continue
        done.add(url)
        local = ":" not in url
        source = url if local else "SOURCE"
        paths = _folders(annex.list_paths(clone), participants) if (clone / ".git").exists() else sorted(participants)
        words = ["git", "-C", source]
        siblings = git(root / url, ["remote"]).split() if local and (root / url).is_dir() else ["SIBLING"]
        note = (
            ""
            if local
            else f" SOURCE is a full clone of {redact(url)}; SIBLING is each name that `git remote` lists there."
        )
        if not (clone / ".git").exists():
            note += " This workspace has no clone of it: add the participant's folders under derivatives to the paths."
        yield Step(
            f"Source dataset of {name}, for its owner. Deletes the content of the present commit, in the siblings and "
            f"in the dataset itself. A file of another participant with the same content loses it too.{note}",
            (
                *(shlex.join([*words, "annex", "drop", "--force", "--from", one, "--", *paths]) for one in siblings),
                shlex.join([*words, "annex", "drop", "--force", "--", *paths]),
            ),
        )
        yield Step(
            f"Source dataset of {name}, for its owner. Removes the files in a next revision, then deletes all content "
            "that no branch uses any more, of earlier revisions and of all participants. Also delete the row in "
            "participants.tsv, set a tag, and run `cordrift pin`. Files that git itself stores stay in its history: "
            "only the owner can decide to rewrite it.",
            (
                shlex.join([*words, "rm", "-r", "--quiet", "--", *paths]),
                shlex.join([*words, "commit", "--quiet", "-m", "Withdrawn"]),
                shlex.join([*words, "annex", "unused"]),
                shlex.join([*words, "annex", "dropunused", "--force", "all"]),
            ),
        )


def _folders(tree: Iterable[str], participants: set[str]) -> list[str]:
    """Return the shortest paths that hold files of the participants and of nobody else."""
    found = set()
    for path in tree:
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            if participants_in(["/".join(parts[:depth])]) & participants:
                found.add("/".join(parts[:depth]))
                break
    return sorted(found)


def _mlflow_steps(location: Location, traces: Sequence[Trace]) -> Iterator[Step]:
    """Yield the steps for MLflow: delete versions that were trained on the data; of others delete the masks, or all."""
    uri = "" if location.database is None else f"MLFLOW_TRACKING_URI={shlex.quote(location.uri)} "
    backend = location.uri if location.database is not None else "DATABASE"
    on_server = " Run it on the machine of the server; DATABASE is its --backend-store-uri."
    note = on_server if location.database is None else ""
    for trace in traces:
        if trace.trained:
            yield Step(
                f"{trace.version.name}, trained on the data. Deletes the version, marks its run as deleted, then "
                f"deletes the run with its artifacts (bundle, report, tables, masks).{note} First move the "
                "aliases of the version to another one.",
                tuple(_delete_whole(trace.version, uri, backend)),
            )
        elif trace.kept:
            drawn = [path for path in trace.kept if path.startswith(MASKS) or path.endswith((".png", ".html"))]
            if drawn:
                names = [MASKS if path.startswith(MASKS) else path for path in drawn]
                yield Step(
                    f"{trace.version.name}, not trained on the data. Deletes the masks of the whole frozen set, and "
                    "the report and figures in which the participant is drawn or may be. The tables stay, because "
                    "later versions are compared with them.",
                    tuple(f"{uri}{_python(_DELETE_ARTIFACT.format(trace.version.run_id, name))}" for name in names),
                )
            yield Step(
                f"Instead, if the rows in the tables must be deleted too: all of {trace.version.name}. No version can "
                f"be compared with it afterwards.{note}",
                tuple(_delete_whole(trace.version, uri, backend)),
            )


def _delete_whole(version: RecordedVersion, uri: str, backend: str) -> Iterator[str]:
    if version.number is not None:
        yield f"{uri}{_python(_DELETE_VERSION.format(version.model, str(version.number)))}"
    if version.run_id:
        if not version.deleted:
            yield f"{uri}mlflow runs delete --run-id {version.run_id}"
        yield f"{uri}mlflow gc --backend-store-uri {shlex.quote(backend)} --run-ids {version.run_id}"


_DELETE_VERSION = "from mlflow import MlflowClient; MlflowClient().delete_model_version({!r}, {!r})"
_DELETE_ARTIFACT = (
    "import mlflow; from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository; "
    "get_artifact_repository(mlflow.get_run({!r}).info.artifact_uri).delete_artifacts({!r})"
)


def _python(code: str) -> str:
    return shlex.join(["python", "-c", code])
