"""The plan of a fetch: what is here, what is to come and from where, on the real dataset's paths and on a tiny one."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest
import yaml
from support.data_factory import ROOT, SHARED, image_path, mask_path, workspace, write_registry
from support.difficult_fetch import CLONE, IMAGE, OUT, fetched, register, selected

from stages import fetch
from stages.core.base.errors import CordriftError, DatasetError
from stages.core.data.clones import annex, fetch_plan
from stages.core.data.clones.fetch_plan import Place, describe_plan, describe_unavailable, plan_fetch
from stages.core.data.clones.programs import git
from stages.core.data.clones.special_remotes import SpecialRemote

pytestmark = pytest.mark.slow

REAL = SHARED / "spine-generic"


def test_files_that_are_here_and_files_to_download_are_counted(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register("ds", source)
    fetch.main(["--dry-run", "--dataset", "ds"])
    first = capsys.readouterr().out
    size = sum(size for _, size in annex.keys_and_sizes(CLONE, selected().selection.files).values())
    assert first.startswith(f"ds: 9 files, {size / 1000:.1f} kB; 1 are here, 8 (")
    assert "\n  from origin: 8 files\n" in first
    assert "\n  4 images selected, 0 left out\n" in first
    assert annex.missing(CLONE, [IMAGE]) == [IMAGE]
    assert not OUT.exists()
    annex.get(CLONE, [IMAGE])
    fetch.main(["--dry-run"])
    assert "; 2 are here, 7 (" in capsys.readouterr().out


def test_a_dry_run_leaves_the_manifest(source: Path) -> None:
    register("ds", source)
    assert fetched() == 9
    before = OUT.read_bytes()
    fetch.main(["--dry-run"])
    assert OUT.read_bytes() == before


def test_one_dataset_without_a_plan_does_not_hide_the_others(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register("ds", source)
    known = yaml.safe_load(Path("data/datasets.yaml").read_text())["datasets"]
    write_registry(Path(), {"another": known["ds"] | {"commit": None}, **known})
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["fetch"]["datasets"] = ["another", "ds"]
    Path("params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(CordriftError, match=r"^another: .*dataset 'another' has no commit yet"):
        fetch.main(["--dry-run"])
    assert capsys.readouterr().out.startswith("ds: 9 files")


def test_fetch_without_a_dataset_says_what_is_missing(source: Path) -> None:
    register("ds", source)
    with pytest.raises(CordriftError, match="fetch needs --dataset NAME"):
        fetch.main([])


def test_a_full_disk_is_reported_before_any_download(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register("ds", source)
    size = selected().plan().to_come_size
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(fetch_plan.shutil, "disk_usage", lambda _: usage._replace(free=2 * size - 1000))
    with pytest.raises(CordriftError, match=r"8 files of ds need .* kB in data/clones/ds .* but .* kB are free"):
        fetch.main(["--dataset", "ds"])
    assert len(annex.missing(CLONE, [IMAGE, mask_path("sub-a2", "T2w")])) == 2
    monkeypatch.setattr(fetch_plan.shutil, "disk_usage", lambda _: usage._replace(free=2 * size))
    assert fetched() == 9


def test_needed_space_counts_only_files_that_will_be_downloaded(source: Path) -> None:
    lost = image_path("sub-a2", "T1w")
    git(source, ["annex", "drop", "--force", "--quiet", "--", lost])
    register("ds", source)
    sizes = {name: size for name, (_, size) in annex.keys_and_sizes(source, selected().selection.files).items()}
    annex.get(CLONE, [IMAGE])
    todo = plan_fetch(CLONE, sizes, free=1)
    assert (todo.to_come, list(todo.nowhere), todo.free) == (7, [lost], 1)
    assert todo.to_come_size == sum(sizes.values()) - sizes[IMAGE] - sizes["participants.tsv"]
    assert todo.needed == 2 * (todo.to_come_size - sizes[lost])


def test_a_bare_repository_without_content_gives_a_plan_and_an_error(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register("bare.git", source)
    git(None, ["clone", "--quiet", "--bare", "--", str(source), str(tmp_path / "bare.git")])
    fetch.main(["--dry-run", "--dataset", "ds"])
    said = capsys.readouterr().out
    assert "; 1 are here, 8 (" in said
    sentence = (
        r"8 of 9 files of dataset 'ds' cannot be downloaded from any place that this clone may use: .* and 5 more; "
    )
    with pytest.raises(DatasetError, match=sentence + r"according to git-annex they are in .*ds \(8\); ask the"):
        fetch.main(["--dataset", "ds"])
    assert not OUT.exists()


def test_content_with_a_web_address_is_planned_from_the_web(source: Path) -> None:
    """git-annex asks addresses that a dataset knows without being told; no network is needed for a plan."""
    key = annex.keys_and_sizes(source, [IMAGE])[IMAGE][0]
    git(source, ["annex", "drop", "--force", "--quiet", "--", IMAGE])
    git(source, ["annex", "registerurl", "--quiet", key, "https://example.org/image.nii.gz"])
    register("ds", source)
    todo = selected().plan()
    assert todo.sources == {"origin": 7, "web": 1}
    assert todo.nowhere == {}


def test_the_message_names_each_place_and_each_remote_to_allow() -> None:
    remotes = [SpecialRemote("b", "S3", "u-b", True), SpecialRemote("c", "webdav", "u-c", False)]
    nowhere = {
        "f1": [Place("u-b", "the bucket"), Place("u-1", "ada@laptop:~/b")],
        "f2": [Place("u-b", "the bucket")],
        "f3": [],
        "f4": [],
    }
    said = describe_unavailable("ds", nowhere, remotes, 10)
    assert "4 of 10 files of dataset 'ds'" in said
    assert "f1, f2, f3 and 1 more; " in said
    assert "in the bucket (2), ada@laptop:~/b (1), and 2 of them are nowhere; " in said
    assert "add `b: S3` under" in said
    # "b" is part of the place's name only
    assert "add" not in describe_unavailable("ds", {"f1": [Place("u-1", "ada@laptop:~/b")]}, remotes, 10)


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real repository without content, in place of its address in our registry, and a workspace."""
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is not here: the real repository is given material, not part of the project")
    monkeypatch.chdir(tmp_path)
    with tarfile.open(REAL / "repo.git.tar.gz") as packed:
        packed.extractall(tmp_path, filter="data")
    registry = yaml.safe_load((ROOT / "data/datasets.yaml").read_text())["datasets"]
    names = ("spine-generic", "spine-generic-frozen")
    workspace(Path(), {name: registry[name] | {"url": str(tmp_path / "repo.git")} for name in names}, [])
    shutil.copyfile(ROOT / "data/frozen.csv", "data/frozen.csv")
    return tmp_path / "repo.git"


def test_the_real_repository_is_planned_whole(real: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """49 x 6 frozen images, and all others with masks, from either of the two remotes that the entry names."""
    fetch.main(["--dry-run"])
    said = capsys.readouterr().out
    # Here are participants.tsv and what lies beside images, and beside masks to train on.
    for name, files, here, gigabytes, images, left_out in (
        ("spine-generic", 1164 * 2, 1164 * 2 + 1, 11.1, 1164, 158), ("spine-generic-frozen", 294 * 4, 295, 3.0, 294, 0),
    ):  # fmt: skip
        assert f"{name}: {files + here} files, {gigabytes} GB; {here} are here, {files} ({gigabytes} GB) must" in said
        assert said.count(f"\n  from computecanada-public: {files} files\n") == 1
        assert said.count(f"\n  from amazon-public: {files} files\n") == 1
        assert f"  {images} images selected, {left_out} left out" in said
    wish = "special remote computecanada-public (type httpalso), which the dataset asks every clone to use, is enabled"
    assert said.count(wish) == 2
    assert said.count("special remote amazon-private (type S3) is disabled: the registry does not name it") == 2


def test_without_the_remotes_of_the_entry_nothing_of_the_real_dataset_can_come(real: Path) -> None:
    registry = yaml.safe_load(Path("data/datasets.yaml").read_text())["datasets"]
    write_registry(Path(), {name: entry | {"remotes": {}} for name, entry in registry.items()})
    with pytest.raises(CordriftError, match=r"1176 of 1471 files of .* cannot be downloaded from any place") as caught:
        fetch.main(["--dataset", "spine-generic-frozen"])
    assert "add `computecanada-public: httpalso` or `amazon-private: S3`" in str(caught.value)


def test_hosts_that_cannot_be_reached_are_named_with_their_addresses(
    real: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the network of this machine: git-annex may reach no address at all."""
    for name, value in {"COUNT": "1", "KEY_0": "annex.security.allowed-url-schemes", "VALUE_0": "none"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    with pytest.raises(CordriftError, match="no remote of dataset 'spine-generic-frozen' answers") as caught:
        fetch.main(["--dataset", "spine-generic-frozen"])
    assert "computecanada-public (https://object-arbutus.cloud.computecanada.ca/def-jcohen" in str(caught.value)


def test_a_plan_says_when_the_disk_is_too_small(source: Path) -> None:
    register("ds", source)
    sizes = {name: size for name, (_, size) in selected().keys.items()}
    assert "NOT ENOUGH" in describe_plan("ds", plan_fetch(CLONE, sizes, free=10), [], {})[1]
    assert "NOT ENOUGH" not in describe_plan("ds", plan_fetch(CLONE, sizes, free=10**9), [], {})[1]
