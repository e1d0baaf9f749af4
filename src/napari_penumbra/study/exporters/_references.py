"""What the DICOM importer kept of a case's series, where its reader asked for it: UIDs and places of the slices."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from napari_penumbra.imaging.dicom_source import SourceSeries, clean, stack
from napari_penumbra.study.exporters._base import Item
from napari_penumbra.study.store import Study

_MOST_BYTES = 64 << 20
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])


def kept_series(study: Study, item: Item) -> SourceSeries | None:
    """Make the series that a case came from out of what was kept in ``dicom_references.json``.

    The labels lie on the grid of that series (`Item.source`), so rows, columns and directions are read off it; each
    slice's own position is in the file.

    Returns
    -------
    SourceSeries or None
        None when nothing was kept, it cannot be read, or the series is no even stack of single slices or of frames of
        one object.
    """
    path = study.layout.dicom_references(item.slug)
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        told = json.loads(path.read_text(encoding="utf-8"))
        instances = told["instances"]
        if not instances:
            return None
        frames = [int(one["frame"]) for one in instances]
        objects = {str(one["sop_instance_uid"]) for one in instances}
        if set(frames) != {1} and len(objects) > 1:
            return None
        enhanced = len(objects) == 1 and len(frames) > 1
        return stack([_image(told, one, item) for one in instances], frames=frames if enhanced else ())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _image(told: dict[str, Any], one: dict[str, Any], item: Item) -> Any:
    from pydicom import Dataset

    steps = _RAS_TO_LPS @ item.source.matrix[:3, :3]
    spacing = item.source.spacing
    header = Dataset()
    header.SOPClassUID, header.SOPInstanceUID = str(one["sop_class_uid"]), str(one["sop_instance_uid"])
    header.StudyInstanceUID, header.SeriesInstanceUID = str(told["study_uid"]), str(told["series_uid"])
    header.FrameOfReferenceUID = str(told["frame_of_reference_uid"])
    header.Columns, header.Rows, _ = item.source.shape
    header.PixelSpacing = [spacing[1], spacing[0]]
    header.SliceThickness = spacing[2]
    header.ImageOrientationPatient = [float(v) for v in (*steps[:, 0] / spacing[0], *steps[:, 1] / spacing[1])]
    header.ImagePositionPatient = [float(v) for v in one["position"]]
    return clean(header)
