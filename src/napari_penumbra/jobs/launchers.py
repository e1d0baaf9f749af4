"""What each way to launch a run needs on this computer, and the command and environment that it comes to."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from pathlib import Path

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.launch import Launch
from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.jobs.machine import card_likely, cores

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_ITK_VARIABLE = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"
TRAIN = 'pip install "napari-penumbra[train]"'
CLUSTER = 'pip install "napari-penumbra[cluster]"'


def why_not(how: str) -> str:
    """Why a way to launch runs is not open on this computer; empty if it is. Milliseconds: nothing is started."""
    if how == "torchrun":
        if importlib.util.find_spec("torch") is None:
            return f"torch is not installed: {TRAIN}"
        if not card_likely() and cores() < 2:
            return "This computer has one processor core and no graphics card: several processes gain nothing."
    if how == "slurm":
        if importlib.util.find_spec("submitit") is None:
            return f"submitit is not installed: {CLUSTER}"
        if shutil.which("sbatch") is None:
            return "This computer does not belong to a Slurm cluster: it has no sbatch."
    return ""


def processes_here() -> int:
    """How many processes this computer is good for: one per graphics card, as far as their files tell, else two."""
    return len([*Path("/dev").glob("nvidia[0-9]*")]) or 2


def refuse_if_closed(launch: Launch) -> None:
    """Raise `UsageError` when a way is not open here."""
    # submitit's own trial of a cluster is a local one: it needs no sbatch.
    why = "" if launch.cluster.get("cluster") == "local" else why_not(launch.how)
    if why:
        raise UsageError(f"The run cannot be launched by {launch.how}. {why}", "Launch it with: --launch local.")


def launch_of(folder: Path) -> Launch:
    """How a run's order wants it to be launched."""
    order = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    return Launch.from_json(order.get("launch") or {})


def change_launch(folder: Path, launch: Launch) -> None:
    """Let a run go on in another way than before: another number of processes, or somewhere else."""
    file = folder / "job.json"
    order = json.loads(file.read_text(encoding="utf-8"))
    write_text(file, json.dumps({**order, "launch": launch.to_json()}, indent=1))


def runner(launch: Launch) -> tuple[str, ...]:
    """What stands before the worker's own module on the command line."""
    return (*TORCHRUN, str(launch.processes)) if launch.how == "torchrun" else ()


def threads_each(launch: Launch, threads: int) -> int:
    """CPU threads of each worker: they share what one alone would take."""
    if launch.how != "torchrun":
        return threads
    return max(1, (threads or max(1, cores() - 1)) // launch.processes)


def environment(threads: int = 0) -> dict[str, str]:
    """Return the worker's environment: its threads capped, its output unbuffered and UTF-8."""
    count = threads if threads > 0 else max(1, (os.cpu_count() or 1) - 1)
    capped = dict.fromkeys((*_THREAD_VARIABLES, _ITK_VARIABLE), str(count))
    return {**os.environ, **capped, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
