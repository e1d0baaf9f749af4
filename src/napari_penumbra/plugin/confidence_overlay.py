"""How a confidence map is drawn: one hue, dense where the model is least sure, nothing above the threshold."""

from __future__ import annotations

from typing import Any

# A magenta that no class of the palette has; its opacity alone carries the meaning, so it also reads in grey.
HUE = (0.92, 0.12, 0.85)
DENSEST = 0.85
FAINTEST = 0.30
LOWEST_THRESHOLD = 0.01


def confidence_colormap() -> Any:
    """Colour map from dense (confidence 0) to faint (just below the threshold) to nothing (at and above it)."""
    from napari.utils.colormaps import Colormap

    return Colormap(
        [(*HUE, DENSEST), (*HUE, FAINTEST), (*HUE, 0.0)],
        controls=[0.0, 0.995, 1.0],
        name="low confidence",
    )


def threshold_limits(value: float) -> tuple[float, float]:
    """Contrast limits that end the colour map at ``value`` (0 to 1); all above is transparent."""
    return 0.0, min(max(float(value), LOWEST_THRESHOLD), 1.0)
