"""An image that is no file of its own: one volume out of a folder of slices, one computed from others."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from napari_penumbra.imaging.files import ReadImage


@runtime_checkable
class ImageSource(Protocol):
    """What `study.adding` can take in place of a path."""

    @property
    def name(self) -> str:
        """What sentences call it, as they would name a file; never a path."""

    def read(self) -> ReadImage:
        """Read its voxels; raises `ImageError` in words."""
