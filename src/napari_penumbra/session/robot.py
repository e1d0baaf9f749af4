"""A reader that knows the answer: paints from reference labels, corrects predictions, and counts what that took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.case import Closing, Role, Verdict
from napari_penumbra.domain.errors import PenumbraError, UsageError
from napari_penumbra.domain.labels import UNKNOWN, LabelArray
from napari_penumbra.domain.regions import Region
from napari_penumbra.session import Session
from napari_penumbra.session.reader_cost import Costs, strokes_to_correct, strokes_to_paint
from napari_penumbra.session.scoring import read_truth, reference_file
from napari_penumbra.study.store import Study


@dataclass(frozen=True, slots=True)
class Work:
    """What one case took.

    Attributes
    ----------
    case
        Its name.
    corrected
        Voxels that the robot changed: of a prediction those that were wrong, of an empty case its whole foreground.
    painted
        Voxels that painting the case from nothing takes: its foreground.
    offered
        Regions that the review would have shown.
    touched
        Regions in which something had to be changed; for an empty case its connected pieces.
    outside
        Corrected voxels that lie in none of the offered regions: a reader who trusts the list misses them.
    strokes
        Strokes of a brush that it took; see `reader_cost`.
    strokes_from_nothing
        Strokes that painting the case from nothing takes; None for a case that was painted.
    """

    case: str
    corrected: int
    painted: int
    offered: int
    touched: int
    outside: int
    strokes: int = 0
    strokes_from_nothing: int | None = None


class Robot:
    """Answers from reference labels, with the reader's own commands.

    Parameters
    ----------
    session
        With the study open for writing.
    truth
        Case to reference file; only these cases can be asked for.
    costs
        What each act takes; the seconds are booked with the cases.
    """

    def __init__(self, session: Session, truth: dict[str, Path], costs: Costs | None = None) -> None:
        self.session = session
        self.truth = truth
        self.costs = costs if costs is not None else Costs()

    def reference(self, name: str) -> LabelArray:
        """Read the true labels of a case, (z, y, x) on its grid."""
        return read_truth(self.session.opened(), name, self.truth[name])

    def paint(self, name: str) -> Work:
        """Paint a case from nothing and close it; a case that was closed before is only counted."""
        truth = self.reference(name)
        strokes = strokes_to_paint(truth, self.session.opened().grid(name))
        if not self._done(name):
            self.session.close_case(name, truth, Closing.COMPLETE, self.costs.seconds(strokes, 0))
        voxels = _foreground(truth)
        return Work(name, voxels, voxels, 0, _pieces(truth), voxels, strokes)

    def correct(self, name: str) -> Work:
        """Decide on every offered region of a case's newest prediction, make it the truth and accept it.

        A case that was accepted before (a simulation that was interrupted just then) is only counted.

        Raises
        ------
        UsageError
            The case has no prediction.
        """
        truth = self.reference(name)
        predicted = self.session.load(name).predicted
        if predicted is None:
            raise UsageError(f"{name} has no prediction to correct.", "Predict it first.")
        wrong = (predicted != truth) & (truth != UNKNOWN)
        regions = self.session.regions(name)
        touched = [region for region in regions if wrong[region.slices][region.mask].any()]
        grid = self.session.opened().grid(name)
        strokes, anew = strokes_to_correct(wrong, truth, grid), strokes_to_paint(truth, grid)
        if not self._done(name):
            for region in regions:
                fixed = any(region is other for other in touched)
                self.session.decide(name, region, Verdict.FIXED if fixed else Verdict.ACCEPT)
            self.session.accept(name, truth, seconds=self.costs.seconds(strokes, len(regions), anew))
        return Work(
            name,
            corrected=int(wrong.sum()),
            painted=_foreground(truth),
            offered=len(regions),
            touched=len(touched),
            outside=int(_outside(wrong, touched).sum()),
            strokes=strokes,
            strokes_from_nothing=anew,
        )

    def _done(self, name: str) -> bool:
        return self.session.opened().case(name).state.labelled


def references(study: Study, folder: Path | None) -> dict[str, Path]:
    """Find the reference labels of a study's cases.

    Parameters
    ----------
    folder
        Label files named like the cases; None takes what readers of the study have closed as complete.

    Raises
    ------
    UsageError
        There is no such folder.
    """
    if folder is not None and not folder.is_dir():
        raise UsageError(f"The reference folder {folder} does not exist.", "Name a folder of label files.")
    found = {}
    for row in study.cases():
        file = reference_file(folder, row.name) if folder is not None else _closed(study, row.name)
        if file is not None:
            found[row.name] = file
    return found


def _closed(study: Study, name: str) -> Path | None:
    revisions = study.annotations(name)
    if not revisions or revisions[-1].closing is not Closing.COMPLETE:
        return None
    return study.layout.absolute(revisions[-1].path)


def copy_cases(source: Study, session: Session) -> list[str]:
    """Add the images of every case of ``source`` to the open study, without labels, in the same order.

    Cases that are there already (a copy that was interrupted) are passed over, and so are cases whose images cannot be
    read. Held-out roles are not copied.

    Returns
    -------
    list of str
        Why cases were passed over, one sentence each.
    """
    target = session.writable()
    known, problems = {row.name for row in target.cases()}, []
    images = {case.name: case.images for case in source.pool()}
    for row in source.cases():
        if row.name in known:
            continue
        files = images.get(row.name)
        if files is None:  # a frozen case whose label was taken back: the pool does not list it
            problems.append(f"{row.name} was left out: it is frozen for validation but has no label.")
            continue
        given = {m: source.layout.absolute(f) for m, f in zip(source.modalities, files, strict=True) if f is not None}
        try:
            session.add_case(row.name, given)
        except PenumbraError as error:
            problems.append(f"{row.name} was left out: {error.message}")
    return problems


def set_roles(study: Study, names: Sequence[str], role: Role) -> None:
    """Give cases a role where they have another."""
    roles = {row.name: row.role for row in study.cases()}
    for name in names:
        if roles[name] is not role:
            study.set_role(name, role)


def _foreground(labels: LabelArray) -> int:
    return int(((labels > 0) & (labels != UNKNOWN)).sum())


def _pieces(labels: LabelArray) -> int:
    from scipy import ndimage

    foreground = (labels > 0) & (labels != UNKNOWN)
    return int(ndimage.label(foreground, structure=np.ones((3, 3, 3), dtype=bool))[1])


def _outside(wrong: npt.NDArray[np.bool_], touched: Sequence[Region]) -> npt.NDArray[np.bool_]:
    rest = wrong.copy()
    for region in touched:
        inside = rest[region.slices]  # a view: writing to it writes to the copy
        inside[region.mask] = False
    return rest
