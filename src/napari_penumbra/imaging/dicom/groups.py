"""Functional groups of enhanced multi-frame objects, and the values that scanners hide in different places."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from napari_penumbra.imaging.dicom.frames import Frame, Stored, Triple
from napari_penumbra.imaging.dicom.values import items, number, numbers, words

_SIEMENS_B, _GE_B, _PHILIPS_B, _UIH_B = (0x0019, 0x100C), (0x0043, 0x1039), (0x2001, 0x1003), (0x0065, 0x1009)
GROUP_TAGS: list[Any] = [
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "DiffusionBValue",
    "DiffusionGradientOrientation", _SIEMENS_B, _GE_B, _PHILIPS_B, _UIH_B,
]  # fmt: skip
"""Tags that this module reads. The private ones hold a b-value and nothing that names a person; only it is kept."""

_FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence")
_GE_OFFSET = 1_000_000_000
_MOST_B = 100_000


def b_value(header: Any) -> float | None:
    """b-value in s/mm² of a slice, wherever its maker keeps it; None where it is not diffusion."""
    for tag in ("DiffusionBValue", _SIEMENS_B, _PHILIPS_B, _UIH_B):
        found = number(header, tag)
        if found is not None and 0 <= found < _MOST_B:
            return found
    found = number(header, _GE_B)
    if found is not None:
        found = found % _GE_OFFSET  # GE adds 1e9 to mark a multiple-b acquisition
        if 0 < found < _MOST_B or ("DIFF" in words(header, "ImageType") and found == 0):
            return found
    match = re.search(r"\bEP_B(\d{1,5})", words(header, "SequenceName").replace("*", ""))
    return float(match[1]) if match else None


def direction(header: Any) -> Triple | None:
    """Direction of the diffusion gradient, None where none is stated."""
    return numbers(header, "DiffusionGradientOrientation", 3)  # type: ignore[return-value]


def slice_time(header: Any) -> tuple[float, ...]:
    """Sort key in time: position in time, trigger, acquisition, clock, number; what is absent counts as 0."""
    tags = ("TemporalPositionIdentifier", "TriggerTime", "AcquisitionNumber", "AcquisitionTime", "ContentTime",
            "InstanceNumber")  # fmt: skip
    return (*(number(header, tag) or 0.0 for tag in tags),)


def groups_of(header: Any) -> tuple[Any, list[Any]]:
    """Return the shared functional groups (None without) and those of each frame (none for an ordinary slice)."""
    shared = items(header, "SharedFunctionalGroupsSequence")
    return (shared[0] if len(shared) else None), list(items(header, "PerFrameFunctionalGroupsSequence"))


def frames_of(
    path: Path, place: str, header: Any, stored: Stored, shared: Any, per_frame: list[Any], twin: bytes
) -> tuple[Frame, ...]:
    """Make the frames of an enhanced object."""
    made = []
    for index, own in enumerate(per_frame[: stored.frames]):
        look = _Look(own, shared, header)
        measures, scale = look.item("PixelMeasuresSequence"), look.item("PixelValueTransformationSequence")
        content, echo = look.item("FrameContentSequence"), look.item("MREchoSequence")
        slope = number(scale, "RescaleSlope")
        made.append(
            Frame(
                path=path,
                index=index,
                place=place,
                instance=index + 1,
                stored=stored,
                position=numbers(look.item("PlanePositionSequence"), "ImagePositionPatient", 3),  # type: ignore[arg-type]
                orientation=numbers(look.item("PlaneOrientationSequence"), "ImageOrientationPatient", 6),  # type: ignore[arg-type]
                spacing=numbers(measures, "PixelSpacing", 2),  # type: ignore[arg-type]
                thickness=number(measures, "SpacingBetweenSlices") or number(measures, "SliceThickness"),
                slope=slope or 1.0,
                intercept=number(scale, "RescaleIntercept") or 0.0,
                b_value=_group_b(look),
                direction=_group_direction(look),
                echo=number(echo, "EffectiveEchoTime"),
                kind=" ".join(words(look.item(name), "FrameType") for name in _FRAME_TYPES),
                order=(
                    number(content, "TemporalPositionIndex") or 0.0,
                    number(content, "FrameAcquisitionNumber") or 0.0,
                    _time_of_day(words(content, "FrameAcquisitionDateTime")),
                    float(index),
                ),
                twin=hashlib.blake2b(twin + index.to_bytes(4, "little"), digest_size=16).digest(),
            )
        )
    return tuple(made)


class _Look:
    """Finds a functional group: in the frame itself, else in what all frames share, else in the header."""

    def __init__(self, own: Any, shared: Any, header: Any) -> None:
        self._places = [place for place in (own, shared, header) if place is not None]

    def item(self, name: str) -> Any:
        for place in self._places:
            found = items(place, name)
            if len(found):
                return found[0]
        return {}


def _group_b(look: _Look) -> float | None:
    group = look.item("MRDiffusionSequence")
    found = number(group, "DiffusionBValue")
    if found is None and words(group, "DiffusionDirectionality").strip() == "NONE":
        return 0.0
    return found if found is not None and 0 <= found < _MOST_B else None


def _group_direction(look: _Look) -> Triple | None:
    gradient = items(look.item("MRDiffusionSequence"), "DiffusionGradientDirectionSequence")
    return direction(gradient[0]) if len(gradient) else None


def _time_of_day(text: str) -> float:
    digits = text[8:].split("+")[0].strip()  # only the clock: dates are nobody's business here
    try:
        return float(digits)
    except ValueError:
        return 0.0
