"""The jobs of a release, in the order in which the workflow runs them, and the restoring of a store.

Arguments that several jobs share:

- ``root``: a checkout of cordrift. The jobs exchange files in its folder ``release``.
- ``repository`` and ``tag`` name the release.
- ``profile``: a file of params/, which names the test datasets. The jobs work in ``.monitor/<profile>``.
- ``device``: ``cpu`` or ``cuda``; None for that of the profile.
- ``say`` gets each sentence for the user.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from ...base.errors import SettingsError, StoreError
from ...model.bundle.content import read_bundle
from ...store.client import open_store
from ...workspace.runs.monitor import bring_bundle, data_stages, monitor_workspace, run_stages, shard_stages
from ...workspace.runs.params import load_params
from ...workspace.runs.workspace import profile_file
from ..github.repository import Repository
from ..github.runner import write_outputs, write_summary
from .handover import hand_over
from .history import rebuild
from .judge import judge_release
from .names import BUNDLE, SHARDS
from .plan import cache, fetch_bundle, outputs
from .summary import judged_summary

Say = Callable[[str], None]


def plan(root: Path, repository: Repository, tag: str, profile: str, say: Say) -> None:
    """Fetch and verify the bundle of the release, and write the numbers of the shards as outputs of the step."""
    params = load_params(profile_file(root, profile))
    say(f"bundle {fetch_bundle(repository, tag, root).digest}")
    write_outputs(outputs(root, params))


def key(root: Path, profile: str) -> None:
    """Write the key of the cache of the profile's test datasets as an output of the step."""
    write_outputs(cache(root, load_params(profile_file(root, profile))))


def data(root: Path, profile: str) -> None:
    """Fetch what is missing of the test datasets into the profile's scratch workspace, and check it."""
    folder = root / ".monitor" / profile
    run_stages(folder, data_stages(monitor_workspace(root, folder, profile, "data")))


def segment(root: Path, profile: str, device: str | None, shard: int, say: Say) -> None:
    """Segment the shard with this number and leave its masks in ``release/shards``."""
    verified = read_bundle(root / BUNDLE)
    folder = root / ".monitor" / profile
    params = monitor_workspace(root, folder, profile, "shard", device)
    if shard not in params.segment.shards:
        raise SettingsError(f"there is no shard {shard} in the profile {profile}; there are {params.segment.shards}.")
    bring_bundle(verified, root / BUNDLE, folder)
    run_stages(folder, [*data_stages(params), *shard_stages(params, [shard])])
    say(f"shard {shard}: {hand_over(folder, root / SHARDS, shard, params)}")


def judge(
    root: Path, repository: Repository, tag: str, profile: str, device: str | None, say: Say, *, images: bool = False
) -> None:
    """Judge the release, write the files that go beside its bundle, and the summary of the job.

    ``images``: whether the report may show anatomy.
    """
    judged = judge_release(root, repository, tag, profile, device, say, images=images)
    write_summary(judged_summary(judged.facts, judged.history))


def restore(root: Path, repository: Repository, profile: str, say: Say) -> None:
    """Fill an empty store, such as that of a new server, with the history of all releases.

    Raises
    ------
    StoreError
        The store holds versions, whose aliases a replay would move.
    """
    params = load_params(profile_file(root, profile))
    store = open_store(params.registration.model, root)
    if known := store.versions():
        raise StoreError(
            f"MLflow at {store.location.name} holds {len(known)} version(s) of {store.model}; the history of the "
            "releases is restored into an empty store only, since their aliases would move."
        )
    with tempfile.TemporaryDirectory() as scratch:
        history = rebuild(store, repository, "", params.segment.datasets[0], Path(scratch), say)
    say("\n".join(history) or "no release has a record")
