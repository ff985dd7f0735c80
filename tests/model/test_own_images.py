"""`cordrift segment` on images of any folder: names, sidecars, a second run, bad images among good ones, measures."""

from __future__ import annotations

import gzip
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from support.bundles import LESIONS, make_bundle
from support.own_masks import CORD, DISCS

from stages import cli, segment_files
from stages.core.base.errors import CordriftError, ImageError, SettingsError, StoreError
from stages.core.base.files import read_csv, sha256_of
from stages.core.images.volumes import Volume, read, write
from stages.core.measures.kept_masks.zips import pack
from stages.core.model.bundle.content import files_of, read_bundle
from stages.core.model.segmentation.found import Found
from stages.core.tables.columns import MEASURES_TEXT

pytestmark = pytest.mark.slow


class FakePredictor:
    """Call an image of occupancies its own soft mask, and count the volumes."""

    calls = 0

    def __init__(self, *_: object) -> None:
        """Like the real one."""

    def __call__(self, volume: Volume) -> Found:
        FakePredictor.calls += 1
        return Found(volume.data)


class Doubtful(FakePredictor):
    """Find something that speaks against each mask."""

    def __call__(self, volume: Volume) -> Found:
        return replace(super().__call__(volume), doubt="in 33 % of the slices the mask is empty")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    return make_bundle(folder / "package", folder / "scratch")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: Path) -> Path:
    """Two images, one with a BIDS name, and a bundle where a workspace has it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(bundle, tmp_path / "data/package")
    for name in ("scan.nii.gz", "study/sub-01/ses-2/dwi/sub-01_ses-2_dwi.nii.gz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, CORD.data, CORD.affine)
    monkeypatch.setattr(segment_files, "make_search", FakePredictor)
    FakePredictor.calls = 0
    return tmp_path


IMAGES = ["scan.nii.gz", "study/sub-01/ses-2/dwi/sub-01_ses-2_dwi.nii.gz"]
MASKS = ["scan_label-SC_seg.nii.gz", "sub-01/ses-2/dwi/sub-01_ses-2_dwi_label-SC_seg.nii.gz"]


def _written() -> dict[str, bytes]:
    return {p.relative_to("masks").as_posix(): p.read_bytes() for p in Path("masks").rglob("*") if p.is_file()}


def test_masks_lie_by_their_names_and_say_where_they_come_from(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    segment_files.main(IMAGES)
    assert "segment: 2 of 2 images segmented, 0 of them before (masks)" in capsys.readouterr().out
    assert {name for name in _written() if name.endswith(".gz")} == set(MASKS)
    for image, mask in zip(IMAGES, MASKS, strict=True):
        found = read(Path("masks", mask))
        assert np.array_equal(found.data, CORD.data >= 0.5)
        said = json.loads(Path("masks", mask.replace(".nii.gz", ".json")).read_text())
        assert said["Sources"] == [image]
        assert said["SourceSHA256"] == sha256_of(Path(image))
        assert said["bundle"] == read_bundle(Path("data/package")).digest
        assert (said["Threshold"], said["CordFound"], len(said["inference"])) == (0.5, True, 64)
        assert said["Seconds"] >= 0
        assert said["PeakMemoryMB"] > 50
        assert said["ShareComputed"] == 1
    assert json.loads(Path("masks/dataset_description.json").read_text())["DatasetType"] == "derivative"
    assert "*_label-SC_seg.*" in Path("masks/.bidsignore").read_text().split()


def test_a_second_run_does_only_the_rest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    segment_files.main(IMAGES[:1])
    before = _written()
    segment_files.main(IMAGES)
    assert "2 of 2 images segmented, 1 of them before" in capsys.readouterr().out
    assert FakePredictor.calls == 2
    assert {name: _written()[name] for name in before} == before
    made = Path("masks", MASKS[1])
    made.write_bytes(before[MASKS[0]])  # a person corrected it
    segment_files.main([*IMAGES, "--soft"])  # the probabilities are not there yet
    assert FakePredictor.calls == 4
    assert made.read_bytes() == before[MASKS[0]]
    segment_files.main([*IMAGES, "--soft"])
    assert FakePredictor.calls == 4
    Path("masks", MASKS[0]).unlink()  # killed between the sidecar and the mask
    segment_files.main(IMAGES)
    assert FakePredictor.calls == 5
    assert _written()[MASKS[0]] == before[MASKS[0]]


def test_bad_images_among_good_ones_cost_no_other_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("cut.nii.gz").write_bytes(gzip.compress(b"no image"))
    write(folder / "empty.nii.gz", CORD.data * 0.3, CORD.affine)
    write(folder / "black.nii.gz", np.zeros_like(CORD.data), CORD.affine)
    with pytest.raises(ImageError, match="3 of 5 images could not be segmented"):
        segment_files.main(["cut.nii.gz", "absent.nii.gz", "black.nii.gz", "empty.nii.gz", "scan.nii.gz"])
    said = capsys.readouterr()
    assert "cut.nii.gz" in said.err
    assert "absent.nii.gz" in said.err
    assert "empty.nii.gz: no cord was found; its mask is empty" in said.err
    assert "black.nii.gz" in said.err
    assert "2 of 5 images segmented" in said.out
    assert not read(Path("masks/empty_label-SC_seg.nii.gz")).data.any()
    assert json.loads(Path("masks/empty_label-SC_seg.json").read_text())["CordFound"] is False
    assert sorted(name for name in _written() if name.endswith(".gz")) == sorted(
        ["empty_label-SC_seg.nii.gz", MASKS[0]]
    )


def test_a_disk_that_is_full_costs_the_images_it_has_no_room_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full(FakePredictor):
        def __call__(self, volume: Volume) -> Found:
            if FakePredictor.calls == 0:
                FakePredictor.calls += 1
                raise OSError(28, "No space left on device")
            return super().__call__(volume)

    monkeypatch.setattr(segment_files, "make_search", Full)
    with pytest.raises(ImageError, match="1 of 2 images could not be segmented"):
        segment_files.main(IMAGES)
    assert "cordrift: scan.nii.gz: No space left on device." in capsys.readouterr().err
    segment_files.main(IMAGES)
    assert "2 of 2 images segmented, 1 of them before" in capsys.readouterr().out


def test_where_the_whole_image_was_searched_is_said_and_noted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Unsure(FakePredictor):
        def __call__(self, volume: Volume) -> Found:
            return replace(super().__call__(volume), why_whole="the coarse pass found no cord")

    segment_files.main(IMAGES[1:])
    monkeypatch.setattr(segment_files, "make_search", Unsure)
    segment_files.main(IMAGES)
    said = capsys.readouterr().err
    assert said.count("scan.nii.gz: the coarse pass found no cord; the whole image was segmented. Look at") == 1
    noted = [json.loads(Path("masks", name.replace(".nii.gz", ".json")).read_text()) for name in MASKS]
    assert [one.get("WholeImageSearched") for one in noted] == ["the coarse pass found no cord", None]


def test_what_speaks_against_a_mask_is_said_and_noted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(segment_files, "make_search", Doubtful)
    segment_files.main(IMAGES[:1])
    assert "scan.nii.gz: in 33 % of the slices the mask is empty. Look at its mask." in capsys.readouterr().err
    noted = json.loads(Path("masks", MASKS[0].replace(".nii.gz", ".json")).read_text())
    assert noted["Doubt"] == "in 33 % of the slices the mask is empty"


def test_a_doubt_reaches_the_table_and_the_page_also_of_a_mask_of_an_earlier_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    segment_files.main([*IMAGES[:1], "--soft"])
    monkeypatch.setattr(segment_files, "make_search", Doubtful)
    for _ in range(2):  # the second time both masks are there already
        segment_files.main([*IMAGES, "--qc"])
        done = capsys.readouterr()
        assert done.err.count("in 33 % of the slices the mask is empty. Look at its mask.") == 1
        assert "CSA of a slice: median" in done.out
        rows = pd.read_csv("masks/measures.csv", keep_default_na=False)
        doubted = rows["flags"].str.split(";").map(lambda flags: "check:localiser" in flags)
        assert set(rows["mask"][doubted]) == {f"masks/{MASKS[1]}".replace("_seg.", "_probseg.")}
        assert set(rows["mask"][~doubted]) == {f"masks/{MASKS[0]}".replace("_seg.", "_probseg.")}
        page = Path("masks/index.html").read_text()
        assert page.index(f"<h2>{IMAGES[1]}") < page.index(f"<h2>{IMAGES[0]}")
        assert "1 in doubt" in page
        assert page.count("in 33 % of the slices") == 1


def test_a_model_of_two_regions_gives_masks_of_both(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Both(FakePredictor):
        def __call__(self, volume: Volume) -> Found:
            return replace(super().__call__(volume), others={"lesion": 0.6 * volume.data})

    monkeypatch.setattr(segment_files, "make_search", Both)
    make_bundle(tmp_path / "both", tmp_path / "made", labels=LESIONS)
    options = ["scan.nii.gz", "--model", "both"]
    segment_files.main(options)
    assert {path.name for path in Path("masks").glob("*.nii.gz")} == {
        "scan_label-SC_seg.nii.gz", "scan_label-lesion_seg.nii.gz"
    }  # fmt: skip
    assert np.array_equal(read(Path("masks/scan_label-lesion_seg.nii.gz")).data, CORD.data >= 0.5 / 0.6)
    assert json.loads(Path("masks/scan_label-lesion_seg.json").read_text())["Threshold"] == 0.5
    assert "*_label-lesion_seg.*" in Path("masks/.bidsignore").read_text().splitlines()
    segment_files.main([*options, "--soft"])
    assert Path("masks/scan_label-lesion_probseg.nii.gz").is_file()
    Path("masks/scan_label-lesion_seg.nii.gz").unlink()
    segment_files.main([*options, "--measure"])  # of the cord
    assert Path("masks/scan_label-lesion_seg.nii.gz").is_file()
    assert "CSA of a slice: median" in capsys.readouterr().out
    assert set(pd.read_csv("masks/measures.csv")["mask"]) == {"masks/scan_label-SC_probseg.nii.gz"}


def test_with_and_without_the_localiser_masks_are_of_two_series(folder: Path) -> None:
    segment_files.main(IMAGES[:1])
    with pytest.raises(ImageError, match="1 of 1 images"):
        segment_files.main([IMAGES[0], "--whole"])
    segment_files.main([IMAGES[0], "--whole", "--force"])


def test_masks_of_a_hand_or_of_another_image_are_not_replaced_unasked(folder: Path) -> None:
    mask = Path("masks", MASKS[0])
    mask.parent.mkdir()
    mask.write_bytes(b"by hand")
    with pytest.raises(ImageError, match="1 of 1 images"):
        segment_files.main(IMAGES[:1])
    assert mask.read_bytes() == b"by hand"
    segment_files.main([*IMAGES[:1], "--force"])
    for change in (["--threshold", "0.4"], ["--step", "0.75"]):
        with pytest.raises(ImageError, match="1 of 1 images"):
            segment_files.main([*IMAGES[:1], *change])
    shutil.copyfile(folder / IMAGES[1], folder / "other.nii.gz")
    write(folder / "scan.nii.gz", CORD.data * 0.9, CORD.affine)
    before = mask.read_bytes()
    with pytest.raises(ImageError, match="1 of 1 images"):
        segment_files.main(IMAGES[:1])
    assert mask.read_bytes() == before


def test_masks_are_measured_with_the_pipelines_ruler(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "discs.nii.gz", DISCS.data, DISCS.affine)
    write(folder / "empty.nii.gz", CORD.data * 0.3, CORD.affine)
    segment_files.main(["scan.nii.gz", "empty.nii.gz", "--measure", "--discs", "discs.nii.gz"])
    table = read_csv(Path("masks/measures.csv"), text=MEASURES_TEXT)
    area = np.pi * 6.5 * 4.5
    measured = table.set_index("mask")
    assert measured.loc["masks/scan_label-SC_probseg.nii.gz", "csa_mm2"] == pytest.approx(area, rel=0.01)
    empty = measured.loc["masks/empty_label-SC_probseg.nii.gz"]
    assert (math.isnan(empty["csa_mm2"]), empty["flags"]) == (True, "check:image-clipped;failed")
    assert len(table) == 2
    assert "over 1 masks" in capsys.readouterr().out
    segment_files.main(["scan.nii.gz"])
    assert "masks/measures.csv is of an earlier run; --measure measures again" in capsys.readouterr().out
    segment_files.main(["scan.nii.gz", "empty.nii.gz", "--measure"])
    assert "over 30 slices of 1 of 2 masks; without discs" in capsys.readouterr().out
    segment_files.main(["empty.nii.gz", "--measure"])
    assert "CSA at C2-C3: no value (failed)" in capsys.readouterr().out
    assert read_csv(Path("masks/measures.csv"), text=MEASURES_TEXT)["flags"].tolist() == ["check:image-clipped;failed"]
    segment_files.main(["scan.nii.gz", "--measure"])
    assert set(read_csv(Path("masks/measures.csv"), text=MEASURES_TEXT)["scope"]) == {"slice"}


def test_the_page_shows_each_mask_and_first_those_that_are_missing(folder: Path) -> None:
    write(folder / "discs.nii.gz", DISCS.data, DISCS.affine)
    write(folder / "<b>.nii.gz", CORD.data * 0.3, CORD.affine)
    segment_files.main(["scan.nii.gz", "<b>.nii.gz", "--qc", "--discs", "discs.nii.gz"])
    page = Path("masks/index.html").read_text(encoding="utf-8")
    assert page.index("&lt;b&gt;.nii.gz") < page.index("scan.nii.gz")
    assert "1 of 2 images have a mask that could be measured" in page
    assert "no cord was found; its mask is empty." in page
    assert "CSA at C2-C3: 9" in page
    assert page.count("data:image/png;base64,") == 1
    assert [path.name for path in Path("masks/figures").iterdir()] == ["scan_label-SC_probseg.png"]
    assert "http://" not in page
    assert "https://" not in page


@pytest.mark.parametrize("name", ["dataset_description.json", ".bidsignore", "measures.csv", "index.html"])
def test_the_dataset_of_the_images_is_not_written_into(folder: Path, name: str) -> None:
    Path("study", name).write_text('{"Name": "the study", "GeneratedBy": [1]}')
    before = {path: path.read_bytes() for path in Path("study").rglob("*") if path.is_file()}
    with pytest.raises(SettingsError, match=f"study holds a {name} that cordrift did not write"):
        segment_files.main([*IMAGES[:1], "-o", "study"])
    assert {path: path.read_bytes() for path in Path("study").rglob("*") if path.is_file()} == before


def test_what_check_finds_stops_an_image_or_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong size of the voxels would give a wrong area; positions that are not known give none."""
    for name, change in (("metres", "meter"), ("nowhere", "mm")):
        image = nib.load(IMAGES[0])
        image.header.set_xyzt_units(change)
        if name == "nowhere":
            image.set_qform(None, 0)
            image.set_sform(None, 0)
        nib.save(image, f"{name}.nii.gz")
    with pytest.raises(ImageError, match="1 of 2 images could not be segmented"):
        segment_files.main(["metres.nii.gz", "nowhere.nii.gz"])
    said = capsys.readouterr().err
    assert "metres.nii.gz" in said
    assert "(check forms-missing)" in said
    assert "forms-missing" in json.loads(Path("masks/nowhere_label-SC_seg.json").read_text())["CheckWarnings"]
    assert not Path("masks/metres_label-SC_seg.nii.gz").exists()


def test_a_word_that_is_no_image_and_the_help_are_of_this_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, code, sentence in (
        (["scan"], 1, "scan is not named .nii or .nii.gz"),
        ([], 2, "name at least one IMAGE"),
        (["--help"], 0, ""),
    ):
        monkeypatch.setattr("sys.argv", ["cordrift", "segment", *words])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == code
        assert sentence in capsys.readouterr().err
    assert not Path("masks").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["study"], r"study is a folder; name the images in it: cordrift segment study/\*.nii.gz"),
        (["scan.txt"], "scan.txt is not named .nii or .nii.gz"),
        (["scan.nii.gz", "study/../scan.nii.gz"], "would both be written to scan_label-SC_seg.nii.gz"),
        (["scan.nii.gz", "--model", "absent"], "--model is 'absent', which is no folder and no zip here"),
        (["scan.nii.gz", "--discs", "d.nii.gz"], "--discs is for --measure and --qc"),
        (["scan.nii.gz", "--threads", "0"], "threads"),
        (["scan.nii.gz", "--measure", "--discs", "a", "b"], "one file, or one for each of 1"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence_and_nothing_is_written(
    folder: Path, words: list[str], sentence: str
) -> None:
    with pytest.raises(SettingsError, match=sentence):
        segment_files.main(words)
    assert not Path("masks").exists()


def test_a_zip_of_a_release_is_a_model_too_and_a_changed_one_is_refused(folder: Path, bundle: Path) -> None:
    files = files_of(bundle, read_bundle(bundle))
    pack(folder / "cordrift-bundle.zip", files)
    segment_files.main([*IMAGES[:1], "--model", "cordrift-bundle.zip"])
    assert (folder / "masks" / MASKS[0]).is_file()
    model = json.loads(files["model.json"].read_text()) | {"digest": "0" * 64}
    (folder / "model.json").write_text(json.dumps(model))
    pack(folder / "changed.zip", {**files, "model.json": folder / "model.json"})
    with pytest.raises(CordriftError, match=r"^changed.zip holds no bundle: it was changed after it was packaged"):
        segment_files.main([*IMAGES[:1], "--model", "changed.zip"])


def test_a_model_of_mlflow_that_is_not_there_is_a_sentence_and_makes_no_store(folder: Path) -> None:
    with pytest.raises(StoreError, match="MLflow has no version of 'cord' here"):
        segment_files.main([*IMAGES[:1], "--model", "cord@champion"])
    assert not (folder / "mlflow.db").exists()


def test_the_network_runs_outside_a_workspace(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the real predictor; the weights are random, so that only the form of the answer is known."""
    monkeypatch.undo()
    monkeypatch.chdir(folder / "study")
    image = "sub-01/ses-2/dwi/sub-01_ses-2_dwi.nii.gz"
    segment_files.main([image, "--model", "../data/package", "-o", "../out", "--soft"])
    stem = folder / "out/sub-01/ses-2/dwi/sub-01_ses-2_dwi_label-SC_"
    soft, mask = (read(Path(f"{stem}{kind}.nii.gz")) for kind in ("probseg", "seg"))
    assert soft.data.shape == CORD.data.shape
    assert np.array_equal(mask.data, soft.data >= 0.5)
    assert "1 of 1 images segmented" in capsys.readouterr().out
