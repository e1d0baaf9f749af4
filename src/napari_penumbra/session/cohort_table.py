"""The cohort as a table: one row per case, volumes in millilitres, distances in millimetres, effort and provenance."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import UNKNOWN, LabelScheme
from napari_penumbra.evaluation.metrics import Scores, score
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.session.reader_name import NEUTRAL
from napari_penumbra.session.scoring import read_truth, reference_file
from napari_penumbra.study.cohort import CohortFacts, cohort
from napari_penumbra.study.exporters import ExportOptions
from napari_penumbra.study.minutes import Finished
from napari_penumbra.study.store import Study

Value = str | int | float | bool | dt.datetime | None
Row = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name with the unit at the end, what kind of values, the unit, and what they mean."""

    name: str
    kind: Literal["text", "whole", "number", "yes or no", "time"]
    unit: str
    words: str


_ASSD = ", both directions together; empty when neither has any, the image's diagonal when only one has"
_HD95 = "Larger of the two 95th percentiles of the surface distances"


def columns(scheme: LabelScheme, references: bool = False) -> list[Column]:
    """Columns of the table for a study's classes, in order."""
    made = [
        Column("case", "text", "", "Name of the case in the study"),
        Column("simulated", "yes or no", "", "Whether no real patient is behind it"),
        Column("role", "text", "", "training, validation (frozen: never trained on) or set aside"),
        Column("labels", "text", "", "Whose labels the figures are of: accepted (a corrected prediction), annotated, "
               "draft, predicted, none"),
        Column("how", "text", "", "by hand, corrected (from a prediction), imported, predicted, or what the revision "
               "was made of"),
        Column("revision", "text", "", "r and the number of the revision, or p and that of the prediction"),
        Column("date_utc", "time", "UTC", "When that revision or prediction was made"),
        Column("reader", "text", "", "Who stands for it; other readers than this machine's are numbered"),
        Column("closing", "text", "", "complete (unpainted is background), partial (untouched is unknown), draft"),
        Column("model", "text", "", "Training whose prediction the labels started from or are"),
        *(Column(f"spacing_{axis}_mm", "number", "mm", f"Distance of voxel centres along {words}")
          for axis, words in (("x", "left-right"), ("y", "front-back"), ("z", "foot-head"))),
    ]  # fmt: skip
    for name, slug in class_slugs(scheme).items():
        made.append(Column(f"volume_{slug}_ml", "number", "ml", f"Volume of {name}; empty for pictures"))
        made.append(Column(f"voxels_{slug}", "whole", "voxels", f"Voxels (pixels of a picture) of {name}"))
    if _stroke(scheme) is not None:
        made.append(Column("mismatch_ml", "number", "ml", "Volume of penumbra: hypoperfused but not core"))
        made.append(Column("mismatch_ratio", "number", "", "(penumbra + core) / core by volume; empty without core"))
    made += [
        Column("unknown_voxels", "whole", "voxels", "Voxels left unknown (255)"),
        Column("unknown_ml", "number", "ml", "Their volume; empty for pictures"),
        Column("active_minutes", "number", "min", "Reader time booked on the case, pauses taken out"),
        Column("strokes", "whole", "", "Changes that its reader made; empty where nobody finished or counted"),
        Column("voxels_changed", "whole", "voxels", "Voxels that differ from the prediction, or all that were painted"),
        Column("prediction_dice", "number", "", "Mean Dice of the prediction against what its reader made of it"),
        Column("mean_confidence", "number", "", "Mean confidence (0 to 1) of the newest prediction in what it found"),
    ]
    if references:
        made.append(Column("reference", "yes or no", "", "Whether there was a reference for the case"))
        for name, slug in class_slugs(scheme).items():
            made.append(Column(f"dice_{slug}", "number", "", f"Dice of {name} against the reference; unknown left out"))
            made.append(Column(f"assd_{slug}_mm", "number", "mm", f"Mean surface distance of {name}{_ASSD}"))
            made.append(Column(f"hd95_{slug}_mm", "number", "mm", f"{_HD95} of {name}; empty and diagonal as for assd"))
    return made


def class_slugs(scheme: LabelScheme) -> dict[str, str]:
    """Class name to what stands for it in a column's name: letters, digits and ``_``, unique."""
    made: dict[str, str] = {}
    for c in scheme.classes:
        slug = re.sub(r"[^a-z0-9]+", "_", c.name.lower()).strip("_") or f"class_{c.value}"
        made[c.name] = slug if slug not in made.values() else f"{slug}_{c.value}"
    return made


def rows(
    study: Study, options: ExportOptions, references: Path | None = None, own_name: str = ""
) -> Iterator[tuple[Row, CohortFacts]]:
    """Make one row of plain values per case, under `columns`; None where something is not known.

    Parameters
    ----------
    options
        Whose labels count; without drafts and predictions, a case that nobody has closed has no volumes.
    references
        Folder of label files named like the cases, on their own grids.
    own_name
        Name that the reader of this machine has set. Others are numbered: a table is passed on, and they were not
        asked.

    Raises
    ------
    GeometryError, ImageError, LabelError
        A reference or a label file cannot be used.
    """
    if references is not None and not references.is_dir():
        raise UsageError(f"The reference folder {references} does not exist.", "Name a folder of label files.")
    done = {finished.case: finished for finished in study.finished()}
    known, others = {"", NEUTRAL, own_name}, dict[str, str]()
    for facts in cohort(study, options):
        reader = facts.reader
        if reader not in known:
            reader = others.setdefault(reader, f"reader {len(others) + 1}")
        row = _plain(study, facts, reader, done.get(facts.item.name))
        if facts.item.labels is not None:
            counts = facts.counts if facts.counts is not None else _counted(facts)
            row |= _volumes(study.labels, facts, counts)
        if references is not None:
            row |= _scores(study, facts, references)
        yield row, facts


def _plain(study: Study, facts: CohortFacts, reader: str, done: Finished | None) -> Row:
    item = facts.item
    sz, sy, sx = item.grid.scale
    spacing = (None, None, None) if item.picture else (round(sx, 4), round(sy, 4), round(sz, 4))
    return {
        "case": item.name,
        "simulated": study.simulated,
        "role": facts.role,
        "labels": item.kind or "none",
        "how": facts.how,
        "revision": item.key,
        "date_utc": facts.when,
        "reader": reader,
        "closing": facts.closing,
        "model": item.model,
        **{f"spacing_{axis}_mm": value for axis, value in zip("xyz", spacing, strict=True)},
        "active_minutes": round(facts.seconds / 60, 2),
        "strokes": None if done is None else done.strokes,
        "voxels_changed": None if done is None else done.changed,
        "prediction_dice": None if done is None or done.dice is None else round(done.dice, 5),
        "mean_confidence": None if facts.mean_confidence is None else round(facts.mean_confidence, 4),
    }


def _counted(facts: CohortFacts) -> Mapping[int, int]:
    assert facts.item.labels is not None  # asked for only with labels
    found = np.bincount(read_labels(facts.item.labels).volume.data.ravel(), minlength=256)
    return {int(value): int(found[value]) for value in np.flatnonzero(found)}


def _volumes(scheme: LabelScheme, facts: CohortFacts, counts: Mapping[int, int]) -> Row:
    ml = None if facts.item.picture else facts.item.grid.voxel_ml
    row: Row = {}
    for c in scheme.classes:
        slug, voxels = class_slugs(scheme)[c.name], counts.get(c.value, 0)
        row[f"voxels_{slug}"] = voxels
        row[f"volume_{slug}_ml"] = None if ml is None else round(voxels * ml, 4)
    stroke = _stroke(scheme)
    if stroke is not None and ml is not None:
        penumbra, core = (counts.get(value, 0) for value in stroke)
        row["mismatch_ml"] = round(penumbra * ml, 4)
        row["mismatch_ratio"] = round((penumbra + core) / core, 4) if core else None
    unknown = counts.get(UNKNOWN, 0)
    return {**row, "unknown_voxels": unknown, "unknown_ml": None if ml is None else round(unknown * ml, 4)}


def _stroke(scheme: LabelScheme) -> tuple[int, int] | None:
    """Values of penumbra and core, where a study has one class of each."""
    found = [[c.value for c in scheme.classes if re.search(word, c.name.lower())] for word in ("penumbra", r"\bcore\b")]
    return (found[0][0], found[1][0]) if all(len(values) == 1 for values in found) else None


def _scores(study: Study, facts: CohortFacts, references: Path) -> Row:
    item = facts.item
    file = reference_file(references, item.name)
    if file is None or item.labels is None:
        return {"reference": file is not None}
    truth = read_truth(study, item.name, file)
    said = read_labels(item.labels).volume.data
    found = score(said, truth, item.grid.scale, study.labels.values)
    row: Row = {"reference": True}
    for c in study.labels.classes:
        row |= _of_class(class_slugs(study.labels)[c.name], found[c.value], pixels=item.picture)
    return row


def _of_class(slug: str, scores: Scores, *, pixels: bool) -> Row:
    """Figures of one class; the distances of a picture are no millimetres and are left out."""

    def mm(value: float | None) -> float | None:
        return None if value is None or pixels else round(value, 4)

    return {
        f"dice_{slug}": round(scores.dice, 5),
        f"assd_{slug}_mm": mm(scores.assd),
        f"hd95_{slug}_mm": mm(scores.hd95),
    }


def shown(value: Value) -> str:
    """Write a value as a table of text does; empty where nothing is known."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)
