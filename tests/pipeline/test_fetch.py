"""fetch under difficult conditions: other layouts and addresses, interrupted downloads, special remotes."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.data_factory import fill, image_path, mask_path
from support.difficult_fetch import (
    CLONE,
    IMAGE,
    OUT,
    PEOPLE,
    fetched,
    make_bucket,
    register,
    selected,
    spoil,
    wait_for_session,
)

from stages import fetch
from stages.core.base.errors import CordriftError
from stages.core.data.clones import annex
from stages.core.data.clones.addresses import source_of
from stages.core.data.clones.lock import clone_lock
from stages.core.data.clones.programs import call, datalad_results, git
from stages.core.data.clones.special_remotes import special_remotes

pytestmark = pytest.mark.slow


@pytest.fixture
def bucket(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_bucket(source, tmp_path, monkeypatch)


def lock_files(source: Path) -> None:
    """Make every image of a dataset a link into the object store, as most public datasets have them."""
    git(source, ["annex", "lock", "--quiet", "."])
    git(source, ["commit", "--quiet", "-m", "locked"])
    assert git(source, ["ls-tree", "HEAD", IMAGE]).startswith("120000 ")


# ---- layouts and addresses


def test_locked_files(source: Path) -> None:
    lock_files(source)
    register("ds", source)
    todo = selected().plan()
    assert (todo.to_come, todo.needed) == (8, todo.to_come_size), "the content of a link lies on the disk once"
    assert fetched() == 9
    assert (CLONE / IMAGE).is_symlink()


def test_plain_annex_without_datalad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "ds", PEOPLE, ("T1w", "T2w"))
    for words in (["init", "--quiet"], ["annex", "init", "--quiet", "x"]):
        git(tmp_path / "ds", words)
    (tmp_path / "ds/.gitattributes").write_text("* annex.largefiles=nothing\n*.nii.gz annex.largefiles=anything\n")
    git(tmp_path / "ds", ["annex", "add", "--quiet", "."])
    git(tmp_path / "ds", ["commit", "--quiet", "-m", "x"])
    register("ds", tmp_path / "ds")
    assert fetched() == 9


def test_file_address(source: Path) -> None:
    register(f"file://{source}", source)
    assert fetched() == 9


@pytest.mark.parametrize(
    "address", ["ssh://lab.example.org{}", "ssh://ada@lab.example.org{}", "ada@lab.example.org:{}"]
)
def test_ssh_address(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """A stand-in for ssh that runs the command on this machine: git and git-annex talk to each other as over ssh."""
    program = tmp_path / "bin/ssh"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport os, subprocess, sys\nwords = sys.argv[1:]\n"
        "while words and words[0].startswith('-'):\n"
        "    words = words[2:] if words[0] in ('-o', '-p', '-S', '-l') else words[1:]\n"
        f"os.environ['PATH'] = {os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])!r}\n"
        f"print(*words, file=open({str(tmp_path / 'log')!r}, 'a'))\n"
        "sys.exit(subprocess.run(['sh', '-c', ' '.join(words[1:])]).returncode)\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(program))
    register(address.format(source), source)
    assert fetched() == 9
    log = (tmp_path / "log").read_text()
    assert "git-upload-pack" in log
    assert "git-annex-shell" in log, "content came the same way"


@pytest.fixture
def served(source: Path, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The dataset behind https on this machine, with a certificate of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = tmp_path / "certs/server.pem"
    pem.parent.mkdir()
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = tmp_path / "private.pem"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("localhost", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    git(source, ["update-server-info"])
    yield f"https://localhost:{server.server_address[1]}/ds/.git", pem
    server.shutdown()
    server.server_close()


def test_https_address(served: tuple[str, Path], source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, keys and content through TLS; git-annex asks no address of this machine unless it is allowed to."""
    url, pem = served
    register(url, source)
    git(source, ["update-server-info"])
    with pytest.raises(CordriftError, match=rf"{url} cannot be reached: .*certificate"):
        fetch.main(["--dataset", "ds"])
    monkeypatch.setenv("GIT_SSL_CAINFO", str(pem))
    with pytest.raises(CordriftError, match=r"8 of 9 files .* cannot be downloaded from any place"):
        fetch.main(["--dataset", "ds"])
    # git-annex now ignores this origin, "for ever"; what it needed comes later.
    assert git(CLONE, ["config", "remote.origin.annex-ignore"]).strip() == "true"
    monkeypatch.setenv("SYSTEM_CERTIFICATE_PATH", str(pem.parent))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "annex.security.allowed-ip-addresses")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "127.0.0.1 ::1")
    assert fetched() == 9


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c 'touch pwned'",
        "--upload-pack=touch pwned",
        "-oProxyCommand=x",
        "ssh://-oProxyCommand=x/ds",
        "ssh://ada@-oProxyCommand=x/ds",
        "-oProxyCommand=x@lab.example.org:ds",
        "http://example.org/ds",
        "git://example.org/ds",
        "ftp://example.org/ds",
        "https://example.org/a b",
        "ada@lab.example.org::ds",
        "https://ada:secret@example.org/ds",
        "https://ghp_secret@example.org/ds",
        "ssh://ada:secret@example.org/ds",
    ],
)
def test_addresses_that_are_refused(source: Path, url: str) -> None:
    register(url, source)
    with pytest.raises(CordriftError, match="is refused") as caught:
        fetch.main(["--dataset", "ds"])
    assert "secret" not in str(caught.value)
    assert not Path("pwned").exists()


def test_addresses_that_are_allowed() -> None:
    for url in ("https://example.org:8443/ds.git", "ssh://ada@example.org/ds", "ssh://[::1]:22/ds", "file:///srv/ds"):
        assert source_of(url) == url
    assert source_of("ada@example.org:folder/ds") == "ada@example.org:folder/ds"


# ---- half downloads


def test_a_file_without_content_does_not_stop_the_others(source: Path) -> None:
    lost = mask_path("sub-a2", "T2w")
    kept = (source / lost).read_bytes()
    git(source, ["annex", "drop", "--force", "--quiet", "--", lost])
    register("ds", source)
    with pytest.raises(
        CordriftError,
        match=rf"^1 of 9 files of dataset 'ds' cannot be downloaded from any place that this clone may use: {lost}; "
        "git-annex knows no copy of them; ask the owners",
    ):
        fetch.main(["--dataset", "ds"])
    assert not OUT.exists()
    manifest = [image_path(sub, contrast) for sub in PEOPLE for contrast in ("T1w", "T2w")]
    assert annex.missing(CLONE, [*manifest, lost]) == [lost], "everything else came"
    inode = (CLONE / IMAGE).stat().st_ino
    (source / lost).write_bytes(kept)
    git(source, ["annex", "add", "--quiet", lost])
    assert fetched() == 9
    assert (CLONE / IMAGE).stat().st_ino == inode, "and was not fetched again"


def test_content_that_git_annex_lists_but_that_is_lost(source: Path) -> None:
    """git-annex still lists the copy; the object is gone."""
    register("ds", source)
    key = annex.keys_and_sizes(source, [IMAGE])[IMAGE][0]
    (found,) = [path for path in (source / ".git/annex/objects").rglob(key) if path.is_file()]
    found.parent.chmod(0o755)
    found.unlink()
    (source / IMAGE).unlink()
    with pytest.raises(CordriftError, match=rf"^1 of 9 files of dataset 'ds' .*{IMAGE}"):
        fetch.main(["--dataset", "ds"])
    assert not OUT.exists()


def test_resume_after_a_kill(bucket: Path, source: Path) -> None:
    """The whole process group dies in the middle of a transfer; the next fetch brings the rest alone."""
    register("ds", source, remotes={"bucket": "external:bucket"})
    selected()
    (bucket / "hang").touch()
    os.mkfifo(bucket / "hanging")
    child = subprocess.Popen(
        [sys.executable, "-m", "stages.fetch", "--dataset", "ds"],
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(fetch.__file__).parents[1])},
    )
    assert "now" in (bucket / "hanging").read_text()  # waits until a download is half done; two may be, side by side
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    wait_for_session(child.pid)
    assert not OUT.exists()
    (bucket / "hang").unlink()
    here = 8 - selected().plan().to_come
    (CLONE / ".git/index.lock").touch()  # a git that was killed leaves its locks
    (bucket / "log").write_text("")
    assert fetched() == 9
    assert here >= 1
    assert (bucket / "log").read_text().count("RETRIEVE") <= 8 - here
    assert git(CLONE, ["status", "--porcelain"]) == ""
    assert not (CLONE / ".git/index.lock").exists()


def test_records_of_interrupted_transfers_are_removed_before_new_transfers_start(
    bucket: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else, now and then, one transfer removes a dead lock while the other opens it, and a file does not come."""
    register("ds", source, remotes={"bucket": "external:bucket"})
    (remote,) = selected().remotes
    key = annex.keys_and_sizes(CLONE, [IMAGE])[IMAGE][0]
    transfers = CLONE / ".git/annex/transfer/download"
    left = [transfers / "lck" / f"lck.{key}", transfers / remote.uuid / f"lck.{key}", transfers / remote.uuid / key]
    for file in left:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("" if file.name.startswith("lck.") else f"1795615569.5s\n{IMAGE}")
    there = []

    def watched(words: list[str]) -> Iterator[dict[str, Any]]:
        there.append([file for file in left if file.exists()])
        return datalad_results(words)

    monkeypatch.setattr(annex, "datalad_results", watched)
    assert fetched() == 9
    assert there == [[]]


def test_an_interrupted_checkout_does_not_count_as_an_edit(source: Path) -> None:
    register("ds", source)
    assert fetched() == 9
    (source / IMAGE).unlink()
    shutil.copyfile(source / image_path("sub-a2", "T2w"), source / IMAGE)
    (source / "participants.tsv").write_text((source / "participants.tsv").read_text().replace("HC", "DCM"))
    (source / "README").write_text("new in r2\n")
    annex.save(source, "second")
    register("ds", source)
    # As git leaves it: some files of the new commit, the index and HEAD of the old one, and its lock.
    for name in ("participants.tsv", "README"):
        shutil.copyfile(source / name, CLONE / name)
    pointer = git(source, ["cat-file", "blob", f"HEAD:{IMAGE}"])
    (CLONE / IMAGE).unlink()
    (CLONE / IMAGE).write_text(pointer)
    (CLONE / ".git/index.lock").touch()
    assert fetched() == 9
    assert (CLONE / IMAGE).read_bytes() == (source / IMAGE).read_bytes()
    assert git(CLONE, ["status", "--porcelain"]) == ""


def test_two_processes_cannot_fetch_into_one_clone(source: Path) -> None:
    register("ds", source)
    with clone_lock(CLONE), pytest.raises(CordriftError, match=f"another fetch or withdrawal works on {CLONE}"):
        fetch.main(["--dataset", "ds"])
    assert fetched() == 9


@pytest.mark.parametrize("layout", ["locked", "unlocked"])
def test_a_truncated_file_is_named_and_the_advice_restores_it(source: Path, layout: str) -> None:
    """Also where git-annex's own object is bad: a locked file is a link to it."""
    if layout == "locked":
        lock_files(source)
    register("ds", source)
    assert fetched() == 9
    content = (source / IMAGE).read_bytes()
    spoil(CLONE / IMAGE)
    if layout == "unlocked":
        key = annex.keys_and_sizes(CLONE, [IMAGE])[IMAGE][0]
        spoil(CLONE / git(CLONE, ["annex", "contentlocation", key]).strip())
    with pytest.raises(CordriftError, match=rf"{IMAGE}.*`rm (-f )?{CLONE / IMAGE}") as caught:
        fetch.main(["--dataset", "ds"])
    assert ("truncated or edited" if layout == "locked" else "has local edits") in str(caught.value)
    (CLONE / IMAGE).unlink()  # the advice
    assert fetched() == 9
    assert (CLONE / IMAGE).read_bytes() == content


def test_a_remote_that_git_annex_ignores_is_used_again(source: Path) -> None:
    register("ds", source)
    selected()
    git(CLONE, ["config", "remote.origin.annex-ignore", "true"])
    call(["git", "-C", str(CLONE), "config", "--unset-all", "remote.origin.annex-uuid"])
    assert fetched() == 9
    assert call(["git", "-C", str(CLONE), "config", "remote.origin.annex-ignore"]).returncode


@pytest.mark.parametrize("backend", ["WORM", "URL"])
def test_keys_without_a_content_hash_are_refused_before_any_download(source: Path, backend: str) -> None:
    size = (source / IMAGE).stat().st_size
    bad = {"WORM": f"WORM-s{size}-m1--image.nii.gz", "URL": f"URL-s{size}--https&c%%x%image.nii.gz"}[backend]
    blob = call(["git", "-C", str(source), "hash-object", "-w", "--stdin"], stdin=f"/annex/objects/{bad}\n".encode())
    git(source, ["update-index", "--cacheinfo", f"100644,{blob.stdout.decode().strip()},{IMAGE}"])
    git(source, ["commit", "--quiet", "--no-verify", "-m", "bad key"])
    register("ds", source)
    with pytest.raises(CordriftError, match=rf"annex key '{backend}-s.* names no size and content hash"):
        fetch.main(["--dataset", "ds"])
    assert annex.missing(CLONE, [image_path("sub-a2", "T1w")]), "nothing was downloaded"


def test_datalad_that_fails_as_a_whole_says_why(source: Path) -> None:
    with pytest.raises(CordriftError, match=r"DataLad stopped: .*unknown argument.*--no-such-option"):
        list(datalad_results(["get", "--no-such-option"]))


def test_a_users_own_name_for_clones_origin_does_not_matter(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("COUNT", "1"), ("KEY_0", "clone.defaultRemoteName"), ("VALUE_0", "upstream")):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    register("ds", source)
    assert fetched() == 9


# ---- special remotes


def test_a_program_that_a_dataset_names_is_not_run_unless_the_registry_does(
    bucket: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register("ds", source)
    fetch.main(["--dry-run"])
    said = capsys.readouterr().out
    assert (
        "special remote bucket (type external:bucket), which the dataset asks every clone to use, is disabled" in said
    )
    with pytest.raises(
        CordriftError,
        match=r"8 of 9 files .* according to git-annex they are in bucket \(8\); if you trust that special "
        r"remote, add `bucket: external:bucket` under `remotes` of ds in the registry",
    ):
        fetch.main(["--dataset", "ds"])
    assert (bucket / "log").read_text() == ""
    assert [str(remote) for remote in special_remotes(CLONE)] == ["bucket (type external:bucket)"]


def test_a_special_remote_that_the_registry_names_is_used_until_it_no_longer_does(bucket: Path, source: Path) -> None:
    register("ds", source, remotes={"bucket": "external:bucket"})
    assert fetched() == 9
    assert (bucket / "log").read_text().count("RETRIEVE") == 8
    register("ds", source)
    (CLONE / IMAGE).unlink()
    git(CLONE, ["annex", "drop", "--force", "--quiet", "."])
    (bucket / "log").write_text("")
    with pytest.raises(CordriftError, match="cannot be downloaded from any place"):
        fetch.main(["--dataset", "ds"])
    assert (bucket / "log").read_text() == ""


@pytest.mark.parametrize("remotes", [{"buckit": "external:bucket"}, {"bucket": "S3"}])
def test_a_special_remote_that_is_not_as_the_registry_says(bucket: Path, source: Path, remotes: dict[str, str]) -> None:
    """Another program under a trusted name is not run either."""
    register("ds", source, remotes=remotes)
    with pytest.raises(
        CordriftError, match=r"allows the special remote .* for ds, but the dataset has bucket \(type external:bucket\)"
    ):
        fetch.main(["--dataset", "ds"])
    assert (bucket / "log").read_text() == ""


def test_a_special_remote_that_asks_for_more_than_the_dataset_says(source: Path, tmp_path: Path) -> None:
    (tmp_path / "shelf").mkdir()
    settings = ["type=directory", f"directory={tmp_path / 'shelf'}", "encryption=none", "autoenable=true"]
    git(source, ["annex", "initremote", "shelf", *settings])
    git(source, ["annex", "move", "--quiet", "--to", "shelf"])
    register("ds", source, remotes={"shelf": "directory"})
    with pytest.raises(
        CordriftError, match=r"shelf \(type directory\) of ds .*Specify directory=.* by hand once"
    ) as caught:
        fetch.main(["--dry-run"])
    advice = str(caught.value).split("`")[1].removeprefix(f"git -C {CLONE} ")
    git(CLONE, advice.replace("NAME=VALUE", f"directory={tmp_path / 'shelf'}").split())
    assert selected().plan().sources == {"shelf": 8}
    assert fetched() == 9
