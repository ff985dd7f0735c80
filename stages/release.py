"""Run one job of a release: plan, data, segment, judge or publish, in this order; by hand, all in one checkout.

`key` names the cache of the test datasets. With `accept`, in a lab without an MLflow server, a person accepts a release
whatever its verdict. `restore` fills an empty store, such as that of a new server, with the history of the releases.
GITHUB_REPOSITORY, GITHUB_TOKEN and GITHUB_API_URL name the repository and give access to it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from .core.base.errors import run
from .core.data.clones.programs import person
from .core.release.github.repository import open_repository
from .core.release.jobs.publish import publish

#: The profile with the test datasets, where neither the option nor CORDRIFT_PROFILE names one.
PROFILE = "spine-generic"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the job that is named first."""
    options = _parser().parse_args(arguments)
    root, job = Path(), options.job
    if job == "publish":
        publish(root, open_repository(), options.tag)
        return
    # Imported here: the machine that may write to releases, and publishes, has none of what these jobs need.
    from .core.release.jobs import commands as jobs
    from .core.release.jobs.history import write_acceptance

    if job == "plan":
        jobs.plan(root, open_repository(), options.tag, options.profile, print)
    elif job == "key":
        jobs.key(root, options.profile)
    elif job == "data":
        jobs.data(root, options.profile)
    elif job == "segment":
        jobs.segment(root, options.profile, options.device, options.shard, print)
    elif job == "judge":
        images = options.images == "yes"
        jobs.judge(root, open_repository(), options.tag, options.profile, options.device, print, images=images)
    elif job == "restore":
        jobs.restore(root, open_repository(), options.profile, print)
    else:
        when = datetime.now(UTC).isoformat(timespec="seconds")
        done = write_acceptance(open_repository(), options.tag, who=person(options.by), why=options.reason, when=when)
        print(f"{options.tag} (bundle {done.digest[:12]}) is accepted: releases after it are judged against it.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cordrift release", description=__doc__)
    jobs = parser.add_subparsers(dest="job", required=True)
    for name in ("plan", "key", "data", "segment", "judge", "publish", "accept", "restore"):
        job = jobs.add_parser(name)
        if name not in {"key", "data", "segment", "restore"}:
            job.add_argument("--tag", required=True, help="of the release")
        if name not in {"publish", "accept"}:
            profile = os.environ.get("CORDRIFT_PROFILE") or PROFILE
            job.add_argument("--profile", default=profile, help="a file of params/ (default: %(default)s)")
        if name in {"segment", "judge"}:
            device = os.environ.get("CORDRIFT_DEVICE") or None
            job.add_argument("--device", choices=["cpu", "cuda"], default=device, help="default: the profile's")
        if name == "judge":
            job.add_argument(
                "--images", choices=["yes", "no"], default=os.environ.get("CORDRIFT_IMAGES") or "no",
                help="whether the published report shows anatomy (default: %(default)s)",
            )  # fmt: skip
        if name == "segment":
            job.add_argument("--shard", type=int, required=True)
        if name == "accept":
            job.add_argument(
                "--reason", required=True, help="why; it is kept with the release, and everybody can read it"
            )
            job.add_argument(
                "--by", metavar="NAME", help="the person who decides (default: the name in git's settings)"
            )
    return parser


if __name__ == "__main__":
    run(main)
