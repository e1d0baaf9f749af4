"""Slices of a case with the contours of its labels, as SVG with the picture inside: for pages that are passed on."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.grid import AnyArray, Grid
from napari_penumbra.domain.labels import UNKNOWN, UNKNOWN_COLOR, LabelArray, LabelClass
from napari_penumbra.domain.windows import windows

HEIGHT = 260
"""Longest edge of a picture in pixels."""
COUNT = 3
_FINE = 0.35
"""How far a drawn contour may lie off the true one, in pixels of the page."""

Bytes = npt.NDArray[np.uint8]


def telling_slices(labels: LabelArray, count: int = COUNT) -> list[int]:
    """Choose slices (indices along z) that show the labels: the fullest, and the quarters of their extent.

    Parameters
    ----------
    labels
        (z, y, x). Without foreground, slices are spread evenly.
    """
    depth = labels.shape[0]
    area = ((labels > 0) & (labels != UNKNOWN)).sum(axis=(1, 2))
    used = np.flatnonzero(area)
    if not used.size:
        return sorted({round((n + 1) * (depth - 1) / (count + 1)) for n in range(count)})
    wanted = [int(area.argmax())]
    spread = [used[0] + share * (used[-1] - used[0]) for share in (0.25, 0.75, 0.0, 1.0, 0.5)]
    rest = [int(used[np.abs(used - place).argmin()]) for place in spread]
    # A lesion of one or two slices: its neighbours show where it ends.
    rest += [z for step in range(1, depth) for z in (wanted[0] - step, wanted[0] + step) if 0 <= z < depth]
    for z in rest:
        if z not in wanted and len(wanted) < count:
            wanted.append(z)
    return sorted(wanted)


def grey_bytes(volume: npt.NDArray[np.float32], modality: str) -> Bytes:
    """Scale intensities to 8 bits by the first window that clinicians use for a modality."""
    window = windows(modality, float(volume.max()))[0]
    low, high = window.low, window.high
    if window.percent:
        inside = volume[volume > volume.min()]
        low, high = np.percentile(inside if inside.size else volume, (window.low, window.high))
    span = float(high - low) or 1.0
    return np.asarray(np.clip((volume - low) / span, 0, 1) * 255, dtype=np.uint8)


def slice_svg(plane: Bytes, labels: LabelArray, grid: Grid, classes: Sequence[LabelClass], caption: str) -> str:
    """Draw one axial slice as a figure of HTML.

    Parameters
    ----------
    plane
        (y, x) grey or (y, x, 3) colour, 8 bits, in the study's canonical orientation: x grows to the patient's left.
    labels
        (y, x).
    grid
        Of the case, for the shape of a voxel; pictures get no letters for left and right.
    classes
        Whose contours to draw, in which colour; unknown voxels are dashed in grey.
    """
    _, dy, dx = grid.scale
    rows, columns = labels.shape
    scale = HEIGHT / max(rows * dy, columns * dx)
    width, height = max(1, round(columns * dx * scale)), max(1, round(rows * dy * scale))
    parts = [
        f'<figure><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{escape(caption)}">',
        f'<image href="data:image/png;base64,{_png(plane, (width, height))}" width="{width}" height="{height}"/>',
    ]
    unknown = LabelClass(UNKNOWN, "unknown", UNKNOWN_COLOR)
    for c in (unknown, *classes):
        path = _outline(labels == c.value, width / columns, height / rows)
        if path:
            dash = ' stroke-dasharray="3 3"' if c.value == UNKNOWN else ""
            # Dark below the colour: told apart from bright and dark tissue alike.
            parts.append(f'<path d="{path}" fill="none" stroke="#000" stroke-opacity="0.55" stroke-width="3"/>')
            parts.append(f'<path d="{path}" fill="none" stroke="{c.color}" stroke-width="1.5"{dash}/>')
    if not grid.is_picture:
        parts += [_letter("R", 5, height / 2, "start"), _letter("L", width - 5, height / 2, "end")]
    parts.append(f"</svg><figcaption>{escape(caption)}</figcaption></figure>")
    return "".join(parts)


def _letter(letter: str, x: float, y: float, anchor: str) -> str:
    """White over a dark rim, as two texts: not every program knows in which order one would be painted."""
    text = (
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-family="Helvetica,Arial,sans-serif" font-size="15" '
        f'font-weight="bold" '
    )
    rim = f'{text}fill="none" stroke="#000" stroke-width="3" aria-hidden="true">{letter}</text>'
    return f'{rim}{text}fill="#fff">{letter}</text>'


def _png(plane: AnyArray, size: tuple[int, int]) -> str:
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(plane)).resize(size, Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _outline(mask: npt.NDArray[np.bool_], across: float, down: float) -> str:
    """SVG path around a mask's pixels; voxel (row, column) covers its own square of the picture."""
    if not mask.any():
        return ""
    from skimage.measure import approximate_polygon, find_contours

    parts = []
    for contour in find_contours(np.pad(mask, 1).astype(np.float32), 0.5):
        points = (contour - 0.5) * (down, across)  # one voxel of padding off, half a voxel to the square's corner
        points = approximate_polygon(points, _FINE)
        parts.append("M" + "L".join(f"{x:.1f} {y:.1f}" for y, x in points) + "Z")
    return "".join(parts)
