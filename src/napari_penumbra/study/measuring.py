"""What checks measure in the voxels of a case, kept by content so that nothing is measured twice."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_penumbra.domain.errors import ImageError, LabelError, PenumbraError
from napari_penumbra.imaging import atomic
from napari_penumbra.imaging.alignment import Coarse, coarse
from napari_penumbra.imaging.files import read_image, read_labels
from napari_penumbra.study.checks import Check, Figures, Scan, SeenCase
from napari_penumbra.study.checks.grids import same_grid
from napari_penumbra.study.core import Core

SAMPLE = 100_000
_KEPT = 1
"""Version of the kept files."""
Figured = dict[str, dict[str, Figures]]


def key_of(case: SeenCase, checks: Sequence[Check]) -> str:
    """Name what was measured: the content of all files of a case, and the checks with their versions."""
    what = [_KEPT, [(i.modality, i.content, i.problem) for i in case.images.values()], case.label_content]
    what += [case.grid.to_json(), [(c.code, c.version) for c in checks]]
    return hashlib.blake2b(json.dumps(what).encode(), digest_size=16).hexdigest()


def kept(core: Core, key: str) -> Figured | None:
    """Read what was measured before; None when nothing usable is there."""
    try:
        data = json.loads((core.layout.checks / f"{key}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    fits = isinstance(data, dict) and all(
        isinstance(part, dict) and all(isinstance(f, dict) for f in part.values()) for part in data.values()
    )
    return data if fits else None


def keep(core: Core, key: str, figures: Figured) -> None:
    """Write what was measured; a folder that cannot be written to costs time, not the result."""
    with contextlib.suppress(PenumbraError, OSError):
        core.layout.checks.mkdir(parents=True, exist_ok=True)
        atomic.write_text(core.layout.checks / f"{key}.json", json.dumps(figures))


def forget_others(core: Core, keys: set[str]) -> None:
    """Delete what was measured of contents that are no longer in the study."""
    with contextlib.suppress(OSError):
        for path in core.layout.checks.glob("*.json"):
            if path.stem not in keys:
                path.unlink()


def measure(core: Core, case: SeenCase, checks: Sequence[Check]) -> Figured:
    """Read a case image by image, and let every check measure it.

    At no time are the voxels of more than one image held: pairs are compared by their averaged copies.

    Returns
    -------
    dict
        Check to part to figures.
    """
    figures: Figured = {}
    small: dict[str, Coarse] = {}
    for image in case.readable:
        try:
            scan = _scan(core.layout.absolute(image.relative))
        except PenumbraError as error:
            _note(figures, "files", image.modality, {"problem": error.message, "remedy": error.remedy})
            continue
        if image.grid is not None and same_grid(image.grid, case.grid):
            small[image.modality] = scan.small
        for check in checks:
            _note(figures, check.code, image.modality, check.measure_scan(scan))
        del scan
    first = small.get(case.first)
    for modality, other in small.items():
        if first is None or modality == case.first:
            continue
        for check in checks:
            _note(figures, check.code, modality, check.measure_pair(first, other))
    if case.label is not None:
        _measure_labels(core, case, checks, first, figures)
    return figures


def _measure_labels(
    core: Core, case: SeenCase, checks: Sequence[Check], first: Coarse | None, figures: Figured
) -> None:
    assert case.label is not None  # the caller asked
    try:
        volume = read_labels(core.layout.absolute(case.label)).volume
        if volume.data.shape != case.grid.array_shape:
            raise LabelError(
                "the newest label file has another shape than its image.", "Restore a revision from the case's history."
            )
    except (ImageError, LabelError) as error:
        _note(figures, "files", "label", {"problem": error.message, "remedy": error.remedy})
        return
    labels = np.asarray(volume.data)
    for check in checks:
        _note(figures, check.code, "label", check.measure_labels(labels, first))


def _note(figures: Figured, check: str, part: str, found: Figures | None) -> None:
    if found is not None:
        figures.setdefault(check, {})[part] = _plain(found)


def _plain(figures: Figures) -> Figures:
    """Make sure that what a check gives is what JSON gives back."""
    plain: dict[str, Any] = json.loads(json.dumps(figures))
    return plain


def _scan(path: Path) -> Scan:
    found = read_image(path)
    data = np.asarray(found.volume.data, dtype=np.float32)
    step = max(1, data.size // SAMPLE)
    sample = np.ascontiguousarray(data.reshape(-1)[::step])
    return Scan(data, found.volume.grid, found.replaced, sample, coarse(data, found.volume.grid.scale))
