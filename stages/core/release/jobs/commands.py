"""The jobs of a release, each as one function of the checkout, in the order in which the workflow runs them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ...base.errors import CordriftError
from ...model.bundle.content import read_bundle
from ...store.client import open_store
from ...workspace.runs.monitor import bring_bundle, data_stages, monitor_workspace, run_stages, shard_stages
from ...workspace.runs.params import load_params
from ...workspace.runs.workspace import profile_file
from ..github.repository import Repository
from ..github.runner import write_outputs, write_summary
from . import judge as judging
from .handover import hand_over
from .history import rebuild
from .names import ASSETS, BUNDLE, FIGURE, KEPT, SHARDS, page_of
from .plan import cache, fetch_bundle, outputs
from .summary import judged_summary, published_summary


def plan(root: Path, repository: Repository, tag: str, profile: str) -> None:
    """Fetch and verify the bundle of the release, and say which shards there are."""
    params = load_params(profile_file(root, profile))
    print(f"bundle {fetch_bundle(repository, tag, root).digest}")
    write_outputs(outputs(root, params))


def key(root: Path, profile: str) -> None:
    """Say under which key the test datasets of a profile are cached."""
    write_outputs(cache(root, load_params(profile_file(root, profile))))


def data(root: Path, profile: str) -> None:
    """Bring what is missing of the test datasets into the profile's scratch workspace, and check it."""
    folder = root / ".monitor" / profile
    run_stages(folder, data_stages(monitor_workspace(root, folder, profile, "data")))


def segment(root: Path, profile: str, device: str | None, shard: int) -> None:
    """Segment one shard and leave its masks in ``release/shards``."""
    verified = read_bundle(root / BUNDLE)
    folder = root / ".monitor" / profile
    params = monitor_workspace(root, folder, profile, "shard", device)
    if shard not in params.segment.shards:
        raise CordriftError(f"there is no shard {shard} in the profile {profile}; there are {params.segment.shards}.")
    bring_bundle(verified, root / BUNDLE, folder)
    run_stages(folder, [*data_stages(params), *shard_stages(params, [shard])])
    print(f"shard {shard}: {hand_over(folder, root / SHARDS, shard, params)}")


def judge(root: Path, repository: Repository, tag: str, profile: str, device: str | None) -> None:
    """Judge the release and write what goes beside its bundle."""
    judged = judging.judge(root, repository, tag, profile, device)
    write_summary(judged_summary(judged.facts, judged.history))


def publish(root: Path, repository: Repository, tag: str) -> None:
    """Put what was judged beside the bundle of the release; what is there already stays.

    Raises
    ------
    CordriftError
        Nothing was judged, or no such release.
    """
    files = sorted(path for path in (root / ASSETS).glob("*") if path.is_file())
    if not files:
        raise CordriftError(f"{root / ASSETS} holds nothing to publish; `cordrift release judge` writes it.")
    foreign = sorted(KEPT & {path.name for path in files})
    if foreign:
        raise CordriftError(
            f"{root / ASSETS} holds {', '.join(foreign)}, which no judgement writes; nothing is published."
        )
    release = repository.release(tag)
    done = [(path.name, repository.upload(release, path, path.name)) for path in files]
    write_summary(published_summary(page_of(repository), tag, FIGURE, done))


def restore(root: Path, repository: Repository, profile: str) -> None:
    """Fill an empty store with the history of all releases: one that was lost, or a server that is new.

    Raises
    ------
    CordriftError
        The store holds versions: a replay would move their aliases.
    """
    params = load_params(profile_file(root, profile))
    store = open_store(params.registration.model, root)
    if known := store.versions():
        raise CordriftError(
            f"MLflow at {store.location.name} holds {len(known)} version(s) of {store.model}; the history of the "
            "releases is restored into an empty store only, since their aliases would move."
        )
    with tempfile.TemporaryDirectory() as scratch:
        said = rebuild(store, repository, "", params.segment.datasets[0], Path(scratch))
    print("\n".join(said) or "no release has a record")
