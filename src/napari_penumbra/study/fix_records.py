"""The records of what was put right in a case: one JSON file each, read with suspicion."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_penumbra.domain.case import Role
from napari_penumbra.domain.errors import DiskError
from napari_penumbra.imaging import atomic

Images = dict[str, tuple[str, float]]
"""Modality to file (relative to the study) and by how many mm it was resampled when it was added."""


@dataclass(frozen=True, slots=True)
class State:
    """What a fix may change of a case."""

    role: Role
    key: str
    images: Images

    def to_json(self) -> dict[str, Any]:
        """Plain data for the record."""
        return {"role": self.role.value, "key": self.key, "images": {m: list(i) for m, i in self.images.items()}}

    def looks_like(self, other: State, changed: State) -> bool:
        """Whether a case looks like this; its role counts only where it differs from that of ``changed``."""
        role = self.role == changed.role or self.role == other.role
        return role and (self.key, self.images) == (other.key, other.images)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> State:
        """Inverse of `to_json`."""
        images = {str(m): (str(path), float(moved)) for m, (path, moved) in data["images"].items()}
        return cls(Role(data["role"]), str(data["key"]), images)


@dataclass(frozen=True, slots=True)
class Done:
    """A fix that counts, or counted until it was undone."""

    number: int
    case: str
    kind: str
    words: str
    author: str
    created: dt.datetime
    undone: dt.datetime | None
    before: State
    after: State


def records(folder: Path) -> list[Path]:
    """Files of the records in a case's folder, oldest first."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".json") and name[:-5].isdigit())
    except OSError:
        return []
    return [folder / name for name in names]


def number_of(path: Path) -> int:
    """Number of a record, from its name."""
    return int(path.stem)


def write_record(path: Path, one: Done, facts: Mapping[str, Any]) -> None:
    """Write a record whole or not at all; raises `DiskError` in words."""
    data = {
        "version": 1,
        "kind": one.kind,
        "words": one.words,
        "author": one.author,
        "created": one.created.isoformat(),
        "undone": None if one.undone is None else one.undone.isoformat(),
        "before": one.before.to_json(),
        "after": one.after.to_json(),
        "facts": dict(facts),
    }
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise DiskError(
            "What was fixed could not be noted down.", "Check that you may write to the study.", repr(error)
        ) from error
    atomic.write_text(path, json.dumps(data, indent=2))


def facts_of(path: Path) -> Mapping[str, Any]:
    """What a fix has noted besides: a motion, a distance; empty when it cannot be read."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8")).get("facts")
    except (OSError, ValueError, AttributeError):
        return {}
    return facts if isinstance(facts, dict) else {}


def read_record(path: Path, name: str) -> Done | None:
    """Read a record; None when it is none (edited by hand): it cannot be undone then, and nothing else needs it."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Done(
            number_of(path),
            name,
            str(data["kind"]),
            str(data["words"]),
            str(data["author"]),
            dt.datetime.fromisoformat(data["created"]),
            None if data["undone"] is None else dt.datetime.fromisoformat(data["undone"]),
            State.from_json(data["before"]),
            State.from_json(data["after"]),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
