"""A prediction by several workers: each takes the next case that nobody has, the first one tells how it goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.inference.cases import check_fit
from napari_penumbra.inference.claims import LOST_SECONDS, Shares
from napari_penumbra.inference.run import PredictionRun

_LOOK_SECONDS = 0.5
_STOP_SECONDS = 12.0
"""Where a stop was asked for, it may be torchrun that ends all because one is gone: 30 s are left to say so."""


class SharedPrediction:
    """One worker's share of a prediction.

    Parameters
    ----------
    prediction
        All of it, as one worker alone would do it; its ``tell`` is the run's own voice.
    """

    def __init__(self, prediction: PredictionRun, shares: Shares) -> None:
        self.shares = shares
        self.prediction = prediction
        self._voice = _Voice(prediction.tell, shares.told(), len(prediction.spec.cases))
        prediction.tell = shares.say

    @property
    def leads(self) -> bool:
        """Whether this worker tells what all do."""
        return self.shares.rank == 0

    def run(self) -> bool:
        """Predict until no case is left or a stop is asked for.

        A case that an earlier attempt was killed over is predicted anew; one that is done stays as it is.

        Returns
        -------
        bool
            False when it was stopped before the end.
        """
        check_fit(self.prediction.plan, self.prediction.spec)
        self.shares.start()
        try:
            whole = self._take_cases()
            if self.leads:
                self._wait_for_fellows(LOST_SECONDS if whole else _STOP_SECONDS)
        except BaseException:
            self.shares.leave(failed=True)
            raise
        self.shares.leave()
        if self.leads:
            self._voice.end(whole)
        return whole

    def _take_cases(self) -> bool:
        done = self.shares.known()
        self._relay()
        for number, case in enumerate(self.prediction.spec.cases):
            if case.name in done:
                continue
            if self.prediction.stopping():
                return False
            if self.shares.claim(number):
                self.prediction.predict_one(case, number + 1, None)
            self._relay()
        return True

    def _relay(self) -> None:
        if self.leads:
            self._voice.pass_on(self.shares.news())

    def _wait_for_fellows(self, patience: float) -> None:
        while True:
            working = self.shares.at_work(patience)
            # After the look: what a fellow said before it left must not be missed.
            self._relay()
            if not working:
                return
            time.sleep(_LOOK_SECONDS)


class _Voice:
    """Tells what all workers do as if one did it: each case once, counted through.

    Parameters
    ----------
    told
        Cases that were told already.
    """

    def __init__(self, tell: Callable[[Progress], None], told: set[str], total: int) -> None:
        self.tell, self.total = tell, total
        self._done = set(told)
        self._before = len(told)
        self._failed: set[str] = set()
        self._started = time.monotonic()

    def pass_on(self, events: list[Progress]) -> None:
        """Tell what has not been told."""
        for event in events:
            if event.kind is Kind.CASE_DONE:
                if event.case in self._done:
                    continue
                self._done.add(event.case)
                self._failed.discard(event.case)
            elif event.kind is Kind.WARNING:
                self._failed.add(event.case)
            self.tell(replace(event, step=self._count, steps=self.total, eta_seconds=self._eta()))

    @property
    def _count(self) -> int:
        return len(self._done) + len(self._failed)

    def _eta(self) -> float | None:
        now = self._count - self._before
        return (time.monotonic() - self._started) / now * (self.total - self._count) if now > 0 else None

    def end(self, whole: bool) -> None:
        """Tell how it ended."""
        done = len(self._done)
        if not whole:
            words = f"Stopped after {self._count} of {self.total} cases."
            self.tell(Progress(Kind.STOPPED, done, self.total, message=words))
            return
        left = self.total - done
        words = f"{done} of {self.total} cases predicted" + (f", {left} could not be." if left else ".")
        self.tell(Progress(Kind.FINISHED, done, self.total, message=words))
