"""What confidence was worth, in sentences."""

from __future__ import annotations

import math

from napari_penumbra.evaluation.track_record import FEWEST_CASES, FEWEST_VOXELS, Share, TrackRecord


def percent(share: float) -> str:
    """Say a share: ``71 %``, ``98.7 %``; ``100 %`` and ``0 %`` only when they are exact."""
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", " %")
    value = 100 * share
    if value >= 95:
        return f"{min(99.9, math.floor(value * 10) / 10):.1f} %"
    return "under 1 %" if value < 1 else f"{value:.0f} %"


def corrected(count: int) -> str:
    """``4 corrected cases``."""
    return f"{count} corrected {'case' if count == 1 else 'cases'}"


def why_unknown(record: TrackRecord) -> str:
    """Say what is missing: ``1 of 3 corrected cases``."""
    have = len(record.cases)
    if have < FEWEST_CASES:
        return f"{have} of {corrected(FEWEST_CASES)}"
    return f"fewer than {FEWEST_VOXELS} such voxels in {corrected(have)}"


def such(share: Share | None, record: TrackRecord) -> str:
    """Say how often "such voxels" were right, or that it is not yet known and why: a clause."""
    if share is None:
        return f"how often right: not yet known ({why_unknown(record)})"
    return f"such voxels turned out right in {percent(share.right)} ({share.voxels:,} in {corrected(share.cases)})"
