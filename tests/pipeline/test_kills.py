"""Every stage and command that writes, killed anywhere: files are whole, nothing is lost, and it can run again.

A killed run and a second one must leave what one run alone leaves. ``make check-kills`` kills each at ten places, those
that take minutes at three; without it the latter are skipped, and the others are killed at one place.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from support.github_api import GitHubServer
from support.kills import live, parts, store, tree
from support.micro import ROOT, micro_workspace
from support.own_folder import make_folder

from stages import cli
from stages.core.phantom.dataset.publish import publish
from stages.core.workspace.runs.workspace import dvc_environment

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(3600)]
#: At how many places each command is killed; the variable is set by `make check-kills`.
PLACES = int(os.environ.get("CORDRIFT_KILLS", "0"))
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
ITEMS = {"fetch": "micro", "check": "micro", "train": "0", "segment": "micro-frozen-0"}
#: What a lab has written, which no command may lose, even for a moment.
OF_THE_LAB = ("params.yaml", "params/", "data/datasets.yaml", "data/frozen.csv", "data/persons.csv", "dvc.yaml")
MASK = "reports/segment/micro-frozen/0/micro-frozen/sub-siteA001/anat/sub-siteA001_T1w_label-SC_seg.nii.gz"
SCT = (
    "Timestamp,SCT Version,Filename,Slice (I->S),VertLevel,MEAN(area),STD(area),SUM(length)\n"
    "2024-01-01 00:00:00,git-x,/d/sub-siteA001_T1w_seg_v3.0.nii.gz,1:20,2:3,71,1,20\n"
)


@dataclass(frozen=True)
class Row:
    """A command, what ran before it, what it removes as DVC does before a stage, and whether it takes minutes."""

    words: tuple[str, ...]
    before: tuple[str, ...] = ()
    outs: tuple[str, ...] = ()
    minutes: bool = False
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return " ".join(self.words[:2])


def _stage(name: str) -> Row:
    item = ITEMS.get(name, "")
    parts = {"dataset": item.removesuffix("-0"), "fold": "0", "shard": "0"}
    outs = tuple(out.replace("${item.", "{").format(**parts) for out in STAGES[name]["outs"])
    environment = {"DVC_STAGE": f"{name}@{item}" if item else name}
    first = {"declare": ("no store",), "register": ("no store", "declare")}.get(name, ())
    return Row((name,), first, outs, name in {"train", "floor", "segment"}, environment)


ROWS = [
    *map(_stage, STAGES),
    Row(("pin", "micro", "--tag", "r2")),
    Row(("profile", "demo"), ("drop edits",)),
    Row(("add-data", "micro")),
    Row(("new", "study", "--bids", "../own", "--base", "micro", "--hours", "0.0001", "--yes")),
    Row(("annotate", "study", "--model", "starter", "--threads", "1"), ("new",), minutes=True),
    Row(("select", "study", "--budget", "2", "--by", "coverage"), ("new", "annotate"), minutes=True),
    Row(("accept-masks", "study", "qc.yml"), ("new", "annotate", "a review"), minutes=True),
    Row(("accept-masks", "study", "--pin"), ("new", "annotate", "a review", "accept-masks"), minutes=True),
    Row(("withdraw", "sub-siteA001", "--reason", "asked for it"), minutes=True),
    Row(("promote", "v1", "--reason", "looked at")),
    Row(("import-release", "sct.csv", "--version", "v3.0", "--dataset", "micro-frozen")),
    Row(("retire", "v3.0", "--reason", "another ruler"), ("import-release",)),
    Row(("measure", MASK, "--per-slice", "-o", "own.csv", "--figures", "pictures", "--force")),
    Row(("segment", MASK, "-o", "own-masks", "--soft"), minutes=True),
    Row(("compare-tables", "reports/measure/measures.csv", "reports/measure/measures.csv", "-o", "compared")),
    Row(("diff-data", "data/package", "data/package", "--csv", "changed.csv")),
    Row(("power", "--runs", "50"), minutes=True),
    Row(("phantom", "cohort", "--cohort", "micro", "--revision", "r1"), minutes=True),
    Row(("commit-edit",), ("an edit of words",)),
    Row(("retrain",)),
    Row(("seed", "7"), minutes=True),
    Row(("monitor", "data/package", "--profile", "micro", "--no-floors"), minutes=True),
    Row(("draft", "write", "--tag", "v2")),
    Row(("release", "plan", "--tag", "v2", "--profile", "micro"), ("a release",)),
    Row(("release", "data", "--profile", "micro"), ("a release", "release plan"), minutes=True),
    Row(
        ("release", "segment", "--profile", "micro", "--shard", "0"),
        ("a release", "release plan", "release data"),
        minutes=True,
    ),
    Row(
        ("release", "judge", "--profile", "micro", "--tag", "v2"),
        ("a release", "release plan", "release data", "release segment", "the other shard"),
        minutes=True,
    ),
]
#: Commands that have no row, with the reason.
WITHOUT_ROW = {
    "dashboard": "writes nothing: it shows a store",
    "demo": "runs the commands of this table in a folder of its own",
    "diff-metrics": "writes nothing: it prints",
    "doctor": "writes nothing: it prints",
    "gate": "writes nothing: it prints",
    "store": "one transaction of the database",
    "draft upload": "tests/release/test_api.py, test_draft.py",
    "release accept": "tests/release/test_api.py: an upload that is killed between any two steps",
    "release publish": "tests/release/test_api.py: an upload that is killed between any two steps",
    "release restore": "tests/release/test_history.py: into an empty store only",
    "release key": "writes nothing: it prints",
}


def test_every_command_has_a_row_or_a_reason() -> None:
    named = {row.words[0] for row in ROWS} | {name.split()[0] for name in WITHOUT_ROW}
    assert named == {*cli.STAGES, *cli.COMMANDS}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, warm_server: dict[str, str]) -> Path:
    """A workspace in which everything ran, in git; beside it a second revision, a lab's folder, and a GitHub."""
    base = tmp_path_factory.mktemp("kills")
    work = base / "work"
    micro_workspace(work, base / "cohort")
    environment = dvc_environment(**warm_server)
    (work / "sct.csv").write_text(SCT, encoding="utf-8")
    (work / ".gitignore").write_text("/data/*/\n/reports/*/\n__pycache__/\n/mlflow.db\n/mlartifacts/\n")
    for command in (
        ["git", "init", "-q", "-b", "main"],
        [sys.executable, "-m", "dvc", "config", "core.no_scm", "false"],
        [sys.executable, "-m", "dvc", "repro", "-q"],
    ):
        subprocess.run(command, cwd=work, env=environment, check=True, stdout=subprocess.DEVNULL)
    _commit(work)
    publish(base / "cohort", "micro", "r2", 2)
    make_folder(base / "own", base / "generated", "r1")
    shutil.copytree(work, base / "finished", symlinks=True)
    return work


def _commit(work: Path) -> None:
    for words in (["add", "-A"], ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "A step"]):
        subprocess.run(["git", *words], cwd=work, check=True, stdout=subprocess.DEVNULL)


def _prepare(work: Path, row: Row, github: GitHubServer) -> None:
    """Put the workspace back as it was when everything had run, and do what comes before the command."""
    shutil.rmtree(work)
    shutil.copytree(work.parent / "finished", work, symlinks=True)
    for step in row.before:
        if step == "no store":
            (work / "mlflow.db").unlink()
            shutil.rmtree(work / "mlartifacts")
        elif step == "drop edits":
            shutil.copyfile(work / "params/micro.yaml", work / "params.yaml")
        elif step == "an edit of words":
            path = work / "stages/package.py"
            path.write_text(path.read_text(encoding="utf-8") + "# An edit of words.\n", encoding="utf-8")
            _commit(work)
        elif step == "a release":
            if "v2" not in github.tags():
                _run(work, Row(("draft", "write", "--tag", "v2")), github)
                files = [path for path in (work / "release/draft").iterdir() if path.is_file()]
                github.add_release("v2", assets={path.name: path.read_bytes() for path in files})
                shutil.rmtree(work / "release")
        elif step == "a review":
            _review(work)
        elif step == "the other shard":
            _run(work, Row(("release", "segment", "--profile", "micro", "--shard", "1")), github)
        else:
            _run(work, next(one for one in ROWS if one.name.startswith(step)), github)
    for out in row.outs:
        path = work / out
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _review(work: Path) -> None:
    """Write a qc.yml as the page exports it: the first mask passes, the second fails, the third is to be fixed."""
    page = (work / "reports/qc/study/index.html").read_text(encoding="utf-8")
    data = page.partition('<script id="data" type="application/json">')[2].partition("</script>")[0]
    names = ("image", "image_key", "mask_key")
    rows = [
        {name: item[name] for name in names} | {"mark": mark, "when": "2026-01-02T03:04:05Z"}
        for item, mark in zip(json.loads(data)["items"], ("pass", "fail", "fix"), strict=False)
    ]
    review = {"schema": 1, "dataset": "study", "reviewer": "A", "images": rows}
    (work / "qc.yml").write_text(yaml.safe_dump(review), encoding="utf-8")


def _run(work: Path, row: Row, github: GitHubServer) -> int:
    """Run a command to its end, and return how many changes it made."""
    ended = live(row.words, work, **github.environment(), **row.environment)
    assert ended.code == 0, ended.text[-3000:]
    return ended.changes


def _places(row: Row, changes: int) -> list[int]:
    """Return before which changes the command is killed: evenly over all of them, from a place that its name gives."""
    count = min(3 if row.minutes else PLACES or 1, changes)
    first = int(hashlib.sha256(row.name.encode()).hexdigest(), 16)
    return sorted({1 + (first + k * changes // count) % changes for k in range(count)})


def _is_pointer(work: Path, name: str) -> bool:
    """Whether git-annex has dropped the content of a file of a clone, and left the pointer to it."""
    if not name.startswith("data/clones/"):
        return False
    with (work / name).open("rb") as file:
        return file.read(len(b"/annex/objects/")) == b"/annex/objects/"


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_killed_anywhere(finished: Path, github: GitHubServer, row: Row) -> None:
    if row.minutes and not PLACES:
        pytest.skip("takes minutes: `make check-kills`")
    work = finished
    _prepare(work, row, github)
    before = tree(work)
    changes = _run(work, row, github)
    assert changes > 0
    after, registered = tree(work), store(work)
    for place in _places(row, changes):
        _prepare(work, row, github)
        killed = live(row.words, work, place, **github.environment(), **row.environment)
        assert killed.code == -9, f"not killed before change {place} of {changes}"
        left = tree(work)
        halves = [
            name
            for name, content in left.items()
            if content not in (before.get(name), after.get(name)) and not _is_pointer(work, name)
        ]
        assert halves == [], f"killed before change {place} of {changes}"
        lost = [name for name in before if name.startswith(OF_THE_LAB) and name in after and name not in left]
        assert lost == [], f"killed before change {place} of {changes}"
        _run(work, row, github)
        now = tree(work)
        different = sorted(name for name in now.keys() | after.keys() if now.get(name) != after.get(name))
        assert different == [], f"killed before change {place} of {changes}"
        assert store(work) == registered, f"killed before change {place} of {changes}"
        assert parts(work) == [], f"killed before change {place} of {changes}"
