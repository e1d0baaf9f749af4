"""Penumbra by mismatch: delayed perfusion less restricted diffusion.

Tissue whose Tmax is above 6 s counts as hypoperfused, tissue whose ADC is below 600e-6 mm²/s as core, and the penumbra
is the first less the second: the definition behind the SPES labels, as told in "COL-Net" (Frontiers in Neurology 2022,
section 3.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import BACKGROUND, LabelArray
from napari_penumbra.imaging.edits._brain import brain_mask
from napari_penumbra.imaging.edits._growing import smoothed
from napari_penumbra.imaging.edits._maps import adc_factor, find_name, tmax_factor
from napari_penumbra.imaging.edits.base import (
    Edit,
    Options,
    Over,
    Report,
    Scene,
    Tool,
    edit_of,
    option,
    over_option,
    silent,
)
from napari_penumbra.imaging.edits.boxes import Mask, Spacing, whole

TMAX_S = 6.0
ADC_LIMIT = 600.0
FLUID = 1800.0
"""ADC in 1e-6 mm²/s above which a voxel is fluid and not tissue: the delay cannot be measured there."""
GUESS = "from the values"


class MismatchOptions(Options):
    """What the reader may choose."""

    tmax_s: float = option(TMAX_S, "Tmax above", "Perfusion counts as restricted from this delay on.",
                           unit="s", ge=1, le=15)  # fmt: skip
    adc: float = option(ADC_LIMIT, "ADC below", "Diffusion counts as restricted below this value.",
                        unit="10⁻⁶ mm²/s", ge=200, le=1000)  # fmt: skip
    smallest_ml: float = option(1.0, "Smallest piece", "Pieces below this volume are noise.",
                                unit="ml", ge=0, le=10)  # fmt: skip
    anew: bool = option(
        False, "Replace both classes", "What is painted as core or penumbra now goes where the maps say no."
    )
    tmax_of: str = option(
        "", "Tmax", "The modality that holds Tmax.", kind="modality", none="choose the Tmax map", more=True
    )
    adc_of: str = option(
        "", "ADC", "The modality that holds ADC.", kind="modality", none="choose the ADC map", more=True
    )
    penumbra: int = option(
        0, "Penumbra as", "The class of the penumbra.", kind="class", none="choose a class", more=True, ge=0, le=255
    )
    core: int = option(
        0, "Core as", "The class of the core.", kind="class", none="choose a class", more=True, ge=0, le=255
    )
    smooth_mm: float = option(
        2.0, "Smooth maps", "Takes the noise off both maps first.", unit="mm", more=True, ge=0, le=8
    )
    fluid: bool = option(True, "Leave fluid out", f"Voxels with an ADC above {FLUID:.0f} are no tissue.", more=True)
    tmax_unit: Literal["from the values", "s", "0.1 s", "ms"] = option(
        GUESS, "Unit of Tmax", "How delays are stored.", more=True
    )
    adc_unit: Literal["from the values", "1e-6 mm²/s", "1e-5 mm²/s", "1e-3 mm²/s", "mm²/s"] = option(
        GUESS, "Unit of ADC", "How diffusion is stored.", more=True
    )
    over: Over = over_option(more=True)


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


def find_mismatch(
    tmax: npt.NDArray[np.float32],
    adc: npt.NDArray[np.float32],
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
    if tmax.shape != adc.shape:
        raise UsageError("Tmax and ADC are not on one grid.", "Add the case again with its modalities resampled.")
    for name, values in (("Tmax", tmax), ("ADC", adc)):
        if not values.any():
            raise UsageError(f"{name} is empty.", "Choose another modality.")
    brain = brain_mask({"Tmax": tmax, "ADC": adc}, spacing)
    to_s, tmax_words = tmax_factor(tmax[brain.mask], tmax_unit)
    to_e6, adc_words = adc_factor(adc[brain.mask], adc_unit)
    report(0.3)
    sigma = smooth_mm / 2.3548
    diffusion = _inside(adc, brain.mask, spacing, sigma) * to_e6
    tissue = brain.mask & (adc > 0)
    if leave_fluid:
        tissue &= diffusion <= FLUID
    perfusion = _large((_inside(tmax, brain.mask, spacing, sigma) * to_s > tmax_s) & tissue, spacing, smallest_ml)
    report(0.6)
    core = _large((diffusion < adc_limit) & tissue, spacing, smallest_ml)
    report(0.8)
    penumbra = _large(perfusion & ~core, spacing, smallest_ml)
    report(1.0)
    ml = float(np.prod(spacing)) / 1000
    core_ml, penumbra_ml, all_ml = (float(np.count_nonzero(mask)) * ml for mask in (core, penumbra, perfusion))
    notes = tuple(filter(None, (brain.words, tmax_words, adc_words)))
    return Mismatch(core, penumbra, core_ml, penumbra_ml, all_ml, notes)


def _inside(image: npt.NDArray[np.float32], mask: Mask, spacing: Spacing, sigma: float) -> npt.NDArray[np.float32]:
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


def mismatch_edit(
    labels: LabelArray,
    found: Mismatch,
    *,
    core: int,
    penumbra: int,
    anew: bool = False,
    over: Over = Over.BACKGROUND,
    names: Mapping[int, str] | None = None,
) -> Edit:
    """Make the edit that paints a mismatch; the two classes may be written over each other only when ``anew``.

    Parameters
    ----------
    labels
        (z, y, x) uint8, not changed.
    core, penumbra
        Label values.
    anew
        What is painted as one of the two classes and is neither now becomes background.
    """
    own = (core, penumbra)
    wanted = np.where(np.isin(labels, own), BACKGROUND, labels) if anew else labels.copy()
    wanted[found.penumbra] = penumbra
    wanted[found.core] = core
    ratio = found.ratio
    figures = {
        "core": f"{found.core_ml:.1f} ml",
        "penumbra": f"{found.penumbra_ml:.1f} ml",
        "ratio": "– (no core)" if ratio is None else f"{ratio:.1f}",
    }
    perfusion = f"Delayed perfusion, core included: {found.hypoperfused_ml:.1f} ml; the ratio is this over the core."
    return edit_of(
        labels, whole(labels.shape), wanted.astype(np.uint8), over=over, own=own if anew else (), names=names,
        notes=(perfusion, *found.notes), figures=figures,
    )  # fmt: skip


def _prepare(scene: Scene) -> dict[str, Any]:
    by_name = {name: value for value, name in scene.classes.items()}
    return {
        "tmax_of": find_name("Tmax", scene.images),
        "adc_of": find_name("ADC", scene.images),
        "core": by_name.get(find_name("core", by_name), 0),
        "penumbra": by_name.get(find_name("penumbra", by_name), 0),
    }


def _why_not(images: Mapping[str, Any], predicted: bool) -> str:
    return "" if len(images) > 1 else "It takes two modalities, Tmax and ADC; this case has one."


def _run(scene: Scene, options: MismatchOptions, report: Report) -> Edit:
    for role, name in (("Tmax", options.tmax_of), ("ADC", options.adc_of)):
        if not name:
            raise UsageError(f"None of the modalities is named like {role}.", f"Choose which one is {role}.")
    if options.core == options.penumbra or not options.core or not options.penumbra:
        raise UsageError(
            "Core and penumbra need a class each.", "Choose the classes under “Penumbra as” and “Core as”."
        )
    found = find_mismatch(
        scene.image(options.tmax_of),
        scene.image(options.adc_of),
        scene.spacing,
        tmax_s=options.tmax_s,
        adc_limit=options.adc,
        smallest_ml=options.smallest_ml,
        smooth_mm=options.smooth_mm,
        leave_fluid=options.fluid,
        tmax_unit=options.tmax_unit,
        adc_unit=options.adc_unit,
        report=report,
    )
    return mismatch_edit(
        scene.labels,
        found,
        core=options.core,
        penumbra=options.penumbra,
        anew=options.anew,
        over=options.over,
        names=scene.classes,
    )


TOOL = Tool(
    key="mismatch",
    title="Mismatch",
    tip="Penumbra and core from Tmax and ADC: delayed perfusion less restricted diffusion.",
    options=MismatchOptions,
    run=_run,
    shortcut="Shift+T",
    prepare=_prepare,
    why_not=_why_not,
)
