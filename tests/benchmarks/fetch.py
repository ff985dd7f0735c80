"""Time and disk of ``python -m stages.fetch``, and how both grow with the number of volumes.

Not a test: run it with ``make bench-fetch``. Two generated participants of a cohort are rendered; every further one
holds the same voxels under another description in the NIfTI header, so that each file has the true size and a content
key of its own. Published with DataLad, fetched as the registry's test entry selects (image, mask, soft mask, discs).

Four measurements per size, each a process of its own: a fetch into nothing, a second one with nothing to do, one that
goes on where half of the participants are there, and the hashing alone. Seconds depend on the machine and on what else
runs on it; compare the ratios of one run.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))

from stages.core.data.clones import annex
from stages.core.data.datasets.manifest import CLONES, read_manifest
from stages.core.phantom.dataset.cohort import find_cohort, find_revision, participants_of
from stages.core.phantom.dataset.publish import write_participant

ROOT = Path(__file__).parents[2]
NAME = "bench"
#: Length of a NIfTI-1 header with its extension flag, and where its free text lies.
HEADER, DESCRIPTION = 352, slice(148, 228)


@dataclass(frozen=True)
class Measured:
    """Seconds, bytes on the disk (whole blocks) and git processes of one size."""

    volumes: int
    files: int
    numbers: dict[str, float]


def templates(folder: Path, cohort: str) -> list[Path]:
    """Render two participants and return their folders' files, relative to ``folder``."""
    spec = find_cohort(cohort)
    people = [person for person in participants_of(spec, find_revision(spec, "r1")) if person.frozen][:2]
    for person in people:
        write_participant(folder, spec, person)
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def source(folder: Path, template: Path, files: list[Path], volumes: int) -> tuple[str, list[str]]:
    """Publish a dataset of so many volumes; returns its commit and participants."""
    ids = sorted({part for path in files for part in path.parts if part.startswith("sub-") and "_" not in part})
    of = {old: [path for path in files if old in path.parts] for old in ids}
    # The voxels' member is compressed once per template, not once per copy.
    voxels = {path: gzip.decompress((template / path).read_bytes()) for path in files if path.name.endswith(".gz")}
    packed = {path: gzip.compress(plain[HEADER:], compresslevel=6, mtime=0) for path, plain in voxels.items()}
    people: list[str] = []
    made = 0
    while made < volumes:
        old, new = ids[len(people) % len(ids)], f"sub-b{len(people):05d}"
        people.append(new)
        for path in of[old]:
            target = folder / path.as_posix().replace(old, new)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path in packed:
                header = bytearray(voxels[path][:HEADER])
                header[DESCRIPTION] = f"{new} {path.name}".encode()[:80].ljust(80, b"\0")
                target.write_bytes(gzip.compress(bytes(header), mtime=0) + packed[path])
            else:
                shutil.copyfile(template / path, target)
        made += sum(path.parts[0] == old and path in packed for path in of[old])
    rows = "".join(f"{one}\tF\t30\tHC\tsiteA\tnone\tn/a\n" for one in people)
    table = "participant_id\tsex\tage\tpathology\tinstitution_id\tinstitution\tmanufacturer\n"
    (folder / "participants.tsv").write_text(table + rows, encoding="utf-8")
    annex.create(folder)
    return annex.save(folder, f"{made} volumes", "r1"), people


def workspace(folder: Path, url: Path, commit: str, people: list[str], jobs: int) -> None:
    """Write registry, frozen participants and params, and nothing else."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    registry = yaml.safe_load((ROOT / "data/datasets.yaml").read_text(encoding="utf-8"))
    entry: dict[str, Any] = registry["datasets"]["phantom-frozen"]
    entry.update(url=str(url), tag="r1", commit=commit)
    for contrast in entry["contrasts"].values():
        contrast["optional"] = True  # a smaller cohort has fewer
    text = yaml.safe_dump({"schema": 1, "datasets": {NAME: entry}})
    (folder / "data/datasets.yaml").write_text(text, encoding="utf-8")
    frozen = "".join(f"1,{one},{NAME}\n" for one in people)
    (folder / "data/frozen.csv").write_text("schema,participant,dataset\n" + frozen, encoding="utf-8")
    (folder / "data/persons.csv").write_text("schema,person,dataset,participant\n", encoding="utf-8")
    params = yaml.safe_load((ROOT / "params/demo.yaml").read_text(encoding="utf-8"))
    params["fetch"] = {"datasets": [NAME], "jobs": jobs}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def fetch(folder: Path) -> tuple[float, int]:
    """Fetch in a workspace; returns seconds and how many git processes were started."""
    trace = folder / "git-trace.txt"
    trace.unlink(missing_ok=True)
    env = os.environ | {"PYTHONPATH": str(ROOT), "GIT_TRACE": str(trace)}
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "stages.fetch", "--dataset", NAME], cwd=folder, env=env, check=True)
    seconds = time.monotonic() - start
    with trace.open(encoding="utf-8", errors="replace") as lines:
        return seconds, sum("trace: built-in: git" in line or "trace: exec: git-" in line for line in lines)


def on_disk(folder: Path) -> int:
    """Bytes in whole blocks of everything below a folder, or of a file; a hard link counts once."""
    paths = [folder, *folder.rglob("*")]
    found = {(info.st_dev, info.st_ino): info.st_blocks * 512 for info in (path.lstat() for path in paths)}
    return sum(found.values())


def measure(folder: Path, template: Path, files: list[Path], volumes: int, jobs: int) -> Measured:
    """Publish, fetch three times and hash once; everything lies below ``folder``."""
    start = time.monotonic()
    commit, people = source(folder / "source", template, files, volumes)
    print(f"published {volumes} volumes in {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    whole, half = folder / "whole", folder / "half"
    workspace(whole, folder / "source", commit, people, jobs)
    numbers: dict[str, float] = {}
    numbers["fetch into nothing (s)"], numbers["  git processes"] = fetch(whole)
    numbers["fetch again (s)"], numbers["  git processes, again"] = fetch(whole)
    workspace(half, folder / "source", commit, people[::2], jobs)
    fetch(half)
    workspace(half, folder / "source", commit, people, jobs)
    numbers["fetch after half (s)"], _ = fetch(half)
    clone = whole / CLONES / NAME
    manifest = read_manifest(whole / f"data/fetch/{NAME}.json")
    start = time.monotonic()
    for file in manifest.files:
        annex.verify(clone / file.path, file.key, "")
    numbers["hashing alone (s)"] = time.monotonic() - start
    numbers["one datalad get (s)"] = startup(clone, manifest.cases[0].image)
    objects, git = on_disk(clone / ".git/annex/objects"), on_disk(clone / ".git")
    numbers["selected content (MB)"] = sum(file.size for file in manifest.files) / 1e6
    numbers["annex objects (MB)"] = objects / 1e6
    numbers["git and annex records (MB)"] = (git - objects) / 1e6
    numbers["working files (MB)"] = (on_disk(clone) - git) / 1e6
    numbers["manifest (MB)"] = on_disk(whole / f"data/fetch/{NAME}.json") / 1e6
    numbers["in all (MB)"] = numbers["manifest (MB)"] + on_disk(clone) / 1e6
    return Measured(len(manifest.cases), len(manifest.files), numbers)


def startup(clone: Path, file: str) -> float:
    """Seconds of a `datalad get` that finds its file there: what one call costs. The least of three."""
    program = Path(sys.executable).parent / "datalad"
    # git-annex lies beside DataLad in an environment that was not activated.
    env = os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
    seconds = []
    for _ in range(3):
        start = time.monotonic()
        subprocess.run([program, "get", "-d", clone, clone / file], check=True, capture_output=True, env=env)
        seconds.append(time.monotonic() - start)
    return min(seconds)


def table(small: Measured, large: Measured) -> str:
    """Numbers of both sizes with their ratio, and the time per volume against one call of DataLad."""
    factor = large.volumes / small.volumes
    lines = [
        f"{'':<28} {small.volumes:>9} {large.volumes:>9}   ratio",
        f"{'volumes':<28} {small.volumes:>9} {large.volumes:>9} {factor:>7.2f}",
        f"{'files selected':<28} {small.files:>9} {large.files:>9} {large.files / small.files:>7.2f}",
    ]
    for name, few in small.numbers.items():
        many = large.numbers[name]
        lines.append(f"{name:<28} {few:>9.1f} {many:>9.1f} {many / few:>7.2f}")
    for one in (small, large):
        whole, call, hashing = (
            one.numbers[name] for name in ("fetch into nothing (s)", "one datalad get (s)", "hashing alone (s)")
        )
        lines.append(
            f"{one.volumes} volumes: {1000 * whole / one.volumes:.0f} ms a volume, {whole / one.volumes / call:.3f} of "
            f"one `datalad get`; hashing is {hashing / whole:.1%}"
        )
    return "\n".join([*lines, "Seconds and MB are of this run on this machine; the ratios are what compares."])


def main() -> None:
    """Measure both sizes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--volumes", type=int, nargs=2, default=[300, 3000], help="two sizes (default: 300 3000)")
    parser.add_argument("--cohort", default="demo", help="whose participants are copied (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="transfers at a time (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="empty folder to work in, kept (default: a temporary one)")
    options = parser.parse_args()
    top = options.folder or Path(tempfile.mkdtemp(prefix="bench-fetch-"))
    try:
        files = templates(top / "template", options.cohort)
        measured = []
        for volumes in sorted(options.volumes):
            place = top / str(volumes)
            measured.append(measure(place, top / "template", files, volumes, options.jobs))
            if not options.folder:
                annex.remove(place)
        print(table(measured[0], measured[1]))
    finally:
        if not options.folder:
            annex.remove(top)


if __name__ == "__main__":
    main()
