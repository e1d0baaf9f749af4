"""What unknown voxels become in exported files, as it is asked for."""

from __future__ import annotations

import re

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import UNKNOWN, LabelScheme
from napari_penumbra.study.exporters._base import BACKGROUND_WORD, IGNORE, KEEP


def unknown_value(asked: str, scheme: LabelScheme, highest: int | None = None) -> int:
    """Turn ``keep``, ``background``, ``ignore`` or a number into the value that unknown voxels get.

    Parameters
    ----------
    highest
        Highest class value in the files; by default the scheme's.
    """
    word = asked.strip().lower()
    top = max(scheme.values) if highest is None else highest
    fixed = {KEEP: UNKNOWN, BACKGROUND_WORD: 0, IGNORE: top + 1}
    if word in fixed:
        return fixed[word]
    if re.fullmatch(r"\d{1,3}", word) and int(word) <= UNKNOWN:
        value = int(word)
        if value in scheme.values:
            raise UsageError(
                f"Unknown voxels cannot become {value}: that is {scheme.by_value(value).name}.",
                "Give 0 (background), 255, or a value that no class has.",
            )
        return value
    raise UsageError(
        f'"{asked}" cannot stand for unknown.', "Give keep, background, ignore, or a number from 0 to 255."
    )
