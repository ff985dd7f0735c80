"""The plan of a fetch: what is here, what is to come and from where, on the real dataset's paths and on a tiny one."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from pathlib import Path

import pytest
import yaml
from support.data_factory import ROOT, SHARED, image_path, make_dataset, mask_path, write_registry
from support.difficult_fetch import CLONE, IMAGE, OUT, PEOPLE, fetched, register, selected

from stages import fetch
from stages.core.base.errors import CordriftError, DatasetError
from stages.core.data.clones import annex, fetch_plan
from stages.core.data.clones.fetch_plan import Place, describe_plan, describe_unavailable, plan_fetch
from stages.core.data.clones.programs import call, git
from stages.core.data.clones.special_remotes import SpecialRemote

pytestmark = pytest.mark.slow

REAL = SHARED / "spine-generic"
#: Where the real dataset's own git-annex branch says that its content is.
AMAZON = "5a5447a8-a9b8-49bc-8276-01a62632b502"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("published") / "ds"
    make_dataset(path, PEOPLE)
    return path


@pytest.fixture
def source(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the dataset, to spoil at will, and a workspace beside it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(published, tmp_path / "ds", symlinks=True)
    return tmp_path / "ds"


def test_files_that_are_here_and_files_to_download_are_counted(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register("ds", source)
    fetch.main(["--dry-run", "--dataset", "ds"])
    first = capsys.readouterr().out
    size = sum(size for _, size in annex.keys_and_sizes(CLONE, selected().selection.files).values())
    assert first.startswith(f"ds: 9 files, {size / 1000:.1f} kB; 1 are here, 8 (")
    assert "\n  from origin: 8 files\n" in first
    assert "\n  4 images selected, 0 participants or images left out\n" in first
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


def synthetic(folder: Path, *, annexed: bool) -> tuple[Path, str]:
    """Write a bare repository with every path of the real dataset: pointers, no content.

    ``annexed``: with the git-annex branch of the real one, which knows the content in the S3 remote ``amazon``.
    """
    paths = gzip.decompress((REAL / "tree-r20250314.txt.gz").read_bytes()).decode().splitlines()
    example = (REAL / "pointer-example.txt").read_text()
    text = {
        ".gitattributes": b"*.nii.gz filter=annex annex.largefiles=anything\n",
        "participants.tsv": (REAL / "participants.tsv").read_bytes(),
    }
    files, places = {}, {"uuid.log": f"{AMAZON} amazon timestamp=1s\n".encode()}
    settings = "bucket=b encryption=none host=localhost public=yes publicurl=https://localhost/b type=S3"
    places["remote.log"] = f"{AMAZON} autoenable=true name=amazon {settings} timestamp=1s\n".encode()
    for path in paths:
        files[path] = text.get(path, b"{}")
        if path.endswith(".nii.gz"):
            pointer = example.replace(example.split("--")[1].split(".")[0], hashlib.sha256(path.encode()).hexdigest())
            files[path] = pointer.encode()
            key = pointer.strip().rsplit("/", 1)[1]
            where = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
            places[f"{where[:3]}/{where[3:6]}/{key}.log"] = f"1s 1 {AMAZON}\n".encode()
    stream = [
        b"".join(
            [f"commit refs/heads/{branch}\ncommitter a <a@example.org> 0 +0000\ndata 1\nx\n".encode()]
            + [f"M 100644 inline {name}\ndata {len(blob)}\n".encode() + blob + b"\n" for name, blob in entries.items()]
        )
        for branch, entries in (("master", files), *([("git-annex", places)] if annexed else []))
    ]
    bare = folder / "real.git"
    git(None, ["init", "--quiet", "--bare", "--initial-branch=master", str(bare)])
    done = call(["git", "-C", str(bare), "fast-import", "--quiet"], stdin=b"".join(stream))
    assert done.returncode == 0, done.stderr
    git(bare, ["tag", "r20250314", "master"])
    return bare, git(bare, ["rev-parse", "master"]).strip()


@pytest.mark.parametrize(
    ("name", "annexed"),
    [
        ("spine-generic-frozen", True),
        pytest.param("spine-generic-frozen", False, marks=pytest.mark.slow),
        pytest.param("spine-generic", True, marks=pytest.mark.slow),
    ],
)
def test_the_real_dataset_without_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, annexed: bool
) -> None:
    """17,025 paths, as after a clone of the real repository: a plan, a sentence, and what would be needed."""
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is not here: the paths of the real dataset are given material, not part of the project")
    monkeypatch.chdir(tmp_path)
    bare, commit = synthetic(tmp_path, annexed=annexed)
    register(str(bare), bare)
    shutil.copyfile(ROOT / "data/frozen.csv", "data/frozen.csv")
    real = yaml.safe_load((ROOT / "data/datasets.yaml").read_text())["datasets"][name]
    here = real | {"url": str(bare), "commit": commit}
    write_registry(Path(), {name: here | {"remotes": {}}})
    files, images = {"spine-generic": (190 * 12, 190 * 6), "spine-generic-frozen": (49 * 24, 49 * 6)}[name]
    gigabytes = files * 8880618 / 1e9  # every pointer is the example's but for its hash
    fetch.main(["--dry-run", "--dataset", name])
    said = capsys.readouterr().out
    assert f"{name}: {files + 1} files, {gigabytes:.1f} GB; 1 are here, {files} ({gigabytes:.1f} GB) must be" in said
    assert "  disk: 0 bytes needed" in said, "nothing of it can come"
    assert f"{images} images selected" in said
    assert (
        "special remote amazon (type S3), which the dataset asks every clone to use, is disabled" in said
    ) == annexed
    sentence = f"{files} of {files + 1} files of dataset {name!r} cannot be downloaded"
    assert sentence in said
    where = rf"in amazon \({files}\); .* add `amazon: S3` under" if annexed else "git-annex knows no copy of them"
    with pytest.raises(CordriftError, match=f"{sentence}.*{where}"):
        fetch.main(["--dataset", name])
    if annexed:  # the registry's own entry allows the remote: nobody is asked, and all would come from there
        write_registry(Path(), {name: here})
        fetch.main(["--dry-run", "--dataset", name])
        assert f"\n  from amazon: {files} files\n" in capsys.readouterr().out


def test_a_plan_says_when_the_disk_is_too_small(source: Path) -> None:
    register("ds", source)
    sizes = {name: size for name, (_, size) in selected().keys.items()}
    assert "NOT ENOUGH" in describe_plan("ds", plan_fetch(CLONE, sizes, free=10), [], {})[1]
    assert "NOT ENOUGH" not in describe_plan("ds", plan_fetch(CLONE, sizes, free=10**9), [], {})[1]
