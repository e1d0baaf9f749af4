"""The next cases are predicted before they are opened, in the background, and never in the way of a training."""

from __future__ import annotations

from contextlib import suppress

from napari_penumbra.domain.case import CaseRow, CaseState, Role
from napari_penumbra.domain.errors import PenumbraError, UsageError
from napari_penumbra.domain.progress import Kind, Progress, RunState
from napari_penumbra.jobs.job import Job
from napari_penumbra.session.review import Review
from napari_penumbra.session.warm import Warm
from napari_penumbra.study import orders

AT_ONCE = 3
"""Cases predicted in one go: few, so that a change of the order or a new model soon counts."""
FEWEST_LABELLED = 4
"""Cases that the model must have learnt from: correcting a model that knows nothing takes longer than painting.

RootPainter starts to predict ahead after ten. Ours are whole cases; from the fourth on the study freezes one of them,
so that a model which predicts ahead has been measured."""
TITLE = "ahead"
"""Word in the id of such a run, by which another window knows that it makes way."""
_PATIENCE_SECONDS = 0.3
_WAITING = (CaseState.NEW, CaseState.PREDICTED)


class Ahead(Review, Warm):
    """Predicts the cases that come next while nothing else runs; see `predict_ahead`."""

    def __init__(self) -> None:
        self._ahead = ""
        self._wanted = False
        self._due = True
        self._looking = False
        self._seen_order = ""
        self._tried: set[tuple[str, str]] = set()
        self._given_up = ""
        super().__init__()
        self.case_changed.connect(self._on_changed)
        self.study_changed.connect(self._on_changed)

    # ---------------------------------------------------------------- the switch

    @property
    def predict_ahead(self) -> bool:
        """Whether cases are predicted ahead. Off at first: the window switches it on, a command line never does."""
        return self._wanted

    @predict_ahead.setter
    def predict_ahead(self, wanted: bool) -> None:
        self._wanted = wanted
        self._due, self._given_up = True, ""
        if not wanted:
            self._stop_ahead()

    def ahead_words(self) -> str:
        """Say what predicting ahead does now, or why it does nothing, in one sentence."""
        if not self._wanted:
            return "Switched off: cases are predicted after a training only."
        if self._ahead:
            return "The next cases are being predicted in the background."
        return self._why_not() or "The next cases have been predicted."

    def _why_not(self) -> str:
        study = self.study
        if study is None or study.readonly:
            return "Nothing can be predicted: no study is open for writing."
        champion = study.champion()
        if champion is None:
            return "There is no model yet."
        if self._given_up == champion:
            return "You have stopped it; it goes on with the next model, or when switched off and on."
        learnt = self._learnt_from(champion)
        if learnt < FEWEST_LABELLED:
            cases = "1 case" if learnt == 1 else f"{learnt} cases"
            return f"The model has learnt from {cases} only; from {FEWEST_LABELLED} on it predicts ahead."
        return ""

    def _learnt_from(self, run: str) -> int:
        with suppress(PenumbraError):
            return self.cases_behind(run)
        return 0

    # ---------------------------------------------------------------- starting

    def poll(self) -> None:
        """Follow the workers, and see whether there is a case to predict ahead."""
        super().poll()
        if not self._wanted or self._looking or self._live or self._registrar.busy or self.measuring:
            return
        if not self._due and self._seen_order == self.order:
            return
        self._due, self._seen_order = False, self.order
        self._looking = True  # to start a prediction is to poll once more
        try:
            self._look_ahead()
        except PenumbraError as error:
            # Nobody has asked for it just now: it is said once, and not tried again before something changes.
            self._given_up = (self.study.champion() or "") if self.study is not None else ""
            self._news = f"Predicting ahead was given up: {error.message}"
            self._update_status()
        finally:
            self._looking = False

    def _look_ahead(self) -> None:
        if self._why_not():
            return
        study = self.opened()
        champion = study.champion() or ""
        names = [name for name in self._ahead_of_reader(study.cases(self.order)) if (champion, name) not in self._tried]
        if names:
            self._tried |= {(champion, name) for name in names}
            self._ahead = self.predict(names, title=TITLE)
            self._update_status()

    def _ahead_of_reader(self, rows: list[CaseRow]) -> list[str]:
        """Name the next cases that have no prediction of the champion; not the one on screen, which is being worked on.

        An order that goes by predictions can only rank what has one: there, cases further on follow.
        """
        shown = self._shown.name if self._shown is not None else None
        waiting = [r for r in rows if r.state in _WAITING and r.role is Role.TRAINING and r.name != shown]
        lacking = [row.name for row in waiting[:AT_ONCE] if not row.current]
        if not lacking and orders.get(self.order).needs_predictions:
            lacking = [row.name for row in waiting if not row.current][:AT_ONCE]
        return lacking

    # ---------------------------------------------------------------- making way

    def _refuse_if_busy(self, queue: bool = False) -> None:
        self._stop_ahead()
        looking, self._looking = self._looking, True  # or the poll in there would start the next one ahead
        try:
            super()._refuse_if_busy(queue)
        finally:
            self._looking = looking

    @property
    def blocking(self) -> str | None:
        """The run that a new one has to wait for: `active`, unless it makes way."""
        return None if self._ahead and self.active == self._ahead else self.active

    def _busy(self) -> UsageError | None:
        """What stands in the way of a run: a prediction ahead does not, it makes way."""
        return None if self.blocking is None else super()._busy()

    def _stop_ahead(self) -> None:
        """End a prediction ahead at once: what it has finished stays, and a case half done is done again later."""
        run, self._ahead = self._ahead, ""
        if not run or run not in self._live:
            return
        job = self._jobs[run]
        with suppress(PenumbraError):
            job.stop()
        if not self._end_warm(job, _PATIENCE_SECONDS):
            job.kill(_PATIENCE_SECONDS)
        if job.state() is not RunState.STOPPED:
            job.note(Progress(Kind.STOPPED, message="It made way."))  # or it would read as lost
        self._live.remove(run)
        if self.study is not None and not self.readonly:
            self._registrar.register(self.study, [case.name for case in job.spec().cases])
        self._tried.clear()
        self._due = True
        self._update_status()

    def _end(self, job: Job, state: RunState) -> None:
        if job.id != self._ahead:
            super()._end(job, state)
            return
        self._ahead = ""
        if state is RunState.STOPPED and self.study is not None:
            self._given_up = self.study.champion() or ""  # by the reader, with the button in the status line
        if state in (RunState.FAILED, RunState.LOST):
            super()._end(job, state)
        self._due = True

    def _running_words(self, job: Job) -> str:
        words = super()._running_words(job)
        return f"Predicting the next cases ahead · {words}" if job.id == self._ahead else words

    # ---------------------------------------------------------------- when to look

    def _on_changed(self, case: str = "") -> None:
        self._due = True

    def _forget(self) -> None:
        super()._forget()
        self._ahead, self._given_up = "", ""
        self._tried.clear()

    def _begin(self) -> None:
        super()._begin()
        self._ahead = next((run for run in self._live if f"-{TITLE}-" in run), "")
        self._due = True
