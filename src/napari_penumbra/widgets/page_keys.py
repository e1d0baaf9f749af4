"""The keys that belong to no button, or to several: what the dock binds besides what its buttons bring along."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_penumbra.widgets.canvas import PLANES, TOOLS
from napari_penumbra.widgets.shortcuts import bind
from napari_penumbra.widgets.tool_box import KEYS, WORDS

if TYPE_CHECKING:
    from napari_penumbra.widgets.dock import Dock

FAST = 5
"""Slices that the page keys skip."""


def bind_page_keys(dock: Dock) -> None:
    """Bind them; every button with keys of its own is found by `Shortcuts`."""
    annotate, study = dock.annotate_page, dock.study_page
    bind(dock, "?", dock.help.click, name="key_sheet", text="Show all keys")
    bind(dock, "F1", dock.help.click, name="key_sheet_too", text="Show all keys (another key)")
    forward = (annotate.next, study.next)
    bind(dock, "Ctrl+Right", lambda: dock.step_case(1), shown_on=forward, name="next_case", text="Next case")
    back = (annotate.previous,)
    bind(dock, "Ctrl+Left", lambda: dock.step_case(-1), shown_on=back, name="previous_case", text="Previous case")
    _bind_classes(dock)
    _bind_tools(dock)
    _bind_views(dock)


def _bind_classes(dock: Dock) -> None:
    press = dock.annotate_page.classes.press_key
    for page in (dock.annotate_page, dock.review_page):
        for n in range(1, 10):
            bind(page, str(n), partial(press, n), name=f"class_{n}", text=f"Pick class {n}")
        bind(page, "0", partial(press, 0), name="class_0", text="Pick “unknown”")


def _bind_tools(dock: Dock) -> None:
    canvas, tools, shown = dock.canvas, dock.annotate_page.tools, dock.annotate_page
    review_undo, review_redo = (dock.review_page.buttons[f"{name}_decision"] for name in ("undo", "redo"))
    for page in (dock.annotate_page, dock.review_page):
        mine = page is shown
        for tool in TOOLS:
            buttons = (tools.buttons[tool],) if mine else ()
            pick = partial(tools.press_tool, tool)
            bind(page, KEYS[tool], pick, shown_on=buttons, name=f"tool_{tool}", text=WORDS[tool][0])
        bind(page, "[", partial(tools.resize_brush, -1), name="brush_smaller", text="Smaller brush", repeat=True)
        bind(page, "]", partial(tools.resize_brush, 1), name="brush_larger", text="Larger brush", repeat=True)
        bind(page, "Shift+B", tools.flip_shape, name="brush_shape", text="Brush: disc or ball")
        # On the Review page what came last may be a verdict.
        undo, press = (tools.undo, canvas.undo) if mine else (review_undo, dock.review_page.undo)
        bind(page, "Ctrl+Z", press, shown_on=(undo,), name="undo", text="Undo the last stroke or verdict")
        redo, press = (tools.redo, canvas.redo) if mine else (review_redo, dock.review_page.redo)
        bind(page, "Ctrl+Shift+Z", press, shown_on=(redo,), name="redo", text="Redo the stroke or verdict")
        bind(page, "Tab", canvas.flip_modality, name="flip_modality", text="Next modality")
        back = partial(canvas.flip_modality, -1)
        bind(page, "Shift+Tab", back, name="flip_modality_back", text="Modality before")


def _bind_views(dock: Dock) -> None:
    views, box = dock.canvas.views, dock.annotate_page.views
    walks = {
        "slice_up": ("Up", 1, "Next slice"),
        "slice_down": ("Down", -1, "Slice before"),
        "slices_up": ("PgUp", FAST, f"{FAST} slices on"),
        "slices_down": ("PgDown", -FAST, f"{FAST} slices back"),
    }
    for page in (dock.annotate_page, dock.review_page):
        for name, (keys, steps, text) in walks.items():
            bind(page, keys, partial(views.step, steps), name=name, text=text, repeat=True)
        bind(page, "Home", partial(views.end, False), name="slice_first", text="First slice")
        bind(page, "End", partial(views.end, True), name="slice_last", text="Last slice")
    review = dock.review_page  # the buttons stand on the Annotate page
    for n, plane in enumerate(PLANES):
        show = partial(views.show_plane, plane)
        bind(review, f"Alt+{n + 1}", show, name=f"plane_{plane}", text=plane.capitalize())
    bind(review, "O", box.beside.click, name="planes_on", text=box.beside.text())
