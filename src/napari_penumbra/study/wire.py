"""Orders and results of staging as lines of JSON, for the helpers that stage cases in processes of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from napari_penumbra.domain import errors
from napari_penumbra.domain.case import Closing
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.grid import Grid
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.imaging.files import Spacing
from napari_penumbra.study.newcase import Hints, MaskPart, NewCase
from napari_penumbra.study.staging import Order, Staged, StagedLabel


class _Part(BaseModel):
    path: Path
    values: dict[int, int]
    rest: int | None


class _Order(BaseModel):
    name: str
    images: dict[str, Path]
    label: Path | None
    resample_label: bool
    closing: Closing
    reference: bool
    frames: dict[str, int]
    spacing: Spacing | None
    mask: list[_Part]
    modalities: tuple[str, ...]
    labels: list[dict[str, Any]]
    slug: str
    folder: Path


def can_travel(order: Order) -> bool:
    """Whether an order is all plain files; anything that reads itself is staged in this process."""
    return not order.new.beside and all(isinstance(path, Path) for path in order.new.images.values())


def dump_order(order: Order) -> str:
    """Write an order as one line."""
    new = order.new
    return _Order(
        name=new.name,
        images={m: path.absolute() for m, path in new.images.items() if isinstance(path, Path)},
        label=None if new.label is None else new.label.absolute(),
        resample_label=new.resample_label,
        closing=new.closing,
        reference=new.reference,
        frames=dict(new.hints.frames),
        spacing=new.hints.spacing,
        mask=[_Part(path=p.path.absolute(), values=dict(p.values), rest=p.rest) for p in new.hints.mask],
        modalities=order.modalities,
        labels=order.labels.to_json(),
        slug=order.slug,
        folder=order.folder,
    ).model_dump_json()


def load_order(line: str) -> Order:
    """Inverse of `dump_order`."""
    got = _Order.model_validate_json(line)
    hints = Hints(got.frames, got.spacing, tuple(MaskPart(p.path, p.values, p.rest) for p in got.mask))
    new = NewCase(
        got.name, dict(got.images), got.label, got.resample_label, got.closing, hints=hints, reference=got.reference
    )
    return Order(new, got.modalities, LabelScheme.from_json(got.labels), got.slug, got.folder)


def dump_result(result: Staged | PenumbraError) -> str:
    """Write a staged case, or why it is none, as one line."""
    if isinstance(result, PenumbraError):
        kind = type(result).__name__
        return json.dumps(
            {"error": kind, "message": result.message, "remedy": result.remedy, "details": result.details}
        )
    label = result.label
    return json.dumps(
        {
            "slug": result.slug,
            "folder": str(result.folder),
            "grid": result.grid.to_json(),
            "source": result.source.to_json(),
            "images": result.images,
            "key": result.key,
            "label": None if label is None else [label.foreground, label.class_voxels, label.drawn],
            "reference": result.reference,
            "warnings": result.warnings,
        }
    )


def load_result(line: str) -> Staged | PenumbraError:
    """Inverse of `dump_result`."""
    data = json.loads(line)
    if "error" in data:
        kind = getattr(errors, data["error"], PenumbraError)
        return kind(data["message"], data["remedy"], data["details"])
    return Staged(
        data["slug"],
        Path(data["folder"]),
        Grid.from_json(data["grid"]),
        Grid.from_json(data["source"]),
        data["images"],
        data["key"],
        None if data["label"] is None else StagedLabel(*data["label"]),
        data["reference"],
        data["warnings"],
    )
