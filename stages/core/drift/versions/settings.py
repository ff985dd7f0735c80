"""Settings of `history` and `register`: where earlier versions come from, and what this one is called."""

from __future__ import annotations

from typing import ClassVar

from ...base.params import Name, Settings


class History(Settings):
    """The source of the priors. ``offline``: MLflow is not asked, and nothing can be judged or registered."""

    block: ClassVar = "history"

    offline: bool


class Register(Settings):
    """The registered model of this profile in MLflow, and the label under which this version is shown.

    ``trial``: a run to try something. Its numbers are registered, but it is no reference: it gets no alias, judges
    nothing, and is no point of a series.
    """

    block: ClassVar = "register"

    model: Name
    label: Name
    trial: bool = False
