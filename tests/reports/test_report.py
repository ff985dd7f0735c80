"""The report: what it says, what it escapes, and that it stands alone."""

from __future__ import annotations

import base64
import html
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.cords import Workspace, cord, digest_of_folder, keep_as_prior

from stages import compare, measure, report
from stages.core.base.files import read_csv, read_json, write_csv, write_json
from stages.core.data.datasets.manifest import read_manifest
from stages.core.drift.record.record import read_drift
from stages.core.images.volumes import Volume
from stages.core.measures.kept_masks.writer import keep_masks
from stages.core.model.segmentation.predictions import read_shards
from stages.core.pages.canvas import png_bytes
from stages.core.reports.drift_report.contours import Panel, contour_figure, gallery_figure
from stages.core.reports.drift_report.wording import number
from stages.core.reports.drift_report.worst import worst_cases
from stages.core.store.run_content import Artifact
from stages.core.tables.resources import RESOURCES_COLUMNS, by_contrast, read_by_contrast

pytestmark = pytest.mark.slow

GROWN = {"T1w": 0.1, "T2w": -0.1, "T2star": 0.2, "MTon": 0.1, "MToff": 0.3, "DWI": 0.0}

FIGURES = {
    "bias", "bland_altman", "csa", "csa_std", "dice", "line", "matrix", "subgroups", "trend", "worst", "worst_ten",
}  # fmt: skip


def make(root: Path, people: Sequence[str] = ("sub-a", "sub-b", "sub-c")) -> Workspace:
    """A workspace in which v2 was compared with v1; the current directory must be ``root``."""
    workspace = Workspace(root, people)
    workspace.segment("b" * 64, GROWN)
    measure.main()
    keep_as_prior(workspace, "b" * 64)
    workspace.params["register"]["label"] = "v2"
    workspace.write_params()
    workspace.segment("d" * 64, 0.2)
    measure.main()
    compare.main()
    return workspace


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A finished workspace, for tests that only look, and to copy from."""
    root = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        made = make(root)
        report.main([])
    return made


@pytest.fixture
def finished(template: Workspace) -> Path:
    return template.root


@pytest.fixture
def workspace(template: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy to change, as current directory."""
    monkeypatch.chdir(tmp_path)
    return template.copy(tmp_path)


def page(root: Path = Path()) -> str:
    return (root / "reports/report/index.html").read_text(encoding="utf-8")


def text_of(source: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", source, flags=re.S))


def test_the_first_thing_said_is_what_moved(finished: Path) -> None:
    pooled = read_drift(finished / "reports/compare/drift.json").priors[0].pooled
    assert pooled is not None
    heading = text_of(re.search(r"<h1>(.*?)</h1>", page(finished), re.S)[1])  # type: ignore[index]
    assert f"v2 measures the cord {pooled.bias_mm2:.2f} mm² larger than v1 at C2-C3" in heading
    assert f"95 % interval {pooled.ci_low_mm2:.2f} to {pooled.ci_high_mm2:.2f} mm²; n = 3" in heading
    text = text_of(page(finished))
    assert "lies outside the pooled margin of ±0.65 mm²" in text
    assert text.index("drift: drifted") < text.index("v2 measures the cord"), "the verdict comes first"
    assert "None: every case of v2 has a CSA at C2-C3." in text


def test_agreement_person_by_person(finished: Path) -> None:
    """The page shows the rows of the table, and the figure has its cases beside it."""
    table = read_csv(finished / "reports/compare/concordance.csv", text=("prior", "contrast")).set_index("contrast")
    pooled = table.loc["pooled"]
    said = text_of(page(finished))
    assert f"{number(pooled['limit_lower_mm2'])} to {number(pooled['limit_upper_mm2'])}" in said
    assert f"{number(pooled['ccc'], 3)} {number(pooled['ccc_low'], 3)} to {number(pooled['ccc_high'], 3)}" in said
    cases = read_csv(finished / "reports/report/figures/bland_altman.csv", text=("participant", "contrast"))
    mean = cases.loc[cases["contrast"] == "T2w", "difference"].mean()
    limits = table.loc["T2w", ["limit_lower_mm2", "limit_upper_mm2"]]
    assert len(cases) == 18
    assert mean == pytest.approx(float(limits.mean()))


def test_how_it_was_trained_is_told(workspace: Workspace) -> None:
    cases = [{"case": "a", "dataset": "d", "participant": "p", "contrast": "T1w", "image_key": "k", "mask_key": "m"}]
    data = {"cases": cases, "folds": [{"train": ["a"], "val": []}], "datasets": {"d": {"tag": "r1", "commit": "c"}}}
    write_json(Path("data/package/training_data.json"), data)
    curve = {"epoch": [0, 1], "train_loss": [0.5, 0.2], "val_loss": [0.6, 0.3], "dice": [0.1, 0.9], "seconds": 3.0}
    write_csv(Path("data/package/fold_0/progress.csv"), pd.DataFrame(curve))
    report.main([])
    said = text_of(page())
    assert "How v2 was trained" in said
    assert "fold 0 trains on 1 image of 1 participant, validates on 0 images" in said
    assert read_csv(Path("reports/report/figures/training.csv"))["dice"].tolist() == [0.1, 0.9]


def test_what_the_segmentation_took_is_told_by_version_and_contrast(workspace: Workspace) -> None:
    assert "What the segmentation took" not in page(), "it was not timed"
    rows = [
        ["set", "sub-a", "", "T1w", "openvino", "cpu", 0.04, 1.0, 700],
        ["set", "sub-b", "", "T1w", "openvino", "cpu", 0.06, 4.0, 900],
        ["set", "sub-c", "", "T1w", "openvino", "cpu", 0.06, 2.0, 800],
        ["set", "sub-a", "", "T2w", "torch", "cuda", 1.0, 0.25, 500],
    ]
    for shard, own in enumerate((rows[:2], rows[2:])):
        table = pd.DataFrame(own, columns=list(RESOURCES_COLUMNS))
        write_csv(Path(f"reports/segment/set/{shard}/resources.csv"), table)
    before = by_contrast(
        pd.DataFrame([["set", "sub-a", "", "T2w", "torch", "cpu", 1.0, 30.0, 3000]], columns=table.columns)
    )
    write_csv(Path(f"reports/history/{'b' * 12}/resources.csv"), before)
    report.main([])
    table = read_by_contrast(Path("reports/report")).set_index("contrast")
    assert table.loc["T1w"].tolist() == [3, "openvino", "cpu", 0.06, 2.0, 4.0, 900]
    said = text_of(page())
    assert "v1 1 images torch, cpu – 30.00 (30.00) – – – – 100 % 3000" in said
    assert "v2 4 images openvino, cpu; torch, cuda 2.00 (4.00) 0.25 (0.25) – – – – 53 % 900" in said


def test_an_acceptance_and_what_is_left_out_are_told(workspace: Workspace) -> None:
    history = Path("reports/history/priors.json")
    left_out = [{"label": "v2-try", "digest": "e" * 64, "frozen": "x", "why": "a trial"}]
    accepted = [{"who": "Ada <b>", "when": "2026-01-02T10:00:00+00:00", "why": "new coil"}]
    write_json(history, read_json(history) | {"left_out": left_out, "accepted": accepted})
    compare.main()
    report.main([])
    said = page()
    assert "Use v2: Ada &lt;b&gt; accepted it on 2026-01-02 (new coil)." in said
    assert "gate: accepted by a person" in said
    assert "Not in the series: v2-try (a trial)." in said


def test_it_stands_alone(finished: Path) -> None:
    """No link to a file or a server: every picture is inside, and is one of the figures beside the page."""
    source = page(finished)
    sources = re.findall(r'(?:src|href)="([^"]*)"', source)
    assert len(sources) == len(FIGURES)
    figures = {path.read_bytes() for path in (finished / "reports/report/figures").glob("*.png")}
    assert {base64.b64decode(s.removeprefix("data:image/png;base64,")) for s in sources} == figures
    assert not re.search(r"https?://|<script|@import|url\(", source)


def test_every_figure_has_its_numbers(finished: Path) -> None:
    folder = finished / "reports/report/figures"
    names = {path.stem for path in folder.glob("*.png")}
    assert names == FIGURES == {path.stem for path in folder.glob("*.csv")}
    assert len(read_csv(folder / "bias.csv")) == 7
    dice = read_csv(folder / "dice.csv")
    assert {(row.label, row.version) for row in dice.itertuples()} == {("v1", "b" * 64), ("v2", "d" * 64)}


def test_nothing_in_it_depends_on_the_day(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished)
    before = digest_of_folder(finished / "reports/report")
    report.main([])
    assert digest_of_folder(finished / "reports/report") == before
    for path in (finished / "reports/report/figures").glob("*.png"):
        assert b"tEXt" not in path.read_bytes()[:200]


def test_provenance_is_there(finished: Path) -> None:
    summary = read_json(finished / "reports/measure/summary.json")
    text = text_of(page(finished))
    for value in (summary["bundle"], summary["inference"], summary["ruler"], summary["frozen"], "±0.65 mm²", "r1"):
        assert value in text


def test_names_from_data_are_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    workspace = make(tmp_path, ("sub-<script>alert(1)<&>",))
    workspace.params["report"]["title"] = "<b>drift</b>"
    workspace.write_params()
    report.main([])
    source = page()
    assert "<script" not in source
    assert "<b>" not in source
    assert "&lt;b&gt;drift&lt;/b&gt;" in source
    assert "To look at: sub-&lt;script&gt;alert(1)&lt;&amp;&gt;" in source


def test_a_failed_case_is_shown_first(workspace: Workspace) -> None:
    workspace.segment("d" * 64, 0.2, failed=[("sub-b", "T2star"), ("sub-b", "DWI")])
    Path("data/clones/set/sub-b/anat/sub-b_DWI.nii.gz").write_bytes(b"not an image")
    measure.main()
    compare.main()
    report.main([])
    text = text_of(page())
    assert "To look at: sub-b" in text
    assert "2 failed contrast(s)" in text
    assert "2 of 18" in text
    assert re.search(r"Failures, and .* sub-b DWI failed \d+\.\d mm² sub-b T2star failed \d+\.\d mm² ", text)


def test_all_predictions_may_fail(workspace: Workspace) -> None:
    workspace.segment("d" * 64, 0.2, failed=[(sub, contrast) for sub in workspace.people for contrast in GROWN])
    measure.main()
    compare.main()
    report.main([])
    assert "have no participant in common" in text_of(page())
    assert "18 of 18" in text_of(page())


def test_the_first_version_has_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    workspace = Workspace(tmp_path, ("sub-a",))
    workspace.no_reference = {"DWI"}
    workspace.write_dataset()
    workspace.segment("b" * 64, 0.1)
    measure.main()
    compare.main()
    report.main([])
    text = text_of(page())
    assert "v1 is the first version of this series." in text
    assert "Bias," not in text
    assert "no reference" in text


def test_other_rulers_are_named_and_not_compared(workspace: Workspace) -> None:
    path = Path("reports/history/bbbbbbbbbbbb/summary.json")
    write_json(path, {**read_json(path), "ruler": "0" * 64})
    compare.main()
    report.main([])
    text = text_of(page())
    assert "v2 cannot be compared with any of its 1 earlier version(s)." in text
    assert "shown, judges nothing. It was measured with another ruler (000000000000" in text


def test_old_contours_are_drawn_where_the_masks_are_kept(workspace: Workspace, tmp_path: Path) -> None:
    """The prior's masks come from its kept zip; without it, or with a broken one, the picture has the new ones only."""
    without = (Path("reports/report/figures/worst_ten.png")).read_bytes()
    workspace.segment("b" * 64, GROWN)
    manifests = [read_manifest(Path("data/fetch/set.json"))]
    members = keep_masks(manifests, read_shards(Path("reports/segment"), ["set"], [0, 1]), list(GROWN), tmp_path)
    folder = Path("reports/history/bbbbbbbbbbbb")
    artifact = Artifact("masks.zip", members=tuple(members))
    shutil.copyfile(artifact.file(tmp_path), folder / "masks.zip")
    row = read_json(Path("reports/history/priors.json"))["priors"][0] | {"masks": artifact.digest()}
    workspace.write_priors([row])
    workspace.segment("d" * 64, 0.2)
    report.main([])
    assert "pink" in text_of(page())
    drawn = Path("reports/report/figures/worst_ten.png").read_bytes()
    assert drawn != without
    (folder / "masks.zip").write_bytes(b"no zip")
    report.main([])
    assert Path("reports/report/figures/worst_ten.png").read_bytes() == without


def test_anatomy_can_be_left_out(workspace: Workspace) -> None:
    """No grey value of an image is in any panel: the contours stand on black, in the page and in both figures."""
    del workspace
    panel = Panel("T2w", cord((1.0, 1.0, 2.0), 9), cord((1.0, 1.0, 2.0), 9), None, None)
    for draw in (contour_figure, gallery_figure):
        shown = [axes.images[0].get_array() for axes in draw([panel], anatomy=True).axes if axes.images]
        left = [axes.images[0].get_array() for axes in draw([panel], anatomy=False).axes if axes.images]
        assert all(np.ptp(np.asarray(plane)) > 0 for plane in shown)
        assert not any(np.asarray(plane).any() for plane in left)
    shutil.copytree("reports/measure", "data/monitored/real-cord")
    Path("data/monitored/real-cord/sub.png").write_bytes(png_bytes(contour_figure([panel])))
    report.main(["--no-images"])
    assert len(re.findall(r"<img", page())) == len(FIGURES), "pictures of monitored images are left out"


def test_the_worst_come_first() -> None:
    """A failure, then by Dice; without references by how far the area moved."""
    case = {"dataset": "set", "session": "", "contrast": "T1w", "flags": "", "dice": np.nan}
    table = pd.DataFrame(
        [
            {**case, "participant": "sub-a", "dice": 0.9},
            {**case, "participant": "sub-b"},
            {**case, "participant": "sub-c", "flags": "check:oblique;failed", "dice": np.nan},
            {**case, "participant": "sub-d", "dice": 0.8},
            {**case, "participant": "sub-e"},
        ]
    )
    pairs = table[["dataset", "participant", "session", "contrast"]].assign(difference=[0.1, -0.5, np.nan, 0.2, 3.0])
    found = worst_cases(table, pairs)
    assert [one.key[1] for one in found] == ["sub-c", "sub-d", "sub-a", "sub-e", "sub-b"]
    assert [one.why for one in found][:2] == ["failed", "Dice 0.800, new − old 0.2 mm²"]
    assert found[4].why == "new − old −0.5 mm²"
    assert len(worst_cases(table, None, most=2)) == 2


def test_conversion_and_groups_are_told(finished: Path) -> None:
    table = read_csv(finished / "reports/compare/conversion.csv", text=("prior", "metric", "contrast"))
    pooled = table[(table["metric"] == "csa_mm2") & (table["contrast"] == "pooled")].iloc[0]
    assert pooled["slice_n"] == 3
    said = text_of(page(finished))
    assert "Conversion factors, v1 → v2" in said
    assert f"pooled 3 {pooled['factor']:.4f} {pooled['ci_low']:.4f} to {pooled['ci_high']:.4f}" in said
    assert number(pooled["slice_trend_per_cm"], 4) in said
    assert "manufacturer not said 3" in said
    months = read_csv(finished / "reports/compare/bias.csv", text=("contrast",)).set_index("contrast")
    assert number(months.loc["pooled", "atrophy_months"], 1) in said


def test_a_drift_is_told_in_units_of_the_floors(workspace: Workspace) -> None:
    way = {
        "variant": "step 0.5 instead of 0.75",
        "participants": 1,
        "n": 6,
        "lost": 1,
        "mean_mm2": -0.05,
        "mean_abs_mm2": 0.1,
    }
    seed = {"seed": "2", "bundle": "e" * 64, "n": 3, "bias_mm2": 0.2, "csa_std_difference_mm2": -1.5, "n_csa_std": 2}
    workspace.write_floor([way | {"worst_mm2": 0.3}], [seed])
    compare.main()
    report.main([])
    said = html.unescape(text_of(page()))
    record = read_drift(Path("reports/compare/drift.json"))
    assert record.priors[0].pooled is not None
    bias = abs(record.priors[0].pooled.bias_mm2)
    assert f"is {bias / 0.05:.1f} times the runner's largest mean change (0.050 mm²) and {bias / 0.2:.1f} times" in said
    assert "step 0.5 instead of 0.75 6 cases of 1 participant (1 lost) −0.050 0.100 0.300" in said
    assert "seed 2 3 0.20 −1.50 (n = 2)" in said
    margins = {row.criterion: row.margin for row in record.verdict.judges[0].criteria}
    assert margins["csa_std_mm2"] == 0.3, "what a seed moves widens no margin"


def test_monitored_profiles_of_this_bundle_are_shown(workspace: Workspace) -> None:
    for profile, bundle in (("real-cord", "d" * 64), ("older", "b" * 64)):
        shutil.copytree("reports/measure", f"data/monitored/{profile}")
        summary = read_json(Path("reports/measure/summary.json"))
        write_json(Path(f"data/monitored/{profile}/summary.json"), {**summary, "bundle": bundle})
    panel = Panel("T1w", cord((1.0, 1.0, 2.0), 9), None, None, None)
    Path("data/monitored/real-cord/contours.png").write_bytes(png_bytes(contour_figure([panel])))
    report.main([])
    text = text_of(page())
    assert "Also measured on: real-cord" in text
    assert "Also measured on: older" not in text
    assert "1 profile(s) were monitored with another bundle" in text
    assert len(re.findall(r"<img", page())) == len(FIGURES) + 1


# Pictures ----------------------------------------------------------------------------------------------------


def test_contours_lie_on_the_edge_of_the_mask() -> None:
    """The predicted contour's box is the mask's, in mm, on both views; the axial one is drawn in its slice."""
    data = np.zeros((30, 26, 12), dtype=np.float32)
    data[10:16, 8:12, 2:9] = 1
    mask = Volume(data, np.diag([0.5, 0.8, 3.0, 1.0]))
    figure = contour_figure([Panel("T2w", Volume(data * 100, mask.affine), mask, None, 4)])
    axial, sagittal = figure.axes
    for axes, spacing, start, stop in (
        (axial, (0.5, 0.8), (10, 8), (15, 11)),
        (sagittal, (0.8, 3.0), (8, 2), (11, 8)),
    ):
        size = np.array(data.shape)[[0, 1] if axes is axial else [1, 2]]
        left, right, bottom, top = axes.images[0].get_extent()
        assert (left, bottom) == pytest.approx(-0.5 * np.array(spacing))
        assert (right, top) == pytest.approx((size - 0.5) * spacing)
        vertices = axes.collections[0].get_paths()[0].vertices
        edge = np.multiply([start, stop], spacing) + np.multiply([[-0.5], [0.5]], spacing)
        assert np.array([vertices.min(axis=0), vertices.max(axis=0)]) == pytest.approx(edge)
    assert axial.get_xlim()[0] > axial.get_xlim()[1]  # the patient's right on the left
    assert sagittal.get_xlim()[0] > sagittal.get_xlim()[1]  # the front on the left
