"""Runs on a Slurm cluster, by submitit: handed in here, found again by their folder, asked after now and then.

The run's folder on a disk that both see is all that passes between this computer and the cluster's. submitit keeps its
own notes in ``RUN/slurm`` (a pickle of the name of `work` and its arguments among them, read by the job it belongs to
and by nothing else).
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from napari_penumbra.domain.errors import JobError
from napari_penumbra.domain.launch import Launch
from napari_penumbra.domain.progress import RunState
from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.jobs.launchers import environment

FILE, FOLDER = "slurm.json", "slurm"
ASK_SECONDS = 15.0
_ANSWER_SECONDS = 20.0
_WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED", "RESIZING", "SPECIAL_EXIT")
_GOING = ("RUNNING", "COMPLETING", "STAGE_OUT", "SIGNALING", "STOPPED")
DEFAULT_MINUTES, DEFAULT_THREADS = 24 * 60, 4


def submit(folder: Path, kind: str, launch: Launch, threads: int, *, resume: bool) -> str:
    """Hand a prepared run in.

    Parameters
    ----------
    folder
        The run's folder, on a disk that the cluster sees under the same path.
    kind
        ``train`` or ``predict``.
    threads
        CPU threads of each process; 0 for four, which keep one graphics card busy.
    resume
        Go on from the last checkpoint. A job that Slurm starts again after it was preempted does so by itself.

    Returns
    -------
    str
        The job's number.

    Raises
    ------
    JobError
        submitit is not installed, or Slurm refuses.
    """
    try:
        import submitit
    except ImportError as error:
        raise JobError(
            "submitit is not installed: it hands runs in to Slurm.",
            'Install it with: pip install "napari-penumbra[cluster]"',
        ) from error
    asked = dict(launch.cluster)
    nodes = int(asked.pop("nodes", 1))
    tasks = -(-launch.processes // nodes)
    settings = {
        "name": f"penumbra-{kind}",
        "nodes": nodes,
        "tasks_per_node": tasks,
        "cpus_per_task": threads or DEFAULT_THREADS,
        "gpus_per_node": tasks,
        "timeout_min": DEFAULT_MINUTES,
    }
    try:
        executor = submitit.AutoExecutor(folder / FOLDER, cluster=asked.pop("cluster", None))
        executor.update_parameters(**{**settings, **asked})
        (folder / "worker.json").unlink(missing_ok=True)  # an earlier process's: this run waits to begin anew
        job: Any = executor.submit(work, str(folder), kind, resume, threads or DEFAULT_THREADS)
    except Exception as error:
        raise JobError(
            "Slurm has not taken the run.",
            "Check what it was asked for (--slurm), and that this computer may submit jobs.",
            details=repr(error),
        ) from error
    if executor.cluster == "local":
        job._process.returncode = 0  # it outlives this process: nobody here waits for it
    events = folder / "events.jsonl"
    offset = events.stat().st_size if events.exists() else 0
    said = {"job": str(job.job_id), "cluster": executor.cluster, "offset": offset}
    write_text(folder / FILE, json.dumps(said))
    return str(job.job_id)


def work(folder: str, kind: str, resume: bool, threads: int) -> int:
    """Be one process of a run; called by submitit on the cluster.

    Raises
    ------
    RuntimeError
        The worker has failed: Slurm then ends its fellows.
    """
    from submitit.helpers import TorchDistributedEnvironment

    run = Path(folder)
    # Slurm gives each task its cards; a second list of them here would count from zero again.
    several = TorchDistributedEnvironment()
    if several.world_size > 1:
        several.export(set_cuda_visible_devices=False, overwrite=True)
    resume = kind == "train" and (resume or any(run.glob("checkpoints/step-*")))
    command = [sys.executable, "-m", "napari_penumbra.training.worker", kind, folder]
    with (run / "log.txt").open("ab") as log:
        code = subprocess.call(
            [*command, "--resume"] if resume else command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment(threads),
        )
    if code:
        raise RuntimeError(f"The worker ended with exit code {code}; see {run / 'log.txt'}.")
    return code


# ---------------------------------------------------------------- afterwards


class Standing:
    """Asks the cluster after a run, in another thread: its answer may take seconds, and a window must not wait."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._state: RunState | None = RunState.QUEUED
        self._asked: tuple[str, float] = ("", 0.0)
        self._busy = False

    def __call__(self) -> RunState | None:
        """Return what the cluster last said: queued, running, or None when it knows no such job any more."""
        job = read(self.folder)
        if job is None:
            return None
        number, at = self._asked
        if not self._busy and (number != job.job or time.monotonic() - at > ASK_SECONDS):
            if number != job.job:
                self._state = RunState.QUEUED
            self._asked, self._busy = (job.job, time.monotonic()), True
            threading.Thread(target=self._ask, args=(job,), name="squeue", daemon=True).start()
        return self._state

    def _ask(self, job: Handed) -> None:
        try:
            self._state = ask(job)
        finally:
            self._busy = False


@dataclass(frozen=True, slots=True)
class Handed:
    """A run that was handed in: its job, the kind of cluster, and how far ``events.jsonl`` had come before."""

    job: str
    cluster: str
    offset: int


def read(folder: Path) -> Handed | None:
    """Which job a run is; None for a run that was not handed in."""
    try:
        data = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return Handed(str(data["job"]), str(data["cluster"]), int(data["offset"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def ask(job: Handed) -> RunState | None:
    """Ask the cluster how a job stands; None when it is over, or unknown."""
    if job.cluster == "local":
        return RunState.RUNNING if _lives(int(job.job)) else None
    try:
        said = _slurm("squeue", "--noheader", "--jobs", job.job, "--format=%T").split()
    except OSError:
        return RunState.QUEUED  # no answer is no news: a run is not given up for that
    if any(word in _GOING for word in said):
        return RunState.RUNNING
    return RunState.QUEUED if any(word in _WAITING for word in said) else None


def cancel(folder: Path) -> None:
    """End a run's job, if it is one; nothing happens when it is over."""
    job = read(folder)
    if job is None:
        return
    if job.cluster == "local":
        with contextlib.suppress(psutil.Error, ValueError):
            psutil.Process(int(job.job)).terminate()
        return
    with contextlib.suppress(OSError):
        _slurm("scancel", job.job)


def _slurm(*command: str) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{command[0]} did not answer") from error
    # Of a job that is long over squeue says with an error that its number is invalid.
    if done.returncode and "nvalid job id" not in done.stderr:
        raise OSError(done.stderr.strip() or f"{command[0]} failed")
    return done.stdout


def _lives(pid: int) -> bool:
    from napari_penumbra.jobs.process import reap

    reap(pid)
    with contextlib.suppress(psutil.Error):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False
