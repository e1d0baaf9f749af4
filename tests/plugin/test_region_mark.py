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
