"""What is asked to be added: files by modality, and what the files do not say themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_penumbra.domain.case import Closing
from napari_penumbra.imaging.files import Spacing
from napari_penumbra.study.importers.source import ImageSource


@dataclass(frozen=True, slots=True)
class MaskPart:
    """One file of a mask, and what its values mean.

    Attributes
    ----------
    values
        Value in the file to class in the study; 0 is background and need not be named. Class 255 is unknown.
    rest
        Class of every other value that is not 0; None refuses them.
    """

    path: Path
    values: Mapping[int, int] = field(default_factory=dict)
    rest: int | None = None


@dataclass(frozen=True, slots=True)
class Hints:
    """What the files of a case do not say.

    Attributes
    ----------
    frames
        Modality to volume (from 0) of a 4D file.
    spacing
        Edge lengths of a voxel along x, y, z in mm, for files that know none.
    mask
        The mask as several files, or as one whose values are not the study's; later ones lie over earlier ones.
    """

    frames: Mapping[str, int] = field(default_factory=dict)
    spacing: Spacing | None = None
    mask: tuple[MaskPart, ...] = ()


@dataclass(frozen=True, slots=True)
class NewCase:
    """What is asked to be added.

    Attributes
    ----------
    images
        Modality to file, or to what reads it; ``RGB`` stands for the three colours of one picture.
    label
        A mask to start from, or None.
    resample_label
        Bring a mask of another grid onto the case's instead of refusing it.
    closing
        How the mask is to be understood.
    hints
        What the files do not say; its ``mask`` goes before ``label``.
    reference
        Keep the mask apart, for measuring only: the case comes in without labels.
    beside
        Further files to keep in the case's folder, name to content.
    """

    name: str
    images: Mapping[str, Path | ImageSource]
    label: Path | None = None
    resample_label: bool = False
    closing: Closing = Closing.COMPLETE
    author: str = ""
    hints: Hints = field(default_factory=Hints)
    reference: bool = False
    beside: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def masked(self) -> bool:
        """Whether it comes with a mask."""
        return self.label is not None or bool(self.hints.mask)
