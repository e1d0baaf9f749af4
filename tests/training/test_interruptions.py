"""A training that is paused, runs out of disk, waits for its turn or is killed ends as an undisturbed one does."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from test_trainer import after, assert_same, kinds, trained

from napari_penumbra.domain.diagnosis import DIAGNOSES
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.methods import names
from napari_penumbra.training import turn
from napari_penumbra.training.build import make_trainer
from napari_penumbra.training.turn import Turn, device_of
from napari_penumbra.training.worker import work
from tiny_study import make_spec, write_run


def order_of(root: Path, method: str, steps: int, lean: bool) -> RunSpec:
    """An order that any method can follow, in small; lean without validations and without a twin."""
    from napari_penumbra.methods import get

    small: dict[str, object] = {
        "patch": (16, 16, 16),
        "labelled_batch": 2,
        "unlabelled_batch": 2,
        "width": 4,
        "confidence_width": 4,
    }
    # Every phase of a method is reached before the kill and after it.
    phases = {"pretrain_steps": steps // 4, "ramp_steps": 2, "teach_every": 1, "refresh_steps": 3, "depth": 10}
    small |= phases
    known = get(method).Config.model_fields
    config = {name: value for name, value in small.items() if name in known}
    if method == "supervised":
        config.pop("unlabelled_batch")
    spec = dataclasses.replace(make_spec(root, steps=steps, reference=not lean), method=method, config=config)
    return dataclasses.replace(spec, cases=spec.cases[:3]) if lean else spec


# ------------------------------------------------------------------ killed

CHILD = """
import os, signal, sys
from pathlib import Path
import rich.style, torch
from napari_penumbra.training import turn
from napari_penumbra.training.build import make_trainer, read_spec

torch.set_num_threads(1)
for run in map(Path, sys.argv[2:]):
    child = os.fork()
    if child == 0:
        spec = read_spec(run)
        def stopping():
            if trainer.step == int(sys.argv[1]):
                trainer._save()
            if trainer.step > int(sys.argv[1]):
                os.kill(os.getpid(), signal.SIGKILL)
            return False
        trainer = make_trainer(run, spec, lambda event: None, stopping, resume=False)
        trainer.run()
    else:
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
"""
"""Trains each run in a process of its own, which saves after some steps, takes one more, and kills itself.

rich draws a number from Python's own generator when it is imported. MONAI brings it along, so in a fresh process that
comes after the seeding; here it was imported long before, and the two states would differ by that one number.
"""


def killed_and_resumed(root: Path, methods: Sequence[str], steps: int, lean: bool = False) -> None:
    runs = {}
    for name in methods:
        spec = order_of(root / name, name, steps, lean)
        runs[name] = (spec, write_run(root / name, "killed", spec), write_run(root / name, "straight", spec))
    command = [sys.executable, "-c", CHILD, str(steps // 2), *(str(killed) for _, killed, _ in runs.values())]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    for spec, killed, straight in runs.values():
        trained(straight, spec)
        events = trained(killed, spec, resume=True)
        first = next(e.step for e in events if e.kind is Kind.STEP)
        assert first == steps // 2 + 1
        assert_same(straight, killed)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_killed_training_goes_on_bit_for_bit(root: Path) -> None:
    killed_and_resumed(root, ("mean-teacher", "asdnet"), 8, lean=True)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_every_method_goes_on_bit_for_bit_after_a_kill_at_thirty_of_sixty(root: Path) -> None:
    killed_and_resumed(root, names(), 60)


# ------------------------------------------------------------------ paused


def test_a_pause_saves_waits_and_changes_nothing(root: Path) -> None:
    spec = make_spec(root, steps=12)
    straight, paused = write_run(root, "straight", spec), write_run(root, "paused", spec)
    trained(straight, spec)
    events: list[Progress] = []

    def tell(event: Progress) -> None:
        events.append(event)
        if event.kind is Kind.VALIDATION and event.step == 4:
            (paused / "pause").touch()
        if event.kind is Kind.PAUSED:
            assert (paused / "checkpoints" / "latest").read_text() == "step-000004"
            (paused / "pause").unlink()

    assert make_trainer(paused, spec, tell, lambda: False, resume=False).run()
    said = next(e for e in events if e.kind is Kind.PAUSED)
    assert said.message == "Paused after step 4 of 12: saved, and the processor is free."
    assert events[events.index(said) + 1].message == "Going on after the pause."
    assert_same(straight, paused)


def test_a_paused_training_can_be_stopped(root: Path) -> None:
    spec = make_spec(root, "supervised", steps=12)
    run = write_run(root, "run", spec)
    (run / "pause").touch()
    events = trained(run, spec, after(1))
    assert kinds(events) == [Kind.CHECKPOINT, Kind.PAUSED, Kind.STOPPED]


# ------------------------------------------------------------------ a disk that is nearly full


def test_a_disk_nearly_full_ends_the_run_in_order_and_it_goes_on_later(root: Path) -> None:
    spec = make_spec(root, "supervised", steps=12)
    straight, run = write_run(root, "straight", spec), write_run(root, "run", spec)
    trained(straight, spec)
    trained(run, spec, after(5))
    full = dataclasses.replace(spec, disk_reserve=1 << 60)
    events = trained(run, full, resume=True)
    last = events[-1]
    assert (last.kind, last.about, last.step) == (Kind.STOPPED, "disk", 5)
    assert last.message.startswith("The disk is nearly full: ")
    assert last.remedy == DIAGNOSES["disk"].remedy
    assert (run / "checkpoints" / "latest").read_text() == "step-000005"
    trained(run, spec, resume=True)
    assert_same(straight, run)


def test_the_reserve_is_part_of_the_order(root: Path) -> None:
    spec = make_spec(root, disk_reserve=7)
    assert RunSpec.from_json(json.loads(json.dumps(spec.to_json()))).disk_reserve == 7


# ------------------------------------------------------------------ the queue


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def stand_in_line(place: Turn, pid: int) -> Path:
    """Put another process' ticket into the queue."""
    place.draw(pid)
    assert place._ticket is not None
    return place._ticket


def test_who_comes_later_waits_for_those_before_and_a_dead_one_does_not_count(root: Path) -> None:
    runs = [root / "runs" / name for name in ("a", "b", "c")]
    for run in runs:
        run.mkdir(parents=True)
    first, second = sleeper(), sleeper()
    try:
        stand_in_line(Turn(runs[0], "cpu"), first.pid)
        stand_in_line(Turn(runs[1], "cpu"), second.pid)
        told: list[Progress] = []

        def tell(event: Progress) -> None:
            told.append(event)
            ending = first if len(told) == 1 else second
            ending.send_signal(signal.SIGKILL)
            ending.wait()

        third = Turn(runs[2], "cpu")
        assert third.take(tell, lambda: False)
        assert [(e.kind, e.metrics["place"]) for e in told] == [(Kind.QUEUED, 2), (Kind.QUEUED, 1)]
        assert told[1].message == "Waiting for its turn, place 1: b is being trained."
        third.give_back()
        assert Turn(runs[0], "cpu").take(told.append, lambda: False)
        assert len(told) == 2
    finally:
        for process in (first, second):
            process.kill()
            process.wait()


def test_of_two_started_at_once_the_later_one_may_wake_up_first(root: Path) -> None:
    """Whoever starts a process draws its ticket; the process takes it over when it wakes up."""
    runs = [write_run(root, name, make_spec(root)) for name in ("asked for first", "asked for second")]
    asleep = sleeper()
    told: list[Progress] = []
    try:
        turn.reserve(runs[0], asleep.pid)
        turn.reserve(runs[1], os.getpid())
        second = Turn(runs[1], "cpu")
        assert not second.take(told.append, lambda: bool(told))
        assert told[0].message == "Waiting for its turn, place 1: asked for first is being trained."
    finally:
        asleep.kill()
        asleep.wait()
    assert not list(second.home.glob("*2.json")), "it gave back the ticket that was drawn for it"


def test_whoever_trains_goes_first_even_with_a_later_ticket(root: Path) -> None:
    runs = [write_run(root, name, make_spec(root)) for name in ("asked for first", "trains already")]
    other = sleeper()
    told: list[Progress] = []
    try:
        turn.reserve(runs[0], os.getpid())
        ticket = stand_in_line(Turn(runs[1], "cpu"), other.pid)
        ticket.write_text(json.dumps(json.loads(ticket.read_text()) | {"begun": True}))
        assert not Turn(runs[0], "cpu").take(told.append, lambda: bool(told))
        assert told[0].message.endswith("trains already is being trained.")
    finally:
        other.kill()
        other.wait()


def test_a_reserved_ticket_is_taken_over_by_its_run_whatever_its_process(root: Path) -> None:
    """On Windows an environment's python is a stub: the process that was started is not the one that trains."""
    runs = [write_run(root, name, make_spec(root)) for name in ("one", "other")]
    stub, later = sleeper(), sleeper()
    try:
        turn.reserve(runs[0], stub.pid)
        turn.reserve(runs[1], later.pid)
        place = Turn(runs[0], "cpu")
        assert place.take(lambda event: None, lambda: False)
        tickets = [json.loads(file.read_text()) for file in sorted(place.home.glob("*.json"))]
        assert [(t["pid"], t["begun"]) for t in tickets] == [(os.getpid(), True), (later.pid, False)]
    finally:
        for process in (stub, later):
            process.kill()
            process.wait()


def test_a_worker_that_is_quicker_than_whoever_reserves_has_one_ticket(root: Path) -> None:
    run = write_run(root, "run", make_spec(root))
    place = Turn(run, "cpu")
    assert place.take(lambda event: None, lambda: False)
    stub = sleeper()
    try:
        turn.reserve(run, stub.pid)
        assert len(list(place.home.glob("*.json"))) == 1
    finally:
        stub.kill()
        stub.wait()


def test_a_ticket_that_cannot_be_drawn_is_no_reason_not_to_start(root: Path) -> None:
    run = write_run(root, "run", make_spec(root))
    home = Turn(run, "cpu").home
    home.parent.mkdir(parents=True)
    home.write_text("a file where the queue's folder should be")
    turn.reserve(run, os.getpid())
    gone = sleeper()
    gone.kill()
    gone.wait()
    home.unlink()
    turn.reserve(run, gone.pid)
    assert not list(home.glob("*.json"))


def test_a_run_can_leave_the_queue(root: Path) -> None:
    spec = make_spec(root, "supervised", steps=2)
    run = write_run(root, "run", spec)
    (root / "runs" / "other").mkdir()
    before = sleeper()
    try:
        ticket = stand_in_line(Turn(root / "runs" / "other", "cpu"), before.pid)
        ticket.write_text(json.dumps(json.loads(ticket.read_text()) | {"begun": True}))
        (run / "stop").touch()
        assert work(run, "train") == 0
    finally:
        before.kill()
        before.wait()
    events = [Progress.from_line(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert kinds(events) == [Kind.STARTED, Kind.STOPPED]
    assert events[-1].message == "It was taken out of the queue before its turn had come."
    (run / "stop").unlink()
    assert work(run, "train", resume=True) == 0


@pytest.mark.parametrize(("wanted", "device"), [("cpu", "cpu"), ("cuda:1", "cuda:1")])
def test_each_device_has_its_own_queue(root: Path, wanted: str, device: str) -> None:
    run = write_run(root, "run", make_spec(root, device=wanted))
    assert device_of(run) == device
    homes = {Turn(run, name).home for name in ("cpu", "cuda:0", "cuda:1")}
    assert len(homes) == 3
    assert Turn(root / "elsewhere" / "runs" / "run", "cuda:0").home in homes


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no graphics card")
def test_a_pause_gives_the_graphics_cards_memory_back(root: Path) -> None:
    spec = make_spec(root, steps=12, device="cuda")
    run = write_run(root, "run", spec)
    taken: dict[Kind, int] = {}

    def tell(event: Progress) -> None:
        if event.kind in (Kind.VALIDATION, Kind.PAUSED):
            taken.setdefault(event.kind, torch.cuda.memory_allocated())
        if event.kind is Kind.VALIDATION:
            (run / "pause").touch()
        if event.kind is Kind.PAUSED:
            (run / "pause").unlink()

    assert make_trainer(run, spec, tell, lambda: False, resume=False).run()
    assert taken[Kind.PAUSED] < 0.1 * taken[Kind.VALIDATION]
