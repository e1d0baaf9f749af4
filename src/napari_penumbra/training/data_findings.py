"""What the worker finds in its order and in the labels before the first step."""

from __future__ import annotations

from collections.abc import Mapping

from napari_penumbra.domain.diagnosis import Finding, find_in_labels, find_missing, leak_findings
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.inference.plan import Plan
from napari_penumbra.methods._base import IGNORE


def find_in_data(
    spec: RunSpec, plan: Plan, voxels: Mapping[str, Mapping[int, int]], leaks: Mapping[str, str]
) -> list[Finding]:
    """List what may keep a training from learning.

    Parameters
    ----------
    voxels
        Labelled case to voxels per class index, of those that can be read.
    leaks
        Cases left out because they are the same scan as a frozen one: name to the frozen case's name.
    """
    lacking: dict[str, list[str]] = {}
    for case in spec.cases:
        for modality, path in zip(spec.modalities, case.images, strict=True):
            if path is None:
                lacking.setdefault(modality, []).append(case.name)
    values = {0: 0, IGNORE: IGNORE} | {n + 1: value for n, value in enumerate(plan.values)}
    counts = {name: {values[c]: n for c, n in present.items()} for name, present in voxels.items()}
    return [*leak_findings(leaks), *find_in_labels(counts, spec.labels), *find_missing(lacking)]
