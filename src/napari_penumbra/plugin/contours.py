"""Draws two annotations over the picture as contours that are told apart without telling their colours apart.

The first is a solid line, the second a striped one; where the two run together, the stripes alternate between both
colours. Yellow and blue differ for every common form of colour blindness, and in lightness for those who see none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import UNKNOWN, LabelArray
from napari_penumbra.evaluation.agreement import Slices, foreground_box
from napari_penumbra.plugin.drawn import Drawn
from napari_penumbra.plugin.geometry import placement_of_part
from napari_penumbra.plugin.outline import plane_of
from napari_penumbra.plugin.own_layers import OwnLayers
from napari_penumbra.widgets.canvas import FIRST_COLOR, SECOND_COLOR

GAP_COLOR = "#000000"
"""Between the stripes of the second contour, where the first is not."""
LINE, STRIPE, GAP = 1, 1, 2
"""Values in the layers."""
STRIPE_PX = 9.0
FAINT = 0.15
"""Opacity of the painted areas while there are contours: enough to see what is being painted."""

Lines = npt.NDArray[np.uint8]
Style = tuple[tuple[int, ...], int, int]
"""Axes of the plane that is seen (none in 3D), pieces of a voxel's edge, and length of a stripe in such pieces."""


def lines_of(
    first: LabelArray, second: LabelArray, plane: tuple[int, ...], parts: int, stripe: int
) -> tuple[Lines, Lines]:
    """Turn two annotations into lines.

    Parameters
    ----------
    first, second
        (z, y, x) of one shape.
    plane
        The two axes that are seen: lines are the edges within it.
    parts
        Pieces that a voxel's edge is divided into along the plane.
    stripe
        Length of a stripe in such pieces.

    Returns
    -------
    tuple
        Lines of the first (`LINE`) and of the second (`STRIPE` and `GAP`), each divided along the plane.
    """
    a, b = (_edges(_divided(labels, plane, parts), plane) for labels in (first, second))
    place = np.indices([a.shape[axis] for axis in plane], sparse=True)
    stripes = sum(index // stripe for index in place) % 2 == 0
    stripes = np.expand_dims(stripes, axis=next(axis for axis in range(3) if axis not in plane))
    lines = np.where(b & stripes, STRIPE, np.where(b & ~a, GAP, 0)).astype(np.uint8)
    return a.astype(np.uint8), lines


def _divided(labels: LabelArray, plane: Sequence[int], parts: int) -> LabelArray:
    divided = np.where(labels == UNKNOWN, 0, labels).astype(np.uint8)
    for axis in plane:
        divided = np.repeat(divided, parts, axis=axis)
    return divided


def _edges(labels: LabelArray, plane: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Labelled pieces with another label beside them in the plane; the array's edge counts as nothing."""
    edges = np.zeros(labels.shape, dtype=bool)
    for axis in plane:
        ahead = np.moveaxis(edges, axis, 0)
        values = np.moveaxis(labels, axis, 0)
        differs = values[1:] != values[:-1]
        ahead[1:] |= differs
        ahead[:-1] |= differs
        ahead[0] = ahead[-1] = True
    return edges & (labels > 0)


class Contours(Drawn):
    """The two contour layers, while there are any."""

    def __init__(self, viewer: Any, own: OwnLayers) -> None:
        super().__init__(viewer, own)
        self._pair: tuple[LabelArray, LabelArray] | None = None
        self._grid: Grid | None = None
        self._box: Slices | None = None
        self._drawn: Style | None = None
        self._dimmed: tuple[Any, float, Any, bool] | None = None

    def show(self, case: str, grid: Grid, first: LabelArray, second: LabelArray, names: tuple[str, str]) -> None:
        """Draw two annotations, in place of those that are drawn."""
        box = foreground_box(first, second)
        self._grid, self._box = grid, box
        self._pair = (first[box].copy(), second[box].copy())  # labels on the screen go on changing
        titles = [f"{case} · {sign} {name}" for sign, name in zip(("—", "┅"), names, strict=True)]
        data = self._data()
        if not self._layers:
            # In their place from the beginning: beside the scan they would make napari's slider longer, and move it.
            place = self._placement()
            self._add(_layer(FIRST_COLOR, data[0], place), _layer(SECOND_COLOR, data[1], place))
        for layer, title in zip(self._layers, titles, strict=True):
            layer.name = title
        self._place(data)

    def dim(self, labels: Any, prediction: Any) -> None:
        """Let areas and other lines step back while there are contours; `hide` brings them back."""
        if self._dimmed is None:
            self._dimmed = (labels, labels.opacity, prediction, prediction is not None and prediction.visible)
            labels.opacity = min(labels.opacity, FAINT)
            if prediction is not None:
                prediction.visible = False

    def _brighten(self) -> None:
        if self._dimmed is None:
            return
        labels, opacity, prediction, visible = self._dimmed
        self._dimmed = None
        if labels.opacity == FAINT:  # or the reader has set it since
            labels.opacity = opacity
        if prediction is not None and visible:
            prediction.visible = True

    def hide(self) -> None:
        """Take the contours out of the picture, and let what stepped back come forward."""
        self._brighten()
        super().hide()

    def forget(self) -> None:
        """Let go of the layers and of what they show."""
        super().forget()
        self._pair = self._drawn = self._dimmed = None

    def redraw(self) -> None:
        """Draw anew for another plane or zoom, if it makes a difference."""
        if self._layers and self._drawn != self._wanted():
            self._place(self._data())

    # ---------------------------------------------------------------- how

    def _wanted(self) -> Style:
        """Choose a style that suits what is seen now."""
        plane = plane_of(self._viewer)
        if len(plane) != 2 or self._pair is None or self._grid is None:
            return (), 1, 1
        parts, pixels = self._fineness(self._grid, plane, self._pair[0].size)
        # Powers of two: turning the wheel a little draws nothing anew.
        return plane, parts, 2 ** max(0, round(float(np.log2(STRIPE_PX * parts / pixels))))

    def _data(self) -> tuple[Lines, Lines]:
        plane, parts, stripe = self._drawn = self._wanted()
        if self._pair is None or len(plane) != 2:  # in 3D there is no plane to draw lines in
            nothing = np.zeros((1, 1, 1), dtype=np.uint8)
            return nothing, nothing
        return lines_of(*self._pair, plane, parts, stripe)

    def _placement(self) -> dict[str, Any]:
        """Layer arguments that put what was drawn last over the scan."""
        if self._grid is None or self._box is None or self._drawn is None:
            return {}
        plane, parts, _ = self._drawn
        return placement_of_part(self._grid, [box.start for box in self._box], plane, parts)

    def _place(self, data: tuple[Lines, Lines]) -> None:
        place = self._placement()
        if not place:
            return
        for layer, lines in zip(self._layers, data, strict=True):
            layer.data = lines
            if tuple(layer.scale) != place["scale"]:
                layer.scale = place["scale"]
            if tuple(layer.translate) != place["translate"]:
                layer.translate = place["translate"]


def _layer(color: str, data: Lines, place: dict[str, Any]) -> Any:
    from napari.layers import Labels
    from napari.utils.colormaps import DirectLabelColormap

    colors = DirectLabelColormap(color_dict={LINE: color, GAP: GAP_COLOR, 0: "transparent", None: "transparent"})
    layer = Labels(data, opacity=1.0, colormap=colors, **place)
    layer.editable = False
    return layer
