"""Assign participants to the validation parts of folds: even within each site, and stable when a dataset grows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from ...base.errors import SettingsError

#: A single split uses about one participant in five for validation, as one fold of five does.
SINGLE_SPLIT_SLOTS = 5


def validation_sets(sites: Mapping[str, str], *, folds: int, seed: int) -> list[set[str]]:
    """Assign participants to the validation parts of folds.

    The participants of a site are sorted by their ids and cut into blocks of as many participants as there are folds.
    Each participant of a block goes to another fold, in an order that the seed decides for this block. Therefore

    - each fold gets the same number of participants of a site, or one more or less;
    - a new participant whose id comes last in its site changes the fold of nobody else;
    - other sites never change.

    No even rule keeps all participants in place for every possible addition: of two participants each must be in a fold
    of its own, but of three, two must share one. A fold that stays empty, as with few participants of many sites, gets
    one participant from the fullest fold.

    Parameters
    ----------
    sites : participant -> site
    folds : number of folds; 1 is a single split with about a fifth for validation
    seed : any integer

    Returns
    -------
    One set of participants per fold. Several folds have no participant in common and together contain all.

    Raises
    ------
    SettingsError
        There are fewer participants than folds, or fewer than two.

    Examples
    --------
    >>> folds = validation_sets({"sub-a1": "a", "sub-a2": "a", "sub-b1": "b", "sub-b2": "b"}, folds=2, seed=0)
    >>> [sorted(fold) for fold in folds]
    [['sub-a2', 'sub-b2'], ['sub-a1', 'sub-b1']]
    """
    slots = folds if folds > 1 else SINGLE_SPLIT_SLOTS
    if len(sites) < max(folds, 2):
        raise SettingsError(
            f"{len(sites)} participants cannot be split into {folds} fold{'s' if folds > 1 else ''}: expected at "
            f"least {max(folds, 2)} with measured contrasts; lower prepare.folds or add participants."
        )
    slot_of: dict[str, int] = {}
    for site in sorted(set(sites.values())):
        members = sorted((sub for sub in sites if sites[sub] == site), key=_natural)
        for start in range(0, len(members), slots):
            order = sorted((_hash(seed, site, start, slot), slot) for slot in range(slots))
            slot_of |= {sub: slot for sub, (_, slot) in zip(members[start : start + slots], order, strict=False)}
    _fill(slot_of, range(folds), seed)
    if folds == 1 and all(slot == 0 for slot in slot_of.values()):
        slot_of[min(slot_of, key=lambda sub: _hash(seed, sub))] = 1  # otherwise there would be no training data
    return [{sub for sub, slot in slot_of.items() if slot == fold} for fold in range(folds)]


def _fill(slot_of: dict[str, int], needed: range, seed: int) -> None:
    """Move one participant from the fullest slot into each empty slot: the one with the lowest hash."""
    for empty in needed:
        held = list(slot_of.values())
        if empty in held:
            continue
        fullest = max(sorted(set(held)), key=held.count)
        slot_of[min((sub for sub in slot_of if slot_of[sub] == fullest), key=lambda sub: _hash(seed, sub))] = empty


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    """Return a sort key that puts sub-a2 before sub-a10.

    >>> sorted(["sub-a10", "sub-a2"], key=_natural)
    ['sub-a2', 'sub-a10']
    """
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text) if part)


def _hash(*parts: object) -> str:
    """Return a SHA-256 (hexadecimal) of some values: the source of randomness, the same on every machine."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()
