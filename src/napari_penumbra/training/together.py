"""One of several workers on a run: how it begins, and how it ends when all goes well or one of them is gone."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.training import less
from napari_penumbra.training.events import EventLog, Tell
from napari_penumbra.training.ranks import Heartbeat, LastWord, Place, gone, name_of_attempt, open_store, quiet

if TYPE_CHECKING:
    from napari_penumbra.training.trainer import Trainer

Stopping = Callable[[], bool]


def train_together(run: Path, spec: RunSpec, tell: Tell, stopping: Stopping, resume: bool, place: Place) -> None:
    """Train as one of several processes; the first speaks, and every one of them may say the last word of a failure.

    Does not return when a process is gone: whatever this one waits for would never come.
    """
    if place.leads:
        less.settle(run)
    store = open_store()
    last = LastWord(place, store)

    def lost(ranks: list[int]) -> None:
        if less.is_asked(run):
            less.begin_again(run)
        error = gone(place, ranks)
        if last.wanted():
            _tell_failure(run, error)
        _end(error)

    # A connection of its own: one that waits for the others must not keep this process from being heard.
    heartbeat = Heartbeat(place, open_store(), lost)
    heartbeat.start()
    trainer: Trainer | None = None
    try:
        trainer = _prepare(run, spec, tell, stopping, resume, store)
        trainer.run()
        heartbeat.forgive()
    except Exception as error:  # noqa: BLE001 - the last word must be said whatever went wrong
        traceback.print_exc(file=sys.stderr)
        words = _go_on_or_say(run, trainer, error)
        said = last.of(words, heartbeat)
        if said is not None:
            _tell_failure(run, said)
        _end(words)
    _leave(heartbeat)


def _go_on_or_say(run: Path, trainer: Trainer | None, error: Exception) -> PenumbraError:
    """Begin again with less if memory has run out, here or elsewhere; else say what the error means."""
    words = _in_words(error)
    try:
        if less.can_go_on(run, trainer, error, words):
            less.begin_again(run)
    except PenumbraError as refused:
        return refused
    return words


def _prepare(run: Path, spec: RunSpec, tell: Tell, stopping: Stopping, resume: bool, store: object) -> Trainer:
    from napari_penumbra.training.build import make_trainer
    from napari_penumbra.training.distributed import join

    crew = join(spec.device, store)
    tell(Progress(Kind.STAGE, message=f"{crew.size} processes train together."))
    trainer = make_trainer(run, spec, tell, stopping, resume=resume, crew=crew)
    less.take(run, trainer)
    return trainer


def predict_together(run: Path, spec: RunSpec, tell: Tell, stopping: Stopping, place: Place) -> None:
    """Predict as one of several workers, who share nothing but its folder once they have begun."""
    from napari_penumbra.inference.claims import Shares
    from napari_penumbra.inference.shared_run import SharedPrediction
    from napari_penumbra.training.build import make_prediction

    store = open_store()
    shares = Shares(run, name_of_attempt(place, store), place.rank, place.size)
    try:
        device = spec.device if spec.device != "auto" else place.device
        prediction = make_prediction(run, dataclasses.replace(spec, device=device), tell, stopping)
    except BaseException:
        shares.leave(failed=True)
        raise
    SharedPrediction(prediction, shares).run()


def _leave(heartbeat: Heartbeat) -> None:
    from napari_penumbra.training.distributed import leave

    # All is done and written: that another process has gone already is no harm.
    with contextlib.suppress(RuntimeError):
        leave()
    heartbeat.stop()


def _in_words(error: Exception) -> PenumbraError:
    from napari_penumbra.training.worker import in_words

    return error if isinstance(error, PenumbraError) else in_words(error)


def _tell_failure(run: Path, error: PenumbraError) -> None:
    about = str(getattr(error, "about", ""))
    event = Progress(Kind.FAILED, message=error.message, remedy=error.remedy, about=about)
    EventLog(run / "events.jsonl")(event)


def _end(error: PenumbraError) -> None:
    """End at once: an orderly end would wait for processes that are gone."""
    if error.details:
        sys.stderr.write(error.details + "\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(error.exit_code)


def voice(run: Path, place: Place) -> Tell:
    """What a worker says things with: nothing unless it speaks for all."""
    return EventLog(run / "events.jsonl") if place.leads else quiet
