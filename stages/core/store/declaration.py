"""What a version will be judged by, in its run before its results: params of MLflow, which never changes one."""

from __future__ import annotations

from collections.abc import Mapping

from ..drift.rule.protocol import Protocol
from .bundle_files import version_identity
from .client import Store

PREFIX = "declared."
WHEN, BEFORE = "when", "before_results"


def declare(store: Store, bundle: str, label: str, items: Mapping[str, str], now: str) -> Protocol:
    """Record the items in the run of the bundle, unless some are there: the first declaration stands."""
    run = store.ensure_run(version_identity(bundle), label)
    if not any(name.startswith(PREFIX) for name in run.params):
        # A run that a cordrift without declarations registered has its results already.
        early = {WHEN: now, BEFORE: "no" if run.metrics else "yes"}
        store.ensure_params(run, {PREFIX + name: value for name, value in {**items, **early}.items()})
    found = {name.removeprefix(PREFIX): text for name, text in run.params.items() if name.startswith(PREFIX)}
    when, before = found.pop(WHEN), found.pop(BEFORE)
    return Protocol(bundle, found, when, before == "yes")
