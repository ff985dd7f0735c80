"""Stage ``compare``: the candidate against every prior version and the ground truth."""

from __future__ import annotations

from pathlib import Path

from stages.core.drift.compare import compare
from stages.core.drift.store import read_priors, read_version
from stages.core.errors import run
from stages.core.files import whole_folder, write_csv, write_json
from stages.core.params import load_params


def main() -> None:
    """Compare, and write the record ``drift.json`` with its tables."""
    params = load_params()
    candidate = read_version(Path("reports/measure"))
    priors, offline = read_priors(Path("reports/history"), candidate.series)
    result = compare(candidate, priors, contrasts=params.segment.contrasts, rule=params.compare, offline=offline)
    with whole_folder(Path("reports/compare")) as part:
        write_csv(part / "csa_std.csv", result.csa_std)
        write_csv(part / "csa.csv", result.csa)
        write_csv(part / "contrast_pairs.csv", result.contrast_pairs)
        write_csv(part / "bias.csv", result.bias)
        write_csv(part / "quality.csv", result.quality)
        write_csv(part / "conversion.csv", result.conversion)
        write_csv(part / "concordance.csv", result.concordance)
        write_json(part / "drift.json", result.drift)


if __name__ == "__main__":
    run(main)
