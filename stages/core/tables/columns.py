"""Columns of the tables that stages hand to each other: names, order, and which of them are text."""

from __future__ import annotations

#: Columns that name a mask.
IDENTITY = (
    "scope", "mask", "dataset", "participant", "session", "contrast", "source", "bundle", "inference", "ruler", "kind",
)  # fmt: skip
METRICS = (
    "csa_mm2", "diameter_ap_mm", "diameter_rl_mm", "ellipse_minor_mm", "ellipse_major_mm", "compression_ratio",
    "eccentricity", "orientation_deg", "solidity", "angle_ap_deg", "angle_rl_deg",
)  # fmt: skip
#: Metrics that are directions in degrees modulo 180.
AXIAL = ("orientation_deg",)
#: measures.csv, after ``schema``.
MEASURES_COLUMNS = (
    *IDENTITY, "slice", "x_mm", "y_mm", "z_mm", "level", "levels", *METRICS, "length_mm", "range_share", "n_slices",
    "coverage", "csa_sd_mm2", "flags",
)  # fmt: skip
#: Columns of measures.csv to name when it is read, so that empty cells stay empty text.
MEASURES_TEXT = (*IDENTITY, "levels", "flags")
#: agreement.csv, after ``schema``.
AGREEMENT_COLUMNS = (
    "dataset", "participant", "session", "contrast", "bundle", "inference", "dice", "rve_percent",
    "volume_prediction_mm3", "volume_reference_mm3", "assd_mm", "hd95_mm", "csa_error_mm2", "flags",
)  # fmt: skip
AGREEMENT_TEXT = ("dataset", "participant", "session", "contrast", "bundle", "inference", "flags")
