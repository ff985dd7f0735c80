"""What each output can hold of a participant. A withdrawal looks for all of it; a test keeps the list complete."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

#: Folder of the clones in which masks are drafted and accepted.
ANNOTATED = Path("data/annotate")
#: Folder of the pages on which drafts are checked, and of the masks that people correct.
CHECKED = Path("reports/qc")


class Holding(NamedTuple):
    """The outputs whose path a pattern matches, and what they can hold of a participant.

    Attributes
    ----------
    pattern : of the path in a workspace; ``*`` also matches ``/``
    pixels : pictures of the anatomy, in which a name is a part of the picture, or images
    masks : masks, or contours of them
    ids : the id as text, in the name of the file or inside it
    """

    pattern: str
    pixels: bool
    masks: bool
    ids: bool


#: The first pattern that matches a path counts.
HOLDINGS = (
    # Datasets and what is read from them.
    Holding("data/clones/*", True, True, True),
    Holding("data/fetch/*", False, False, True),
    Holding("data/check/*/index.html", True, True, True),
    Holding("data/check/*", False, False, True),
    Holding("data/scratch/check-*", True, True, True),
    Holding("data/scratch/preprocessed-*", True, True, True),
    Holding("data/annotate/*", False, True, True),
    Holding("data/scratch/annotate/*", False, True, True),
    Holding("data/scratch/rest/*", False, True, True),
    Holding("data/scratch/*", False, False, True),
    Holding("data/prepare/raw/dataset.json", False, False, False),
    Holding("data/prepare/raw/*", True, True, True),
    Holding("data/prepare/*", False, False, True),
    Holding("data/paint/*", False, False, False),
    # Trained models: the weights of a network hold no image, and the manifest names everybody.
    Holding("data/train/*", False, False, False),
    Holding("data/package/training_data.json", False, False, True),
    Holding("data/package/*", False, False, False),
    Holding("data/seeds/*", False, False, True),
    Holding("data/monitored/*.png", True, True, True),
    Holding("data/monitored/*", False, False, True),
    # Results on the frozen set.
    Holding("reports/segment/*", False, True, True),
    Holding("reports/history/*masks.zip", False, True, True),
    Holding("reports/report/index.html", True, True, True),
    Holding("reports/report/figures/worst*.png", True, True, True),
    Holding("reports/report/figures/*.png", False, False, False),
    Holding("reports/qc/*", True, True, True),
    Holding("reports/*", False, False, True),
    # What a release publishes or leaves behind.
    Holding("release/*report.html", True, True, True),
    Holding("release/*figures.zip", True, True, True),
    Holding("release/*masks.zip", False, True, True),
    Holding("release/*cordrift-record.zip", True, True, True),
    Holding("release/*csa_std.png", False, False, False),
    Holding("release/*.safetensors", False, False, False),
    Holding("release/*", False, True, True),
    # The store, with everything that a run of it keeps.
    Holding("mlartifacts/*/index.html", True, True, True),
    Holding("mlartifacts/*/figures/worst*.png", True, True, True),
    Holding("mlartifacts/*/masks.zip", False, True, True),
    Holding("mlartifacts/*.safetensors", False, False, False),
    Holding("mlartifacts/*", False, False, True),
    Holding("mlflow.db*", False, False, True),
)


def holding_of(path: str) -> Holding | None:
    """Return what an output can hold; None of a path that is no output.

    >>> holding_of("reports/report/figures/worst_ten.png").pixels
    True
    """
    return next((one for one in HOLDINGS if fnmatchcase(path, one.pattern)), None)


def shows_people(path: str) -> bool:
    """Tell whether a file shows pictures of participants that no search for text finds; ``path`` as in a workspace.

    The page of `check` says in its text whom it shows, and the pictures of `monitor` are named after the participant.
    """
    found = holding_of(path)
    named = path.startswith("data/")
    return found is not None and found.pixels and path.endswith((".png", ".html")) and not named
