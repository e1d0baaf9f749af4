"""The studies behind the pictures: simulated cases, really trained on, corrected by the robot reader."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_penumbra.session import Session
from napari_penumbra.session.robot import Robot, references
from napari_penumbra.session.simulate import wait_quietly
from napari_penumbra.study.samples import REFERENCE, SYSTEMS, make_sample_study

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES, PAINTED, CORRECTED, STEPS = 24, 3, 7, 300
SYSTEM_CASES, SYSTEM_LABELLED, SYSTEM_STEPS = 7, 4, 250


class Studies:
    """Makes each study once, however many pictures need it, and gives every picture a copy of its own.

    Parameters
    ----------
    folder
        Where they are kept; those that lie there from an earlier call are taken as they are.
    tell
        Takes a sentence now and then.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self.folder, self.tell = folder, tell
        self._makers: dict[str, Callable[[Path], None]] = {
            "fresh": partial(make_sample_study, cases=CASES, labelled=4),
            "small": partial(make_sample_study, cases=6, labelled=4),
            "maps": partial(make_sample_study, cases=4, labelled=1, modalities=("DWI", "T2", "Tmax", "ADC")),
            "trained": self._train,
            "corrected": self._correct,
            "twice": self._train_again,
            "overruled": self._overrule,
            **{method: partial(_learn, method) for method in SYSTEMS},
        }

    def copy(self, name: str, to: Path) -> Path:
        """Copy a study for one picture.

        Parameters
        ----------
        name
            ``fresh``, ``small`` or ``maps``: as simulated. ``trained``: four labelled cases have taught a mean teacher,
            which has predicted the others. ``corrected``: seven of these are corrected. ``twice``: and a model of the
            method that the Train page recommends has learnt from them. ``overruled``: it is made champion. The name of
            a method: it has learnt from three cases of the cohort that it is for, with a fourth frozen, and predicted
            three more.
        to
            A new folder.
        """
        return Path(shutil.copytree(self._made(name), to))

    def _made(self, name: str) -> Path:
        made = self.folder / name
        if not made.exists():
            self.tell(f"Making the study “{name}” …")
            unfinished = self.folder / f"{name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            self._makers[name](unfinished)
            unfinished.rename(made)
        return made

    def _train(self, root: Path) -> None:
        make_sample_study(root, cases=CASES, labelled=1)
        with _worked(root) as (session, robot):
            for n in range(PAINTED):
                robot.paint(f"stroke-{n + 2:03d}")
            _train_and_predict(session, "mean-teacher")

    def _correct(self, root: Path) -> None:
        self.copy("trained", root)
        with _worked(root) as (session, robot):
            for _ in range(CORRECTED):
                robot.correct(str(session.next_case()))
            session.refresh_calibration()

    def _train_again(self, root: Path) -> None:
        self.copy("corrected", root)
        with _worked(root) as (session, _):
            _train_and_predict(session, session.recommend().method)

    def _overrule(self, root: Path) -> None:
        self.copy("twice", root)
        with _worked(root) as (session, _):
            newest = session.models()[0]
            if not newest.champion:
                session.make_champion(newest.id)
                wait_quietly(session, session.predict())


@contextmanager
def _worked(root: Path) -> Iterator[tuple[Session, Robot]]:
    """Open a study with a robot reader at it, whose seconds are those of `penumbra simulate`."""
    session = Session()
    session.auto_predict = False
    session.open(root)
    try:
        yield session, Robot(session, references(session.opened(), root / REFERENCE))
    finally:
        session.close()


def _learn(method: str, root: Path) -> None:
    make_sample_study(root, cases=SYSTEM_CASES, labelled=SYSTEM_LABELLED, cohort=SYSTEMS[method])
    with _worked(root) as (session, _):
        _train_and_predict(session, method, SYSTEM_STEPS)


def _train_and_predict(session: Session, method: str, steps: int = STEPS) -> None:
    """Train; a model that is the best so far predicts every case that has no label."""
    run = session.train(method, "laptop", steps=steps)
    wait_quietly(session, run)
    while session.measuring:
        session.poll()
        time.sleep(0.2)
    if session.opened().champion() == run:
        wait_quietly(session, session.predict())
