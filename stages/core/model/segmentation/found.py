"""What was found in a volume, and what speaks against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...images.volumes import Volume

#: Name of the check by the localiser, as it stands in the flags of a table of measures.
LOCALISER_CHECK = "localiser"


@dataclass(frozen=True)
class Found:
    """What was found in a volume.

    Attributes
    ----------
    soft : (nx, ny, nz) probability of cord on the volume's own grid, in [0, 1]
    others : the same of other regions, such as ``lesion``, by name
    share : of the voxels that were looked at closely, in (0, 1]
    why_whole : why the whole volume was; ``""`` where it was not, or is so small that there is nothing to save
    doubt : what speaks against the mask; ``""`` for nothing
    """

    soft: NDArray[np.float32]
    share: float = 1.0
    why_whole: str = ""
    doubt: str = ""
    others: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def regions(self) -> dict[str, NDArray[np.float32]]:
        """The probabilities of every region by name, the cord first."""
        return {"cord": self.soft, **self.others}

    @property
    def doubts(self) -> dict[str, str]:
        """What the sidecar of the mask says of it: why the whole volume was searched, and what speaks against it."""
        said = {"WholeImageSearched": self.why_whole, "Doubt": self.doubt}
        return {key: why for key, why in said.items() if why}


Searching = Callable[[Volume], Found]
