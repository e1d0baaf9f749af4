"""Predictions by a process that keeps the model in memory, so that the next case is ready before it is opened."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import platformdirs

from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.domain.warm import IDLE_SECONDS, WarmState
from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.jobs.job import Job
from napari_penumbra.jobs.warm import WarmWorker
from napari_penumbra.session.runs import Runs

CHOICES = (0.0, 120.0, 600.0, 3600.0)
"""Seconds that the window offers; 0 keeps no model in memory."""


class Warm(Runs):
    """Asks the warm worker where it is wanted; see `keep_warm`."""

    def __init__(self) -> None:
        self._keep_warm = 0.0
        self._warm: WarmWorker | None = None
        super().__init__()

    @property
    def keep_warm(self) -> float:
        """Seconds for which a model stays in memory after a prediction. 0 at first: a command line never keeps one."""
        return self._keep_warm

    @keep_warm.setter
    def keep_warm(self, seconds: float) -> None:
        self._keep_warm = max(0.0, seconds)
        if self._warm is not None:
            self._warm.stay(self._keep_warm)

    @property
    def warm_state(self) -> WarmState:
        """What the warm worker of the open study says of itself; all empty when it is not there."""
        return WarmState() if self.study is None else self.warm_worker().state()

    def warm_words(self) -> str:
        """Say what the warm worker does, in one sentence."""
        state = self.warm_state
        if state.pid:
            model = f"the model {state.model}" if state.model else "no model yet"
            return f"A prediction process is ready and holds {model} ({state.device})."
        if not self._keep_warm:
            return "No model is kept in memory: each prediction loads it anew."
        return "No prediction process is there now; the next prediction starts one."

    def warm_worker(self) -> WarmWorker:
        """The open study's warm worker on this machine, whether it is there or not."""
        runs = self.opened().layout.runs
        if self._warm is None or self._warm.home.parent != runs:
            self._warm = WarmWorker(runs)
        return self._warm

    def send_warm_away(self, *, now: bool = True) -> None:
        """Give the memory back: at once, or when nothing is left to predict."""
        self.warm_worker().leave(now=now)

    def _launch(self, folder: Path, spec: RunSpec, threads: int, resume: bool = False) -> None:
        if spec.kind == "predict" and self._keep_warm and not spec.launch:
            self.warm_worker().ask(folder, self._keep_warm, threads)
            return
        if spec.kind == "train":
            # It would notice by itself when the training takes its turn; so the memory is free a little earlier.
            self.warm_worker().leave(now=True)
        super()._launch(folder, spec, threads, resume)

    def _end_warm(self, job: Job, patience: float) -> bool:
        """Cancel a run of the warm worker, which stays; False when it is not one or does not answer in time."""
        if self._warm is None or not self._warm.has(job.folder):
            return False
        if self._warm.take_back(job.folder):
            job.note(Progress(Kind.STOPPED, message="It made way before it had begun."))
            return True
        end = time.monotonic() + patience
        while not job.state().over:
            if time.monotonic() >= end:
                return False
            time.sleep(0.01)
        return True

    def _forget(self) -> None:
        super()._forget()
        if self._warm is not None:
            self._warm.leave(now=False)
            self._warm = None


# ---------------------------------------------------------------------- remembered on this machine


def _file() -> Path:
    return Path(platformdirs.user_config_dir("napari-penumbra", appauthor=False)) / "keep-warm.txt"


def remembered() -> float:
    """Seconds for which a model is kept in memory: as set last on this machine."""
    with contextlib.suppress(OSError, ValueError):
        return max(0.0, float(_file().read_text(encoding="utf-8")))
    return IDLE_SECONDS


def remember(seconds: float) -> None:
    """Remember the setting on this machine; raises `DiskError` in words."""
    _file().parent.mkdir(parents=True, exist_ok=True)
    write_text(_file(), f"{seconds:g}")
