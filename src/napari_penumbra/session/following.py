"""Runs as they go: polled, told to listeners, judged at their end."""

from __future__ import annotations

import datetime as dt
import shutil
import time

from napari_penumbra.domain.errors import JobError, PenumbraError, UsageError
from napari_penumbra.domain.progress import Kind, Progress, RunState
from napari_penumbra.jobs.job import Job
from napari_penumbra.jobs.methods_info import method_title
from napari_penumbra.jobs.pool import offer
from napari_penumbra.session import champion, words
from napari_penumbra.session.base import Base, idle_words
from napari_penumbra.session.champion import RunInfo
from napari_penumbra.session.registrar import Registrar
from napari_penumbra.study.store import Study

_OFFER_SECONDS = 1.0
"""At most so often a training is told of the pool: listing a large one takes a tenth of a second."""


class Following(Base):
    """Finds the runs of a study, passes on what they say, and crowns champions."""

    learn_on: bool = True
    """Let trainings learn from cases that are accepted, and no more from those taken back, while they run."""

    def __init__(self) -> None:
        self._pool_changed = False
        self._offered_at = 0.0
        self._jobs: dict[str, Job] = {}
        self._kinds: dict[str, tuple[str, str]] = {}
        self._live: list[str] = []
        self._news = ""
        self._registrar = Registrar()
        super().__init__()
        self.case_changed.connect(self._on_pool_changed)
        self.study_changed.connect(self._on_pool_changed)

    def close(self) -> None:
        """Close the study. A running worker goes on, and learns from what was accepted until now."""
        self._offer_pool()
        super().close()

    def _take(self, study: Study) -> None:
        self._offer_pool()
        super()._take(study)

    def _on_pool_changed(self, case: str = "") -> None:
        self._pool_changed = True

    def _offer_pool(self) -> None:
        """Tell running trainings of the pool, if it may have changed."""
        if not self._pool_changed or not self.learn_on or self.study is None or self.readonly:
            return
        self._pool_changed, self._offered_at = False, time.monotonic()
        trainings = [run for run in self._live if self._kinds[run][0] == "train"]
        try:
            pool = self.study.pool() if trainings else ()
            for run in trainings:
                offer(self._jobs[run].folder, pool)
        except PenumbraError as error:
            self.failed.emit(error)

    def _forget(self) -> None:
        super()._forget()
        self._registrar.close()
        self._jobs.clear()
        self._kinds.clear()
        self._live.clear()
        self._news = ""

    def _begin(self) -> None:
        """Find runs that go on or have ended while nobody looked."""
        super()._begin()
        study = self.opened()
        for row in study.runs():
            job = self._know(row.id, row.kind, row.method)
            job.catch_up()
            state = job.state()
            if not state.over:
                self._live.append(row.id)
            elif row.kind == "train" and not study.readonly and champion.judged(job.folder) is None:
                self._judge(job, state)
                if state is RunState.LOST:
                    self._news = self._end_words(job, state)
        # A window that crashed may have accepted cases without telling.
        self._pool_changed, self._offered_at = True, 0.0
        if not study.readonly:
            study.register_predictions()
            # Drafts of runs that were being made when the program was killed; nobody else makes any.
            for draft in (*study.layout.runs.glob(".new-*"), *study.layout.runs.glob(".check-*")):
                if not study.shared:  # another reader of a team may be making it
                    shutil.rmtree(draft, ignore_errors=True)

    def _know(self, run: str, kind: str, method: str) -> Job:
        if run not in self._jobs:
            self._jobs[run] = Job(self.opened().layout.run(run))
        self._kinds[run] = (kind, method or kind)
        return self._jobs[run]

    def _job(self, run: str) -> Job:
        if run not in self._jobs:
            for row in self.opened().runs():
                self._know(row.id, row.kind, row.method)
        if run not in self._jobs:
            raise UsageError(f"There is no run {run}.", "`penumbra runs` lists them.")
        return self._jobs[run]

    # ---------------------------------------------------------------- look

    @property
    def active(self) -> str | None:
        """The run that is followed: it runs, or its end has not been polled yet. None when nothing runs."""
        return next((run for run in self._live if not self._waits(run)), self._live[0] if self._live else None)

    @property
    def live(self) -> tuple[str, ...]:
        """All runs that go on, those that wait for their turn among them."""
        return tuple(self._live)

    @property
    def queueable(self) -> bool:
        """Whether something runs that a new training could wait for: trainings, not predictions."""
        return bool(self._live) and all(self._kinds[run][0] == "train" for run in self._live)

    def _waits(self, run: str) -> bool:
        last = self._jobs[run].last
        return last is not None and last.kind is Kind.QUEUED

    def runs(self) -> list[RunInfo]:
        """All runs of the study, the newest first."""
        if self.study is None:
            return []
        best = self.study.champion()
        infos = []
        for row in self.study.runs():
            known = row.id in self._jobs
            job = self._know(row.id, row.kind, row.method)
            if not known:
                job.catch_up()
            infos.append(self._info(job, row.preset, row.created, row.id == best))
        return sorted(infos, key=lambda info: (info.created, info.id), reverse=True)

    def _info(self, job: Job, preset: str, created: dt.datetime, best: bool) -> RunInfo:
        kind, method = self._kinds[job.id]
        state, furthest = job.state(), job.furthest
        return RunInfo(
            id=job.id,
            kind=kind,
            method=method,
            preset=preset,
            state=state,
            step=furthest.step if furthest else 0,
            steps=furthest.steps if furthest else 0,
            dice=champion.figure(job),
            reference_dice=champion.figure(job, "reference_dice"),
            created=created,
            champion=best,
            message=self._end_words(job, state) if state.over else self._running_words(job),
            warnings=tuple(f"{event.message} {event.remedy}".strip() for event in job.warnings),
            place=int(job.last.metrics.get("place", 0)) if state is RunState.QUEUED and job.last else 0,
        )

    def history(self, run: str) -> list[Progress]:
        """Return every event of a run from its beginning."""
        return self._job(run).events(from_start=True)

    def log(self, run: str) -> str:
        """Return the last lines of what a run's process printed."""
        return self._job(run).log_tail()

    # ---------------------------------------------------------------- follow

    def poll(self) -> None:
        """Pass on what the workers have said since the last call. Cheap: call it a few times a second."""
        self.follow_team()
        if not self._live and not self._registrar.busy:
            return
        if time.monotonic() - self._offered_at >= _OFFER_SECONDS:
            self._offer_pool()
        self._collect()
        for run in list(self._live):
            if run in self._live:  # a listener may have closed the study
                self._follow(self._jobs[run])
        self._update_status()

    def _follow(self, job: Job) -> None:
        state = job.state()
        events = job.events()
        done = [event.case for event in events if event.kind is Kind.CASE_DONE]
        if done and not self.readonly:
            self._registrar.register(self.opened(), done)
        for event in events:
            self.run_event.emit(job.id, event)
        # A run is over for the reader when what it has made can be opened.
        if state.over and not self._registrar.busy and job.id in self._live:
            self._live.remove(job.id)
            self._end(job, state)

    def _collect(self) -> None:
        predictions, errors = self._registrar.collect()
        for name in dict.fromkeys(prediction.case for prediction in predictions):
            self.case_changed.emit(name)
        for error in errors:
            self.failed.emit(error)

    def _end(self, job: Job, state: RunState) -> None:
        kind, _ = self._kinds[job.id]
        self._news = self._end_words(job, state)
        if kind == "train" and not self.readonly:
            won = self._judge(job, state)
            if won and state is RunState.FINISHED:
                self._crowned()
        if state in (RunState.FAILED, RunState.LOST):
            remedy = "Resume it from the Train page." if job.checkpoint() else "Read its log, then start it again."
            self.failed.emit(JobError(self._news, remedy, details=job.log_tail(60), run=job.id))

    def _judge(self, job: Job, state: RunState) -> bool:
        """Crown a training that has ended if it deserves it, see `judging`; returns whether it has won just now."""
        return False

    def _crowned(self) -> None:
        """Do what follows a finished training whose model has become champion."""

    # ---------------------------------------------------------------- words

    def acknowledge(self) -> None:
        """The reader has seen how the last run ended: the status line goes back to what to do next."""
        self._news = ""
        self._update_status()

    def _words(self) -> str:
        active = self.active
        if self.study is not None and self._live and active is not None:
            job, waiting = self._jobs[active], sum(self._waits(run) for run in self._live if run != active)
            queue = f" · {waiting} waiting" if waiting else ""
            return self._running_words(job) + queue + self._warning_words(job)
        idle = idle_words(self)
        return f"{self._news} {idle}" if self._news else idle

    def _running_words(self, job: Job) -> str:
        kind, method = self._kinds[job.id]
        stopping = ""
        if (job.folder / "stop").exists():
            host = job.elsewhere()
            stopping = f" · stopping on {host}…" if host else " · stopping…"
        return words.running(kind, method_title(method), job.last, job.furthest, job.figures) + stopping

    def _warning_words(self, job: Job) -> str:
        """Say the newest diagnosis as long as the run goes on; the run list has them all, with their remedies."""
        found = next((event for event in reversed(job.warnings) if event.about), None)
        if found is None or found is job.last:
            return ""
        return f" · ⚠ {found.message}"

    def _end_words(self, job: Job, state: RunState) -> str:
        kind, method = self._kinds[job.id]
        if kind == "import":
            return "It was imported."
        name = method_title(method) if kind == "train" else "The prediction"
        name = name[:1].upper() + name[1:]
        return words.ended(kind, name, state, job.last, job.furthest, job.checkpoint() is not None)
