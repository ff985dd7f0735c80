"""Turned grids and the large view: the truths stay what they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stages.core.base.errors import CordriftError
from stages.core.phantom.acquisition.contrasts import PHANTOM_CONTRASTS
from stages.core.phantom.acquisition.grid import LARGE, Grid, Pose, View
from stages.core.phantom.anatomy.draw import draw_anatomy, extend_anatomy
from stages.core.phantom.anatomy.geometry import Anatomy
from stages.core.phantom.anatomy.local import localise
from stages.core.phantom.dataset.cohort import COHORTS, SITES, anatomy_of, participants_of
from stages.core.phantom.rendering.images import render_image
from stages.core.phantom.rendering.render import cord_occupancy, disc_labels, render_case, slice_truth

pytestmark = pytest.mark.slow

#: Wide enough for a cord that crosses the view at 40 degrees.
WIDE_MM = (72.0, 80.0, 40.0)
#: Three of 16 degrees are less than the 30 altogether that a view allows; three of 17 are not.
ANGLE = st.floats(-16, 16)
TURNS = st.tuples(ANGLE, ANGLE, ANGLE)
SPACINGS = st.sampled_from([(1.0, 1.0, 1.0), (0.8, 0.8, 0.8), (0.9, 0.9, 5.0), (3.0, 0.7, 0.7)])


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return draw_anatomy(np.random.default_rng(7))


@pytest.fixture(scope="module")
def tall(anatomy: Anatomy) -> Anatomy:
    return extend_anatomy(anatomy)


def grid_of(spacing: tuple[float, float, float], turn: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Grid:
    view = View(WIDE_MM, turn_deg=turn)
    return Grid.around(view.extent_mm, spacing, view.centre_mm, view.turn)


def area_errors(an: Anatomy, grid: Grid, pose: Pose) -> NDArray[np.float64]:
    """Voxel sum of the soft mask x pixel area x cosine, relative to the analytic area, less one."""
    truth = slice_truth(an, grid, pose)
    px, py, _ = grid.spacing_mm
    area = px * py * cord_occupancy(an, grid, pose).sum(axis=(0, 1), dtype=float)
    return (area * np.cos(np.radians(truth["angle_deg"])) / truth["csa_mm2"] - 1).to_numpy()


# ---- turned grids ---------------------------------------------------------------------------------------------


@settings(max_examples=12)
@given(turn=TURNS, spacing=SPACINGS)
def test_area_times_cosine_is_the_analytic_area_straight_and_turned(
    anatomy: Anatomy, turn: tuple[float, float, float], spacing: tuple[float, float, float]
) -> None:
    pose = Pose.draw(np.random.default_rng(3))
    for grid in (grid_of(spacing), grid_of(spacing, turn)):
        # 0.3 % as for straight grids: second order in curvature, and the flat-surface ramp.
        assert np.abs(area_errors(anatomy, grid, pose)[1:-1]).max() < 0.003


@settings(max_examples=10)
@given(turn=TURNS)
def test_a_turned_grid_sees_the_participant_turned_the_other_way(
    anatomy: Anatomy, turn: tuple[float, float, float]
) -> None:
    grid = grid_of((1.0, 1.0, 1.0), turn)
    turned, straight = cord_occupancy(anatomy, grid, Pose()), replace(grid, turn=None)
    rotation = np.eye(3) if grid.turn is None else grid.turn
    np.testing.assert_allclose(turned, cord_occupancy(anatomy, straight, Pose(rotation.T)), atol=1e-5)


@settings(max_examples=15)
@given(turn=TURNS, spacing=SPACINGS)
def test_discs_lie_at_the_same_world_places(
    anatomy: Anatomy, turn: tuple[float, float, float], spacing: tuple[float, float, float]
) -> None:
    grid = grid_of(spacing, turn)
    labels = disc_labels(anatomy, grid, Pose())
    found = np.argwhere(labels)
    assert len(found) >= 2
    for voxel in found:
        world = (grid.affine @ [*voxel, 1])[:3]
        true = anatomy.centre(np.array([anatomy.discs_s_mm[int(labels[tuple(voxel)])]]))[0]
        assert np.linalg.norm(world - true) <= np.linalg.norm(spacing) / 2 + 1e-6


@settings(max_examples=15)
@given(turn=TURNS)
def test_affines_are_rotations_times_spacings_about_the_same_centre(turn: tuple[float, float, float]) -> None:
    straight, turned = grid_of((0.9, 0.9, 5.0)), grid_of((0.9, 0.9, 5.0), turn)
    matrix = turned.affine[:3, :3] / turned.spacing_mm
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)
    middle = [*(0.5 * (np.array(turned.shape) - 1)), 1]
    np.testing.assert_allclose(turned.affine @ middle, straight.affine @ middle, atol=1e-9)


def test_the_truth_of_a_turned_grid_is_that_of_the_world(anatomy: Anatomy) -> None:
    straight, turned = (slice_truth(anatomy, grid_of((1.0, 1.0, 1.0), t), Pose()) for t in ((0, 0, 0), (20.0, 0, 0)))
    # Where the cord crosses at one height, its area is one; its angle to the slices is not.
    np.testing.assert_allclose(
        np.interp(straight["z_mm"][5:-5], turned["z_mm"], turned["csa_mm2"]), straight["csa_mm2"][5:-5], rtol=1e-3
    )
    assert (turned["angle_deg"] - straight["angle_deg"]).abs().max() > 15
    about_z = slice_truth(anatomy, grid_of((1.0, 1.0, 1.0), (0, 0, 25.0)), Pose())
    np.testing.assert_allclose(about_z["angle_deg"], straight["angle_deg"], atol=1e-6)
    np.testing.assert_allclose(about_z["z_mm"], straight["z_mm"], atol=1e-6)


def test_images_turn_with_their_masks(anatomy: Anatomy) -> None:
    case = render_case(anatomy, PHANTOM_CONTRASTS["T2w"], SITES["A"], np.random.default_rng(0),
                       view=View((40, 44, 24), turn_deg=(15, -8, 10)))  # fmt: skip
    x, y, z = (case.grid.affine[:3, :3] @ np.indices(case.grid.shape).reshape(3, -1)) + case.grid.affine[:3, 3:]
    at = localise(anatomy, x, y, z)
    t = anatomy.tables
    near = np.hypot((at.u - t.sac_u[at.index]) / t.sac_a[at.index], (at.v - t.sac_v[at.index]) / t.sac_b[at.index])
    fluid = (near < 0.9) & (case.soft.ravel() == 0)  # half a millimetre of motion does not matter there
    assert fluid.sum() > 500
    assert case.image.ravel()[fluid].mean() > 1.3 * case.image[case.soft == 1].mean()


@pytest.mark.parametrize("turn", [(31, 0, 0), (-20, 20, 20), (17, 17, -16), (0, 0, 90), (float("nan"), 0, 0)])
def test_grids_that_are_turned_too_far_are_refused(turn: tuple[float, float, float]) -> None:
    with pytest.raises(CordriftError, match="at most 30 altogether"):
        _ = View(turn_deg=turn).turn
    assert View(turn_deg=(30, 0, 0)).turn is not None


# ---- the large view -------------------------------------------------------------------------------------------


def test_the_neck_of_a_large_view_is_that_of_a_small_one(anatomy: Anatomy, tall: Anatomy) -> None:
    grid = Grid.around((30, 34, 70), (1.0, 1.0, 1.0), (0, 0, 0.0))
    assert grid.axis(2).max() < tall.discs_s_mm[2] + 20
    np.testing.assert_allclose(cord_occupancy(tall, grid, Pose()), cord_occupancy(anatomy, grid, Pose()), atol=1e-3)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_cord_of_a_large_view_keeps_its_truth_from_chest_to_skull(seed: int) -> None:
    an = extend_anatomy(draw_anatomy(np.random.default_rng(seed)))
    grid = Grid.around((90, 160, 320), (1.0, 1.0, 1.0), (0.0, -20.0, LARGE.centre_mm[2]))
    truth = slice_truth(an, grid, Pose())
    inside = truth["csa_mm2"].notna().to_numpy()
    error = area_errors(an, grid, Pose())[inside]
    assert np.abs(error).max() < 0.004
    assert inside.sum() > 195
    assert inside[: inside.sum()].all(), "the cord is one piece from the bottom up"
    soft = cord_occupancy(an, grid, Pose()).sum(axis=(0, 1))
    top = an.discs_s_mm[2] + 20
    assert soft[truth["z_mm"] > top + 4].max() == 0, "no cord above the foramen magnum"
    assert truth.loc[truth["z_mm"] > top, "csa_mm2"].isna().all()
    # The chest's cord is thinner, and no slope runs away.
    assert truth["csa_mm2"].iloc[5] < 0.8 * an.csa_mm2
    assert truth["angle_deg"].max() < 45


def test_foot_points_stay_perpendicular_beyond_the_polynomials(tall: Anatomy) -> None:
    rng = np.random.default_rng(0)
    s = rng.uniform(-170, 60, 400)
    p = tall.centre(s) + rng.uniform(-15, 15, (400, 3))
    at = localise(tall, *p.T)
    offset = p - tall.centre(at.s)
    assert np.abs((offset * tall.tangent(at.s)).sum(axis=1)).max() < 2e-2
    ends = np.array([-45.0, 45.0])
    for step in (-1e-6, 1e-6):  # the curve and its slope are continuous where the polynomials end
        np.testing.assert_allclose(tall.tangent(ends + step), tall.tangent(ends), atol=1e-5)


def test_slabs_are_the_grid(tall: Anatomy) -> None:
    grid = Grid.around((6, 60, 50), (2.0, 2.0, 2.0), (0.0, 0.0, 20.0))
    slabs = grid.slabs(300)
    assert len(slabs) > 3
    assert sum(slab.shape[2] for slab in slabs) == grid.shape[2]
    np.testing.assert_allclose(np.concatenate([slab.axis(2) for slab in slabs]), grid.axis(2))


def test_head_jaw_shoulders_and_air_are_in_view(tall: Anatomy) -> None:
    """Coarse, and without noise: what lies where."""
    grid = Grid.around(LARGE.extent_mm, (4.0, 4.0, 4.0), LARGE.centre_mm)
    contrast, scanner = replace(PHANTOM_CONTRASTS["T1w"], noise=0.0), replace(SITES["A"], bias=0.0, coil=0.0, blur=0.0)
    image = render_image(tall, contrast, grid, Pose(), scanner, np.random.default_rng(0))
    dark = image < 60

    def at(x: float, y: float, z: float) -> bool:
        """Whether there is tissue at a world point."""
        i, j, k = np.rint((np.array([x, y, z]) - grid.origin_mm) / grid.spacing_mm).astype(int)
        return not dark[i, j, k]

    _, yf, zf = tall.centre(np.array([tall.discs_s_mm[2] + 20]))[0]
    assert at(20, yf + 20, zf + 90), "brain"
    assert not at(0, yf + 125, zf - 40), "air below the nose and in front of the chin"
    assert not at(90, yf, zf - 30), "air beside the neck"
    assert at(0, yf + 66, zf - 28), "tongue"
    _, yc, zc = tall.centre(np.array([tall.discs_s_mm[9]]))[0]
    assert at(85, yc - 45, zc - 30), "shoulder"
    assert not at(66, yc + 18, zc - 60), "lung"
    assert 0.4 < dark.mean() < 0.8


@pytest.mark.slow
def test_a_large_volume_is_rendered_whole() -> None:
    cohort = COHORTS["large"]
    person = participants_of(cohort, cohort.revisions["r1"])[0]
    an = anatomy_of(cohort, person)
    assert cohort.view.spacing_mm == (1.0, 1.0, 1.0)
    view = replace(cohort.view, spacing_mm=(2.0, 2.0, 2.0))  # an eighth of the voxels, painted in three slabs
    case = render_case(an, PHANTOM_CONTRASTS["T2w"], SITES[person.site], np.random.default_rng(0), view=view)
    assert case.image.shape == (96, 130, 160)
    found = set(np.unique(case.discs)) - {0}
    assert found >= set(range(2, 13))
    assert case.image[case.soft == 1].mean() > 5 * case.image[:10, -10:, -10:].mean()
