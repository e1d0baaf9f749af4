"""What is known of one frame (a slice) and of the file it lies in. No patient's name, id, date or UID is kept here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

Triple = tuple[float, float, float]
Six = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Stored:
    """How a file stores its pixels.

    Attributes
    ----------
    frames
        Number of frames; 1 for an ordinary slice.
    bits, used_bits
        Per value: allocated, and holding the value.
    inverted
        MONOCHROME1: the smallest value is white.
    padding
        Stored values (from, to) that mean "nothing was measured here".
    syntax
        UID of the transfer syntax.
    lut
        Whether values go through a table (Modality LUT) instead of slope and intercept.
    """

    rows: int
    columns: int
    frames: int
    samples: int
    bits: int
    used_bits: int
    signed: bool
    inverted: bool
    padding: tuple[float, float] | None
    syntax: str
    lut: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """One slice.

    Attributes
    ----------
    path, index
        The file, and the frame in it (0 for the first).
    place
        Which of how many files this one is, for error texts: paths may name a patient.
    instance
        InstanceNumber, or the frame's number.
    position, orientation
        LPS mm of the first pixel's centre; directions along a row and along a column.
    spacing
        mm from row to row and from column to column.
    thickness
        mm between slices, else their thickness.
    slope, intercept
        Meaning of a stored value.
    b_value, direction
        s/mm² and the gradient's direction, None where not diffusion.
    echo
        Echo time in ms.
    kind
        What the image shows as far as its type says (magnitude, phase, ADC), to split a series by. Never shown.
    order
        Sort key in time.
    """

    path: Path = field(repr=False)
    index: int
    place: str
    instance: int
    stored: Stored
    position: Triple | None
    orientation: Six | None
    spacing: tuple[float, float] | None
    thickness: float | None
    slope: float
    intercept: float
    b_value: float | None
    direction: Triple | None
    echo: float | None
    kind: str = field(repr=False)
    order: tuple[float, ...]
    twin: bytes = field(repr=False)
    """Digest that is the same for a file and its copy; made with a key that dies with the process."""


@dataclass(frozen=True, slots=True)
class About:
    """What a file says of its series.

    ``patient``, ``exam``, ``series`` and ``space`` (frame of reference) are digests under a key that dies with the
    process: they tell which files belong together and nothing else. ``text`` is free text, only for `names`, and
    never shown or written.
    ``scanning`` is ScanningSequence (SE, GR, EP …).
    """

    patient: bytes = field(repr=False)
    exam: bytes = field(repr=False)
    series: bytes = field(repr=False)
    space: bytes = field(repr=False)
    number: int | None
    modality: str
    text: str = field(repr=False)
    scanning: str
    technical: tuple[tuple[str, float | str], ...]
    unit: str
    burned_in: bool
    capture: bool
    localiser: bool
    diffusion: bool


@dataclass(frozen=True, slots=True)
class Header:
    """A file that holds a picture."""

    about: About
    frames: tuple[Frame, ...]
