"""Files of several volumes in a plan: refused, a modality each, or a case each. Only what was asked for is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from napari_penumbra.domain.colour import sources
from napari_penumbra.imaging.files import frames_of, lacks_spacing
from napari_penumbra.study.importers.folder import FolderPlan, PlannedCase

Spacing = tuple[float, float, float]


class Split(StrEnum):
    """What becomes of a file with several volumes."""

    REFUSE = "refuse"
    CHANNELS = "channels"
    """Each volume is a modality, in the study's order."""
    TIME = "time"
    """Each volume is a case of its own, named by its number."""


def look_inside(
    plan: FolderPlan, modalities: Sequence[str], split: Split = Split.REFUSE, spacing: Spacing | None = None
) -> FolderPlan:
    """Look at the headers of a plan's files, split what holds several volumes, and note what has no voxel size.

    Parameters
    ----------
    spacing
        Edge lengths along x, y, z in mm for files that do not say them.
    """
    counts: dict[Path, int] = {}
    for case in plan.cases:
        for path in case.images.values():
            if path not in counts:
                counts[path] = frames_of(path)
    cases: list[PlannedCase] = []
    for case in plan.cases:
        cases += _split(case, counts, modalities, split)
    notes = list(plan.notes)
    several = sorted({path.name for path, n in counts.items() if n > 1})
    if several and split is Split.REFUSE:
        notes.append(_refused(several))
    unsized = [path for path in counts if lacks_spacing(path)]
    if unsized and spacing is None:
        notes.append(_unsized([path.name for path in unsized]))
    if spacing is not None:
        cases = [replace(case, hints=replace(case.hints, spacing=spacing)) for case in cases]
    return FolderPlan(tuple(cases), plan.unused, tuple(notes))


def _split(case: PlannedCase, counts: dict[Path, int], modalities: Sequence[str], split: Split) -> list[PlannedCase]:
    mine = {modality: counts[path] for modality, path in case.images.items()}
    most = max(mine.values())
    if most == 1 or case.hints.frames:
        return [case]
    if split is Split.CHANNELS:
        return [_channels(case, most, modalities)]
    if split is Split.TIME:
        return _times(case, mine, most)
    return [replace(case, problem=f"holds {most} volumes: say how to split it")]


def _channels(case: PlannedCase, count: int, modalities: Sequence[str]) -> PlannedCase:
    wanted, files = sources(modalities), set(case.images.values())
    if len(files) > 1 or len(wanted) != count:
        words = f"holds {count} volumes, the study has {len(wanted)} modalities"
        return replace(case, problem=words if len(files) == 1 else "several files, one of them of several volumes")
    (path,) = files
    frames = {modality: n for n, modality in enumerate(wanted)}
    return replace(case, images=dict.fromkeys(wanted, path), hints=replace(case.hints, frames=frames))


def _times(case: PlannedCase, mine: dict[str, int], count: int) -> list[PlannedCase]:
    if set(mine.values()) - {1, count}:
        return [replace(case, problem=f"files of {' and '.join(map(str, sorted(set(mine.values()))))} volumes")]
    made = []
    for n in range(count):
        frames = {modality: n for modality, frames in mine.items() if frames == count}
        # Whose time the mask belongs to is not known: it is not given to all.
        problem = "its mask is left out: of which volume is it?" if case.label is not None and n == 0 else ""
        name = f"{case.name}_t{n + 1:0{len(str(count))}d}"
        made.append(replace(case, name=name, label=None, hints=replace(case.hints, frames=frames), problem=problem))
    return made


def _refused(several: Sequence[str]) -> str:
    more = f" and {len(several) - 1} more hold" if len(several) > 1 else " holds"
    return (
        f"{several[0]}{more} several volumes and will be refused. Say what they are: each volume a modality "
        "(--split-4d channels), or a case of its own (--split-4d time)."
    )


def _unsized(names: Sequence[str]) -> str:
    more = f" and {len(names) - 1} more do" if len(names) > 1 else " does"
    return (
        f"{names[0]}{more} not say how large the voxels are: 1 mm is assumed unless you state it "
        "(--spacing x,y,z in mm)."
    )
