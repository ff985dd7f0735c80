"""Stand-ins of actions: checkout, caches, artifacts and attestations as the real ones do it."""

from __future__ import annotations

from pathlib import Path

import pytest
from actions import Run, State
from actions.checkout import git, repository_of
from actions.playing import ATTEST, CACHE, CHECKOUT, DOWNLOAD, UPLOAD, Player


@pytest.fixture
def play(tmp_path: Path) -> Player:
    return Player(tmp_path)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with two commits and the tag v1 on the first."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    for text in ("one", "two"):
        (folder / "file.txt").write_text(f"{text}\n")
        git(folder, "add", "file.txt")
        git(folder, "commit", "--quiet", "--message", text)
    git(folder, "tag", "v1", "HEAD^")
    return folder


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("{persist-credentials: false}", "two 1 "),
        ("{persist-credentials: false, fetch-depth: 0}", "two 2 v1"),
        ("{persist-credentials: false, ref: refs/tags/v1}", "one 1 "),
        ("{persist-credentials: true}", "two 1  left"),
        ("{}", "two 1  left"),
    ],
)
def test_a_repository_is_checked_out_as_deep_as_asked(
    play: Player, repository: Path, options: str, expected: str
) -> None:
    (repository / "file.txt").write_text("not committed\n")
    run = play(
        f"""
        a:
          runs-on: x
          steps:
            - {{uses: "{CHECKOUT}", with: {options}}}
            - run: |
                left=$(grep -q extraheader .git/config && echo " left" || true)
                echo "$(cat file.txt) $(git rev-list --count HEAD) $(git tag)$left"
        """,
        source=repository,
    )
    assert run.job("a").steps[1].log == f"{expected}\n"


@pytest.mark.parametrize("ref", ["v9", "--upload-pack=touch ran"])
def test_a_ref_that_is_not_there_fails_the_checkout(play: Player, repository: Path, ref: str) -> None:
    jobs = f'a: {{runs-on: x, steps: [{{uses: "{CHECKOUT}", with: {{ref: "{ref}"}}}}]}}'
    assert play(jobs, source=repository).results == {"a": "failure"}
    assert not list(repository.parent.rglob("ran"))


def test_a_checkout_of_today_becomes_a_repository(repository: Path, tmp_path: Path) -> None:
    (repository / ".gitignore").write_text("ignored\n")
    for name, text in {"file.txt": "changed", "new.txt": "new", "ignored": "x"}.items():
        (repository / name).write_text(text)
    commit = repository_of(repository, tmp_path / "copy")
    assert git(tmp_path / "copy", "ls-files").split() == [".gitignore", "file.txt", "new.txt"]
    assert git(tmp_path / "copy", "show", f"{commit}:file.txt") == "changed"


def cached(key: str, *, path: str = "store", restore: str = "", make: str = "") -> str:
    return f"""
        a:
          runs-on: x
          steps:
            - id: cache
              uses: {CACHE}
              with: {{path: {path}, key: {key}, restore-keys: "{restore}"}}
            - run: mkdir -p store; {make or "true"}; cat store/* || true
            - env: {{HIT: "${{{{ steps.cache.outputs.cache-hit }}}}"}}
              run: echo "hit=[$HIT]"
    """


def said(run: Run) -> tuple[str, str]:
    """Return what the cache held after the job, and the hit."""
    return run.job("a").steps[1].log.strip(), run.job("a").steps[2].log.strip()


def test_a_saved_cache_never_changes_and_is_found_by_the_beginning_of_its_key(play: Player, tmp_path: Path) -> None:
    state = State(tmp_path / "caches")
    assert said(play(cached("d-1", make="echo one > store/x"), state=state)) == ("one", "hit=[]")
    assert said(play(cached("d-1", make="echo two > store/x"), state=state)) == ("two", "hit=[true]")
    assert said(play(cached("d-1"), state=state)) == ("one", "hit=[true]")
    assert said(play(cached("d-2", restore="d-"), state=state)) == ("one", "hit=[false]")
    assert "cat" in said(play(cached("d-1", path="store/"), state=state))[0], "another path is another cache"
    assert [(cache.key, cache.job) for cache in state.caches] == [("d-1", "a"), ("d-2", "a"), ("d-1", "a")]


def test_a_second_save_under_a_key_is_said_and_changes_nothing(play: Player) -> None:
    save, restore = (CACHE.replace("cache@", f"cache/{verb}@") for verb in ("save", "restore"))
    run = play(
        f"""
        a:
          runs-on: x
          steps:
            - run: echo one > x
            - {{uses: "{save}", with: {{path: x, key: k}}}}
            - run: echo two > x
            - {{uses: "{save}", with: {{path: x, key: k}}}}
            - {{uses: "{restore}", with: {{path: x, key: k, fail-on-cache-miss: true}}}}
            - run: cat x
            - {{uses: "{restore}", with: {{path: x, key: other, fail-on-cache-miss: true}}}}
        """
    )
    steps = run.job("a").steps
    assert [step.outcome for step in steps] == ["success"] * 6 + ["failure"]
    assert "Unable to reserve cache with key k" in steps[3].log
    assert steps[5].log == "one\n"


def test_a_failed_job_saves_no_cache(play: Player, tmp_path: Path) -> None:
    state = State(tmp_path / "caches")
    play(cached("d-1", make="echo x > store/x; exit 1"), state=state)
    assert state.caches == []


def test_a_cache_of_one_tag_is_not_seen_by_another(play: Player, tmp_path: Path) -> None:
    state = State(tmp_path / "caches")
    head = "on: {release: {types: [published]}, push: {}}"
    for tag in ("v1", "v2"):
        event = {"action": "published", "release": {"tag_name": tag}}
        run = play(cached("d", make="touch store/x"), head=head, state=state, event_name="release", event=event)
        assert said(run)[1] == "hit=[]"
    play(cached("e", make="echo main > store/x"), head=head, state=state)
    run = play(cached("e"), head=head, state=state, event_name="release", event=event)
    assert said(run) == ("main", "hit=[true]"), "what the default branch saved is seen by all"


def test_artifacts_are_kept_from_their_common_folder_on_and_merge(play: Player) -> None:
    run = play(
        f"""
        make:
          runs-on: x
          strategy: {{matrix: {{n: [1, 2]}}}}
          steps:
            - env: {{N: "${{{{ matrix.n }}}}"}}
              run: mkdir -p out/deep other; echo "$N" > "out/deep/$N.csv"; echo "$N" > "other/$N.txt"; touch out/.hidden
            - uses: {UPLOAD}
              with: {{name: "part-${{{{ matrix.n }}}}", path: out/, if-no-files-found: error}}
            - uses: {UPLOAD}
              with:
                name: two-${{{{ matrix.n }}}}
                path: |
                  out/deep/*.csv
                  other
            - uses: {UPLOAD}
              with: {{name: "one-${{{{ matrix.n }}}}", path: "out/deep/${{{{ matrix.n }}}}.csv"}}
        merge:
          needs: make
          runs-on: x
          steps:
            - uses: {DOWNLOAD}
              with: {{pattern: part-*, path: all, merge-multiple: true}}
            - uses: {DOWNLOAD}
              with: {{pattern: part-*, path: each}}
            - uses: {DOWNLOAD}
              with: {{name: one-1, path: single}}
            - run: find . -type f | sort
        """
    )
    assert run.results == {"make": "success", "merge": "success"}, run.log
    assert run.artifacts["part-1"].files == ["deep/1.csv"]
    assert run.artifacts["two-1"].files == ["other/1.txt", "out/deep/1.csv"]
    assert run.job("merge").steps[3].log.split() == [
        "./all/deep/1.csv",
        "./all/deep/2.csv",
        "./each/part-1/deep/1.csv",
        "./each/part-2/deep/2.csv",
        "./single/1.csv",
    ]


@pytest.mark.parametrize(
    ("more", "outcome"),
    [
        ("", "failure"),
        (", overwrite: true", "success"),
    ],
)
def test_an_artifact_is_uploaded_once(play: Player, more: str, outcome: str) -> None:
    run = play(
        f"""
        a:
          runs-on: x
          steps:
            - run: touch x
            - {{uses: "{UPLOAD}", with: {{name: n, path: x}}}}
            - {{uses: "{UPLOAD}", with: {{name: n, path: x{more}}}}}
            - {{if: always(), uses: "{DOWNLOAD}", with: {{name: none}}}}
            - {{if: always(), uses: "{UPLOAD}", with: {{name: none, path: none, if-no-files-found: error}}}}
            - {{if: always(), uses: "{UPLOAD}", with: {{name: none, path: none}}}}
        """
    )
    outcomes = [step.outcome for step in run.job("a").steps]
    assert outcomes == ["success", "success", outcome, "failure", "failure", "success"]


def test_attestation_and_checkout_need_their_permissions(play: Player) -> None:
    jobs = f"""
        a:
          runs-on: x
          permissions: {{id-token: write, attestations: write}}
          steps:
            - run: echo x > bundle.zip
            - {{uses: "{ATTEST}", with: {{subject-path: bundle.zip}}}}
            - {{if: always(), uses: "{CHECKOUT}"}}
        b:
          runs-on: x
          permissions: {{contents: read, id-token: write}}
          steps:
            - {{uses: "{CHECKOUT}"}}
            - {{uses: "{ATTEST}", with: {{subject-path: data.txt}}}}
    """
    run = play(jobs, head="on: push\npermissions: {}")
    assert [step.outcome for step in run.job("a").steps] == ["success", "success", "failure"]
    assert [step.outcome for step in run.job("b").steps] == ["success", "failure"]
    assert [(one.job, one.name) for one in run.attestations] == [("a", "bundle.zip")]
    assert run.job("b").permissions["contents"] == "read"


def test_summaries_concurrency_and_uses_are_there_to_ask(play: Player) -> None:
    run = play(
        f"""
        a:
          runs-on: x
          steps:
            - {{uses: "{CHECKOUT}", with: {{persist-credentials: false}}}}
            - run: echo '# verdict' >> "$GITHUB_STEP_SUMMARY"
        """,
        head='on: {release: {types: [published]}}\nconcurrency: {group: "r-${{ github.ref }}"}',
        event_name="release",
        event={"action": "published", "release": {"tag_name": "v1"}},
    )
    assert run.summary == "# verdict\n"
    assert run.concurrency == {"": {"group": "r-refs/tags/v1"}}
    assert [(one.action, one.inputs) for one in run.used] == [("actions/checkout", {"persist-credentials": "false"})]
