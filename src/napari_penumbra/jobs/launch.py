"""Start a worker so that it outlives whoever started it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from napari_penumbra.domain.errors import JobError
from napari_penumbra.domain.launch import HERE, Launch
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.imaging.gentle import give_way
from napari_penumbra.jobs import slurm
from napari_penumbra.jobs.launchers import environment, launch_of, refuse_if_closed, runner, threads_each
from napari_penumbra.jobs.process import WorkerProcess
from napari_penumbra.training.turn import reserve

MODULE = "napari_penumbra.training.worker"
_NICENESS = 10
_CHECK_SECONDS = 300.0
_MOST_TRIED = 4
"""More processes than these are not tried at once: memory is reckoned from these."""
VALIDATIONS = 20
"""How often a training is validated (`napari_penumbra.training.trainer`, which this process must not import)."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a few real steps on this machine told.

    Attributes
    ----------
    seconds_per_step
        Wall-clock time of one optimiser step.
    memory_bytes
        Peak memory of the process (CPU) or of the device.
    device
        ``cpu``, ``cuda:0`` …
    parameters
        Number of trained parameters.
    steps
        Steps that the run would take.
    seconds_per_validation
        Wall-clock time of one validation on the frozen cases; 0 when not known.
    free_bytes
        Memory that was free on the device before; 0 when not known.
    disk_bytes
        What the run takes on disk at most.
    """

    seconds_per_step: float
    memory_bytes: int
    device: str
    parameters: int
    steps: int
    seconds_per_validation: float = 0.0
    free_bytes: int = 0
    disk_bytes: int = 0

    @property
    def seconds(self) -> float:
        """Expected time of the whole run."""
        return self.seconds_per_step * self.steps + self.seconds_per_validation * min(VALIDATIONS, self.steps)

    @classmethod
    def together(cls, each: Sequence[Measured], processes: int) -> Measured:
        """What processes take of which some were tried side by side: the slowest one's time; on a processor all memory.

        Parameters
        ----------
        processes
            How many there will be.
        """
        slowest = max(each, key=lambda one: one.seconds_per_step)
        memory = [one.memory_bytes for one in each]
        return replace(
            slowest,
            memory_bytes=sum(memory) * processes // len(each) if slowest.device == "cpu" else max(memory),
            free_bytes=max(one.free_bytes for one in each),
            # Frozen cases are shared out.
            seconds_per_validation=slowest.seconds_per_validation / processes,
        )


def prepare(runs: Path, run: str, spec: RunSpec) -> Path:
    """Make a run's folder with its order: it appears under its name only when it is whole.

    Returns
    -------
    Path
        ``runs/run``.
    """
    draft = runs / f".new-{run}"
    try:
        draft.mkdir(parents=True)
    except OSError as error:
        raise JobError(
            "The folder of a new run could not be made.",
            "Free some space or check the permissions of the study's folder.",
            details=repr(error),
        ) from error
    write_text(draft / "job.json", json.dumps(spec.to_json(), indent=1))
    folder = runs / run
    os.replace(draft, folder)
    return folder


def launch(folder: Path, python: str = sys.executable, threads: int = 0, *, resume: bool = False) -> int:
    """Start the workers of a prepared run in the way its order names, detached, at low priority.

    Parameters
    ----------
    folder
        The run's folder, with its ``job.json``.
    python
        Interpreter that has torch.
    threads
        CPU threads it may use; 0 for all but one, so that the window stays smooth.
    resume
        Go on from the run's last checkpoint.

    Returns
    -------
    int
        The process number: the worker's, or torchrun's, which ends with all of them. On a cluster the job's.

    Raises
    ------
    JobError
        The process could not be started.
    UsageError
        This computer does not know the way.
    """
    kind = json.loads((folder / "job.json").read_text(encoding="utf-8"))["kind"]
    way = launch_of(folder)
    refuse_if_closed(way)
    for wish in ("stop", "pause"):
        (folder / wish).unlink(missing_ok=True)
    if way.how == "slurm":
        return int(slurm.submit(folder.resolve(), str(kind), way, threads, resume=resume).partition("_")[0])
    (folder / slurm.FILE).unlink(missing_ok=True)
    command = [python, *runner(way), "-m", MODULE, str(kind), str(folder.resolve())]
    pid = start([*command, "--resume"] if resume else command, folder, threads_each(way, threads))
    if kind == "train" and way.plain:
        reserve(folder, pid)
    return pid


def start(command: list[str], folder: Path, threads: int = 0, *, fresh_log: bool = False) -> int:
    """Start a process that works in a folder and outlives this one, at low priority; note who it is.

    Parameters
    ----------
    command
        Program and arguments.
    folder
        Gets ``log.txt`` and ``worker.json``.
    threads
        CPU threads it may use; 0 for all but one.
    fresh_log
        Begin the log anew instead of going on with it.

    Returns
    -------
    int
        The process number.

    Raises
    ------
    JobError
        It could not be started.
    """
    events = folder / "events.jsonl"
    offset = events.stat().st_size if events.exists() else 0
    try:
        with (folder / "log.txt").open("wb" if fresh_log else "ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=environment(threads),
                close_fds=True,
                **_detached(),
            )
    except OSError as error:
        raise JobError(
            "The worker process could not be started.",
            "Check with `penumbra doctor` that the training part is installed.",
            details=repr(error),
        ) from error
    WorkerProcess.of(process.pid, offset).write(folder)
    give_way(process.pid, _NICENESS)
    # The process is meant to outlive this one: Popen must neither wait for it nor complain. `reap` collects it.
    process.returncode = 0
    return process.pid


def check(folder: Path, python: str = sys.executable, threads: int = 0, launch: Launch = HERE) -> Measured:
    """Let the worker take a few real steps on random data of the batch's shape.

    Parameters
    ----------
    folder
        A prepared run's folder; nothing is left in it.
    launch
        Several processes on this computer take their steps side by side, each with its share of the cores or its own
        card; what they will tell each other is not measured. A cluster is not asked: one process is tried here.

    Raises
    ------
    JobError
        The steps failed; the worker's own words.
    """
    count = launch.processes if launch.how == "torchrun" else 1
    each = threads_each(launch, threads)

    def one(number: int) -> Measured:
        own = {} if count == 1 else _card(number)
        answer = ask("check", str(folder.resolve()), python=python, threads=each, seconds=_CHECK_SECONDS, own=own)
        return _measured(answer)

    tried = min(count, _MOST_TRIED)
    with ThreadPoolExecutor(tried) as pool:
        return Measured.together(list(pool.map(one, range(tried))), count)


def _card(number: int) -> dict[str, str]:
    """Let one of several processes see one graphics card, as torchrun's workers each take one."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    cards = [card for card in seen.split(",") if card]
    return {"CUDA_VISIBLE_DEVICES": cards[number % len(cards)] if cards else str(number)}


def _measured(answer: Any) -> Measured:
    if not isinstance(answer, dict):
        raise JobError("The worker's answer to a trial step was not understood.", "See `penumbra doctor`.")
    if not answer.get("ok"):
        raise JobError(
            str(answer.get("error") or "Two trial steps failed on this machine."),
            str(answer.get("remedy") or "Choose the laptop preset or a smaller patch."),
            details=str(answer.get("details") or ""),
        )
    return Measured(
        seconds_per_step=float(answer["seconds_per_step"]),
        memory_bytes=int(answer["memory_bytes"]),
        device=str(answer["device"]),
        parameters=int(answer["parameters"]),
        steps=int(answer["steps"]),
        seconds_per_validation=float(answer.get("seconds_per_validation", 0)),
        free_bytes=int(answer.get("free_bytes", 0)),
        disk_bytes=int(answer.get("disk_bytes", 0)),
    )


def ask(
    *arguments: str,
    python: str = sys.executable,
    threads: int = 0,
    seconds: float = 120.0,
    module: str = MODULE,
    own: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """Run the worker, or another module, for one short answer and return what it printed as JSON (its last line).

    Parameters
    ----------
    own
        Variables of its environment besides the usual ones.

    Raises
    ------
    JobError
        torch is missing, the worker failed, or it said nothing that can be read.
    """
    try:
        done = subprocess.run(
            [python, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            env={**environment(threads), **own},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise JobError(
            f"The worker did not answer within {seconds:.0f} s.", "Try again when the machine is less busy."
        ) from error
    except OSError as error:
        raise JobError("The worker process could not be started.", "See `penumbra doctor`.", repr(error)) from error
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    with contextlib.suppress(ValueError, IndexError):
        return json.loads(lines[-1])
    raise _said_nothing(done.stderr, done.returncode)


def _said_nothing(stderr: str, code: int) -> JobError:
    for package in ("torch", "monai", "safetensors"):
        if f"No module named '{package}" in stderr:
            return JobError(
                f"The training part is not installed: {package} is missing.",
                'Install it with: pip install "napari-penumbra[train]"',
                details=stderr[-4000:],
            )
    return JobError(
        f"The worker failed (exit code {code}).", "Run `penumbra doctor` to see why.", details=stderr[-4000:]
    )


def _detached() -> dict[str, Any]:
    """What makes a child outlive its parent and not hear its Ctrl+C."""
    if sys.platform == "win32":
        flags = (
            subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        )
        return {"creationflags": flags}
    return {"start_new_session": True}
