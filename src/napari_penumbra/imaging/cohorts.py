"""The simulated cohorts by name: what the sample studies, the demo and the benchmarks draw their cases from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.imaging import phantom, phantom_atrium, phantom_lesions2d, phantom_pelvis
from napari_penumbra.imaging.phantom import PhantomCase


@dataclass(frozen=True, slots=True)
class Cohort:
    """One generator of simulated cases.

    Attributes
    ----------
    key
        Name for commands and files.
    title
        What a study of it is called; says that it is simulated.
    case
        First part of the cases' names.
    modalities
        In order.
    labels
        Label value to name.
    make
        Seed to case; seeds from 1000 on are for tuning.
    """

    key: str
    title: str
    case: str
    modalities: tuple[str, ...]
    labels: Mapping[int, str]
    make: Callable[[int], PhantomCase]


COHORTS: tuple[Cohort, ...] = (
    Cohort("stroke", "Stroke cohort (simulated)", "stroke", phantom.MODALITIES, phantom.LABELS, phantom.make_case),
    Cohort(
        "atrium", "Left atrium cohort (simulated)", "atrium", phantom_atrium.MODALITIES, phantom_atrium.LABELS,
        phantom_atrium.make_case,
    ),
    Cohort(
        "pelvis", "Pelvis cohort (simulated)", "pelvis", phantom_pelvis.MODALITIES, phantom_pelvis.LABELS,
        phantom_pelvis.make_case,
    ),
    Cohort(
        "lesions-2d", "Lesion pictures (simulated)", "lesion", phantom_lesions2d.MODALITIES, phantom_lesions2d.LABELS,
        phantom_lesions2d.make_case,
    ),
)  # fmt: skip


def cohort(key: str) -> Cohort:
    """Find a cohort by its key; raises `UsageError` in words when there is none."""
    for one in COHORTS:
        if one.key == key:
            return one
    raise UsageError(f'There is no simulated cohort "{key}".', f"Choose among {', '.join(one.key for one in COHORTS)}.")
