"""The picture of a measured mask shows what was measured."""

from __future__ import annotations

import io

import matplotlib.image
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from matplotlib.text import Text
from support.cords import AP_MM, RL_MM, cord, discs_at

from stages.core.images.volumes import Volume
from stages.core.measures.morphometry.csa import measure_sections
from stages.core.measures.morphometry.levels import read_discs
from stages.core.measures.morphometry.settings import Measure
from stages.core.measures.morphometry.table import tabulate
from stages.core.measures.own_masks.picture import draw, picture

PARAMS = Measure(levels=[2, 3], coverage=0.5, stiffness_mm=4.0)
CORD = cord((0.7, 0.7, 2.0), 30, tilt_ap=12, tilt_rl=6)
DISCS = discs_at(CORD, {2: 26, 3: 18, 4: 9, 5: 2})


def drawn(mask: Volume, labels: Volume | None, image: Volume | None = None) -> Figure:
    sections = measure_sections(mask, stiffness_mm=4.0)
    discs = None if labels is None else read_discs(labels)
    return draw(mask, sections, tabulate(sections, discs, PARAMS, mask.data.shape[2]), title="sub-01", image=image)


def panels(figure: Figure) -> tuple[Axes, list[Axes], Axes]:
    side, *middle, along = figure.get_axes()
    return side, middle, along


def texts(figure: Figure) -> list[str]:
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(match=Text)]


def test_the_points_along_the_cord_are_those_of_the_table() -> None:
    _, _, along = panels(drawn(CORD, DISCS))
    csa = measure_sections(CORD, stiffness_mm=4.0).metrics["csa_mm2"]
    line = along.get_lines()[0]
    assert np.asarray(line.get_xdata(), dtype=float) == pytest.approx(csa)
    assert np.asarray(line.get_ydata(), dtype=float) == pytest.approx(2.0 * np.arange(30))
    mean = next(one for one in along.get_lines() if len(one.get_xdata()) == 2)
    assert np.asarray(mean.get_ydata(), dtype=float) == pytest.approx([2.0 * 9.5, 2.0 * 26.5]), "C2 and C3"


def test_flagged_slices_are_hollow() -> None:
    holed = Volume(CORD.data.copy(), CORD.affine)
    centre = np.argwhere(holed.data[:, :, 12] > 0).mean(axis=0).astype(int)
    holed.data[centre[0], centre[1], 12] = 0
    _, _, along = panels(drawn(holed, DISCS))
    hollow = [line for line in along.get_lines() if line.get_markerfacecolor() == "white"]
    assert [list(np.asarray(line.get_ydata(), dtype=float)) for line in hollow] == [[24.0]]


def test_cross_sections_are_of_known_levels_from_above_with_their_ellipse() -> None:
    figure = drawn(CORD, DISCS)
    _, middle, _ = panels(figure)
    titles = [axes.get_title() for axes in middle]
    assert [title.split(":")[0] for title in titles[:1] + titles[-1:]] == ["slice 26, C2", "slice 3, C4"]
    (ellipse,) = [patch for patch in middle[0].patches if isinstance(patch, Ellipse)]
    # In the slice, which cuts the leaning cord: longer than in the section by 1 / cos along each axis.
    assert ellipse.width == pytest.approx(2 * RL_MM / np.cos(np.radians(6)), rel=0.01)
    assert ellipse.height == pytest.approx(2 * AP_MM / np.cos(np.radians(12)), rel=0.02)


def test_right_and_front_are_where_a_radiologist_expects_them() -> None:
    side, middle, _ = panels(drawn(CORD, DISCS))
    left, right = middle[0].get_xlim()
    assert left > right, "the patient's right, which has the larger x, is on the left"
    left, right = side.get_xlim()
    assert left > right, "the front, which has the larger y, is on the left"


@pytest.mark.parametrize("level", ["C2", "C3", "C4"])
def test_levels_are_named(level: str) -> None:
    assert level in texts(drawn(CORD, DISCS))
    assert level not in texts(drawn(CORD, None))


def test_the_summary_says_what_the_range_is_or_why_it_is_not() -> None:
    assert any("C2-C3: CSA 91.9" in text and "18 slices" in text for text in texts(drawn(CORD, DISCS)))
    assert any("C2-C3: not measured   flags: no_levels" in text for text in texts(drawn(CORD, None)))


def test_an_empty_mask_says_so() -> None:
    empty = Volume(np.zeros_like(CORD.data), CORD.affine)
    assert "the mask is empty: nothing was measured" in texts(drawn(empty, DISCS))


def test_the_same_mask_gives_the_same_bytes_and_another_mask_another_picture() -> None:
    def png(mask: Volume, image: Volume | None = None) -> bytes:
        sections = measure_sections(mask, stiffness_mm=4.0)
        table = tabulate(sections, read_discs(DISCS), PARAMS, 30)
        return picture(mask, sections, table, title="sub-01", image=image)

    first = png(CORD)
    assert png(CORD) == first
    assert png(Volume(0.9 * CORD.data, CORD.affine)) != first
    noise = np.random.default_rng(1).random(CORD.data.shape, dtype=np.float32)
    assert png(CORD, Volume(noise, CORD.affine)) != first
    assert matplotlib.image.imread(io.BytesIO(first)).shape[:2] == (1184, 2240)


@pytest.mark.parametrize(
    "mask",
    [
        pytest.param(cord((0.5, 0.5, 5.0), 1), id="one slice"),
        pytest.param(cord((0.9, 0.9, 17.0), 3), id="three slices"),
        pytest.param(Volume(CORD.data, CORD.affine @ np.diag([-1.0, 1, 1, 1])), id="another frame"),
    ],
)
def test_unusual_masks_are_drawn(mask: Volume) -> None:
    _, middle, _ = panels(drawn(mask, None))
    expected = min(6, len(measure_sections(mask, stiffness_mm=4.0).index))
    assert sum(axes.get_title() != "" for axes in middle) == expected
