"""Opens DICOM by drag and drop or File > Open, without a study: right way round, in millimetres, one layer per volume.

A file that is a slice opens the series that it belongs to. Layers are named as in an import, never after the patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_penumbra.plugin.readers import LayerTuple, Reader, warn_of


def get_reader(path: str | list[str]) -> Reader | None:
    """Return `read` for a folder with DICOM files in it, and for DICOM files (npe2 reader contribution)."""
    from napari_penumbra.imaging.dicom import has_dicom, looks_like_dicom

    paths = [Path(p) for p in ([path] if isinstance(path, str) else path)]
    try:
        known = [has_dicom(p) if p.is_dir() else p.name.upper() == "DICOMDIR" or looks_like_dicom(p) for p in paths]
    except OSError:
        return None
    return read if paths and all(known) else None


def read(path: str | list[str]) -> list[LayerTuple]:
    """Read every volume into a layer; localisers and what cannot be read are named in a warning.

    Parameters
    ----------
    path
        A folder, a tree of patients, or files. A single file stands for its whole series.

    Returns
    -------
    list of (data, arguments, layer type)
        ``data`` is (z, y, x) growing towards S, P, L; (t, z, y, x) of a series with several points in time.

    Raises
    ------
    PenumbraError
        In words, when there is nothing that can be opened.
    """
    from napari_penumbra.domain.errors import ImageError
    from napari_penumbra.imaging.dicom import scan

    paths = [Path(p) for p in ([path] if isinstance(path, (str, Path)) else path)]
    single = paths[0] if len(paths) == 1 and paths[0].is_file() else None
    found = scan(single.parent if single is not None else paths)
    several = len(found.exams) > 1
    offers = [(f"{exam.title} · " if several else "", offer) for exam in found.exams for offer in exam.offers]
    if single is not None and single.name.upper() != "DICOMDIR":
        offers = [pair for pair in offers if not pair[1].computed and _holds(pair[1], single)]
        if not offers:
            raise ImageError(f"{single.name} is a DICOM file without a scan in it.", "Open the folder of the series.")
    usable = [pair for pair in offers if pair[1].usable and not pair[1].localiser] or [p for p in offers if p[1].usable]
    told = [offer.problem for _, offer in offers if offer.problem]
    if not usable:
        raise ImageError(" ".join(told or found.notes) or "There is no DICOM scan here.", "Choose another folder.")
    layers = []
    for prefix, offer in usable:
        layer, notes = _layer(offer, prefix)
        layers.append(layer)
        told += [note for note in (*offer.notes, *notes) if note not in told]
    warn_of(told)
    return layers


def _holds(offer: Any, path: Path) -> bool:
    # An offer that cannot be read knows no frames; then its problem is worth telling whichever file was dropped.
    return bool(offer.problem) or any(frame.path == path for time in range(offer.times) for frame in offer.frames(time))


def _layer(offer: Any, prefix: str) -> tuple[LayerTuple, Sequence[str]]:
    from napari_penumbra.plugin.geometry import placement
    from napari_penumbra.plugin.layers import METADATA_KEY, intensity_window
    from napari_penumbra.plugin.time_axis import stacked

    first = offer.read()
    grid = first.volume.grid
    arguments: dict[str, Any] = {
        "name": prefix + offer.label,
        "metadata": {METADATA_KEY: {"grid": grid.to_json(), "source_grid": first.source.to_json()}},
        "colormap": "gray",
        **placement(grid),
    }
    data = np.asarray(first.volume.data, dtype=np.float32)
    notes = list(first.warnings)
    data, arguments = stacked(data, offer.times, lambda time: offer.read(time).volume.data, arguments)
    return (data, {**arguments, **intensity_window(data)}, "image"), notes
