"""What the values of a mask file mean: class values, background, unknown, and the white of a black-and-white mask."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.errors import LabelError
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelArray, LabelScheme
from napari_penumbra.imaging.files import Kind, ReadImage

_MIDDLE = 128
_NEAR_AN_END = 64
_CLEAR_SHARE = 0.95
"""Least share of a JPEG mask's pixels near black or white; the rest are the blurred edges."""


def read_meaning(found: ReadImage, scheme: LabelScheme, what: str) -> tuple[LabelArray, list[str]]:
    """Turn the values of a label file into labels of a study.

    255 means unknown in this program and white in the masks of most picture data sets. A picture whose values are 0
    and 255 and nothing else is therefore read as a black-and-white mask: 255 is the study's only class, with a warning.
    In a study of several classes such a mask is refused. Beside class values, in scans and in PNG files that this
    program exported, 255 is unknown.

    Parameters
    ----------
    found
        From `imaging.files.read_labels`.
    what
        How to name the file or case in a sentence.

    Returns
    -------
    labels, warnings
        (z, y, x) uint8 in the scheme's values, and sentences for the reader.

    Raises
    ------
    LabelError
        Values outside the scheme, or a mask that does not say which class it means.
    """
    values = found.volume.data
    if found.kind is Kind.LOSSY:
        return _lossy(values, scheme, what)
    only_white = _has_only_white(values)
    if only_white and found.kind is Kind.PICTURE:
        return _black_and_white(values == UNKNOWN, scheme, what)
    warnings = [f"{what} holds 0 and 255 only; 255 is read as unknown."] if only_white else []
    return scheme.check(values, what), warnings if found.kind is Kind.SCAN else []


def _has_only_white(values: npt.NDArray[np.generic]) -> bool:
    white = values == UNKNOWN
    return bool(white.any() and (white | (values == BACKGROUND)).all())


def _black_and_white(white: npt.NDArray[np.bool_], scheme: LabelScheme, what: str) -> tuple[LabelArray, list[str]]:
    if len(scheme.classes) > 1:
        raise LabelError(
            f"{what} is black and white (0 and 255), but the study has several classes: which is meant?",
            "Write the number of the class instead of 255.",
        )
    only = scheme.classes[0]
    labels = white.astype(np.uint8) * np.uint8(only.value)
    return labels, [f"{what} is black and white: its 255 is read as {only.value} {only.name}, not as unknown."]


def _lossy(values: npt.NDArray[np.generic], scheme: LabelScheme, what: str) -> tuple[LabelArray, list[str]]:
    """Take a JPEG mask apart at middle grey: compression leaves values in between along every edge."""
    if len(scheme.classes) > 1:
        raise LabelError(
            f"{what} is a JPEG, whose compression changes label values, and the study has several classes.",
            "Save the mask as PNG from where it was drawn.",
        )
    grey = values.astype(np.int64)
    clear = (grey <= _NEAR_AN_END) | (grey >= UNKNOWN - _NEAR_AN_END)
    if clear.mean() < _CLEAR_SHARE or 0 < grey.max() < _MIDDLE:
        raise LabelError(
            f"{what} is a JPEG that is not plainly black and white.",
            "Check that it is a mask and not a picture; save it as PNG.",
        )
    only = scheme.classes[0]
    labels = (grey >= _MIDDLE).astype(np.uint8) * np.uint8(only.value)
    return labels, [
        f"{what} is a JPEG, which blurs edges: pixels of at least half white are read as {only.value} {only.name}."
    ]
