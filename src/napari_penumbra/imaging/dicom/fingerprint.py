"""Tells whether an exam is in the study already: by pixels, which the study has anyway, and never by an identifier."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from napari_penumbra.domain.errors import ImageError
from napari_penumbra.imaging.dicom.decode import stored_frames
from napari_penumbra.imaging.dicom.offers import Offer

_SERIES = 3


def fingerprint(offers: Sequence[Offer]) -> str:
    """Digest of the middle slices of an exam's largest series; empty when none can be read."""
    real = [o for o in offers if o.usable and not o.computed]
    real.sort(key=lambda o: (-len(o.layouts[0].frames), o.number or 0, o.label))
    digest = hashlib.blake2b(digest_size=16)
    seen = False
    for offer in real[:_SERIES]:
        layout = offer.layouts[0]
        frame = layout.frames[len(layout.frames) // 2][0]
        try:
            pixels = stored_frames(frame.path, frame.stored, [frame.index], frame.place)[frame.index]
        except ImageError:
            continue  # reading it will say what is wrong
        digest.update(repr((pixels.shape, len(layout.frames))).encode())
        digest.update(np.ascontiguousarray(pixels).tobytes())
        seen = True
    return digest.hexdigest() if seen else ""
