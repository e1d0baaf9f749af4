"""The page about checks is written from the code, and says what the code says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "docs" / "render_checking.py"


def test_the_page_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("render_checking", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = SCRIPT.with_name("checking.md")
    assert page.read_text(encoding="utf-8") == module.text(), "run: python docs/render_checking.py"
    assert (page.parent / "images" / "checking.png").stat().st_size < 200_000
