"""Read a case of a `RunSpec` from the study's files, with problems told by the case's name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from napari_penumbra.domain.errors import GeometryError, ModelError
from napari_penumbra.domain.labels import LabelArray, LabelScheme
from napari_penumbra.domain.spec import RunSpec, SpecCase
from napari_penumbra.imaging.files import read_image, read_labels
from napari_penumbra.inference.plan import FloatVolume, Plan, prepare, resize_labels


def check_fit(plan: Plan, spec: RunSpec) -> None:
    """Raise `ModelError` in words when a model was trained for other modalities or labels than the study has."""
    missing = [m for m in plan.modalities if m not in spec.modalities]
    if missing:
        raise ModelError(
            f"The model needs {', '.join(missing)}, which this study does not have.", "Train a model in this study."
        )
    if set(plan.values) != set(spec.labels.values):
        raise ModelError(
            f"The model knows the label values {_listed(plan.values)}, the study has {_listed(spec.labels.values)}.",
            "Train a model in this study.",
        )


def _listed(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values))


def read_case_images(root: Path, case: SpecCase, modalities: tuple[str, ...], plan: Plan) -> Tensor:
    """Read and prepare one case.

    Parameters
    ----------
    root
        The study's folder.
    modalities
        The study's, in the order of ``case.images``.

    Returns
    -------
    Tensor
        (C, z, y, x) float32 on the plan's grid of this case, slice axis first.

    Raises
    ------
    ImageError, GeometryError
        A file is missing, damaged or on another grid than the study says.
    """
    paths = dict(zip(modalities, case.images, strict=True))
    volumes = (_read_modality(root, case, paths[m]) for m in plan.modalities)
    turned = [None if v is None else np.ascontiguousarray(plan.turn(v)) for v in volumes]
    return prepare(turned, plan.shape_of(case.grid))


def _read_modality(root: Path, case: SpecCase, path: str | None) -> FloatVolume | None:
    if path is None:
        return None
    volume = read_image(root / path).volume
    if not volume.grid.same_place(case.grid, _TOLERANCE_MM):
        raise GeometryError(
            f"An image of case {case.name} no longer lies on the case's grid.", "Add the case to the study again."
        )
    return volume.data.astype(np.float32, copy=False)


def read_case_labels(root: Path, case: SpecCase, scheme: LabelScheme, plan: Plan) -> LabelArray:
    """Read one case's annotation as class indices on the plan's grid, slice axis first; 255 where unknown.

    Raises
    ------
    ImageError, GeometryError, LabelError
        The file is missing or damaged, on another grid, or holds values outside the scheme.
    """
    if case.label is None:
        raise ModelError(f"Case {case.name} has no annotation.", "Annotate it or leave it out of the labelled cases.")
    volume = read_labels(root / case.label).volume
    if not volume.grid.same_place(case.grid, _TOLERANCE_MM):
        raise GeometryError(
            f"The annotation of case {case.name} does not lie on the grid of its images.", "Open the case and save it."
        )
    labels = scheme.check(volume.data, f"The annotation of case {case.name}")
    return resize_labels(np.ascontiguousarray(plan.turn(plan.to_classes(labels))), plan.shape_of(case.grid))


_TOLERANCE_MM = 0.01
"""NIfTI keeps its affine in float32: far from the origin that rounds by some micrometres."""
