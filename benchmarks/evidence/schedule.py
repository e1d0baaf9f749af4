"""Many cells, one process each, a few side by side; what is done is never done again."""

from __future__ import annotations

import contextlib
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from evidence.cell import one_thread, result_file
from evidence.cohorts import work_folder
from evidence.plan import ALL, Cell

SCRIPT = Path(__file__).resolve().parents[1] / "evidence.py"
GUESSED = {
    "supervised": 0.24,
    "mean-teacher": 0.43,
    "co-learning": 0.46,
    "asdnet": 0.69,
    "col-net": 0.32,
    "self-correction": 0.31,
}
"""Seconds per step of the laptop presets on one thread of one machine, until a cell on this one is done."""
GUESS_PER_STEP = 0.7
GUESS_OVERHEAD = 75.0
_LOOK_SECONDS = 0.5

Launch = Callable[[Cell, Path], "subprocess.Popen[bytes]"]


def load(folder: Path) -> dict[Cell, dict[str, Any]]:
    """Read every finished cell; a file that cannot be read counts as not done and is named."""
    found: dict[Cell, dict[str, Any]] = {}
    for path in sorted(folder.glob("*/*.json")):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            found[Cell.from_json(result["cell"])] = result
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"{path} is not the result of a cell: {error!r}", file=sys.stderr)
    return found


def todo(cells: Iterable[Cell], folder: Path) -> list[Cell]:
    """Cells without a result."""
    return [cell for cell in cells if not result_file(folder, cell).exists()]


def estimate(cell: Cell, done: dict[Cell, dict[str, Any]]) -> tuple[float, bool]:
    """Seconds that a cell will take, and whether that rests on a measured one.

    The nearest finished cells of the method say what a step costs, and those of the cohort what the rest does.
    """
    same = [c for c in done if c.preset == cell.preset and c.method == cell.method]
    near = [c for c in same if c.cohort == cell.cohort and c.settings == cell.settings]
    near = near or [c for c in same if c.cohort == cell.cohort] or same
    pace = [done[c]["seconds"]["train"] / c.steps for c in near]
    here = [c for c in done if c.cohort == cell.cohort and (c.arm == ALL) == (cell.arm == ALL)]
    here = here or [c for c in done if c.cohort == cell.cohort]
    rest = [sum(v for k, v in done[c]["seconds"].items() if k != "train") for c in here]
    per_step = statistics.median(pace) if pace else GUESSED.get(cell.method, GUESS_PER_STEP)
    return per_step * cell.steps + (statistics.median(rest) if rest else GUESS_OVERHEAD), bool(pace)


def minutes(cells: Sequence[Cell], done: dict[Cell, dict[str, Any]], jobs: int) -> str:
    """How long it will take, in words."""
    guesses = [estimate(cell, done) for cell in cells]
    total = sum(seconds for seconds, _ in guesses) / 60 / max(1, min(jobs, len(cells)))
    unmeasured = sum(not measured for _, measured in guesses)
    note = f"; {unmeasured} of them guessed from another machine" if unmeasured else ""
    return f"{len(cells)} cells, about {total:.0f} minutes with {jobs} side by side{note}"


def run(cells: Sequence[Cell], folder: Path, jobs: int, launch: Launch | None = None) -> list[Cell]:
    """Run cells and return those that failed; an interruption ends the running ones and keeps what is done."""
    waiting, failed = list(cells), []
    running: dict[Cell, subprocess.Popen[bytes]] = {}
    begin, started = launch or start, time.monotonic()
    with _terminated_like_interrupted():
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    cell = waiting.pop(0)
                    running[cell] = begin(cell, folder)
                for cell in [c for c, process in running.items() if process.poll() is not None]:
                    del running[cell]
                    if not result_file(folder, cell).exists():
                        failed.append(cell)
                    _say(cell, cell not in failed, len(waiting) + len(running), time.monotonic() - started)
                if running:
                    time.sleep(_LOOK_SECONDS)
        finally:
            for process in running.values():
                process.send_signal(signal.SIGINT)
            for process in running.values():
                process.wait()
    return failed


def _say(cell: Cell, good: bool, left: int, seconds: float) -> None:
    words = "done" if good else f"FAILED, see {log_file(cell)}"
    print(f"[{seconds / 60:6.1f} min] {cell.cohort}/{cell.id}: {words}; {left} left", flush=True)


def start(cell: Cell, folder: Path) -> subprocess.Popen[bytes]:
    """Start the process of one cell; what it says goes to its log."""
    command = [sys.executable, str(SCRIPT), "--cell", json.dumps(cell.to_json()), "--results", str(folder.resolve())]
    log_file(cell).parent.mkdir(parents=True, exist_ok=True)
    with log_file(cell).open("wb") as log:
        # A session of its own: Ctrl+C reaches it through `run` alone, once.
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=one_thread(),
            start_new_session=True,
        )


def log_file(cell: Cell) -> Path:
    """What a cell's process says."""
    return work_folder() / "logs" / cell.cohort / f"{cell.id}.txt"


@contextlib.contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Within: SIGTERM ends the cells as Ctrl+C does."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
