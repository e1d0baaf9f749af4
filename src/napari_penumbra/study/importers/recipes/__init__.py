"""Published data sets by recipe. A new one is an entry in `RECIPES`, in a file of its own unless it is but names.

`find` asks one recipe what a folder holds and, when it is another data set, says which.
"""

from __future__ import annotations

from pathlib import Path

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.study.importers.recipes._base import Found, Recipe
from napari_penumbra.study.importers.recipes.bids import BIDS
from napari_penumbra.study.importers.recipes.brain_and_heart import ACDC, ISLES2022, LA2018, PROMISE12
from napari_penumbra.study.importers.recipes.described import MSD, NNUNET
from napari_penumbra.study.importers.recipes.isles2015 import SISS, SPES
from napari_penumbra.study.importers.recipes.la_h5 import LA_H5
from napari_penumbra.study.importers.recipes.pictures import ISIC2016, KVASIR, RIMONE

__all__ = ["RECIPES", "Found", "Recipe", "find", "recipe", "recognise"]

RECIPES: tuple[Recipe, ...] = (
    SPES, SISS, ISLES2022, LA2018, LA_H5, PROMISE12, KVASIR, ISIC2016, RIMONE, ACDC, MSD, NNUNET, BIDS,
)  # fmt: skip
"""The most particular first: ISLES 2022 is also BIDS, and is told as what it is."""


def recipe(key: str) -> Recipe:
    """Find a recipe; raises `UsageError` that lists them."""
    found = next((one for one in RECIPES if one.key == key), None)
    if found is None:
        raise UsageError(f'There is no recipe "{key}".', f"Known are {', '.join(one.key for one in RECIPES)}.")
    return found


def find(key: str, folder: Path) -> tuple[Recipe, Found]:
    """Ask a recipe what a folder holds.

    Raises
    ------
    UsageError
        No such recipe or folder, or the folder is not this data set; says what is missing and what it looks like.
    """
    asked = recipe(key)
    found = asked.find(folder)
    if found.cases:
        return asked, found
    other = recognise(folder, but=asked)
    if other is not None:
        raise UsageError(
            f"{folder.name} looks like {other.title}, not {asked.title}.",
            f"Import it with: penumbra import {other.key} (missing for {asked.title}: {found.lacks}).",
        )
    raise UsageError(f"{folder.name} is not {asked.title}: {found.lacks} is missing.", f"Expected is {asked.layout}.")


def recognise(folder: Path, but: Recipe | None = None) -> Recipe | None:
    """Find the first recipe whose layout a folder has; None when it has none that is known."""
    for one in RECIPES:
        try:
            if one is not but and one.find(folder).cases:
                return one
        except UsageError:
            continue
    return None
