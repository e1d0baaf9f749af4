"""Runs as processes: started, paused, stopped, taken up again."""

from __future__ import annotations

import datetime as dt
import secrets
import shutil
import threading
from dataclasses import replace
from pathlib import Path

from napari_penumbra.domain.errors import JobError, PenumbraError, UsageError
from napari_penumbra.domain.launch import Launch
from napari_penumbra.domain.progress import Kind, Progress, RunState
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.jobs.job import Job
from napari_penumbra.jobs.launch import launch, prepare
from napari_penumbra.jobs.launchers import change_launch, refuse_if_closed
from napari_penumbra.jobs.methods_info import method_title
from napari_penumbra.jobs.pool import offer
from napari_penumbra.session import champion
from napari_penumbra.session.judging import Judging

STUBBORN_SECONDS = 20.0
"""No step takes so long. A measurement of the frozen cases may: only who asks again gets a hard end."""


class Steering(Judging):
    """Starts, pauses, stops and resumes the workers of a study."""

    def _start(self, spec: RunSpec, title: str) -> str:
        study = self.writable()
        now = dt.datetime.now(dt.UTC)
        run = f"{now:%Y%m%d-%H%M%S}-{title}-{secrets.token_hex(2)}"
        folder = prepare(study.layout.runs, run, spec)
        try:
            study.add_run(run, spec.kind, spec.method, spec.preset)
        except PenumbraError:
            shutil.rmtree(folder, ignore_errors=True)  # nothing may lie about that the study does not know
            raise
        job = self._know(run, spec.kind, spec.method)
        try:
            self._launch(folder, spec, spec.threads)
        except PenumbraError as error:
            job.note(Progress(Kind.FAILED, message=error.message, remedy=error.remedy))
            raise
        self._news = ""
        self._live.append(run)
        self._update_status()
        return run

    def _launch(self, folder: Path, spec: RunSpec, threads: int, resume: bool = False) -> None:
        """Start the process of a prepared run."""
        launch(folder, threads=threads, resume=resume)

    def _refuse_if_busy(self, queue: bool = False) -> None:
        """Refuse when something runs; with ``queue`` only when it is a prediction, which trainings do not wait for."""
        self.poll()  # a run that has ended since the last look does not stand in the way
        busy = self._busy()
        if busy and not (queue and self.queueable):
            raise busy

    def _busy(self) -> UsageError | None:
        active = self.active
        if active is None:
            return None
        kind, method = self._kinds[active]
        what = "being trained" if kind == "train" else "predicting"
        return UsageError(
            f"{method_title(method)} is {what} in this study already (run {active}).",
            "Wait for it, or stop it first.",
        )

    # ---------------------------------------------------------------- stop, go on

    def stop(self, run: str) -> bool:
        """Ask a run to end at the next step boundary with a checkpoint.

        Returns
        -------
        bool
            Whether it was ended with its process instead, because it `hangs`.

        Raises
        ------
        JobError
            It hangs on another machine, whose processes are out of reach. What goes wrong while it is being ended is
            told by `failed`.
        """
        job = self._job(run)
        if job.state().over:
            raise UsageError(f"Run {run} is not running.", "`penumbra runs` shows how each stands.")
        hangs = self.hangs(run)
        if hangs:
            self._refuse_if_elsewhere(run)
            # It may take seconds to go; a program that ends meanwhile waits for that.
            threading.Thread(target=self._end_aside, args=(run,), name=f"end of {run}").start()
        else:
            job.stop()
        return hangs

    def end(self, run: str) -> None:
        """End a run that `hangs` with its process, and wait for that: seconds.

        Raises
        ------
        JobError
            It works on another machine, whose processes are out of reach, or its cluster does not answer.
        """
        self._refuse_if_elsewhere(run)
        self._job(run).kill()

    def _end_aside(self, run: str) -> None:
        try:
            self.end(run)
        except PenumbraError as error:
            self.failed.emit(error)

    def _refuse_if_elsewhere(self, run: str) -> None:
        why = self.why_not_end(run)
        if why:
            raise JobError(f"Run {run} cannot be ended from here.", why)

    def hangs(self, run: str) -> bool:
        """Whether a run was asked to stop so long ago that asking again ends its process.

        What it has learnt since its last checkpoint is lost then, and `resume` goes on from there.
        """
        job = self._jobs.get(run)
        asked = None if job is None else job.asked_to_stop()
        return job is not None and asked is not None and asked >= STUBBORN_SECONDS and not job.state().over

    def why_not_end(self, run: str) -> str:
        """Say why a run that `hangs` cannot be ended with its process; empty when it can, or does not hang."""
        job = self._jobs.get(run)
        host = job.elsewhere() if job is not None and self.hangs(run) else ""
        return host and f"It works on {host} and does not answer: `penumbra stop` there ends its process."

    def pause(self, run: str) -> None:
        """Ask a training to step aside: it saves, gives the graphics card's memory back and waits for `resume`."""
        job = self._job(run)
        if self._kinds[run][0] != "train":
            raise UsageError("A prediction cannot be paused.", "Stop it; it goes on with the cases that are left.")
        if job.state() is not RunState.RUNNING:
            raise UsageError(f"Run {run} is not running.", "`penumbra runs` shows how each stands.")
        job.pause(True)
        self._update_status()

    def resume(self, run: str, threads: int | None = None, queue: bool = False, way: Launch | None = None) -> str:
        """Go on with a run that is paused, was stopped, was lost or has failed.

        Parameters
        ----------
        queue
            Wait for the training that runs now, instead of refusing.
        way
            Where and by how many processes from now on; None as before.

        Returns
        -------
        str
            The run's id; for a prediction that of a new run over the cases still to do.
        """
        study = self.writable()
        job = self._job(run)
        state = job.state()
        if not state.over and (job.folder / "pause").exists():
            job.pause(False)
            self._update_status()
            return run
        self._refuse_if_busy(queue)
        if not state.over:
            raise UsageError(f"Run {run} is going on already.", "`penumbra runs` shows how each stands.")
        if state is RunState.FINISHED:
            raise UsageError(f"Run {run} has finished.", "Start a new one.")
        if way is not None:
            refuse_if_closed(way)
            change_launch(job.folder, way)
        spec = job.spec()
        if spec.kind == "predict":
            return self._resume_prediction(job, spec)
        champion.forget(job.folder)
        if self.learn_on:
            offer(job.folder, study.pool())
        threads = spec.threads if threads is None else threads
        self._launch(job.folder, spec, threads, resume=job.checkpoint() is not None)
        self._news = ""
        self._live.append(run)
        self._update_status()
        return run

    def _resume_prediction(self, job: Job, spec: RunSpec) -> str:
        done = {event.case for event in job.events(from_start=True) if event.kind is Kind.CASE_DONE}
        rest = tuple(case for case in spec.cases if case.name not in done)
        if not rest:
            raise UsageError(f"Run {job.id} has predicted all its cases.", "Start a new one.")
        return self._start(replace(spec, cases=rest), "predict")
