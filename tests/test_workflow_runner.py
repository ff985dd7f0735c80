"""The local runner of workflow files: what of GitHub's rules the tests of our workflows rest on."""

from __future__ import annotations

from pathlib import Path

import pytest
from actions import WorkflowError
from actions.playing import CHECKOUT, UPLOAD, Player


@pytest.fixture
def play(tmp_path: Path) -> Player:
    return Player(tmp_path)


def test_steps_run_in_order_and_pass_on_outputs(play: Player) -> None:
    run = play(
        """
        plan:
          runs-on: x
          outputs:
            shards: ${{ steps.list.outputs.shards }}
            text: ${{ steps.list.outputs.text }}
          steps:
            - id: list
              run: |
                echo 'shards=[1, 2]' >> "$GITHUB_OUTPUT"
                printf 'text<<END\\none\\ntwo\\nEND\\n' >> "$GITHUB_OUTPUT"
        use:
          needs: plan
          runs-on: x
          strategy:
            matrix:
              shard: ${{ fromJSON(needs.plan.outputs.shards) }}
          steps:
            - env:
                SHARD: ${{ matrix.shard }}
                TEXT: ${{ needs.plan.outputs.text }}
              run: echo "$SHARD of $TEXT"
        """
    )
    assert run.results == {"plan": "success", "use": "success"}
    assert [one.matrix["shard"] for one in run.members("use")] == [1, 2]
    assert run.job("use", shard=2).steps[0].log.strip() == "2 of one\ntwo"


def test_a_secret_that_is_not_passed_is_not_there(play: Player, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "of this machine")
    run = play(
        """
        a:
          runs-on: x
          steps:
            - run: env
            - env:
                KEPT: ${{ secrets.MLFLOW_TRACKING_PASSWORD }}
                NONE: ${{ secrets.NOT_SET }}
              run: echo "${#KEPT} [$NONE]"
        """,
        secrets={"MLFLOW_TRACKING_PASSWORD": "hunter2-x"},
    )
    first, second = run.job("a").steps
    assert "PASSWORD" not in first.raw
    assert "GITHUB_TOKEN" not in first.raw
    assert second.log.strip() == "9 []"
    assert run.leaks() == []


@pytest.mark.parametrize("shown", ['echo "$KEY"', 'echo -n "$KEY" | base64', 'echo "$KEY" >> "$GITHUB_STEP_SUMMARY"'])
def test_a_secret_in_a_log_is_masked_and_reported(play: Player, shown: str) -> None:
    run = play(
        f"""
        a:
          runs-on: x
          steps:
            - env: {{KEY: "${{{{ secrets.KEY }}}}", TOKEN: "${{{{ github.token }}}}"}}
              run: {shown}
        """,
        secrets={"KEY": "k3y-value"},
    )
    assert [secret for secret, _ in run.leaks()] == ["KEY"]
    assert "k3y-value" not in run.log + run.summary
    assert "***" in run.log + run.summary


def test_an_output_with_a_secret_does_not_leave_its_job(play: Player) -> None:
    run = play(
        """
        a:
          runs-on: x
          outputs: {key: "${{ steps.one.outputs.key }}", other: "${{ steps.one.outputs.other }}"}
          steps:
            - id: one
              env: {KEY: "${{ secrets.KEY }}"}
              run: printf 'key=%s\\nother=x\\n' "$KEY" >> "$GITHUB_OUTPUT"
        """,
        secrets={"KEY": "k3y-value"},
    )
    assert run.job("a").outputs == {"other": "x"}


@pytest.mark.parametrize(
    ("script", "tag", "injected"),
    [
        ('echo "tag=$TAG" >> "$GITHUB_OUTPUT"', "v1\nadmin=yes", {"admin"}),
        ('printf "tag<<END\\n%s\\nEND\\n" "$TAG" >> "$GITHUB_OUTPUT"', "v1\nEND\nadmin=yes\nx<<END", {"admin", "x"}),
        ('printf "tag<<d1f0\\n%s\\nd1f0\\n" "$TAG" >> "$GITHUB_OUTPUT"', "v1\nEND\nadmin=yes\nx<<END", set()),
        ('echo "$TAG"', "::set-output name=admin::yes", {"admin"}),
    ],
)
def test_text_that_is_not_fenced_in_injects_outputs(play: Player, script: str, tag: str, injected: set[str]) -> None:
    jobs = f"a:\n  runs-on: x\n  steps:\n    - env: {{TAG: '${{{{ inputs.tag }}}}'}}\n      run: |\n        {script}\n"
    head = "on: {workflow_dispatch: {inputs: {tag: {required: true, type: string}}}}"
    step = play(jobs, head=head, event_name="workflow_dispatch", inputs={"tag": tag}).job("a").steps[0]
    assert set(step.outputs) - {"tag"} == injected
    assert step.outcome == "success"


@pytest.mark.parametrize(("fail_fast", "expected"), [("false", "success"), ("true", "cancelled")])
def test_a_failing_member_leaves_others_running_unless_fail_fast(play: Player, fail_fast: str, expected: str) -> None:
    run = play(
        f"""
        shard:
          runs-on: x
          strategy: {{fail-fast: {fail_fast}, max-parallel: 1, matrix: {{n: [1, 2, 3]}}}}
          steps:
            - env: {{N: "${{{{ matrix.n }}}}"}}
              run: test "$N" != 1
        pass:
          needs: [shard]
          if: always()
          runs-on: x
          steps:
            - env: {{RESULTS: "${{{{ join(needs.*.result, ' ') }}}}"}}
              run: echo "$RESULTS"
        """
    )
    assert [one.result for one in run.members("shard")] == ["failure", expected, expected]
    assert run.job("pass").steps[0].log.strip() == "failure"
    assert run.conclusion == "failure"


SKIPS = """
a: {runs-on: x, steps: [{run: "exit 3"}]}
b: {runs-on: x, needs: a, steps: [{run: "true"}]}
c: {runs-on: x, needs: b, if: "!cancelled()", steps: [{run: "true"}]}
d: {runs-on: x, needs: c, steps: [{run: "true"}]}
e: {runs-on: x, needs: c, if: "failure()", steps: [{run: "true"}]}
f: {runs-on: x, needs: [a, c], if: "needs.c.result == 'SUCCESS'", steps: [{run: "true"}]}
g: {runs-on: x, needs: [c], if: "${{ always() && needs.c.result == 'success' }}", steps: [{run: "true"}]}
"""


def test_the_implied_success_asks_every_ancestor(play: Player) -> None:
    """Job d is skipped though c, all it needs, succeeded: a failed further up (actions/runner#2205)."""
    assert play(SKIPS).results == {
        "a": "failure",
        "b": "skipped",
        "c": "success",
        "d": "skipped",
        "e": "success",
        "f": "skipped",
        "g": "success",
    }


def test_a_failed_step_skips_the_next_but_not_those_that_ask(play: Player) -> None:
    steps = play(
        """
        a:
          runs-on: x
          steps:
            - {id: soft, continue-on-error: true, run: exit 1}
            - {if: "steps.soft.outcome == 'failure' && steps.soft.conclusion == 'success'", run: echo soft}
            - run: exit 1
            - run: echo no
            - {if: failure(), run: echo failed}
            - {if: always(), run: echo always}
            - {if: cancelled(), run: echo no}
        """
    )
    outcomes = [step.outcome for step in steps.job("a").steps]
    assert outcomes == ["failure", "success", "failure", "skipped", "success", "success", "skipped"]


def test_a_timeout_kills_the_step_and_its_children(play: Player, tmp_path: Path) -> None:
    run = play(
        f"""
        a:
          runs-on: x
          steps:
            - timeout-minutes: 1
              run: |
                (sleep 2; touch {tmp_path}/group) &
                sleep 60
            - if: failure()
              run: sleep 2.5; test ! -e {tmp_path}/group
        b:
          runs-on: x
          timeout-minutes: 1
          steps:
            - run: |
                setsid sh -c 'sleep 2; touch {tmp_path}/session' &
                sleep 60
            - run: echo no
            - if: cancelled()
              run: echo cleaned
        """,
        minute_seconds=0.5,
    )
    assert run.results == {"a": "failure", "b": "cancelled"}
    assert [step.outcome for step in run.job("a").steps] == ["failure", "success"]
    assert [step.outcome for step in run.job("b").steps] == ["cancelled", "skipped", "success"]
    assert not (tmp_path / "session").exists()


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("env: {X: '${{ secret.KEY }}'}, run: 'true'", "'secret' is no context"),
        ("env: {X: '${{ github.evnt }}'}, run: 'true'", "github.evnt does not exist"),
        ("env: {X: '${{ steps.nope.outputs.x }}'}, run: 'true'", "no step with id 'nope'"),
        ("env: {X: '${{ steps.later.outputs.x }}'}, run: 'true'", "no step with id 'later'"),
        ("env: {X: '${{ needs.plan.outputs.x }}'}, run: 'true'", "does not need 'plan'"),
        ("env: {X: '${{ fromJson2(1) }}'}, run: 'true'", "there is no function 'fromJson2'"),
        ("env: {X: '${{ matrix.shrad }}'}, run: 'true'", "matrix.shrad does not exist"),
        ("env: {X: '${{ inputs.tga }}'}, run: 'true'", "no input ['tga']"),
        ("env: {X: '${{ success() }}'}, run: 'true'", "success() is for 'if' alone"),
        ("env: {X: '${{ vars.X'}, run: 'true'", "is not closed"),
        ("if: \"secrets.KEY != ''\", run: 'true'", "'secrets' is no context"),
        ("if: \"${{ github.ref }} == 'x'\", run: 'true'", "holds always"),
        ("uses: actions/checkout@v4", "must be pinned"),
        ("uses: some/action@11bd71901bbe5b1630ceea73d27597364c9af683", "is not emulated"),
        (f"uses: {CHECKOUT}, with: {{fetch_depth: 0}}", "['fetch_depth']"),
        (f"uses: {UPLOAD}, with: {{name: x}}", "missing ['path']"),
        ("runs: 'true'", "is not emulated"),
        ("timeout-minutes: 0.5, run: 'true'", "whole number"),
    ],
)
def test_a_mistake_fails_the_test_even_where_the_run_does_not_get(play: Player, step: str, said: str) -> None:
    condition = "" if "if:" in step or "timeout" in step else "if: false, "
    jobs = f"""
        a:
          runs-on: x
          strategy: {{matrix: {{shard: [1]}}}}
          steps:
            - {{{condition}{step}}}
            - {{id: later, run: "true"}}
    """
    with pytest.raises(WorkflowError) as error:
        play(jobs)
    assert said in str(error.value)


def test_names_that_are_not_set_are_empty(play: Player) -> None:
    run = play(
        """
        a:
          runs-on: x
          steps:
            - {id: one, run: "true"}
            - env: {X: "${{ vars.NONE }}${{ steps.one.outputs.none }}${{ github.event.release.tag_name }}"}
              run: echo "[$X]"
        """
    )
    assert run.job("a").steps[1].log.strip() == "[]"


def test_each_job_begins_empty_and_a_checkout_is_clean(play: Player) -> None:
    run = play(
        f"""
        a:
          runs-on: x
          steps:
            - run: test -z "$(ls -A)" && test -z "$(ls -A "$HOME")"
            - run: touch before
            - uses: {CHECKOUT}
            - run: ls > "$RUNNER_TEMP/ls"; test "$(cat "$RUNNER_TEMP/ls")" = data.txt; echo changed > data.txt
        b:
          needs: a
          runs-on: x
          steps:
            - run: test -z "$(ls -A)"
            - uses: {CHECKOUT}
            - run: grep tracked data.txt
        """
    )
    assert run.results == {"a": "success", "b": "success"}, run.log


def test_environment_and_path_grow_from_step_to_step(play: Player) -> None:
    run = play(
        """
        a:
          runs-on: x
          env: {A: job, B: job}
          steps:
            - run: |
                printf 'A=file\\nGITHUB_REF=forged\\n' >> "$GITHUB_ENV"
                mkdir bin; printf '#!/bin/sh\\necho mine' > bin/tool; chmod +x bin/tool
                echo "$PWD/bin" >> "$GITHUB_PATH"
            - env: {B: step}
              run: echo "$A $B $W $GITHUB_REF $(tool)"
            - env: {C: "${{ env.A }}"}
              run: echo "$C $B"
        """,
        head="on: push\nenv: {W: workflow, A: workflow}",
    )
    assert run.job("a").steps[1].log.strip() == "file step workflow refs/heads/main mine"
    assert run.job("a").steps[2].log.strip() == "file job"


def test_default_shell_has_no_pipefail_and_bash_has(play: Player) -> None:
    run = play(
        """
        a: {runs-on: x, steps: [{run: "false | true"}]}
        b: {runs-on: x, steps: [{run: "false | true", shell: bash}]}
        c: {runs-on: x, defaults: {run: {shell: bash}}, steps: [{run: "false | true"}]}
        d: {runs-on: x, defaults: {run: {working-directory: none}}, steps: [{run: "true"}]}
        """
    )
    assert run.results == {"a": "success", "b": "failure", "c": "failure", "d": "failure"}
