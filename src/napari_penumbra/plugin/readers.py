"""Opens volumes by drag and drop or File > Open: right way round, in millimetres. 4D files get a slider."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

LayerTuple = tuple[Any, dict[str, Any], str]
Reader = Callable[[Any], list[LayerTuple]]

# What people call masks. Numbers alone do not tell: a thresholded scan may hold whole numbers as well.
_MASK_NAME = re.compile(r"(^|[^a-z])(labels?|labelmap|seg|segmentation|masks?|gt|roi)([^a-z]|$)", re.IGNORECASE)


def get_reader(path: str | list[str]) -> Reader | None:
    """Return `read` when every path ends like a file that it can read (npe2 reader contribution)."""
    from napari_penumbra.imaging.files import is_picture_file, is_stack, suffix_of

    paths = [Path(p) for p in ([path] if isinstance(path, str) else path)]
    # napari opens pictures well by itself.
    ours = [suffix_of(p) and (is_stack(p) or not is_picture_file(p)) for p in paths]
    return read if ours and all(ours) else None


def read(path: str | list[str]) -> list[LayerTuple]:
    """Read files into layers, one each.

    Parameters
    ----------
    path
        One path or several.

    Returns
    -------
    list of (data, arguments, layer type)
        ``data`` is (z, y, x) growing towards S, P, L; (t, z, y, x) of a scan of several volumes. A file whose name
        says label, mask or seg becomes a labels
        layer. ``metadata`` holds the grids, so that the writer puts edited labels back onto the file's own grid.

    Raises
    ------
    PenumbraError
        In words, when a file cannot be read or is a mask with values that are not whole numbers.
    """
    paths = [path] if isinstance(path, (str, Path)) else path
    return [read_one(Path(p)) for p in paths]


def read_one(path: Path, name: str | None = None, labels: bool | None = None) -> LayerTuple:
    """Read one file.

    Parameters
    ----------
    path
        The file.
    name
        Name of the layer; the file's name without its ending by default.
    labels
        Whether it is a mask; judged by its name when None.
    """
    from napari_penumbra.imaging.files import frames_of, read_image, read_labels, suffix_of
    from napari_penumbra.plugin.geometry import placement
    from napari_penumbra.plugin.layers import METADATA_KEY, intensity_window
    from napari_penumbra.plugin.time_axis import stacked

    stem = path.name[: -len(suffix_of(path))] if suffix_of(path) else path.name
    is_mask = bool(_MASK_NAME.search(stem)) if labels is None else labels
    times = 1 if is_mask else frames_of(path)
    found = read_labels(path) if is_mask else read_image(path, 0 if times > 1 else None)
    grid = found.volume.grid
    arguments: dict[str, Any] = {
        "name": name or stem,
        "metadata": {METADATA_KEY: {"grid": grid.to_json(), "source_grid": found.source.to_json()}},
        **placement(grid),
    }
    warn_of(found.warnings)
    if is_mask:
        return found.volume.data, arguments, "labels"
    data = np.asarray(found.volume.data, dtype=np.float32)
    data, arguments = stacked(data, times, lambda time: read_image(path, time).volume.data, arguments)
    if data.ndim == 3 and times > 1:
        warn_of([f"{path.name} holds {times} volumes, too much to hold at once: the first one is shown."])
    return data, {**arguments, "colormap": "gray", **intensity_window(data)}, "image"


def warn_of(sentences: Sequence[str]) -> None:
    """Show sentences as one warning of napari's."""
    if sentences:
        from napari.utils.notifications import show_warning

        show_warning(" ".join(sentences))
