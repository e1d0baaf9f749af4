"""The outline of the region that is being decided."""

from __future__ import annotations

from typing import Any

import numpy as np
from plugin_cases import a_region, predicted_case

from napari_penumbra.plugin.layer_bridge import LayerBridge

NAME = "p007 · region"


def test_an_outline_deleted_by_hand_comes_back_with_the_next_region(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(predicted_case())
    bridge.go_to(a_region())
    del viewer.layers[NAME]
    viewer.dims.order = (1, 0, 2)  # nothing is left to be drawn anew in another plane
    assert NAME not in viewer.layers
    bridge.go_to(a_region((6, 20, 10)))
    outline, labels = viewer.layers[NAME], viewer.layers["p007 · labels"]
    middle = np.argwhere(outline.data).mean(axis=0)
    np.testing.assert_allclose(outline.data_to_world(middle), labels.data_to_world((6.5, 21.5, 12)))


def test_going_to_a_region_leaves_the_labels_in_hand(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(predicted_case())
    bridge.go_to(a_region())
    assert viewer.layers.selection.active is viewer.layers["p007 · labels"]
    bridge.show(predicted_case("p008"))
    assert NAME not in viewer.layers


def test_a_layer_that_was_prepared_shows_nothing_and_is_the_one_that_is_used(
    viewer: Any, bridge: LayerBridge, qtbot: Any
) -> None:
    bridge.show(predicted_case())
    before = viewer.dims.point
    bridge.make_ready(a_region())
    assert NAME not in viewer.layers, "it waits until the window is idle"
    qtbot.waitUntil(lambda: NAME in viewer.layers, timeout=5000)
    prepared = viewer.layers[NAME]
    assert not prepared.data.any()
    assert viewer.dims.point == before
    assert viewer.layers.selection.active is viewer.layers["p007 · labels"]
    viewer.dims.order = (1, 0, 2)
    assert viewer.dims.nsteps[1] == predicted_case().grid.array_shape[1]  # no slices between slices
    bridge.make_ready(a_region((2, 4, 8)))
    bridge.go_to(a_region())
    assert viewer.layers[NAME] is prepared
    assert prepared.data.any()
    assert viewer.layers[-1] is prepared


def test_a_region_that_is_gone_to_at_once_does_not_wait_for_its_layer(viewer: Any, bridge: LayerBridge) -> None:
    bridge.show(predicted_case())
    bridge.make_ready(a_region())
    bridge.go_to(a_region())
    assert viewer.layers[NAME].data.any()
    bridge.finish_showing()
    assert [layer.name for layer in viewer.layers].count(NAME) == 1
    assert viewer.layers[-1].name == NAME


def test_a_prepared_layer_goes_with_its_case(viewer: Any, bridge: LayerBridge, qtbot: Any) -> None:
    bridge.show(predicted_case())
    bridge.make_ready(a_region())
    bridge.show(predicted_case("p008"))
    bridge.finish_showing()
    qtbot.wait(400)
    assert [layer.name for layer in viewer.layers if "region" in layer.name] == []
