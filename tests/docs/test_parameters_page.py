"""The page of parameters is what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

from napari_penumbra.methods import REGISTRY, get

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_in_step_with_the_code() -> None:
    rendered = runpy.run_path(str(DOCS / "render_parameters.py"))["text"]()
    assert (DOCS / "parameters.md").read_text(encoding="utf-8") == rendered, "run: python docs/render_parameters.py"


def test_every_published_method_has_a_page_of_its_own() -> None:
    pages = {path.stem for path in (DOCS / "methods").glob("*.md")}
    assert pages == {name for name in REGISTRY if get(name).uses_unlabelled}
