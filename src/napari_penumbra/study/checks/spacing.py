"""Whether the voxels are of a sensible size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from napari_penumbra.study.checks._base import Check, Finding, Offer, SeenCase, Severity

SMALLEST_MM, LARGEST_MM = 0.05, 25.0
NARROWEST_MM, WIDEST_MM = 20.0, 2500.0
FACTOR = 3.0
FEWEST = 5


class Spacing(Check):
    """Voxel sizes that no scanner gives, and cases unlike the others."""

    code = "spacing"
    title = "Voxel size"
    about = (
        f"A voxel edge below {SMALLEST_MM} or above {LARGEST_MM:.0f} mm, a scan less than {NARROWEST_MM:.0f} or more "
        f"than {WIDEST_MM:.0f} mm wide (a header in other units), an edge {FACTOR:.0f} times longer or shorter than in "
        f"the middle case (from {FEWEST} cases on), a single slice among volumes. Pictures have no millimetres."
    )
    voxels = False

    def judge(self, case: SeenCase) -> Iterable[Finding]:
        """Look at one case's own grid."""
        grid = case.grid
        if grid.is_picture:
            return
        smallest, largest = min(grid.spacing), max(grid.spacing)
        wide = max(n * s for n, s in zip(grid.shape, grid.spacing, strict=True))
        size = " × ".join(f"{s:.3g}" for s in grid.spacing)
        if smallest < SMALLEST_MM or largest > LARGEST_MM or not NARROWEST_MM <= wide <= WIDEST_MM:
            yield self.found(
                case,
                Severity.LOOK,
                f"The voxels measure {size} mm and the scan {wide:.4g} mm: this is hardly a patient's.",
                "Perhaps the header counts in other units: correct the file and add the case again.",
                offers=(Offer("aside"),),
            )

    def judge_cohort(self, cases: Sequence[SeenCase]) -> Iterable[Finding]:
        """Compare with the middle case."""
        scans = [case for case in cases if not case.grid.is_picture]
        if len(scans) < FEWEST:
            return
        middle = [median(case.grid.spacing[axis] for case in scans) for axis in range(3)]
        flat = median(case.grid.shape[2] for case in scans) == 1
        for case in scans:
            off = [(axis, s) for axis, s in enumerate(case.grid.spacing) if not 1 / FACTOR < s / middle[axis] < FACTOR]
            if case.grid.shape[2] == 1 and not flat:
                yield self.found(
                    case, Severity.LOOK, "It has one slice, the others are volumes.", offers=(Offer("aside"),)
                )
            elif off:
                axis, edge = off[0]
                name = ("from right to left", "from front to back", "from slice to slice")[axis]
                yield self.found(
                    case,
                    Severity.LOOK,
                    f"Its voxels measure {edge:.3g} mm {name}; in the middle case it is {middle[axis]:.3g} mm.",
                    "Check that it is the same kind of scan.",
                    offers=(Offer("aside"),),
                )
