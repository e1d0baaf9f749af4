"""Write a page for each tool that computes, and the page about all of them: ``python docs/render_tools.py``.

Title, key, summary and options are read off the tools themselves (`napari_penumbra.imaging.edits`). Their pictures are
made by ``docs/render_pictures.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from napari_penumbra.imaging.edits import TOOLS, Tool
from napari_penumbra.imaging.edits.base import choices_of, extra_of, limits_of

FOLDER = Path(__file__).with_name("tools")
OVERVIEW = "annotate-tools"
OWN_PAGES = {"mismatch": "mismatch"}
"""Tools whose page is written by hand."""
FOOT = "\n<!-- Made by docs/render_tools.py from the tools themselves. -->\n"

ALL = """# Tools that compute

On the **Annotate** page, under **Tools**: what would take many strokes by hand, computed from what is painted, from the
picture, or from a prediction.

![The tools, each with its key](../images/tools/annotate-tools.png)

They all work the same way.

1. Choose a tool by its button or its key. Its options take the buttons' place.
2. The **preview** outlines what would change: in the colour of the class that a voxel would become, in white what would
   be taken away. Beside it stands how many voxels and millilitres that is, and what the tool assumed. Nothing is
   written yet. Turn the slices and look. Quick tools preview by themselves when an option changes; slow ones wait for
   **Preview**, show how far they are, and stop on **Cancel**.
3. **Apply** (`Enter`) writes it as one step of undo. **Cancel** (`Esc`) closes the tool.

A preview is for the labels as they were. It vanishes when you paint, open another case, or leave the page.

**What is never touched.** By default a tool paints on background only; painted voxels of other classes and unknown
ones stay, and it says how many stayed. *Write over* widens that to other classes, or to everything, unknown included.
After *Save as partial*, the slices nobody touched are unknown: choose *everything* to paint there.

| tool | key | what it does |
|---|---|---|
{rows}

The keys can be changed under `?`.

**What is written.** The changed voxels, through the same journal as strokes: after a crash they are there. The applied
change counts as drawn by you. How long the tools take is in `benchmarks/results/edits.json`.
"""

PAGE = """# {title}

On the **Annotate** page, **Tools › {title}**, `{key}`. {tip}

![{alt}](../images/tools/{name}.png)

{words}

{options}

Nothing is written before *Apply*; then it is one step of undo, as with [all tools that compute](annotate-tools.md).
"""

WORDS: dict[str, tuple[str, str]] = {
    "interpolate": (
        "What would be filled between two painted slices, two classes at once",
        """Paint a structure on some slices, leave out those between. Each voxel between gets the mean of its
distances to the two outlines. Pieces that overlap are joined; a vessel that runs aslant is followed; a
piece that has no partner ends half-way. All classes are done together, so they neither overlap nor leave
a seam; a slice on which any class is painted counts as finished. Only slices between painted ones
change.""",
    ),
    "smart_fill": (
        "What one click into the core would fill",
        """Press its key with the mouse over the structure, or press its button and click. If the fill leaks, lower
*Tolerance* or *Reach*; if it stops early, raise *Tolerance*. Each further click previews anew; after
*Apply* the next click starts the next fill. While it waits for a click, the brush does not paint.""",
    ),
    "seeds": (
        "What both classes would grow by on the Tmax map, from what is painted inside of them",
        """Paint a little of each class, then press **Preview**. All classes grow at once and stop where they meet
or where the picture has an edge. What is farther than *Reach* from all of them is background, so take
the reach a little larger than the structure's rim is away from your paint.""",
    ),
    "walker": (
        "The same seeds, grown by the random walker",
        """Paint a little of each class, then press **Preview**. Every voxel goes to the class whose paint a random
walk that avoids edges reaches first; gaps in a weak edge are closed, where [Grow from seeds](grow-from-
seeds.md) would leak. It takes at most a million voxels and longer than the other tools; **Cancel** stops
it.""",
    ),
    "pieces": (
        "Three small pieces that would be taken away, in white",
        """For specks that a threshold, a fill or a prediction has left. With *the one I click*, click the piece
that shall stay. Pieces are connected in 3D, over corners as well.""",
    ),
    "holes": (
        "A hole that would be filled",
        """On each slice, an area counts as enclosed when the class is all around it on that slice; in 3D, a cavity
must be closed on all sides. *Largest hole* leaves what is meant to be open, a ventricle for instance,
open.""",
    ),
    "smooth": (
        "A ragged outline, and what smoothing would add and take away",
        """With *Keep the volume* the class has as many voxels as before; without it, thin parts shrink. All classes
together share their borders: no gap opens between them and none grows into another.""",
    ),
    "margin": (
        "A rim of three millimetres that would be added",
        """It counts millimetres between voxel centres. If the way is shorter than a voxel along some axis, nothing
moves there, and it says so. The edge of the scan is no outline.""",
    ),
    "mirror": (
        "The other side of the head, where the class would be copied to",
        """It finds the plane in which the head mirrors itself best (of the chosen modality; heads turned or tilted
by up to 30° are found) and says how alike the sides are. Look at the preview: a large lesion on one side
can pull the plane by a few degrees.""",
    ),
    "prediction": (
        "What would be taken over from the model on the shown slice",
        """It takes what is on the screen now, on this slice or *Depth* millimetres around it, or a box around a
click. With *Erase what is not predicted*, your labels of those classes go where the model has none. For
deciding about a prediction region by region there is the [review](review.md).""",
    ),
}
"""Of each tool what its picture shows, and how to work with it."""


def pages() -> dict[str, str]:
    """Every page by its name below ``docs/tools``."""
    made = {name_of(tool): _page(tool) for tool in TOOLS if tool.key not in OWN_PAGES}
    rows = (f"| [{tool.title}]({name_of(tool)}.md) | `{tool.shortcut}` | {tool.tip} |" for tool in TOOLS)
    return made | {OVERVIEW: ALL.format(rows="\n".join(rows)) + FOOT}


def name_of(tool: Tool) -> str:
    """Name of a tool's page and picture."""
    return OWN_PAGES.get(tool.key) or tool.title.lower().replace(" ", "-")


def _page(tool: Tool) -> str:
    alt, words = WORDS[tool.key]
    fields = [_row(field) for field in tool.options.model_fields.values()]
    options = "\n".join(["| option | at first | may be | what it does |", "|---|---|---|---|", *fields])
    named = {"title": tool.title, "key": tool.shortcut, "tip": tool.tip, "name": name_of(tool)}
    return PAGE.format(**named, alt=alt, words=words, options=options) + FOOT


def _row(field: FieldInfo) -> str:
    extra = extra_of(field)
    unit = f" {extra['unit']}" if extra.get("unit") else ""
    cells = (str(field.title), _first(field, extra) + unit, _may_be(field, extra, unit), str(field.description))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _first(field: FieldInfo, extra: dict[str, Any]) -> str:
    if extra.get("kind") == "modality" and not extra.get("none"):
        return "the one in front"
    if extra.get("none") and not field.default:
        return str(extra["none"])
    if isinstance(field.default, bool):
        return "on" if field.default else "off"
    return f"{field.default:g}" if isinstance(field.default, float) else str(field.default)


def _may_be(field: FieldInfo, extra: dict[str, Any], unit: str) -> str:
    if extra.get("kind"):
        return f"any {extra['kind']}"
    if isinstance(field.default, bool):
        return "on, off"
    if choices := choices_of(field.annotation):
        return "; ".join(map(str, choices))
    low, high = limits_of(field)
    return f"{low:g} to {high:g}{unit}"


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
