"""Pathologies, orders of one participant, and the cohorts that are made of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from stages import phantom as command
from stages.core.base.errors import CordriftError, SettingsError
from stages.core.phantom.acquisition.contrasts import NINE, PHANTOM_CONTRASTS
from stages.core.phantom.acquisition.grid import LARGE, View
from stages.core.phantom.anatomy.draw import draw_anatomy
from stages.core.phantom.anatomy.geometry import Anatomy
from stages.core.phantom.anatomy.parts import Compression
from stages.core.phantom.anatomy.pathology import PATHOLOGIES, with_pathology
from stages.core.phantom.dataset.cohort import COHORTS, SITES, Revision, anatomy_of, find_cohort, participants_of
from stages.core.phantom.dataset.order import order_cohort
from stages.core.phantom.dataset.publish import paths_of, publish, write_participant

#: Along the cord, in steps of 0.5 mm, as far as the usual field of view shows it.
S_MM = np.arange(-40.0, 40.0, 0.5)


@pytest.fixture(scope="module")
def healthy() -> Anatomy:
    return draw_anatomy(np.random.default_rng(11))


def ill(an: Anatomy, name: str, seed: int = 0) -> Anatomy:
    return with_pathology(an, name, np.random.default_rng(seed))


def depth_lost(an: Anatomy, healthy: Anatomy) -> np.ndarray:
    """Fraction of the antero-posterior diameter that is lost along the cord."""
    t = an.tables
    return np.interp(S_MM, t.s, 1 - t.cord_b / healthy.tables.cord_b)


# ---- pathologies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("MildCompression", 0.12, 0.25), ("ModerateCompression", 0.25, 0.38), ("SevereCompression", 0.38, 0.50)],
)
def test_one_disc_takes_its_share_of_the_depth(healthy: Anatomy, name: str, low: float, high: float) -> None:
    for seed in range(8):
        lost = depth_lost(ill(healthy, name, seed), healthy)
        assert low - 0.005 <= lost.max() <= high + 0.005
        worst = S_MM[lost.argmax()]
        assert min(abs(worst - healthy.discs_s_mm[d]) for d in (4, 5)) <= 0.5
        far = np.abs(S_MM - worst) > 20
        assert lost[far].max() < 1e-3, "elsewhere the cord is as it was"


def test_several_levels_are_compressed(healthy: Anatomy) -> None:
    counts = set()
    for seed in range(10):
        an = ill(healthy, "MultilevelCompression", seed)
        counts.add(len(an.compressions))
        at = [float(np.interp(healthy.discs_s_mm[d], S_MM, depth_lost(an, healthy))) for d in (4, 5)]
        assert min(at) > 0.11
    assert counts == {2, 3}


def test_a_disc_that_bulges_takes_from_the_front_of_the_canal_but_never_from_the_cord(healthy: Anatomy) -> None:
    s = healthy.discs_s_mm[5]
    an = replace(healthy, compressions=(Compression(s, 0.45, 4.0, canal=0.35),))
    t, was = an.tables, healthy.tables
    k = int(np.abs(t.s - s).argmin())
    front, back = t.sac_v + t.sac_b, t.sac_v - t.sac_b
    assert front[k] < was.sac_v[k] + was.sac_b[k] - 1
    assert back[k] == pytest.approx(was.sac_v[k] - was.sac_b[k], abs=1e-4)
    near = np.abs(t.s) < 40
    room = np.minimum(t.cord_b + 0.3, was.sac_v + was.sac_b)
    assert (front[near] >= room[near] - 1e-4).all()


def test_cords_never_close(healthy: Anatomy) -> None:
    an = ill(healthy, "SevereCompression+MultilevelCompression+SevereCompression", 3)
    assert depth_lost(an, healthy).max() <= 0.7 + 1e-6
    assert an.csa(S_MM).min() > 10


def test_atrophy_and_its_local_kind(healthy: Anatomy) -> None:
    for seed in range(8):
        ratio = ill(healthy, "Atrophy", seed).csa(S_MM) / healthy.csa(S_MM)
        assert 0.70 <= ratio.min() <= 0.90
        np.testing.assert_allclose(ratio, ratio[0])
        ratio = ill(healthy, "LocalAtrophy", seed).csa(S_MM) / healthy.csa(S_MM)
        assert 0.65 <= ratio.min() <= 0.86
        assert ratio[S_MM > 38].min() > 0.98, "the top of the cord keeps its area"


def test_lesions_lie_in_the_cord(healthy: Anatomy) -> None:
    few, many = (ill(healthy, name).lesions for name in ("MS", "Lesions"))
    assert len(few) == 2
    assert 4 <= len(many) <= 7
    assert all(np.hypot(x.u, x.v) < 1 and abs(x.s_mm) <= 25 for x in few + many)


def test_options_add_up(healthy: Anatomy) -> None:
    both = ill(healthy, "SevereCompression+Lesions+Atrophy")
    assert len(both.compressions) == 1
    assert len(both.lesions) >= 4
    assert both.atrophy >= 0.10
    twice = ill(healthy, "MS+Atrophy").atrophy
    assert 0.118 <= twice <= 0.356
    with pytest.raises(CordriftError, match="did you mean 'Atrophy'"):
        ill(healthy, "MS+Atrophie")


@pytest.mark.parametrize("name", PATHOLOGIES)
def test_every_option_does_something_and_depends_on_its_seed_alone(healthy: Anatomy, name: str) -> None:
    assert ill(healthy, name, 1) == ill(healthy, name, 1)
    assert (ill(healthy, name, 1) == healthy) is (name == "HC")
    assert PATHOLOGIES[name].what


# ---- cohorts --------------------------------------------------------------------------------------------------


def test_clinic_has_sites_pathologies_and_nine_contrasts_that_grow() -> None:
    cohort = find_cohort("clinic")
    r1, r2 = (participants_of(cohort, cohort.revisions[r]) for r in ("r1", "r2"))
    assert [p for p in r2 if p.frozen] == [p for p in r1 if p.frozen]
    assert set(r1) < set(r2)
    assert {p.site for p in r2} == set(SITES)
    assert all(p.contrasts == NINE for p in r2)
    assert sum(p.frozen for p in r2) == 4
    assert sum(not p.frozen for p in r2) == 8
    assert len({p.pathology for p in r2}) >= 8
    for person in r2:
        an = anatomy_of(cohort, person)
        assert bool(an.compressions) is ("Compression" in person.pathology)


def test_three_hundred_are_three_hundred() -> None:
    cohort = find_cohort("three-hundred")
    people = participants_of(cohort, cohort.revisions["r1"])
    images = [paths_of(p.participant, c).image for p in people for c in p.contrasts]
    assert len(set(images)) == len(images) == 300
    assert 0 < sum(p.frozen for p in people) < len(people)


def test_older_cohorts_keep_their_rule() -> None:
    for name in ("demo", "micro"):
        assert find_cohort(name).frozen_pathologies == find_cohort(name).training_pathologies == ()
    people = participants_of(COHORTS["demo"], Revision(0, (), 14, ("T1w",)))
    assert [p.pathology for p in people[4:7]] == ["MildCompression", "HC", "MS"]


# ---- orders ---------------------------------------------------------------------------------------------------


def test_an_order_says_what_is_rendered() -> None:
    spec = order_cohort("one", "Atrophy+Lesions", "STIR,MP2RAGE", "large", "0,5,-10")
    (person,) = participants_of(spec, spec.revisions["r1"])
    assert (person.pathology, person.contrasts) == ("Atrophy+Lesions", ("STIR", "MP2RAGE"))
    assert spec.view == replace(LARGE, turn_deg=(0.0, 5.0, -10.0))
    assert anatomy_of(spec, person).ends is not None
    assert order_cohort("demo") is COHORTS["demo"]


@pytest.mark.parametrize(
    ("cohort", "ordered", "says"),
    [
        ("demo", {"pathology": "MS"}, r"--pathology cannot be ordered for cohort 'demo'.*--cohort one"),
        ("one", {"pathology": "SevereCompresion"}, "did you mean 'SevereCompression'"),
        ("one", {"contrasts": "T1w,STIRR"}, "did you mean 'STIR'"),
        ("one", {"contrasts": "T1w,T1w"}, "names one twice"),
        ("one", {"view": "huge"}, "no view 'huge'.*neck, large"),
        ("one", {"turn": "12,x,0"}, "three angles.*'12,x,0'"),
        ("one", {"turn": "12,0"}, "three angles"),
        ("one", {"turn": "nan,0,0"}, "three angles"),
        ("one", {"turn": "0,0,45"}, "turned by 45 degrees.*at most 30"),
        ("ones", {}, "did you mean 'one'"),
    ],
)
def test_bad_orders_are_refused(cohort: str, ordered: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        order_cohort(cohort, **ordered)


def test_a_turned_participant_is_published_with_true_tables(tmp_path: Path) -> None:
    out = tmp_path / "ds"
    command.main([str(out), "--cohort", "one", "--pathology", "Lesions", "--contrasts", "MP2RAGE,PSIR",
                  "--turn", "10,0,5", "--jobs", "1"])  # fmt: skip
    table = pd.read_csv(out / "participants.tsv", sep="\t")
    assert table["pathology"].tolist() == ["Lesions"]
    for name in ("MP2RAGE", "PSIR"):
        paths = paths_of(table["participant_id"][0], name)
        assert all((out / path).is_file() for path in paths.all())
        image, soft = (nib.load(out / path) for path in (paths.image, paths.soft))
        canonical = nib.as_closest_canonical(soft)
        tilt = np.degrees(np.arccos(canonical.affine[2, 2] / np.linalg.norm(canonical.affine[:3, 2])))
        assert tilt == pytest.approx(10, abs=1e-3)
        assert "".join(nib.aff2axcodes(image.affine)) == PHANTOM_CONTRASTS[name].axcodes
        np.testing.assert_array_equal(image.affine, soft.affine)
        truth = pd.read_csv(out / paths.truth)
        px, py, _ = np.linalg.norm(canonical.affine[:3, :3], axis=0)
        area = px * py * canonical.get_fdata().sum(axis=(0, 1)) * np.cos(np.radians(truth["angle_deg"]))
        np.testing.assert_allclose(area[2:-2], truth["csa_mm2"][2:-2], rtol=0.003)
    sidecar = json.loads((out / paths_of(table["participant_id"][0], "MP2RAGE").image.replace(".nii.gz", ".json")
                          ).read_text())  # fmt: skip
    assert sidecar["InversionTime"] == pytest.approx([0.65, 2.0], rel=0.1)
    assert len(sidecar["FlipAngle"]) == 2
    with pytest.raises(CordriftError, match="another cohort"):  # another order never lands in this folder
        publish(out, order_cohort("one", "Lesions", "MP2RAGE,PSIR", None, "10,0,6"), "r1", jobs=1)


def test_the_same_order_gives_the_same_bytes_whatever_else_is_ordered(tmp_path: Path) -> None:
    made = []
    for contrasts in ("STIR", "STIR,T1w"):
        spec = replace(order_cohort("one", "MS", contrasts), view=View((20, 24, 20)))
        (person,) = participants_of(spec, spec.revisions["r1"])
        out = tmp_path / contrasts.replace(",", "-")
        write_participant(out, spec, replace(person, contrasts=("STIR",)))
        made.append((out / paths_of(person.participant, "STIR").image).read_bytes())
    assert made[0] == made[1]
