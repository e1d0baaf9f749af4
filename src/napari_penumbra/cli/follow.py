"""A progress bar that follows a run; Ctrl+C stops the run at a step boundary and keeps its checkpoint."""

from __future__ import annotations

import time
from contextlib import suppress

from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from napari_penumbra.cli.output import errors, warn
from napari_penumbra.domain import progress as said
from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.progress import Kind
from napari_penumbra.session import Session
from napari_penumbra.session.words import dice_words, duration

_INTERVAL = 0.2
INTERRUPTED = 130


class _Bar:
    """Turns a run's events into one line on stderr."""

    def __init__(self, session: Session, run: str, bar: Progress) -> None:
        self._session, self._run, self._bar = session, run, bar
        self._task: TaskID = bar.add_task("starting…", total=None, count="", figures="")
        self._loss = self._dice = self._left = ""
        self.error: PenumbraError | None = None

    def event(self, run: str, event: said.Progress) -> None:
        """Show an event of the run that is followed."""
        if run != self._run:
            return
        if event.kind is Kind.WARNING:
            # Through the bar's own console, which lifts the bar out of the way.
            text = " ".join(filter(None, ("⚠", event.message, event.remedy)))
            self._bar.console.print(escape(text), style="yellow", highlight=False, soft_wrap=True)
        if event.kind is Kind.POOL:
            text = f"Step {event.step:,}: {event.message}"
            self._bar.console.print(escape(text), highlight=False, soft_wrap=True)
        if event.kind is Kind.VALIDATION:
            self._dice = dice_words(event) or self._dice
        if event.losses:
            self._loss = _loss_words(event.losses)
        if event.eta_seconds is not None:
            self._left = f"{duration(event.eta_seconds)} left" if event.step < event.steps else ""
        figures = " · ".join(filter(None, (self._loss, self._dice, self._left)))
        words = _doing(event)
        if event.steps and event.kind is not Kind.STAGE:
            count = f"{event.step:,}/{event.steps:,}"
            self._bar.update(
                self._task, total=event.steps, completed=event.step, description=words, count=count, figures=figures
            )
        else:
            self._bar.update(self._task, description=words, figures=figures)

    def failure(self, error: PenumbraError) -> None:
        """Keep the error until the bar is gone."""
        self.error = error


def _doing(event: said.Progress) -> str:
    if event.kind in (Kind.STARTED, Kind.STAGE, Kind.QUEUED, Kind.PAUSED):
        return event.message or "starting…"
    return event.case or "training"


def _loss_words(losses: dict[str, float]) -> str:
    """Say the loss: the total (of each network that has one of its own), otherwise the first two parts by name."""
    totals = {n.removesuffix("total").rstrip("."): v for n, v in losses.items() if n.split(".")[-1] == "total"}
    if totals:
        return " · ".join(f"{name} loss {value:.3f}".strip() for name, value in totals.items())
    return " · ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in list(losses.items())[:2])


def follow(session: Session, run: str, quiet: bool = False) -> int:
    """Poll a session until a run is over.

    Parameters
    ----------
    quiet
        Draw nothing.

    Returns
    -------
    int
        0, or 130 when Ctrl+C stopped it.

    Raises
    ------
    PenumbraError
        The run failed or was lost.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, console=errors(), transient=True, disable=quiet) as bar:
        view = _Bar(session, run, bar)
        session.run_event.connect(view.event)
        session.failed.connect(view.failure)
        try:
            interrupted = _wait(session, run)
        finally:
            session.run_event.disconnect(view.event)
            session.failed.disconnect(view.failure)
    if view.error is not None:
        raise view.error
    return INTERRUPTED if interrupted else 0


def _wait(session: Session, run: str) -> bool:
    """Poll until the run is over; the first Ctrl+C asks it to stop, the second leaves it to itself."""
    interrupted = False
    while True:
        try:
            session.poll()
            if run not in session.live:
                session.poll()  # what it said between the last look and its end
                return interrupted
            time.sleep(_INTERVAL)
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = True
            warn("Stopping at the next step and saving a checkpoint… (Ctrl+C again leaves it to do so alone)")
            with suppress(PenumbraError):  # it may have ended just now
                session.stop(run)
