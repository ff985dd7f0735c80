"""Settings of `history` and `register`: where versions come from, and how this one is called."""

from __future__ import annotations

from typing import ClassVar

from ...base.params import Name, Settings


class History(Settings):
    """Where priors come from. ``offline``: do not ask MLflow; nothing can be judged or registered then."""

    block: ClassVar = "history"

    offline: bool


class Register(Settings):
    """The registered model of this profile in MLflow, and the label under which this version is shown."""

    block: ClassVar = "register"

    model: Name
    label: Name
