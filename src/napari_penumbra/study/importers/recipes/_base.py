"""What a recipe is, and what it finds in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.study.importers.folder import PlannedCase


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds, seen by one recipe.

    Attributes
    ----------
    cases
        Empty when the folder is not this data set. Masks are in parts whose classes are the recipe's.
    lacks
        What was looked for and is not there, to complete "… is missing"; empty when there are cases.
    unused
        Images that belong to no case, relative to the folder.
    modalities, classes
        The data set's own, where it describes itself; None takes the recipe's.
    notes
        What the reader should know.
    title
        What the data set calls itself, for a new study's name; empty takes the recipe's.
    """

    cases: tuple[PlannedCase, ...] = ()
    lacks: str = ""
    unused: tuple[str, ...] = ()
    modalities: tuple[str, ...] | None = None
    classes: Mapping[int, str] | None = None
    notes: tuple[str, ...] = ()
    title: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One published data set, or one way to describe data sets.

    Attributes
    ----------
    key
        What is typed.
    title
        What people call it.
    modalities
        In order; the first gives the grid. Empty where each data set has its own.
    classes
        Value to name.
    find
        Looks into a folder by names alone (and small lists and descriptions); reads no image.
    site
        Where it is to be had.
    licence
        As its publishers state it, or where to look.
    layout
        The layout in one sentence.
    """

    key: str
    title: str
    modalities: tuple[str, ...]
    classes: Mapping[int, str]
    find: Callable[[Path], Found]
    site: str
    licence: str
    layout: str
    notes: tuple[str, ...] = field(default=())


_MOST_BYTES = 20_000_000


def description(path: Path) -> dict[str, Any]:
    """Read a data set's description of itself; empty when there is none.

    Raises
    ------
    UsageError
        It is no JSON.
    """
    if not path.is_file() or path.stat().st_size > _MOST_BYTES:
        return {}
    try:
        told = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise UsageError(
            f"{path.name} in {path.parent.name} cannot be read as JSON.", "Download it again.", repr(error)
        ) from error
    return told if isinstance(told, dict) else {}


def is_unknown(name: str) -> bool:
    """Whether a class stands for undecided voxels: nnU-Net's ``ignore``, the ``unknown`` of our own exports."""
    return name.strip().lower() in ("ignore", "unknown")


def title_of(told: Any) -> str:
    """A name as a data set tells it, on one line of a sensible length; empty when it tells none."""
    return " ".join(told.split())[:80] if isinstance(told, str) else ""
