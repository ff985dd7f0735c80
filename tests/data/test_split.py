"""The test split of a new dataset, by site and person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core.base.errors import SettingsError
from stages.core.data.datasets.split import LEAST_LEFT, freeze

people = st.dictionaries(st.integers(1, 60).map(lambda n: f"sub-{n:02d}"), st.sampled_from("abc"), min_size=3)
shares = st.floats(0.05, 0.95)


@given(people, shares, st.integers(0, 5))
def test_every_site_gives_its_share_and_enough_are_left(sites: dict[str, str], share: float, seed: int) -> None:
    frozen = freeze(sites, {}, share=share, seed=seed)
    assert frozen == freeze(dict(reversed(sites.items())), {}, share=share, seed=seed), "the order says nothing"
    wanted = min(len(sites) - LEAST_LEFT, max(1, round(share * len(sites))))
    assert len(frozen) == len(set(frozen)) == wanted
    for site in set(sites.values()):
        members = [sub for sub in sites if sites[sub] == site]
        exact = wanted * len(members) / len(sites)
        assert abs(len(set(members) & set(frozen)) - exact) < 1.0


@given(people, shares, st.integers(0, 5))
def test_all_ids_of_a_person_are_on_one_side(sites: dict[str, str], share: float, seed: int) -> None:
    first, second, *_ = sorted(sites)
    persons = {first: "p", second: "p"}
    if len(sites) - 1 <= LEAST_LEFT:
        with pytest.raises(SettingsError, match="2 people can be measured"):
            freeze(sites, persons, share=share, seed=seed)
    else:
        assert len({first, second} & set(freeze(sites, persons, share=share, seed=seed))) in {0, 2}


def test_another_seed_gives_another_split() -> None:
    sites = {f"sub-{n:02d}": "a" for n in range(40)}
    assert freeze(sites, {}, share=0.2, seed=1) != freeze(sites, {}, share=0.2, seed=2)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(SettingsError, match="expected a number between 0 and 1"):
        freeze(dict.fromkeys(("sub-1", "sub-2", "sub-3"), "a"), {}, share=share, seed=1)


def test_too_few_people_for_a_split_are_a_sentence() -> None:
    with pytest.raises(SettingsError, match=f"2 people can be measured.*one, and training and validation {LEAST_LEFT}"):
        freeze({"sub-1": "a", "sub-2": "b"}, {}, share=0.2, seed=1)
