"""Which shard a participant belongs to: by a hash of the id, so that adding one participant reruns one shard."""

from __future__ import annotations

import hashlib

from stages.core.errors import CordriftError


def shard_of(participant: str, n_shards: int) -> int:
    """Return the shard (0 to ``n_shards`` - 1) of a participant; the same on every machine."""
    return int.from_bytes(hashlib.sha256(participant.encode()).digest()[:8], "big") % n_shards


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
