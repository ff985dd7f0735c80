"""The commands by which people purge caches and stores. They are only told, never run: each deletes for good."""

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
from ...store.training_data import Holder
from .clones import participants_in
from .identity import Identity
from .traces import Trace


@dataclass(frozen=True)
class Step:
    """Commands (none where only words help) with what they delete."""

    what: str
    commands: tuple[str, ...] = ()


def steps(
    root: Path,
    identity: Identity,
    registry: Registry,
    location: Location | None,
    traces: Sequence[Trace],
    kept: Iterable[str],
) -> Iterator[Step]:
    """Yield all steps; ``kept``: paths of this workspace that still speak of them."""
    yield from _dvc(root)
    yield from _annex(root, identity, registry)
    if location is not None:
        yield from _mlflow(location, traces)
    scratch = sorted(
        {"/".join(Path(path).parts[: 2 if path.startswith(".monitor") else 1]) for path in kept} - {"data"}
    )
    scratch = [name for name in scratch if name.startswith(".")]
    if scratch:
        yield Step(
            "Scratch workspaces: everything in them; `cordrift monitor` and `cordrift demo` make them again.",
            tuple(f"chmod -R u+w {shlex.quote(name)} && rm -r {shlex.quote(name)}" for name in scratch),
        )
    yield Step(
        "nnU-Net's preprocessed data and unfinished trainings, on every machine that trained; `dvc repro` makes them "
        "again.",
        ("rm -r data/scratch",),
    )
    yield Step(
        "Elsewhere, by hand: released bundles and packages made of the versions above (release assets, the toolbox's "
        "zip), caches and artifacts of CI runs, copies of this folder on other machines, backups. This repository's "
        "git history holds no images: dvc.lock and .dvc files name outputs by hash only. The id and the reason stay in "
        "data/datasets.yaml, so that nobody takes the data in again.",
    )


def _dvc(root: Path) -> Iterator[Step]:
    if not (root / ".dvc").is_dir():
        return
    yield Step(
        "DVC cache: whatever the dvc.lock of this folder does not name, so outputs of other commits and branches too "
        "(see first with `--dry`; in a cache that projects share, name the others with `--projects`). Run it after "
        "`dvc repro` retrained: until then the old model is still named.",
        ("dvc gc --workspace --force",),
    )
    for name in _remotes(root):
        yield Step(
            f"DVC remote {name}: the same in the remote.",
            (shlex.join(["dvc", "gc", "--workspace", "--cloud", "--remote", name, "--force"]),),
        )
    yield Step(
        "DVC run cache: which outputs, by hash, earlier params and data gave; DVC would restore them by it. A remote "
        "to which `dvc push --run-cache` wrote has a folder of this name too.",
        ('rm -rf "$(dvc cache dir)/runs"',),
    )


def _remotes(root: Path) -> list[str]:
    """Names of the remotes in the workspace's configuration (``['remote "lab"']``)."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    config.read([root / ".dvc/config", root / ".dvc/config.local"], encoding="utf-8")
    heads = [section.strip("'") for section in config.sections()]
    return sorted({head.removeprefix('remote "').rstrip('"') for head in heads if head.startswith('remote "')})


def _annex(root: Path, identity: Identity, registry: Registry) -> Iterator[Step]:
    """One set of commands for each source; every entry of a repository has the same."""
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
        note = "" if local else f" SOURCE is a full clone of {redact(url)}, SIBLING each name `git remote` lists there."
        if not (clone / ".git").exists():
            note += " There is no clone here, so add the participant's folders under derivatives."
        yield Step(
            f"Source dataset of {name}, by its owner: the content at its present commit, in the siblings and in the "
            f"dataset itself. A file of somebody else with the same content loses it too.{note}",
            (
                *(shlex.join([*words, "annex", "drop", "--force", "--from", one, "--", *paths]) for one in siblings),
                shlex.join([*words, "annex", "drop", "--force", "--", *paths]),
            ),
        )
        yield Step(
            f"Source dataset of {name}: the files in a next revision, then content that no branch uses any more, so "
            "that of earlier revisions (everybody's). Take the row out of participants.tsv, tag, and `cordrift pin`. "
            "Files that git itself keeps stay in its history: rewriting that is the owner's decision.",
            (
                shlex.join([*words, "rm", "-r", "--quiet", "--", *paths]),
                shlex.join([*words, "commit", "--quiet", "-m", "Withdrawn"]),
                shlex.join([*words, "annex", "unused"]),
                shlex.join([*words, "annex", "dropunused", "--force", "all"]),
            ),
        )


def _folders(tree: Iterable[str], participants: set[str]) -> list[str]:
    """The shortest paths that hold the participants' files and nobody else's."""
    found = set()
    for path in tree:
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            if participants_in(["/".join(parts[:depth])]) & participants:
                found.add("/".join(parts[:depth]))
                break
    return sorted(found)


def _mlflow(location: Location, traces: Sequence[Trace]) -> Iterator[Step]:
    """Delete versions trained on the data with their runs; of the others the masks, or all."""
    uri = "" if location.database is None else f"MLFLOW_TRACKING_URI={shlex.quote(location.uri)} "
    backend = location.uri if location.database is not None else "DATABASE"
    note = "" if location.database is not None else " On the server's machine; DATABASE is its --backend-store-uri."
    for trace in traces:
        if trace.trained:
            yield Step(
                f"{trace.holder.name}, trained on the data: the version; then its run, marked as deleted; then the "
                f"run with its artifacts (bundle, report, tables, masks).{note} Move its aliases first.",
                tuple(_whole(trace.holder, uri, backend)),
            )
        elif trace.kept:
            if any(path.startswith(MASKS) for path in trace.kept):
                yield Step(
                    f"{trace.holder.name}, not trained on the data: the masks of its whole frozen set. Its tables "
                    "stay, with which later versions are compared.",
                    (f"{uri}{_python(_DELETE_MASKS.format(trace.holder.run_id, MASKS))}",),
                )
            yield Step(
                f"Or, where the rows in its tables must go too, all of {trace.holder.name}: it is then compared with "
                f"no more.{note}",
                tuple(_whole(trace.holder, uri, backend)),
            )


def _whole(holder: Holder, uri: str, backend: str) -> Iterator[str]:
    if holder.number is not None:
        yield f"{uri}{_python(_DELETE_VERSION.format(holder.model, str(holder.number)))}"
    if holder.run_id:
        if not holder.deleted:
            yield f"{uri}mlflow runs delete --run-id {holder.run_id}"
        yield f"{uri}mlflow gc --backend-store-uri {shlex.quote(backend)} --run-ids {holder.run_id}"


_DELETE_VERSION = "from mlflow import MlflowClient; MlflowClient().delete_model_version({!r}, {!r})"
_DELETE_MASKS = (
    "import mlflow; from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository; "
    "get_artifact_repository(mlflow.get_run({!r}).info.artifact_uri).delete_artifacts({!r})"
)


def _python(code: str) -> str:
    return shlex.join(["python", "-c", code])
