"""What the label files of a case are called and hold, without the database that lists them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelArray


def revision_name(revision: int, *, drawn: bool = False, token: str = "") -> str:
    """File name of a revision, or of what was drawn before its untouched slices were made unknown.

    ``token`` makes it unlike that of any other program: in a team two may write the same number at once.
    """
    return f"r{revision:04d}{token}{'.drawn' if drawn else ''}.nii.gz"


def fill_unknown(labels: LabelArray, touched: Collection[int]) -> LabelArray:
    """Return a copy whose background is unknown in every slice that nobody touched.

    Parameters
    ----------
    labels
        (z, y, x).
    touched
        Indices along z of slices that the reader worked on. When there is none, the slices with a painted voxel count
        as touched: nothing else is known of a mask that came from a file.
    """
    slices = sorted(set(touched)) or np.flatnonzero(labels.any(axis=(1, 2))).tolist()
    filled = labels.copy()
    untouched = np.ones(labels.shape[0], dtype=bool)
    untouched[[z for z in slices if 0 <= z < labels.shape[0]]] = False
    filled[(filled == BACKGROUND) & untouched[:, None, None]] = UNKNOWN
    return filled


def class_voxels(labels: LabelArray) -> dict[str, int]:
    """Count voxels per label value, background left out; keys are text because JSON's are."""
    # Slice by slice: a histogram of the whole volume would first copy it eight times as large.
    counts = np.sum([np.bincount(plane.ravel(), minlength=256) for plane in labels], axis=0)
    return {str(value): int(counts[value]) for value in np.flatnonzero(counts) if value != BACKGROUND}
