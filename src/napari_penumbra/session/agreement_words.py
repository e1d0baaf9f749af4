"""A comparison of two annotations as rows of text: nothing infinite, nothing undefined, nothing left to guess."""

from __future__ import annotations

from dataclasses import dataclass

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import BACKGROUND, LabelScheme
from napari_penumbra.evaluation.agreement import Agreement, ClassAgreement, Disagreement

SIGNS = ("—", "┅")
"""The first and the second annotation, as their contours are drawn: solid and striped."""


@dataclass(frozen=True, slots=True)
class Units:
    """How volumes and distances of a case are told: in millilitres and mm, or in pixels of a picture."""

    pixels: bool
    voxel_ml: float

    @classmethod
    def of(cls, grid: Grid) -> Units:
        """Choose units for a grid."""
        return cls(grid.is_picture, grid.voxel_ml)

    @property
    def volume(self) -> str:
        """Name of the unit of volumes."""
        return "px" if self.pixels else "ml"

    @property
    def distance(self) -> str:
        """Name of the unit of distances."""
        return "px" if self.pixels else "mm"

    def amount(self, ml: float) -> str:
        """Say a volume without its unit."""
        if self.pixels:
            return f"{round(ml / self.voxel_ml):,}"
        if ml == 0:
            return "0"
        return f"{ml:.2f}" if ml < 10 else f"{ml:.1f}" if ml < 1000 else f"{ml:,.0f}"

    def with_unit(self, ml: float) -> str:
        """Say a volume with its unit."""
        return f"{self.amount(ml)} {self.volume}"


@dataclass(frozen=True, slots=True)
class Row:
    """One class: figures as text. ``parts`` says what is agreed on and what only one has."""

    name: str
    dice: str
    hd95: str
    assd: str
    first: str
    second: str
    parts: str


def class_row(one: ClassAgreement, name: str, units: Units, signs: tuple[str, str] = SIGNS) -> Row:
    """Say the figures of a class.

    Parameters
    ----------
    name
        The class's name.
    signs
        How the first and the second are called.
    """
    scores = one.scores
    if scores.missed or scores.spurious:  # one of them has nothing of it: a distance would be a made-up number
        dice = "0.00"
        hd95 = assd = f"only {signs[1] if scores.missed else signs[0]}"
    elif scores.hd95 is None or scores.assd is None:
        dice = hd95 = assd = "in neither"
    else:
        dice, hd95, assd = f"{scores.dice:.2f}", f"{scores.hd95:.1f}", f"{scores.assd:.1f}"
    parts = (
        f"agreed {units.amount(one.agreed_ml)} · only {signs[0]} {units.amount(one.only_first_ml)}"
        f" · only {signs[1]} {units.with_unit(one.only_second_ml)}"
    )
    return Row(name, dice, hd95, assd, units.amount(one.first_ml), units.amount(one.second_ml), parts)


def rows(found: Agreement, scheme: LabelScheme, units: Units, signs: tuple[str, str] = SIGNS) -> list[Row]:
    """Say the figures of every class."""
    return [class_row(one, scheme.by_value(one.value).name, units, signs) for one in found.classes]


def place_words(place: Disagreement, scheme: LabelScheme, signs: tuple[str, str] = SIGNS) -> str:
    """Say what a disagreement is about: ``core only —``, ``penumbra — core ┅``."""
    names = {c.value: c.name for c in scheme.classes}
    first, second = (names.get(value, f"class {value}") for value in (place.first, place.second))
    if place.second == BACKGROUND:
        return f"{first} only {signs[0]}"
    if place.first == BACKGROUND:
        return f"{second} only {signs[1]}"
    return f"{first} {signs[0]}, {second} {signs[1]}"


def summary(found: Agreement, units: Units) -> str:
    """Say in one or two sentences how far the two agree."""
    count = len(found.places) + found.more
    if not count:
        words = "The two agree in every voxel that both know."
    else:
        places = "1 place" if count == 1 else f"{count:,} places"
        words = f"They differ in {places}, {units.with_unit(found.disagreed_ml)} in all."
    if found.more:
        words += f" Only the {len(found.places)} largest are listed."
    if found.unknown_ml:
        words += f" {units.with_unit(found.unknown_ml)} are labelled in one and unknown in the other: left out."
    return words
