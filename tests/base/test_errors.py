"""No message shows a credential, whatever way it came into the message."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.cords import ROOT

from stages.core.base.errors import CordriftError, StoreError, did_you_mean, redact, run


@pytest.mark.parametrize(
    "text",
    [
        "https://bob:hunter2@lab.org/x",
        "http://bob:hunter2@lab.org/x",
        "http://bob:hun/ter2@lab.org:8080/x",
        "https://hunter2@lab.org",
        "ssh://git:hunter2@lab.org/x.git",
        "s3://KEY:hunter2@bucket/x",
        "sqlite:///hunter2@x",
        "https://lab.org/x?token=hunter2",
        "https://lab.org/x?X-Amz-Signature=hunter2&y=1",
        "https://lab.org/x#access_token=hunter2",
        "'https://bob:hunter2@lab.org/x'",
        '{"url": "https://bob:hunter2@lab.org"}',
        "https://bob:hun'ter2@lab.org/x",
        "Authorization: Bearer hunter2",
        "Authorization: Basic hunter2==",
        "password=hunter2",
        "--access-key=hunter2",
        '"aws_secret_access_key": "hunter2"',
        "MLFLOW_TRACKING_TOKEN=hunter2",
        "dvc remote add lab https://bob:hunter2@lab.org/x failed",
    ],
)
def test_a_message_shows_no_credential(text: str) -> None:
    for shown in (redact(text), str(CordriftError(text)), f"{StoreError(text)}"):
        assert "ter2" not in shown
        assert "hunter2" not in shown


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "LAB_API_KEY"])
def test_the_value_of_a_secret_variable_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "wJalrXUtnFEMI/K7")
    assert str(CordriftError("git said: wJalrXUtnFEMI/K7 is refused")) == "git said: *** is refused"


@pytest.mark.parametrize(
    "text",
    [
        "https://lab.org/x/y is not there; looked in /data/x",
        "credentials: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
        "it holds a password or token, which everybody reads: remove it",
        "key 'train.epochs' is missing",
        "design=3 and sigma=2 of a significance=0.05",
        "git@github.com:lab/data cannot be reached",
        "sub-01_T2w.nii.gz: expected 3 axes, found 4",
    ],
)
def test_a_message_without_credentials_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_a_command_prints_the_redacted_sentence_and_no_stack_trace(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise CordriftError("no answer from https://bob:hunter2@lab.org")

    with pytest.raises(SystemExit) as stop:
        run(fail)
    assert stop.value.code == 1
    assert capsys.readouterr().err == "cordrift: no answer from https://lab.org\n"


def test_a_word_that_is_far_from_all_has_no_suggestion() -> None:
    assert did_you_mean("epoch", ["epochs"]) == " (did you mean 'epochs'?)"
    assert did_you_mean("zzz", ["epochs"]) == ""


def test_a_name_cannot_steer_the_terminal() -> None:
    assert str(CordriftError("\x1b]0;owned\x07 \x1b[2J is missing")) == r"\x1b]0;owned\x07 \x1b[2J is missing"
    assert str(CordriftError("naïve ² mm² 语")) == "naïve ² mm² 语"


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "the disk is full; free space"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "this user has no right to it"),
        (errno.EDQUOT, "the quota of this user is used up"),
        (errno.EMFILE, "this process may open no more files"),
        (errno.ENAMETOOLONG, "the name is too long"),
    ],
)
def test_a_fault_of_the_machine_is_a_sentence(capsys: pytest.CaptureFixture[str], number: int, sentence: str) -> None:
    def fail() -> None:
        raise OSError(number, "said by the system", "/lab/x")

    with pytest.raises(SystemExit) as stop:
        run(fail)
    assert stop.value.code == 1
    assert capsys.readouterr().err.startswith(f"cordrift: /lab/x: said by the system: {sentence}")


def test_an_interruption_is_a_sentence_and_the_status_of_a_shell(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit, match="130"):
        run(interrupted)
    assert capsys.readouterr().err == (
        "cordrift: interrupted. What was written completely is kept; the same command does the rest.\n"
    )


def test_a_fault_that_nobody_can_mend_keeps_its_stack_trace() -> None:
    def fail() -> None:
        raise BrokenPipeError(errno.EPIPE, "gone")

    with pytest.raises(BrokenPipeError):
        run(fail)


def test_a_terminal_of_ascii_shows_every_message(tmp_path: Path) -> None:
    code = "from stages.core.base.errors import run\nrun(lambda: print('80 mm² − 2'))"
    env = {"PATH": os.environ["PATH"], "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, check=False)
    assert done.stdout == b"80 mm\\xb2 \\u2212 2\n", done.stderr


def test_what_is_printed_cannot_steer_the_terminal(tmp_path: Path) -> None:
    code = "print('first'); from stages.core.base.errors import run\nrun(lambda: print('sub-\x1b[2J\x07\t1', end='.'))"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"first\nsub-\\x1b[2J\\x07\t1.", b"")
