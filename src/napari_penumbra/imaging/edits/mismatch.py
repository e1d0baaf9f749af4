"""Penumbra by mismatch: delayed perfusion less restricted diffusion.

Tissue whose Tmax is above 6 s counts as hypoperfused, tissue whose ADC is below 600e-6 mm²/s as core, and the penumbra
is the first less the second: the definition behind the SPES labels, as told in "Co-optimization Learning Network for
MRI Segmentation of Ischemic Penumbra Tissues" (Frontiers in Neuroinformatics 15, 2021, section 3.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import BACKGROUND, LabelArray
from napari_penumbra.imaging.edits._maps import find_name
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
)
from napari_penumbra.imaging.edits.boxes import whole
from napari_penumbra.imaging.edits.perfusion import (
    ADC_LIMIT,
    FLUID,
    GUESS,
    TMAX_S,
    LastMaps,
    Mismatch,
    apply_limits,
)

_last = LastMaps()


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
    tmax_unit: Literal["automatic", "s", "0.1 s", "ms"] = option(
        GUESS, "Unit of Tmax", "How delays are stored.", more=True
    )
    adc_unit: Literal["automatic", "1e-6 mm²/s", "1e-5 mm²/s", "1e-3 mm²/s", "mm²/s"] = option(
        GUESS, "Unit of ADC", "How diffusion is stored.", more=True
    )
    over: Over = over_option(more=True)


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
    maps = _last.prepare(
        scene.image(options.tmax_of),
        scene.image(options.adc_of),
        scene.spacing,
        options.smooth_mm,
        options.tmax_unit,
        options.adc_unit,
        report,
    )
    report(0.9)
    found = apply_limits(
        maps,
        scene.spacing,
        tmax_s=options.tmax_s,
        adc_limit=options.adc,
        smallest_ml=options.smallest_ml,
        leave_fluid=options.fluid,
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
