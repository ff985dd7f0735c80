"""How often the survey of inputs calls a random split a shift, and how often it finds a shift that was put in.

Generated people are rendered in T1w and T2w once as they are, and once for each shift. Each trial splits them at random
into two groups; for a shift, the second group is taken from the shifted images. Printed is the share of trials in which
any feature differs (adjusted p at most 0.05), with its 95 % interval. Not a test: run it with ``make bench-inputs``.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from tqdm import tqdm

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from stages.core.data.datasets.image_features import IMAGE_FEATURES  # noqa: E402
from stages.core.data.inspection.features import image_features  # noqa: E402
from stages.core.drift.statistics.input_shift import input_shifts  # noqa: E402
from stages.core.images.volumes import Volume  # noqa: E402
from stages.core.phantom.acquisition.contrasts import PHANTOM_CONTRASTS  # noqa: E402
from stages.core.phantom.acquisition.scanner import Scanner  # noqa: E402
from stages.core.phantom.dataset.cohort import (  # noqa: E402
    SITES,
    Revision,
    anatomy_of,
    find_cohort,
    generator_of,
    participants_of,
)
from stages.core.phantom.rendering.render import render_case  # noqa: E402
from stages.core.phantom.rendering.scene import texture_fields  # noqa: E402

CONTRASTS = ("T1w", "T2w")
SHIFTS = ("noise x 1.25", "noise x 1.5", "blur x 1.5", "bias field x 3", "age + 15 years")
#: People in the first and in the second group.
SIZES = ((18, 6), (40, 20))
ALPHA = 0.05


def scanner_of(site: str, shift: str) -> Scanner:
    """Return the scanner of a site, changed by a shift."""
    scanner, factor = SITES[site], float(shift.rpartition(" ")[2]) if " x " in shift else 1.0
    for name, field in (("noise", "noise"), ("blur", "blur"), ("bias field", "bias")):
        if shift.startswith(name):
            return replace(scanner, **{field: factor * getattr(scanner, field)})
    return scanner


def features_of(shift: str, number: int) -> list[dict[str, object]]:
    """Render one person with a shift and return a row for each contrast."""
    cohort = find_cohort("demo")
    person = participants_of(cohort, Revision(0, (), number + 1, CONTRASTS))[number]
    anatomy = anatomy_of(cohort, person)
    fields = texture_fields(anatomy.texture_seed)
    rows = []
    for contrast in CONTRASTS:
        rng = generator_of(cohort, person.participant, contrast)
        case = render_case(
            anatomy, PHANTOM_CONTRASTS[contrast], scanner_of(person.site, shift), rng, view=cohort.view, fields=fields
        )
        image = Volume(np.asarray(case.image, dtype=np.float32), case.grid.affine)
        who = {"dataset": "d", "participant": person.participant, "contrast": contrast, "sex": person.sex}
        who |= {"manufacturer": SITES[person.site].manufacturer}
        age = person.age + 15 * shift.startswith("age")
        rows.append(who | {"age_years": age} | image_features(image, np.asarray(case.binary) > 0))
    return rows


def rate(plain: pd.DataFrame, moved: pd.DataFrame, sizes: tuple[int, int], trials: int, seed: int) -> tuple[int, str]:
    """Return in how many random splits a feature differs, and the features that differ most often."""
    people = plain["participant"].unique()
    rng = np.random.default_rng(seed)
    found, named = 0, pd.Series(dtype=int)
    for trial in range(trials):
        chosen = rng.permutation(people)[: sum(sizes)]
        a, b = chosen[: sizes[0]], chosen[sizes[0] :]
        table = pd.concat([plain[plain["participant"].isin(a)], moved[moved["participant"].isin(b)]], ignore_index=True)
        groups = (list(IMAGE_FEATURES), ["age_years"], ["manufacturer", "sex"])
        shifts = input_shifts(table, table["participant"].isin(b).tolist(), *groups, 999, trial)
        differing = shifts.loc[shifts["p_holm"] <= ALPHA, "feature"]
        found += bool(len(differing))
        named = named.add(differing.value_counts(), fill_value=0)
    often = ", ".join(str(name) for name in named.sort_values(ascending=False).index[:3])
    return found, often


def main() -> None:
    """Render, split, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200, help="for each line (default: %(default)s)")
    parser.add_argument("--people", type=int, default=60, help="(default: %(default)s)")
    options = parser.parse_args()
    tables = {}
    with ProcessPoolExecutor(2) as pool:
        for shift in ("none", *SHIFTS):
            numbers = range(options.people)
            rows = tqdm(pool.map(partial(features_of, shift), numbers), total=options.people, desc=shift)
            tables[shift] = pd.DataFrame([row for person in rows for row in person])
    print(f"\n{options.trials} random splits each, {len(IMAGE_FEATURES) + 3} features, adjusted p <= {ALPHA}")
    print(f"{'shift':16s} {'people':>8s}  called a shift (95 % interval)   most often in")
    for sizes in SIZES:
        for seed, (shift, moved) in enumerate(tables.items()):
            found, often = rate(tables["none"], moved, sizes, options.trials, seed)
            low, high = binomtest(found, options.trials).proportion_ci(method="exact")
            share = f"{found / options.trials:6.1%} ({low:.1%} to {high:.1%})"
            print(f"{shift:16s} {sizes[0]:4d}/{sizes[1]:<3d}  {share:32s} {often}", flush=True)


if __name__ == "__main__":
    main()
