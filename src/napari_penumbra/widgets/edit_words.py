"""What a computed edit would change, in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping

from napari_penumbra.domain.labels import UNKNOWN
from napari_penumbra.imaging.edits import Edit
from napari_penumbra.widgets.class_list import ml_words


def change_words(edit: Edit, names: Mapping[int, str], voxel_ml: float | None) -> str:
    """Say what an edit adds and takes away, class by class.

    Parameters
    ----------
    names
        Label value to name.
    voxel_ml
        Volume of one voxel in millilitres; None for a picture, which is counted in pixels.
    """
    gains, losses = [], []
    for value, (gained, lost) in edit.tally().items():
        name = "unknown" if value == UNKNOWN else names.get(value, f"class {value}")
        if gained:
            gains.append(f"{_amount(gained, voxel_ml)} of {name}")
        if lost:
            losses.append(f"{_amount(lost, voxel_ml)} of {name}")
    if not gains and not losses:
        return "Nothing would change."
    parts = []
    if gains:
        parts.append(f"Adds {_joined(gains)}.")
    if losses:
        parts.append(f"Takes away {_joined(losses)}.")
    return " ".join(parts)


def _amount(count: int, voxel_ml: float | None) -> str:
    if voxel_ml is None:
        return f"{count:,} pixel{'' if count == 1 else 's'}"
    return f"{count:,} voxel{'' if count == 1 else 's'} ({ml_words(count * voxel_ml)} ml)"


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
