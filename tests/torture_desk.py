"""A reader who works through a plan until killed: ``python torture_desk.py window|plain``.

Reads a study's folder line by line; forks a process that opens it and works on, and answers its process number. The
process says on the pipe what it begins and ends, with digests of the labels before and after, one JSON line each.
``window`` is a napari window that is worked by mouse and keys' own functions, ``plain`` the session without one.

The plan: three rounds over all cases; in each every case gets the labels of `target`, in strokes, is saved as a draft
in between, and is closed, or accepted when it has a prediction. A life goes on where the study says the last one ended.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_penumbra.domain.case import Closing
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.session import Session
from napari_penumbra.study.store import Study

ROUNDS = 3
SLICES = (1, 3)
"""Slices that are painted, each in one stroke."""


def target(case: int, turn: int, shape: tuple[int, ...]) -> np.ndarray:
    """The labels of a case after a round, (z, y, x): a block that no other round or case has."""
    labels = np.zeros(shape, np.uint8)
    for z in SLICES:
        labels[z, 1 + turn : 5 + turn, 1 + case % 6 : 4 + case % 6] = 1 + turn % 2
    return labels


def digest(labels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(labels, np.uint8).tobytes()).hexdigest()[:16]


def visits(study: Study) -> Iterator[tuple[int, int, str]]:
    """What is left of the plan: (round, number, name) of every case that was not closed with its round's labels."""
    names = [row.name for row in study.cases()]
    closed = {
        name: {
            digest(read_labels(study.root / a.path).volume.data)
            for a in study.annotations(name, withdrawn=True)
            if a.closing is not Closing.DRAFT
        }
        for name in names
    }
    for turn in range(ROUNDS):
        for number, name in enumerate(names):
            if digest(target(number, turn, study.grid(name).array_shape)) not in closed[name]:
                yield turn, number, name


def strokes(labels: np.ndarray, wanted: np.ndarray) -> list[tuple[int, int]]:
    """Slice and value of every stroke that it takes: each is one change, kept whole or not at all."""
    return [
        (int(z), int(value))
        for z in np.flatnonzero((labels != wanted).any(axis=(1, 2)))
        for value in np.unique(wanted[z][labels[z] != wanted[z]])
    ]


class Life:
    """One process: from opening the study until it is killed, or the plan is done."""

    def __init__(self, say: Any) -> None:
        self._pipe = say

    def say(self, what: str, op: str, case: str, labels: np.ndarray | None = None) -> None:
        line = {"what": what, "op": op, "case": case, "digest": "" if labels is None else digest(labels)}
        os.write(self._pipe, (json.dumps(line) + "\n").encode())

    def work(self, desk: Any, root: Path) -> None:
        self.say("begin", "opening the study", "")
        desk.start(root)
        self.say("end", "opening the study", "")
        for turn, number, name in visits(desk.study()):
            self.visit(desk, turn, number, name)
        self.say("begin", "closing the study", "")
        desk.stop()
        self.say("done", "", "")

    def visit(self, desk: Any, turn: int, number: int, name: str) -> None:
        self.say("begin", "opening a case", name)
        desk.open(name)
        labels = desk.labels().copy()
        self.say("end", "opening a case", name, labels)
        wanted = target(number, turn, labels.shape)
        for n, (z, value) in enumerate(strokes(labels, wanted)):
            where = (wanted[z] == value) & (labels[z] != value)
            labels[z][where] = value
            self.say("begin", "stroke", name, labels)
            desk.stroke(z, where, value)
            self.say("end", "stroke", name, labels)
            if n == 0:
                self.say("begin", "save", name, labels)
                desk.save(name)
                self.say("end", "save", name, labels)
        predicted = desk.study().prediction(name) is not None
        op = "accept" if predicted else "close"
        self.say("begin", op, name, wanted)
        (desk.accept if predicted else desk.close)(name)
        self.say("end", op, name, wanted)


class PlainDesk:
    """The session, without a window."""

    def start(self, root: Path) -> None:
        self.session = Session()
        self.session.auto_predict = False
        self.session.open(root)
        assert not self.session.readonly

    def study(self) -> Study:
        return self.session.opened()

    def open(self, name: str) -> None:
        self.name, self.shown = name, self.session.load(name).labels

    def labels(self) -> np.ndarray:
        return self.shown

    def stroke(self, z: int, where: np.ndarray, value: int) -> None:
        self.shown[z][where] = value
        self.session.stroke(self.name, ((z, 0, 0), (z + 1, *self.shown.shape[1:])), self.shown[z : z + 1])

    def save(self, name: str) -> None:
        self.session.save(name, self.shown, 1.0)

    def close(self, name: str) -> None:
        self.session.close_case(name, self.shown, Closing.COMPLETE, 1.0)

    def accept(self, name: str) -> None:
        self.session.accept(name, self.shown, Closing.COMPLETE, 1.0)

    def stop(self) -> None:
        self.session.close()


class WindowDesk:
    """The real window, worked by `Walkthrough`."""

    def start(self, root: Path) -> None:
        import napari

        from napari_penumbra.plugin.walkthrough import Walkthrough

        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(1000, 700)
        self.walk = Walkthrough(self.viewer)
        self.walk.widget.session.auto_predict = False
        self.walk.open_study(root)
        assert not self.walk.widget.session.readonly

    def study(self) -> Study:
        return self.walk.widget.session.opened()

    def open(self, name: str) -> None:
        self.walk.open_case(name)

    def labels(self) -> np.ndarray:
        return self.walk.widget.bridge.labels()

    def stroke(self, z: int, where: np.ndarray, value: int) -> None:
        self.viewer.dims.set_current_step(0, z)
        y, x = np.nonzero(where)
        self.walk.labels_layer.data_setitem((np.full_like(y, z), y, x), value)
        self.walk.settle(1)

    def save(self, name: str) -> None:
        self.walk.widget.dock.cases.save()

    def close(self, name: str) -> None:
        self.walk.page("annotate")
        self.walk.click("case_complete")

    def accept(self, name: str) -> None:
        self.walk.page("review")
        self.walk.click("accept_case")

    def stop(self) -> None:
        self.walk.widget.shut()


def main(kind: str) -> None:
    if kind == "window":  # loaded before the fork; nothing of Qt is made yet
        import napari_penumbra.plugin.layer_bridge
        import napari_penumbra.plugin.walkthrough
        import napari_penumbra.widgets.dock  # noqa: F401
    pipe = os.dup(1)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.write(pipe, (json.dumps({"what": "born", "pid": os.getpid()}) + "\n").encode())
            with Path(line.strip()).with_suffix(".log").open("a") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            Life(pipe).work(WindowDesk() if kind == "window" else PlainDesk(), Path(line.strip()))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        os.write(pipe, (json.dumps({"what": "dead", "code": code}) + "\n").encode())


if __name__ == "__main__":
    main(sys.argv[1])
