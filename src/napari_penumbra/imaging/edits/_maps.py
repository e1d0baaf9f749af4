"""Which modality is which map, and in which unit it is stored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.errors import UsageError

ADC_UNITS: Mapping[str, float] = {"1e-6 mm²/s": 1.0, "1e-5 mm²/s": 10.0, "1e-3 mm²/s": 1e3, "mm²/s": 1e6}
"""Unit to what a stored value is multiplied with to give 1e-6 mm²/s."""
TMAX_UNITS: Mapping[str, float] = {"s": 1.0, "0.1 s": 0.1, "ms": 1e-3}
"""Unit to what a stored value is multiplied with to give seconds."""

# Median of the brain in a unit's own numbers: tissue has about 800e-6 mm²/s, healthy delays are below 4 s.
_ADC_MEDIANS = {"1e-6 mm²/s": (200, 5000), "1e-5 mm²/s": (20, 200), "1e-3 mm²/s": (0.2, 5), "mm²/s": (2e-4, 5e-3)}
_TMAX_MEDIANS = {"s": (0.0, 12.0), "0.1 s": (12.0, 150.0), "ms": (150.0, 15_000.0)}

_NAMES = {
    "Tmax": (r"t[\s_-]?max", r"time[\s_-]?to[\s_-]?max"),
    "ADC": (r"adc", r"apparent[\s_-]?diff", r"d[\s_-]?app"),
    "core": (r"\bcore\b", r"infarct", r"necro", r"\bdwi\b.*lesion", r"diffusion"),
    "penumbra": (r"penumbra", r"mismatch", r"at[\s_-]?risk", r"hypoperf", r"perfusion"),
}


def find_name(kind: str, names: Iterable[str]) -> str:
    """Find the name that means ``Tmax``, ``ADC``, ``core`` or ``penumbra``; empty when none does."""
    known = list(names)
    for pattern in _NAMES[kind]:
        for name in known:
            if re.search(pattern, name, re.IGNORECASE):
                return name
    return ""


def adc_factor(values: npt.NDArray[np.float32], unit: str) -> tuple[float, str]:
    """Factor from stored ADC to 1e-6 mm²/s, and a sentence when it was guessed.

    Parameters
    ----------
    values
        Intensities inside the brain.
    unit
        One of `ADC_UNITS`, or ``automatic``.

    Raises
    ------
    UsageError
        The values fit no unit.
    """
    return _factor("ADC", values, unit, ADC_UNITS, _ADC_MEDIANS)


def tmax_factor(values: npt.NDArray[np.float32], unit: str) -> tuple[float, str]:
    """Factor from stored Tmax to seconds; as `adc_factor`."""
    return _factor("Tmax", values, unit, TMAX_UNITS, _TMAX_MEDIANS)


def _factor(
    kind: str,
    values: npt.NDArray[np.float32],
    unit: str,
    units: Mapping[str, float],
    medians: Mapping[str, tuple[float, float]],
) -> tuple[float, str]:
    if unit in units:
        return units[unit], ""
    # Fluid is a small part of the brain and the lesion hardly ever half of it: the median is healthy tissue.
    positive = values[np.isfinite(values) & (values > 0)]
    middle = float(np.median(positive)) if positive.size else 0.0
    for name, (low, high) in medians.items():
        if low < middle <= high:
            return units[name], f"{kind} read as {name} (median of the brain {middle:.3g})."
    raise UsageError(
        f"The unit of {kind} cannot be told: half of the brain is below {middle:.3g}.",
        f"Choose the unit, or another modality, if this is no {kind} map.",
    )
