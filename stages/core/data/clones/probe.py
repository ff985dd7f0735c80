"""Ask each remote of a download for one file first: a host that does not answer would hold git-annex for minutes."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .commits import keys_and_sizes
from .programs import TIMED_OUT, call, condensed

#: So long (s) a remote may take to say whether it has a file.
LIMIT_S = 25.0
#: Exit status of ``git annex checkpresentkey`` when the remote said neither yes nor no.
_NO_ANSWER = 100


def silent_remotes(clone: Path, samples: Mapping[str, str], limit_s: float | None = None) -> dict[str, str]:
    """Return the remotes that do not answer -> the reason. All are asked at the same time.

    Parameters
    ----------
    clone : clone of the dataset
    samples : name of a remote -> a file that it should have
    limit_s : longest wait, s; None: ``LIMIT_S``
    """
    limit_s = LIMIT_S if limit_s is None else limit_s
    keys = keys_and_sizes(clone, sorted(set(samples.values())))

    def ask(remote: str) -> str:
        words = ["git", "-C", str(clone), "annex", "checkpresentkey", keys[samples[remote]][0], remote]
        answer = call(words, limit_s=limit_s)
        if answer.returncode == TIMED_OUT:
            return f"no answer within {limit_s:g} s"
        if answer.returncode != _NO_ANSWER:
            return ""
        said = (answer.stdout + b"\n" + answer.stderr).decode(errors="replace").strip()
        return condensed(said.rpartition("): ")[2])  # before it stand settings of the network code

    with ThreadPoolExecutor(max(1, len(samples))) as pool:
        reasons = dict(zip(samples, pool.map(ask, samples), strict=True))
    return {remote: reason for remote, reason in reasons.items() if reason}
