"""Provenance of a release: the digests by which each of its numbers can be traced to data, code and settings."""

from __future__ import annotations

import re
from typing import Any

from ...base.errors import redact
from ...model.lineage.difference import composition
from .changes import libraries, settings
from .facts import Facts, as_mapping, compared_with

#: An absolute path on POSIX or Windows, alone or inside a sentence.
PATH = re.compile(r"(?<![\w:/.~])/[^\s/'\",;)]+/[^\s'\",;)]*|\b[A-Za-z]:\\[^\s'\",;)]*")
LOCAL = "(local path)"


def release_provenance(facts: Facts, *, judged_by: str) -> dict[str, Any]:
    """Return ``provenance.json`` of a release; what is not recorded is null. It has no local path and no credential.

    ``judged_by`` is the code revision that segmented, measured and judged; the bundle names the one that trained.
    """
    drift = facts.drift
    candidate, verdict = drift.candidate, drift.verdict
    value = {
        "label": facts.new.label,
        "bundle": candidate.bundle,
        "inference": {"digest": candidate.inference, "settings": facts.settings.model_dump(mode="json")},
        "ruler": candidate.ruler,
        "range": drift.range,
        "frozen": {
            "digest": candidate.frozen,
            "datasets": [
                {
                    **pin.model_dump(include={"dataset", "tag", "commit", "licence"}),
                    "address": _public(pin.url),
                    "participants": len({case.participant for case in pin.cases}),
                    "images": len(pin.cases),
                }
                for pin in facts.pins
            ],
        },
        "training": _training(facts),
        "code": {"trained": facts.new.code, "judged": judged_by},
        "declared": drift.declared and drift.declared.model_dump(),
        "rule": drift.rule.model_dump(exclude_unset=True),
        "compared_with": compared_with(drift),
        "verdict": verdict.model_dump(exclude={"judges"})
        | {"judges": [judge.model_dump(include={"digest", "label", "roles"}) for judge in verdict.judges]},
        "incomplete": facts.missing,
    }
    scrubbed: dict[str, Any] = _scrub(value)
    return scrubbed


def _training(facts: Facts) -> dict[str, Any]:
    """Return folds, seed, settings, libraries, hardware and data of the training, as far as they are recorded."""
    folds, data = facts.new.folds, facts.new.training
    flat = settings(facts.new)
    digests = {str(as_mapping(one.get("data")).get("digest")) for one in folds.values()} - {"None"}
    value: dict[str, Any] = {
        "folds": list(folds) or None,
        "seed": flat.get("seed"),
        "settings": flat or None,
        "libraries": libraries(facts.new) or None,
        "hardware": {key: flat.get(key) for key in ("device", "gpus")} if flat else None,
        "data_digests": sorted(digests) or None,
        "datasets": None,
    }
    if data is not None:
        value["datasets"] = [
            {
                "dataset": name,
                "tag": tag,
                "commit": commit,
                "participants": found.participants,
                "images": found.images,
                "contrasts": dict(sorted(found.contrasts.items())),
            }
            for name, (tag, commit) in sorted(data.revisions.items())
            if (found := composition(data, name)) is not None
        ]
    return value


def _public(address: str) -> str | None:
    """Return an address that others can reach; None for a place on this machine."""
    return redact(address) if re.match(r"(https?|ssh|git)://", address) else None


def _scrub(value: Any) -> Any:
    """Return the same value without credentials and absolute paths in its texts."""
    if isinstance(value, dict):
        return {_scrub(key): _scrub(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_scrub(item) for item in value]
    return PATH.sub(LOCAL, redact(value)) if isinstance(value, str) else value
