"""Painted anatomies: every place occurs, the cord ends at conus and head, and what is far from it holds none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.core.phantom.acquisition.tissues import Tissue
from stages.core.phantom.anatomy.draw import draw_anatomy, extend_anatomy
from stages.core.phantom.anatomy.geometry import Anatomy
from stages.core.phantom.anatomy.local import cord_distance, localise
from stages.core.phantom.rendering.painted import draw_place, paint_tissue_map

SIZE = (40, 44, 36)


def _with_conus(tip_mm: float, length_mm: float) -> Anatomy:
    an = extend_anatomy(draw_anatomy(np.random.default_rng(5)))
    assert an.ends is not None
    return replace(an, ends=replace(an.ends, conus_s_mm=tip_mm, conus_mm=length_mm, taper=0.0))


def test_the_same_number_paints_the_same_map_and_another_paints_another() -> None:
    maps = [paint_tissue_map(np.random.default_rng([1, k]), SIZE) for k in (0, 0, 1)]
    np.testing.assert_array_equal(maps[0].shares, maps[1].shares)
    np.testing.assert_array_equal(maps[0].distance, maps[1].distance)
    assert (maps[0].shares != maps[2].shares).any()


def test_where_the_map_has_cord_it_is_painted_with_the_tissues_of_the_cord() -> None:
    seen = 0
    for k in range(6):
        painted = paint_tissue_map(np.random.default_rng([2, k]), SIZE)
        inside = painted.distance < -100  # more than a millimetre inside
        tissues = [Tissue.WHITE, Tissue.GREY, Tissue.LESION, Tissue.CSF]  # fluid: the fissure
        share = painted.shares[tissues].sum(axis=0, dtype=int)[inside]
        seen += inside.sum()
        assert (share > 240).all()
    assert seen > 1000


def test_all_places_are_drawn_about_as_often_as_they_should() -> None:
    rng = np.random.default_rng(0)
    places = [draw_place(rng) for _ in range(400)]
    neck = sum(place.anatomy.ends is None for place in places)
    conus = sum(place.anatomy.ends is not None and place.anatomy.ends.conus_s_mm is not None for place in places)
    far = sum(float(np.hypot(*place.away_mm)) > 44.9 for place in places)
    ill = sum(bool(p.anatomy.compressions or p.anatomy.lesions or p.anatomy.thinnings) for p in places)
    assert 130 < neck < 190
    assert 40 < conus < 80
    assert 40 < far < 90
    assert ill > 60


@pytest.mark.parametrize("length", [20.0, 50.0])
def test_the_area_of_the_conus_falls_in_a_line_to_its_tip_and_is_undefined_below(length: float) -> None:
    an = _with_conus(-120.0, length)
    above = an.csa(np.array([-120.0 + length + 1]))[0]
    s = np.array([-120.0 + 0.25 * length, -120.0 + 0.5 * length])
    np.testing.assert_allclose(an.csa(s), above * np.array([0.25, 0.5]), rtol=0.02)
    assert np.isnan(an.csa(np.array([-120.5, -200.0]))).all()


def test_below_the_conus_no_point_lies_in_the_cord() -> None:
    an = _with_conus(-120.0, 30.0)
    s = np.linspace(-160, -95, 66)
    x, y, z = an.centre(s).T
    inside = cord_distance(an, localise(an, x, y, z)) < 0
    np.testing.assert_array_equal(inside, s > -120.0)
