"""One run as its folder tells it: ``job.json events.jsonl log.txt worker.json stop checkpoints/``.

Nothing here talks to the worker: whoever opens the folder, today or after a restart of the machine, reads the same.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

import psutil

from napari_penumbra.domain.errors import DiskError, JobError
from napari_penumbra.domain.pool import RECORD_FILE, Change, labels_learnt, read_changes
from napari_penumbra.domain.progress import Kind, Progress, RunState
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.jobs import slurm
from napari_penumbra.jobs.process import WorkerProcess

_LAST_WORDS = {Kind.STOPPED: RunState.STOPPED, Kind.FINISHED: RunState.FINISHED, Kind.FAILED: RunState.FAILED}
_START_GRACE = 20.0
"""Seconds between the folder's making and the start of its process before the run counts as lost."""
_AWAY_GRACE = 180.0
"""Seconds without an event after which a worker on another machine counts as lost."""
_LOG_TAIL_BYTES = 256 * 1024
_TAIL_BYTES = 64 * 1024
_VALIDATION = b'"kind": "validation"'
_WARNING = b'"kind": "warning"'
_WAITS = {Kind.QUEUED: RunState.QUEUED, Kind.PAUSED: RunState.PAUSED}


class Job:
    """A run's folder.

    Parameters
    ----------
    folder
        ``runs/<id>`` of a study.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # A look ahead asks from another thread whether this run is busy while the window's timer follows it.
        self._lock = threading.RLock()
        self._offset = 0
        self._fresh: deque[Progress] = deque()
        self._last: Progress | None = None
        self._last_at = 0
        self._figures: Progress | None = None
        self._furthest: Progress | None = None
        self._standing = slurm.Standing(folder)
        self._warnings: dict[str, Progress] = {}

    @property
    def id(self) -> str:
        """Name of the run: its folder's."""
        return self.folder.name

    def spec(self) -> RunSpec:
        """Read the order that the worker follows; raises `JobError` when the file is missing or damaged."""
        try:
            data = json.loads((self.folder / "job.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise JobError(
                f"The order of run {self.id} cannot be read.", "Start a new run.", details=repr(error)
            ) from error
        return RunSpec.from_json(data)

    # ---------------------------------------------------------------- events

    def events(self, from_start: bool = False) -> list[Progress]:
        """Read what the worker has said.

        Parameters
        ----------
        from_start
            True reads the whole file again, for a curve; False gives only what is new since the last such call.

        Notes
        -----
        A last line without its newline is left for the next call: the worker is writing it. A line torn by a kill
        is skipped; when a resumed worker wrote its first event on the same line, that event is kept.
        """
        if from_start:
            return [event for event, _ in _parse(self._read(0), 0)]
        with self._lock:
            self._pull()
            fresh = list(self._fresh)
            self._fresh.clear()
        return fresh

    @property
    def last(self) -> Progress | None:
        """The newest event."""
        self._pull()
        return self._last

    @property
    def furthest(self) -> Progress | None:
        """The newest event that counts steps (or cases, for a prediction)."""
        self._pull()
        return self._furthest

    @property
    def figures(self) -> Progress | None:
        """The newest validation, None before the first."""
        self._pull()
        return self._figures

    @property
    def warnings(self) -> tuple[Progress, ...]:
        """What the worker has warned of, each sentence once, the newest last."""
        self._pull()
        return tuple(self._warnings.values())

    def catch_up(self) -> None:
        """Regard everything said so far as handed out, reading only the end of a long file.

        For a run that was started by another window: `events` then gives what comes from now on.
        """
        with self._lock:
            if not self._offset:
                data = self._read(0)
                tail = data.rfind(b"\n", 0, max(0, len(data) - _TAIL_BYTES)) + 1
                at = data.rfind(_VALIDATION, 0, tail)
                if at >= 0:
                    start = data.rfind(b"\n", 0, at) + 1
                    self._absorb(_parse(data[start : data.find(b"\n", at) + 1], start))
                for line in data[:tail].splitlines():
                    if _WARNING in line and (event := _event(line)) is not None:
                        self._warn(event)
                self._absorb(_parse(data[tail:], tail))
                self._offset = len(data)
            self.events()

    def _read(self, start: int) -> bytes:
        try:
            with (self.folder / "events.jsonl").open("rb") as file:
                file.seek(start)
                data = file.read()
        except OSError:
            return b""
        return data[: data.rfind(b"\n") + 1]

    def _pull(self) -> None:
        with self._lock:
            try:
                size = (self.folder / "events.jsonl").stat().st_size
            except OSError:
                return
            if size < self._offset:
                self._offset = 0  # the file was put back from a copy: read it anew
            if size > self._offset:
                data = self._read(self._offset)
                self._absorb(_parse(data, self._offset))
                self._offset += len(data)

    def _absorb(self, said: Iterable[tuple[Progress, int]]) -> None:
        for event, at in said:
            self._fresh.append(event)
            self._last, self._last_at = event, at
            if event.kind is Kind.VALIDATION:
                self._figures = event
            if event.kind is Kind.WARNING:
                self._warn(event)
            if event.steps and event.kind is not Kind.STAGE:
                self._furthest = event

    def _warn(self, event: Progress) -> None:
        self._warnings.pop(event.message, None)  # said again after a resume: it moves to the end
        self._warnings[event.message] = event

    # ---------------------------------------------------------------- state

    def state(self) -> RunState:
        """Where the run stands, from its folder and the process table."""
        self._pull()
        worker = WorkerProcess.read(self.folder)
        if worker is None:
            return self._without_worker()
        # Words said before this process was started are an earlier process's: a resumed run is not over.
        ended = _LAST_WORDS.get(self._last.kind) if self._last and self._last_at >= worker.offset else None
        if ended is not None:
            return ended
        if worker.here:
            if worker.process() is not None:
                return self._alive()
            self._pull()  # its last words may have come between the reading and the look at the process table
            ended = _LAST_WORDS.get(self._last.kind) if self._last and self._last_at >= worker.offset else None
            return ended or RunState.LOST
        heard = max(self._last.time if self._last else 0.0, worker.created)
        waits = self._alive()
        # One that waits says nothing for hours: nobody here can tell whether it is still there.
        fresh = waits is not RunState.RUNNING or time.time() - heard < _AWAY_GRACE
        # A cluster knows better: a long validation says nothing either.
        return waits if fresh or self._standing() is not None else RunState.LOST

    def _alive(self) -> RunState:
        """What a process that lives does: its last word says whether it waits."""
        return _WAITS.get(self._last.kind, RunState.RUNNING) if self._last is not None else RunState.RUNNING

    def _without_worker(self) -> RunState:
        handed = slurm.read(self.folder)
        if handed is not None and self._standing() is not None:
            return RunState.QUEUED
        if handed is not None:
            ended = _LAST_WORDS.get(self._last.kind) if self._last and self._last_at >= handed.offset else None
            return ended or RunState.LOST
        if self._last is not None:
            return _LAST_WORDS.get(self._last.kind, RunState.LOST)
        try:
            age = time.time() - (self.folder / "job.json").stat().st_mtime
        except OSError:
            return RunState.LOST
        return RunState.QUEUED if age < _START_GRACE else RunState.LOST

    def note(self, event: Progress) -> None:
        """Say something in a worker's stead: for one that could not even be started."""
        with contextlib.suppress(OSError), (self.folder / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(event.to_line() + "\n")

    def stop(self) -> None:
        """Ask the worker to end at the next step boundary with a checkpoint; it needs no answer."""
        if self.asked_to_stop() is not None:
            return
        try:
            (self.folder / "stop").touch()
        except OSError as error:
            raise DiskError(
                f"Run {self.id} could not be asked to stop: its folder is not writable.",
                "Free some space or check the folder's permissions, then stop again.",
                details=repr(error),
            ) from error

    def asked_to_stop(self) -> float | None:
        """Seconds since the worker was first asked to stop; None if nobody has."""
        try:
            return max(0.0, time.time() - (self.folder / "stop").stat().st_mtime)
        except OSError:
            return None

    def pause(self, wait: bool) -> None:
        """Ask the worker to step aside at the next step boundary, or to go on."""
        file = self.folder / "pause"
        try:
            if wait:
                file.touch()
            else:
                file.unlink(missing_ok=True)
        except OSError as error:
            raise DiskError(
                f"Run {self.id} could not be reached: its folder is not writable.",
                "Free some space or check the folder's permissions, then try again.",
                details=repr(error),
            ) from error

    def elsewhere(self) -> str:
        """Name the machine that works on it when no process can be ended there from here; empty when `kill` can."""
        worker = WorkerProcess.read(self.folder)
        return "" if worker is None or worker.here or slurm.read(self.folder) is not None else worker.host

    def kill(self, patience: float = 3.0) -> None:
        """End the worker and its children: it may save a checkpoint within ``patience`` seconds, then it is killed.

        One that is `elsewhere` is out of reach: nothing happens.
        """
        slurm.cancel(self.folder)
        worker = WorkerProcess.read(self.folder)
        process = worker.process() if worker else None
        if process is None:
            return
        with contextlib.suppress(psutil.Error):
            family = [*process.children(recursive=True), process]
            _each(family, "terminate")
            _, alive = psutil.wait_procs(family, timeout=patience)
            _each(alive, "kill")
            psutil.wait_procs(alive, timeout=patience)

    # ---------------------------------------------------------------- files

    def changes(self) -> list[Change]:
        """Cases that have joined or left since it began, oldest first."""
        try:
            return read_changes((self.folder / RECORD_FILE).read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return []

    def labels_learnt(self) -> dict[str, list[str]]:
        """Case to the label files (revisions) that this training has been given, also those taken back since.

        Raises
        ------
        JobError
            The order is missing or damaged.
        """
        return labels_learnt(self.spec().cases, self.changes())

    def log_tail(self, lines: int = 200) -> str:
        """Return the last lines of what the worker printed."""
        try:
            with (self.folder / "log.txt").open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - _LOG_TAIL_BYTES))
                text = file.read().decode("utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def checkpoint(self) -> Path | None:
        """Return the newest whole checkpoint's folder, or None."""
        home = self.folder / "checkpoints"
        candidates: list[Path] = []
        with contextlib.suppress(OSError, UnicodeDecodeError):
            name = (home / "latest").read_text(encoding="utf-8").strip()
            if name and Path(name).name == name:
                candidates.append(home / name)
        with contextlib.suppress(OSError):
            candidates += sorted(home.glob("step-*"), key=lambda p: p.stat().st_mtime, reverse=True)
        candidates.append(home / "last")
        return next((c for c in candidates if _is_whole(c)), None)


def _parse(data: bytes, offset: int) -> Iterable[tuple[Progress, int]]:
    """Events of whole lines with the byte at which each line starts."""
    at = offset
    for line in data.splitlines(keepends=True):
        event = _event(line)
        if event is not None:
            yield event, at
        at += len(line)


def _event(line: bytes) -> Progress | None:
    text = line.decode("utf-8", errors="replace").strip()
    # A killed worker leaves half a line, and its successor's first event may follow on it.
    for start in (0, text.rfind('{"kind"')):
        if start >= 0:
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                return Progress.from_line(text[start:])
    return None


def _is_whole(checkpoint: Path) -> bool:
    try:
        state = checkpoint / "state.json"
        return state.stat().st_size > 0 and any(checkpoint.glob("*.safetensors"))
    except OSError:
        return False


def _each(processes: Iterable[psutil.Process], action: str) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            getattr(process, action)()
