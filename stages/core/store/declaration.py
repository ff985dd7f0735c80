"""The declaration of a version: the rule, contrasts, range and frozen set by which it will be judged.

It is recorded before the results, as params of the version's run, because MLflow never changes a param.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..drift.rule.protocol import Protocol
from .bundle_files import version_identity
from .client import Store

#: Prefix of the params that hold the declaration, and the names of two further ones beside its items.
DECLARED = "declared."
WHEN, BEFORE = "when", "before_results"


def declare(store: Store, bundle: str, label: str, items: Mapping[str, str], now: str) -> Protocol:
    """Record a declaration unless the run of the bundle has one already, and return the one that is recorded.

    Parameters
    ----------
    bundle : digest of the bundle, 64 hexadecimal digits
    label : name of the run, where it does not exist yet
    items : what is declared, by name, as text
    now : ISO time of the declaration
    """
    run = store.ensure_run(version_identity(bundle), label)
    if not any(name.startswith(DECLARED) for name in run.params):
        # A version that was registered before declarations existed has results already.
        circumstances = {WHEN: now, BEFORE: "no" if run.metrics else "yes"}
        store.ensure_params(run, {DECLARED + name: value for name, value in {**items, **circumstances}.items()})
    found = {name.removeprefix(DECLARED): text for name, text in run.params.items() if name.startswith(DECLARED)}
    when, before = found.pop(WHEN), found.pop(BEFORE)
    return Protocol(bundle, found, when, before == "yes")
