"""The tables of a study. A change here needs a new file in ``migrations/versions`` and a higher `SCHEMA`."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from sqlalchemy import JSON, DateTime, Dialect, Double, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

SCHEMA = 3
"""Number of the newest migration (its revision is this number with four digits)."""


class UtcDateTime(TypeDecorator[dt.datetime]):
    """An aware time, kept as UTC without its zone because SQLite has none."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """Turn into naive UTC for the database."""
        return None if value is None else value.astimezone(dt.UTC).replace(tzinfo=None)

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """Give the zone back."""
        return None if value is None else value.replace(tzinfo=dt.UTC)


def now() -> dt.datetime:
    """The current time, aware."""
    return dt.datetime.now(dt.UTC)


class Base(DeclarativeBase):
    """What all tables share."""

    # SQLAlchemy 2.0 and 2.1 differ in what a float is by default.
    type_annotation_map: ClassVar[dict[Any, Any]] = {float: Double}


class CaseTable(Base):
    """A case. Its state is derived from annotations, predictions and decisions, and never stored.

    ``pinned`` is when the reader has asked for it to come next, None when nobody has.
    """

    __tablename__ = "study_case"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    slug: Mapped[str] = mapped_column(String(100), unique=True)
    role: Mapped[str] = mapped_column(String(20))
    grid: Mapped[dict[str, Any]] = mapped_column(JSON)
    source_grid: Mapped[dict[str, Any]] = mapped_column(JSON)
    content_key: Mapped[str] = mapped_column(String(64))
    thumbnail: Mapped[str | None] = mapped_column(String(400))
    added: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    pinned: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)


class ImageTable(Base):
    """One modality of a case, on the case's canonical grid."""

    __tablename__ = "image"
    __table_args__ = (UniqueConstraint("case_id", "modality", name="uq_image_case_modality"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("study_case.id"), index=True)
    modality: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(String(400))
    resampled_mm: Mapped[float]


class AnnotationTable(Base):
    """One immutable revision.

    ``path`` is what the reader stands for. ``drawn`` is what was on the screen where that differs: before a partial
    closing turned untouched slices into unknown. ``touched`` lists the slices the reader has worked on so far.
    ``class_voxels`` counts voxels per label value (keys are text, as JSON wants).
    """

    __tablename__ = "annotation"
    __table_args__ = (UniqueConstraint("case_id", "revision", name="uq_annotation_case_revision"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("study_case.id"), index=True)
    revision: Mapped[int]
    path: Mapped[str] = mapped_column(String(400))
    drawn: Mapped[str | None] = mapped_column(String(400))
    closing: Mapped[str] = mapped_column(String(20))
    origin: Mapped[str] = mapped_column(String(20))
    author: Mapped[str] = mapped_column(String(200))
    created: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    seconds: Mapped[float]
    voxels_changed: Mapped[int]
    prediction_id: Mapped[int | None] = mapped_column(ForeignKey("prediction.id"))
    withdrawn: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)
    touched: Mapped[list[int]] = mapped_column(JSON)
    class_voxels: Mapped[dict[str, int]] = mapped_column(JSON)


class PredictionTable(Base):
    """What a checkpoint said of a case.

    ``mean_confidence`` is taken over the predicted foreground, None where nothing was predicted. ``stamp`` is the
    sidecar's modification time in ns: a sidecar that has not changed is not read twice. ``model`` is the training whose
    checkpoint predicted, and ``summary`` what the worker noted for choosing the next case (see `summaries`); both are
    None where an older version of the program did not keep them.
    """

    __tablename__ = "prediction"
    __table_args__ = (UniqueConstraint("case_id", "run", name="uq_prediction_case_run"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("study_case.id"), index=True)
    run: Mapped[str] = mapped_column(String(120))
    labels: Mapped[str] = mapped_column(String(400))
    confidence: Mapped[str] = mapped_column(String(400))
    created: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    mean_confidence: Mapped[float | None]
    stamp: Mapped[str] = mapped_column(String(40))
    model: Mapped[str | None] = mapped_column(String(120))
    summary: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class DecisionTable(Base):
    """A verdict on a region; ``box`` is ((z0, y0, x0), (z1, y1, x1)). Undone ones stay, with the time."""

    __tablename__ = "decision"
    __table_args__ = (Index("ix_decision_case_prediction", "case_id", "prediction_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("study_case.id"))
    prediction_id: Mapped[int] = mapped_column(ForeignKey("prediction.id"))
    box: Mapped[list[list[int]]] = mapped_column(JSON)
    verdict: Mapped[str] = mapped_column(String(20))
    voxels: Mapped[int]
    author: Mapped[str] = mapped_column(String(200))
    created: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    undone: Mapped[dt.datetime | None] = mapped_column(UtcDateTime)


class EffortTable(Base):
    """Active seconds that a reader spent on a case, in pieces as they were booked."""

    __tablename__ = "effort"

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("study_case.id"), index=True)
    seconds: Mapped[float]
    activity: Mapped[str] = mapped_column(String(40))
    created: Mapped[dt.datetime] = mapped_column(UtcDateTime)


class WorkTable(Base):
    """What a reader did for a revision, beside its seconds and changed voxels.

    ``strokes`` counts changes since the revision before. ``decided`` counts the verdicts that stood when it was saved
    (keys are verdicts). ``foreground`` is the number of voxels that it or what it started from has as foreground, and
    ``dice`` the mean Dice over the classes of the prediction that was reviewed, None where none was.
    """

    __tablename__ = "work"

    id: Mapped[int] = mapped_column(primary_key=True)
    annotation_id: Mapped[int] = mapped_column(ForeignKey("annotation.id"), unique=True)
    strokes: Mapped[int]
    decided: Mapped[dict[str, int]] = mapped_column(JSON)
    foreground: Mapped[int]
    dice: Mapped[float | None]


class RunTable(Base):
    """A training or prediction. Its state comes from its folder, not from here."""

    __tablename__ = "run"

    id: Mapped[str] = mapped_column(String(120), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    method: Mapped[str] = mapped_column(String(120))
    preset: Mapped[str] = mapped_column(String(120))
    created: Mapped[dt.datetime] = mapped_column(UtcDateTime)


class ChampionTable(Base):
    """Every run that became champion, in order; the last row is the present one."""

    __tablename__ = "champion"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("run.id"))
    since: Mapped[dt.datetime] = mapped_column(UtcDateTime)


class ReadingTable(Base):
    """One immutable revision of a second reader's own annotation: kept beside the case's, never in its place.

    ``path``, ``drawn`` and ``touched`` are as in `AnnotationTable`. Another reader is another series of revisions.
    """

    __tablename__ = "reading"
    __table_args__ = (UniqueConstraint("case_id", "reader", "revision", name="uq_reading_case_reader_revision"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("study_case.id"), index=True)
    reader: Mapped[str] = mapped_column(String(200))
    revision: Mapped[int]
    path: Mapped[str] = mapped_column(String(400))
    drawn: Mapped[str | None] = mapped_column(String(400))
    closing: Mapped[str] = mapped_column(String(20))
    created: Mapped[dt.datetime] = mapped_column(UtcDateTime)
    seconds: Mapped[float]
    voxels_changed: Mapped[int]
    touched: Mapped[list[int]] = mapped_column(JSON)


class ProvenanceTable(Base):
    """Where a revision came from that was made and not drawn: ``how`` (consensus, restored, taken back, put back).

    ``rule`` says how several became one. ``parents`` are the keys of `sources` that it was made of.
    """

    __tablename__ = "provenance"

    id: Mapped[int] = mapped_column(primary_key=True)
    annotation_id: Mapped[int] = mapped_column(ForeignKey("annotation.id"), unique=True)
    how: Mapped[str] = mapped_column(String(40))
    rule: Mapped[str] = mapped_column(String(40))
    parents: Mapped[list[str]] = mapped_column(JSON)
