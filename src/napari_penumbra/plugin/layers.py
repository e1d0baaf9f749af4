"""Makes the napari layers of one case: names, colours, contrast, place. Layers are made here and added elsewhere."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.case import CaseState, ImageArray, OpenCase
from napari_penumbra.domain.colour import COLOUR, PICTURE, has_colour
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, UNKNOWN_COLOR, LabelScheme
from napari_penumbra.domain.windows import USUAL, WHOLE, Window
from napari_penumbra.plugin.confidence_overlay import confidence_colormap, threshold_limits
from napari_penumbra.plugin.geometry import placement
from napari_penumbra.study.thumbnails import colour_bytes

METADATA_KEY = "penumbra"
LABELS_OPACITY = 0.55
PREDICTION_OPACITY = 0.8

_SAMPLE = 200_000


@dataclass(slots=True)
class CaseLayers:
    """The layers of one case. ``prediction`` and ``confidence`` are None where the case has none."""

    images: dict[str, Any]
    labels: Any
    prediction: Any = None
    confidence: Any = None
    extra: list[Any] = field(default_factory=list)

    def all(self) -> list[Any]:
        """From the bottom of the picture to its top."""
        return [x for x in (*self.images.values(), self.confidence, self.prediction, self.labels, *self.extra) if x]


def make_layers(case: OpenCase, scheme: LabelScheme, front: str | None, threshold: float) -> CaseLayers:
    """Build all layers of a case.

    Parameters
    ----------
    case
        The opened case; its ``labels`` array is taken over, not copied.
    scheme
        Names and colours of the classes.
    front
        The modality to be seen; the first if None or missing in this case.
    threshold
        Confidence below which the overlay marks a voxel.
    """
    from napari.layers import Image, Labels

    place = placement(case.grid)
    note = {METADATA_KEY: {"case": case.name, "grid": case.grid.to_json()}}
    coloured = has_colour(tuple(case.images))
    names = (PICTURE, *case.images) if coloured else tuple(case.images)
    shown = front if front in names else next(iter(names), None)
    images = {PICTURE: _picture_layer(case, shown == PICTURE, note)} if coloured else {}
    images |= {
        modality: Image(
            data,
            name=f"{case.name} · {modality}",
            visible=modality == shown,
            colormap="gray",
            metadata=note,
            **intensity_window(data),
            **place,
        )
        for modality, data in case.images.items()
    }
    colors = {"colormap": label_colormap(scheme), "features": label_names(scheme), "metadata": note, **place}
    labels = Labels(case.labels, name=f"{case.name} · labels", opacity=LABELS_OPACITY, **colors)
    made = CaseLayers(images, labels)
    if case.predicted is not None:
        made.prediction = Labels(case.predicted, name=f"{case.name} · prediction", opacity=PREDICTION_OPACITY, **colors)
        as_outline(made.prediction)
    if case.confidence is not None:
        made.confidence = _confidence_layer(case.name, case.confidence, case.grid, threshold, note)
    return made


def _picture_layer(case: OpenCase, visible: bool, note: dict[str, Any]) -> Any:
    """Red, green and blue as the eye knows them; the single channels stay beside it, in grey."""
    from napari.layers import Image

    pixels = colour_bytes(np.stack([case.images[name] for name in COLOUR], axis=-1))
    name = f"{case.name} · {PICTURE}"
    return Image(pixels, rgb=True, name=name, visible=visible, metadata=note, **placement(case.grid))


def _confidence_layer(
    name: str, confidence: npt.NDArray[np.float32], grid: Grid, threshold: float, note: dict[str, Any]
) -> Any:
    from napari.layers import Image

    return Image(
        confidence,
        name=f"{name} · confidence",
        visible=False,
        colormap=confidence_colormap(),
        contrast_limits=threshold_limits(threshold),
        blending="translucent",
        interpolation2d="nearest",
        metadata=note,
        **placement(grid),
    )


def as_outline(layer: Any) -> None:
    """Draw a labels layer as outlines that cannot be painted on; in 3D, where napari has no outlines, as areas."""
    # napari says so at every redraw of every such layer; the reader has asked for nothing that this would answer.
    warnings.filterwarnings("ignore", "Contours are not displayed during 3D rendering", UserWarning)
    layer.contour = 1
    layer.editable = False


def label_colormap(scheme: LabelScheme) -> Any:
    """Colours by value: the scheme's own, unknown grey, background and everything else transparent."""
    from napari.utils.colormaps import DirectLabelColormap

    colors: dict[int | None, str] = {c.value: c.color for c in scheme.classes}
    colors |= {UNKNOWN: UNKNOWN_COLOR, BACKGROUND: "transparent", None: "transparent"}
    return DirectLabelColormap(color_dict=colors)


def label_names(scheme: LabelScheme) -> dict[str, list[Any]]:
    """Features table of napari: the status bar names the class under the cursor."""
    names = {BACKGROUND: "background", **{c.value: c.name for c in scheme.classes}, UNKNOWN: "unknown"}
    return {"index": list(names), "class": list(names.values())}


def intensity_window(data: ImageArray) -> dict[str, tuple[float, float]]:
    """Robust ``contrast_limits`` of an image, ready to be layer arguments."""
    return {"contrast_limits": window_edges(data, USUAL)}


def window_edges(data: ImageArray, window: Window) -> tuple[float, float]:
    """Intensities at which a window begins and ends in an image.

    Percentiles are those of a sample of its voxels without the empty surroundings; 0 and 100 are its very ends.
    """
    if not window.percent:
        return window.low, window.high
    low, high = value_range(data)
    if low == high:
        return low, low + 1.0
    step = max(1, data.size // _SAMPLE)
    sample = data.ravel()[::step]
    # The most frequent value of a masked scan is its padding, nearly always its lowest.
    inside = sample[sample > low]
    if inside.size < 100 or window == WHOLE:
        return low, high
    a, b = (float(v) for v in np.percentile(inside, (window.low, window.high)))
    return (a, b) if a < b else (low, high)


def value_range(data: ImageArray) -> tuple[float, float]:
    """Lowest and highest intensity."""
    return float(data.min()), float(data.max())


def first_slice(case: OpenCase) -> int:
    """Index (z) where there is most to see: most labelled voxels, else most predicted ones, else the middle."""
    for array in (case.labels, case.predicted):
        if array is None:
            continue
        per_slice = np.count_nonzero((array != BACKGROUND) & (array != UNKNOWN), axis=(1, 2))
        if per_slice.max() > 0:
            return int(per_slice.argmax())
    return int(case.grid.array_shape[0] // 2)


def decided_slices(case: OpenCase) -> set[int]:
    """Slices that an earlier sitting has already decided about, as far as the voxels tell.

    Of a draft: where something was painted. Of a closed case: all that were not left unknown. A prediction that
    nobody has looked at decides nothing.
    """
    labels = case.labels
    if case.state is CaseState.IN_PROGRESS:
        decided = ((labels != BACKGROUND) & (labels != UNKNOWN)).any(axis=(1, 2))
    elif case.state.labelled:
        decided = (labels != UNKNOWN).any(axis=(1, 2))
    else:
        return set()
    return {int(z) for z in np.flatnonzero(decided)}
