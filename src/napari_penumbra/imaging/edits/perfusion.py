"""Core and penumbra in a pair of maps: what does not depend on the limits first, then the limits.

A reader moves the limits and watches: finding the brain, the units and smoothing the maps takes most of the time and is
kept from one position of a slider to the next.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.imaging.edits._brain import brain_mask
from napari_penumbra.imaging.edits._growing import smoothed
from napari_penumbra.imaging.edits._maps import adc_factor, tmax_factor
from napari_penumbra.imaging.edits.base import Report, silent
from napari_penumbra.imaging.edits.boxes import Mask, Spacing

TMAX_S = 6.0
ADC_LIMIT = 600.0
FLUID = 1800.0
"""ADC in 1e-6 mm²/s above which a voxel is fluid and not tissue: the delay cannot be measured there."""
GUESS = "automatic"

Map = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Maps:
    """A pair of maps in known units, within the brain. Arrays are (z, y, x).

    Attributes
    ----------
    delay, diffusion
        Tmax in seconds, ADC in 1e-6 mm²/s.
    tissue
        Brain with a diffusion that could be measured.
    notes
        What was assumed.
    """

    delay: Map
    diffusion: Map
    tissue: Mask
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Two masks (z, y, x), and their volumes in millilitres.

    Attributes
    ----------
    core, penumbra
        Restricted diffusion; delayed perfusion less the core.
    hypoperfused_ml
        All tissue with delayed perfusion, core or not.
    ratio
        Hypoperfused volume over core volume; None without a core.
    notes
        What was assumed.
    """

    core: Mask
    penumbra: Mask
    core_ml: float
    penumbra_ml: float
    hypoperfused_ml: float
    notes: tuple[str, ...]

    @property
    def ratio(self) -> float | None:
        """Hypoperfused volume over core volume, None without a core."""
        return self.hypoperfused_ml / self.core_ml if self.core_ml > 0 else None


def prepare_maps(
    tmax: Map,
    adc: Map,
    spacing: Spacing,
    *,
    smooth_mm: float = 0.0,
    tmax_unit: str = GUESS,
    adc_unit: str = GUESS,
    report: Report = silent,
) -> Maps:
    """Find the brain and the units, and smooth the maps; see `find_mismatch`."""
    if tmax.shape != adc.shape:
        raise UsageError("Tmax and ADC are not on one grid.", "Add the case again with its modalities resampled.")
    tmax, adc = (np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0) for values in (tmax, adc))
    for name, values in (("Tmax", tmax), ("ADC", adc)):
        if not values.any():
            raise UsageError(f"{name} is empty.", "Choose another modality.")
    brain = brain_mask({"Tmax": tmax, "ADC": adc}, spacing)
    report(0.5)
    to_s, tmax_words = tmax_factor(tmax[brain.mask], tmax_unit)
    to_e6, adc_words = adc_factor(adc[brain.mask], adc_unit)
    sigma = smooth_mm / 2.3548
    return Maps(
        delay=_inside(tmax, brain.mask, spacing, sigma) * np.float32(to_s),
        diffusion=_inside(adc, brain.mask, spacing, sigma) * np.float32(to_e6),
        tissue=brain.mask & (adc > 0),
        notes=tuple(filter(None, (brain.words, tmax_words, adc_words))),
    )


class LastMaps:
    """Prepares maps, and gives the same ones again when asked for the same once more."""

    def __init__(self) -> None:
        self._asked: tuple[object, ...] = ()
        self._of: tuple[weakref.ref[Map], ...] = ()
        self._maps: Maps | None = None

    def prepare(
        self, tmax: Map, adc: Map, spacing: Spacing, smooth_mm: float, tmax_unit: str, adc_unit: str, report: Report
    ) -> Maps:
        """As `prepare_maps`; remembers one answer, and the images only weakly: a case that is left is let go."""
        asked = (spacing, smooth_mm, tmax_unit, adc_unit)
        same = [ref() for ref in self._of]
        if self._maps is None or self._asked != asked or len(same) != 2 or same[0] is not tmax or same[1] is not adc:
            maps = prepare_maps(
                tmax, adc, spacing, smooth_mm=smooth_mm, tmax_unit=tmax_unit, adc_unit=adc_unit, report=report
            )
            self._asked, self._of, self._maps = asked, (weakref.ref(tmax), weakref.ref(adc)), maps
            return maps
        return self._maps


def apply_limits(
    maps: Maps,
    spacing: Spacing,
    *,
    tmax_s: float = TMAX_S,
    adc_limit: float = ADC_LIMIT,
    smallest_ml: float = 1.0,
    leave_fluid: bool = True,
) -> Mismatch:
    """Find core and penumbra in prepared maps; see `find_mismatch`."""
    tissue = maps.tissue & (maps.diffusion <= FLUID) if leave_fluid else maps.tissue
    perfusion = _large((maps.delay > tmax_s) & tissue, spacing, smallest_ml)
    core = _large((maps.diffusion < adc_limit) & tissue, spacing, smallest_ml)
    penumbra = _large(perfusion & ~core, spacing, smallest_ml)
    ml = float(np.prod(spacing)) / 1000
    core_ml, penumbra_ml, all_ml = (float(np.count_nonzero(mask)) * ml for mask in (core, penumbra, perfusion))
    return Mismatch(core, penumbra, core_ml, penumbra_ml, all_ml, maps.notes)


def find_mismatch(
    tmax: Map,
    adc: Map,
    spacing: Spacing,
    *,
    tmax_s: float = TMAX_S,
    adc_limit: float = ADC_LIMIT,
    smallest_ml: float = 1.0,
    smooth_mm: float = 0.0,
    leave_fluid: bool = True,
    tmax_unit: str = GUESS,
    adc_unit: str = GUESS,
    report: Report = silent,
) -> Mismatch:
    """Find core and penumbra in two maps.

    Parameters
    ----------
    tmax, adc
        (z, y, x) on one grid.
    spacing
        Edges of a voxel along z, y, x in mm.
    tmax_s, adc_limit
        Limits in seconds and in 1e-6 mm²/s; what equals a limit is healthy.
    smallest_ml
        Connected pieces of each of the three masks below this volume are left out.
    smooth_mm
        Full width at half height of the Gaussian that takes noise off the maps.
    leave_fluid
        Take voxels with an ADC above `FLUID` for fluid, which has no perfusion.
    tmax_unit, adc_unit
        How the values are stored; by default as the brain's median suggests.

    Raises
    ------
    UsageError
        The maps are on different grids or empty, or their units cannot be told.
    """
    maps = prepare_maps(tmax, adc, spacing, smooth_mm=smooth_mm, tmax_unit=tmax_unit, adc_unit=adc_unit, report=report)
    found = apply_limits(
        maps, spacing, tmax_s=tmax_s, adc_limit=adc_limit, smallest_ml=smallest_ml, leave_fluid=leave_fluid
    )
    report(1.0)
    return found


def _inside(image: Map, mask: Mask, spacing: Spacing, sigma: float) -> Map:
    """Smooth a map within the brain only: what lies outside has no say in it."""
    if sigma <= 0:
        return image
    weight = smoothed(mask.astype(np.float32), spacing, sigma)
    soft = smoothed(np.where(mask, image, 0).astype(np.float32), spacing, sigma)
    return np.asarray(soft / np.maximum(weight, 1e-6), dtype=np.float32)


def _large(mask: Mask, spacing: Spacing, smallest_ml: float) -> Mask:
    """Leave out connected pieces below a volume; voxels that touch at a face are one piece."""
    from scipy import ndimage

    if smallest_ml <= 0:
        return mask
    pieces, _ = ndimage.label(mask)
    sizes = np.bincount(pieces.ravel()) * float(np.prod(spacing)) / 1000
    stay = sizes >= smallest_ml
    stay[0] = False
    return np.asarray(stay[pieces])
