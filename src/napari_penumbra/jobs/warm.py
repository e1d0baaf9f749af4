"""A study's warm prediction worker, seen from outside: asked, looked at, sent away."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

from napari_penumbra import __version__
from napari_penumbra.domain.errors import DiskError
from napari_penumbra.domain.warm import IDLE, IDLE_SECONDS, LEAVE, LEAVE_NOW, QUEUE, WarmState, warm_home
from napari_penumbra.imaging.atomic import disk_error, write_text
from napari_penumbra.jobs.launch import start
from napari_penumbra.jobs.process import WorkerProcess
from napari_penumbra.jobs.service import MODULE

_PATIENCE_SECONDS = 5.0


class WarmWorker:
    """The warm worker of a study on this machine, whether it is there or not.

    Parameters
    ----------
    runs
        The study's ``runs``.
    python
        Interpreter that has torch.
    """

    def __init__(self, runs: Path, python: str = sys.executable) -> None:
        self.home = warm_home(runs)
        self.python = python

    @property
    def pid(self) -> int | None:
        """Its process number, None when it is not there."""
        worker = WorkerProcess.read(self.home)
        process = worker.process() if worker is not None else None
        return None if process is None else process.pid

    def state(self) -> WarmState:
        """What it says of itself; all empty when it is not there."""
        state = WarmState.read(self.home)
        return state if self.pid is not None and state.pid == self.pid else WarmState()

    def has(self, run: Path) -> bool:
        """Whether it is the one that works on a run."""
        worker = WorkerProcess.read(run)
        return worker is not None and worker.pid == self.pid

    def ask(self, run: Path, idle: float = IDLE_SECONDS, threads: int = 0) -> int:
        """Ask for a prepared prediction run; starts the worker when it is not there.

        Parameters
        ----------
        run
            The run's folder, with its order.
        idle
            Seconds after which it may leave when nothing more comes.
        threads
            CPU threads of a worker that has to be started; 0 for all but one.

        Returns
        -------
        int
            Its process number.

        Raises
        ------
        JobError, DiskError
            It could not be started or asked.
        """
        if self.pid is not None and self.state().program not in ("", __version__):
            self.leave(now=True, wait=_PATIENCE_SECONDS)  # of the version before an update
        try:
            (self.home / QUEUE).mkdir(parents=True, exist_ok=True)
            for wish in (LEAVE, LEAVE_NOW):
                (self.home / wish).unlink(missing_ok=True)
            if self.pid is None:
                for stale in (self.home / QUEUE).iterdir():  # asked of one that was killed: known to be lost
                    stale.unlink(missing_ok=True)
        except OSError as error:
            raise disk_error(self.home, error) from error
        write_text(self.home / IDLE, f"{idle:g}")
        write_text(self.home / QUEUE / f"{time.time_ns():020d}-{run.name}", run.name)
        pid = self.pid
        if pid is None:
            command = [self.python, "-m", MODULE, "serve", str(self.home.resolve())]
            pid = start(command, self.home, threads, fresh_log=True)
        # From now on the run belongs to it: when it is killed before it gets there, the run is known to be lost.
        events = run / "events.jsonl"
        WorkerProcess.of(pid, events.stat().st_size if events.exists() else 0).write(run)
        return pid

    def take_back(self, run: Path) -> bool:
        """Take a request back that has not been begun; False when it has, or is none."""
        with contextlib.suppress(OSError):
            for request in (self.home / QUEUE).glob(f"*-{run.name}"):
                request.unlink()
                return True
        return False

    def leave(self, *, now: bool, wait: float = 0.0) -> None:
        """Send it away.

        Parameters
        ----------
        now
            At once, giving up what it does; otherwise when nothing is left to do.
        wait
            Seconds to wait until it has gone.
        """
        if self.pid is None:
            return
        with contextlib.suppress(OSError):
            (self.home / (LEAVE_NOW if now else LEAVE)).touch()
        end = time.monotonic() + wait
        while time.monotonic() < end and self.pid is not None:
            time.sleep(0.02)

    def stay(self, idle: float) -> None:
        """Change after how many idle seconds it leaves."""
        if self.home.exists():
            with contextlib.suppress(DiskError):
                write_text(self.home / IDLE, f"{idle:g}")
