"""Every picture of a page about the window has a recipe, so that one command makes them all anew."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def test_every_picture_that_a_page_shows_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS)
    made = set(importlib.import_module("render_pictures").recipes())
    lying = {str(file.relative_to(DOCS / "images").with_suffix("")) for file in (DOCS / "images").rglob("*.png")}
    pages = (DOCS.parent / "README.md", *DOCS.rglob("*.md"))
    shown = {name for page in pages for name in re.findall(r"\(\S*images/([\w/-]+)\.png\)", page.read_text())}
    assert made == lying == shown
