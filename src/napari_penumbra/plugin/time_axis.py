"""Several volumes on one grid as one layer with a slider in front of the slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_BYTES = 2 * 2**30
"""Of a series that is held as a whole; of a larger one only the first volume is shown."""


def stacked(
    first: npt.NDArray[np.float32], times: int, read: Callable[[int], npt.NDArray[Any]], arguments: dict[str, Any]
) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """Stack the volumes of a series.

    Parameters
    ----------
    first
        The first volume, (z, y, x).
    times
        How many there are.
    read
        Reads the volume of a number from 1 on.
    arguments
        Of the first volume's layer.

    Returns
    -------
    tuple
        (t, z, y, x) and the layer's arguments with an axis in front; what was given if there is one volume, or if all
        together exceed `MOST_BYTES`.
    """
    if times < 2 or first.nbytes * times > MOST_BYTES:
        return first, arguments
    data = np.stack([first, *(np.asarray(read(time), dtype=np.float32) for time in range(1, times))])
    front = {"scale": 1.0, "translate": 0.0, "units": "pixel", "axis_labels": "t"}
    return data, arguments | {key: (value, *arguments[key]) for key, value in front.items() if key in arguments}
