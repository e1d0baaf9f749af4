"""Checking the cases of a study: headers first, then voxels case by case, then all cases together."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from napari_penumbra.domain.case import Role
from napari_penumbra.domain.errors import ImageError, UsageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.imaging.files import load_readers
from napari_penumbra.imaging.peek import peek
from napari_penumbra.study import checks
from napari_penumbra.study.checks import Check, Finding, SeenCase, Severity
from napari_penumbra.study.checks._base import SeenImage
from napari_penumbra.study.core import Core
from napari_penumbra.study.measuring import forget_others, keep, kept, key_of, measure
from napari_penumbra.study.schema import AnnotationTable, CaseTable, ImageTable

_ORDER = {severity: n for n, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Step:
    """How far a check is.

    Attributes
    ----------
    done, cases
        Cases that are finished, and all.
    case
        The one that has just been finished; empty before the first and after the last.
    findings
        Everything found so far, the worst first; at the end with what only all cases together show.
    over
        Whether this is the end.
    """

    done: int
    cases: int
    case: str
    findings: tuple[Finding, ...]
    over: bool = False


def check(
    core: Core, only: Collection[str] | None = None, *, voxels: bool = True, every: Sequence[Check] | None = None
) -> Iterator[Step]:
    """Check cases, one `Step` per case; closing the generator stops it after a case.

    Cases that were set aside are left out. Figures that were measured before are taken from the cache by content, and
    cases that are not asked for are compared with as far as their figures are kept.

    Parameters
    ----------
    only
        Names; None for all.
    voxels
        False looks at headers and the database alone.
    every
        Checks; None for all there are.

    Raises
    ------
    UsageError
        A name that is no case.
    """
    every = checks.every() if every is None else every
    seen = see(core, every)
    unknown = set(only or ()) - {case.name for case in seen}
    if unknown:
        raise UsageError(f'The study has no case "{min(unknown)}".', "See the case table for the names.")
    wanted = [case for case in seen if (case.role is not Role.ASIDE if only is None else case.name in only)]
    picked = {case.name for case in wanted}
    others = [case for case in seen if case.role is not Role.ASIDE and case.name not in picked]
    yield Step(0, len(wanted), "", ())
    found: list[Finding] = []
    if voxels:
        keys = {case.name: key_of(case, every) for case in (*wanted, *others)}
        for case in others:
            case.figures = kept(core, keys[case.name]) or {}
        for done, case in enumerate(_measured(core, wanted, every, keys), start=1):
            found += _judge(case, every)
            yield Step(done, len(wanted), case.name, in_order(found))
        if only is None:
            forget_others(core, set(keys.values()))
    else:
        for case in wanted:
            found += _judge(case, every)
    places = {case.name: n for n, case in enumerate(seen)}
    together = sorted((*wanted, *others), key=lambda case: places[case.name])
    for one in every:
        found += [finding for finding in one.judge_cohort(together) if finding.case in picked]
    yield Step(len(wanted), len(wanted), "", in_order(found), over=True)


def in_order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Sort the worst first; within a severity as found."""
    return tuple(sorted(findings, key=lambda finding: _ORDER[finding.severity]))


def _judge(case: SeenCase, every: Sequence[Check]) -> list[Finding]:
    return [finding for one in every for finding in one.judge(case)]


def see(core: Core, every: Sequence[Check]) -> list[SeenCase]:
    """Look at all cases: the database, and the first and last bytes of every image."""
    load_readers()
    with core.db.read() as session:
        rows = list(session.scalars(select(CaseTable).order_by(CaseTable.id)))
        images: dict[int, dict[str, ImageTable]] = {}
        for image in session.scalars(select(ImageTable)):
            images.setdefault(image.case_id, {})[image.modality] = image
        live = session.execute(
            select(AnnotationTable.case_id, AnnotationTable.path)
            .where(AnnotationTable.withdrawn.is_(None))
            .order_by(AnnotationTable.revision)
        ).all()
    labels = {int(row.case_id): str(row.path) for row in live}  # the newest wins
    return [_see(core, row, images.get(row.id, {}), labels.get(row.id)) for row in rows]


def _see(core: Core, row: CaseTable, images: dict[str, ImageTable], label: str | None) -> SeenCase:
    order = [m for m in core.manifest.modalities if m in images]
    return SeenCase(
        name=row.name,
        slug=row.slug,
        role=Role(row.role),
        grid=Grid.from_json(row.grid),
        source_grid=Grid.from_json(row.source_grid),
        images={m: _see_image(core, images[m]) for m in order},
        missing=tuple(m for m in core.manifest.modalities if m not in images),
        label=label,
        label_content=_content(core, label),
        scheme=core.manifest.labels,
    )


def _see_image(core: Core, row: ImageTable) -> SeenImage:
    try:
        found = peek(core.layout.absolute(row.path))
    except ImageError as error:
        return SeenImage(row.modality, row.path, row.resampled_mm, problem=error.message, remedy=error.remedy)
    return SeenImage(row.modality, row.path, row.resampled_mm, found.grid, found.content)


def _content(core: Core, label: str | None) -> str:
    if label is None:
        return ""
    try:
        return peek(core.layout.absolute(label)).content
    except ImageError as error:
        return error.message


def _measured(
    core: Core, wanted: Sequence[SeenCase], every: Sequence[Check], keys: dict[str, str]
) -> Iterator[SeenCase]:
    """Yield cases with their figures: those that are kept first, then the others, one after another.

    One at a time on purpose: two would hold twice the memory, and take both cores of a small machine from the reader.
    """
    rest: list[SeenCase] = []
    for case in wanted:
        figures = kept(core, keys[case.name])
        if figures is None:
            rest.append(case)
            continue
        case.figures = figures
        yield case
    for case in rest:
        case.figures = measure(core, case, every)
        keep(core, keys[case.name], case.figures)
        yield case
