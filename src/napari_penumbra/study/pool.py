"""What a worker may learn from: labelled, unlabelled and validation cases, and the freezing of the last."""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from napari_penumbra.domain.case import Closing, Role
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.spec import SpecCase
from napari_penumbra.study.core import Core, case_of
from napari_penumbra.study.revisions import is_closed
from napari_penumbra.study.schema import AnnotationTable, CaseTable, ImageTable

SHARE = 0.2
"""Of the complete labelled cases, how many are frozen for validation when nobody says."""
FEWEST = 4
"""Below this many complete labelled cases none is taken away from training unasked."""


def pool(core: Core, only: Collection[str] | None) -> tuple[SpecCase, ...]:
    """List cases for a `RunSpec`; see `store.Study.pool`."""
    with core.db.read() as session:
        cases = list(session.scalars(select(CaseTable).order_by(CaseTable.id)))
        live = _live(session)
        images = _images(session)
    unknown = set(only or ()) - {c.name for c in cases}
    if unknown:
        raise UsageError(f'The study has no case "{min(unknown)}".', "See the case table for the names.")
    result = []
    for case in cases:
        label = live.get(case.id)
        closed = is_closed(label)
        role = _role(case, closed)
        if role is None or (only is not None and case.name not in only):
            continue
        has = images.get(case.id, {})
        result.append(
            SpecCase(
                name=case.name,
                images=tuple(has.get(m) for m in core.manifest.modalities),
                grid=Grid.from_json(case.grid),
                label=label.path if closed and label is not None else None,
                role=role,
                key=case.content_key,
            )
        )
    return tuple(result)


def _role(case: CaseTable, closed: bool) -> Literal["labelled", "unlabelled", "validation"] | None:
    if case.role == Role.ASIDE.value:
        return None
    if case.role == Role.VALIDATION.value:
        # Without its label it can measure nothing, and it may not teach: it is left out altogether.
        return "validation" if closed else None
    return "labelled" if closed else "unlabelled"


def _live(session: Session) -> dict[int, AnnotationTable]:
    """Newest revision not taken back, by case."""
    rows = session.scalars(
        select(AnnotationTable).where(AnnotationTable.withdrawn.is_(None)).order_by(AnnotationTable.revision)
    )
    return {row.case_id: row for row in rows}  # the last of a case wins


def _images(session: Session) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for row in session.scalars(select(ImageTable)):
        found.setdefault(row.case_id, {})[row.modality] = row.path
    return found


def class_counts(core: Core) -> dict[str, dict[int, int]]:
    """Voxels per class value in every labelled training case, without reading a label file."""
    with core.db.read() as session:
        names = {c.id: c.name for c in session.scalars(select(CaseTable).where(CaseTable.role == Role.TRAINING.value))}
        return {
            names[case_id]: {int(value): count for value, count in row.class_voxels.items()}
            for case_id, row in _live(session).items()
            if case_id in names and is_closed(row)
        }


def freeze_validation(core: Core, seed: int, count: int | None) -> list[str]:
    """Freeze cases for validation once; see `store.Study.freeze_validation`."""
    with core.db.read() as session:
        cases = list(session.scalars(select(CaseTable).order_by(CaseTable.id)))
        live = _live(session)
    frozen = [c.name for c in cases if c.role == Role.VALIDATION.value]
    if frozen:
        return frozen
    complete = [
        c for c in cases if c.id in live and live[c.id].closing == Closing.COMPLETE.value and c.role != Role.ASIDE.value
    ]
    if count is None:
        count = max(1, round(SHARE * len(complete))) if len(complete) >= FEWEST else 0
    if count < 0 or (count > 0 and count >= len(complete)):
        raise UsageError(
            f"{count} cases cannot be kept for validation: {len(complete)} are completely labelled.",
            "Ask for fewer, so that at least one remains to learn from.",
        )
    if count == 0:
        return []
    chosen = random.Random(seed).sample(complete, count)
    with core.db.write() as session:
        for case in chosen:
            case_of(session, case.name).role = Role.VALIDATION.value
    return sorted(case.name for case in chosen)


def set_role(core: Core, name: str, role: Role) -> None:
    """Change what a case may be used for."""
    with core.db.write() as session:
        case_of(session, name).role = role.value
