"""What a reader's acts cost in seconds: the written-down price list of the robot reader.

Where the figures come from:

``opening`` 10 s, ``stroke`` 4 s
    Chosen so that painting a left atrium by hand takes what was published: 218 s a case (Cho et al., JKMS
    2022;37(36):e271, 98 patients, LGE-MRI), which is one look of 10 s through the volume and one stroke of 4 s in each
    of some 50 slices.
``decision`` 2 s
    To go to a region, look, and press a key. With these three, a case with eight regions and three corrections costs
    38 s; the same study reports 37 s for correcting a good proposal. For comparison, correcting a whole heart CT took
    122 s in RootPainter3D after 923 cases (PubMed 34783028).

They are assumptions, not measurements of this program: every figure made with them names them, and each can be set on
the command line. A robot knows the truth at once and never errs, so its minutes compare orders and methods with one
another; they do not predict a person's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import BACKGROUND, UNKNOWN, LabelArray

_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds per act: opening a case and looking through it, one stroke in one slice, one decision on a region."""

    opening: float = 10.0
    stroke: float = 4.0
    decision: float = 2.0

    def seconds(self, strokes: int, decisions: int, from_nothing: int | None = None) -> float:
        """Seconds that one case takes.

        Parameters
        ----------
        from_nothing
            Strokes that painting the case from nothing takes. A proposal that is more work than that is wiped away,
            with one stroke, and not decided about; None takes it that nobody does that.
        """
        correcting = self.stroke * strokes + self.decision * decisions
        if from_nothing is not None:
            correcting = min(correcting, self.stroke * (1 + from_nothing))
        return self.opening + correcting

    def words(self) -> str:
        """Say the prices, for captions."""
        return f"{self.opening:g} s a case, {self.stroke:g} s a stroke, {self.decision:g} s a decision"


def strokes_to_paint(truth: LabelArray, grid: Grid) -> int:
    """Strokes that painting a case from nothing takes: one per connected piece of each class in each slice.

    Parameters
    ----------
    truth
        (z, y, x) on ``grid``; unknown voxels need no stroke.
    """
    values = [v for v in np.unique(truth) if v not in (BACKGROUND, UNKNOWN)]
    return sum(_pieces(truth == value, grid) for value in values)


def strokes_to_correct(wrong: npt.NDArray[np.bool_], truth: LabelArray, grid: Grid) -> int:
    """Strokes that putting wrong voxels right takes: one per connected piece of one class in each slice.

    A rim of one voxel is let be, as readers do: two of them differ by as much. The robot puts it right all the same,
    so that what is learnt from is the truth.

    Parameters
    ----------
    wrong
        (z, y, x), where the prediction is not ``truth``.
    """
    from scipy import ndimage

    total = 0
    for value in np.unique(truth[wrong]):
        places = _slices_first(wrong & (truth == value), grid)
        thick = ndimage.binary_opening(places, structure=_CROSS[None])
        total += _pieces_of(thick)
    return total


def _pieces(mask: npt.NDArray[np.bool_], grid: Grid) -> int:
    return _pieces_of(_slices_first(mask, grid))


def _pieces_of(slices: npt.NDArray[np.bool_]) -> int:
    """Connected pieces within each slice, diagonals included; slices do not connect."""
    from scipy import ndimage

    structure = np.zeros((3, 3, 3), dtype=bool)
    structure[1] = True
    return int(ndimage.label(slices, structure=structure)[1])


def _slices_first(mask: npt.NDArray[np.bool_], grid: Grid) -> npt.NDArray[np.bool_]:
    """Turn the coarsest axis, along which readers go, to the front."""
    return np.moveaxis(mask, int(np.argmax(grid.scale)), 0)
