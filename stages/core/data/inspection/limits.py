"""Limits of the params on the grid of an image: obliqueness and voxel sizes."""

from __future__ import annotations

from ...images.fault import Fault, error, warning
from ...images.header import Header
from .settings import Check


def faults_of_limits(header: Header, params: Check) -> list[Fault]:
    """Return what of the grid of an image lies outside the limits of the params."""
    faults: list[Fault] = []
    if header.obliqueness_deg > params.oblique_deg:
        say = f"has a voxel axis that is turned {header.obliqueness_deg:.1f} degrees away from the nearest scanner axis"
        faults.append(warning("oblique", say, f"at most {params.oblique_deg:g} degrees", header.obliqueness_deg))
    least, largest = params.spacing_mm
    outside = [size for size in header.spacing_mm if not least <= size <= largest]
    if outside:
        sizes = " x ".join(f"{size:g}" for size in header.spacing_mm)
        say = f"has voxels of {sizes} mm"
        faults.append(error("spacing", say, f"{least:g} to {largest:g} mm along each axis", outside[0]))
    return faults
