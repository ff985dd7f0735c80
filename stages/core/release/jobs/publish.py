"""The job that writes to a release. It imports neither torch nor MLflow nor DVC, so that its machine installs none."""

from __future__ import annotations

from pathlib import Path

from ...base.errors import ReleaseError
from ...base.files import read_json
from ..github.repository import Repository
from ..github.runner import write_summary
from .names import ASSETS, BUNDLE_ZIP, FIGURE, KEPT, PROVENANCE
from .plan import released_digest
from .summary import published_summary


def publish(root: Path, repository: Repository, tag: str) -> None:
    """Upload the files of the judgement to the release; assets that have the same bytes already are not sent.

    Raises
    ------
    ReleaseError
        There are no files, or files that no judgement writes; there is no such release; or its bundle is not the one
        that was judged, because somebody replaced it meanwhile.
    """
    files = sorted(path for path in (root / ASSETS).glob("*") if path.is_file())
    if not files:
        raise ReleaseError(f"{root / ASSETS} holds nothing to publish; `cordrift release judge` writes it.")
    foreign = sorted(KEPT & {path.name for path in files})
    if foreign:
        raise ReleaseError(
            f"{root / ASSETS} holds {', '.join(foreign)}, which no judgement writes; nothing is published."
        )
    release = repository.release(tag)
    judged = read_json(root / ASSETS / PROVENANCE, error=ReleaseError)
    digest, before = released_digest(repository, release), release.asset(BUNDLE_ZIP)
    if (judged.get("label"), judged.get("bundle")) != (tag, digest):
        raise ReleaseError(
            f"{root / ASSETS} is the judgement of {judged.get('label')} with the bundle "
            f"{str(judged.get('bundle'))[:12]}, and the release {tag} has the bundle {digest[:12]}: it was replaced "
            "after it was judged. Nothing is published; release the new bundle under the next tag."
        )
    done = [(path.name, repository.upload(release, path, path.name)) for path in files]
    if repository.release(tag).asset(BUNDLE_ZIP) != before:
        raise ReleaseError(
            f"the bundle of the release {tag} was replaced while its judgement was published: the judgement is of "
            f"{digest[:12]}. Put that bundle back, or delete the assets {', '.join(path.name for path in files)}."
        )
    write_summary(published_summary(repository.page, tag, FIGURE, done))
