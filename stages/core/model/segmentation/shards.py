"""Which shard has whom: the participants dealt out in the order of a hash of their ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from ...base.errors import CordriftError


def deal(participants: Iterable[str], n_shards: int) -> list[list[str]]:
    """Return the participants of each shard, the same on every machine; shards differ by one participant at most.

    The hash mixes sites, whose images differ in size. A dataset that gains or loses a participant runs all its shards
    again in any case: they depend on its manifest.
    """
    mixed = sorted(set(participants), key=lambda name: hashlib.sha256(name.encode()).digest())
    return [sorted(mixed[shard::n_shards]) for shard in range(n_shards)]


def check_shards(shards: list[int]) -> int:
    """Return the number of shards; the list must be 0, 1, ... without a gap, or participants would vanish.

    Raises
    ------
    CordriftError
        A shard is missing or named twice.
    """
    if sorted(shards) != list(range(len(shards))) or not shards:
        raise CordriftError(f"segment.shards must be 0 to n - 1, each once, not {shards}.")
    return len(shards)
