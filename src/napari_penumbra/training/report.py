"""When to speak and how long it will take: the trainer's clock."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.training.events import Tell
from napari_penumbra.training.memory import memory_bytes

_LONGEST_SILENCE = 1.0
_STEPS_BETWEEN = 10
_SHORTEST_SILENCE = 0.2
_SMOOTHING = 0.2


class Reporter:
    """Tells STEP events: the first step at once, then every second, or every 10 steps if those take less.

    Parameters
    ----------
    steps
        Steps of the whole run.
    """

    def __init__(self, tell: Tell, steps: int, device: torch.device) -> None:
        self.tell = tell
        self.steps = steps
        self.device = device
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._since = 0
        self._told: float | None = None
        self._clock = time.monotonic()
        self._seconds: float | None = None
        self._other_seconds: dict[str, float] = {}

    def step(self, done: int, losses: dict[str, Tensor]) -> None:
        """Take notice of a step; tell if it is time."""
        for name, value in losses.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value.clone()
            self._counts[name] = self._counts.get(name, 0) + 1
        self._since += 1
        silence = time.monotonic() - self._told if self._told is not None else float("inf")
        many = self._since >= _STEPS_BETWEEN and silence >= _SHORTEST_SILENCE
        if silence >= _LONGEST_SILENCE or many or done == self.steps:
            self._tell(done)

    def resume_clock(self) -> None:
        """Call after anything that is not a step, so that its time is not taken for steps'."""
        self._clock = time.monotonic()

    def _tell(self, done: int) -> None:
        now = time.monotonic()
        pace = (now - self._clock) / max(1, self._since)
        # The first step of a process includes loading and warming up: it must not spoil the estimate for long.
        first = self._told is None or self._seconds is None
        self._seconds = pace if first else (1 - _SMOOTHING) * self._seconds + _SMOOTHING * pace  # type: ignore[operator]
        if self._told is None:
            self._seconds = None
        losses = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        metrics = {"seconds_per_step": pace, "memory_bytes": float(memory_bytes(self.device))}
        self.tell(Progress(Kind.STEP, done, self.steps, losses=losses, metrics=metrics, eta_seconds=self._eta(done)))
        self._sums, self._counts, self._since = {}, {}, 0
        self._told = self._clock = now

    def _eta(self, done: int) -> float | None:
        if self._seconds is None:
            return None
        return (self.steps - done) * (self._seconds + sum(self._other_seconds.values()))

    def pause(self, what: str, seconds: float, every: int) -> None:
        """Learn that ``what`` takes ``seconds`` every so many steps, for the estimate."""
        self._other_seconds[what] = seconds / max(1, every)
