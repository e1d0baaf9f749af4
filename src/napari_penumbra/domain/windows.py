"""Windows that clinicians look through, by the name of the modality.

Where intensities have a unit (CT numbers, seconds, mm²/s) a window is two intensities, the same for every case; where
they have none (most MR images) it is two percentiles of the head or body, found anew in every case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """A named window: from ``low`` to ``high``, intensities or, with ``percent``, percentiles."""

    name: str
    low: float
    high: float
    percent: bool = False


USUAL = Window("usual", 1.0, 99.8, percent=True)
"""What a case opens with: a few bright voxels are artefacts, but a small lesion must not be clipped with them."""
WHOLE = Window("whole range", 0.0, 100.0, percent=True)

_MR = (USUAL, Window("middle 90 %", 5.0, 95.0, percent=True), Window("bright 10 %", 50.0, 99.99, percent=True), WHOLE)
_CT = (
    Window("brain (0 to 80 HU)", 0, 80),
    Window("stroke (20 to 60 HU)", 20, 60),
    Window("blood (-20 to 180 HU)", -20, 180),
    Window("soft tissue (-160 to 240 HU)", -160, 240),
    Window("bone (-500 to 1500 HU)", -500, 1500),
    WHOLE,
)
_CTA = (Window("vessels (-100 to 500 HU)", -100, 500), *_CT)
_TMAX = (Window("0 to 10 s", 0, 10), Window("0 to 20 s", 0, 20), USUAL, WHOLE)
_MTT = (Window("0 to 15 s", 0, 15), Window("0 to 30 s", 0, 30), USUAL, WHOLE)
_CBF = (Window("0 to 80 ml/100 g/min", 0, 80), Window("0 to 40 ml/100 g/min", 0, 40), USUAL, WHOLE)
_CBV = (Window("0 to 8 ml/100 g", 0, 8), USUAL, WHOLE)
_ADC_TOP = 2000e-6
"""Upper end of an ADC window in mm²/s: just above free white and grey matter, below most of the fluid."""

_BY_NAME = (
    (r"cta|ct.?angio", _CTA),
    (r"(nc|ce)?ct", _CT),
    (r"t.?max", _TMAX),
    (r"mtt", _MTT),
    (r"r?cbf", _CBF),
    (r"r?cbv", _CBV),
)


def windows(modality: str, highest: float) -> tuple[Window, ...]:
    """Return the windows to offer for a modality, the first ones made for it.

    Parameters
    ----------
    modality
        Its name in the study (``Tmax``, ``NCCT``, ``DWI b1000``).
    highest
        Highest intensity of the image: it tells in which unit a diffusion coefficient is written.
    """
    words = re.split(r"[\s_\-]+", modality.strip().lower())
    if "adc" in words:
        return _adc(highest)
    for pattern, found in _BY_NAME:
        if any(re.fullmatch(pattern, word) for word in words):
            return found
    return _MR


def has_unit(modality: str) -> bool:
    """Whether the same intensity means the same in every case, so that a window set by hand may stay."""
    return any(not window.percent for window in windows(modality, 1.0))


def _adc(highest: float) -> tuple[Window, ...]:
    """Write the window in mm²/s, in 1e-3 or in 1e-6 mm²/s, as the image does."""
    unit = 1.0 if highest < 0.1 else 1e3 if highest < 100 else 1e6
    top, low = _ADC_TOP * unit, 1200e-6 * unit
    return (
        Window("0 to 2000e-6 mm²/s", 0.0, top),
        Window("low values (0 to 1200e-6)", 0.0, low),
        USUAL,
        WHOLE,
    )
