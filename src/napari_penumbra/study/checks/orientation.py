"""Whether the patient was scanned as the others were."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from napari_penumbra.domain.grid import Grid
from napari_penumbra.study.checks._base import Check, Finding, SeenCase, Severity

SHEAR = 1e-2
OBLIQUE_DEGREES = 30.0
SHARE = 0.8
FEWEST = 5


class Orientation(Check):
    """Skewed or strongly turned axes, and slices cut in another direction than in the other cases.

    Labels always lie on the file's own grid: nothing here makes a case useless.
    """

    code = "orientation"
    title = "Orientation"
    about = (
        f"Axes more than {math.degrees(SHEAR):.1f}° off a right angle, a scan turned by more than "
        f"{OBLIQUE_DEGREES:.0f}° against the patient, and slices cut in another direction than in {SHARE:.0%} of the "
        f"cases (from {FEWEST} cases on)."
    )
    voxels = False

    def judge(self, case: SeenCase) -> Iterable[Finding]:
        """Look at one case's own axes."""
        if case.grid.shear > SHEAR:
            degrees = math.degrees(math.asin(min(1.0, case.grid.shear)))
            yield self.found(
                case,
                Severity.NOTE,
                f"Its axes are skewed by {degrees:.0f}°, as with a tilted gantry; it is drawn as if they were not.",
                "Labels lie on the right millimetres all the same.",
            )
        turned = turn_degrees(case.grid)
        if turned > OBLIQUE_DEGREES:
            yield self.found(
                case,
                Severity.NOTE,
                f"It is turned by {turned:.0f}° against the patient's axes.",
                "It is drawn along its own axes; labels lie on the right millimetres.",
            )

    def judge_cohort(self, cases: Sequence[SeenCase]) -> Iterable[Finding]:
        """Compare the direction of the slices."""
        scans = [case for case in cases if not case.source_grid.is_picture]
        if len(scans) < FEWEST:
            return
        directions = {case.name: slices_along(case.source_grid) for case in scans}
        usual, count = Counter(directions.values()).most_common(1)[0]
        if count < SHARE * len(scans):
            return
        for case in scans:
            if directions[case.name] != usual:
                yield self.found(
                    case,
                    Severity.LOOK,
                    f"Its slices are {directions[case.name]}, those of the other cases {usual}.",
                    "A network that learns by slices sees another picture; check that it is the same kind of scan.",
                )


def slices_along(grid: Grid) -> str:
    """Name the plane of a scan's slices: the one across its longest voxel edge, the third axis if all are alike."""
    edges = grid.spacing
    longest = int(np.argmax(edges))
    if edges[longest] < 1.05 * min(edges):
        longest = 2
    return {"R": "sagittal", "L": "sagittal", "A": "coronal", "P": "coronal"}.get(grid.axes()[longest], "axial")


def turn_degrees(grid: Grid) -> float:
    """Largest angle between a voxel axis and the patient axis that it follows."""
    unit = np.abs(grid.matrix[:3, :3] / np.asarray(grid.spacing))
    return math.degrees(math.acos(min(1.0, float(unit.max(axis=0).min()))))
