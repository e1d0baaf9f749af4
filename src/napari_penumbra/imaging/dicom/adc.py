"""The apparent diffusion coefficient from images of several b-values.

S(b) = S(0) exp(-b ADC), fitted per voxel as a straight line through ln S over b by least squares, all b-values counting
alike (Stejskal and Tanner, J Chem Phys 42:288, 1965; Le Bihan et al., Radiology 161:401, 1986). With two b-values this
is ln(S0 / Sb) / b.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.case import ImageArray
from napari_penumbra.domain.errors import ImageError

UNIT = 1e6
"""Stored as 10⁻⁶ mm²/s, as the mismatch tool and most scanners have it: healthy brain is about 800."""
HIGHEST = 4000.0
"""Free water at body temperature has 3000; what exceeds this is noise."""


def adc_map(images: Iterable[tuple[float, ImageArray]]) -> ImageArray:
    """Compute ADC.

    Parameters
    ----------
    images
        Pairs of a b-value in s/mm² and the signal, all of one shape, b = 0 first. Taken one at a time, so that no more
        than one of them need be in memory.

    Returns
    -------
    ndarray
        float32, 10⁻⁶ mm²/s, between 0 and `HIGHEST`. 0 where there is nothing to fit: no signal at b = 0, or none at
        any other b-value. A signal of 0 or below (noise that was subtracted, air) has no logarithm and is left out of
        its voxel's fit.

    Raises
    ------
    ImageError
        There is no b = 0 or no other b-value.
    """
    sums: ImageArray | None = None
    start: npt.NDArray[np.bool_] | None = None
    highest = 0.0
    for b, signal in images:
        there = np.isfinite(signal) & (signal > 0)
        if start is None or sums is None:
            if b != 0:
                raise ImageError("ADC needs an image with b = 0.", "Add the whole diffusion series.")
            start, sums = there, np.zeros((5, *signal.shape), dtype=np.float32)
        highest = max(highest, b)
        log = np.log(np.where(there, signal, 1.0).astype(np.float32))
        weight = there.astype(np.float32)
        for n, term in enumerate((weight, weight * b, weight * (b * b), log, log * b)):
            sums[n] += term
    if start is None or sums is None or highest <= 0:
        raise ImageError("ADC needs an image with b = 0 and one with a higher b-value.", "Add the whole series.")
    count, b_sum, bb_sum, s_sum, bs_sum = sums
    spread = count * bb_sum - b_sum * b_sum
    usable = start & (spread > 0)
    slope = np.divide(count * bs_sum - b_sum * s_sum, spread, out=np.zeros_like(spread), where=usable)
    return np.clip(-slope * np.float32(UNIT), 0.0, HIGHEST).astype(np.float32)
