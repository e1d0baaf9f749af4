"""The warm prediction worker: keeps a model in memory and answers requests until nobody needs it.

It leaves when it has had nothing to do for a while, when it is told to, and when a training begins on its device. It
may be killed at any instant: the request under way is then lost as any killed run is, and the next one starts another
worker. See `napari_penumbra.domain.warm` for the files.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import filelock

from napari_penumbra import __version__
from napari_penumbra.domain.errors import JobError, PenumbraError
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.warm import IDLE, IDLE_SECONDS, LEAVE, LEAVE_NOW, QUEUE, STATE, WarmState
from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.training.events import EventLog
from napari_penumbra.training.turn import Turn
from napari_penumbra.training.worker import StopRequest, _sign, _use_threads, in_words

_LOOK_SECONDS = 0.1
_TURN_SECONDS = 0.5
_LOCK_SECONDS = 10.0


class Cancelled(Exception):
    """The request is no longer wanted."""


def serve(home: Path) -> int:
    """Answer requests until it is time to leave; returns the exit code. A second worker beside a first leaves."""
    home.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(home / "lock", timeout=_LOCK_SECONDS)
    try:
        with lock:
            Server(home).run()
    except filelock.Timeout:
        return 0
    return 0


class Server:
    """One warm worker.

    Parameters
    ----------
    home
        `napari_penumbra.domain.warm.warm_home` of a study's ``runs``.
    """

    def __init__(self, home: Path) -> None:
        # torch comes in here, before the first request.
        from napari_penumbra.inference.machine import choose_device
        from napari_penumbra.training.service.loading import Holder

        self.home, self.runs = home, home.parent
        self.holder = Holder()
        self.device = str(choose_device("auto"))
        self.told_to_go = StopRequest(home / LEAVE_NOW)
        self.state = WarmState(__version__, os.getpid(), device=self.device)
        self._turn = Turn(self.runs / home.name, self.device)
        self._looked = 0.0
        self._trains = False

    def run(self) -> None:
        """Serve until it is time to leave; no request is left behind that was made while it was here."""
        self._sign()
        since = time.monotonic()
        while True:
            request = self._next()
            if request is not None and not self.must_go():
                self._answer(request)
                since = time.monotonic()
                continue
            over = request is None and (self._may_go() or time.monotonic() - since > self._idle_seconds())
            if over or self.must_go():
                # Whoever asks after this finds nobody and starts another worker; whoever asked before is still served.
                with contextlib.suppress(OSError):
                    (self.home / "worker.json").unlink(missing_ok=True)
                if self.must_go():
                    self._turn_down()
                    return
                if self._next() is None:
                    return
                self._sign()
            time.sleep(_LOOK_SECONDS)

    def _sign(self) -> None:
        _sign(self.home, 0, os.getpid())
        self._note()

    def _note(self, **news: object) -> None:
        self.state = replace(self.state, **news)  # type: ignore[arg-type]
        with contextlib.suppress(PenumbraError):  # a full disk: what cannot be told is no reason to leave
            write_text(self.home / STATE, self.state.to_text())

    # ---------------------------------------------------------------- when to leave

    def must_go(self) -> bool:
        """Whether it was told to go at once, or a training waits for or has the device."""
        return self.told_to_go() or self._training()

    def _training(self) -> bool:
        now = time.monotonic()
        if now - self._looked >= _TURN_SECONDS:
            self._looked = now
            self._trains = any(ticket.stands for ticket in self._turn._tickets() if self._turn._counts(ticket))
        return self._trains

    def _may_go(self) -> bool:
        return (self.home / LEAVE).exists() or not self.home.exists()

    def _idle_seconds(self) -> float:
        with contextlib.suppress(OSError, ValueError):
            return max(0.0, float((self.home / IDLE).read_text(encoding="utf-8")))
        return IDLE_SECONDS

    # ---------------------------------------------------------------- requests

    def _next(self) -> Path | None:
        with contextlib.suppress(OSError):
            return min((p for p in (self.home / QUEUE).iterdir() if not p.name.startswith(".")), default=None)
        return None

    def _turn_down(self) -> None:
        """Say of what is still waiting that it will not be done."""
        while (request := self._next()) is not None:
            run = self._take(request)
            if run is not None:
                EventLog(run / "events.jsonl")(Progress(Kind.STOPPED, message="A training needs the memory."))

    def _answer(self, request: Path) -> None:
        run = self._take(request)
        if run is not None:
            self._predict(run)
            self._note(served=self.state.served + 1, loads=self.holder.loads)

    def _take(self, request: Path) -> Path | None:
        """Take a request out of the queue; None when it was taken back meanwhile, or names no run."""
        try:
            name = request.read_text(encoding="utf-8").strip()
            request.unlink()
        except (OSError, UnicodeDecodeError):
            with contextlib.suppress(OSError):
                request.unlink()
            return None
        run = self.runs / name
        return run if name and Path(name).name == name and (run / "job.json").is_file() else None

    def _predict(self, run: Path) -> None:
        """Do one prediction run as the ordinary worker does, and say how it ended, whatever happens."""
        events = run / "events.jsonl"
        _sign(run, events.stat().st_size if events.exists() else 0, os.getpid())
        tell = EventLog(events)
        try:
            tell(Progress(Kind.STARTED, message="Starting."))
            self._work(run, tell)
        except Cancelled:
            words = "A training needs the memory." if self.must_go() else "It was cancelled."
            tell(Progress(Kind.STOPPED, message=words))
        except PenumbraError as error:
            self._fail(tell, error)
        except Exception as error:  # noqa: BLE001 - one request that fails must not take the others with it
            self.holder.drop()
            self._fail(tell, in_words(error))

    def _work(self, run: Path, tell: Callable[[Progress], None]) -> None:
        from napari_penumbra.inference.run import PredictionRun
        from napari_penumbra.training.build import read_spec

        spec = read_spec(run)
        if spec.kind != "predict" or spec.checkpoint is None:
            raise JobError("The order to predict names no checkpoint.", "Train a model first.")
        _use_threads(spec.threads)
        checkpoint = self.runs.parent / spec.checkpoint
        if not self.holder.holds(checkpoint, spec.device):
            tell(Progress(Kind.STAGE, message="Loading the model."))
        model = self.holder.get(checkpoint, spec.device)
        self._note(model=checkpoint.parent.parent.name, loads=self.holder.loads)

        def stopping() -> bool:
            return (run / "stop").exists() or self.must_go()

        def look(*_: object) -> None:
            if stopping():
                raise Cancelled

        # Between two tiles of a large case, too: a reader who cancels does not wait for its end.
        hook = model.predictor.network.register_forward_pre_hook(look)
        try:
            PredictionRun(
                self.runs.parent, run.name, spec, model.method, model.plan, model.predictor, tell, stopping
            ).run()
        finally:
            hook.remove()

    def _fail(self, tell: Callable[[Progress], None], error: PenumbraError) -> None:
        traceback.print_exc(file=sys.stderr)
        tell(Progress(Kind.FAILED, message=error.message, remedy=error.remedy))
