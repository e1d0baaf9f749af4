"""Fitting what a recipe found to a study: its modalities, and its classes under the study's numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from napari_penumbra.domain.colour import expand, expand_images
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import PALETTE, UNKNOWN, LabelClass, LabelScheme
from napari_penumbra.study.importers.folder import FolderPlan, PlannedCase
from napari_penumbra.study.importers.recipes import Found, Recipe
from napari_penumbra.study.newcase import MaskPart


def modalities_of(recipe: Recipe, found: Found) -> tuple[str, ...]:
    """Modalities of a data set, as it describes itself or as the recipe knows."""
    return found.modalities or recipe.modalities


def scheme_of(recipe: Recipe, found: Found) -> LabelScheme:
    """Label scheme of a data set; raises `UsageError` when it names no class."""
    classes = found.classes or recipe.classes
    return LabelScheme(
        tuple(LabelClass(value, classes[value], PALETTE[n % len(PALETTE)]) for n, value in enumerate(sorted(classes)))
    )


def fit(recipe: Recipe, found: Found, modalities: Sequence[str], labels: LabelScheme) -> FolderPlan:
    """Turn what was found into a plan for a study.

    Parameters
    ----------
    modalities, labels
        The study's. Modalities that it lacks are left out; classes are matched by their names, and a single class to a
        single class whatever the names.

    Raises
    ------
    UsageError
        No modality is the study's, or a class is none of its.
    """
    theirs = expand(modalities_of(recipe, found))
    known = {m.lower(): m for m in modalities}
    kept = {m: known[m.lower()] for m in theirs if m.lower() in known}
    if not kept:
        raise UsageError(
            f"{recipe.title} has {', '.join(theirs)}, and the study {', '.join(modalities)}: nothing in common.",
            "Import it into a study of its own: penumbra import … --study NEW_FOLDER.",
        )
    meaning = _meaning(recipe, found, labels)
    cases = []
    for case in found.cases:
        images = {kept[m]: path for m, path in expand_images(case.images).items() if m in kept}
        if images:
            cases.append(_fitted(case, images, kept, meaning))
    notes = [*recipe.notes, *found.notes]
    left = [m for m in theirs if m not in kept]
    if left:
        notes.append(f"Left out, because the study has no such modality: {', '.join(left)}.")
    notes += [f"Its class {name} becomes the study's {mine}." for name, mine in _renamed(recipe, found, labels)]
    return FolderPlan(tuple(cases), found.unused, tuple(notes))


def _fitted(
    case: PlannedCase, images: dict[str, Path], kept: Mapping[str, str], meaning: Mapping[int, int]
) -> PlannedCase:
    hints = case.hints
    mask = tuple(_part(part, meaning) for part in hints.mask)
    frames = {kept[m]: n for m, n in hints.frames.items() if m in kept}
    return replace(case, images=images, hints=replace(hints, frames=frames, mask=mask))


def _part(part: MaskPart, meaning: Mapping[int, int]) -> MaskPart:
    values = {value: meaning[c] for value, c in part.values.items()}
    return MaskPart(part.path, values, None if part.rest is None else meaning[part.rest])


def _meaning(recipe: Recipe, found: Found, labels: LabelScheme) -> dict[int, int]:
    """Class of the data set to class of the study; unknown stays unknown."""
    theirs = found.classes or recipe.classes
    mine = {c.name.lower(): c.value for c in labels.classes}
    if len(theirs) == len(labels.classes) == 1:
        return {next(iter(theirs)): labels.classes[0].value, UNKNOWN: UNKNOWN}
    strange = [name for name in theirs.values() if name.lower() not in mine]
    if strange:
        raise UsageError(
            f'{recipe.title} has the class "{strange[0]}", which the study has not.',
            f"Its classes are {', '.join(theirs.values())}: give a class that name, or import into a new study.",
        )
    return {**{value: mine[name.lower()] for value, name in theirs.items()}, UNKNOWN: UNKNOWN}


def _renamed(recipe: Recipe, found: Found, labels: LabelScheme) -> list[tuple[str, str]]:
    theirs = found.classes or recipe.classes
    if len(theirs) != 1 or len(labels.classes) != 1:
        return []
    name = next(iter(theirs.values()))
    mine = labels.classes[0].name
    return [] if name.lower() == mine.lower() else [(name, mine)]
