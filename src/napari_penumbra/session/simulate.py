"""The annotation loop with a robot reader, on a copy of a study, in the real worker.

Label efficiency is what a reader pays: each round the robot corrects predictions to the reference and accepts them, the
method is trained anew, and Dice is taken on cases that no training ever sees. Everything goes through the `Session`, as
in the window.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from napari_penumbra.domain.case import Role
from napari_penumbra.domain.errors import JobError, PenumbraError, UsageError
from napari_penumbra.domain.labels import UNKNOWN
from napari_penumbra.domain.progress import RunState
from napari_penumbra.session import Session
from napari_penumbra.session.recommend import AUTO
from napari_penumbra.session.robot import Robot, copy_cases, references, set_roles
from napari_penumbra.session.simulation import SCRATCH, Result, Round, Settings, check, load
from napari_penumbra.study import orders
from napari_penumbra.study.store import Study

Wait = Callable[[Session, str], bool]
"""Follows a run to its end; False when the reader has stopped it."""
_POLL_SECONDS = 0.2


def wait_quietly(session: Session, run: str) -> bool:
    """Poll until a run is over; raises the worker's error when it failed."""
    errors: list[PenumbraError] = []
    session.failed.connect(errors.append)
    try:
        while session.active == run:
            session.poll()
            time.sleep(_POLL_SECONDS)
        session.poll()
    finally:
        session.failed.disconnect(errors.append)
    if errors:
        raise errors[0]
    return True


class Simulation:
    """One simulated loop; carried out by iterating over `run`, and gone on with by doing so again.

    Parameters
    ----------
    source
        The study to copy; it is only read.
    out
        Folder for the copy, the result and the figure.
    settings
        What to do. With the method `AUTO`, what is recommended once the first cases are painted.
    reference
        Folder of reference labels; None takes the study's own complete annotations.
    wait
        How a run is followed.
    tell
        Takes a sentence now and then.
    threads
        CPU threads of the worker; 0 for all but one.

    Attributes
    ----------
    interrupted
        Whether the reader has stopped it before its end.
    """

    def __init__(
        self,
        source: Path,
        out: Path,
        settings: Settings,
        reference: Path | None = None,
        wait: Wait = wait_quietly,
        tell: Callable[[str], None] = lambda words: None,
        threads: int = 0,
    ) -> None:
        self.source, self.out, self.settings, self.reference = source, out, settings, reference
        self.wait, self.tell, self.threads = wait, tell, threads
        self.interrupted = False

    def run(self) -> Iterator[Result]:
        """Carry the loop out; gives the result after every finished round, those of an earlier start included.

        Raises
        ------
        UsageError
            Settings that make no sense, too few references, or a folder with another simulation.
        JobError
            A training or prediction failed.
        """
        with Study.open(self.source, write=False) as source:
            truth = references(source, self.reference)
            check(self.settings, orders.names(), len(truth))
            result = self._result(source.name, sorted(truth))
            session = Session()
            session.auto_predict = False
            try:
                self._copy(source, session)
                robot = Robot(session, truth, self.settings.costs)
                set_roles(session.opened(), result.held_out, Role.VALIDATION)
                yield from self._rounds(session, robot, result)
            finally:
                session.close()

    # ---------------------------------------------------------------- preparing

    def _result(self, name: str, referenced: list[str]) -> Result:
        """What an earlier start has left, or a fresh result with its draw of cases."""
        before = load(self.out)
        if before is not None:
            # More rounds may be asked for, and acts priced anew: neither changes what was done.
            same = replace(before.settings, rounds=self.settings.rounds, costs=self.settings.costs)
            if same != self.settings:
                raise UsageError(
                    f"{self.out} holds another simulation.", "Name another folder with --out, or give its settings."
                )
            before.settings = self.settings
            return before
        if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise UsageError(f"{self.out} is not empty.", "Name a new folder with --out.")
        drawn = random.Random(self.settings.seed).sample(referenced, self.settings.held_out + self.settings.start)
        held_out, start = drawn[: self.settings.held_out], drawn[self.settings.held_out :]
        result = Result(name, self.settings, sorted(held_out), sorted(start))
        self.out.mkdir(parents=True, exist_ok=True)
        result.write(self.out)  # before the copy, which takes minutes: whoever stops it goes on with the same command
        return result

    def _copy(self, source: Study, session: Session) -> None:
        folder = self.out / SCRATCH
        if (folder / "study.toml").exists():
            session.open(folder)
            session.writable()
        else:
            self.tell(f"Copying {len(source.cases())} cases to {folder} …")
            name = f"{source.name} (robot reader)"
            session.create(folder, name, source.modalities, source.labels, simulated=source.simulated)
        for problem in copy_cases(source, session):
            self.tell(problem)

    # ---------------------------------------------------------------- rounds

    def _rounds(self, session: Session, robot: Robot, result: Result) -> Iterator[Result]:
        if session.active is not None and not self.wait(session, session.active):  # left behind by a killed program
            self.interrupted = True
            return
        for n in range(result.settings.rounds + 1):
            if n == len(result.rounds) and not self._begin(session, robot, result):
                return
            now = result.rounds[n]
            if not now.done:
                self._answer(robot, result, self._unfinished(session, robot, result))
                started = time.monotonic()
                if not (self._train(session, result, now) and self._predict(session, robot, result, now)):
                    self.interrupted = True
                    return
                now.dice = {name: _dice(session.opened(), robot, name) for name in result.held_out}
                now.seconds = time.monotonic() - started
                result.write(self.out)
            yield result

    def _begin(self, session: Session, robot: Robot, result: Result) -> bool:
        """Start another round; False when it cannot be: nothing is left to label, or the reader has stopped it."""
        if result.rounds:
            if not self._candidates(session, robot, result):
                self.tell("Every case with a reference is labelled.")
                return False
            last = result.rounds[-1]
            if not last.proposal:  # an earlier start ended here, and now more rounds are asked for
                run = session.predict(self._candidates(session, robot, result), run=last.train, threads=self.threads)
                if not self._finish(session, run):
                    self.interrupted = True
                    return False
                last.proposal = run
        result.rounds.append(Round())
        return True

    def _answer(self, robot: Robot, result: Result, names: list[str]) -> None:
        """Let the robot label cases, each written down as soon as it is done."""
        now = result.rounds[-1]
        for name in names:
            now.work.append(robot.paint(name) if len(result.rounds) == 1 else robot.correct(name))
            now.labelled = sum(len(r.work) for r in result.rounds)
            result.write(self.out)

    def _unfinished(self, session: Session, robot: Robot, result: Result) -> list[str]:
        """Cases of the newest round that are left to do: all, or those that an interruption has spared."""
        now = result.rounds[-1]
        done = {work.case for work in now.work}
        if len(result.rounds) == 1:
            return [name for name in result.start if name not in done]
        lacking = result.settings.per_round - len(done)
        if now.train or lacking < 1:
            return []
        return self._next(session, robot, result)[:lacking]

    def _next(self, session: Session, robot: Robot, result: Result) -> list[str]:
        """Cases to label next, by the order of the settings; fewer than asked for at the end."""
        settings = result.settings
        done = {work.case for r in result.rounds for work in r.work} | set(result.held_out)
        if settings.order == "random":  # the study's own draw is the same for every seed
            names = sorted(robot.truth)
            random.Random(f"{settings.seed}/order").shuffle(names)
        else:
            names = session.opened().order(settings.order, settings.seed)
            # A case that was accepted just before an interruption comes first, to be counted.
            labelled = {row.name for row in session.cases() if row.state.labelled}
            names.sort(key=lambda name: name not in labelled)
        return [name for name in names if name in robot.truth and name not in done][: settings.per_round]

    # ---------------------------------------------------------------- the worker

    def _train(self, session: Session, result: Result, now: Round) -> bool:
        settings = result.settings
        if not result.method:
            result.method, result.preset = self._choose(session)
        state = _state(session, now.train)
        if state is RunState.FINISHED:
            return True
        if state in (RunState.STOPPED, RunState.LOST):
            session.resume(now.train, threads=self.threads or None)
        elif state not in (RunState.RUNNING, RunState.QUEUED, RunState.PAUSED):
            now.train = session.train(
                result.method,
                result.preset,
                steps=settings.steps,
                seed=settings.seed,
                config=settings.config,
                reference=False,
                validation=0,
                threads=self.threads,
            )
        result.write(self.out)
        return self._finish(session, now.train)

    def _choose(self, session: Session) -> tuple[str, str]:
        settings = self.settings
        if settings.method != AUTO and settings.preset:
            return settings.method, settings.preset
        advice = session.recommend()
        if settings.method != AUTO:
            return settings.method, advice.preset
        self.tell(f"Recommended: {advice.reason}")
        return advice.method, settings.preset or advice.preset

    def _predict(self, session: Session, robot: Robot, result: Result, now: Round) -> bool:
        if _state(session, now.predict) is RunState.FINISHED:
            return True
        names = list(result.held_out)
        candidates = self._candidates(session, robot, result) if len(result.rounds) <= result.settings.rounds else []
        # The pool leaves frozen cases without labels out, from predictions too; they are frozen again right after.
        with _thawed(session.opened(), result.held_out):
            now.predict = session.predict([*names, *candidates], run=now.train, threads=self.threads)
            result.write(self.out)
            if not self._finish(session, now.predict):
                return False
        now.proposal = now.predict if candidates else ""
        return True

    def _candidates(self, session: Session, robot: Robot, result: Result) -> list[str]:
        """Cases whose prediction the next round needs: all that are left where the order depends on it."""
        if not orders.get(result.settings.order).needs_predictions:
            return self._next(session, robot, result)
        done = {work.case for r in result.rounds for work in r.work} | set(result.held_out)
        return [name for name in session.opened().order("file") if name in robot.truth and name not in done]

    def _finish(self, session: Session, run: str) -> bool:
        if not self.wait(session, run):
            return False
        state = _state(session, run)
        if state is not RunState.FINISHED:
            raise JobError(f"Run {run} of the simulation is {state}.", "Give the same command to go on.")
        return True


@contextmanager
def _thawed(study: Study, names: list[str]) -> Iterator[None]:
    set_roles(study, names, Role.TRAINING)
    try:
        yield
    finally:
        set_roles(study, names, Role.VALIDATION)


def _state(session: Session, run: str) -> RunState | None:
    return next((info.state for info in session.runs() if info.id == run), None)


def _dice(study: Study, robot: Robot, name: str) -> float:
    """Mean Dice of a case's newest prediction over the classes, as `evaluation.metrics` defines it."""
    predicted = study.read(name).predicted
    if predicted is None:
        raise JobError(f"The held-out case {name} could not be predicted.", "See the log of the last prediction.")
    truth = robot.reference(name)
    known = (predicted != UNKNOWN) & (truth != UNKNOWN)
    found = []
    for value in study.labels.values:
        a, b = (predicted == value) & known, (truth == value) & known
        size = int(a.sum()) + int(b.sum())
        found.append(2 * int((a & b).sum()) / size if size else 1.0)
    return sum(found) / len(found)
