"""What a worker says of itself: one `Progress` per line of ``events.jsonl``."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What happened."""

    STARTED = "started"
    STAGE = "stage"
    """``message`` says what is being prepared (caching cases, predicting the pool …)."""
    STEP = "step"
    VALIDATION = "validation"
    """``metrics`` has ``dice`` (mean over classes and frozen cases), ``dice_<value>``, and ``reference_dice`` when a
    supervised-only twin trains along."""
    CHECKPOINT = "checkpoint"
    CASE_DONE = "case_done"
    """``case`` was predicted and its files are whole; ``message`` is the sidecar's path relative to the study."""
    WARNING = "warning"
    POOL = "pool"
    """``case`` has joined or left what a running training learns from; ``message`` says how, ``metrics["joined"]`` is 1
    when its labels teach from now on."""
    QUEUED = "queued"
    """The worker waits for its turn on the device; ``message`` says for what, ``step`` is its place in the queue."""
    PAUSED = "paused"
    """The worker has saved a checkpoint, has given the graphics card's memory back and waits to go on."""
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"


class RunState(StrEnum):
    """Where a run stands, derived from its folder."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"
    LOST = "lost"
    """Its process is gone without a last word (killed, power cut)."""

    @property
    def over(self) -> bool:
        """Whether nothing more will come from the run's process."""
        return self not in (RunState.QUEUED, RunState.RUNNING, RunState.PAUSED)


@dataclass(frozen=True, slots=True)
class Progress:
    """One event of a run.

    Attributes
    ----------
    step, steps
        Optimiser steps done and planned (training), or cases done and planned (prediction).
    losses
        Loss parts by name, averaged since the last event.
    metrics
        Figures such as ``dice``; see `Kind.VALIDATION`. Also ``seconds_per_step`` and ``memory_bytes``.
    eta_seconds
        Expected time left, or None when not yet known.
    message, remedy
        Words for the reader.
    about
        What a warning is about: a key of `diagnosis.DIAGNOSES`, or empty.
    """

    kind: Kind
    step: int = 0
    steps: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    eta_seconds: float | None = None
    case: str = ""
    message: str = ""
    remedy: str = ""
    about: str = ""
    time: float = field(default_factory=time.time)

    def to_line(self) -> str:
        """One line of JSON without a newline. NaN and infinity become strings so that any JSON reader copes."""
        data = dataclasses.asdict(self)
        return json.dumps(_finite(data), ensure_ascii=False)

    @classmethod
    def from_line(cls, line: str) -> Progress:
        """Inverse of `to_line`; unknown keys of a newer worker are dropped."""
        data = json.loads(line)
        known = {f.name for f in dataclasses.fields(cls)}
        data = {k: v for k, v in data.items() if k in known}
        data["kind"] = Kind(data["kind"])
        for name in ("losses", "metrics"):
            data[name] = {k: float(v) for k, v in data.get(name, {}).items()}
        return cls(**data)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value
