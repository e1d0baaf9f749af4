"""A colour picture on the canvas: seen in its colours, labelled like any case, without millimetres or patient sides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from plugin_cases import a_region, open_case

from napari_penumbra.domain.case import CaseState
from napari_penumbra.domain.colour import COLOUR
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.plugin.compat import scale_bar
from napari_penumbra.plugin.layer_bridge import LayerBridge
from napari_penumbra.plugin.layers import make_layers

PICTURE = Grid.picture(56, 40)
SHAPE = PICTURE.array_shape


def colour_case(name: str = "c1", top: float = 255.0, **changes: Any) -> Any:
    rng = np.random.default_rng(0)
    images = {m: np.rint(rng.uniform(0, top, SHAPE)).astype(np.float32) for m in COLOUR}
    return open_case(name, PICTURE, images=images, labels=np.zeros(SHAPE, np.uint8), **changes)


@pytest.mark.parametrize("top", [255.0, 120.0, 4000.0])
def test_the_picture_is_one_layer_in_its_colours(make_napari_viewer: Any, top: float) -> None:
    case = colour_case(top=top)
    made = make_layers(case, LabelScheme.parse(["1=polyp"]), None, 0.5)
    assert list(made.images) == ["RGB", *COLOUR]
    picture = made.images["RGB"]
    assert picture.rgb
    assert picture.data.shape == (*SHAPE, 3)
    assert picture.data.dtype == np.uint8
    stacked = np.stack([case.images[m] for m in COLOUR], axis=-1)
    np.testing.assert_allclose(picture.data, stacked * min(1, 255 / stacked.max()), atol=0.51)
    assert [layer.visible for layer in made.images.values()] == [True, False, False, False]


def test_it_is_shown_flipped_and_painted(viewer: Any, bridge: LayerBridge, session: Any) -> None:
    predicted = np.zeros(SHAPE, np.uint8)
    predicted[0, 10:20, 10:24] = 1
    sure = np.where(predicted, 0.3, 1.0).astype(np.float32)
    bridge.show(open_case("scan"))
    bridge.finish_showing()
    assert scale_bar(viewer).visible
    bridge.show(colour_case(predicted=predicted, confidence=sure, state=CaseState.PREDICTED))
    bridge.finish_showing()
    assert [layer.name for layer in viewer.layers] == [
        *("c1 · RGB", "c1 · Red", "c1 · Green", "c1 · Blue"),
        *("c1 · confidence", "c1 · prediction", "c1 · labels"),
    ]
    assert not scale_bar(viewer).visible
    assert bridge.modality == "RGB"
    assert bridge.contrast() is None
    bridge.set_contrast(0, 10)  # harmless: colours are shown as they are
    bridge.flip_modality()
    assert bridge.modality == "Red"
    assert bridge.contrast() is not None
    assert [layer.visible for layer in list(viewer.layers)[:4]] == [False, True, False, False]
    bridge.flip_modality(-1)
    assert bridge.modality == "RGB"
    assert bridge.layers is not None
    bridge.layers.labels.brush_size = 5
    bridge.layers.labels.paint((0, 20, 20), 1)
    assert bridge.dirty()
    np.testing.assert_array_equal(session.replay("c1", SHAPE), bridge.labels())
    bridge.undo()
    assert not bridge.labels().any()
    bridge.go_to(a_region((0, 10, 10), (1, 10, 14)))
    bridge.show_confidence(True)
    bridge.show(open_case("scan"))
    assert scale_bar(viewer).visible


def test_a_case_without_one_channel_is_grey(viewer: Any, bridge: LayerBridge) -> None:
    case = colour_case()
    del case.images["Blue"]
    bridge.show(case)
    bridge.finish_showing()
    assert bridge.modality == "Red"
    assert [layer.name for layer in viewer.layers] == ["c1 · Red", "c1 · Green", "c1 · labels"]


def test_the_picture_reaches_the_screen_in_colour(shown_viewer: Any, session: Any) -> None:
    bridge = LayerBridge(shown_viewer, session)
    case = colour_case()
    for modality, value in zip(COLOUR, (200, 40, 40), strict=True):
        case.images[modality][:] = value
    bridge.show(case)
    bridge.finish_showing()
    seen = shown_viewer.screenshot(canvas_only=True, flash=False)[..., :3]
    middle = seen[seen.shape[0] // 2, seen.shape[1] // 2].astype(int)
    assert np.abs(middle - (200, 40, 40)).max() < 12
    bridge.close()
