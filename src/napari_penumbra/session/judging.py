"""Champion and challenger: a new model is measured beside the champion where needed, then the rule decides."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Sequence

from psygnal import Signal

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.frozen import MODELS_FILE
from napari_penumbra.domain.progress import RunState
from napari_penumbra.domain.spec import RunSpec, SpecCase
from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.jobs.job import Job
from napari_penumbra.jobs.launch import prepare
from napari_penumbra.jobs.service import measure
from napari_penumbra.session import champion
from napari_penumbra.session.champion import Judgement
from napari_penumbra.session.following import Following
from napari_penumbra.study.store import Study

_PREFIX = ".measure-"


class Judging(Following):
    """Judges trainings that have ended, and measures models on the frozen cases in a process of its own."""

    models_changed = Signal()
    """Another champion, another model, or other figures of one."""

    def __init__(self) -> None:
        self._measurement: Job | None = None
        self._to_judge: list[str] = []
        super().__init__()

    # ---------------------------------------------------------------- judging

    def _judge(self, job: Job, state: RunState) -> bool:
        if state not in (RunState.FINISHED, RunState.STOPPED):
            return False
        verdict = self._verdict(job)
        if verdict is None:
            if job.id not in self._to_judge:
                self._to_judge.append(job.id)
            return False
        return self._apply(job, verdict)

    def _verdict(self, job: Job) -> Judgement | None:
        study = self.writable()
        best = study.champion()
        known = self._job(best) if best else None
        return champion.judge(job, known, self._frozen(study), kept=bool(best) and self.kept == best)

    def _apply(self, job: Job, verdict: Judgement) -> bool:
        study = self.writable()
        best = study.champion()
        champion.remember(job.folder, verdict)
        if verdict.wins:
            study.set_champion(job.id)
        elif best:
            self._news = f"{self._news} {verdict.why} The champion goes on predicting.".strip()
        return verdict.wins

    @staticmethod
    def _frozen(study: Study) -> list[SpecCase]:
        return [case for case in study.pool() if case.role == "validation"]

    @property
    def kept(self) -> str:
        """The champion that the reader keeps whatever comes; empty when the rule decides."""
        return "" if self.study is None else champion.kept(self.study.layout.runs)

    # ---------------------------------------------------------------- measuring

    @property
    def measuring(self) -> bool:
        """Whether models are being compared on the frozen cases, or wait for it."""
        return self._measurement is not None or bool(self._to_judge)

    def measure_models(self, models: Sequence[str] = ()) -> bool:
        """Measure models on the frozen cases, by the same code, each case once per model; in the background.

        Parameters
        ----------
        models
            Runs; what is known of them already is not measured again.

        Returns
        -------
        bool
            False when there is nothing to do: no frozen case, or all is known.
        """
        study = self.writable()
        if self._measurement is not None:
            return True
        frozen = self._frozen(study)
        wanted = {}
        for run in dict.fromkeys(models):
            job = self._job(run)
            checkpoint = job.checkpoint()
            if checkpoint is not None and champion.measured(job, frozen) is None:
                wanted[run] = checkpoint.name
        if not frozen or not wanted:
            return False
        spec = RunSpec("predict", tuple(study.modalities), study.labels, tuple(frozen))
        folder = prepare(study.layout.runs, f"{_PREFIX}{secrets.token_hex(4)}", spec)
        write_text(folder / MODELS_FILE, json.dumps(wanted))
        measure(folder)
        self._measurement = Job(folder)
        self._update_status()
        return True

    def poll(self) -> None:
        """Follow the workers, and the comparison of models."""
        super().poll()
        if self._measurement is not None:
            self._follow_measurement(self._measurement)
        if self._to_judge and self._measurement is None and not self._live:
            self._judge_next()

    def _follow_measurement(self, job: Job) -> None:
        state = job.state()
        self._update_status()
        if not state.over:
            return
        self._measurement = None
        failed = state is not RunState.FINISHED
        why = job.last.message if failed and job.last is not None else ""
        shutil.rmtree(job.folder, ignore_errors=True)
        if self._to_judge:
            self._judge_next(failed, why)
        else:
            self._news = f"The models could not be compared. {why}".strip() if failed else ""
            self._update_status()
        self.models_changed.emit()

    def _judge_next(self, failed: bool = False, why: str = "") -> None:
        """Judge the oldest training that waits for it; measure first what is not known yet."""
        run = self._to_judge[0]
        job = self._job(run)
        try:
            verdict = self._verdict(job)
            if verdict is None and failed:
                verdict = Judgement(False, f"It could not be compared with the champion. {why}".strip())
            if verdict is None:
                best = self.writable().champion()
                if self.measure_models([run, *([best] if best else [])]):
                    return
                verdict = Judgement(False, "It could not be compared with the champion.")
        except PenumbraError as error:
            verdict = Judgement(False, f"It could not be compared with the champion. {error.message}")
        self._to_judge.pop(0)
        won = self._apply(job, verdict)
        self.models_changed.emit()
        if won and job.state() is RunState.FINISHED:
            self._crowned()
        self._update_status()

    def _words(self) -> str:
        if self._measurement is not None and not self._live:
            last = self._measurement.last
            done = f" · {last.step}/{last.steps}" if last is not None and last.steps else ""
            return f"Comparing the new model with the champion on the frozen cases{done}…"
        return super()._words()

    # ---------------------------------------------------------------- opening, closing

    def _begin(self) -> None:
        """Find a comparison that goes on; one that was killed is made anew, from what it has found."""
        for folder in self.opened().layout.runs.glob(f"{_PREFIX}*"):
            job = Job(folder)
            if not job.state().over and not self.readonly:
                self._measurement = job
            elif not self.readonly:
                shutil.rmtree(folder, ignore_errors=True)
        super()._begin()

    def _forget(self) -> None:
        super()._forget()
        self._measurement = None
        self._to_judge.clear()

    def wait_for_verdict(self, seconds: float = 3600.0) -> None:
        """Wait until no model is being compared any more, for programs without a window.

        While another run goes on nothing is compared: then whoever opens the study afterwards judges.
        """
        end = time.monotonic() + seconds
        while self.measuring and time.monotonic() < end:
            self.poll()
            if self._measurement is None and self._live:
                return
            time.sleep(0.1)
