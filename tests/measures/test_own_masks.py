"""`cordrift measure MASK...` measures files of the user with the ruler of the pipeline."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from support.cords import REAL_CORD, cord
from support.data_factory import SHARED
from support.own_masks import CORD, DISCS, run, write_masks

from stages import cli, measure_files
from stages.core.base.errors import CordriftError, ImageError, SettingsError
from stages.core.base.files import read_csv
from stages.core.images.volumes import Volume, write
from stages.core.measures.morphometry.ruler import ruler_id
from stages.core.measures.morphometry.settings import Measure
from stages.core.measures.morphometry.table import measure_volume
from stages.core.measures.own_masks.measurement import Labels, measure_file
from stages.core.tables.columns import MEASURES_COLUMNS, MEASURES_TEXT

PARAMS = Measure(levels=[2, 3], coverage=0.5, stiffness_mm=4.0)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(write_masks(tmp_path))
    return tmp_path


def stored(path: Path, volume: Volume, order: str) -> None:
    """Write a volume in another storage order."""
    back = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(order))
    nib.save(nib.Nifti1Image(volume.data, volume.affine).as_reoriented(back), path)


def test_the_range_is_the_one_of_the_pipeline(place: Path) -> None:
    table = run("mask.nii.gz", "--discs", "discs.nii.gz")
    expected = measure_volume(CORD, DISCS, PARAMS)
    expected = expected[expected["scope"] == "range"].iloc[0]
    assert list(table.columns) == ["schema", *MEASURES_COLUMNS]
    assert len(table) == 1
    row = table.iloc[0]
    for name in ("csa_mm2", "csa_sd_mm2", "diameter_ap_mm", "solidity", "length_mm", "coverage"):
        assert row[name] == pytest.approx(expected[name], rel=1e-6), name  # a header holds the voxel size as float32
    assert (row["mask"], row["kind"], row["levels"], row["n_slices"]) == ("mask.nii.gz", "soft", "C2-C3", 18)
    assert row["ruler"] == ruler_id(PARAMS)


def test_rows_by_slice_and_by_level(place: Path) -> None:
    everything = measure_volume(CORD, DISCS, PARAMS)
    slices = run("mask.nii.gz", "--discs", "discs.nii.gz", "--per-slice")
    assert slices["slice"].tolist() == list(range(30))
    assert slices["csa_mm2"].to_numpy() == pytest.approx(everything["csa_mm2"].to_numpy()[:30], rel=1e-6)
    of_c3 = run("mask.nii.gz", "--discs", "discs.nii.gz", "--per-slice", "--levels", "C3")
    assert of_c3["slice"].tolist() == list(range(10, 19))
    levels = run("mask.nii.gz", "--discs", "discs.nii.gz", "--per-level")
    assert levels["level"].tolist() == [2, 3, 4]
    assert run("mask.nii.gz", "--discs", "discs.nii.gz", "--per-level", "--levels", "C3-C4")["level"].tolist() == [3, 4]
    assert run("mask.nii.gz", "--discs", "discs.nii.gz", "--levels", "C4")["levels"].tolist() == ["C4"]


def test_slices_need_no_vertebrae(place: Path) -> None:
    table = run("mask.nii.gz", "--per-slice")
    assert len(table) == 30
    assert table["level"].isna().all()


def test_a_map_of_levels_says_the_same_as_the_discs_between_them(place: Path) -> None:
    levels = np.zeros_like(CORD.data)
    for vertebra, (low, high) in {4: (3, 9), 3: (10, 18), 2: (19, 26)}.items():
        levels[:, :, low : high + 1] = np.where(CORD.data[:, :, low : high + 1] > 0, vertebra, 0)
    write(place / "map.nii.gz", levels, CORD.affine)
    by_map = run("mask.nii.gz", "--levels-map", "map.nii.gz", "--per-level")
    by_discs = run("mask.nii.gz", "--discs", "discs.nii.gz", "--per-level")
    # A map ends between slices and a disc lies in a slice, half of which is inside: the ends differ by half a slice.
    assert by_map["n_slices"].tolist() == [8, 9, 7]
    assert by_discs["n_slices"].tolist() == [9, 10, 8]
    for column in ("level", "csa_mm2", "diameter_rl_mm"):
        assert by_map[column].tolist() == pytest.approx(by_discs[column].tolist(), rel=1e-3)


@pytest.mark.parametrize("order", ["LAS", "PSR", "LPI", "ASL", "IRP"])
def test_the_storage_order_does_not_matter(place: Path, order: str) -> None:
    for name, volume in (("mask", CORD), ("discs", DISCS)):
        stored(place / f"{name}-{order}.nii", volume, order)
    other = run(f"mask-{order}.nii", "--discs", f"discs-{order}.nii", "--per-slice").drop(columns="mask")
    same = run("mask.nii.gz", "--discs", "discs.nii.gz", "--per-slice").drop(columns="mask")
    pd.testing.assert_frame_equal(other, same, rtol=1e-6, atol=1e-6)


def test_labels_of_another_grid_are_refused_and_matched_when_asked(place: Path) -> None:
    fine = np.zeros((40, 40, 60), np.float32)
    for number, height in {2: 26, 3: 18, 4: 9}.items():
        fine[5, number, 2 * height] = number
    write(place / "fine.nii.gz", fine, np.diag([1.0, 1.0, 1.0, 1.0]))
    with pytest.raises(ImageError, match=r"fine.nii.gz \(for mask.nii.gz\): mask and disc labels must lie on one grid"):
        measure_file(Path("mask.nii.gz"), Labels(Path("fine.nii.gz"), is_map=False, match_world=False), PARAMS)
    with pytest.raises(ImageError, match=r"none of 1 masks could be measured; out.csv was not written"):
        run("mask.nii.gz", "--discs", "fine.nii.gz")
    assert not Path("out.csv").exists()
    matched = run("mask.nii.gz", "--discs", "fine.nii.gz", "--match-world")
    plain = run("mask.nii.gz", "--discs", "discs.nii.gz")
    assert matched["csa_mm2"][0] == pytest.approx(plain["csa_mm2"][0], rel=1e-12)


def test_many_masks_of_which_one_cannot_be_measured(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(place / "bad.nii.gz", 255 * np.round(CORD.data), CORD.affine)
    with pytest.raises(ImageError, match="1 of 3 masks could not be measured: their rows are flagged failed"):
        run("mask.nii.gz", "bad.nii.gz", "mask.nii.gz", "--discs", "discs.nii.gz")
    table = read_csv(Path("out.csv"), text=MEASURES_TEXT)
    assert table["flags"].tolist() == ["", "failed", ""]
    assert table["csa_mm2"].isna().tolist() == [False, True, False]
    assert "bad.nii.gz has values from 0 to 255; expected values from 0 to 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["mask.nii.gz"], "which slices are which vertebra is not known: give --discs or --levels-map, or --per-slice"),
        (["mask.nii.gz", "--per-level"], "give --discs or --levels-map"),
        (["mask.nii.gz", "--pam50"], "give --discs or --levels-map"),
        (["mask.nii.gz", "--per-slice", "--levels", "C3"], "give --discs or --levels-map"),
        (["mask.nii.gz", "--discs", "discs.nii.gz", "--levels", "C9"], "levels must be vertebrae C1 to C7"),
        (["mask.nii.gz", "--discs", "discs.nii.gz", "--coverage", "0"], "'coverage' is 0.0"),
        (["mask.nii.gz", "--discs", "discs.nii.gz", "--stiffness-mm", "-1"], "'stiffness_mm' is -1.0"),
        (["mask.nii.gz", "--discs", "discs.nii.gz", "discs.nii.gz"], "must name one file, or one for each of 1 masks"),
        (["mask.nii.gz", "--discs", "mask.nii.gz"], "none of 1 masks"),
        (["absent.nii.gz", "--per-slice"], "none of 1 masks"),
    ],
)
def test_impossible_requests_are_refused(place: Path, words: list[str], sentence: str) -> None:
    with pytest.raises(CordriftError, match=sentence):
        run(*words)
    assert not Path("out.csv").exists()


def test_the_table_is_a_csv(place: Path) -> None:
    with pytest.raises(SettingsError, match=r"the table must be named .csv, not out.txt"):
        measure_files.main(["mask.nii.gz", "--per-slice", "-o", "out.txt"])


def test_labels_without_a_disc_say_so(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(place / "none.nii.gz", np.zeros_like(CORD.data), CORD.affine)
    with pytest.raises(ImageError, match="none of 1 masks"):
        run("mask.nii.gz", "--discs", "none.nii.gz")
    assert "none.nii.gz holds no disc labels of vertebrae C1 to S1" in capsys.readouterr().err


def test_an_empty_mask_is_a_flagged_row(place: Path) -> None:
    write(place / "empty.nii.gz", np.zeros_like(CORD.data), CORD.affine)
    row = run("empty.nii.gz", "--discs", "discs.nii.gz").iloc[0]
    assert (row["flags"], bool(np.isnan(row["csa_mm2"]))) == ("empty_mask", True)


def test_a_picture_of_each_mask(place: Path) -> None:
    (place / "two").mkdir()
    write(place / "two/mask.nii.gz", CORD.data, CORD.affine)
    run("mask.nii.gz", "two/mask.nii.gz", "--discs", "discs.nii.gz", "--figures", "pictures")
    assert sorted(path.name for path in Path("pictures").iterdir()) == ["001_mask.png", "002_mask.png"]
    write(place / "image.nii.gz", 100 * CORD.data[:, :, :-1], CORD.affine)
    with pytest.raises(ImageError, match="1 of 1 pictures could not be drawn"):
        run("mask.nii.gz", "--discs", "discs.nii.gz", "--figures", "p", "--images", "image.nii.gz")


def test_one_command_for_both(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With masks the command measures them; without arguments it runs the stage, which needs a workspace."""
    monkeypatch.setattr("sys.argv", ["cordrift", "measure", "mask.nii.gz", "--per-slice", "-o", "out.csv"])
    cli.main()
    assert len(read_csv(Path("out.csv"))) == 30
    monkeypatch.setattr("sys.argv", ["cordrift", "measure"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    assert "has no params.yaml" in capsys.readouterr().err


@pytest.mark.skipif(not REAL_CORD.is_dir(), reason=f"{REAL_CORD} is not there")
def test_real_masks_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    masks = sorted((REAL_CORD / "derivatives/labels").rglob("*_label-SC_seg.nii.gz"))
    discs = [str(path).replace("SC_seg", "discs_dlabel") for path in masks]
    table = run(*map(str, masks), "--discs", *discs)
    assert len(table) == 5
    assert table["csa_mm2"].between(65, 85).all()
    assert (table["kind"] == "binary").all()


CASES = SHARED / "cases"


@pytest.mark.skipif(not CASES.is_dir(), reason=f"{CASES} is not there: the cases are given material")
@pytest.mark.parametrize(
    ("case", "csa_mm2", "flags"),
    [
        ("ends-cut-square", 92.051, ""),
        ("ones-one-ulp-low", 91.84, ""),
        ("stitching-step", 91.84, "step"),
        ("stray-blob-above", 91.84, "stray"),
    ],
)
def test_cases_that_are_measured(case: str, csa_mm2: float, flags: str, place: Path) -> None:
    (row,) = run(str(CASES / case / "mask.nii.gz"), "--discs", str(CASES / case / "discs.nii.gz")).to_dict("records")
    assert row["csa_mm2"] == pytest.approx(csa_mm2, rel=5e-4)
    assert (row["flags"], row["kind"]) == (flags, "binary")


@pytest.mark.skipif(not CASES.is_dir(), reason=f"{CASES} is not there: the cases are given material")
@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("complex-mask", r"has complex64 values; expected one real number per voxel"),
        ("disc-blobs", r"disc 2 is labelled in 4 voxels .*; expected one voxel for each disc"),
        ("gz-crc", r"is truncated or damaged: CRC check failed"),
        (
            "header-axes-swapped",
            r"is 5\d mm long in a direction \d+ degrees away from the axis that its header calls",
        ),
        ("image-as-mask", r"has 221 mm2 in a section, spread over 913 mm2 \(is it an image"),
        ("mask-is-a-folder", r"is a folder; expected a file"),
        ("mask-keeps-image-slope", r"has one value besides 0, 0\.4 \(does its header keep the scaling"),
        ("sform-scale-wrong", r"voxels of 1 x 1 x 1 mm by its affine and of 0\.8 x 0\.8 x 1 mm by its pixdim"),
        ("units-micrometre", r"lengths are in microns .*; expected mm"),
    ],
)
def test_cases_that_are_refused(case: str, said: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = CASES / case
    mask = folder / "mask.nii.gz" if (folder / "mask.nii.gz").is_file() else folder
    labels = ["--discs", str(folder / "discs.nii.gz")] if (folder / "discs.nii.gz").is_file() else ["--per-slice"]
    with pytest.raises(ImageError, match="none of 1 masks could be measured"):
        run(str(mask), *labels)
    assert re.search(said, capsys.readouterr().err)
    assert not Path("out.csv").exists()


@pytest.mark.skipif(not CASES.is_dir(), reason=f"{CASES} is not there: the cases are given material")
def test_the_case_of_a_colour_file_among_masks(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = CASES / "rgb-stops-the-batch"
    with pytest.raises(ImageError, match="1 of 2 masks could not be measured"):
        run(*(str(folder / name) for name in ("mask.nii.gz", "colour.nii.gz")), "--discs", str(folder / "discs.nii.gz"))
    table = read_csv(Path("out.csv"), text=MEASURES_TEXT)
    assert table["csa_mm2"][0] == pytest.approx(91.84, rel=5e-4)
    assert table["flags"].tolist() == ["", "failed"]
    assert "colour.nii.gz has RGB values" in capsys.readouterr().err


def nifti(data: Any, affine: Any = CORD.affine, **header: Any) -> nib.Nifti1Image:
    image = nib.Nifti1Image(data, affine)
    for key, value in header.items():
        image.header[key] = value
    return image


HARD = (CORD.data >= 0.5).astype(np.float32)


def scaled(slope: float, inter: float) -> nib.Nifti1Image:
    """A 0/1 mask in whole numbers whose header scales them, as a header that was copied from an image does."""
    image = nib.Nifti1Image(HARD.astype(np.int16), CORD.affine)
    image.header.set_slope_inter(slope, inter)
    return image


def rotated(axes: tuple[int, int, int]) -> nib.Nifti1Image:
    """The cord's data with their axes in another order, under a header that does not know it."""
    long = (cord((0.8, 0.8, 2.0), 60).data >= 0.5).astype(np.float32)
    return nib.Nifti1Image(long.transpose(axes), np.diag([0.8, 0.8, 2.0, 1.0]))


@pytest.mark.parametrize(
    ("image", "said"),
    [
        pytest.param(nifti(HARD, xyzt_units=1), "lengths are in metres", id="metres"),
        pytest.param(nifti(HARD, xyzt_units=7), "a unit with the unknown code 7", id="unknown unit"),
        pytest.param(nifti(HARD, CORD.affine @ np.diag([1, 1, 1.02, 1]), pixdim=[1, 0.8, 0.8, 2, 0, 0, 0, 0]),
                     "by its affine and of 0.8 x 0.8 x 2 mm by its pixdim", id="slices 2 % apart"),
        pytest.param(nifti(HARD, pixdim=[1, 1, 1, 1, 0, 0, 0, 0]), "1 x 1 x 1 mm by its pixdim", id="pixdim"),
        pytest.param(nifti(HARD.astype(np.complex128)), "has complex128 values", id="complex"),
        pytest.param(nib.Nifti1Image(np.stack([HARD, HARD], -1), CORD.affine), "expected three dimensions", id="two"),
        pytest.param(scaled(0.25, 0.0), "has one value besides 0, 0.25", id="slope"),
        pytest.param(scaled(0.5, 0.25), r"fills 100% of the view", id="slope and intercept"),
        pytest.param(nifti(np.ones_like(HARD)), "fills 100% of the view", id="all ones"),
        pytest.param(nifti(np.random.default_rng(0).random(HARD.shape).astype(np.float32)), "fills 100%", id="noise"),
        pytest.param(nifti(np.repeat(np.repeat(HARD, 3, 0), 3, 1)), "is it an image, or another", id="body"),
        pytest.param(rotated((2, 0, 1)), "degrees away from the axis", id="foot to head is right to left"),
        pytest.param(rotated((0, 2, 1)), "degrees away from the axis", id="foot to head is back to front"),
    ],
)  # fmt: skip
def test_files_that_contradict_themselves_are_refused(
    image: nib.Nifti1Image, said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nib.save(image, place / "odd.nii.gz")
    with pytest.raises(ImageError, match="1 of 2 masks could not be measured"):
        run("odd.nii.gz", "mask.nii.gz", "--per-slice")
    assert said in capsys.readouterr().err
    assert len(read_csv(Path("out.csv"), text=MEASURES_TEXT)) == 1 + 30, "the other mask is measured"


@pytest.mark.parametrize("name", ["mask.nii.gz", "mask.mgz"])
def test_a_file_that_was_damaged_in_transfer_is_refused(
    name: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = nib.Nifti1Image if name.endswith(".gz") else nib.MGHImage
    nib.save(kind(HARD, CORD.affine.astype(np.float32)), place / name)
    content = bytearray((place / name).read_bytes())
    content[-7] ^= 1  # in the check sum at the end
    (place / name).write_bytes(bytes(content))
    with pytest.raises(ImageError, match="none of 1 masks"):
        run(name, "--per-slice")
    assert "CRC check failed" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("one", [0.9999999, 0.9995, 1.0005])
def test_ones_that_are_not_quite_one_are_ones(kind: Any, one: float, place: Path) -> None:
    write(place / "exact.nii.gz", HARD, CORD.affine)
    nib.save(nifti((HARD * one).astype(kind)), place / "almost.nii.gz")
    exact, almost = run("exact.nii.gz", "almost.nii.gz", "--discs", "discs.nii.gz").to_dict("records")
    assert almost["kind"] == exact["kind"] == "binary"
    for metric in ("csa_mm2", "diameter_ap_mm", "diameter_rl_mm"):
        assert almost[metric] == pytest.approx(exact[metric], rel=1e-9)


def test_a_series_of_one_volume_is_a_volume(place: Path) -> None:
    nib.save(nifti(HARD[..., None, None]), place / "series.nii.gz")
    write(place / "hard.nii.gz", HARD, CORD.affine)
    series, hard = run("series.nii.gz", "hard.nii.gz", "--discs", "discs.nii.gz")["csa_mm2"]
    assert series == pytest.approx(hard, rel=1e-6)


@pytest.mark.parametrize("option", ["--discs", "--levels-map"])
def test_masks_after_their_labels_are_explained(option: str, place: Path) -> None:
    with pytest.raises(SettingsError, match=rf"name the masks first: .* \({option} took discs.nii.gz, mask.nii.gz\)"):
        run(option, "discs.nii.gz", "mask.nii.gz")


def test_the_name_of_a_mask_fills_the_identity(place: Path) -> None:
    for name in ("sub-01_ses-02_acq-ax_T2w_label-SC_seg.nii.gz", "cord.nii.gz"):
        (place / "mask.nii.gz").rename(place / name) if "sub" in name else write(place / name, CORD.data, CORD.affine)
    named, plain = run("sub-01_ses-02_acq-ax_T2w_label-SC_seg.nii.gz", "cord.nii.gz", "--discs", "discs.nii.gz")[
        ["participant", "session", "contrast"]
    ].to_numpy()
    assert named.tolist() == ["sub-01", "ses-02", "acq-ax_T2w"]
    assert plain.tolist() == ["", "", ""]


@pytest.mark.parametrize(
    ("labels", "options", "said"),
    [
        ("sub-02_T2w_label-discs_dlabel.nii.gz", [], "is of another participant than sub-01_ses-1_T2w_seg.nii.gz"),
        ("sub-02_T2w_label-discs_dlabel.nii.gz", ["--match-world"], "is of another participant than"),
        (
            "sub-01_ses-2_T2w_label-discs_dlabel.nii.gz",
            ["--match-world"],
            "is of another session, between which people",
        ),
    ],
)
def test_labels_of_somebody_else_are_refused(
    labels: str, options: list[str], said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "discs.nii.gz").rename(place / labels)
    (place / "mask.nii.gz").rename(place / "sub-01_ses-1_T2w_seg.nii.gz")
    with pytest.raises(ImageError, match="none of 1 masks"):
        run("sub-01_ses-1_T2w_seg.nii.gz", "--discs", labels, *options)
    assert said in capsys.readouterr().err


def test_the_change_of_a_person_over_sessions(place: Path) -> None:
    for session, radius in (("ses-1", 0.5), ("ses-2", 0.7), ("ses-10", 0.9)):
        write(place / f"sub-01_{session}_T2w_seg.nii.gz", (CORD.data > radius).astype(np.float32), CORD.affine)
    write(place / "sub-02_ses-1_T2w_seg.nii.gz", CORD.data, CORD.affine)
    masks = sorted(path.name for path in place.glob("sub-*"))
    table = run(*masks, "--discs", "discs.nii.gz", "--change", "change.csv").set_index("session")
    change = read_csv(Path("change.csv"), text=("participant", "session_from", "session_to"))
    assert change[["participant", "session_from", "session_to"]].to_numpy().tolist() == [
        ["sub-01", "ses-1", "ses-2"], ["sub-01", "ses-1", "ses-10"],
    ]  # fmt: skip
    one = table[table["participant"] == "sub-01"]["csa_mm2"]
    assert change["change_mm2"].tolist() == pytest.approx([one["ses-2"] - one["ses-1"], one["ses-10"] - one["ses-1"]])
    assert change["change_percent"][1] == pytest.approx(100 * (one["ses-10"] / one["ses-1"] - 1))
    with pytest.raises(SettingsError, match="--change compares the range of sessions"):
        run(*masks, "--per-slice", "--change", "change.csv")


SOFT = np.round(CORD.data, 3).astype(np.float32)


def in_order(order: str) -> nib.Nifti1Image:
    back = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(order))
    return nib.Nifti1Image(SOFT, CORD.affine).as_reoriented(back)


def in_thousandths() -> nib.Nifti1Image:
    """Whole numbers with a scaling in the header."""
    image = nib.Nifti1Image(np.round(SOFT * 1000).astype(np.int16), CORD.affine)
    image.header.set_slope_inter(0.001, 0.0)
    return image


@pytest.mark.parametrize("kind", ["soft", "binary"])
@pytest.mark.parametrize(
    ("name", "image"),
    [
        *[pytest.param("a.nii.gz", in_order(order), id=order) for order in ("LPI", "PSR", "AIL", "SLA", "RPI")],
        pytest.param("a.nii", nib.Nifti1Image(SOFT, CORD.affine), id="not packed"),
        pytest.param("a.nii.gz", nib.Nifti2Image(SOFT, CORD.affine), id="NIfTI-2"),
        pytest.param("a.nii.gz", nib.Nifti1Image(SOFT, CORD.affine, nib.Nifti1Header(endianness=">")), id="big-endian"),
        pytest.param("a.nii.gz", nib.Nifti1Image(SOFT.astype(np.float64), CORD.affine), id="double"),
        pytest.param("a.nii.gz", in_thousandths(), id="scaled integers"),
        pytest.param("a.mgz", nib.MGHImage(SOFT, CORD.affine.astype(np.float32)), id="mgz"),
    ],
)
def test_every_storage_of_a_mask_gives_the_same_number(kind: str, name: str, image: Any, place: Path) -> None:
    values = SOFT
    if kind == "binary":
        values = (SOFT >= 0.5).astype(np.float32)
        half = 0.5 * float(image.get_fdata().max())  # the integers are not scaled before they are stored
        image = type(image)((image.get_fdata() >= half).astype(np.float32), image.affine, image.header)
        image.header.set_data_dtype(np.uint8)
    write(place / "plain.nii.gz", values, CORD.affine)
    nib.save(image, place / name)
    plain = run("plain.nii.gz", "--discs", "discs.nii.gz").iloc[0]
    other = run(name, "--discs", "discs.nii.gz").iloc[0]
    for metric in ("csa_mm2", "diameter_ap_mm", "diameter_rl_mm", "solidity", "angle_ap_deg"):
        assert other[metric] == pytest.approx(plain[metric], abs=5e-5), metric
    assert (other["kind"], other["flags"]) == (kind, "")


def test_two_masks_of_one_session_have_no_change(place: Path) -> None:
    for name in ("sub-01_ses-1_T2w_seg.nii.gz", "sub-01_ses-1_T2w_label-SC_seg.nii.gz"):
        write(place / name, CORD.data, CORD.affine)
    with pytest.raises(SettingsError, match=r"sub-01 has 2 masks of one session \(ses-1, T2w\)"):
        run(*sorted(path.name for path in place.glob("sub-*")), "--discs", "discs.nii.gz", "--change", "change.csv")
    assert Path("out.csv").is_file()
    assert not Path("change.csv").exists()
