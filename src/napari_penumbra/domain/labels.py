"""The label scheme of a study: value, name and colour of every class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.errors import LabelError, UsageError

BACKGROUND = 0
UNKNOWN = 255
"""A voxel of this value is outside every supervised loss and inside every unsupervised one."""

UNKNOWN_COLOR = "#808080"
"""Grey, on the canvas and in every list: no class of the palette looks like it."""

# Okabe and Ito's palette: told apart by readers with any common form of colour blindness.
PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#f5f5f5")

LabelArray = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class LabelClass:
    """One class: its value in label files (1 to 254), its name and its colour (``#rrggbb``)."""

    value: int
    name: str
    color: str


@dataclass(frozen=True, slots=True)
class LabelScheme:
    """All foreground classes of a study. 0 is background, 255 unknown; neither is listed."""

    classes: tuple[LabelClass, ...]

    def __post_init__(self) -> None:
        values = [c.value for c in self.classes]
        if not values:
            raise UsageError("A study needs at least one label class.", 'Give one as "1=left atrium".')
        if len(set(values)) != len(values) or len({c.name for c in self.classes}) != len(values):
            raise UsageError("Two label classes share a value or a name.", "Give each class its own.")
        if any(not 1 <= v <= 254 for v in values):
            raise UsageError("Label values must lie between 1 and 254.", "0 is background and 255 is unknown.")

    @classmethod
    def parse(cls, texts: list[str]) -> LabelScheme:
        """Read ``["1=left atrium", "2=wall"]``, as typed on the command line."""
        classes = []
        for n, text in enumerate(texts):
            value, _, name = text.partition("=")
            if not value.strip().isdigit() or not name.strip():
                raise UsageError(f'"{text}" is not a label class.', 'Write value=name, for example "1=left atrium".')
            classes.append(LabelClass(int(value), name.strip(), PALETTE[n % len(PALETTE)]))
        return cls(tuple(classes))

    @property
    def values(self) -> tuple[int, ...]:
        """Foreground values in the scheme's order."""
        return tuple(c.value for c in self.classes)

    def by_value(self, value: int) -> LabelClass:
        """Find a class; raises ``KeyError`` if the scheme has none of that value."""
        for c in self.classes:
            if c.value == value:
                return c
        raise KeyError(value)

    def check(self, array: npt.NDArray[Any], what: str) -> LabelArray:
        """Return ``array`` as uint8 labels, or say in words why it cannot be.

        Parameters
        ----------
        array
            Label values of any dtype; floats must be whole numbers.
        what
            How to name the file or case in the error.

        Raises
        ------
        LabelError
            Values outside the scheme, or not whole numbers.
        """
        values = _present(array)
        if values.dtype.kind == "f" and (not np.isfinite(values).all() or (values != np.round(values)).any()):
            raise LabelError(
                f"{what} has label values that are not whole numbers.", "Check that it is a mask and not an image."
            )
        known = {BACKGROUND, UNKNOWN, *self.values}
        strange = [int(v) for v in values if int(v) not in known]
        if strange:
            shown = ", ".join(map(str, strange[:8])) + (", …" if len(strange) > 8 else "")
            names = ", ".join(f"{c.value} {c.name}" for c in self.classes)
            raise LabelError(
                f"{what} has label values outside the study's scheme: {shown}.",
                f"The scheme has 0 background, {names}, 255 unknown; remap the file or add a class.",
            )
        return array.astype(np.uint8)

    def to_json(self) -> list[dict[str, Any]]:
        """Plain data for files."""
        return [{"value": c.value, "name": c.name, "color": c.color} for c in self.classes]

    @classmethod
    def from_json(cls, data: list[dict[str, Any]]) -> LabelScheme:
        """Inverse of `to_json`."""
        return cls(tuple(LabelClass(int(d["value"]), str(d["name"]), str(d["color"])) for d in data))


def _present(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values that occur, in order. Bytes are counted plane by plane: sorting a large case takes a second."""
    if array.dtype != np.uint8 or array.ndim < 2:
        return np.unique(array)
    return np.flatnonzero(np.sum([np.bincount(plane.ravel(), minlength=256) for plane in array], axis=0))
