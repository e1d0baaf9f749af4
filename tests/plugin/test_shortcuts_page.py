"""The page of keys is what the window says, and nothing of it clashes there."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from napari_penumbra.plugin.main_widget import PenumbraWidget

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_keys_is_in_step_with_the_window(viewer: Any) -> None:
    _, widget = viewer.window.add_plugin_dock_widget("napari-penumbra", "Penumbra")
    assert isinstance(widget, PenumbraWidget)
    shortcuts = widget.dock.shortcuts
    assert shortcuts.clashes() == []
    rendered = runpy.run_path(str(DOCS / "render_shortcuts.py"))["text"](shortcuts.actions())
    widget.shut()
    page = (DOCS / "tools" / "shortcuts.md").read_text(encoding="utf-8")
    assert page == rendered, "run: xvfb-run -a python docs/render_shortcuts.py"
