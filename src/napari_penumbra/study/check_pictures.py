"""The picture of a finding: one slice, chosen where there is most to see, of the case as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from sqlalchemy import select

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN
from napari_penumbra.imaging.alignment import Coarse, Mask, foreground
from napari_penumbra.imaging.files import read_image, read_labels
from napari_penumbra.imaging.panels import FIRST, SECOND, Panel, chequer, grey, outlined, png
from napari_penumbra.study.checks import Finding, Picture
from napari_penumbra.study.core import Core, case_of
from napari_penumbra.study.fixing import Prepared
from napari_penumbra.study.revisions import live_of
from napari_penumbra.study.schema import ImageTable

Array = npt.NDArray[np.float32]


def picture_of(core: Core, finding: Finding) -> bytes | None:
    """Draw what a finding is about; None where there is nothing to draw or a file cannot be read."""
    if finding.picture is Picture.NONE:
        return None
    try:
        case = _Case(core, finding.case)
        match finding.picture:
            case Picture.PAIR:
                return _pair(case, finding.other or case.first, finding.modality)
            case Picture.BESIDE:
                return _beside(core, case, finding)
            case Picture.LABELS:
                return _labels(case)
            case _:
                names = [finding.modality, *([finding.other] if finding.other else [])]
                return png([_plain(case, name) for name in names])
    except (PenumbraError, ValueError, OSError):
        return None  # the finding's sentence stands by itself


def before_and_after(core: Core, prepared: Prepared) -> bytes | None:
    """Draw a modality against the first one as it is and as it would be."""
    try:
        case = _Case(core, prepared.case)
        modality = prepared.offer.modality
        first, before = case.read(case.first), case.read(modality)
        after = _read(core, prepared.after.images[modality][0])
        cut = _Cut(case.grid, first, before, after)
        panels = [
            Panel(chequer(cut(first), cut(moved)), cut.scale, f"{words}: {case.first} | {modality}")
            for words, moved in (("before", before), ("after", after))
        ]
        return png(panels)
    except (PenumbraError, ValueError, OSError):
        return None


class _Case:
    """Paths and grid of a case."""

    def __init__(self, core: Core, name: str) -> None:
        self.core, self.name = core, name
        with core.db.read() as session:
            row = case_of(session, name)
            self.grid = Grid.from_json(row.grid)
            rows = {r.modality: r.path for r in session.scalars(select(ImageTable).where(ImageTable.case_id == row.id))}
            live = live_of(session, row.id)
            self.label = None if live is None else live.path
        self.images = {m: rows[m] for m in core.manifest.modalities if m in rows}
        self.first = next(iter(self.images), "")

    def read(self, modality: str) -> Array:
        if modality not in self.images:
            raise ValueError(f"no {modality}")
        data = _read(self.core, self.images[modality])
        if data.shape != self.grid.array_shape:
            raise ValueError("another grid")
        return data


def _read(core: Core, relative: str | Path) -> Array:
    return np.asarray(read_image(core.layout.absolute(relative)).volume.data, dtype=np.float32)


class _Cut:
    """One plane through volumes of a grid: axial, or coronal where the scans differ most from slice to slice."""

    def __init__(self, grid: Grid, *volumes: Array) -> None:
        first = volumes[0]
        scale = grid.scale
        self.axis = 0
        if min(first.shape) >= 8 and len(volumes) > 1:
            masks = [_mask(volume, grid) for volume in volumes[:2]]
            middles = [np.array([float(n.mean()) for n in np.nonzero(mask)]) * scale for mask in masks if mask.any()]
            if len(middles) == 2:
                apart = np.abs(middles[0] - middles[1])
                self.axis = 1 if apart[0] > 1.5 * max(apart[1], apart[2], 1.0) else 0
        mask = _mask(first, grid)
        area = mask.sum(axis=tuple(n for n in range(3) if n != self.axis))
        self.at = int(area.argmax()) if area.any() else first.shape[self.axis] // 2
        rest = [s for n, s in enumerate(scale) if n != self.axis]
        self.scale = (rest[0], rest[1])

    def __call__(self, volume: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        plane = np.take(volume, self.at, axis=self.axis).astype(np.float32)
        return plane[::-1] if self.axis else plane  # the head is up


def _mask(volume: Array, grid: Grid) -> Mask:
    """Foreground in full size."""
    if min(volume.shape) < 2 or not np.ptp(volume):
        return np.ones(volume.shape, dtype=bool)
    return foreground(Coarse(volume, grid.scale))


def _pair(case: _Case, first: str, other: str) -> bytes:
    a, b = case.read(first), case.read(other)
    cut = _Cut(case.grid, a, b)
    outlines = grey(cut(a))
    for volume, colour in ((a, FIRST), (b, SECOND)):
        outlines = outlined(outlines, cut(_mask(volume, case.grid)) > 0.5, colour)
    return png(
        [
            Panel(outlines, cut.scale, f"{first} (blue), {other} (orange)"),
            Panel(chequer(cut(a), cut(b)), cut.scale, f"{first} | {other}"),
        ]
    )


def _plain(case: _Case, modality: str) -> Panel:
    data = case.read(modality)
    cut = _Cut(case.grid, data)
    return Panel(grey(cut(data)), cut.scale, modality)


def _beside(core: Core, case: _Case, finding: Finding) -> bytes:
    panels = [_plain(case, finding.modality)]
    if finding.beside:
        other = _Case(core, finding.beside)
        there = finding.modality if finding.modality in other.images else other.first
        panels.append(_plain(other, there))
        panels = [
            Panel(panel.pixels, panel.scale, f"{panel.caption} of {name}")
            for panel, name in zip(panels, (case.name, other.name), strict=True)
        ]
    return png(panels)


def _labels(case: _Case) -> bytes:
    data = case.read(case.first)
    if case.label is None:
        return png([_plain(case, case.first)])
    labels = np.asarray(read_labels(case.core.layout.absolute(case.label)).volume.data)
    painted = (labels != BACKGROUND) & (labels != UNKNOWN)
    cut = _Cut(case.grid, data)
    if painted.shape == data.shape and painted.any():
        cut.at = int(painted.sum(axis=(1, 2)).argmax())
    pixels = grey(cut(data))
    if painted.shape == data.shape:
        pixels = outlined(pixels, cut(painted) > 0.5, SECOND)
    return png([Panel(pixels, cut.scale, f"{case.first}, labels (orange)")])
