"""The warm prediction worker as real processes: one load for many cases, idle, killed, cancelled, replaced."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pytest.importorskip("torch")
from session_study import GRID, cube, follow, image

from model_study import make_model, other_study
from napari_penumbra.domain.case import CaseState, Closing
from napari_penumbra.domain.progress import Kind, RunState
from napari_penumbra.domain.warm import IDLE
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.jobs.job import Job
from napari_penumbra.jobs.process import WorkerProcess
from napari_penumbra.session import Session, warm

pytestmark = pytest.mark.timeout(240)
needs_signals = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes are halted by POSIX signals")
ONE, TWO = "20261121-120000-supervised-aaaa", "20261121-130000-supervised-bbbb"


def finish(session: Session, run: str) -> Job:
    follow(session, lambda: run not in session.live)
    return session._job(run)


def gone(pid: int) -> bool:
    with_zombies = psutil.pid_exists(pid)
    return not with_zombies or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight cases, four of them labelled, and two models."""
    home = tmp_path_factory.mktemp("warm")
    session = other_study(home / "study", ["T1"], ["1=lesion", "2=core"])
    for n in range(8):
        write_nifti(home / f"p{n}.nii.gz", image(n), GRID)
        session.add_case(f"p{n}", {"T1": home / f"p{n}.nii.gz"})
        if n < 4:
            session.close_case(f"p{n}", cube(), Closing.COMPLETE)
    for n, run in enumerate((ONE, TWO)):
        make_model(session, run, seed=n)
    session.opened().set_champion(ONE)
    session.close()
    return home / "study"


@pytest.fixture
def session(study: Path) -> Iterator[Session]:
    made = Session()
    made.auto_predict = False
    made.open(study)
    made.opened().set_champion(ONE)
    made.keep_warm = 60.0
    yield made
    if made.study is not None:
        made.warm_worker().leave(now=True, wait=20)
        made.close()


def answers(session: Session, case: str, run: str) -> list[str]:
    study = session.opened()
    spec = next(c for c in study.pool(only=[case]))
    folder = study.root / Path(str(spec.images[0])).parent.parent / "predictions"
    return [
        hashlib.sha256((folder / f"{run}.{kind}.nii.gz").read_bytes()).hexdigest() for kind in ("labels", "confidence")
    ]


def test_many_requests_cost_one_load_and_give_what_a_cold_one_gives(session: Session) -> None:
    assert "No prediction process is there" in session.warm_words()
    first = session.predict(["p4"], threads=1)
    pid = session.warm_worker().pid
    assert pid is not None
    assert Job(session.opened().layout.run(first)).state() is RunState.RUNNING
    job = finish(session, first)
    assert job.state() is RunState.FINISHED
    second = session.predict(["p4", "p5"], threads=1)
    said = [e.message for e in finish(session, second).events(from_start=True)]
    assert "Loading the model." not in said
    state = session.warm_state
    assert (state.pid, state.loads, state.served, state.model) == (pid, 1, 2, ONE)
    assert ONE in session.warm_words()
    assert session.opened().case("p5").state is CaseState.PREDICTED
    # Another champion takes the place of the model in memory, in the same process.
    session.make_champion(TWO)
    other = session.predict(["p4"], threads=1)
    finish(session, other)
    assert (session.warm_state.model, session.warm_state.loads, session.warm_state.pid) == (TWO, 2, pid)
    assert answers(session, "p4", other) != answers(session, "p4", first)
    # A cold one, once no model is to be kept any more.
    session.keep_warm = 0
    session.make_champion(ONE)
    cold = session.predict(["p4"], threads=1)
    finish(session, cold)
    assert answers(session, "p4", cold) == answers(session, "p4", first) == answers(session, "p4", second)


@needs_signals
@pytest.mark.slow
def test_one_that_is_killed_is_replaced_by_the_next_request(session: Session) -> None:
    finish(session, session.predict(["p4"], threads=1))
    pid = session.warm_worker().pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # so that it is killed with a request in hand
    lost = session.predict(["p5"], threads=1)
    os.kill(pid, signal.SIGKILL)
    assert finish(session, lost).state() is RunState.LOST
    assert session.warm_worker().pid is None
    again = session.predict(["p5"], threads=1)
    assert session.warm_worker().pid not in (None, pid)
    assert finish(session, again).state() is RunState.FINISHED
    assert session.warm_state.served == 1, "the request that was lost with the first one is not done twice"


@pytest.mark.slow
def test_it_leaves_when_idle_and_when_the_study_is_closed(session: Session) -> None:
    finish(session, session.predict(["p4"], threads=1))
    pid = session.warm_worker().pid
    assert pid is not None
    session.keep_warm = 0.1
    assert (session.warm_worker().home / IDLE).read_text() == "0.1"
    follow(session, lambda: gone(pid), 20)
    assert session.warm_worker().pid is None
    session.keep_warm = 60
    session.predict(["p4"], threads=1)
    other = session.warm_worker().pid
    root = session.opened().root
    session.close()  # what was asked for is still done, then it goes
    assert other is not None
    follow(Session(), lambda: gone(other), 30)
    session.open(root)
    assert session.opened().prediction("p4") is not None
    assert session.runs()[0].state is RunState.FINISHED


@pytest.mark.slow
def test_a_request_that_was_not_begun_is_taken_back(session: Session) -> None:
    """The process is still starting: it is not killed for it, and answers the next request."""
    session.predict_ahead = True
    session.poll()
    ahead = session.active
    assert ahead is not None
    pid = session.warm_worker().pid
    run = session.predict(["p4"], threads=1)
    assert session._job(ahead).state() is RunState.STOPPED
    assert session.warm_worker().pid == pid
    session.predict_ahead = False
    assert finish(session, run).state() is RunState.FINISHED


@needs_signals
@pytest.mark.slow
def test_a_request_is_cancelled_between_two_tiles_and_the_worker_stays(session: Session) -> None:
    finish(session, session.predict(["p4"], threads=1))
    pid = session.warm_worker().pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    run = session.predict(["p5", "p6", "p7"], threads=1)
    session.stop(run)
    os.kill(pid, signal.SIGCONT)
    job = finish(session, run)
    assert job.state() is RunState.STOPPED
    assert not any(e.kind is Kind.CASE_DONE for e in job.events(from_start=True))
    assert session.warm_worker().pid == pid
    # A prediction ahead makes way for one that the reader asks for, and the model stays in memory.
    session.predict_ahead = True
    session.poll()
    ahead = session.active
    assert ahead is not None
    assert "-ahead-" in ahead
    wanted = session.predict(["p4"], threads=1)
    finish(session, wanted)
    session.predict_ahead = False
    assert session.warm_state.pid in (0, pid) or session.warm_state.loads >= 1


@pytest.mark.slow
def test_a_training_makes_it_leave(session: Session) -> None:
    from napari_penumbra.training.turn import Turn

    finish(session, session.predict(["p4"], threads=1))
    pid = session.warm_worker().pid
    assert pid is not None
    # A training of a command line, which knows nothing of this session: it only takes its turn on the device.
    turn = Turn(session.opened().layout.run("elsewhere"), "cpu")
    assert turn.take(lambda event: None, lambda: False)
    try:
        follow(session, lambda: gone(pid), 10)
    finally:
        turn.give_back()
    finish(session, session.predict(["p5"], threads=1))
    pid = session.warm_worker().pid
    assert pid is not None
    config = {"patch": [8, 8, 8], "labelled_batch": 1, "width": 4}
    run = session.train("supervised", "laptop", steps=1, config=config, threads=1)
    follow(session, lambda: gone(pid), 10)
    session.stop(run)
    finish(session, run)


@pytest.mark.slow
def test_the_next_case_is_ready_before_it_is_opened(session: Session) -> None:
    session.opened().set_champion(TWO)
    session.predict_ahead = True
    follow(session, lambda: "-ahead-" in (session.active or ""))
    follow(session, lambda: session.active is None and not session._registrar.busy)
    rows = {row.name: row for row in session.opened().cases(session.order)}
    assert all(rows[name].current for name in ("p4", "p5", "p6"))
    assert session.warm_state.loads == 1


@pytest.mark.slow
def test_a_second_worker_beside_the_first_leaves(session: Session) -> None:
    from napari_penumbra.jobs.launch import start
    from napari_penumbra.jobs.service import MODULE

    finish(session, session.predict(["p4"], threads=1))
    home = session.warm_worker().home
    first = WorkerProcess.read(home)
    assert first is not None
    run = session.opened().layout.runs / ".second"
    run.mkdir()
    second = start([session.warm_worker().python, "-m", MODULE, "serve", str(home)], run)
    follow(session, lambda: gone(second), 40)
    assert session.warm_worker().pid == first.pid


def test_the_setting_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm.platformdirs, "user_config_dir", lambda *a, **k: str(tmp_path / "config"))
    assert warm.remembered() == 600.0
    warm.remember(0)
    assert warm.remembered() == 0.0
