"""One image layer per modality, one of them in front."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_penumbra.domain.windows import USUAL, Window, has_unit, windows
from napari_penumbra.plugin.brush import Limit
from napari_penumbra.plugin.layers import value_range, window_edges
from napari_penumbra.widgets.canvas import Range


class Modalities:
    """Which modality is seen; the choice is kept from case to case.

    Parameters
    ----------
    on_front
        Called with the name when another modality comes to the front, by key, strip or napari's layer list.
    on_contrast
        Called with the window's edges when those of the modality in front change, by whatever means.
    """

    def __init__(self, on_front: Callable[[str], None], on_contrast: Callable[[float, float], None]) -> None:
        self._on_front = on_front
        self._on_contrast = on_contrast
        self._windows: dict[str, Window] = {}
        self._by_hand: set[str] = set()
        self._images: dict[str, Any] = {}
        self._ranges: dict[str, tuple[float, float]] = {}
        self.wanted: str | None = None

    @property
    def front(self) -> str | None:
        """The modality in front, or None when no image is shown."""
        return self.wanted if self.wanted in self._images else None

    @property
    def front_layer(self) -> Any:
        """Image layer of the modality in front, or None."""
        return None if self.front is None else self._images[self.front]

    def attach(self, images: dict[str, Any]) -> None:
        """Take up the image layers of a new case, of which one is visible."""
        self.detach()
        self._images = dict(images)
        self._by_hand = set()
        for modality, layer in self._images.items():
            if layer.visible:
                self._set_front(modality)
            layer.events.visible.connect(self._on_visible)
            if not layer.rgb:
                if modality in self._windows:
                    layer.contrast_limits = window_edges(layer.data, self._windows[modality])
                layer.events.contrast_limits.connect(self._on_limits)

    def detach(self) -> None:
        """Let the layers go."""
        for layer in self._images.values():
            layer.events.visible.disconnect(self._on_visible)
            if not layer.rgb:
                layer.events.contrast_limits.disconnect(self._on_limits)
        self._images = {}
        self._ranges = {}

    def show(self, name: str) -> None:
        """Bring a modality to the front: the others are hidden."""
        if name not in self._images:
            return
        for modality, layer in self._images.items():
            with layer.events.visible.blocker(self._on_visible):
                layer.visible = modality == name
        self._set_front(name)

    def flip(self, step: int) -> None:
        """Bring the one ``step`` further on to the front."""
        names = list(self._images)
        if names:
            now = names.index(self.front) if self.front in names else -step
            self.show(names[(now + step) % len(names)])

    def forget(self, layer: Any) -> None:
        """An image was removed by hand: show another if it was the one in front."""
        for modality, image in list(self._images.items()):
            if image is layer:
                image.events.visible.disconnect(self._on_visible)
                if not image.rgb:
                    image.events.contrast_limits.disconnect(self._on_limits)
                del self._images[modality]
                if modality == self.wanted and self._images:
                    self.show(next(iter(self._images)))

    def contrast(self) -> tuple[float, float, float, float] | None:
        """Lowest and highest intensity and the window edges of the modality in front; None of a colour picture."""
        if self.front is None:
            return None
        layer = self._images[self.front]
        if layer.rgb:
            return None  # napari shows colours as they are
        low, high = (float(v) for v in layer.contrast_limits)
        return (*self._range(self.front), low, high)

    def intensities(self, name: str) -> tuple[float, float] | None:
        """Lowest and highest intensity of a modality; None of a colour picture."""
        layer = self._images.get(name)
        return None if layer is None or layer.rgb else self._range(name)

    def limit(self, wanted: Range | None) -> Limit | None:
        """Turn a range of a modality into a limit for the brush; None without that modality."""
        if wanted is None or self.intensities(wanted.modality) is None:
            return None
        image = self._images[wanted.modality].data
        return Limit(image, wanted.low, wanted.high, wanted.paint, wanted.erase)

    def _range(self, name: str) -> tuple[float, float]:
        """Read it once: 30 million voxels take 30 ms."""
        if name not in self._ranges:
            self._ranges[name] = value_range(self._images[name].data)
        return self._ranges[name]

    def set_contrast(self, low: float, high: float) -> None:
        """Set the window edges of the modality in front; an empty window is ignored."""
        if self.front is not None and low < high and not self._images[self.front].rgb:
            self._images[self.front].contrast_limits = (low, high)

    def windows(self) -> tuple[str, ...]:
        """Names of the windows offered for the modality in front; none for a colour picture."""
        return tuple(window.name for window in self._offered())

    def window(self) -> str:
        """Name of the window in use; empty when it was set by hand."""
        if self.front is None or self.front in self._by_hand:
            return ""
        name = self._windows.get(self.front, USUAL).name
        return name if name in self.windows() else ""

    def set_window(self, name: str) -> None:
        """Look at the modality in front through a named window; other cases open with it, too."""
        for window in self._offered():
            if window.name == name and self.front is not None:
                layer = self._images[self.front]
                edges = window_edges(layer.data, window)
                with layer.events.contrast_limits.blocker(self._on_limits):
                    layer.contrast_limits = edges
                self._windows[self.front] = window
                self._by_hand.discard(self.front)
                self._on_contrast(*edges)

    def _offered(self) -> tuple[Window, ...]:
        ends = None if self.front is None else self.intensities(self.front)
        return () if ends is None or self.front is None else windows(self.front, ends[1])

    def _on_limits(self, event: Any) -> None:
        """A window was changed by the strip, the mouse or napari: remember it where intensities have a unit."""
        for modality, layer in self._images.items():
            if layer is not event.source:
                continue
            low, high = (float(v) for v in layer.contrast_limits)
            self._windows.pop(modality, None)
            self._by_hand.add(modality)
            if has_unit(modality):
                self._windows[modality] = Window("yours", low, high)
            if modality == self.front:
                self._on_contrast(low, high)

    def _set_front(self, name: str) -> None:
        if name != self.wanted:
            self.wanted = name
            self._on_front(name)

    def _on_visible(self, event: Any) -> None:
        """An image was switched on in napari's layer list: it is the one in front now."""
        for modality, layer in self._images.items():
            if layer is event.source and layer.visible:
                self._set_front(modality)
