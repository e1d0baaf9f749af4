"""Write ``docs/tools/shortcuts.md`` from the keys of the window itself: ``python docs/render_shortcuts.py``.

Needs a display (``xvfb-run -a`` where there is none).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from napari_penumbra.widgets.buttons import key_words
from napari_penumbra.widgets.shortcuts import Action

PAGE = Path(__file__).parent / "tools" / "shortcuts.md"
HEAD = """# Keys

Every button shows its key in grey; where the dock is too narrow for it, its tooltip says it. Press `?` or `F1` for the
sheet of all keys: type a word to find an action, pick it, press its new key, *Set*. An empty field takes the key away,
*Default* and *Reset all* bring back what is listed here. A key that another action of the same page has is refused, and
the sheet says which.

![The sheet of all keys](../images/tools/shortcuts.png)

The keys work wherever the keyboard is in the window, before napari's own, and only while their page shows. They are
silent while you type: letters reach the text, arrows move in the list that has the keyboard. Your own keys are kept in
`shortcuts.json` in your settings folder (on Linux `~/.config/napari-penumbra`), for every study; delete the file to
start afresh.

With the mouse: paint with the left button; **Shift and drag** changes the window (sideways contrast, up and down
brightness); the wheel zooms; the right button draws a contour that is filled when it closes.

"""
FOOT = "\n<!-- Made by docs/render_shortcuts.py from the window's own registry of keys. -->\n"


def text(actions: Iterable[Action]) -> str:
    """The page, from the actions with their default keys."""
    return HEAD + "\n".join(_section(places, list(group)) for places, group in groupby(actions, _places)) + FOOT


def _places(action: Action) -> tuple[str, ...]:
    return action.places


def _section(places: tuple[str, ...], actions: list[Action]) -> str:
    rows = [f"| {_cell(key_words(action.default) or 'none')} | {_cell(action.text)} |" for action in actions]
    title = places[0] if len(places) == 1 else " and ".join((", ".join(places[:-1]), places[-1]))
    return "\n".join([f"## {title}", "", "| key | what it does |", "|---|---|", *rows, ""])


def _cell(words: str) -> str:
    return words.replace("|", "\\|")


def main() -> None:
    """Open the dock in a hidden napari and write the page."""
    import napari

    viewer = napari.Viewer(show=False)
    _, widget = viewer.window.add_plugin_dock_widget("napari-penumbra", "Penumbra")
    PAGE.write_text(text(widget.dock.shortcuts.actions()), encoding="utf-8")  # type: ignore[attr-defined]
    widget.shut()  # type: ignore[attr-defined]
    viewer.close()


if __name__ == "__main__":
    main()
