"""Assets of GitHub's releases down and up, and drafts, against a server on loopback that fails and lies."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from support.github_api import HOSTILE_TAGS, GitHubServer, refused

from stages.core.release.github.access import Access
from stages.core.release.github.api import Api, Release
from stages.core.release.github.repository import Repository, open_repository
from stages.core.release.github.retry import ATTEMPTS
from stages.core.release.github.upload import check_asset_name

HOSTILE_NAMES = [
    "../x",
    "/etc/passwd",
    ".hidden",
    "a b",
    "a\n",
    "a\nb",
    "",
    "x" * 102,
    "a/b",
    "a.",
    "-rf",
    "ä",
    "x.part-1",
]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


class TestDownload:
    CONTENT = b"0123456789" * 100_000

    @pytest.fixture
    def release(self, github: GitHubServer, repository: Repository) -> Release:
        github.add_release("v1", assets={"bundle.zip": self.CONTENT})
        return repository.release("v1")

    def test_comes_from_the_storage_host_without_the_token(
        self, github: GitHubServer, repository: Repository, release: Release, tmp_path: Path
    ) -> None:
        repository.download(release, "bundle.zip", tmp_path / "new" / "b.zip", len(self.CONTENT))
        assert (tmp_path / "new/b.zip").read_bytes() == self.CONTENT
        assert len(github.stored_requests) == 1
        assert github.violations == []

    def test_content_that_the_api_sends_itself(
        self, github: GitHubServer, repository: Repository, release: Release, tmp_path: Path
    ) -> None:
        github.fail_next(1, 200, body=self.CONTENT, path="/assets/")
        repository.download(release, "bundle.zip", tmp_path / "b.zip", 10**8)
        assert (tmp_path / "b.zip").read_bytes() == self.CONTENT
        assert github.stored_requests == []

    def test_the_servers_record_of_violations_works(self, github: GitHubServer, release: Release) -> None:
        requests.get(f"{github.storage}/storage/{release.assets[0].id}", headers={"Authorization": "x"}, timeout=10)
        assert len(github.violations) == 1
        github._stored.clear()

    def test_a_netrc_file_is_not_sent(
        self,
        github: GitHubServer,
        repository: Repository,
        release: Release,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        repository.download(release, "bundle.zip", tmp_path / "b.zip", len(self.CONTENT))
        assert github.violations == []

    def test_more_than_allowed_is_not_begun(
        self, github: GitHubServer, repository: Repository, release: Release, tmp_path: Path
    ) -> None:
        most = len(self.CONTENT) - 1
        sentence = refused(lambda: repository.download(release, "bundle.zip", tmp_path / "b.zip", most))
        assert "has 1000000 bytes; at most 999999 are taken" in sentence
        assert github.stored_requests == []

    @pytest.mark.parametrize(
        ("listed", "said"),
        [
            ({"size": 999_999}, "lists 999999 bytes and sends more"),
            ({"size": 3}, "lists 3 bytes and sends more"),
            ({"size": 1_000_001}, "lists 1000001 bytes and sends 1000000"),
            ({"digest": "sha256:" + "0" * 64}, "GitHub states sha256:0000"),
        ],
    )
    def test_other_bytes_than_listed_leave_nothing_behind(
        self, github: GitHubServer, repository: Repository, tmp_path: Path, listed: dict[str, object], said: str
    ) -> None:
        github.add_release("v2")
        github.add_asset("v2", "b.zip", self.CONTENT, **listed)
        target = tmp_path / "b.zip"
        target.write_bytes(b"before")
        assert said in refused(lambda: repository.download(repository.release("v2"), "b.zip", target, 10**8))
        assert files(tmp_path) == ["b.zip"]
        assert target.read_bytes() == b"before"

    def test_a_missing_asset_is_told_with_those_that_are(
        self, github: GitHubServer, repository: Repository, tmp_path: Path
    ) -> None:
        github.add_release("v1", assets={"bundle.zip": b"x", "drift.json": b"{}"})
        sentence = refused(
            lambda: repository.download(repository.release("v1"), "cordrift-bundle.zip", tmp_path / "b", 9)
        )
        assert sentence.endswith("has no asset cordrift-bundle.zip; there are bundle.zip, drift.json.")

    def test_a_connection_that_breaks_is_tried_again(
        self, github: GitHubServer, repository: Repository, release: Release, tmp_path: Path, github_waits: list[float]
    ) -> None:
        github.fail_next(2, 0, path="/storage/")
        github.fail_next(1, 503, path="/storage/")
        repository.download(release, "bundle.zip", tmp_path / "b.zip", 10**8)
        assert (tmp_path / "b.zip").read_bytes() == self.CONTENT
        assert github_waits == [1, 2, 4]

    def test_one_that_always_breaks_is_given_up(
        self, github: GitHubServer, repository: Repository, release: Release, tmp_path: Path
    ) -> None:
        github.fail_next(99, 0, path="/storage/")
        assert "no whole answer" in refused(lambda: repository.download(release, "bundle.zip", tmp_path / "b", 10**8))
        assert len(github.stored_requests) == ATTEMPTS
        assert files(tmp_path) == []

    @pytest.mark.parametrize(
        ("location", "said"),
        [
            ("http://evil.org/x?signature=s1gned", "'evil.org' without https"),
            ("file:///etc/passwd", "without https"),
            ("http://127.0.0.1:9/x?signature=s1gned", "no whole answer"),
            ("https://[broken", "not as GitHub's API does"),
            ("https://evil.org:99999/x", "not as GitHub's API does"),
            ("{api}/repos/lab/cordrift/releases/assets/1", "more than 3 times"),
        ],
    )
    def test_a_redirect_elsewhere_is_not_followed(
        self,
        github: GitHubServer,
        repository: Repository,
        release: Release,
        tmp_path: Path,
        location: str,
        said: str,
    ) -> None:
        headers = {"Location": location.format(api=github.url)}
        github.fail_next(9, 302, headers=headers, path="/assets/")
        assert said in refused(lambda: repository.download(release, "bundle.zip", tmp_path / "b", 10**8))
        assert files(tmp_path) == []

    def test_a_storage_that_redirects_to_an_unsafe_address_is_not_followed(
        self, github: GitHubServer, repository: Repository, release: Release, tmp_path: Path
    ) -> None:
        github.fail_next(1, 302, headers={"Location": "http://evil.org/x?signature=s1gned"}, path="/storage/")
        sentence = refused(lambda: repository.download(release, "bundle.zip", tmp_path / "b", 10**8))
        assert "'evil.org' without https" in sentence
        assert files(tmp_path) == []

    def test_a_refusal_of_the_storage_blames_no_token(
        self, github: GitHubServer, repository: Repository, release: Release, tmp_path: Path
    ) -> None:
        github.fail_next(1, 403, path="/storage/")
        sentence = refused(lambda: repository.download(release, "bundle.zip", tmp_path / "b", 10**8))
        assert re.search(r"storage 127\.0\.0\.1:\d+ answered 403", sentence)

    def test_an_asset_deleted_meanwhile(
        self, github: GitHubServer, repository: Repository, release: Release, tmp_path: Path
    ) -> None:
        github.stored("v1").assets.clear()
        sentence = refused(lambda: repository.download(release, "bundle.zip", tmp_path / "b", 10**8))
        assert "could not download bundle.zip of release 'v1': there is no such thing" in sentence


class TestUpload:
    @pytest.fixture
    def release(self, github: GitHubServer, repository: Repository) -> Release:
        github.add_release("v1", assets={"drift.json": b"old"})
        return repository.release("v1")

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "local"
        path.write_bytes(b"new " * 100_000)
        return path

    def test_uploads_then_does_nothing_then_replaces(
        self, github: GitHubServer, repository: Repository, release: Release, path: Path
    ) -> None:
        assert repository.upload(release, path, "report.html") == "uploaded"
        assert github.assets("v1") == {"drift.json": b"old", "report.html": path.read_bytes()}
        before = github.requests
        assert repository.upload(release, path, "report.html") == "same"
        assert [method for method, _ in github.requests[len(before) :]] == ["GET"]
        path.write_bytes(b"other")
        assert repository.upload(release, path, "report.html") == "replaced"
        assert github.assets("v1") == {"drift.json": b"old", "report.html": b"other"}

    def test_the_old_one_stays_until_the_new_one_is_whole(
        self, github: GitHubServer, repository: Repository, release: Release, path: Path
    ) -> None:
        repository.upload(release, path, "drift.json")
        steps = [f"{method} {re.sub('[0-9]+', 'N', path)}" for method, path in github.requests if method != "GET"]
        assert steps == [
            "POST /api/uploads/repos/lab/cordrift/releases/N/assets?name=drift.json.part-N",
            "DELETE /api/vN/repos/lab/cordrift/releases/assets/N",
            "PATCH /api/vN/repos/lab/cordrift/releases/assets/N",
        ]

    @pytest.mark.parametrize("digests", [True, False])
    def test_same_size_is_not_same_content(
        self, github: GitHubServer, repository: Repository, release: Release, tmp_path: Path, digests: bool
    ) -> None:
        github.digests = digests
        (tmp_path / "x").write_bytes(b"longer")
        assert repository.upload(release, tmp_path / "x", "drift.json") == "replaced"
        assert github.stored_requests == []
        (tmp_path / "x").write_bytes(b"LONGER")
        assert repository.upload(release, tmp_path / "x", "drift.json") == "replaced"
        assert repository.upload(release, tmp_path / "x", "drift.json") == "same"
        assert len(github.stored_requests) == (0 if digests else 2)

    @pytest.mark.parametrize("status", [0, 502])
    def test_a_broken_upload_is_tried_again(
        self, github: GitHubServer, repository: Repository, release: Release, path: Path, status: int
    ) -> None:
        github.fail_next(2, status, path="/uploads/")
        assert repository.upload(release, path, "drift.json") == "replaced"
        assert github.states("v1") == {"drift.json": "uploaded"}
        assert github.assets("v1") == {"drift.json": path.read_bytes()}

    def test_a_given_up_upload_leaves_the_old_one_and_the_next_run_mends_it(
        self, github: GitHubServer, repository: Repository, release: Release, path: Path
    ) -> None:
        github.fail_next(ATTEMPTS, 0, path="/uploads/")
        assert "could not upload drift.json to release 'v1'" in refused(
            lambda: repository.upload(release, path, "drift.json")
        )
        assert github.assets("v1") == {"drift.json": b"old"}
        assert sorted(github.states("v1").values()) == ["starter", "uploaded"]
        assert repository.upload(release, path, "drift.json") == "replaced"
        assert github.states("v1") == {"drift.json": "uploaded"}

    def test_leftovers_of_this_asset_go_and_those_of_others_stay(
        self, github: GitHubServer, repository: Repository, release: Release, path: Path
    ) -> None:
        github.add_asset("v1", "new.csv", b"", state="starter")
        for name, state in [("new.csv.part-1", "uploaded"), ("new.csv.part-2", "starter"), ("x.part-3", "uploaded")]:
            github.add_asset("v1", name, b"?", state=state)
        assert repository.upload(release, path, "new.csv") == "uploaded"
        assert github.states("v1") == dict.fromkeys(["drift.json", "x.part-3", "new.csv"], "uploaded")

    @pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH"])
    @pytest.mark.parametrize(("name", "outcome"), [("drift.json", "replaced"), ("new.csv", "uploaded")])
    def test_an_answer_that_is_lost_changes_nothing(
        self,
        github: GitHubServer,
        repository: Repository,
        release: Release,
        path: Path,
        method: str,
        name: str,
        outcome: str,
    ) -> None:
        github.fail_next(1, 502, method=method, late=True)
        assert repository.upload(release, path, name) == outcome
        assert github.assets("v1") == {"drift.json": b"old", name: path.read_bytes()}
        assert set(github.states("v1").values()) == {"uploaded"}

    @pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH"])
    def test_a_redirect_is_no_success(
        self, github: GitHubServer, repository: Repository, release: Release, path: Path, method: str
    ) -> None:
        github.fail_next(1, 302, headers={"Location": github.url}, method=method)
        assert "not as GitHub's API does" in refused(lambda: repository.upload(release, path, "drift.json"))

    @pytest.mark.parametrize("method", ["DELETE", "PATCH"])
    def test_killed_between_two_steps_the_next_run_ends_it(
        self, github: GitHubServer, repository: Repository, release: Release, path: Path, method: str
    ) -> None:
        github.fail_next(ATTEMPTS, 500, method=method)
        refused(lambda: repository.upload(release, path, "drift.json"))
        repository.upload(release, path, "drift.json")
        assert github.states("v1") == {"drift.json": "uploaded"}
        assert github.assets("v1") == {"drift.json": path.read_bytes()}

    @pytest.mark.parametrize("listed", [{"size": 5}, {"digest": "sha256:" + "1" * 64}])
    def test_bytes_that_arrive_changed_are_removed_again(
        self,
        github: GitHubServer,
        repository: Repository,
        release: Release,
        path: Path,
        monkeypatch: pytest.MonkeyPatch,
        listed: dict[str, object],
    ) -> None:
        truth = github.describe_asset
        monkeypatch.setattr(github, "describe_asset", lambda asset: truth(asset) | listed)
        assert "they were removed again" in refused(lambda: repository.upload(release, path, "new.csv"))
        assert github.assets("v1") == {"drift.json": b"old"}

    def test_the_token_goes_to_no_other_host_for_uploads(
        self,
        github: GitHubServer,
        repository: Repository,
        release: Release,
        path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        truth = github.describe
        url = f"{github.storage}/storage/1{{?name,label}}"
        monkeypatch.setattr(github, "describe", lambda one: truth(one) | {"upload_url": url})
        assert "which is no host of" in refused(lambda: repository.upload(release, path, "new.csv"))
        monkeypatch.setattr(github, "describe", lambda one: truth(one) | {"upload_url": "https://[broken"})
        assert "not as GitHub's API does" in refused(lambda: repository.upload(release, path, "new.csv"))
        assert github.stored_requests == []

    @pytest.mark.parametrize(
        ("api", "upload", "allowed"),
        [
            ("https://api.github.com", "https://uploads.github.com/repos/x{?name,label}", True),
            ("https://api.lab.ghe.com", "https://uploads.lab.ghe.com/x", True),
            ("https://git.lab.org/api/v3", "https://git.lab.org:443/api/uploads/x", True),
            ("https://api.github.com", "https://uploads.github.com.evil.org/x", False),
            ("https://api.github.com", "https://uploads.github.com:444/x", False),
            ("https://api.github.com", "http://uploads.github.com/x", False),
            ("https://api.github.com", "https://api.github.com@evil.org/x", False),
        ],
    )
    def test_hosts_for_uploads(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, api: str, upload: str, allowed: bool
    ) -> None:
        asked: list[str] = []

        def request(_: requests.Session, method: str, url: str, **options: dict[str, str]) -> requests.Response:
            asked.append(f"{method} {url}")
            assert options["headers"]["Authorization"] == "Bearer t0ken"
            answer = requests.Response()
            answer.status_code = 201
            answer._content = b'{"id": 1, "name": "a.csv", "size": 5, "state": "uploaded"}'
            return answer

        monkeypatch.setattr(requests.Session, "request", request)
        sender = Api(Access("lab/cordrift", api, "t0ken"))
        if allowed:
            assert sender.upload_asset(upload, "a.csv", path).id == 1
            assert asked == [f"POST {upload.partition('{')[0]}"]
        else:
            assert "no host of" in refused(lambda: sender.upload_asset(upload, "a.csv", path))
            assert asked == []

    def test_who_may_only_read_is_told_what_the_job_needs(
        self, github: GitHubServer, release: Release, path: Path
    ) -> None:
        reader = open_repository(github.environment(github.reader))
        sentence = refused(lambda: reader.upload(release, path, "drift.json"))
        assert "permissions: contents: write" in sentence
        assert "403 Resource not accessible by integration" in sentence
        assert github.assets("v1") == {"drift.json": b"old"}
        anyone = open_repository(github.environment(""))
        assert "set GITHUB_TOKEN" in refused(lambda: anyone.upload(release, path, "drift.json"))

    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    def test_hostile_names_are_refused_before_any_request(
        self, github: GitHubServer, repository: Repository, release: Release, path: Path, name: str
    ) -> None:
        before = len(github.requests)
        assert "asset name" in refused(lambda: repository.upload(release, path, name))
        assert "asset name" in refused(lambda: repository.download(release, name, path, 9))
        assert len(github.requests) == before

    def test_missing_and_empty_files(self, repository: Repository, release: Release, tmp_path: Path) -> None:
        (tmp_path / "empty").touch()
        assert "is missing" in refused(lambda: repository.upload(release, tmp_path / "none", "a.csv"))
        assert "has 0 bytes" in refused(lambda: repository.upload(release, tmp_path / "empty", "a.csv"))


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}[A-Za-z]", fullmatch=True))
def test_plain_names_pass_and_no_name_that_passes_leaves_its_folder(name: str) -> None:
    check_asset_name(name)
    assert Path("folder", name).name == name


class TestDraft:
    ARGUMENTS: ClassVar = {"title": "Title", "body": "Body", "commit": "a" * 40}

    @pytest.mark.parametrize("tag", ["model-3", *HOSTILE_TAGS])
    def test_is_created_then_updated(self, github: GitHubServer, repository: Repository, tag: str) -> None:
        github.add_release("v2", draft=True)
        first = repository.draft(tag, **self.ARGUMENTS)
        assert (first.tag, first.title, first.body, first.draft, first.published) == (tag, "Title", "Body", True, "")
        assert github.stored(tag).commit == "a" * 40
        second = repository.draft(tag, title="Two", body="", commit="b" * 40)
        assert (second.id, second.title, second.body, second.draft) == (first.id, "Two", "", True)
        assert github.stored(tag).commit == "b" * 40
        assert github.tags() == ["v2", tag]
        assert not any(tag in path or "curl" in path for _, path in github.requests)

    def test_keeps_its_assets_and_takes_more(self, repository: Repository, tmp_path: Path) -> None:
        (tmp_path / "b").write_bytes(b"bundle")
        repository.upload(repository.draft("model-3", **self.ARGUMENTS), tmp_path / "b", "cordrift-bundle.zip")
        again = repository.draft("model-3", **self.ARGUMENTS)
        repository.download(again, "cordrift-bundle.zip", tmp_path / "c", 6)
        assert (tmp_path / "c").read_bytes() == b"bundle"

    def test_a_published_release_is_left_alone(self, github: GitHubServer, repository: Repository) -> None:
        github.add_release("model-3", title="Old")
        assert "is published and stays as it is" in refused(lambda: repository.draft("model-3", **self.ARGUMENTS))
        assert github.stored("model-3").title == "Old"
        assert github.tags() == ["model-3"]

    def test_an_answer_that_is_lost_makes_no_second_draft(self, github: GitHubServer, repository: Repository) -> None:
        github.fail_next(2, 502, method="POST", late=True)
        assert repository.draft("model-3", **self.ARGUMENTS).tag == "model-3"
        assert github.tags() == ["model-3"]

    def test_an_empty_tag(self, repository: Repository) -> None:
        assert "needs a tag" in refused(lambda: repository.draft(" ", **self.ARGUMENTS))
