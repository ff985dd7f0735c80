"""A private dataset behind ssh, as docs/release.md describes it: the agent's key opens it, and no file keeps it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from support.data_factory import make_dataset
from support.difficult_fetch import CLONE, OUT, PEOPLE, fetched, register

from stages.core.base.errors import DatasetError

SSHD = shutil.which("sshd", path=f"/usr/sbin:/usr/local/sbin:{os.environ['PATH']}")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(SSHD is None, reason="there is no ssh server (sshd) on this machine"),
]


class Server(NamedTuple):
    """An ssh server on loopback: its address, an agent that holds the key, and the public part of the key."""

    url: str
    agent: Path
    key: str


def _key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir(mode=0o700)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    host, key = _key(folder / "host"), _key(folder / "deploy")
    (folder / "authorized").write_text(f"{key}\n")
    (folder / "known").write_text(f"[127.0.0.1]:{port} {host}\n")
    (folder / "ssh.conf").write_text(f"UserKnownHostsFile {folder}/known\nStrictHostKeyChecking yes\nBatchMode yes\n")
    settings = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": str(folder / "host"),
        "AuthorizedKeysFile": str(folder / "authorized"),
        "PidFile": "none",
        "StrictModes": "no",
        "PasswordAuthentication": "no",
        "UsePAM": "no",
        "SetEnv": f"PATH={os.environ['PATH']}",  # where git-annex is, which the server must have too
    }
    (folder / "sshd.conf").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    agent = folder / "agent"
    with (
        subprocess.Popen([str(SSHD), "-D", "-f", str(folder / "sshd.conf")]) as daemon,
        subprocess.Popen(["ssh-agent", "-D", "-a", str(agent)], stdout=subprocess.DEVNULL) as keeper,
    ):
        while not agent.exists():
            time.sleep(0.05)
        add = ["ssh-add", "-q", str(folder / "deploy")]
        subprocess.run(add, env={**os.environ, "SSH_AUTH_SOCK": str(agent)}, check=True)
        (folder / "deploy").unlink()
        monkeypatch.setenv("GIT_SSH_COMMAND", f"ssh -F {folder}/ssh.conf")
        yield Server(f"ssh://127.0.0.1:{port}", agent, key.split()[1])
        daemon.kill()
        keeper.kill()


def test_the_key_of_the_agent_opens_a_dataset_behind_ssh(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "ds"
    make_dataset(source, PEOPLE)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    register(f"{server.url}{source}", source)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(DatasetError, match=r"Permission denied \(publickey"):
        fetched()
    assert not OUT.exists()
    monkeypatch.setenv("SSH_AUTH_SOCK", str(server.agent))
    assert fetched() == 9
    assert CLONE.is_dir()
    files = [path for path in (tmp_path / "work").rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in files if server.key.encode() in path.read_bytes()] == []
