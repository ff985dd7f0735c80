"""The floors: changes of CSA that another way of running and another training seed cause."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.cords import CONTRASTS, Workspace

from stages import measure
from stages.core.base.errors import CordriftError
from stages.core.base.files import read_csv, read_json, write_csv, write_json
from stages.core.data.datasets.manifest import read_manifest
from stages.core.drift.rule.settings import Compare
from stages.core.drift.versions.folders import read_version
from stages.core.drift.versions.seeds import read_seeds, same_training, seed_floor
from stages.core.images.volumes import Volume
from stages.core.measures.cohort.settings import Floor
from stages.core.measures.cohort.variants import Variant, run_variants, runner_floor, some_cases, variants
from stages.core.model.segmentation.settings import Segment
from stages.core.tables.columns import AGREEMENT_TEXT, MEASURES_TEXT
from stages.core.tables.monitored import range_csa
from stages.core.workspace.runs.other_seed import train_again
from stages.core.workspace.runs.params import load_params


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """One measured version."""
    root = tmp_path_factory.mktemp("floor")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        made = Workspace(root, ("sub-a", "sub-b"))
        made.segment("d" * 64, 0.1)
        measure.main()
    write_json(root / "data/package/provenance.json", provenance(seed=1))
    return made


@pytest.fixture
def workspace(template: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.chdir(tmp_path)
    return template.copy(tmp_path)


def provenance(**settings: object) -> dict[str, Any]:
    return {"training": {"0": {"settings": {"epochs": 3, "folds": [0], **settings}, "data": {"digest": "x"}}}}


def test_one_thing_is_changed_at_a_time(workspace: Workspace) -> None:
    settings = load_params().segment
    floor = Floor(participants=1, threads=settings.threads, step=0.5, device="cuda", backend="torch")
    found = variants(settings, floor)
    assert [variant.name for variant in found] == [
        "the same again",
        "step 0.5 instead of 0.75",
        "device cuda instead of cpu",
        "backend torch instead of openvino",
    ]
    assert found[0].settings == settings
    assert (found[1].settings.step, found[1].settings.device) == (0.5, "cpu")
    # On a GPU only torch computes, and OpenVINO only on the CPU.
    assert (found[2].settings.step, found[2].settings.device, found[2].settings.backend) == (0.75, "cuda", "torch")
    assert (found[3].settings.device, found[3].settings.backend) == ("cpu", "torch")
    back = variants(found[2].settings, floor.model_copy(update={"device": None, "backend": "openvino"}))[-1]
    assert (back.name, back.settings.device) == ("backend openvino instead of torch", "cpu")


class Fake:
    """A predictor that returns the cords of the workspace, in one contrast with semi-axes larger by ``grow`` mm."""

    def __init__(self, workspace: Workspace, grow: float) -> None:
        self.workspace, self.grow, self.calls = workspace, grow, 0

    def __call__(self, volume: Volume) -> NDArray[np.float32]:
        contrast = self.calls % len(CONTRASTS)
        self.calls += 1
        soft: NDArray[np.float32] = self.workspace._cord(0, contrast, 0.1 + (self.grow if contrast == 1 else 0.0)).data
        assert soft.shape == volume.data.shape
        return soft


def test_the_change_of_each_case_is_measured_by_the_ruler(workspace: Workspace) -> None:
    params = load_params()
    manifests = [read_manifest(Path("data/fetch/set.json"))]
    cases = some_cases(manifests, list(CONTRASTS), 1)
    assert {case.participant for _, case in cases} == {"sub-a"}
    base = range_csa(read_csv(Path("reports/measure/measures.csv"), text=MEASURES_TEXT), "prediction", "C2-C3")
    order = sorted(CONTRASTS)
    chosen = [Variant("the same", params.segment), Variant("more", params.segment.model_copy(update={"step": 0.5}))]
    cases.sort(key=lambda pair: CONTRASTS.index(pair[1].contrast))

    def make(settings: Segment) -> Fake:
        return Fake(workspace, 0.0 if settings.step == params.segment.step else 0.8)

    table = run_variants(chosen, cases, base, params.measure, make)
    assert len(table) == 2 * len(order)
    same, more = runner_floor(table)
    assert (same["n"], same["mean_mm2"], same["worst_mm2"]) == (6, 0.0, 0.0), "the same settings change nothing"
    moved = table[table["variant"] == "more"].set_index("contrast")["difference_mm2"]
    assert moved.drop("T2w").tolist() == [0.0] * 5
    # Semi-axes 6.6 and 4.6 mm grow by 0.8 mm: pi (7.4 x 5.4 - 6.6 x 4.6) mm2, up to the voxels of a binary mask.
    assert moved["T2w"] == pytest.approx(math.pi * (7.4 * 5.4 - 6.6 * 4.6), rel=0.1)
    assert (more["worst_mm2"], more["mean_mm2"]) == (moved["T2w"], pytest.approx(moved["T2w"] / 6))


def test_what_was_not_measured_has_no_floor(workspace: Workspace) -> None:
    params = load_params()
    base = range_csa(read_csv(Path("reports/measure/measures.csv"), text=MEASURES_TEXT), "prediction", "C2-C3")
    cases = some_cases([read_manifest(Path("data/fetch/set.json"))], list(CONTRASTS), 2)
    nothing = base.assign(csa_mm2=float("nan"))
    table = run_variants(
        [Variant("again", params.segment)], cases, nothing, params.measure, lambda _: Fake(workspace, 0)
    )
    assert runner_floor(table) == []
    assert some_cases([read_manifest(Path("data/fetch/set.json"))], list(CONTRASTS), 0) == []


def another_seed(workspace: Workspace, seed: str, bundle: str, grow: dict[str, float], **settings: object) -> Path:
    """Write the measures of another training into data/seeds, as `cordrift seed` does."""
    folder = workspace.root / f"data/seeds/{seed}"
    folder.mkdir(parents=True)
    kept = {path: path.read_bytes() for path in Path("reports/measure").iterdir()}
    workspace.segment(bundle, grow)
    measure.main()
    for path, content in kept.items():
        path.replace(folder / path.name)
        path.write_bytes(content)
    write_json(folder / "provenance.json", provenance(seed=int(seed), **settings))
    return folder


def test_a_seed_shows_the_changes_that_a_retraining_causes(workspace: Workspace) -> None:
    another_seed(workspace, "2", "e" * 64, dict.fromkeys(CONTRASTS, 0.1) | {"T1w": 0.9})
    another_seed(workspace, "3", "c" * 64, dict.fromkeys(CONTRASTS, 0.1), epochs=9)
    another_seed(workspace, "4", "d" * 64, dict.fromkeys(CONTRASTS, 0.1))
    candidate = read_version(Path("reports/measure"))
    seeds, others = read_seeds(Path("data/seeds"), candidate, Path("data/package"))
    rows = [seed_floor(seed, candidate, list(CONTRASTS), Compare.read()) for seed in seeds]
    assert [(row["seed"], row["n"]) for row in rows] == [("2", 2)]
    assert rows[0]["bias_mm2"] > 1.0
    assert rows[0]["csa_std_difference_mm2"] > 1.0
    assert [line.split(":")[0] for line in others] == ["3", "4"]
    assert "other data or settings" in others[0]


def test_masks_of_a_seed_that_miss_the_cord_are_no_part_of_its_floor(workspace: Workspace) -> None:
    """Their areas, which are twice as large, would move the floor by many mm2; nobody keeps four contrasts then."""
    another_seed(workspace, "2", "e" * 64, dict.fromkeys(CONTRASTS, 0.1))
    path = Path("data/seeds/2/agreement.csv")
    table = read_csv(path, text=AGREEMENT_TEXT)
    off = table["contrast"].isin(list(CONTRASTS)[:3])
    write_csv(path, table.assign(dice=table["dice"].where(~off, 0.0)))
    candidate = read_version(Path("reports/measure"))
    (seed,), _ = read_seeds(Path("data/seeds"), candidate, Path("data/package"))
    assert seed_floor(seed, candidate, list(CONTRASTS), Compare.read())["n"] == 0
    few = Compare.read().model_copy(update={"min_contrasts": 3})
    assert seed_floor(seed, candidate, list(CONTRASTS), few)["n"] == 2


def test_only_the_seed_may_differ() -> None:
    assert same_training(provenance(seed=1)) == same_training(provenance(seed=2))
    assert same_training(provenance(seed=1)) != same_training(provenance(seed=1, epochs=4))
    other = provenance(seed=1)
    other["training"]["0"]["data"] = {"digest": "y"}
    assert same_training(provenance(seed=1)) != same_training(other)
    elsewhere = provenance(seed=1)
    elsewhere["training"]["0"]["data"]["datasets"] = {"set": {"url": "../../data/set"}}
    assert same_training(provenance(seed=1)) == same_training(elsewhere)


def test_the_seed_of_params_is_not_another_seed(workspace: Workspace) -> None:
    with pytest.raises(CordriftError, match="the seed is 1 already"):
        train_again(Path(), 1)
    assert not Path(".monitor").exists()
    assert read_json(Path("data/package/provenance.json"))["training"]
