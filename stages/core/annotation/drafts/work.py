"""The clone in which masks are drafted and accepted: two branches of the dataset, which nobody else writes.

``cordrift/drafts`` holds the masks that models drafted and nobody has looked at. ``cordrift/reviewed`` holds the pinned
revision and the masks that people passed or corrected, and nothing else, so that it can become the next revision. The
clone holds no images.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...base.errors import DatasetError
from ...data.clones import annex
from ...data.clones.commits import recorded_keys
from ...data.clones.lock import clone_lock
from ...data.clones.programs import call, git
from ...data.datasets.label import read_label, sidecar_of
from ...data.datasets.registry import Dataset, pinned
from ...workspace.withdrawal.holdings import ANNOTATED

DRAFTS, REVIEWED = "cordrift/drafts", "cordrift/reviewed"


@dataclass(frozen=True)
class Work:
    """The clone of one dataset, with one of its branches checked out.

    Attributes
    ----------
    name, dataset : name and entry of the registry
    path : the clone
    commit : the pinned commit
    """

    name: str
    dataset: Dataset
    path: Path
    commit: str

    def switch(self, branch: str) -> None:
        """Check a branch out; make it from the pinned commit where there is none.

        Where the pin has moved since, the branch begins again at it, and takes over the masks whose image is still the
        same and which the new revision does not have. The old branch stays under ``refs/cordrift``.
        """
        self._clean()
        if not self.has(branch):
            git(self.path, ["checkout", "--quiet", "-b", branch, self.commit])
        elif self._is_ancestor(self.commit, branch):
            git(self.path, ["checkout", "--quiet", "--force", branch])
        else:
            self._carry_over(branch)

    def has(self, branch: str) -> bool:
        """Tell whether there is a branch."""
        return bool(git(self.path, ["for-each-ref", f"refs/heads/{branch}"]).strip())

    def save(self, message: str) -> str:
        """Commit what was written, and return the commit."""
        return annex.save(self.path, message)

    def masks(self) -> list[str]:
        """Return the masks with a sidecar of cordrift that are checked out and not in the pinned revision, sorted."""
        before = ["diff", "-z", "--name-only", "--diff-filter=AM", self.commit, "HEAD"]
        paths = [path for path in git(self.path, before).split("\0") if path.endswith(".nii.gz")]
        return sorted(path for path in paths if read_label(self.path / path) is not None)

    def _clean(self) -> None:
        """Drop what an interrupted command left: nothing is written here that is not made again."""
        git(self.path, ["reset", "--quiet", "--hard"])
        git(self.path, ["clean", "-ffdq"])

    def _is_ancestor(self, commit: str, branch: str) -> bool:
        words = ["git", "-C", str(self.path), "merge-base", "--is-ancestor", commit, branch]
        return call(words).returncode == 0

    def _carry_over(self, branch: str) -> None:
        old = git(self.path, ["rev-parse", branch]).strip()
        git(self.path, ["update-ref", f"refs/cordrift/{old[:12]}", old])
        git(self.path, ["checkout", "--quiet", "--force", "--detach", old])
        base = git(self.path, ["merge-base", self.commit, old], f"{self.path} has nothing in common with {self.commit}")
        added = ["diff", "-z", "--name-only", "--diff-filter=AM", base.strip(), old]
        labels = {
            path: read_label(self.path / path) for path in git(self.path, added).split("\0") if path.endswith(".nii.gz")
        }
        sources = {path: label for path, label in labels.items() if label is not None}
        keys = recorded_keys(self.path, [label.source for label in sources.values()], self.commit)
        there = set(annex.list_paths(self.path, self.commit))
        kept = [
            path for path, label in sources.items() if keys.get(label.source) == label.source_key and path not in there
        ]
        git(self.path, ["checkout", "--quiet", "--force", "-B", branch, self.commit])
        if kept:
            pairs = [name for path in kept for name in (path, sidecar_of(Path(path)).as_posix())]
            git(self.path, ["checkout", "--quiet", old, "--", *pairs])
            self.save(f"{len(kept)} masks taken over from {old[:12]}, on the revision {self.dataset.tag}")


@contextmanager
def open_work(name: str, dataset: Dataset) -> Iterator[Work]:
    """Make the clone of a dataset or bring it to the pinned revision, and keep others away while the block runs.

    Raises
    ------
    DatasetError, SettingsError
        See :func:`~stages.core.data.clones.annex.clone`; also where another process works there.
    """
    path, commit = ANNOTATED / name, pinned(name, dataset)
    with clone_lock(path):
        if (path / ".git").exists():
            git(path, ["reset", "--quiet", "--hard"])
            git(path, ["clean", "-ffdq"])
        annex.clone(dataset.url, path, commit, dataset.tag)
        # Sidecars belong to git itself, whatever the dataset does with its own: they are read without any download.
        git(path, ["config", "annex.largefiles", "exclude=*.json"])
        yield Work(name, dataset, path, commit)


def install(source: Path, target: Path) -> None:
    """Copy a mask into the clone, in place of one that is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)  # the annex may hold the old content under the same inode
    shutil.copyfile(source, target)


def require_masks(path: Path, masks: list[str]) -> None:
    """Refuse to go on where the content of a mask is not in the clone.

    Raises
    ------
    DatasetError
        It is not there.
    """
    gone = annex.missing(path, masks)
    if gone:
        raise DatasetError(
            f"{path} does not hold the content of {gone[0]} ({len(gone)} of {len(masks)} masks); `cordrift annotate` "
            "drafts them again."
        )
