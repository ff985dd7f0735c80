"""check: each fault is found on an image that has just that fault, and nothing is found on a good one."""

from __future__ import annotations

import gzip
import json
import re
import struct
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation
from support.data_factory import ROOT
from support.inspected import AFFINE, PEOPLE, SHAPE, Spoil, cord, describe, discs, found, paths

from stages import check
from stages.core.base.errors import CordriftError
from stages.core.base.files import read_csv
from stages.core.data.datasets.findings import Checked, read_checked
from stages.core.data.datasets.manifest import CLONES, read_manifest
from stages.core.data.inspection import dataset as inspection
from stages.core.data.inspection import gallery
from stages.core.data.inspection.catalogue import MEANING
from stages.core.data.inspection.settings import Check
from stages.core.images.volumes import write

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Checked]:
    """Ten good participants; call it with a way to spoil the files of the first, and it checks them all."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(check.os, "cpu_count", lambda: 1)  # processes would cost more than ten small cases
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    clone = CLONES / "ds"
    for number, sub in enumerate(PEOPLE):
        rng = np.random.default_rng(number)
        soft = cord(4.0 + 0.05 * number)
        made: dict[str, np.ndarray[Any, Any]] = {
            "image": (100 + 300 * soft + rng.normal(0, 10, SHAPE)).astype(np.float32),
            "mask": (soft >= 0.5).astype(np.uint8),
            "softmask": soft,
            "discs": discs(),
        }
        for kind, name in paths(sub).items():
            write(clone / name, made[kind], AFFINE)

    def run(spoil: Spoil | None = None, *, drop: tuple[str, ...] = ()) -> Checked:
        if spoil is not None:
            spoil({kind: clone / name for kind, name in paths(PEOPLE[0]).items()})
        manifest = describe(clone, drop)
        check.main(["ds"])
        return read_checked(Path("data/check/ds"), manifest)

    return run


def test_good_images_are_clean(lab: Callable[..., Checked]) -> None:
    checked = lab()
    assert checked.findings == []
    assert len(set(checked.voxels.values())) == len(PEOPLE)
    table = read_csv(Path("data/check/ds/volumes.csv"), text=("participant", "discs", "shape"))
    first = table.iloc[0]
    assert (first["shape"], first["discs"], first["orientation"]) == ("20 22 30", "2 3 4 5", "RAS")
    mask = cord() >= 0.5
    assert first["mask_volume_mm3"] == pytest.approx(2.0 * mask.sum())
    assert first["mask_length_mm"] == pytest.approx(60.0)
    assert "All 10 images are clean" in Path("data/check/ds/index.html").read_text()


def test_several_processes_find_the_same(
    lab: Callable[..., Checked], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = lab(edit("mask", with_piece))
    for path in Path("data/scratch").glob("check-ds-*/*"):
        path.unlink()
    monkeypatch.setattr(check.os, "cpu_count", lambda: 2)
    assert lab() == alone
    line = "check ds: 10 images, 0 excluded by errors, 1 with warnings (data/check/ds/index.html)"
    assert capsys.readouterr().out.splitlines() == [line, line]


def resave(path: Path, change: Callable[[np.ndarray[Any, Any], np.ndarray[Any, Any]], tuple[Any, Any]]) -> None:
    image = nib.load(path)
    write(path, *change(np.asarray(image.dataobj).copy(), np.array(image.affine)))


def edit(kind: str, change: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> Spoil:
    """Spoil the voxels of one file."""
    return lambda files: resave(files[kind], lambda data, affine: (change(data), affine))


def move(kinds: tuple[str, ...], change: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> Spoil:
    """Spoil the affine of files."""

    def spoil(files: dict[str, Path]) -> None:
        for kind in kinds:
            resave(files[kind], lambda data, affine: (data, change(affine)))

    return spoil


VOLUME, LENGTH = ("mask-volume", "warning"), ("mask-length", "warning")
ALL = ("image", "mask", "softmask", "discs")


def put(data: np.ndarray[Any, Any], place: tuple[int, int, int], value: float) -> np.ndarray[Any, Any]:
    data[place] = value
    return data


def turned(degrees: float) -> np.ndarray[Any, Any]:
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("x", degrees, degrees=True).as_matrix()
    return turn


def sheared(affine: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The sform of a sheared grid; a qform cannot hold it."""
    return affine @ np.array([[1, 0.05, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


def forms(qcode: int, scode: int, shift_mm: float = 0.0) -> Spoil:
    def spoil(files: dict[str, Path]) -> None:
        image = nib.load(files["image"])
        data, affine = np.asarray(image.dataobj).copy(), np.array(image.affine)
        image = nib.Nifti1Image(data, affine)
        moved = affine.copy()
        moved[0, 3] += shift_mm
        image.set_sform(affine, code=scode)
        image.set_qform(moved, code=qcode)
        nib.save(image, files["image"])

    return spoil


def shear(files: dict[str, Path]) -> None:
    for kind in ALL:
        image = nib.load(files[kind])
        bent = nib.Nifti1Image(np.asarray(image.dataobj).copy(), sheared(np.array(image.affine)))
        bent.set_qform(None, code=0)
        nib.save(bent, files[kind])


def cut(files: dict[str, Path]) -> None:
    files["image"].write_bytes(files["image"].read_bytes()[:-300])


def claim(shape: tuple[int, int, int]) -> Spoil:
    """Let the header claim another shape than the file holds."""

    def spoil(files: dict[str, Path]) -> None:
        raw = bytearray(gzip.decompress(files["image"].read_bytes()))
        struct.pack_into("<8h", raw, 40, 3, *shape, 1, 1, 1, 1)
        files["image"].write_bytes(gzip.compress(bytes(raw)))

    return spoil


def header(**fields: Any) -> Spoil:
    """Set fields of the image's header as they are, whatever they mean."""

    def spoil(files: dict[str, Path]) -> None:
        raw = gzip.decompress(files["image"].read_bytes())
        block = np.frombuffer(raw[:348], nib.Nifti1Header.template_dtype).copy()
        for name, value in fields.items():
            block[name] = value
        files["image"].write_bytes(gzip.compress(block.tobytes() + raw[348:]))

    return spoil


def four(files: dict[str, Path]) -> None:
    data = np.asarray(nib.load(files["image"]).dataobj)
    nib.save(nib.Nifti1Image(np.stack([data, data], axis=-1), AFFINE), files["image"])


def second_disc(labels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return put(labels, (9, 10, 5), 3)


def swapped(labels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return put(put(labels, (9, 10, 20), 4), (9, 10, 14), 3)


def with_piece(mask: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    mask[2:5, 2:5, 2:8] = 1
    return mask


def cut_off(mask: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    mask[:10, 10, 5] = 1
    return mask


def short(mask: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    mask[:, :, 10:] = 0
    return mask


def clipped(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.minimum(data, np.quantile(data, 0.95))


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (cut, {("unreadable", "error")}),
        (claim((20, 22, 31)), {("header-claim", "error")}),
        (claim((30000, 30000, 30000)), {("header-claim", "error")}),
        (four, {("dimensions", "error")}),
        (edit("image", lambda data: put(data, (0, 0, 0), np.nan)), {("values", "error")}),
        (edit("image", lambda data: data * 0 + 7), {("image-constant", "error")}),
        (edit("image", clipped), {("image-clipped", "warning")}),
        (shear, {("sheared", "error")}),
        (move(ALL, lambda affine: turned(30) @ affine), {("oblique", "warning")}),
        (move(ALL, lambda affine: affine @ np.diag([0.1, 1, 1, 1])), {("spacing", "error"), VOLUME}),
        (forms(1, 1, 3.0), {("forms-disagree", "warning")}),
        (forms(0, 0), {("forms-missing", "warning"), ("grid", "error")}),
        (move(("mask",), lambda affine: affine + np.eye(4, k=3) * 0.5), {("grid", "error")}),
        (move(("discs",), lambda affine: affine @ np.diag([-1, 1, 1, 1.0])), {("grid", "error")}),
        (edit("softmask", lambda data: data[:, :, 1:]), {("grid", "error")}),
        (edit("mask", lambda data: data * 0), {("mask-empty", "error")}),
        (edit("mask", lambda data: data * 2), {("mask-values", "error")}),
        (edit("mask", lambda data: data * np.float32(0.7)), {("mask-values", "error")}),
        (edit("mask", with_piece), {("mask-components", "warning")}),
        (edit("mask", cut_off), {("mask-border", "warning")}),
        (edit("mask", short), {VOLUME, LENGTH}),
        (edit("discs", lambda data: data * 0), {("discs-missing", "warning")}),
        (edit("discs", second_disc), {("discs-duplicated", "error")}),
        (edit("discs", swapped), {("discs-order", "error")}),
        (edit("discs", lambda data: put(data, (9, 10, 20), 0)), {("discs-gap", "warning")}),
        (edit("discs", lambda data: data * np.float32(0.5)), {("discs-values", "error")}),
        (edit("discs", lambda data: put(data, (9, 10, 2), 30)), {("discs-range", "warning")}),
        (edit("discs", lambda data: put(data.astype(np.int16), (9, 10, 2), -3)), {("discs-range", "warning")}),
        (edit("mask", lambda data: put(data.astype(np.float32), (0, 0, 0), np.nan)), {("values", "error")}),
        (lambda files: files["mask"].write_bytes(b"no image" * 99), {("unreadable", "error")}),
        (header(srow_x=[np.nan, 0, 0, 0]), {("affine-invalid", "error")}),
        (header(srow_x=[0, 0, 0, 0]), {("affine-invalid", "error")}),
        (header(srow_x=[np.inf, 0, 0, 0]), {("affine-invalid", "error")}),
        (header(quatern_b=5), {("forms-disagree", "warning")}),
        (header(quatern_b=5, sform_code=0), {("affine-invalid", "error")}),
        (header(datatype=128, bitpix=24), {("unreadable", "error")}),
        (header(scl_slope=1, scl_inter=np.inf), {("unreadable", "error")}),
        (header(datatype=99), {("unreadable", "error")}),
    ],
)  # fmt: skip
def test_one_fault_is_found_and_named(
    lab: Callable[..., Checked], spoil: Spoil, expected: set[tuple[str, str]]
) -> None:
    checked = lab(spoil)
    assert found(checked) == {(PEOPLE[0], *one) for one in expected}
    case = read_manifest(Path("data/fetch/ds.json")).cases[0]
    assert bool(checked.errors(case)) == ("error" in {severity for _, severity in expected})
    assert checked.warnings(case) == sorted(name for name, severity in expected if severity == "warning")
    page = Path("data/check/ds/index.html").read_text()
    for finding in checked.findings:
        assert finding.message.startswith(f"{PEOPLE[0]}/{PEOPLE[0]}_T2w_")
        assert str(Path.cwd()) not in finding.message, "a path of this machine in a result"
        assert f"{finding.severity}: {finding.check}" in page


def test_discs_of_the_brain_stem_are_no_fault(lab: Callable[..., Checked]) -> None:
    assert found(lab(edit("discs", lambda data: put(data, (9, 10, 29), 49)))) == set()


def test_images_without_masks_have_no_findings_about_masks(lab: Callable[..., Checked]) -> None:
    """A test entry may have an image without masks: DWI of the real participant is one."""
    assert found(lab(edit("mask", lambda data: data * 0), drop=("mask", "softmask"))) == set()


def test_randomised_crops_are_neither_outliers_nor_cut_off_nor_labelled(lab: Callable[..., Checked]) -> None:
    def synthetic(text: str) -> str:
        return text.replace('"T2w"', '"synth"')

    def spoil(files: dict[str, Path]) -> None:
        edit("mask", short)(files)
        edit("mask", cut_off)(files)

    assert found(lab(spoil, drop=("discs",))) != set()
    path = Path("data/fetch/ds.json")
    path.write_text(synthetic(path.read_text()))
    check.main(["--dataset", "ds"])
    assert found(read_checked(Path("data/check/ds"), read_manifest(path))) == set()


def test_missing_disc_labels_warn_where_others_have_them(lab: Callable[..., Checked]) -> None:
    assert found(lab(drop=("discs",))) == {(PEOPLE[0], "discs-missing", "warning")}


def test_twins_are_found_whatever_their_compression(lab: Callable[..., Checked]) -> None:
    def spoil(files: dict[str, Path]) -> None:
        raw = gzip.decompress((CLONES / "ds" / paths(PEOPLE[1])["image"]).read_bytes())
        files["image"].write_bytes(gzip.compress(raw, 1))

    assert found(lab(spoil)) == {(sub, "twin", "error") for sub in PEOPLE[:2]}


def test_a_file_that_is_not_as_fetched_stops_the_check(lab: Callable[..., Checked]) -> None:
    lab()
    (CLONES / "ds" / paths(PEOPLE[3])["mask"]).write_bytes(b"edited")
    for path in Path("data/scratch").glob("check-ds-*/*"):
        path.unlink()
    before = Path("data/check/ds/findings.csv").read_bytes()
    with pytest.raises(CordriftError, match=r"sub-03_T2w_mask.*truncated or edited.*python -m stages\.fetch"):
        check.main(["ds"])
    assert Path("data/check/ds/findings.csv").read_bytes() == before


def test_only_new_or_changed_cases_are_inspected_again(
    lab: Callable[..., Checked], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = lab(edit("mask", with_piece)).findings
    seen: list[str] = []
    real = inspection.inspect
    monkeypatch.setattr(inspection, "inspect", lambda work, p: (seen.append(work.case.participant), real(work, p))[1])
    assert lab().findings == first
    assert seen == []
    lab(edit("mask", lambda data: put(data, (9, 10, 3), 1 - data[9, 10, 3])))
    assert seen == [PEOPLE[0]]
    value = yaml.safe_load(Path("params.yaml").read_text())
    value["check"]["oblique_deg"] = 1.0
    Path("params.yaml").write_text(yaml.safe_dump(value))
    lab()
    assert sorted(seen) == sorted([PEOPLE[0], *PEOPLE]), "other settings, other findings"
    assert len(list(Path("data/scratch").glob("check-ds-*"))) == 1


def test_a_check_that_was_interrupted_goes_on(lab: Callable[..., Checked], monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = inspection.inspect, []

    def stop(work: Any, params: Check) -> Any:
        if len(seen) == 4:
            raise KeyboardInterrupt
        seen.append(work.case.participant)
        return real(work, params)

    monkeypatch.setattr(inspection, "inspect", stop)
    with pytest.raises(KeyboardInterrupt):
        lab()
    assert not Path("data/check/ds").exists()
    monkeypatch.setattr(inspection, "inspect", lambda work, p: (seen.append(work.case.participant), real(work, p))[1])
    assert lab().findings == []
    assert sorted(seen) == PEOPLE, "each once"


def test_page_escapes_names(lab: Callable[..., Checked]) -> None:
    lab(edit("mask", with_piece))
    text = Path("data/fetch/ds.json").read_text().replace('"r1"', '"<script>r1</script>"')
    Path("data/fetch/ds.json").write_text(text)
    check.main(["ds"])
    page = Path("data/check/ds/index.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;r1" in page
    assert page.count("<img ") == 1


def test_the_number_of_pictures_on_a_page_is_limited(
    lab: Callable[..., Checked], monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(files: dict[str, Path]) -> None:
        edit("mask", with_piece)(files)
        others = {kind: CLONES / "ds" / name for kind, name in paths(PEOPLE[1]).items()}
        cut(others)

    lab(spoil)
    page = Path("data/check/ds/index.html").read_text()
    assert page.index("error: unreadable") < page.index("warning: mask-components"), "errors first"
    assert (page.count("<img "), page.count("No picture: the image cannot be read")) == (1, 1)
    assert "Pictures of the first" not in page
    monkeypatch.setattr(gallery, "PICTURES", 1)
    check.main(["ds"])
    page = Path("data/check/ds/index.html").read_text()
    assert (page.count("<img "), page.count('<section class="card')) == (0, 2)
    assert (page.count("No picture: the image cannot be read"), page.count("Not drawn")) == (1, 1)
    assert "Pictures of the first 1 of 2" in page


def test_every_check_is_explained() -> None:
    """The page has words for each name that the code gives a fault, and for no other."""
    folders = [ROOT / "stages/core" / name for name in ("data/inspection", "images")]
    source = "".join(path.read_text() for folder in folders for path in folder.glob("*.py"))
    names = set(re.findall(r'(?:error|warning)\(\s*"([a-z-]+)"', source)) | {"mask-volume", "mask-length"}
    assert names == set(MEANING)


def test_a_killed_process_gives_an_error_that_says_what_to_do(
    lab: Callable[..., Checked], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def __enter__(self) -> Killed:
            return self

        def __exit__(self, *_: object) -> None: ...

        def submit(self, *_: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(BrokenProcessPool("terminated abruptly"))
            return future

    lab()
    for path in Path("data/scratch").glob("check-ds-*/*"):
        path.unlink()
    monkeypatch.setattr(check.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(inspection, "ProcessPoolExecutor", Killed)
    with pytest.raises(CordriftError, match="killed a process of the check, most likely because memory was short"):
        check.main(["ds"])


def test_findings_of_other_images_are_refused(lab: Callable[..., Checked]) -> None:
    lab()
    manifest = json.loads(Path("data/fetch/ds.json").read_text())
    manifest["cases"].pop()
    Path("data/fetch/ds.json").write_text(json.dumps(manifest))
    with pytest.raises(CordriftError, match=r"about other images than the manifest of 'ds'; run `dvc repro check@ds`"):
        read_checked(Path("data/check/ds"), read_manifest(Path("data/fetch/ds.json")))


STATED = {'{"MagneticFieldStrength": 1.5}': 1.5, '{"MagneticFieldStrength": 15000}': np.nan, "{": np.nan, "[]": np.nan}


@pytest.mark.parametrize("stated", STATED)
def test_the_features_of_each_image_are_written(lab: Callable[..., Checked], stated: str) -> None:
    lab(lambda files: files["image"].with_name("sub-00_T2w_image.json").write_text(stated) and None)
    table = read_csv(Path("data/check/ds/features.csv"), text=("participant", "contrast"))
    assert list(table["participant"]) == PEOPLE
    assert np.isfinite(table[["spacing_x_mm", "border_contrast", "cord_mean"]].to_numpy(dtype=float)).all()
    assert table["field_strength_t"].iloc[0] == pytest.approx(STATED[stated], nan_ok=True)


def test_an_image_whose_mask_lies_on_another_grid_has_no_features_of_the_cord(lab: Callable[..., Checked]) -> None:
    lab(lambda files: write(files["mask"], (cord()[:, :, :20] >= 0.5).astype(np.uint8), AFFINE))
    first = read_csv(Path("data/check/ds/features.csv"), text=("participant", "contrast")).iloc[0]
    assert (np.isnan(first["border_contrast"]), np.isfinite(first["intensity_q50"])) == (True, True)
