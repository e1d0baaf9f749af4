"""The worker process, started as ``python -m napari_penumbra.training.worker COMMAND``.

``COMMAND`` is ``train RUN [--resume]``, ``predict RUN``, ``check RUN`` or ``describe``.

It watches neither pipe nor parent. What it has to say goes into ``RUN/events.jsonl``; what went wrong in detail goes
to its standard error, which the launcher has put into ``RUN/log.txt``. A file ``RUN/stop``, or SIGTERM, ends it at the
next step boundary with a checkpoint.

torch is imported only after the first event is written: if it is missing, that can be told in words.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import psutil

from napari_penumbra.domain.errors import JobError, PenumbraError
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.training.board import Board
from napari_penumbra.training.events import Tell
from napari_penumbra.training.ranks import Place
from napari_penumbra.training.together import predict_together, train_together, voice
from napari_penumbra.training.turn import in_turn


class StopRequest:
    """Whether the reader wants the worker to end: by the file ``stop`` or by a signal."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._signalled = False
        with contextlib.suppress(ValueError):  # only the main thread may listen to signals
            signal.signal(signal.SIGTERM, self._note)
            signal.signal(signal.SIGINT, self._note)
            if hasattr(signal, "SIGHUP"):
                # The terminal that started it may be closed.
                signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signalled = True

    def __call__(self) -> bool:
        """Ask."""
        return self._signalled or self.file.exists()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the worker; returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.command == "describe":
        from napari_penumbra.training.describe import describe

        sys.stdout.write(json.dumps(describe()) + "\n")
        return 0
    run = options.run.resolve()
    if options.command == "check":
        return _check(run)
    return work(run, options.command, resume=options.command == "train" and options.resume)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="napari_penumbra.training.worker", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("describe", help="print the installed methods as JSON")
    for name, text in (("train", "train"), ("predict", "predict"), ("check", "try two steps and print JSON")):
        command = commands.add_parser(name, help=text)
        command.add_argument("run", type=Path, help="folder of the run, <study>/runs/<id>")
        if name == "train":
            command.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    return parser


def _check(run: Path) -> int:
    from napari_penumbra.training.build import read_spec
    from napari_penumbra.training.probe import check

    with contextlib.suppress(PenumbraError):
        _use_threads(read_spec(run).threads)
    answer = check(run)
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0 if answer["ok"] else JobError.exit_code


def work(run: Path, command: str, *, resume: bool = False) -> int:
    """Do a run's work and say how it ended, whatever happens; returns the exit code."""
    events, place = run / "events.jsonl", Place.here()
    offset = events.stat().st_size if events.exists() else 0
    tell = voice(run, place)
    try:
        if place.leads:
            _sign(run, offset, place.owner)
        stopping = StopRequest(run / "stop")
        tell(Progress(Kind.STARTED, message="Resuming." if resume else "Starting."))
        with in_turn(run, command, tell, stopping) as mine:
            if mine:
                _run(run, command, tell, stopping, resume)
            else:
                tell(Progress(Kind.STOPPED, message="It was taken out of the queue before its turn had come."))
        return 0
    except PenumbraError as error:
        return _fail(tell, error)
    except ModuleNotFoundError as error:
        return _fail(
            tell,
            JobError(
                f"The training part is not installed: {error.name} is missing.",
                'Install it with: pip install "napari-penumbra[train]"',
            ),
        )
    except Exception as error:  # noqa: BLE001 - the last word must be said whatever went wrong
        return _fail(tell, in_words(error))


def _run(run: Path, command: str, tell: Tell, stopping: StopRequest, resume: bool) -> None:
    from napari_penumbra.training.build import make_prediction, make_trainer, read_spec

    spec = read_spec(run)
    if spec.kind != command:
        raise JobError(f"The run is an order to {spec.kind}, not to {command}.", "Start it from the window again.")
    _use_threads(spec.threads)
    place = Place.here()
    if command == "train":
        tell = Board(tell, run) if spec.tensorboard and place.leads else tell
        tell(Progress(Kind.STAGE, message=_cases_in_words(spec)))
        if place.size > 1:
            train_together(run, spec, tell, stopping, resume, place)
            return
        make_trainer(run, spec, tell, stopping, resume=resume).run()
    else:
        tell(Progress(Kind.STAGE, message="Loading the model."))
        if place.size > 1:
            predict_together(run, spec, tell, stopping, place)
            return
        make_prediction(run, spec, tell, stopping).run()


def _cases_in_words(spec: RunSpec) -> str:
    counts = [len(spec.of_role(role)) for role in ("labelled", "unlabelled", "validation")]
    return "Preparing {} labelled, {} unlabelled and {} frozen cases.".format(*counts)


def _use_threads(wanted: int) -> None:
    """Cap torch's threads: as ordered, else what the launcher put into the environment, else all cores but one."""
    import torch

    given = os.environ.get("OMP_NUM_THREADS", "")
    fallback = int(given) if given.isdigit() and int(given) > 0 else max(1, (os.cpu_count() or 2) - 1)
    torch.set_num_threads(wanted if wanted > 0 else fallback)


def _sign(run: Path, offset: int, owner: int) -> None:
    """Write who works here; the launcher writes the same, but a worker may also be started by hand."""
    data = {
        "pid": owner,
        "created": psutil.Process(owner).create_time(),
        "host": socket.gethostname(),
        "offset": offset,
        "folder": str(run.resolve()),
    }
    write_text(run / "worker.json", json.dumps(data))


def in_words(error: Exception) -> PenumbraError:
    """Say what an unforeseen error means."""
    from napari_penumbra.inference.machine import is_out_of_memory

    if is_out_of_memory(error):
        return JobError("Memory ran out.", "Close other programs, or choose the laptop preset.")
    return JobError(
        f"Something unexpected happened ({type(error).__name__}).", "The details are in the run's log.", repr(error)
    )


def _fail(tell: Tell, error: PenumbraError) -> int:
    traceback.print_exc(file=sys.stderr)
    if error.details:
        sys.stderr.write(error.details + "\n")
    sys.stderr.flush()
    about = str(getattr(error, "about", ""))
    tell(Progress(Kind.FAILED, message=error.message, remedy=error.remedy, about=about))
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
