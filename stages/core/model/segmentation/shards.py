"""The participants of each shard: they are dealt out in the order of a hash of their ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from ...base.errors import SettingsError


def deal(participants: Iterable[str], n_shards: int) -> list[list[str]]:
    """Return the participants of each shard, the same on every machine. Shards differ by one participant at most.

    The hash mixes the sites, whose images differ in size. When a dataset gains or loses a participant, all its shards
    run again anyway, because they depend on its manifest.

    >>> [len(shard) for shard in deal(["sub-1", "sub-2", "sub-3", "sub-4", "sub-5"], 2)]
    [3, 2]
    """
    mixed = sorted(set(participants), key=lambda name: hashlib.sha256(name.encode()).digest())
    return [sorted(mixed[shard::n_shards]) for shard in range(n_shards)]


def check_shards(shards: list[int]) -> int:
    """Return the number of shards.

    The list must be 0, 1, ... without a gap, because the participants of a missing shard would be left out.

    Raises
    ------
    SettingsError
        A shard is missing or named twice.
    """
    if sorted(shards) != list(range(len(shards))) or not shards:
        raise SettingsError(f"segment.shards must be 0 to n - 1, each once, not {shards}.")
    return len(shards)
