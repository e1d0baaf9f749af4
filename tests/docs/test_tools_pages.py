"""Every tool that computes has a page with a picture, written from the tool itself."""

from __future__ import annotations

import runpy
from pathlib import Path

from napari_penumbra.imaging.edits import TOOLS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_pages_are_what_the_tools_say() -> None:
    script = runpy.run_path(str(DOCS / "render_tools.py"))
    for name, text in script["pages"]().items():
        page = DOCS / "tools" / f"{name}.md"
        assert page.read_text(encoding="utf-8") == text, "run: python docs/render_tools.py"


def test_every_tool_has_a_page_that_shows_it_and_its_key() -> None:
    script = runpy.run_path(str(DOCS / "render_tools.py"))
    for tool in TOOLS:
        page = (DOCS / "tools" / f"{script['name_of'](tool)}.md").read_text(encoding="utf-8")
        assert f"images/tools/{script['name_of'](tool)}.png)" in page, tool.title
        assert f"`{tool.shortcut}`" in page, tool.title
