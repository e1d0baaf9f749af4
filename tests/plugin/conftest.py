"""A real napari window for every test of this folder that asks for one."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from plugin_cases import SessionStub

from napari_penumbra.plugin.layer_bridge import LayerBridge


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "make_napari_viewer" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.gui)


@pytest.fixture
def session() -> SessionStub:
    return SessionStub()


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    """A viewer that is not shown: enough for layers, five times faster."""
    return make_napari_viewer()


@pytest.fixture
def shown_viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    """A viewer on the screen, for what must be drawn."""
    made = make_napari_viewer(show=True)
    made.window.resize(1366, 768)
    return made


@pytest.fixture
def bridge(viewer: Any, session: SessionStub) -> Iterator[LayerBridge]:
    made = LayerBridge(viewer, session)  # type: ignore[arg-type]
    yield made
    made.close()
    gc.collect()
