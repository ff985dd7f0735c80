"""DVC's metrics and plots: declared, and shown between two revisions of a checkout; what a pull request moves."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.cords import CONTRASTS, ROOT, Workspace, keep_as_prior
from support.drift_factory import FLAT, older, run, version

from stages import compare, diff_metrics, measure, report
from stages.core.base.errors import CordriftError
from stages.core.base.files import read_json, write_json
from stages.core.drift.record.metrics import metrics, metrics_difference
from stages.core.drift.versions.version import MeasuredVersion
from stages.core.workspace.runs.workspace import dvc_environment

pytestmark = pytest.mark.slow

OLD = {"dice_mean": 0.9, "csa_std_n": 6, "hd95_mm": 1.5, "passed": 0}
NEW = {"dice_mean": 0.925, "csa_std_n": 4, "passed": 1, "bias_to_champion/T1w": -0.5}
DECLARED = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))


def champion(values: dict[str, list[float]]) -> MeasuredVersion:
    return replace(older(values), aliases=("champion",))


def test_what_is_undefined_is_left_out() -> None:
    first = metrics(run(version(FLAT)).drift)
    assert not [name for name in first if name.startswith("bias")]
    assert (first["passed"], first["csa_std_mean_mm2"]) == (1, 0.0)
    nothing = {sub: [math.nan] * 6 for sub in FLAT}
    empty = metrics(run(version(nothing), champion(FLAT)).drift)
    assert "csa_std_mean_mm2" not in empty
    assert empty["failures"] == 30
    assert {name: value for name, value in empty.items() if name.startswith("bias")} == {"bias_to_champion_n": 0}
    json.dumps(empty, allow_nan=False)


def test_the_bias_is_that_to_the_champion() -> None:
    found = metrics(run(version({sub: [v - 0.7 for v in row] for sub, row in FLAT.items()}), champion(FLAT)).drift)
    assert found["bias_to_champion_mm2"] == pytest.approx(-0.7)
    assert found["bias_to_champion_atrophy_months"] == pytest.approx(6.0)
    assert {f"bias_to_champion/{name}" for name in CONTRASTS} <= set(found)


def test_ten_thousand_rows() -> None:
    """1,700 participants in six contrasts; `make bench-verdict` says how long it takes."""
    values = {f"sub-{k:04d}": list(76 + np.random.default_rng(k).normal(0, 2, 6)) for k in range(1700)}
    new, old = version(values), older(values)
    found = run(new, old)
    assert found.drift.priors[0].pooled.n == 1700
    assert len(found.csa) == 3 * 10200


def dvc(*words: str) -> str:
    command = [sys.executable, "-m", "dvc", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dvc_environment())
    assert done.returncode == 0, done.stderr
    return done.stdout


def git(*words: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True, capture_output=True)


def test_metrics_and_plots_differ_between_revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two versions in two commits of a checkout; the tables are in git here, in DVC's cache in a lab."""
    monkeypatch.chdir(tmp_path)
    workspace = Workspace(tmp_path, ("sub-a", "sub-b"))
    git("init", "-q")
    dvc("init", "-q")
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({key: DECLARED[key] for key in ("metrics", "plots")}))
    (tmp_path / ".gitignore").write_text("data/clones\nreports/segment\n")
    digests = []
    for digest, grow in (("b" * 64, 0.1), ("d" * 64, 0.4)):
        workspace.segment(digest, grow)
        measure.main()
        compare.main()
        report.main([])
        training = tmp_path / "data/package/fold_0/progress.csv"
        training.parent.mkdir(parents=True, exist_ok=True)
        training.write_text(f"schema,epoch,dice\n1,0,0.5\n1,1,0.{len(digests) + 8}\n")
        digests.append(read_json(Path("reports/compare/metrics.json")))
        git("add", "-A")
        git("commit", "-qm", digest[:4])
        keep_as_prior(workspace, digest)
    changed = json.loads(dvc("metrics", "diff", "--json", "HEAD~1", "HEAD"))
    change = changed["reports/compare/metrics.json"]["csa_error_mean_mm2"]
    assert [change["old"], change["new"]] == [value["csa_error_mean_mm2"] for value in digests]
    assert change["new"] > change["old"]
    shutil.rmtree(tmp_path / "dvc_plots", ignore_errors=True)
    dvc("plots", "diff", "HEAD~1", "HEAD")
    page = (tmp_path / "dvc_plots/index.html").read_text(encoding="utf-8")
    for name in ("bias to the champion", "CSA STD of every participant", "validation Dice"):
        assert name in page
    assert "csa_std.png" in page


def test_what_is_declared_is_written_by_a_stage() -> None:
    outs = [out.split("/$")[0] for block in DECLARED["stages"].values() for out in block["outs"]]
    paths = list(DECLARED["metrics"])
    for plot in DECLARED["plots"]:
        paths += [plot] if isinstance(plot, str) else [path for block in plot.values() for path in block["y"]]
    for path in paths:
        assert any(path.startswith(out + "/") for out in outs), path
    assert "reports/compare/bias.csv" not in paths, "it holds every prior: their bars would lie over each other"


def test_every_number_of_both_is_a_row_and_what_is_absent_has_no_change() -> None:
    assert metrics_difference(OLD, NEW).splitlines() == [
        "| metric | old | new | change |",
        "|---|---:|---:|---:|",
        "| `bias_to_champion/T1w` | – | -0.5000 | – |",
        "| `csa_std_n` | 6 | 4 | -2 |",
        "| `dice_mean` | 0.9000 | 0.9250 | +0.0250 |",
        "| `hd95_mm` | 1.5000 | – | – |",
        "| `passed` | 0 | 1 | +1 |",
    ]


def test_the_same_twice_shows_no_change() -> None:
    rows = metrics_difference(NEW, NEW).splitlines()[2:]
    assert [row.split("|")[4].strip() for row in rows] == ["+0.0000", "+0", "+0.0000", "+0"]


def test_the_command_reads_what_the_pipeline_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in (("old", OLD), ("new", NEW)):
        write_json(tmp_path / f"{name}.json", value)
    diff_metrics.main([str(tmp_path / "old.json"), str(tmp_path / "new.json")])
    shown = capsys.readouterr().out
    assert shown == metrics_difference(OLD, NEW) + "\n"
    assert "schema" not in shown


def test_a_file_that_is_absent_or_no_metrics_is_a_sentence(tmp_path: Path) -> None:
    write_json(tmp_path / "new.json", NEW)
    write_json(tmp_path / "other.json", {"verdict": {"drift": "drifted"}})
    with pytest.raises(CordriftError, match=r"absent.json is missing"):
        diff_metrics.main([str(tmp_path / "absent.json"), str(tmp_path / "new.json")])
    with pytest.raises(CordriftError, match=r"other.json cannot be compared: verdict.drift is 'drifted', no number"):
        diff_metrics.main([str(tmp_path / "new.json"), str(tmp_path / "other.json")])
