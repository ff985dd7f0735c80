"""What `make setup` puts on the disk: megabytes by distribution, of the files each lists (`make bench-install`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions

SHOWN = 15


def megabytes(distribution: Distribution) -> float:
    """Size on disk of the files of a distribution's RECORD; 1 MB is 10**6 bytes."""
    paths = [distribution.locate_file(file) for file in distribution.files or ()]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def group_of(name: str) -> str:
    """Return `torch`, `nvidia and triton` (what a CUDA build of torch brings) or `the rest`."""
    if re.match(r"nvidia|cuda|triton", name):
        return "nvidia and triton"
    return "torch" if name == "torch" else "the rest"


def build_of(version: str) -> str:
    """Say from torch's version, such as `2.13.0+cpu`, which build it is."""
    local = version.partition("+")[2]
    return "a CPU build" if local == "cpu" else f"built for {local}" if local else "the index's default build"


def lines(sizes: dict[str, float], versions: dict[str, str]) -> Iterable[str]:
    """The largest distributions, the groups and the total."""
    for name, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]:
        yield f"{size:8.1f} MB  {name} {versions[name]}"
    yield ""
    for group in ("torch", "nvidia and triton", "the rest"):
        members = [size for name, size in sizes.items() if group_of(name) == group]
        yield f"{sum(members):8.1f} MB  {group} ({len(members)})"
    yield f"{sum(sizes.values()):8.1f} MB  in all ({len(sizes)})"
    if "torch" in versions:
        yield f"torch {versions['torch']} is {build_of(versions['torch'])}"


def main() -> None:
    """Print them for the environment that runs this."""
    found = {distribution.name.lower().replace("_", "-"): distribution for distribution in distributions()}
    sizes = {name: megabytes(distribution) for name, distribution in found.items()}
    print("\n".join(lines(sizes, {name: distribution.version for name, distribution in found.items()})))


if __name__ == "__main__":
    main()
