"""What a fix is: it works out what shall change in a case, and changes nothing itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from napari_penumbra.domain.case import Role, Volume
from napari_penumbra.domain.errors import GeometryError, UsageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging.files import read_image
from napari_penumbra.study.checks import Offer
from napari_penumbra.study.core import Core


@dataclass(frozen=True, slots=True)
class Target:
    """A case as a fix sees it: its images' paths relative to the study, in the study's order."""

    core: Core
    name: str
    grid: Grid
    role: Role
    images: dict[str, str]

    def path_of(self, modality: str) -> str:
        """Where a modality lies, relative to the study; raises `UsageError` when the case lacks it."""
        if modality not in self.images:
            has = ", ".join(self.images) or "none"
            raise UsageError(f'{self.name} has no modality "{modality}".', f"It has {has}.")
        return self.images[modality]

    def read(self, modality: str) -> Volume:
        """Read a modality, wherever its file says that it lies."""
        volume = read_image(self.core.layout.absolute(self.path_of(modality))).volume
        return Volume(np.asarray(volume.data, dtype=np.float32), volume.grid)

    def read_in_place(self, modality: str) -> Volume:
        """Read a modality that must lie on the case's grid; raises `GeometryError` when it does not."""
        volume = self.read(modality)
        if volume.data.shape != self.grid.array_shape:
            raise GeometryError(
                f"{modality} of {self.name} does not lie on the case's grid.", "Resample it first, then try again."
            )
        return Volume(volume.data, self.grid)


@dataclass(slots=True)
class Change:
    """What shall be different afterwards.

    Attributes
    ----------
    volumes
        Modality to new voxels on the case's grid, to be written as a derived file.
    paths
        Modality to a file that is there already, None to take the modality away.
    role
        Another role, None for the same.
    facts
        What belongs into the record: a motion, a distance.
    words
        What was done, to complete "p003: …".
    """

    words: str
    volumes: dict[str, Volume] = field(default_factory=dict)
    paths: dict[str, str | None] = field(default_factory=dict)
    role: Role | None = None
    facts: dict[str, Any] = field(default_factory=dict)


class Fix:
    """One way to put a case right. A new one is a file and a line in `fixes.REGISTRY`.

    Attributes
    ----------
    kind
        Short name that never changes; `checks.Offer` names it.
    tip
        What will happen, in a sentence.
    asks
        Whether the reader is shown what would come of it before it counts.
    """

    kind: ClassVar[str]
    tip: ClassVar[str]
    asks: ClassVar[bool] = False

    def button(self, offer: Offer) -> str:
        """What the button says."""
        raise NotImplementedError

    def work_out(self, case: Target, offer: Offer) -> Change:
        """Say what shall change; may take seconds, writes nothing.

        Raises
        ------
        UsageError
            The case has no such modality, or there is nothing to change.
        GeometryError, ImageError
            It cannot be done with this case; the message says why.
        """
        raise NotImplementedError
