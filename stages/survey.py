"""Stage ``survey``: whether the frozen set still looks like the training data, and new data like those before."""

from __future__ import annotations

from pathlib import Path

from .core.base.errors import run
from .core.base.files import read_json, whole_folder
from .core.data.datasets.image_features import read_features
from .core.data.datasets.manifest import read_manifest
from .core.data.datasets.settings import Monitored
from .core.drift.inputs.settings import Survey
from .core.drift.inputs.survey import compare_inputs, training_rows, write_survey
from .core.drift.versions.version import CHAMPION
from .core.model.lineage.manifest import IN_BUNDLE, TrainingData, read_training_data

CHECKED, HISTORY = Path("data/check"), Path("reports/history")


def main() -> None:
    """Write reports/survey: shifts.csv and survey.json."""
    settings, monitored = Survey.read(), Monitored.read()
    training_data = read_training_data(Path("data/prepare/manifest.json"))
    training = [read_manifest(Path(f"data/fetch/{name}.json")) for name in sorted(training_data.revisions)]
    test = [read_manifest(Path(f"data/fetch/{name}.json")) for name in monitored.datasets]
    frozen = read_features(CHECKED, test)
    frozen = frozen[frozen["contrast"].isin(monitored.contrasts)]
    rows = training_rows(read_features(CHECKED, training), training_data)
    comparisons, shifts = compare_inputs(rows, frozen, _champions(), settings)
    with whole_folder(Path("reports/survey")) as part:
        write_survey(part, comparisons, shifts)
    for comparison in comparisons:
        print("\n".join(f"survey: {sentence}" for sentence in comparison.said))


def _champions() -> TrainingData | None:
    """Return what the champion before this version was trained on; None where there is none, or it does not say."""
    for prior in read_json(HISTORY / "priors.json")["priors"]:
        path = HISTORY / prior["folder"] / IN_BUNDLE
        if CHAMPION in prior["aliases"] and path.is_file():
            return read_training_data(path)
    return None


if __name__ == "__main__":
    run(main)
