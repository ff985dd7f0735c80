"""A retrained bundle as a draft release: bundle, toolbox's zip, how it was trained, and how its data changed."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ...base.errors import ReleaseError
from ...base.files import read_csv, read_json, whole_folder, write_csv, write_json
from ...base.params import load_yaml
from ...measures.kept_masks.zips import pack
from ...model.bundle.content import files_of, read_bundle
from ...model.bundle.toolbox import Shipped, write_toolbox_zip
from ...model.lineage.difference import difference, difference_table
from ...model.lineage.manifest import IN_BUNDLE, TrainingData, read_training_data
from ...model.lineage.text import difference_lines
from ...reports.change_report.markdown import escape
from ...workspace.bundles.named import open_bundle
from ..github.api import Release
from ..github.repository import MOST_ASSET_BYTES, Repository
from .names import BUNDLE_ZIP, DRAFT, TOOLBOX_ZIP, label_of_tag, version_of

#: File with the tag, the title and the text of the draft; it is not an asset.
CARD = "draft.json"
#: Most bytes of a lock file; that of some hundred stages has a tenth of it.
MOST_LOCK_BYTES = 4 << 20
#: Tag of the first release.
FIRST_TAG = "v1.0.0"


class Previous(NamedTuple):
    """The newest published release that has a bundle."""

    tag: str
    digest: str
    data: TrainingData


def write_draft(
    root: Path, repository: Repository, tag: str | None, say: Callable[[str], None], *, trained: Path | None = None
) -> dict[str, str]:
    """Write ``release/draft`` from the packaged bundle, and return the output of the step, ``tag``.

    Where the newest release already has this bundle, the training changed nothing: nothing is written and the output
    ``tag`` is empty.

    Parameters
    ----------
    root : checkout, which gets the draft
    repository : whose releases tell the next tag and the previous bundle
    tag : of the draft; None for the next minor version
    say : gets each sentence for the user
    trained : folder with ``data/package`` and ``dvc.lock``, as the training left them; None for those of ``root``.
        Only the files that a bundle has, and ``dvc.lock``, are taken from it

    Raises
    ------
    CordriftError
        There is no bundle; ``dvc.lock`` is no lock file; the tag is not a plain name or is published; the bundle
        of the earlier release cannot be read.
    """
    source = root if trained is None else trained
    package = source / "data/package"
    verified = read_bundle(package)
    releases = repository.releases()
    wanted = label_of_tag(tag) if tag else next_tag(releases)
    if any(release.tag == wanted and not release.draft for release in releases):
        raise ReleaseError(f"{wanted} is published already in {repository.name}; a draft needs another tag.")
    before = _previous(repository, releases)
    if before is not None and before.digest == verified.digest:
        say(f"the bundle {verified.digest[:12]} is that of {before.tag}: there is nothing new to release.")
        shutil.rmtree(root / DRAFT, ignore_errors=True)
        return {"tag": ""}
    data = read_training_data(package / IN_BUNDLE)
    with whole_folder(root / DRAFT) as part:
        pack(part / BUNDLE_ZIP, files_of(package, verified))
        write_toolbox_zip(verified, part / TOOLBOX_ZIP, Shipped.read(root / "params.yaml"))
        if (source / "dvc.lock").is_file():
            _check_lock(source / "dvc.lock")
            shutil.copyfile(source / "dvc.lock", part / "dvc.lock")
        training = "\n".join(training_lines(package, data))
        (part / "TRAINING.md").write_text(training + "\n", encoding="utf-8")
        tag_before, data_before = (before.tag, before.data) if before else ("no earlier release", TrainingData({}, {}))
        changes = difference(data_before, data)
        said = "\n".join(difference_lines(data_before, data, changes, (tag_before, wanted)))
        # The fence is longer than any in the text: names of another release's data cannot leave it.
        fence = "`" * max(4, 1 + max((len(run) for run in re.findall("`+", said)), default=0))
        (part / "DATA_DIFF.md").write_text(f"# Training data\n\n{fence}text\n{said}\n{fence}\n", encoding="utf-8")
        write_csv(part / "data_diff.csv", difference_table(changes))
        body = f"Bundle `{verified.digest}`. Publish this draft to have it judged.\n\n{training}\n"
        write_json(part / CARD, {"tag": wanted, "title": wanted, "body": body})
    return {"tag": wanted}


def upload_draft(root: Path, repository: Repository, commit: str, say: Callable[[str], None]) -> Release:
    """Create or update the draft release whose files :func:`write_draft` wrote.

    Parameters
    ----------
    root : checkout with ``release/draft``
    repository : that gets the release
    commit : what the tag will point to when the draft is published
    say : gets a line for each asset

    Raises
    ------
    CordriftError
        ``release/draft`` is missing, or the tag was published meanwhile.
    """
    folder = root / DRAFT
    card = read_json(folder / CARD)
    release = repository.draft(card["tag"], title=card["title"], body=card["body"], commit=commit)
    for path in sorted(path for path in folder.iterdir() if path.name != CARD):
        say(f"{path.name}: {repository.upload(release, path, path.name)}")
    return release


def next_tag(releases: Sequence[Release]) -> str:
    """Return the minor version after the highest published one; tags that are not version numbers do not count."""
    versions = [version for release in releases if not release.draft and (version := version_of(release.tag))]
    if not versions:
        return FIRST_TAG
    newest = max(versions)
    return f"v{newest.major}.{newest.minor + 1}.0"


def _check_lock(path: Path) -> None:
    """Make sure that a file is what DVC writes as its lock, before it becomes an asset.

    Raises
    ------
    CordriftError
        It is a link, larger than any lock, no YAML, or holds something else.
    """
    if path.is_symlink() or path.stat().st_size > MOST_LOCK_BYTES:
        raise ReleaseError(f"{path} is a link or has over {MOST_LOCK_BYTES} bytes; expected the lock file of DVC.")
    lock = load_yaml(path)
    if not isinstance(lock, dict) or set(lock) - {"schema", "stages", "artifacts", "datasets"}:
        raise ReleaseError(f"{path} is not the lock file of DVC, which has the keys schema and stages.")


def training_lines(package: Path, data: TrainingData) -> Iterator[str]:
    """Yield how the bundle was trained, as lines of Markdown: data, folds, last and best validation Dice, hours."""
    people = {(case.dataset, case.participant) for case in data.cases.values()}
    yield f"Trained on {len(people)} participants, {len(data.cases)} images:"
    yield ""
    for name, (tag, commit) in sorted(data.revisions.items()):
        yield f"- {escape(name)} {escape(tag or 'without a tag')} (`{commit[:12]}`)"
    yield ""
    yield "| fold | epochs | last Dice | best Dice | hours |"
    yield "|---|---|---|---|---|"
    for fold in read_json(package / "model.json")["folds"]:
        curve = read_csv(package / f"fold_{fold}/progress.csv")
        hours = float(curve["seconds"].sum()) / 3600
        yield f"| {fold} | {len(curve)} | {curve['dice'].iloc[-1]:.3f} | {curve['dice'].max():.3f} | {hours:.2f} |"
    yield ""
    yield "Dice: from nnU-Net's own validation on patches, so it does not measure the released model. The release is"
    yield "judged on the frozen test set when it is published."


def _previous(repository: Repository, releases: Sequence[Release]) -> Previous | None:
    published = [release for release in releases if not release.draft and release.asset(BUNDLE_ZIP)]
    if not published:
        return None
    newest = published[-1]
    with tempfile.TemporaryDirectory() as scratch:
        packed, folder = Path(scratch) / BUNDLE_ZIP, Path(scratch) / "bundle"
        repository.download(newest, BUNDLE_ZIP, packed, MOST_ASSET_BYTES)
        verified = open_bundle(packed, folder)
        return Previous(newest.tag, verified.digest, read_training_data(folder / IN_BUNDLE))
