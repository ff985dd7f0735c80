"""OpenVINO computes what torch computes, keeps what it compiled, and reports to nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.bundles import make_bundle

from stages.core.base.errors import BundleError, SettingsError
from stages.core.base.params import validate
from stages.core.images.volumes import Volume
from stages.core.model.bundle.content import Bundle, read_bundle
from stages.core.model.segmentation import compiled
from stages.core.model.segmentation.backends import compare_backends
from stages.core.model.segmentation.predictor import Predictor, inference_digest
from stages.core.model.segmentation.settings import Segment
from stages.core.workspace.runs.params import load_params

SETTINGS = load_params(Path("params.yaml")).segment.model_copy(update={"largest_component": False, "threads": 1})
TORCH = SETTINGS.by("torch")
VOLUME = Volume(
    np.random.default_rng(3).normal(100, 20, (24, 21, 30)).astype(np.float32), np.diag([1.0, 1.0, 1.0, 1.0])
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of two folds with random weights."""
    folder = tmp_path_factory.mktemp("made")
    return read_bundle(make_bundle(folder / "bundle", folder / "scratch", folds=2))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/cordrift/openvino"


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the conversions."""
    done: list[int] = []
    convert = compiled._convert

    def counted(bundle: Bundle) -> list[object]:
        done.append(1)
        return convert(bundle)

    monkeypatch.setattr(compiled, "_convert", counted)
    return done


def test_it_computes_what_torch_computes(bundle: Bundle, cache: Path) -> None:
    expected = Predictor(bundle, TORCH)(VOLUME)
    assert expected.std() > 0.05  # it is not one number everywhere
    found = Predictor(bundle, SETTINGS)(VOLUME)
    assert np.abs(found - expected).max() <= 0.0011  # masks keep three decimals
    again = Predictor(bundle, SETTINGS)(VOLUME)  # from the kept network
    assert np.array_equal(found, again)


def test_both_folds_count(bundle: Bundle, cache: Path) -> None:
    both = Predictor(bundle, SETTINGS)(VOLUME)
    first = Predictor(Bundle(**{**vars(bundle), "digest": "0" * 64, "folds": {0: bundle.folds[0]}}), SETTINGS)(VOLUME)
    scaled = {name: np.array(array) * np.float32(0.5) for name, array in bundle.folds[1].items()}
    other = Bundle(**{**vars(bundle), "digest": "1" * 64, "folds": {0: bundle.folds[0], 1: scaled}})
    assert np.allclose(both, first, atol=0.0011)  # both folds of the bundle have the same weights
    assert not np.allclose(Predictor(other, SETTINGS)(VOLUME), first, atol=0.0011)


def test_another_backend_is_another_series() -> None:
    assert inference_digest(SETTINGS) != inference_digest(TORCH)


def test_a_network_that_openvino_computes_wrongly_is_refused(
    bundle: Bundle, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = compiled.CompiledNetwork.forward
    monkeypatch.setattr(compiled.CompiledNetwork, "forward", lambda self, patch: right(self, patch) * 1.01)
    with pytest.raises(
        BundleError, match=r"other logits than torch for fold 0 .* \(`cordrift segment --backend torch`\)"
    ):
        compiled.compiled_network(bundle, 1)
    assert not cache.exists()
    said = compare_backends(bundle, VOLUME, 1)
    assert "gives other logits than torch" in said["problem"]


def test_a_network_that_openvino_cannot_convert_is_refused(
    bundle: Bundle, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Frontend:
        def load(self, traced: object) -> object:
            return traced

        def convert(self, _: object) -> object:
            raise RuntimeError("no such operation")

    monkeypatch.setattr(compiled.FrontEndManager, "load_by_framework", lambda *_: Frontend())
    with pytest.raises(BundleError, match=r"OpenVINO cannot convert fold 0 of the bundle: no such operation. Set seg"):
        compiled.compiled_network(bundle, 1)


def test_the_backends_of_a_bundle_are_compared_on_a_volume(bundle: Bundle, cache: Path) -> None:
    found = compare_backends(bundle, VOLUME, 1)
    assert found["most_different_probability"] <= 0.0011
    assert found["volume_mm3"]["torch"] > 0
    assert found["volume_mm3"]["openvino"] == pytest.approx(found["volume_mm3"]["torch"], rel=1e-4)


def test_a_network_is_converted_once(bundle: Bundle, cache: Path, conversions: list[int]) -> None:
    compiled.compiled_network(bundle, 1)
    assert sorted(file.name for file in next(cache.iterdir()).iterdir()) == [
        "files.json",
        "fold_0.bin",
        "fold_0.xml",
        "fold_1.bin",
        "fold_1.xml",
    ]
    compiled.compiled_network(bundle, 1)
    assert conversions == [1]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "fold_1.bin").write_bytes((folder / "fold_1.bin").read_bytes()[:-4]),
        lambda folder: (folder / "fold_0.bin").write_bytes(bytes((folder / "fold_0.bin").stat().st_size)),
        lambda folder: (folder / "fold_0.xml").unlink(),
        lambda folder: (folder / "files.json").unlink(),
        lambda folder: (folder / "files.json").write_text('{"schema": 1, "files": 3}'),
        lambda folder: (folder / "files.json").write_text('{"schema": 1, "files": {"fold_0.bin": 3}}'),
    ],
    ids=["cut", "zeros", "no network", "no list", "not a list", "a short list"],
)
def test_a_kept_network_that_was_changed_is_converted_again(
    bundle: Bundle, cache: Path, conversions: list[int], spoil: Callable[[Path], object]
) -> None:
    expected = Predictor(bundle, SETTINGS)(VOLUME)
    spoil(next(cache.iterdir()))
    assert np.array_equal(Predictor(bundle, SETTINGS)(VOLUME), expected)
    compiled.compiled_network(bundle, 1)  # what was spoiled was replaced
    assert conversions == [1, 1]


def test_only_the_last_networks_are_kept(bundle: Bundle, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "MOST", 2)
    names = []
    for age, digest in enumerate("abc"):
        compiled.compiled_network(Bundle(**{**vars(bundle), "digest": digest * 64}), 1)
        (new,) = {path for path in cache.iterdir() if path.name not in names}
        names.append(new.name)
        os.utime(new, (age, age))
        if age == 1:  # the first one is used again, and is then newer than the second one
            compiled.compiled_network(Bundle(**{**vars(bundle), "digest": "a" * 64}), 1)
    assert {path.name for path in cache.iterdir()} == {names[0], names[2]}


def test_without_a_place_to_keep_it_the_network_is_converted_each_time(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conversions: list[int]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    expected = Predictor(bundle, SETTINGS)(VOLUME)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", classmethod(lambda _: (_ for _ in ()).throw(RuntimeError("no home"))))
    assert np.array_equal(Predictor(bundle, SETTINGS)(VOLUME), expected)
    assert conversions == [1, 1]


def test_loading_it_reports_to_nobody(tmp_path: Path) -> None:
    program = """
import socket, sys, threading
asked = []
def refuse(*words, **more):
    asked.append(words)
    raise OSError("no network")
socket.getaddrinfo = refuse
socket.socket.connect = refuse
import stages.core.model.segmentation.compiled
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join(5)
sys.exit(f"asked for {asked}" if asked else 0)
"""
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(Path.cwd())}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert list(home.iterdir()) == []


def test_without_openvino_it_is_said_what_installs_it(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, compiled.__name__)
    with pytest.raises(SettingsError, match=r"backend is openvino, and openvino is not installed; `pip install"):
        Predictor(bundle, SETTINGS)


def test_a_gpu_needs_torch() -> None:
    with pytest.raises(ValueError, match=r"^params.yaml: with device cuda, backend must be torch: OpenVINO"):
        validate(Segment, {**SETTINGS.model_dump(), "device": "cuda"}, "params.yaml", error=ValueError)
    assert SETTINGS.on("cuda").backend == "torch"
    assert SETTINGS.on("cuda").on("cpu").backend == "openvino"
    assert TORCH.on("cpu").backend == "torch"  # it is on the CPU already, by somebody's choice
