"""How a pool reaches a running training, and what it has learnt from: the lines of two files in a run's folder.

``pool.json`` is written by whoever accepts cases: the whole pool as it is now. ``pool.jsonl`` is written by the worker:
one line per case that joined or left, before the first step on it.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from napari_penumbra.domain.errors import JobError
from napari_penumbra.domain.spec import SpecCase, case_from_json, case_to_json

POOL_FILE, RECORD_FILE = "pool.json", "pool.jsonl"

Role = Literal["labelled", "unlabelled"]


@dataclass(frozen=True, slots=True)
class Change:
    """A case joined or left a stream of a running training.

    Attributes
    ----------
    step
        Steps done when it happened.
    what, stream
        ``joined`` or ``left``; which stream.
    label
        The label file (a revision) that is learnt from, relative to the study; None without one.
    """

    step: int
    case: str
    what: Literal["joined", "left"]
    stream: Role
    label: str | None = None
    time: float = field(default_factory=time.time)

    def to_line(self) -> str:
        """One line of JSON without a newline."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)

    @classmethod
    def from_line(cls, line: str) -> Change:
        """Inverse of `to_line`; raises ValueError, KeyError or TypeError for what is not a change."""
        data = json.loads(line)
        return cls(
            int(data["step"]), str(data["case"]), data["what"], data["stream"], data["label"], float(data["time"])
        )


def read_changes(text: str) -> list[Change]:
    """Read a whole ``pool.jsonl``; a line torn by a kill is passed over."""
    changes = []
    for line in text.splitlines():
        try:
            changes.append(Change.from_line(line))
        except (ValueError, KeyError, TypeError):
            continue
    return changes


def pool_to_text(cases: Sequence[SpecCase]) -> str:
    """Contents of ``pool.json``."""
    return json.dumps({"cases": [case_to_json(case) for case in cases]}, indent=1)


def pool_from_text(text: str) -> tuple[SpecCase, ...]:
    """Inverse of `pool_to_text`; raises `JobError` when the file makes no sense."""
    try:
        data: Any = json.loads(text)
        return tuple(case_from_json(case) for case in data["cases"])
    except (KeyError, TypeError, ValueError) as error:
        raise JobError(
            "pool.json cannot be read: cases accepted since are not learnt from.",
            "Accept or open any case: the file is written anew.",
            details=repr(error),
        ) from error


def labels_learnt(ordered: Iterable[SpecCase], changes: Iterable[Change]) -> dict[str, list[str]]:
    """Case to the label files that a training has been given, those it began with first.

    A case that was taken back later stays in the answer: what was learnt from it is in the model.

    Parameters
    ----------
    ordered
        Cases of the order, ``job.json``.
    changes
        Of ``pool.jsonl``.
    """
    learnt = {c.name: [c.label] for c in ordered if c.role == "labelled" and c.label is not None}
    for change in changes:
        if change.what == "joined" and change.stream == "labelled" and change.label is not None:
            files = learnt.setdefault(change.case, [])
            if change.label not in files:
                files.append(change.label)
    return learnt
