"""Which participants validate in which fold: whole participants, stratified by site, without a reshuffle on growth."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from ...base.errors import CordriftError

#: A single split holds out about one participant in five, as one fold of five does.
SINGLE_SPLIT_SLOTS = 5


def validation_sets(sites: Mapping[str, str], *, folds: int, seed: int) -> list[set[str]]:
    """Assign participants to the validation part of folds.

    Within a site, participants in the natural order of their ids are dealt in blocks of ``folds``, each block in
    an order of its own that the seed decides. So every site is spread evenly (parts differ by at most one), a
    participant added at the end of a site's ids (as sites number them) moves nobody, and no other site ever
    moves. More is impossible: no rule that is even within a site keeps everyone in place whoever is added, e.g.
    of three participants in two folds two must share, though each pair alone must not.

    Only where that leaves a part empty, as in a cohort of few participants and many sites, one participant moves.

    Parameters
    ----------
    sites : participant -> site
    folds : number of folds; 1 is a single split with about a fifth for validation
    seed : any integer

    Returns
    -------
    One set of participants per fold. With several folds they are disjoint and hold everyone.

    Raises
    ------
    CordriftError
        Fewer participants than folds, or fewer than two.
    """
    slots = folds if folds > 1 else SINGLE_SPLIT_SLOTS
    if len(sites) < max(folds, 2):
        raise CordriftError(
            f"{len(sites)} participants cannot be split into {folds} fold{'s' if folds > 1 else ''}: expected at "
            f"least {max(folds, 2)} with measured contrasts. Lower prepare.folds or add participants."
        )
    slot_of: dict[str, int] = {}
    for site in sorted(set(sites.values())):
        members = sorted((sub for sub in sites if sites[sub] == site), key=_natural)
        for start in range(0, len(members), slots):
            order = sorted((_hash(seed, site, start, slot), slot) for slot in range(slots))
            slot_of |= {sub: slot for sub, (_, slot) in zip(members[start : start + slots], order, strict=False)}
    _fill(slot_of, range(folds), seed)
    if folds == 1 and all(slot == 0 for slot in slot_of.values()):
        slot_of[min(slot_of, key=lambda sub: _hash(seed, sub))] = 1  # else nobody would be left to train on
    return [{sub for sub, slot in slot_of.items() if slot == fold} for fold in range(folds)]


def _fill(slot_of: dict[str, int], needed: range, seed: int) -> None:
    """Move one participant into each empty slot, from the fullest one, the lowest hash first."""
    for empty in needed:
        held = list(slot_of.values())
        if empty in held:
            continue
        fullest = max(sorted(set(held)), key=held.count)
        slot_of[min((sub for sub in slot_of if slot_of[sub] == fullest), key=lambda sub: _hash(seed, sub))] = empty


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    """Sort key that puts sub-a2 before sub-a10."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text) if part)


def _hash(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()
