"""Whether all images of the case lie on one grid."""

from __future__ import annotations

from collections.abc import Iterable

from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging.resample import displacement_mm
from napari_penumbra.study.checks._base import Check, Finding, Offer, Picture, SeenCase, Severity

MUCH_MM = 20.0
"""A scan that was brought onto another box by more than this covers another part of the patient."""


class Grids(Check):
    """An image whose grid is not the case's: a file was exchanged by hand."""

    code = "grids"
    title = "One grid per case"
    about = (
        "Shape and placement in every header against the case's, to a tenth of a voxel. A scan whose box lay more than "
        f"{MUCH_MM:.0f} mm from the first modality's when the case was added is named, too."
    )
    voxels = False

    def judge(self, case: SeenCase) -> Iterable[Finding]:
        """Compare headers."""
        for image in case.readable:
            assert image.grid is not None  # readable
            if not same_grid(image.grid, case.grid):
                yield self.found(
                    case,
                    Severity.WRONG,
                    f"{image.modality} does not lie on the grid of {case.first}: {difference(image.grid, case.grid)}.",
                    "Resample it, or put the file back that the study wrote.",
                    modality=image.modality,
                    offers=(Offer("resample", image.modality), Offer("aside")),
                )
            elif image.moved_mm > MUCH_MM:
                yield self.found(
                    case,
                    Severity.NOTE,
                    f"{image.modality} covered another box than {case.first}: its corners lay up to "
                    f"{image.moved_mm:.0f} mm away when the case was added.",
                    "Where it did not reach it counts as 0; check that the part you label is covered.",
                    modality=image.modality,
                    other=case.first,
                    picture=Picture.PAIR,
                )


def same_grid(a: Grid, b: Grid) -> bool:
    """Whether two grids are the same to a tenth of a voxel, whichever way their axes run."""
    near = 0.1 * min(b.spacing)
    return a.same_place(b, near) or a.reorientation().target.same_place(b.reorientation().target, near)


def difference(a: Grid, b: Grid) -> str:
    """Say how two grids differ."""
    one, other = a.reorientation().target, b.reorientation().target
    if one.shape != other.shape:
        return f"{'×'.join(map(str, one.shape))} instead of {'×'.join(map(str, other.shape))} voxels"
    return f"up to {displacement_mm(a, b):.1f} mm apart"
