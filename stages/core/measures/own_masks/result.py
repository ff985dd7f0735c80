"""What was measured in a person's own masks, in one line."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from .measurement import MeasuredFile


def result(files: Sequence[MeasuredFile]) -> str:
    """Return the CSA of the range in one line: the value of one mask, or mean and SD of several.

    Without discs it is the median over slices. Where nothing could be measured, the line says why.

    >>> from pathlib import Path
    >>> row = {"scope": "range", "levels": "C2-C3", "csa_mm2": [78.31], "n_slices": 24, "coverage": 1.0, "flags": ""}
    >>> result([MeasuredFile(Path("seg.nii.gz"), pd.DataFrame(row))])
    'CSA at C2-C3: 78.31 mm² (24 slices, coverage 1.00)'

    Parameters
    ----------
    files : what was measured, those that failed included
    """
    rows = pd.concat([file.table[file.table["scope"] == "range"] for file in files], ignore_index=True)
    where = f"CSA at {rows['levels'].iloc[0]}"
    csa = rows["csa_mm2"].astype(float)
    slices = pd.concat([file.table[file.table["scope"] == "slice"] for file in files], ignore_index=True)
    if all({"no_levels", "failed"} & set(str(flags).split(";")) for flags in rows["flags"]) and len(slices):
        area = slices["csa_mm2"].astype(float)
        failed = sum(bool(file.problem) for file in files)
        of = f" of {len(files) - failed} of {len(files)} masks" if failed else ""
        return (
            f"CSA of a slice: median {area.median():.2f} mm² ({area.min():.2f} to {area.max():.2f}) over {len(area)} "
            f"slices{of}; without discs no level is known"
        )
    if not csa.notna().any():
        found = {flag for flags in rows["flags"] for flag in str(flags).split(";") if flag}
        reasons = sorted(flag for flag in found if not flag.startswith("check:"))  # a warning is no reason
        return f"{where}: no value ({', '.join(reasons)})"
    if len(rows) == 1:
        row = rows.iloc[0]
        flags = f", {row['flags']}" if row["flags"] else ""
        return f"{where}: {csa[0]:.2f} mm² ({int(row['n_slices'])} slices, coverage {row['coverage']:.2f}{flags})"
    spread = f", SD {csa.std(ddof=1):.2f}" if csa.count() > 1 else ""
    flagged = int((rows["flags"].astype(str) != "").sum())
    without = f", {int(csa.isna().sum())} without a value" if csa.isna().any() else ""
    return (
        f"{where}: mean {csa.mean():.2f}{spread} mm² over {csa.count()} masks "
        f"({csa.min():.2f} to {csa.max():.2f}){without}, {flagged} with flags"
    )
