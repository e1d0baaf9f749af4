"""``penumbra``: the whole program without a window."""

from napari_penumbra.cli.main import main

__all__ = ["main"]
