"""The learning half of a session: looks ahead, starts workers, stops them, goes on with them."""

from __future__ import annotations

import datetime as dt
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from napari_penumbra.domain.errors import JobError, ModelError, PenumbraError, UsageError
from napari_penumbra.domain.progress import Kind, Progress, RunState
from napari_penumbra.domain.spec import RunSpec, SpecCase
from napari_penumbra.jobs.job import Job
from napari_penumbra.jobs.launch import check, launch, prepare
from napari_penumbra.jobs.machine import look
from napari_penumbra.jobs.methods_info import MethodInfo, find, method_infos
from napari_penumbra.jobs.pool import offer
from napari_penumbra.session import champion
from napari_penumbra.session.facts import facts_of
from napari_penumbra.session.following import Following
from napari_penumbra.session.preflight import Preflight, look_ahead
from napari_penumbra.session.recommend import Recommendation, recommend


class Runs(Following):
    """Trainings and predictions of the open study."""

    auto_predict: bool = True
    """Predict the unlabelled cases as soon as a training has made a new champion."""

    # ---------------------------------------------------------------- before

    def methods(self) -> list[MethodInfo]:
        """Every installed method. Takes seconds the first time: call it off the window's thread."""
        return method_infos()

    def recommend(self) -> Recommendation:
        """Choose a method and a preset for the open study, and say why.

        Reads a few label files, and asks for the methods and the graphics card, which takes seconds the first time:
        call it off the window's thread.
        """
        infos = self.methods()
        return recommend(facts_of(self.opened(), look()), infos)

    def preflight(
        self,
        method: str,
        preset: str,
        config: Mapping[str, Any] | None = None,
        steps: int | None = None,
        validation: int | None = None,
    ) -> Preflight:
        """Say what a training would see and what may go wrong, without starting anything."""
        info = find(self.methods(), method)
        info.check(preset, dict(config or {}))
        settings, steps = _settings(config, steps)
        ahead = look_ahead(self.opened(), info, preset, settings, steps, validation)
        busy = self._busy()
        return replace(ahead, problem=str(busy)) if busy and not ahead.problem else ahead

    def measure(self, preflight: Preflight, threads: int = 0) -> Preflight:
        """Take two real steps in a worker and add time and memory. Seconds: call it off the window's thread.

        Raises
        ------
        JobError
            The trial steps failed; the worker's own words.
        """
        study = self.writable()
        spec = RunSpec(
            kind="train",
            modalities=tuple(study.modalities),
            labels=study.labels,
            cases=study.pool(),
            method=preflight.method,
            preset=preflight.preset,
            config=preflight.config,
            steps=preflight.steps,
            threads=threads,
        )
        # Beside the real runs, so that the worker finds the study the same way; no database row, gone afterwards.
        folder = prepare(study.layout.runs, f".check-{secrets.token_hex(4)}", spec)
        try:
            return preflight.with_measured(check(folder, threads=threads))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    # ---------------------------------------------------------------- start

    def train(
        self,
        method: str,
        preset: str,
        *,
        steps: int | None = None,
        seed: int = 0,
        config: Mapping[str, Any] | None = None,
        reference: bool = True,
        validation: int | None = None,
        threads: int = 0,
        queue: bool = False,
        tensorboard: bool = False,
    ) -> str:
        """Start a training in its own process.

        Parameters
        ----------
        method, preset
            Names as `methods` lists them.
        steps
            Optimiser steps; None takes the preset's.
        config
            Parameters that differ from the preset.
        reference
            Train a supervised-only twin along, to show what the unlabelled cases are worth.
        validation
            How many labelled cases to freeze, if none are frozen yet; None draws a fifth of four or more.
        threads
            CPU threads; 0 for all but one.
        queue
            Wait for the training that runs now, instead of refusing.
        tensorboard
            Also write files for TensorBoard into the run's folder.

        Returns
        -------
        str
            The run's id.

        Raises
        ------
        UsageError
            Unknown method, preset or parameter; no labelled case; another run is active.
        """
        study = self.writable()
        self._refuse_if_busy(queue)
        info = find(self.methods(), method)
        info.check(preset, dict(config or {}))
        settings, steps = _settings(config, steps)
        ahead = look_ahead(study, info, preset, settings, steps, validation)
        if ahead.problem:
            raise UsageError(ahead.problem, ahead.remedy)
        study.freeze_validation(count=validation)
        spec = RunSpec(
            kind="train",
            modalities=tuple(study.modalities),
            labels=study.labels,
            cases=study.pool(),
            method=method,
            preset=preset,
            config=settings,
            steps=steps,
            seed=seed,
            reference=reference and info.uses_unlabelled,
            threads=threads,
            tensorboard=tensorboard,
        )
        return self._start(spec, method)

    def predict(
        self,
        cases: Sequence[str] | None = None,
        run: str | None = None,
        first: str | None = None,
        threads: int = 0,
        title: str = "predict",
    ) -> str:
        """Start a prediction in its own process.

        Parameters
        ----------
        cases
            Names; None takes all unlabelled cases, the most useful first.
        run
            Training whose last checkpoint predicts; None takes the champion.
        first
            The case on screen: it comes first.
        title
            Word in the run's id.

        Returns
        -------
        str
            The run's id.
        """
        study = self.writable()
        self._refuse_if_busy()
        run = run or study.champion()
        if run is None:
            raise UsageError("There is no model yet.", "Label two cases, then train.")
        job = self._job(run)
        checkpoint = job.checkpoint()
        if checkpoint is None:
            raise ModelError(f"Run {run} has no checkpoint to predict with.", "Resume it, or train anew.")
        trained = job.spec()
        spec = RunSpec(
            kind="predict",
            modalities=trained.modalities,
            labels=trained.labels,
            cases=self._to_predict(cases, first),
            method=trained.method,
            preset=trained.preset,
            config=trained.config,
            seed=trained.seed,
            checkpoint=checkpoint.relative_to(study.root).as_posix(),
            threads=threads,
        )
        return self._start(spec, title)

    def _to_predict(self, cases: Sequence[str] | None, first: str | None) -> tuple[SpecCase, ...]:
        study = self.opened()
        if cases is None:
            pool = {case.name: case for case in study.pool() if case.role == "unlabelled"}
            names = [name for name in study.order() if name in pool]
            if not names:
                raise UsageError(
                    "Every case is labelled: there is nothing to predict.", "Name cases to predict anyway."
                )
        else:
            names = list(dict.fromkeys(cases))
            for name in names:
                study.case(name)  # says in words when there is no such case
            pool = {case.name: case for case in study.pool(only=names)}
        if first in names:
            names.remove(first)
            names.insert(0, first)
        return tuple(replace(pool[name], role="predict", label=None) for name in names if name in pool)

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
            launch(folder, threads=spec.threads)
        except JobError as error:
            job.note(Progress(Kind.FAILED, message=error.message, remedy=error.remedy))
            raise
        self._news = ""
        self._live.append(run)
        self._update_status()
        return run

    def _refuse_if_busy(self, queue: bool = False) -> None:
        """Refuse when something runs; with ``queue`` only when it is a prediction, which trainings do not wait for."""
        self.poll()  # a run that has ended since the last look does not stand in the way
        busy = self._busy()
        if busy and not (queue and all(self._kinds[run][0] == "train" for run in self._live)):
            raise busy

    def _busy(self) -> UsageError | None:
        active = self.active
        if active is None:
            return None
        kind, title = self._kinds[active]
        what = "being trained" if kind == "train" else "predicting"
        return UsageError(f"{title} is {what} in this study already (run {active}).", "Wait for it, or stop it first.")

    # ---------------------------------------------------------------- stop, go on

    def stop(self, run: str) -> None:
        """Ask a run to end at the next step boundary with a checkpoint."""
        job = self._job(run)
        if job.state().over:
            raise UsageError(f"Run {run} is not running.", "`penumbra runs` shows how each stands.")
        job.stop()

    def pause(self, run: str) -> None:
        """Ask a training to step aside: it saves, gives the graphics card's memory back and waits for `resume`."""
        job = self._job(run)
        if self._kinds[run][0] != "train":
            raise UsageError("A prediction cannot be paused.", "Stop it; it goes on with the cases that are left.")
        if job.state() is not RunState.RUNNING:
            raise UsageError(f"Run {run} is not running.", "`penumbra runs` shows how each stands.")
        job.pause(True)
        self._update_status()

    def resume(self, run: str, threads: int | None = None, queue: bool = False) -> str:
        """Go on with a run that is paused, was stopped, was lost or has failed.

        Parameters
        ----------
        queue
            Wait for the training that runs now, instead of refusing.

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
        spec = job.spec()
        if spec.kind == "predict":
            return self._resume_prediction(job, spec)
        champion.forget(job.folder)
        if self.learn_on:
            offer(job.folder, study.pool())
        launch(job.folder, threads=spec.threads if threads is None else threads, resume=job.checkpoint() is not None)
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

    def _crowned(self) -> None:
        if not self.auto_predict:
            return
        try:
            if any(case.role == "unlabelled" for case in self.opened().pool()):
                self.predict()
        except PenumbraError as error:  # the training itself was fine: tell, and leave the model as it is
            self._news = str(error)
            self.failed.emit(error)


def _settings(config: Mapping[str, Any] | None, steps: int | None) -> tuple[dict[str, Any], int | None]:
    """Take the steps out of the parameters, so that there is one place where they stand."""
    settings = dict(config or {})
    among = settings.pop("steps", None)
    if among is not None and steps is not None and among != steps:
        raise UsageError(f"The steps were given twice: {steps} and {among}.", "Give them once.")
    return settings, steps if among is None else among
