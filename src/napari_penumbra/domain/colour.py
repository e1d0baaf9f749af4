"""Colour pictures as cases: one file holds three modalities, red, green and blue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

COLOUR = ("Red", "Green", "Blue")
"""Modalities of a colour picture, in the order of its channels."""
PICTURE = "RGB"
"""Name under which one file is given for all three, and under which the canvas shows them as a picture."""
_WORDS = ("rgb", "colour", "color")

T = TypeVar("T")


def expand(modalities: Sequence[str]) -> tuple[str, ...]:
    """Replace ``RGB`` (or ``colour``) in a list of modalities by `COLOUR`; everything else stays as it is."""
    found: list[str] = []
    for name in modalities:
        found += COLOUR if name.lower() in _WORDS else (name,)
    return tuple(found)


def expand_images(images: Mapping[str, T]) -> dict[str, T]:
    """Give the file of ``RGB`` to each of `COLOUR`; a file that was given for one channel alone goes before it."""
    whole = {m: value for name, value in images.items() if name.lower() in _WORDS for m in COLOUR}
    return {**whole, **{name: value for name, value in images.items() if name.lower() not in _WORDS}}


def sources(modalities: Sequence[str]) -> tuple[str, ...]:
    """Names under which a reader gives files: the three colour channels of a study come from one, `PICTURE`."""
    if not has_colour(modalities):
        return tuple(modalities)
    return tuple(PICTURE if name == COLOUR[0] else name for name in modalities if name not in COLOUR[1:])


def has_colour(modalities: Sequence[str]) -> bool:
    """Whether all three colour channels are among the modalities."""
    return all(name in modalities for name in COLOUR)
