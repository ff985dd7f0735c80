"""DataLad and git-annex on a tiny dataset: layout, pins, addresses, edits, and content that differs from its key."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.data_factory import image_path, make_dataset, mask_path

from stages.core.base.errors import CordriftError, DatasetError
from stages.core.data.clones import annex, objects
from stages.core.data.clones.commits import keys_and_sizes
from stages.core.data.clones.objects import drop_objects
from stages.core.data.clones.programs import call, datalad, datalad_results, git
from stages.core.data.datasets.keys import ContentKey, git_key, parse_key, verify

pytestmark = pytest.mark.slow

IMAGE, MASK = image_path("sub-a1", "T1w"), mask_path("sub-a1", "T1w")


@pytest.fixture(autouse=True)
def _nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose git knows no user name."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in [
        name for name in os.environ if re.match(r"GIT_(AUTHOR|COMMITTER|CONFIG_(COUNT|KEY|VALUE|GLOBAL))", name)
    ]:
        monkeypatch.delenv(name)
    for name in ("XDG_CONFIG_HOME", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A dataset ``ds`` with one participant and its clone ``clones/ds``; tests that change them take copies."""
    folder = tmp_path_factory.mktemp("published")
    commit = make_dataset(folder / "ds", {"sub-a1": "a"})
    with contextlib.chdir(folder):
        annex.clone("ds", Path("clones/ds"), commit, "r1")
    return folder / "ds", commit


@pytest.fixture
def source(published: tuple[Path, str], tmp_path: Path) -> str:
    """A copy of the dataset as ``ds`` in the working directory; returns the commit."""
    shutil.copytree(published[0], tmp_path / "ds", symlinks=True)
    return published[1]


@pytest.fixture
def cloned(source: str, published: tuple[Path, str], tmp_path: Path) -> Path:
    """Its clone: the origin is relative, so the copy is a clone of the copy."""
    shutil.copytree(published[0].parent / "clones", tmp_path / "clones", symlinks=True)
    return Path("clones/ds")


def commit_change(path: Path, file: str, text: str) -> str:
    (path / file).write_text(text)
    return annex.save(path, "second")


def test_images_are_unlocked_pointers_and_text_stays_in_git(published: tuple[Path, str]) -> None:
    path, commit = published
    assert re.fullmatch("[0-9a-f]{40}", commit)
    assert re.fullmatch(
        r"/annex/objects/SHA256E-s\d+--[0-9a-f]{64}\.nii\.gz\n", git(path, ["cat-file", "blob", f"{commit}:{IMAGE}"])
    )
    assert git(path, ["ls-tree", commit, IMAGE]).startswith("100644 ")
    assert git(path, ["cat-file", "blob", f"{commit}:participants.tsv"]).startswith("participant_id")
    assert git(path, ["rev-parse", "r1^{commit}"]).strip() == commit


def test_commits_get_an_author_where_git_knows_none(tmp_path: Path) -> None:
    commit_as = {}
    for who in ("", "Ada"):
        if who:
            (tmp_path / "home/.gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.org\n")
        path = Path(f"made-{who}")
        path.mkdir()
        git(path, ["init", "--quiet"])
        git(path, ["commit", "--quiet", "--allow-empty", "-m", "x"])
        commit_as[who] = git(path, ["log", "-1", "--format=%an <%ae>"]).strip()
    assert commit_as == {"": "cordrift <cordrift@localhost>", "Ada": "Ada <ada@example.org>"}


def test_clone_get_verify(cloned: Path, source: str) -> None:
    assert git(cloned, ["rev-parse", "HEAD"]).strip() == source
    assert {IMAGE, MASK, "participants.tsv"} <= set(annex.list_paths(cloned))
    keys = annex.keys_and_sizes(cloned, [IMAGE, "participants.tsv"])
    assert keys[IMAGE][0].startswith("SHA256E-s")
    assert keys["participants.tsv"] == (git_key(Path("ds/participants.tsv").read_bytes()), keys["participants.tsv"][1])
    with pytest.raises(
        CordriftError, match=r"sub-a1_T1w\.nii\.gz is a git-annex pointer file.*`datalad get sub-a1_T1w"
    ):
        verify(cloned / IMAGE, keys[IMAGE][0])
    annex.get(cloned, [IMAGE], jobs=2)
    verify(cloned / IMAGE, keys[IMAGE][0])
    verify(cloned / "participants.tsv", keys["participants.tsv"][0])
    assert (cloned / IMAGE).stat().st_size == keys[IMAGE][1]
    assert (cloned / MASK).read_bytes().startswith(b"/annex/objects/")  # only what was asked for


def test_a_clone_is_detached_at_the_pin_and_leaves_no_temporary_folder(source: str) -> None:
    annex.clone("ds", Path("clones/ds"), source, "r1")
    assert git(Path("clones/ds"), ["status", "--porcelain", "--branch"]).strip() == "## HEAD (no branch)"
    assert [path.name for path in Path("clones").iterdir()] == ["ds"]


def test_second_clone_keeps_content_and_moves_to_the_new_pin(cloned: Path) -> None:
    annex.get(cloned, [IMAGE])
    new = commit_change(Path("ds"), "README", "second revision\n")
    git(Path("ds"), ["tag", "r2"])
    inode = (cloned / IMAGE).stat().st_ino
    annex.clone("ds", cloned, new, "r2")
    assert (cloned / "README").read_text() == "second revision\n"
    assert (cloned / IMAGE).stat().st_ino == inode


def test_get_restores_content_that_was_replaced_by_a_pointer(cloned: Path) -> None:
    pointer = (cloned / IMAGE).read_bytes()
    annex.get(cloned, [IMAGE])
    content = (cloned / IMAGE).read_bytes()
    (cloned / IMAGE).write_bytes(pointer)
    annex.get(cloned, [IMAGE])
    assert (cloned / IMAGE).read_bytes() == content


def test_source_and_clone_may_move_together(cloned: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("moved").mkdir()
    for name in ("ds", "clones"):
        Path(name).rename(Path("moved") / name)
    monkeypatch.chdir("moved")
    annex.clone("ds", cloned, source, "r1")
    annex.get(cloned, [IMAGE])


def test_git_variables_of_the_caller_are_ignored(cloned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert IMAGE in annex.list_paths(cloned)


def test_a_truncated_file_is_found_although_fsck_reports_ok(cloned: Path) -> None:
    annex.get(cloned, [IMAGE])
    (key, size) = annex.keys_and_sizes(cloned, [IMAGE])[IMAGE]
    os.truncate(cloned / IMAGE, 100)
    assert "ok" in git(cloned, ["annex", "fsck", IMAGE])
    with pytest.raises(CordriftError, match=f"truncated or edited: it has 100 bytes, its key says {size}"):
        verify(cloned / IMAGE, key)


def test_an_edited_file_of_the_same_size_and_date_is_found_and_the_advice_restores_it(cloned: Path) -> None:
    annex.get(cloned, [IMAGE])
    key = annex.keys_and_sizes(cloned, [IMAGE])[IMAGE][0]
    file = cloned / IMAGE
    before, content = file.stat(), bytearray(file.read_bytes())
    content[50] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(CordriftError, match="was edited: its sha256 is") as caught:
        verify(file, key)
    advice = re.search("`(.*)`", str(caught.value))
    assert advice
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(advice[1], shell=True, cwd=file.parent, check=True, env=os.environ | {"PATH": path})  # noqa: S602
    verify(file, key)


def test_clone_with_local_edits_is_refused(cloned: Path, source: str) -> None:
    annex.get(cloned, [IMAGE])
    os.truncate(cloned / IMAGE, 100)
    with pytest.raises(CordriftError, match=f"local edits: {IMAGE}"):
        annex.clone("ds", cloned, source, "r1")
    (cloned / IMAGE).unlink()  # the advice
    annex.clone("ds", cloned, source, "r1")
    verify(cloned / IMAGE, annex.keys_and_sizes(cloned, [IMAGE])[IMAGE][0])


def test_another_file_mode_does_not_count_as_an_edit(cloned: Path, source: str) -> None:
    (cloned / "participants.tsv").chmod(0o755)
    annex.clone("ds", cloned, source, "r1")


def test_moved_tag_stops(cloned: Path, source: str) -> None:
    new = commit_change(Path("ds"), "README", "changed\n")
    git(Path("ds"), ["tag", "--force", "r1"])
    for path in (cloned, Path("other")):
        with pytest.raises(CordriftError, match=f"'r1' of ds no longer points to .*{source[:12]} but to {new[:12]}"):
            annex.clone("ds", path, source, "r1")
    assert not Path("other").exists()
    with pytest.raises(CordriftError, match="has a tag 'r1' already"):
        annex.save(Path("ds"), "again", "r1")


def test_annotated_tag_counts_as_its_commit(source: str) -> None:
    git(Path("ds"), ["tag", "-a", "-m", "annotated", "v1", source])
    assert annex.commit_of("ds", "v1") == source


@pytest.mark.parametrize(
    ("url", "commit", "tag", "sentence"),
    [
        ("nowhere", "a" * 40, "r1", "nowhere does not exist"),
        ("https://127.0.0.1:9/none", "a" * 40, "r1", "https://127.0.0.1:9/none cannot be reached: .*"),
        ("ds", "a" * 40, "r1", "no longer points to the pinned commit aaaaaaaaaaaa"),
        ("ds", "abc", "r1", "must be 40 hexadecimal digits, not 'abc'"),
        ("ds", "a" * 40, "r9", "ds has no tag 'r9'"),
        ("home", "a" * 40, "r1", "home is a plain folder, not a dataset"),
        ("ext::sh -c 'touch pwned'", "a" * 40, "r1", "is refused"),
        ("--upload-pack=touch pwned", "a" * 40, "r1", "is refused"),
        ("http://example.org/x", "a" * 40, "r1", "is refused"),
        ("https://-oProxyCommand=x/ y", "a" * 40, "r1", "is refused"),
    ],
)
def test_a_bad_address_or_revision_is_an_error_that_names_it(
    source: str, url: str, commit: str, tag: str, sentence: str
) -> None:
    with pytest.raises(CordriftError, match=sentence):
        annex.clone(url, Path("clones/x"), commit, tag)
    assert not Path("clones/x").exists()
    assert not Path("pwned").exists()


def test_clone_of_something_else_is_not_overwritten(cloned: Path, source: str) -> None:
    shutil.copytree("ds", "twin", symlinks=True)
    with pytest.raises(CordriftError, match=r"is a clone of .*, not of twin; remove it"):
        annex.clone("twin", cloned, source, "r1")
    Path("full").mkdir()
    Path("full/notes.txt").write_text("mine")
    with pytest.raises(CordriftError, match="full is in the way"):
        annex.clone("ds", Path("full"), source, "r1")
    assert Path("full/notes.txt").read_text() == "mine"


@pytest.mark.parametrize("fault", ["another owner", "no HEAD"])
def test_a_clone_that_git_does_not_read_says_why(cloned: Path, source: str, fault: str) -> None:
    """Git tells the reason in the first command only; `git config` fails there without a word."""
    if fault == "no HEAD":
        (cloned / ".git/HEAD").unlink()
    elif os.geteuid() == 0:
        for path in (cloned, cloned / ".git"):
            os.chown(path, 1234, 1234)
    else:
        pytest.skip("only root may give a folder to another user")
    with pytest.raises(CordriftError, match=r"cannot be used as a clone of ds: .*(dubious ownership|not a git repo)"):
        annex.clone("ds", cloned, source, "r1")


def test_content_that_nobody_has_is_named(cloned: Path) -> None:
    annex.remove(Path("ds/.git/annex/objects"))
    arrived: list[str] = []
    reasons = annex.get(cloned, [IMAGE, "participants.tsv"], arrived=arrived.append)
    assert list(reasons) == [IMAGE]
    assert "no reason" not in reasons[IMAGE]
    assert arrived == []


def test_address_by_file_url(source: str) -> None:
    annex.clone(f"file://{Path('ds').resolve()}", Path("clones/url"), source, "r1")
    annex.get(Path("clones/url"), [IMAGE])
    verify(Path("clones/url") / IMAGE, annex.keys_and_sizes(Path("clones/url"), [IMAGE])[IMAGE][0])


def test_keys_of_a_file_that_is_not_there(cloned: Path) -> None:
    with pytest.raises(CordriftError, match=r"has no file sub-b/none\.nii\.gz"):
        annex.keys_and_sizes(cloned, ["sub-b/none.nii.gz"])


def test_parse_key() -> None:
    sha, md5 = "ab" * 32, "cd" * 16
    assert parse_key(f"SHA256E-s12--{sha}.nii.gz") == ContentKey("sha256", 12, sha)
    assert parse_key(f"SHA256-s12-m9--{sha}") == ContentKey("sha256", 12, sha)
    assert parse_key(f"MD5E-s0--{md5}.tar.gz") == ContentKey("md5", 0, md5)
    for key in ("WORM-s12-m9--a.nii.gz", "URL--https&c%%x", f"SHA256E-s12--{md5}.nii.gz", f"SHA256E--{sha}", ""):
        with pytest.raises(CordriftError, match="names no size and content hash"):
            parse_key(key)


def test_what_is_no_dataset_or_one_already_is_a_sentence(source: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="ds is a dataset already; choose another folder"):
        annex.create(Path("ds"))
    with pytest.raises(DatasetError, match="home is not a dataset; create it first"):
        annex.save(tmp_path / "home", "a message")
    with pytest.raises(DatasetError, match="DataLad could not get it: "):
        datalad(["get", "-d", str(tmp_path / "home"), "absent"], "get it")
    with pytest.raises(DatasetError, match=r"`git annex dropkey` failed in .*home"):
        drop_objects(tmp_path / "home", ["SHA256E-s1--" + "0" * 64])


def test_a_program_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CordriftError, match="git"):
        call(["git", "status"])
    with pytest.raises(CordriftError, match="datalad"):
        list(datalad_results(["status"]))


def test_a_link_without_its_content_is_not_fetched(tmp_path: Path) -> None:
    Path("image.nii.gz").symlink_to("absent")
    with pytest.raises(DatasetError, match=r"image\.nii\.gz is a link to content that was not fetched; run `again`"):
        verify(Path("image.nii.gz"), "SHA256E-s1--" + "0" * 64 + ".nii.gz", "again")


def test_a_git_lfs_pointer_in_the_place_of_an_image_is_named(source: str) -> None:
    Path("ds", IMAGE).unlink()
    Path("ds", IMAGE).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n")
    with pytest.raises(DatasetError, match=r"as a git-lfs pointer, and not its content"):
        keys_and_sizes(Path("ds"), [IMAGE])


def test_an_answer_of_git_annex_that_is_cut_is_said(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "_annex", lambda *_, **__: "key\n")
    with pytest.raises(DatasetError, match="git-annex answered 1 of 2 questions about keys in ds"):
        objects.keys_of_blobs(Path("ds"), ["a" * 40, "b" * 40])


def test_a_removal_that_does_not_end_is_ended_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk git-annex waits for ever."""
    programs = tmp_path / "programs"
    programs.mkdir()
    real = shutil.which("git")
    (programs / "git").write_text(f'#!/bin/sh\ncase "$*" in *dropkey*) exec sleep 60;; *) exec {real} "$@";; esac\n')
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setattr(objects, "LIMIT_S", 0.2)
    with pytest.raises(DatasetError, match=r"`git annex dropkey` did not end within 0\.2 s in .*home; .* Free space"):
        drop_objects(tmp_path / "home", ["SHA256E-s1--" + "0" * 64])
