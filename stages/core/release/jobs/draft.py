"""A retrained bundle as a draft release: bundle, toolbox's zip, how it was trained, and what its data gained."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ...base.errors import CordriftError
from ...base.files import read_csv, read_json, whole_folder, write_csv, write_json
from ...measures.kept_masks.zips import pack
from ...model.bundle.content import read_bundle
from ...model.lineage.difference import difference, table
from ...model.lineage.manifest import IN_BUNDLE, TrainingData, read_training_data
from ...model.lineage.text import lines
from ..github.repository import MOST_ASSET_BYTES, Release, Repository
from .names import BUNDLE_ZIP, DRAFT, TOOLBOX_ZIP, label_of, version_of
from .plan import open_bundle

#: What the draft is called, and what it says; it goes to no asset.
CARD = "draft.json"
#: Before the first release.
FIRST = "v1.0.0"


class Previous(NamedTuple):
    """The newest published release that has a bundle."""

    tag: str
    digest: str
    data: TrainingData


def write_draft(root: Path, repository: Repository, tag: str | None) -> dict[str, str]:
    """Write ``release/draft`` from the packaged bundle; returns the output of the step, ``tag``.

    ``tag`` is empty, and nothing is written, where the newest release has this very bundle: nothing was learnt.

    Parameters
    ----------
    tag : of the draft; by default the next minor version

    Raises
    ------
    CordriftError
        No bundle, a tag that is no name or is published already, or an earlier release whose bundle cannot be read.
    """
    package = root / "data/package"
    verified = read_bundle(package)
    releases = repository.releases()
    wanted = label_of(tag) if tag else next_tag(releases)
    if any(release.tag == wanted and not release.draft for release in releases):
        raise CordriftError(f"{wanted} is published already in {repository.name}; a draft needs another tag.")
    before = _previous(repository, releases)
    if before is not None and before.digest == verified.digest:
        print(f"the bundle {verified.digest[:12]} is that of {before.tag}: there is nothing new to release.")
        shutil.rmtree(root / DRAFT, ignore_errors=True)
        return {"tag": ""}
    data = read_training_data(package / IN_BUNDLE)
    with whole_folder(root / DRAFT) as part:
        pack(part / BUNDLE_ZIP, bundle_files(package))
        shutil.copyfile(package / "nnunet.zip", part / TOOLBOX_ZIP)
        if (root / "dvc.lock").is_file():
            shutil.copyfile(root / "dvc.lock", part / "dvc.lock")
        training = "\n".join(training_lines(package, data))
        (part / "TRAINING.md").write_text(training + "\n", encoding="utf-8")
        tag_before, data_before = (before.tag, before.data) if before else ("no earlier release", TrainingData({}, {}))
        changes = difference(data_before, data)
        said = "\n".join(lines(data_before, data, changes, (tag_before, wanted)))
        (part / "DATA_DIFF.md").write_text(f"# Training data\n\n````text\n{said}\n````\n", encoding="utf-8")
        write_csv(part / "data_diff.csv", table(changes))
        body = f"Bundle `{verified.digest}`. Publish this draft to have it judged.\n\n{training}\n"
        write_json(part / CARD, {"tag": wanted, "title": wanted, "body": body})
    return {"tag": wanted}


def upload_draft(root: Path, repository: Repository, commit: str) -> Release:
    """Make or update the draft release that :func:`write_draft` wrote down.

    Parameters
    ----------
    commit : what the tag will point to when the draft is published

    Raises
    ------
    CordriftError
        Nothing was written, or the tag was published meanwhile.
    """
    folder = root / DRAFT
    card = read_json(folder / CARD)
    release = repository.draft(card["tag"], title=card["title"], body=card["body"], commit=commit)
    for path in sorted(path for path in folder.iterdir() if path.name != CARD):
        print(f"{path.name}: {repository.upload(release, path, path.name)}")
    return release


def next_tag(releases: Sequence[Release]) -> str:
    """The minor version after the highest published one; tags that are no versions do not count."""
    found = [version for release in releases if not release.draft and (version := version_of(release.tag))]
    if not found:
        return FIRST
    newest = max(found)
    return f"v{newest.major}.{newest.minor + 1}.0"


def bundle_files(package: Path) -> dict[str, Path]:
    """What of a packaged bundle is the bundle, by its name in the zip; the toolbox's zip is an asset of its own."""
    found = sorted(path for path in package.rglob("*") if path.is_file() and path.name != "nnunet.zip")
    return {path.relative_to(package).as_posix(): path for path in found}


def training_lines(package: Path, data: TrainingData) -> Iterator[str]:
    """How the bundle was trained, as Markdown: data, folds, last and best validation Dice, time."""
    people = {(case.dataset, case.participant) for case in data.cases.values()}
    yield f"Trained on {len(people)} participants, {len(data.cases)} images:"
    yield ""
    for name, (tag, commit) in sorted(data.revisions.items()):
        yield f"- {name} {tag or 'without a tag'} (`{commit[:12]}`)"
    yield ""
    yield "| fold | epochs | last Dice | best Dice | hours |"
    yield "|---|---|---|---|---|"
    for fold in read_json(package / "model.json")["folds"]:
        curve = read_csv(package / f"fold_{fold}/progress.csv")
        hours = float(curve["seconds"].sum()) / 3600
        yield f"| {fold} | {len(curve)} | {curve['dice'].iloc[-1]:.3f} | {curve['dice'].max():.3f} | {hours:.2f} |"
    yield ""
    yield "Dice: of nnU-Net's own validation on patches, no measure of the released model; the release is judged on the"
    yield "frozen test set when it is published."


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
