"""The phantom's truths hold: areas, masks, labels, contrast, seeds."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from stages.core.phantom.acquisition.contrasts import PHANTOM_CONTRASTS
from stages.core.phantom.acquisition.grid import Grid, Pose, View
from stages.core.phantom.acquisition.randomised import draw_signals, resampling
from stages.core.phantom.acquisition.tissues import Tissue
from stages.core.phantom.anatomy.draw import draw_anatomy
from stages.core.phantom.anatomy.geometry import Anatomy
from stages.core.phantom.anatomy.local import localise, superellipse_distance
from stages.core.phantom.anatomy.parts import Compression, Lesion
from stages.core.phantom.dataset.cohort import SITES, find_cohort, generator_of, participants_of
from stages.core.phantom.rendering.randomise import render_synth
from stages.core.phantom.rendering.render import Rendering, cord_occupancy, odd_parts, render_case, slice_truth

#: Field of view of the tests: the cord and its canal, C2 and C3.
SMALL_MM = (36.0, 40.0, 56.0)


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return draw_anatomy(np.random.default_rng(7))


@pytest.fixture(scope="module")
def cases(anatomy: Anatomy) -> dict[str, Rendering]:
    return {
        name: render_case(anatomy, contrast, SITES["A"], np.random.default_rng(k), view=View(SMALL_MM))
        for k, (name, contrast) in enumerate(PHANTOM_CONTRASTS.items())
    }


def straight(anatomy: Anatomy, *, exponent: float = 2.0, tilt: float = 0.0) -> Anatomy:
    """The same anatomy with a straight cord of constant elliptic section."""
    return replace(anatomy, x_poly=(0.0, 0.13), y_poly=(tilt, 0.21), enlargement=0.0, flattening=0.0, exponent=exponent)


def measured_csa(case_soft: np.ndarray, grid: Grid, truth: pd.DataFrame) -> np.ndarray:
    px, py, _ = grid.spacing_mm
    return px * py * case_soft.sum(axis=(0, 1), dtype=float) * np.cos(np.radians(truth["angle_deg"].to_numpy()))


# ---- areas ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.8, 0.8), (0.5, 0.5, 5.0), (0.9, 0.9, 5.0)])
def test_a_straight_elliptic_cord_has_its_area_in_every_slice(anatomy: Anatomy, spacing: tuple[float, ...]) -> None:
    an = straight(anatomy)
    grid = Grid.around((24.0, 20.0, 15.0), (spacing[0], spacing[1], spacing[2]), (0.1, 0.2, 0.0))
    soft = cord_occupancy(an, grid, Pose())
    area = soft.sum(axis=(0, 1), dtype=float) * spacing[0] * spacing[1]
    # What is left is the flat-surface ramp of the sub-samples: 0.02 %, twice over.
    np.testing.assert_allclose(area, an.csa_mm2, rtol=4e-4)


def test_a_tilted_cord_shows_its_area_divided_by_the_cosine(anatomy: Anatomy) -> None:
    an = straight(anatomy, tilt=0.4)
    grid = Grid.around((24.0, 32.0, 15.0), (0.8, 0.8, 0.8), (0.1, 0.2, 0.0))
    area = cord_occupancy(an, grid, Pose()).sum(axis=(0, 1), dtype=float) * 0.64
    np.testing.assert_allclose(area, an.csa_mm2 * np.sqrt(1 + 0.4**2), rtol=6e-4)


def test_superellipse_area_agrees_with_counting(anatomy: Anatomy) -> None:
    an = straight(anatomy, exponent=2.3)
    t = an.tables
    u, v = np.meshgrid(np.arange(-9, 9, 0.01) + 0.005, np.arange(-9, 9, 0.01) + 0.005, indexing="ij")
    counted = (np.abs(u / t.cord_a[0]) ** 2.3 + np.abs(v / t.cord_b[0]) ** 2.3 <= 1).sum() * 1e-4
    assert an.csa(np.zeros(1))[0] == pytest.approx(counted, rel=2e-4)


@pytest.mark.parametrize("name", ["T1w", "T2w"])
def test_soft_area_times_true_cosine_is_the_analytic_area(cases: dict[str, Rendering], name: str) -> None:
    case = cases[name]
    error = measured_csa(case.soft, case.grid, case.truth) / case.truth["csa_mm2"] - 1
    # Second order in curvature (a few mm against radii above 90 mm): below 0.1 %; the issue asks for 0.3 %.
    assert np.abs(error[1:-1]).max() < 0.003
    assert abs(error.mean()) < 0.001


def test_thick_slices_keep_the_area(cases: dict[str, Rendering]) -> None:
    for name in ("T2star", "MTon", "MToff", "DWI"):
        case = cases[name]
        error = measured_csa(case.soft, case.grid, case.truth) / case.truth["csa_mm2"] - 1
        assert np.abs(error[1:-1]).max() < 0.005, name


def test_binarising_at_one_half_adds_no_bias(cases: dict[str, Rendering]) -> None:
    errors = []
    for name in ("T1w", "T2w"):
        case = cases[name]
        errors.append((measured_csa(case.binary, case.grid, case.truth) / case.truth["csa_mm2"] - 1).mean())
        np.testing.assert_array_equal(case.binary, case.soft >= 0.5)
    # An even factor shifts the area by 4-5 %; the mean over some sixty slices of voxelisation noise stays below 1 %.
    assert np.abs(errors).max() < 0.01


def test_voxels_are_cut_into_an_odd_number_of_parts() -> None:
    for size in (0.1, 0.17, 0.35, 0.5, 0.68, 0.8, 0.9, 1.0, 5.0, 17.0):
        parts = odd_parts(size, 0.17)
        assert parts % 2 == 1
        assert size / parts <= 0.17 + 1e-9
        assert parts == 1 or size / (parts - 2) > 0.17


def test_truth_follows_the_motion(anatomy: Anatomy) -> None:
    grid = Grid.around(SMALL_MM, (1.0, 1.0, 1.0), (0.0, 1.0, 0.0))
    still = slice_truth(anatomy, grid, Pose())
    moved = slice_truth(anatomy, grid, Pose(shift_mm=np.array([0.0, 0.0, 3.0])))
    np.testing.assert_allclose(moved["csa_mm2"].to_numpy()[3:], still["csa_mm2"].to_numpy()[:-3], rtol=1e-4)
    turned = Pose.draw(np.random.default_rng(3), turn_deg=8.0, shift_mm=2.0)
    soft = cord_occupancy(anatomy, grid, turned)
    truth = slice_truth(anatomy, grid, turned)
    assert np.abs(measured_csa(soft, grid, truth) / truth["csa_mm2"] - 1)[1:-1].max() < 0.003


def test_mean_area_over_c2_and_c3_is_the_one_drawn(anatomy: Anatomy) -> None:
    s = np.linspace(anatomy.discs_s_mm[4], anatomy.discs_s_mm[2], 2001)
    assert anatomy.csa(s).mean() == pytest.approx(anatomy.csa_mm2, rel=1e-3)


# ---- geometry -------------------------------------------------------------------------------------------------


def test_foot_points_are_perpendicular(anatomy: Anatomy) -> None:
    p = np.random.default_rng(0).uniform(-25, 25, (3, 500))
    at = localise(anatomy, *p)
    offset = p.T - anatomy.centre(at.s)
    assert np.abs((offset * anatomy.tangent(at.s)).sum(axis=1)).max() < 1e-3
    np.testing.assert_allclose(np.hypot(at.u, at.v), np.linalg.norm(offset, axis=1), atol=1e-3)


def test_distance_to_a_circle_is_exact() -> None:
    u, v = np.array([0.0, 3.0, 5.0, 8.0]), np.array([1.0, 4.0, 0.0, 6.0])
    np.testing.assert_allclose(superellipse_distance(u, v, 5.0, 5.0, 2.0), [-4, 0, 0, 5], atol=1e-4)


def test_cohort_anatomies_match_the_published_range() -> None:
    areas = np.array([draw_anatomy(np.random.default_rng(k), sex="MF"[k % 2]).csa_mm2 for k in range(300)])
    assert areas.min() >= 60
    assert areas.max() <= 90
    assert areas.mean() == pytest.approx(74, abs=1.2)  # three standard errors of 7/sqrt(300)
    assert areas.std() == pytest.approx(7, abs=1.0)


def test_pathology_changes_the_cord(anatomy: Anatomy) -> None:
    s = np.array([anatomy.discs_s_mm[4]])
    squeezed = replace(anatomy, compressions=(Compression(float(s[0]), 0.3, 4.0),))
    far = s + 25
    assert squeezed.csa(s)[0] / squeezed.csa(far)[0] < 0.9 * anatomy.csa(s)[0] / anatomy.csa(far)[0]
    assert replace(anatomy, atrophy=0.1).csa(s)[0] == pytest.approx(0.9 * anatomy.csa(s)[0])
    lesion = replace(anatomy, lesions=(Lesion(0.0, 0.0, -0.3, 2.0, 6.0),))
    plain, lit = (
        render_case(a, PHANTOM_CONTRASTS["T2w"], SITES["A"], np.random.default_rng(0), view=View((20, 20, 12)))
        for a in (anatomy, lesion)
    )
    middle = plain.grid.shape[2] // 2
    cord = plain.binary[:, :, middle] > 0
    assert lit.image[:, :, middle][cord].mean() > plain.image[:, :, middle][cord].mean() * 1.05


# ---- labels ---------------------------------------------------------------------------------------------------


def test_discs_lie_on_the_cord_in_order(cases: dict[str, Rendering]) -> None:
    for name, case in cases.items():
        found = {int(case.discs[tuple(p)]): p for p in np.argwhere(case.discs)}
        assert {2, 3, 4} <= set(found), name
        assert sum(case.discs.ravel() > 0) == len(found), name
        heights = [found[label][2] for label in sorted(found)]
        assert all(a > b for a, b in pairwise(heights)), name
        for i, j, k in found.values():
            section = np.argwhere(case.soft[:, :, k] > 0.5)
            offset = (section.mean(axis=0) - [i, j]) * case.grid.spacing_mm[:2]
            # Half a voxel of rounding, twice, and half a thick slice times the cord's tilt.
            rounding = 0.25 + np.array(case.grid.spacing_mm[:2]) / 2
            assert (np.abs(offset) < rounding + 0.5 * case.grid.spacing_mm[2] * 0.35).all(), name


def test_levels_cover_c2_and_c3(cases: dict[str, Rendering]) -> None:
    for name, case in cases.items():
        truth = case.truth
        assert {2, 3} <= set(truth["level"]), name
        thickness = case.grid.spacing_mm[2]
        for level in (2, 3):
            rows = truth[truth["level"] == level]
            assert 10 < len(rows) * thickness < 25, name
        assert truth["level"].iloc[-1] in (0, 2), name


def test_everything_lies_on_the_grid(cases: dict[str, Rendering]) -> None:
    for case in cases.values():
        for array in (case.image, case.soft, case.binary, case.rater, case.discs):
            assert array.shape == case.grid.shape
        assert case.soft.min() >= 0
        assert case.soft.max() == 1
        assert case.image.dtype == np.int16


# ---- contrast -------------------------------------------------------------------------------------------------


def test_contrast_order(cases: dict[str, Rendering]) -> None:
    brighter = {"T2w": True, "T2star": True, "T1w": False, "MToff": False, "DWI": False}
    for name, csf_is_brighter in brighter.items():
        signals = PHANTOM_CONTRASTS[name].signals()
        assert (signals[Tissue.CSF] > signals[Tissue.WHITE]) is csf_is_brighter, name
    assert PHANTOM_CONTRASTS["T2star"].signals()[Tissue.GREY] > 1.05  # the butterfly is bright
    assert PHANTOM_CONTRASTS["T1w"].signals()[Tissue.GREY] < 1.1
    # The saturation pulse takes more from the cord than from CSF.
    on, off = (PHANTOM_CONTRASTS["MTon"].signals(p)[Tissue.CSF] for p in
               (PHANTOM_CONTRASTS["MTon"].protocol, replace(PHANTOM_CONTRASTS["MTon"].protocol, mt=False)))  # fmt: skip
    assert on > off


def test_contrast_shows_in_the_images(cases: dict[str, Rendering], anatomy: Anatomy) -> None:
    for name, csf_is_brighter in {"T2w": True, "T1w": False}.items():
        case = cases[name]
        cord = case.image[case.soft == 1].mean()
        # A shell of CSF: just outside the cord, inside the sac.
        x, y, z = case.grid.points()
        at = localise(anatomy, x, y, z)
        t = anatomy.tables
        u, v = (at.u - t.sac_u[at.index]) / t.sac_a[at.index], (at.v - t.sac_v[at.index]) / t.sac_b[at.index]
        front = (np.hypot(u, v) < 0.75) & (case.soft.ravel() == 0) & (at.v > 0)
        csf = case.image.ravel()[front].mean()
        assert csf > 1.3 * cord if csf_is_brighter else csf < 0.7 * cord, name


def test_raters_draw_t2w_larger_than_t1w(anatomy: Anatomy) -> None:
    ratios = {}
    for name in ("T1w", "T2w"):
        made = [
            render_case(anatomy, PHANTOM_CONTRASTS[name], SITES["A"], np.random.default_rng(k), view=View((18, 20, 20)))
            for k in range(6)
        ]
        ratios[name] = np.mean([c.rater.sum() / c.soft.sum() for c in made])
    assert ratios["T2w"] / ratios["T1w"] == pytest.approx(1.08, abs=0.02)


# ---- training volumes -----------------------------------------------------------------------------------------


def test_synth_volumes_are_usable() -> None:
    for k in range(3):
        volume = render_synth(np.random.default_rng(k))
        assert volume.image.shape == volume.mask.shape
        assert set(np.unique(volume.mask)) == {0, 1}
        assert volume.image.max() > volume.image.min() >= 0
        assert np.abs(np.diag(volume.affine)[:3] - 1).max() == 0
        # Something of the cord's length is inside: 10 slices of 30 mm2 at least.
        assert volume.mask.sum() > 300


def test_random_signals_leave_an_edge() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        signals = draw_signals(rng)
        assert signals[Tissue.WHITE] == 1
        assert 0.8 <= signals[Tissue.GREY] <= 1.25
        assert abs(signals[Tissue.CSF] - 1) >= 0.2 - 1e-9
        assert min(signals.values()) >= 0


@pytest.mark.parametrize("linear", [True, False])
def test_resampling_keeps_what_is_constant(*, linear: bool) -> None:
    down, up = resampling(41, 5.0, 8.0, phase=0.3, linear=linear)
    np.testing.assert_allclose(up @ (down @ np.full(41, 2.5)), 2.5, rtol=1e-5)
    assert down.shape == (6, 41)
    # A slice averages 5 samples, not 8.
    assert (down > 0.1).sum(axis=1).max() <= 6


# ---- seeds ----------------------------------------------------------------------------------------------------


def test_same_seed_same_case(anatomy: Anatomy, cases: dict[str, Rendering]) -> None:
    again = render_case(anatomy, PHANTOM_CONTRASTS["MTon"], SITES["A"], np.random.default_rng(3), view=View(SMALL_MM))
    for name in ("image", "soft", "rater", "discs"):
        np.testing.assert_array_equal(getattr(again, name), getattr(cases["MTon"], name))
    other = render_case(anatomy, PHANTOM_CONTRASTS["MTon"], SITES["A"], np.random.default_rng(4), view=View(SMALL_MM))
    assert not np.array_equal(other.image, again.image)


def test_seeds_depend_on_names_alone() -> None:
    cohort = find_cohort("demo")
    a, b, c = (generator_of(cohort, *k).integers(2**62) for k in (("sub-x", "T1w"), ("sub-x", "T2w"), ("sub-y", "T1w")))
    assert len({a, b, c}) == 3
    assert generator_of(cohort, "sub-x", "T1w").integers(2**62) == a


def test_growth_only_appends() -> None:
    cohort = find_cohort("demo")
    r1, r2 = (participants_of(cohort, cohort.revisions[r]) for r in ("r1", "r2"))
    frozen1, frozen2 = ([p for p in r if p.frozen] for r in (r1, r2))
    assert frozen1 == frozen2
    assert {p.participant for p in r1} < {p.participant for p in r2}
    grown = {p.participant: p for p in r2}
    for person in r1:
        assert replace(grown[person.participant], contrasts=person.contrasts) == person
    assert {p.site for p in frozen1} == set(SITES)
    assert sum(p.synth for p in r2) == 100
