"""The door to GitHub: where it is, what is listed, how long is waited, what is said; against a server on loopback."""

from __future__ import annotations

import hashlib
import re
import time
from typing import ClassVar

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from support.github_api import HOSTILE_TAGS, GitHubServer, refused

from stages.core.release.github.repository import Repository, open_repository
from stages.core.release.github.retry import ATTEMPTS, MOST_WAIT_S, Refusal, seconds_before_retry


class TestOpening:
    GOOD: ClassVar = {"GITHUB_REPOSITORY": "lab/cordrift", "GITHUB_TOKEN": "t0ken"}

    def test_takes_what_a_runner_sets_and_sends_nothing(self) -> None:
        assert open_repository(self.GOOD).name == "lab/cordrift"
        assert open_repository(self.GOOD | {"GITHUB_API_URL": "https://api.github.com/"}).name == "lab/cordrift"
        assert open_repository(self.GOOD | {"GITHUB_API_URL": "https://git.lab.org:8443/api/v3"}).name == "lab/cordrift"

    @pytest.mark.parametrize("name", ["", "cordrift", "a/b/c", "lab/..", "lab/.", "../x", "lab/a b", "lab/x\n", "-a/b"])
    def test_refuses_what_is_no_repository(self, name: str) -> None:
        said = refused(lambda: open_repository(self.GOOD | {"GITHUB_REPOSITORY": name}))
        assert said.startswith(f"GITHUB_REPOSITORY is {name!r}; expected" if name else "GITHUB_REPOSITORY is not set")

    @pytest.mark.parametrize(
        "url",
        [
            "http://api.github.com",
            "http://127.0.0.1.evil.org",
            "http://localhost@evil.org/",
            "https://user:t0@api.github.com",
            "https://api.github.com/?x=1",
            "ftp://127.0.0.1",
            "api.github.com",
            "file:///etc",
            "https://x:99999",
        ],
    )
    def test_refuses_an_address_that_could_leak_the_token(self, url: str) -> None:
        assert "GITHUB_API_URL" in refused(lambda: open_repository(self.GOOD | {"GITHUB_API_URL": url}))

    @pytest.mark.parametrize("token", ["t0ken\nX-Evil: 1", "t0ken t0ken", "t0kenä"])
    def test_refuses_a_malformed_token_without_showing_it(self, token: str) -> None:
        assert "GITHUB_TOKEN" in refused(lambda: open_repository(self.GOOD | {"GITHUB_TOKEN": token}))

    def test_a_repr_shows_no_token(self) -> None:
        repository = open_repository(self.GOOD)
        assert "t0ken" not in repr(repository) + repr(vars(repository))


class TestListing:
    def test_every_page_in_order_of_publication(self, github: GitHubServer, repository: Repository) -> None:
        days = [(index * 37) % 250 for index in range(250)]  # every day once, not in order
        for day in days:
            stamp = f"2025-{day // 28 + 1:02d}-{day % 28 + 1:02d}T10:00:00Z"
            github.add_release(f"v{day}", published=stamp, draft=day == 100)
        tags = [release.tag for release in repository.releases()]
        assert tags == [f"v{day}" for day in range(250) if day != 100] + ["v100"]
        assert len(github.requests) == 3

    def test_says_what_github_says(self, github: GitHubServer, repository: Repository) -> None:
        number = github.add_release("v1", title="One", body="text", assets={"a.csv": b"12345"}, prerelease=True)
        github.add_asset("v1", "half.zip", b"", state="starter")
        github.add_release("v2", draft=True, title="")
        release, draft = repository.releases()
        assert (release.tag, release.id, release.title, release.body) == ("v1", number, "One", "text")
        assert (release.draft, release.prerelease, release.published) == (False, True, "2026-07-01T00:00:00Z")
        assert release.page == f"{github.origin}/lab/cordrift/releases/{number}"
        (asset,) = release.assets
        assert release.asset("a.csv") is asset
        assert release.asset("half.zip") is None, "an asset whose upload broke holds nothing"
        assert (asset.size, asset.digest) == (5, f"sha256:{hashlib.sha256(b'12345').hexdigest()}")
        assert (draft.draft, draft.published, draft.title, draft.body, draft.assets) == (True, "", "", "", ())

    def test_drafts_are_for_those_who_may_write(self, github: GitHubServer) -> None:
        github.add_release("v1")
        github.add_release("v2", draft=True)
        for token, tags in [("", ["v1"]), (github.reader, ["v1"]), (github.token, ["v1", "v2"])]:
            assert [release.tag for release in open_repository(github.environment(token)).releases()] == tags

    def test_a_server_without_digests_is_not_asked_for_each(self, github: GitHubServer, repository: Repository) -> None:
        github.digests = False
        github.add_release("v1", assets={"a": b"1", "b": b"2"})
        assert [asset.digest for asset in repository.releases()[0].assets] == ["", ""]
        assert len(github.requests) == 1

    def test_the_published_release_of_a_tag_goes_before_its_draft(
        self, github: GitHubServer, repository: Repository
    ) -> None:
        github.add_release("v1", draft=True)
        number = github.add_release("v1")
        assert repository.release("v1").id == number

    @pytest.mark.parametrize("tag", HOSTILE_TAGS)
    def test_a_hostile_tag_reaches_no_path(self, github: GitHubServer, repository: Repository, tag: str) -> None:
        number = github.add_release(tag, assets={"a.csv": b"1"})
        github.add_release("other")
        assert repository.release(tag).id == number
        assert {path.partition("?")[0] for _, path in github.requests} == {"/api/v3/repos/lab/cordrift/releases"}

    @pytest.mark.parametrize("tag", [*HOSTILE_TAGS, "v1 ", "V1", ""])
    def test_a_tag_that_is_not_there_is_told_with_those_that_are(
        self, github: GitHubServer, repository: Repository, tag: str
    ) -> None:
        for number in range(1, 14):
            github.add_release(f"v{number}", published=f"2026-01-{number:02d}T00:00:00Z")
        sentence = refused(lambda: repository.release(tag))
        assert f"no release {tag!r}; there are 'v13', 'v12', " in sentence
        assert sentence.endswith("'v4' and 3 more.")
        assert [path for _, path in github.requests] == ["/api/v3/repos/lab/cordrift/releases?per_page=100"]


class TestPatience:
    @pytest.mark.parametrize("status", [500, 502, 503])
    def test_a_failure_for_the_moment_is_sat_out(
        self, github: GitHubServer, repository: Repository, github_waits: list[float], status: int
    ) -> None:
        github.add_release("v1")
        github.fail_next(ATTEMPTS - 1, status, body=b"<html>Unicorn!</html>")
        assert repository.release("v1").tag == "v1"
        assert github_waits == [1, 2, 4]

    def test_a_lasting_failure_is_given_up(self, github: GitHubServer, repository: Repository) -> None:
        github.fail_next(99, 502)
        assert f"GitHub failed at each of {ATTEMPTS} attempts (502" in refused(repository.releases)
        assert len(github.requests) == ATTEMPTS

    @pytest.mark.parametrize("status", [403, 429])
    def test_retry_after_is_obeyed(
        self, github: GitHubServer, repository: Repository, github_waits: list[float], status: int
    ) -> None:
        github.fail_next(1, status, headers={"Retry-After": "7"})
        assert repository.releases() == []
        assert github_waits == [7]

    @pytest.mark.parametrize("status", [403, 429])
    def test_a_near_reset_is_awaited(
        self, github: GitHubServer, repository: Repository, github_waits: list[float], status: int
    ) -> None:
        github.limit_next(1, int(time.time()) + 100, status)
        assert repository.releases() == []
        assert len(github_waits) == 1
        assert 0 < github_waits[0] <= 101

    @pytest.mark.parametrize("status", [403, 429])
    def test_a_far_reset_is_a_sentence_with_the_time(
        self, github: GitHubServer, repository: Repository, github_waits: list[float], status: int
    ) -> None:
        github.limit_next(1, 4102444800, status)
        assert re.search(
            r"limit is reached .* run this again after 2100-01-01 00:00:0\d UTC", refused(repository.releases)
        )
        assert github_waits == []
        assert len(github.requests) == 1

    def test_no_wait_is_endless(self, github: GitHubServer, repository: Repository) -> None:
        github.fail_next(99, 429, headers={"Retry-After": "0"})
        assert "rate limit" in refused(repository.releases)
        assert len(github.requests) == ATTEMPTS

    @given(st.integers(400, 599), st.integers(0, ATTEMPTS), st.text(max_size=30), st.text(max_size=30))
    def test_every_wait_is_within_bounds(self, status: int, attempt: int, after: str, reset: str) -> None:
        headers = {"Retry-After": after, "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
        wait = seconds_before_retry(Refusal(status, "", headers), attempt, 1e9)
        assert wait is None or 0 <= wait <= MOST_WAIT_S

    @pytest.mark.parametrize(("after", "wait"), [("300", 300), ("301", None), ("9" * 400, None), ("-5", 60), ("x", 60)])
    def test_what_retry_after_asks(self, after: str, wait: float | None) -> None:
        wait = wait if after != "9" * 400 else 60  # no number of seconds
        assert seconds_before_retry(Refusal(429, "", {"Retry-After": after}), 0, 0) == wait

    @pytest.mark.parametrize(
        "said",
        [
            "API rate limit exceeded for 127.0.0.1.",
            "You have exceeded a secondary rate limit.",
            "You have triggered an abuse detection mechanism. Please wait a few minutes before you try again.",
            "Something went wrong. Please retry your request again later.",
        ],
    )
    def test_a_limit_without_a_time(self, said: str) -> None:
        error = Refusal(403, said, {})
        assert seconds_before_retry(error, 0, 0) == 60

    def test_a_reset_that_has_passed(self) -> None:
        headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "900"}
        assert seconds_before_retry(Refusal(403, "", headers), 0, 1000) == 1

    @pytest.mark.parametrize("error", [Refusal(403, "no", {}), requests.exceptions.InvalidURL()])
    def test_what_will_not_change_is_not_tried_again(self, error: Exception) -> None:
        assert seconds_before_retry(error, 0, 0) is None


class TestSentences:
    def test_a_bad_token(self, github: GitHubServer, github_waits: list[float]) -> None:
        repository = open_repository(github.environment("wrong-t0ken"))
        assert "GITHUB_TOKEN must be valid and not expired" in refused(repository.releases)
        assert github_waits == []

    def test_a_repository_that_is_not_there(self, github: GitHubServer) -> None:
        repository = open_repository(github.environment() | {"GITHUB_REPOSITORY": "lab/other"})
        assert "could not list the releases of lab/other: there is no such thing" in refused(repository.releases)

    def test_nobody_at_the_address(self, github: GitHubServer, github_waits: list[float]) -> None:
        repository = open_repository(github.environment() | {"GITHUB_API_URL": "http://127.0.0.1:9"})
        assert "check the network and GITHUB_API_URL" in refused(repository.releases)
        assert github_waits == [1, 2, 4]

    def test_a_server_that_repeats_the_token(self, github: GitHubServer, repository: Repository) -> None:
        github.fail_next(1, 422, body={"message": f"x {github.token}\n::warning::y", "errors": [{"code": "custom"}]})
        assert refused(repository.releases).endswith("GitHub answered 422 x ***::warning::y, custom.")

    @pytest.mark.parametrize("errors", [5, "x", [5, "x"], {"code": 5}, None])
    def test_a_refusal_with_errors_of_another_kind(
        self, github: GitHubServer, repository: Repository, errors: object
    ) -> None:
        github.fail_next(1, 422, body={"message": "x", "errors": errors})
        assert refused(repository.releases).endswith("GitHub answered 422 x.")

    @pytest.mark.parametrize(
        "body",
        [
            b"<html>portal</html>",
            b"{broken",
            b'{"a": 1}',
            b'[{"id": 5, "assets": []}]',
            b'["x"]',
            b'[{"tag_name": 5, "published_at": null, "assets": []}]',
        ],
    )
    def test_an_answer_of_something_else(self, github: GitHubServer, repository: Repository, body: bytes) -> None:
        github.fail_next(1, 200, body=body)
        assert "not as GitHub's API does" in refused(repository.releases)

    @pytest.mark.parametrize("listed", [{"size": "5"}, {"size": 5.5}, {"id": None}, {"state": 1}])
    def test_a_value_of_another_type_is_not_converted(
        self, github: GitHubServer, repository: Repository, listed: dict[str, object]
    ) -> None:
        github.add_release("v1")
        github.add_asset("v1", "a.csv", b"12345", **listed)
        assert "not as GitHub's API does" in refused(repository.releases)

    def test_a_next_page_on_another_host_is_not_asked(self, github: GitHubServer, repository: Repository) -> None:
        link = {"Link": f'<{github.storage}/storage/1>; rel="next"'}
        github.fail_next(1, 200, headers=link, body=b"[]")
        assert "not as GitHub's API does" in refused(repository.releases)
        assert github.stored_requests == []

    def test_a_moved_api(self, github: GitHubServer, repository: Repository) -> None:
        github.fail_next(1, 301, headers={"Location": "https://evil.org/api"})
        assert "check GITHUB_API_URL" in refused(repository.releases)
