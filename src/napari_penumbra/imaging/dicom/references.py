"""The UIDs that a DICOM segmentation must name to refer back to its scan. Read only where the reader asked for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_penumbra.domain.errors import ImageError
from napari_penumbra.imaging.dicom._quiet import quiet
from napari_penumbra.imaging.dicom.bounded import parse
from napari_penumbra.imaging.dicom.offers import Offer
from napari_penumbra.imaging.dicom.values import element
from napari_penumbra.imaging.raw import COPY_AGAIN

_TAGS: list[Any] = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"]


def references(offer: Offer, time: int = 0) -> dict[str, Any]:
    """Read what identifies the slices of a volume.

    Returns
    -------
    dict
        ``study_uid``, ``series_uid``, ``frame_of_reference_uid`` and ``instances``: per slice ``sop_class_uid``,
        ``sop_instance_uid``, ``frame`` (from 1; 1 for an ordinary slice) and ``position`` (LPS mm as in DICOM, None
        where the slice has none). In the order of the slices of the volume's own grid; slices that were computed
        because they are missing have no entry.

    Raises
    ------
    ImageError
        A file is gone.
    """
    read: dict[Path, dict[str, str]] = {}
    found: dict[str, Any] = {}
    instances = []
    for frame in offer.frames(time):
        if frame.path not in read:
            read[frame.path] = _uids(frame.path, frame.place)
        uids = read[frame.path]
        if not found:
            found = {
                "study_uid": uids["StudyInstanceUID"],
                "series_uid": uids["SeriesInstanceUID"],
                "frame_of_reference_uid": uids["FrameOfReferenceUID"],
            }
        instances.append(
            {
                "sop_class_uid": uids["SOPClassUID"],
                "sop_instance_uid": uids["SOPInstanceUID"],
                "frame": frame.index + 1,
                "position": None if frame.position is None else list(frame.position),
            }
        )
    return {**found, "instances": instances}


def _uids(path: Path, place: str) -> dict[str, str]:

    try:
        with quiet():
            header = parse(path, stop_before_pixels=True, force=True, specific_tags=_TAGS)
            return {tag: str(element(header, tag) or "") for tag in _TAGS}
    except Exception as error:  # noqa: BLE001 - as for the headers; the words may quote what must not be quoted
        raise ImageError(f"{place} cannot be read any more.", COPY_AGAIN, type(error).__name__) from None
