"""Which cases leave the study, and with which labels: five queries, however many cases there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from napari_penumbra.domain.case import Closing, Origin, Role
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.study.exporters._base import NONE, ExportOptions, Item
from napari_penumbra.study.layout import slug_of
from napari_penumbra.study.schema import AnnotationTable, CaseTable, ImageTable, PredictionTable
from napari_penumbra.study.store import Study


@dataclass(frozen=True, slots=True)
class _Tables:
    cases: list[CaseTable]
    live: Mapping[int, AnnotationTable]
    newest: Mapping[int, PredictionTable]
    models: Mapping[int, str]
    images: Mapping[int, dict[str, str]]


def choose(study: Study, options: ExportOptions) -> tuple[list[Item], list[tuple[str, str]]]:
    """Choose the cases.

    Returns
    -------
    items, left
        What leaves, and name and reason of every case that does not.

    Raises
    ------
    UsageError
        A case was named that does not exist.
    """
    tables = _look(study)
    wanted = set(options.cases)
    strange = wanted - {case.name for case in tables.cases}
    if strange:
        raise UsageError(
            f'The study has no case "{min(strange)}".', "See the case table, or `penumbra status`, for the names."
        )
    items: list[Item] = []
    left: list[tuple[str, str]] = []
    taken: set[str] = set()
    for case in tables.cases:
        if wanted and case.name not in wanted:
            continue
        found = _labels(tables, case, options)
        if case.role == Role.ASIDE.value and not wanted:
            left.append((case.name, "it is set aside; name it to have it all the same"))
            continue
        if isinstance(found, str) and options.unlabelled == NONE:
            left.append((case.name, found))
            continue
        stem = slug_of(case.name, taken)
        taken.add(stem)
        items.append(_item(study, tables, case, stem, {} if isinstance(found, str) else found))
    return items, left


def _look(study: Study) -> _Tables:
    with study._core.db.read() as session:
        cases = list(session.scalars(select(CaseTable).order_by(CaseTable.id)))
        rows = session.scalars(
            select(AnnotationTable).where(AnnotationTable.withdrawn.is_(None)).order_by(AnnotationTable.revision)
        )
        live = {row.case_id: row for row in rows}
        predictions = list(session.scalars(select(PredictionTable).order_by(PredictionTable.id)))
        images: dict[int, dict[str, str]] = {}
        for image in session.scalars(select(ImageTable)):
            images.setdefault(image.case_id, {})[image.modality] = image.path
    newest = {row.case_id: row for row in predictions}
    models = {row.id: row.model or row.run for row in predictions}
    return _Tables(cases, live, newest, models, images)


def _labels(tables: _Tables, case: CaseTable, options: ExportOptions) -> dict[str, str | bool] | str:
    """Say which labels of a case leave, or in words why none do."""
    live, prediction = tables.live.get(case.id), tables.newest.get(case.id)
    closed = live is not None and live.closing != Closing.DRAFT.value
    if live is not None and (closed or options.drafts):
        reviewed = live.origin == Origin.REVIEWED.value
        kind = ("accepted" if reviewed else "annotated") if closed else "draft"
        model = tables.models.get(live.prediction_id, "") if live.prediction_id is not None else ""
        manual = live.origin == Origin.PAINTED.value
        return {"labels": live.path, "kind": kind, "key": f"r{live.revision}", "model": model, "manual": manual}
    if prediction is not None and options.predictions:
        model = tables.models[prediction.id]
        return {"labels": prediction.labels, "kind": "predicted", "key": f"p{prediction.id}", "model": model}
    if live is not None:
        return "only a draft: nobody has closed it"
    return "only predicted: nobody has accepted it" if prediction is not None else "nothing is labelled in it"


def _item(study: Study, tables: _Tables, case: CaseTable, stem: str, found: dict[str, str | bool]) -> Item:
    stored, prediction = tables.images.get(case.id, {}), tables.newest.get(case.id)
    labels = found.get("labels")
    confidence: Path | None = None if prediction is None else study.layout.absolute(prediction.confidence)
    return Item(
        name=case.name,
        stem=stem,
        slug=case.slug,
        grid=Grid.from_json(case.grid),
        source=Grid.from_json(case.source_grid),
        images={m: study.layout.absolute(stored[m]) for m in study.modalities if m in stored},
        labels=None if labels is None else study.layout.absolute(str(labels)),
        kind=str(found.get("kind", "")),
        key=str(found.get("key", "")),
        model=str(found.get("model", "")),
        manual=bool(found.get("manual", False)),
        confidence=confidence if labels is not None else None,
        frozen=case.role == Role.VALIDATION.value,
    )
