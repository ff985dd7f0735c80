"""Keys of a bucket: git-annex gets those that the registry grants, for the host that it pins, and keeps none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import boto3
import pytest
from moto.server import ThreadedMotoServer
from support.data_factory import entry, make_dataset
from support.difficult_fetch import CLONE, fetched, register

from stages import fetch
from stages.core.base.errors import CordriftError, DatasetError, SettingsError
from stages.core.base.params import validate
from stages.core.data.clones.programs import call, git, granted
from stages.core.data.clones.special_remotes import SpecialRemote, check_hosts
from stages.core.data.datasets.registry import Dataset

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KEY, SECRET = "AKIADATASETKEY", "dataset/secret/of/the/lab"
ALIEN = "AKIAOFANOTHERTOOL"
#: Git-annex refuses servers of this machine, and no proxy may stand before them.
LOOPBACK = {
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,127.0.0.2"),
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "annex.security.allowed-ip-addresses",
    "GIT_CONFIG_VALUE_0": "all",
}
GRANT = {
    "host": "127.0.0.1",
    "remotes": {"bucket": "S3"},
    "environment": {"AWS_ACCESS_KEY_ID": "DATA_KEY_ID", "AWS_SECRET_ACCESS_KEY": "DATA_KEY"},
}


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """The port of an S3 server with one bucket."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    moto.start()
    host, port = moto.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )
    client.create_bucket(Bucket="data")
    yield port
    moto.stop()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, server: int) -> Path:
    """A dataset whose content lies in the bucket alone."""
    source = tmp_path_factory.mktemp("published") / "ds"
    make_dataset(source, {"sub-a1": "a", "sub-a2": "a"})
    settings = ["type=S3", "encryption=none", "host=127.0.0.1", f"port={server}", "protocol=http", "bucket=data"]
    settings += ["requeststyle=path", "signature=v4", "region=us-east-1", "autoenable=true"]
    with granted({"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET} | LOOPBACK):
        git(source, ["annex", "initremote", "bucket", *settings])
        git(source, ["annex", "copy", "--quiet", "--to", "bucket"])
    git(source, ["annex", "drop", "--force", "--quiet", "."])
    return source


@pytest.fixture
def source(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it in the working directory; the keys of the lab and of another tool are in the environment."""
    shutil.copytree(published, tmp_path / "ds", symlinks=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_KEY_ID", KEY)
    monkeypatch.setenv("DATA_KEY", SECRET)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ALIEN)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of/another/tool")
    for name, value in LOOPBACK.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "ds"


def holds(folder: Path, *texts: str) -> list[str]:
    """The files below a folder in which one of the texts stands."""
    wanted = [text.encode() for text in texts]
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [str(path) for path in files if any(text in path.read_bytes() for text in wanted)]


def test_a_private_bucket_is_fetched_with_the_granted_keys_and_none_stays_in_the_clone(source: Path) -> None:
    register("ds", source, **GRANT)
    assert fetched() == 9
    assert holds(CLONE, KEY, SECRET, ALIEN) == []
    assert not (CLONE / ".git/annex/creds").exists()


def test_keys_of_other_tools_reach_no_program_of_a_fetch(source: Path) -> None:
    """As the keys of DVC's remote in retrain.yml, which git-annex would write into the clone in plain text."""
    register("ds", source, remotes={"bucket": "S3"})
    with pytest.raises(CordriftError, match=r"no remote of dataset 'ds' answers: bucket"):
        fetch.main(["--dataset", "ds"])
    assert holds(Path("data"), ALIEN, "of/another/tool") == []


class Listener:
    """A server that notes whether anybody sent anything to it."""

    def __enter__(self) -> Listener:
        self.heard: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.heard.append(str(self.headers))
                self.send_error(403)

            do_PUT = do_HEAD = do_POST = do_GET  # noqa: N815 - names of http.server

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.2", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()


def test_a_dataset_that_moves_its_bucket_to_another_host_gets_no_keys(source: Path) -> None:
    """Its owner names the host on the git-annex branch, which no pinned commit covers."""
    with Listener() as other:
        port = other.server.server_address[1]
        log = git(source, ["cat-file", "blob", "git-annex:remote.log"])
        moved = log.replace("host=127.0.0.1", "host=127.0.0.2").replace("port=", f"port={port} was=")
        blob = git(source, ["hash-object", "-w", "--stdin"], stdin=moved).strip()
        index = {**os.environ, "GIT_INDEX_FILE": str(source / ".git/other-index")}
        for words in (["read-tree", "git-annex"], ["update-index", "--cacheinfo", f"100644,{blob},remote.log"]):
            subprocess.run(["git", "-C", source, *words], env=index, check=True)
        tree = subprocess.run(
            ["git", "-C", source, "write-tree"], env=index, check=True, capture_output=True, text=True
        ).stdout.strip()
        commit = git(source, ["commit-tree", tree, "-p", "git-annex", "-m", "moved"]).strip()
        git(source, ["update-ref", "refs/heads/git-annex", commit])
        register("ds", source, **GRANT)
        with pytest.raises(DatasetError, match=r"for 127.0.0.1 alone, and its special remote .* is at 127.0.0.2"):
            fetch.main(["--dataset", "ds"])
        assert other.heard == []
    assert holds(Path("data"), KEY, SECRET) == []


def test_a_key_that_is_not_set_is_named_before_anything_is_cloned(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATA_KEY")
    register("ds", source, **GRANT)
    with pytest.raises(SettingsError, match=r"dataset 'ds' needs the variable DATA_KEY, which its registry"):
        fetch.main(["--dataset", "ds"])
    assert not CLONE.exists()


def test_keys_that_a_clone_holds_already_are_refused(source: Path) -> None:
    register("ds", source, **GRANT)
    fetched()
    creds = CLONE / ".git/annex/creds"
    creds.mkdir()
    (creds / "uuid").write_text(f"{KEY}\n{SECRET}\n")
    register("ds", source, remotes={"bucket": "S3"})
    with pytest.raises(DatasetError, match=r"creds holds keys in plain text") as refused:
        fetch.main(["--dataset", "ds"])
    assert SECRET not in str(refused.value)


def test_keys_without_a_host_are_refused_in_the_registry() -> None:
    grant = {key: value for key, value in GRANT.items() if key != "host"}
    with pytest.raises(CordriftError, match=r"host must name the only host that gets them"):
        validate(Dataset, entry("ds", "a" * 40) | grant, "test")


@pytest.mark.parametrize("hosts", [frozenset(), frozenset({"evil.org"}), frozenset({"lab.org", "evil.org"})])
def test_keys_go_to_no_remote_whose_host_is_another_or_not_known(hosts: frozenset[str]) -> None:
    remote = SpecialRemote("bucket", "external:x", "u", True, hosts=hosts)
    with pytest.raises(DatasetError, match=r"are for lab.org alone"):
        check_hosts(Path("ds"), [remote], {"bucket": "external:x"}, "lab.org")
    check_hosts(Path("ds"), [remote], {}, "lab.org")  # it is not enabled


@pytest.mark.parametrize(
    ("environment", "seen"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "x"}, False),
        ({"GITHUB_TOKEN": "x"}, False),
        ({"MLFLOW_TRACKING_PASSWORD": "x"}, False),
        ({"GIT_DIR": "/x"}, False),
        ({"LD_PRELOAD": "/x.so"}, False),
        ({"SSH_AUTH_SOCK": "/x"}, True),
        ({"https_proxy": "http://proxy:1"}, True),
        ({"HTTPS_PROXY": "http://proxy:1"}, True),
        ({"LC_ALL": "C"}, True),
    ],
)
def test_programs_see_only_what_they_need(
    environment: Mapping[str, str], seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (name,) = environment
    words = [sys.executable, "-c", "import os, sys; sys.stdout.write(repr(dict(os.environ)))"]
    assert (f"'{name}'" in call(words).stdout.decode()) is seen
    with granted(environment):
        assert f"'{name}'" in call(words).stdout.decode()
