"""The runner of workflow files (tests/support/actions): where a mistake of its own would let a wrong workflow pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.actions import Caches, Run, WorkflowError, git, run_workflow
from support.actions.expressions import Open, fill

Step = dict[str, Any]
Play = Callable[..., Run]
SECRETS = {"KEY": "k3y-value"}
INPUTS = {"tag": {"required": True, "type": "string"}}


def use(action: str, **inputs: Any) -> Step:
    """Return a step that uses an action."""
    return {"uses": f"actions/{action}@sha", "with": {name.replace("_", "-"): value for name, value in inputs.items()}}


def job(*steps: Step | str, **more: Any) -> dict[str, Any]:
    """Return a job that may read; a step that is a text is a script."""
    listed = [{"run": step} if isinstance(step, str) else step for step in steps]
    return {"runs-on": "x", "permissions": {"contents": "read"}, "steps": listed} | more


CHECKOUT = use("checkout", persist_credentials=False)


def workflow(jobs: dict[str, Any]) -> dict[str, Any]:
    """Return a workflow of these jobs that every event of these tests starts."""
    events = {"push": {}, "release": {"types": ["published"]}, "workflow_dispatch": {"inputs": INPUTS}}
    return {"on": events, "permissions": {}, "jobs": jobs}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository of two commits, with the tag v1 on the first, and a file that is in neither."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    for text in ("one", "two"):
        (folder / "file.txt").write_text(f"{text}\n")
        git(folder, "add", "file.txt")
        git(folder, "commit", "--quiet", "--message", text)
    git(folder, "tag", "v1", "HEAD^")
    (folder / "new.txt").touch()
    return folder


@pytest.fixture
def play(tmp_path: Path, repository: Path) -> Play:
    """Return what runs jobs, or a whole workflow; every run sees the caches of those before it."""
    caches = Caches(tmp_path / "caches")
    folders = iter(tmp_path / f"run-{number}" for number in range(100))

    def run(jobs: dict[str, Any], **options: Any) -> Run:
        path = tmp_path / "workflow.yml"
        path.write_text(json.dumps(jobs if "jobs" in jobs else workflow(jobs)))
        return run_workflow(path, source=repository, folder=next(folders), caches=caches, **options)

    return run


def released(tag: str) -> dict[str, Any]:
    """Return the options of a run that the publication of a release starts."""
    return {"event_name": "release", "event": {"action": "published", "release": {"tag_name": tag}}}


def outcomes(run: Run, name: str = "a") -> list[str]:
    """Return how each step of a job ended."""
    return [step.outcome for step in run.job(name).steps]


# Conditions, needs and order ---


def test_the_implied_success_asks_every_ancestor(play: Play) -> None:
    """Job d is skipped though c, all it needs, succeeded: a failed further up (actions/runner#2205)."""
    run = play(
        {
            "a": job("exit 3"),
            "b": job("true", needs="a"),
            "c": job("true", **{"needs": "b", "if": "!cancelled()"}),
            "d": job("true", needs="c"),
            "e": job("true", **{"needs": ["a", "c"], "if": "needs.c.result == 'SUCCESS'"}),
            "f": job("true", **{"needs": ["c"], "if": "${{ always() && needs.c.result == 'success' }}"}),
            "g": job("true", **{"needs": ["a", "b", "f"], "if": "contains(needs.*.result, 'failure') && always()"}),
            "h": job("true", **{"needs": ["f"], "if": "contains(needs.*.result, 'failure') && always()"}),
        }
    )
    ran = {"c", "f", "g"}
    assert run.results == {name: "success" if name in ran else "skipped" for name in "abcdefgh"} | {"a": "failure"}
    assert run.conclusion == "failure"


def test_a_failed_step_skips_the_next_but_not_those_that_ask(play: Play) -> None:
    run = play({"a": job("false; true", "echo no", {"if": "always()", "run": "true"}, {"if": "'x'", "run": "true"})})
    assert outcomes(run) == ["failure", "skipped", "success", "skipped"]


def test_a_job_does_not_wait_for_one_that_it_does_not_need(play: Play) -> None:
    jobs = {
        "plan": job("true"),
        "data": job("touch data", use("upload-artifact", name="data", path="data"), needs="plan"),
        "use": job(use("download-artifact", name="data"), needs=["plan", "data"]),
    }
    assert play(jobs).results == {"plan": "success", "data": "success", "use": "success"}
    jobs["use"]["needs"] = ["plan"]
    assert play(jobs).results["use"] == "failure"


def test_members_of_a_matrix_run_by_the_outputs_of_another_job_and_one_may_fail(play: Play) -> None:
    matrix = {"shard": "${{ fromJSON(needs.plan.outputs.shards) }}"}
    run = play(
        {
            "plan": job(
                {"id": "list", "run": "echo 'shards=[1, 2, 3]' >> \"$GITHUB_OUTPUT\""},
                outputs={"shards": "${{ steps.list.outputs.shards }}", "none": "${{ steps.list.outputs.none }}"},
            ),
            "shard": job(
                {"env": {"SHARD": "${{ matrix.shard }}"}, "run": 'echo "$SHARD of 3"; test "$SHARD" != 1'},
                needs="plan",
                strategy={"fail-fast": False, "matrix": matrix},
            ),
        }
    )
    assert run.job("plan").outputs == {"shards": "[1, 2, 3]", "none": ""}
    assert [(one.matrix["shard"], one.result) for one in run.jobs[1:]] == [
        *((1, "failure"), (2, "success"), (3, "success")),
    ]
    assert run.job("shard", shard=3).steps[0].log == "3 of 3\n"
    assert run.results["shard"] == "failure"


# Secrets, tokens, permissions and hostile text ---


def test_nothing_of_the_machine_or_the_secrets_is_there_unless_it_is_passed(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THIS_MACHINE", "x")
    passed = {"KEY": "${{ secrets.KEY }}", "NONE": "${{ secrets.NONE }}"}
    run = play({"a": job("env", {"env": passed, "run": 'echo "${#KEY} [$NONE]"'}, "env")}, secrets=SECRETS)
    assert outcomes(run) == ["success"] * 3
    for name in ("OF_THIS_MACHINE", "KEY", "GITHUB_TOKEN"):
        assert name not in run.job("a").steps[0].log + run.job("a").steps[2].log
    assert run.job("a").steps[1].log == "9 []\n"
    assert run.leaks() == []


@pytest.mark.parametrize(
    "shown",
    [
        'echo "$KEY"',
        'echo -n "$KEY" | base64',
        'echo "$KEY" >> "$GITHUB_STEP_SUMMARY"',
        'echo "x=$KEY" >> "$GITHUB_OUTPUT"',
        'echo "$KEY" > out/file',
    ],
)
def test_a_secret_that_is_shown_is_reported(play: Play, shown: str) -> None:
    step = {"env": {"KEY": "${{ secrets.KEY }}"}, "run": f"mkdir out; touch out/x; {shown}"}
    run = play({"a": job(step, use("upload-artifact", name="out", path="out"))}, secrets=SECRETS)
    assert {secret for secret, _ in run.leaks()} == {"KEY"}


def test_a_token_writes_only_where_contents_are_written(play: Play) -> None:
    step = {"env": {"TOKEN": "${{ github.token }}"}, "run": 'echo "$TOKEN"'}
    tokens = {"read": "reader", "write": "writer"}
    run = play({"a": job(step), "b": job(step, permissions={"contents": "write"})}, tokens=tokens)
    assert [run.job(name).steps[0].log for name in ("a", "b")] == ["reader\n", "writer\n"]


def test_a_checkout_and_an_attestation_need_their_permissions(play: Play) -> None:
    steps = [CHECKOUT, "touch zip", use("attest-build-provenance", subject_path="zip")]
    last = {**steps[2], "if": "always()"}
    signs = {"id-token": "write", "attestations": "write"}
    run = play(
        {
            "a": job(*steps, permissions={"contents": "write", **signs}),
            "b": job(CHECKOUT, {"if": "always()", "run": "touch zip"}, last, permissions=signs),
            "c": job(*steps, permissions={"contents": "read", "id-token": "write"}),
            "d": job(*steps, permissions={"contents": "read", "attestations": "write"}),
        }
    )
    assert outcomes(run, "a") == ["success"] * 3
    assert outcomes(run, "b") == ["failure", "success", "success"]
    assert outcomes(run, "c") == outcomes(run, "d") == ["success", "success", "failure"]
    assert [(one.job, one.name) for one in run.attestations] == [("b", "zip"), ("a", "zip")]


def test_hostile_text_stays_text_in_env_and_sets_outputs_where_it_is_written_unchecked(play: Play) -> None:
    tag = '$(touch ran)";touch ran;"\nadmin=yes'
    step = {"env": {"TAG": "${{ inputs.tag }}"}, "run": 'echo "tag=$TAG" >> "$GITHUB_OUTPUT"; test ! -e ran'}
    run = play({"a": job(step)}, event_name="workflow_dispatch", inputs={"tag": tag})
    assert outcomes(run) == ["success"]
    assert run.job("a").steps[0].outputs == {"tag": tag.splitlines()[0], "admin": "yes"}


# Checkouts, caches and artifacts ---


def test_each_job_begins_empty_and_a_checkout_is_the_commit(play: Play) -> None:
    empty = 'test -z "$(ls -A)" && test -z "$(ls -A "$HOME")" && touch x'
    old = use("checkout", persist_credentials=False, ref="refs/tags/v1", path="old")
    looks = 'ls -A; cat file.txt; git rev-list --count HEAD; cat old/file.txt; echo "$PWD/bin" >> "$GITHUB_PATH"'
    run = play({"a": job(empty, CHECKOUT, old, looks, 'echo "$PATH"'), "b": job(empty, needs="a")})
    assert run.results == {"a": "success", "b": "success"}, run.log
    assert run.job("a").steps[3].log.split() == [".git", "file.txt", "old", "two", "1", "one"]
    assert run.job("a").steps[4].log.startswith(f"{run.job('a').workspace}/bin:")


def cached(make: str = "true", key: str = "k", path: str = "store/x") -> dict[str, Any]:
    """Return a job that restores a cache, makes what it holds, shows it, and saves it."""
    restore = {**use("cache/restore", key=key, path=path), "id": "cache"}
    shows = {"env": {"HIT": "${{ steps.cache.outputs.cache-hit }}"}, "run": 'echo "$(cat store/x) [$HIT]"'}
    return {"a": job(restore, f"mkdir -p store; {make}", shows, use("cache/save", key=key, path=path))}


def shown(run: Run) -> str:
    """Return what a job of ``cached`` found."""
    assert set(outcomes(run)) == {"success"}, run.log
    return run.job("a").steps[2].log.strip()


def test_a_cache_is_found_by_its_key_and_path_and_never_changes(play: Play) -> None:
    assert shown(play(cached("echo one > store/x"))) == "one []"
    assert shown(play(cached("echo two > store/x"))) == "two [true]"
    assert shown(play(cached())) == "one [true]"
    assert shown(play(cached("echo new > store/x", key="k2"))) == "new []"
    assert shown(play(cached("echo new > store/x", path="store"))) == "new []"


def test_a_tag_sees_its_own_caches_and_those_of_the_default_branch(play: Play) -> None:
    assert shown(play(cached("echo v1 > store/x"), **released("v1"))) == "v1 []"
    assert shown(play(cached("echo v2 > store/x"), **released("v2"))) == "v2 []"
    assert shown(play(cached("echo main > store/x"))) == "main []"
    assert shown(play(cached(), **released("v1"))) == "v1 [true]"
    assert shown(play(cached(), **released("v3"))) == "main [true]"


def test_artifacts_begin_at_the_common_folder_of_their_paths_and_leave_hidden_files_out(play: Play) -> None:
    files = "out/deep/1.csv out/.hidden out/.folder/2.csv other.txt"
    make = f"mkdir -p out/deep out/.folder; for file in {files}; do echo x > $file; done"
    run = play(
        {
            "make": job(
                make,
                use("upload-artifact", name="part-1", path="out"),
                use("upload-artifact", name="part-2", path="out\nother.txt"),
                use("upload-artifact", name="single", path="out/deep/1.csv"),
            ),
            "use": job(
                use("download-artifact", pattern="part-*", path="all"),
                use("download-artifact", name="single", path="one"),
                "find . -type f | sort",
                needs="make",
            ),
        }
    )
    assert run.job("use").steps[2].log.split() == [
        *("./all/part-1/deep/1.csv", "./all/part-2/other.txt", "./all/part-2/out/deep/1.csv", "./one/1.csv"),
    ]


def test_an_artifact_has_one_name_and_some_file(play: Play) -> None:
    steps = [
        use("upload-artifact", name="n", path="x"),
        use("upload-artifact", name="n", path="x"),
        use("upload-artifact", name="n", path="x", overwrite=True),
        use("upload-artifact", name="none", path="none", if_no_files_found="error"),
        use("upload-artifact", name="none", path="none"),
        use("download-artifact", name="none"),
    ]
    run = play({"a": job("touch x", *({**step, "if": "always()"} for step in steps))})
    assert outcomes(run)[1:] == ["success", "failure", "success", "failure", "success", "failure"]


# What is not emulated is an error ---


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"run": "true", "shell": "bash"}, "['shell'] is wrong or not emulated"),
        ({"run": "true", "continue-on-error": True}, "['continue-on-error'] is wrong or not emulated"),
        ({"run": "echo ${{ github.ref }}"}, "'${{' in 'run' is not emulated"),
        ({"run": 'echo "A=b" >> "$GITHUB_ENV"'}, "'GITHUB_ENV' in 'run' is not emulated"),
        ({"run": "true", "uses": "actions/checkout@sha"}, "one of 'run' and 'uses'"),
        (use("cache", key="k", path="x"), "actions/cache@sha is not emulated"),
        (use("checkout", persist_credentials=False, fetch_depth=0), "not emulated ['fetch-depth']"),
        (use("upload-artifact", path="x"), "missing ['name']"),
    ],
)
def test_a_step_that_is_not_emulated_is_refused_before_anything_runs(play: Play, step: Step, said: str) -> None:
    with pytest.raises(WorkflowError) as refused:
        play({"a": job("false", step)})
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (use("checkout", persist_credentials=True), "persist-credentials must be false"),
        (use("cache/restore", key="k", path="a/*"), "only a plain path"),
        (use("upload-artifact", name="n", path="../x"), "only a plain path"),
        ({"run": "true", "if": "secrets.KEY != ''"}, "there is no 'secrets' here"),
        ({"run": "true", "if": "${{ github.ref }} == 'x'"}, "'$' is wrong here"),
        ({"run": "true", "if": "steps.later.outputs.x == ''"}, "there is no 'later' in 'steps'"),
        ({"run": "echo ::set-output name=tag::v1"}, "'::set-output name=tag::v1' to the runner, which is not emulated"),
        ({"run": 'printf "tag<<END\\nv1\\nEND\\n" >> "$GITHUB_OUTPUT"'}, "'tag<<END' is wrong or not emulated"),
    ],
)
def test_what_is_not_emulated_ends_the_run(play: Play, step: Step, said: str) -> None:
    with pytest.raises(WorkflowError) as refused:
        play({"a": job(step, {"id": "later", "run": "true"})})
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"permissions": {"contents": "read"}}, "permissions must be {}"),
        ({"defaults": {}}, "['defaults'] is wrong or not emulated"),
        ({"on": {"push": {}, "issue_comment": {}}}, "['issue_comment'] is wrong or not emulated"),
        ({"on": {"schedule": {}}}, "does not run on 'push'"),
        ({"env": {"KEY": "${{ secrets.KEY }}"}}, "there is no 'secrets' here"),
        ({"jobs": {"a": job("true", permissions="write-all")}}, "permissions must be a mapping"),
        ({"jobs": {"a": job("true", env={"KEY": "${{ secrets.KEY }}"})}}, "there is no 'secrets' here"),
        ({"jobs": {"a": job("true", env={"TOKEN": "${{ github.token }}"})}}, "there is no 'token' in 'github'"),
        ({"jobs": {"a": job("true", strategy={"matrix": {"n": [1]}})}}, "fail-fast must be false"),
        ({"jobs": {"a": job("true", strategy={"fail-fast": False, "matrix": {"n": []}})}}, "a list that is not empty"),
        ({"jobs": {"a": job("true", needs="b")}}, "needs ['b'], which"),
        ({"jobs": {"a": job("true", needs="a")}}, "in a circle"),
    ],
)
def test_a_workflow_that_is_not_emulated_is_refused(play: Play, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(WorkflowError) as refused:
        play({**workflow({"a": job("true")}), **changes}, secrets=SECRETS)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"event_name": "release", "event": {"action": "created"}}, "not of 'created'"),
        ({"event_name": "workflow_dispatch"}, "needs ['tag']"),
        ({"event_name": "workflow_dispatch", "inputs": {"tag": "v1", "tga": "v1"}}, "were given"),
    ],
)
def test_an_event_that_starts_nothing_is_refused(play: Play, options: dict[str, Any], said: str) -> None:
    with pytest.raises(WorkflowError) as refused:
        play({"a": job("true")}, **options)
    assert said in str(refused.value)


CONTEXTS = {
    "github": {"event": Open(release=Open(tag_name="v1")), "ref": "main"},
    "inputs": Open(),
    "vars": Open(DEVICE="cuda"),
    "needs": {"a": {"result": "success"}, "b": {"result": "failure"}},
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("github.event.release.tag_name || inputs.tag", "v1"),
        ("inputs.tag || github.event.pull_request.base.sha", None),
        ("vars.NONE || 'cpu'", "cpu"),
        ("vars.DEVICE != 'cuda' && vars.INDEX || ''", ""),
        ("vars.DEVICE == 'CUDA'", True),
        ("vars.NONE != ''", False),
        ("contains(needs.*.result, 'failure') || contains(needs.*.result, 'cancelled')", True),
        ("'' || '' && 'x' || 'y'", "y"),
        ("!vars.NONE && !(vars.DEVICE != 'cuda')", True),
        ("fromJSON('[1, 2]')", [1, 2]),
    ],
)
def test_an_expression_is_worth_what_github_says(source: str, expected: Any) -> None:
    found = fill(f"${{{{ {source} }}}}", CONTEXTS)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "source",
    [
        *(
            "",
            "1",
            "a",
            "github.evnt",
            "needs.c.result",
            "github.",
            "(github.ref",
            "github.ref github.ref",
            "vars['X']",
        ),
        *(
            "toJSON(vars)",
            "success()",
            "always()",
            "contains('text', 'x')",
            "fromJSON('')",
            "needs == 'x'",
            '"x"',
            "'x",
        ),
    ],
)
def test_an_expression_that_is_wrong_or_not_emulated_is_an_error(source: str) -> None:
    with pytest.raises(WorkflowError):
        fill(f"x ${{{{ {source} }}}}", CONTEXTS)
