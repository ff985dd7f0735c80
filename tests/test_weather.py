"""fetch in bad weather: other layouts and addresses, half downloads, foreign remotes, a full disk."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import signal
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from data_factory import entry, fill, image_path, make_dataset, mask_path, workspace

from stages import fetch
from stages.core import annex, fetching, whereabouts
from stages.core.children import call, git
from stages.core.cohort import locate, read_manifest
from stages.core.errors import CordriftError
from stages.core.special import special_remotes

PEOPLE = {"sub-a1": "a", "sub-a2": "a"}
IMAGE = image_path("sub-a1", "T1w")
OUT = Path("data/fetch/ds.json")
CLONE = Path("data/clones/ds")


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


def register(url: str, source: Path, **changes: Any) -> None:
    """Write a workspace that knows the dataset, at its newest commit, under an address."""
    commit = git(source, ["rev-parse", "HEAD"]).strip()
    git(source, ["tag", "--force", "r1"])
    workspace(Path(), {"ds": entry(url, commit) | changes}, [("sub-none", "other")])


def fetched() -> int:
    """Fetch, and count the files that are as their keys say."""
    fetch.main(["--dataset", "ds"])
    manifest = read_manifest(OUT)
    return len([locate(manifest, file.path) for file in manifest.files])


def lose(source: Path, *names: str) -> None:
    """Drop the content of files from the dataset; git-annex still lists no other copy."""
    git(source, ["annex", "drop", "--force", "--quiet", "--", *names])


# ---- layouts and addresses


def test_locked_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links into the object store, as most public datasets have them."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "ds", PEOPLE, ("T1w", "T2w"))
    for words in (["init", "--quiet"], ["annex", "init", "--quiet", "x"]):
        git(tmp_path / "ds", words)
    (tmp_path / "ds/.gitattributes").write_text("* annex.largefiles=nothing\n*.nii.gz annex.largefiles=anything\n")
    git(tmp_path / "ds", ["annex", "add", "--quiet", "."])
    git(tmp_path / "ds", ["commit", "--quiet", "-m", "x"])
    assert git(tmp_path / "ds", ["ls-tree", "HEAD", IMAGE]).startswith("120000 ")
    register("ds", tmp_path / "ds")
    with pytest.raises(SystemExit, match="0"):
        fetch.main(["--help"])
    todo = fetching.choose("ds", fetch.entry(fetch.load_registry(), "ds"), []).plan()
    assert (todo.to_come, todo.needed) == (8, todo.to_come_size), "the content of a link lies on the disk once"
    assert fetched() == 9
    assert (CLONE / IMAGE).is_symlink()


def test_file_address(source: Path) -> None:
    register(f"file://{source}", source)
    assert fetched() == 9


def test_ssh_address(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    monkeypatch.setenv("GIT_ANNEX_USE_GIT_SSH", "1")
    register(f"ssh://lab.example.org{source}", source)
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
    yield f"https://localhost:{server.server_address[1]}/ds/.git", pem
    server.shutdown()


def test_https_address(served: tuple[str, Path], source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, keys and content through TLS; git-annex asks no address of this machine unless it is allowed to."""
    url, pem = served
    monkeypatch.setenv("GIT_SSL_CAINFO", str(pem))
    monkeypatch.setenv("SYSTEM_CERTIFICATE_PATH", str(pem.parent))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "annex.security.allowed-ip-addresses")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "127.0.0.1 ::1")
    register(url, source)
    git(source, ["update-server-info"])
    assert fetched() == 9


# ---- half downloads


def test_one_missing_key_among_many_stops_no_other(source: Path) -> None:
    lost = mask_path("sub-a2", "T2w")
    kept = (source / lost).read_bytes()
    lose(source, lost)
    register("ds", source)
    with pytest.raises(
        CordriftError, match=rf"^1 of 9 files of dataset 'ds' cannot be had .*first: {lost}; git-annex knows of no copy"
    ):
        fetch.main(["--dataset", "ds"])
    assert not OUT.exists()
    here = [name for name in (IMAGE, image_path("sub-a2", "T2w")) if not annex.missing(CLONE, [name])]
    assert len(here) == 2, "everything else came"
    inode = (CLONE / IMAGE).stat().st_ino
    (source / lost).write_bytes(kept)
    git(source, ["annex", "add", "--quiet", lost])
    assert fetched() == 9
    assert (CLONE / IMAGE).stat().st_ino == inode, "and was not fetched again"


def test_content_that_its_owner_lost_without_knowing(source: Path) -> None:
    """git-annex still lists the copy; the object is gone."""
    register("ds", source)
    key = annex.keys(source, [IMAGE])[IMAGE][0]
    (found,) = [path for path in (source / ".git/annex/objects").rglob(key) if path.is_file()]
    found.parent.chmod(0o755)
    found.unlink()
    (source / IMAGE).unlink()
    with pytest.raises(CordriftError, match=rf"1 of 9 files of dataset 'ds' .*first: {IMAGE}"):
        fetch.main(["--dataset", "ds"])
    assert not OUT.exists()


def test_resume_after_a_kill(source: Path, tmp_path: Path) -> None:
    """The whole process group dies in the middle of the downloads; the next fetch brings the rest."""
    register("ds", source)
    fetching.choose("ds", fetch.entry(fetch.load_registry(), "ds"), [])
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import time\nfrom stages import fetch\nfrom stages.core import annex, fetching\nreal = annex.get\n"
        "def get(path, files, jobs, arrived):\n"
        "    real(path, files[:3], jobs, arrived)\n    print('half', flush=True)\n    time.sleep(600)\n"
        "annex.get = get\nfetch.main(['--dataset', 'ds'])\n"
    )
    root = str(Path(fetch.__file__).parents[1])
    child = subprocess.Popen(
        [sys.executable, str(slow)],
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"half\n"
    # In the middle of a get as well: git-annex is at work on the others when everything dies.
    rest = [sys.executable, "-m", "datalad", "get", "-d", str(CLONE), str(CLONE)]
    other = subprocess.Popen(rest, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while not (CLONE / ".git/annex/transfer").exists() and other.poll() is None:
        time.sleep(0.005)
    for process in (child, other):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not OUT.exists()
    assert fetched() == 9


def test_a_remote_that_git_annex_had_given_up_is_asked_again(source: Path) -> None:
    register("ds", source)
    fetching.choose("ds", fetch.entry(fetch.load_registry(), "ds"), [])
    git(CLONE, ["config", "remote.origin.annex-ignore", "true"])
    call(["git", "-C", str(CLONE), "config", "--unset-all", "remote.origin.annex-uuid"])
    assert fetched() == 9
    assert call(["git", "-C", str(CLONE), "config", "remote.origin.annex-ignore"]).returncode


@pytest.mark.parametrize("backend", ["WORM", "URL"])
def test_keys_without_a_content_hash_are_refused_before_anything_comes(source: Path, backend: str) -> None:
    key = annex.keys(source, [IMAGE])[IMAGE][0]
    size, name = (
        key.split("-s")[1].split("--")[0],
        {"WORM": "m1-image.nii.gz", "URL": "https://x/image.nii.gz"}[backend],
    )
    bad = f"{backend}-s{size}--{name}".replace("/", "%").replace(":", "&c")
    blob = call(["git", "-C", str(source), "hash-object", "-w", "--stdin"], stdin=f"/annex/objects/{bad}\n".encode())
    git(source, ["update-index", "--cacheinfo", f"100644,{blob.stdout.decode().strip()},{IMAGE}"])
    git(source, ["-c", "annex.dotfiles=true", "commit", "--quiet", "--no-verify", "-m", "bad key"])
    register("ds", source)
    with pytest.raises(CordriftError, match=rf"annex key '{backend}-s.* names no size and content hash"):
        fetch.main(["--dataset", "ds"])
    assert annex.missing(CLONE, [image_path("sub-a2", "T1w")]), "nothing was downloaded"


def test_a_full_disk_is_seen_before_anything_comes(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register("ds", source)
    size = fetching.choose("ds", fetch.entry(fetch.load_registry(), "ds"), []).plan().to_come_size
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(whereabouts.shutil, "disk_usage", lambda _: usage._replace(free=2 * size - 1))
    with pytest.raises(CordriftError, match=r"8 files of ds need 0\.00 GB in data/clones/ds .* but 0\.00 GB are free"):
        fetch.main(["--dataset", "ds"])
    assert len(annex.missing(CLONE, [IMAGE, mask_path("sub-a2", "T2w")])) == 2
    monkeypatch.setattr(whereabouts.shutil, "disk_usage", lambda _: usage._replace(free=2 * size))
    assert fetched() == 9


# ---- special remotes

PROGRAM = """#!{python}
import pathlib, shutil, sys
store = pathlib.Path({store!r})
(store / "ran").touch()
print("VERSION 1", flush=True)
for line in sys.stdin:
    words = line.split()
    if words[0] in ("INITREMOTE", "PREPARE"):
        print(words[0] + "-SUCCESS", flush=True)
    elif words[0] == "TRANSFER":
        key, file = words[2], line.rstrip("\\n").split(" ", 3)[3]
        pair = (file, store / key) if words[1] == "STORE" else (store / key, file)
        shutil.copyfile(*pair)
        print("TRANSFER-SUCCESS", words[1], key, flush=True)
    elif words[0] == "CHECKPRESENT":
        state = "SUCCESS" if (store / words[1]).exists() else "FAILURE"
        print("CHECKPRESENT-" + state, words[1], flush=True)
    elif words[0] == "REMOVE":
        print("REMOVE-SUCCESS", words[1], flush=True)
    else:
        print("UNSUPPORTED-REQUEST", flush=True)
"""


@pytest.fixture
def bucket(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All content lies in an external special remote ``bucket`` alone, which asks to be switched on."""
    store, program = tmp_path / "store", tmp_path / "bin/git-annex-remote-bucket"
    store.mkdir()
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=sys.executable, store=str(store)))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    settings = ["type=external", "externaltype=bucket", "encryption=none", "autoenable=true"]
    git(source, ["annex", "initremote", "bucket", *settings])
    git(source, ["annex", "copy", "--quiet", "--to", "bucket"])
    git(source, ["annex", "drop", "--force", "--quiet", "."])
    (store / "ran").unlink()
    return store


def test_a_program_that_a_dataset_names_is_not_run_unless_the_registry_does(
    bucket: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register("ds", source)
    fetch.main(["--dry-run"])
    said = capsys.readouterr().out
    assert "special remote bucket (type external:bucket), which the dataset asks every clone to use, is off" in said
    with pytest.raises(
        CordriftError,
        match=r"8 of 9 files .* git-annex last knew it in bucket; if you trust that special remote, add "
        r"`bucket: external:bucket` under `remotes` of ds in the registry",
    ):
        fetch.main(["--dataset", "ds"])
    assert not (bucket / "ran").exists()
    assert [str(remote) for remote in special_remotes(CLONE)] == ["bucket (type external:bucket)"]


def test_a_special_remote_that_the_registry_names_is_used_until_it_no_longer_does(bucket: Path, source: Path) -> None:
    register("ds", source, remotes={"bucket": "external:bucket"})
    assert fetched() == 9
    assert (bucket / "ran").exists()
    register("ds", source)
    (CLONE / IMAGE).unlink()
    call(["git", "-C", str(CLONE), "annex", "drop", "--force", "--quiet", "."])
    (bucket / "ran").unlink()
    with pytest.raises(CordriftError, match="cannot be had from any place"):
        fetch.main(["--dataset", "ds"])
    assert not (bucket / "ran").exists()


@pytest.mark.parametrize("remotes", [{"buckit": "external:bucket"}, {"bucket": "S3"}])
def test_a_special_remote_that_is_not_as_the_registry_says(bucket: Path, source: Path, remotes: dict[str, str]) -> None:
    """Another program under a trusted name is not run either."""
    register("ds", source, remotes=remotes)
    with pytest.raises(
        CordriftError, match=r"allows the special remote .* for ds, but the dataset has bucket \(type external:bucket\)"
    ):
        fetch.main(["--dataset", "ds"])
    assert not (bucket / "ran").exists()


# ---- the plan


def test_plan_of_what_is_here_and_what_is_to_come(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register("ds", source)
    fetch.main(["--dry-run", "--dataset", "ds"])
    first = capsys.readouterr().out
    assert first.startswith("ds: 9 files, 0.000 GB; 1 are here, 8 (0.000 GB) are to come\n")
    assert "\n  from origin: 8 files\n" in first
    assert "\n  4 images selected, 0 participants or images left out\n" in first
    assert annex.missing(CLONE, [IMAGE]) == [IMAGE]
    assert not OUT.exists()
    annex.get(CLONE, [IMAGE])
    fetch.main(["--dry-run"])
    assert "ds: 9 files, 0.000 GB; 2 are here, 7 " in capsys.readouterr().out


def test_a_bare_repository_without_content_gives_a_plan_and_a_sentence(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare.git"
    git(None, ["clone", "--quiet", "--bare", "--", str(source), str(bare)])
    register("bare.git", source)
    git(bare, ["fetch", "--quiet", "--force", str(source), "refs/tags/*:refs/tags/*"])
    fetch.main(["--dry-run", "--dataset", "ds"])
    said = capsys.readouterr().out
    assert "8 of 9 files of dataset 'ds' cannot be had from any place that this clone may ask" in said
    with pytest.raises(CordriftError, match=r"8 of 9 files of dataset 'ds' cannot be had .*git-annex last knew it in"):
        fetch.main(["--dataset", "ds"])


def test_fetch_without_a_dataset_is_a_sentence(source: Path) -> None:
    register("ds", source)
    with pytest.raises(CordriftError, match="fetch needs --dataset NAME"):
        fetch.main([])
