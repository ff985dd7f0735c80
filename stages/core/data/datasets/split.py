"""The test split of a new dataset: which participants are frozen, by site and person."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...base.errors import SettingsError

#: So many people must be left, one to train on and one to validate on.
LEAST_LEFT = 2


def freeze(sites: Mapping[str, str], persons: Mapping[str, str], *, share: float, seed: int) -> list[str]:
    """Return the participants of the test split, sorted; the same input gives the same split.

    Each site gives its share, rounded so that the sum is right (largest remainders). All ids of one person are on the
    same side.

    >>> freeze({"sub-1": "a", "sub-2": "a", "sub-3": "b", "sub-4": "b"}, {}, share=0.5, seed=1)
    ['sub-1', 'sub-3']

    Parameters
    ----------
    sites : site by participant, of all who can be measured
    persons : person by participant, of those who have several ids
    share : part of the people to freeze, in (0, 1)
    seed : of the random choice

    Raises
    ------
    SettingsError
        ``share`` is out of range, or there are too few people.
    """
    if not 0.0 < share < 1.0:
        raise SettingsError(f"--share is {share:g}; expected a number between 0 and 1 such as 0.2.")
    ids: dict[str, list[str]] = {}
    for sub in sorted(sites):
        ids.setdefault(persons.get(sub, sub), []).append(sub)
    most = len(ids) - LEAST_LEFT
    if most < 1:
        raise SettingsError(
            f"{len(ids)} people can be measured (image, mask and disc labels); a test split needs one, and training "
            f"and validation {LEAST_LEFT} more. Add data, or give --share 0 for a dataset without a test split."
        )
    wanted = min(most, max(1, round(share * len(ids))))
    by_site: dict[str, list[str]] = {}
    for person, subs in ids.items():
        by_site.setdefault(sites[subs[0]], []).append(person)
    exact = {site: wanted * len(people) / len(ids) for site, people in by_site.items()}
    count = {site: int(part) for site, part in exact.items()}
    for site in sorted(exact, key=lambda site: (count[site] - exact[site], site))[: wanted - sum(count.values())]:
        count[site] += 1
    random = np.random.default_rng(seed)
    chosen: list[str] = []
    for site, people in sorted(by_site.items()):
        for k in random.permutation(len(people))[: count[site]]:
            chosen += ids[people[k]]
    return sorted(chosen)
