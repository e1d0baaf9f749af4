"""The simulated loop with a played worker: who learns what, what is written, and going on after every interruption."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from session_study import GRID, INFOS, cube, image, predict_by_hand

from napari_penumbra.domain.case import CaseState, Role
from napari_penumbra.domain.errors import JobError, StudyError, UsageError
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.jobs.job import Job
from napari_penumbra.jobs.launch import prepare
from napari_penumbra.session import Session
from napari_penumbra.session.reader_cost import Costs
from napari_penumbra.session.simulate import Simulation
from napari_penumbra.session.simulation import CURVE, RESULT, Result, Settings, load

SETTINGS = Settings("mean-teacher", "laptop", "random", rounds=2, per_round=2, start=2, held_out=2, steps=5, seed=3)


class Worker:
    """Stands in for the processes: a training ends at once, a prediction gets better with every labelled case."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trained: list[dict[str, set[str]]] = []
        self.predicted: list[list[str]] = []
        self.options: list[dict[str, object]] = []
        self.stop_at: str | None = None
        worker = self
        monkeypatch.setattr("napari_penumbra.session.runs.method_infos", lambda: INFOS)

        def train(session: Session, method: str, preset: str, **options: object) -> str:
            pool = session.opened().pool()
            worker.trained.append(
                {role: {c.name for c in pool if c.role == role} for role in ("labelled", "unlabelled", "validation")}
            )
            worker.options.append({"method": method, "preset": preset, **options})
            return worker.start(session, "train")

        def predict(session: Session, cases: list[str], run: str, threads: int = 0) -> str:
            named = {case.name for case in session.opened().pool(only=cases)}
            assert named == set(cases), "frozen cases must be in the pool while they are predicted"
            worker.predicted.append(list(cases))
            started = worker.start(session, "predict")
            if worker.stop_at != "predict":
                for name in cases:
                    labels = cube(1)
                    labels[1 + len(worker.trained) :] = 0
                    predict_by_hand(session, started, name, labels, np.full(GRID.array_shape, 0.4))
                session.opened().register_predictions()
            return started

        def resume(session: Session, run: str, threads: int | None = None) -> str:
            worker.tell(session, run, Kind.FINISHED)
            return run

        monkeypatch.setattr(Session, "train", train)
        monkeypatch.setattr(Session, "predict", predict)
        monkeypatch.setattr(Session, "resume", resume)

    def start(self, session: Session, kind: str) -> str:
        study = session.opened()
        run = f"{kind}-{secrets.token_hex(3)}"
        spec = RunSpec(kind, tuple(study.modalities), study.labels, study.pool(), "mean-teacher", "laptop", steps=5)
        prepare(study.layout.runs, run, spec)
        study.add_run(run, kind, "mean-teacher", "laptop")
        self.tell(session, run, Kind.STOPPED if self.stop_at == kind else Kind.FINISHED)
        return run

    @staticmethod
    def tell(session: Session, run: str, kind: Kind) -> None:
        folder = session.opened().layout.run(run)
        with (folder / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(Progress(kind, 5, 5).to_line() + "\n")
        assert Job(folder).state().over

    def wait(self, session: Session, run: str) -> bool:
        return self.stop_at is None


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    return Worker(monkeypatch)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine cases with references, one without."""
    root = tmp_path_factory.mktemp("source")
    for name in ("images", "truth"):
        (root / name).mkdir()
    for n in range(10):
        write_nifti(root / "images" / f"p{n}.nii.gz", image(n), GRID)
        if n < 9:
            write_nifti(root / "truth" / f"p{n}.nii.gz", cube(1), GRID)
    session = Session()
    session.create(root / "study", "Cubes", ["T1"], LabelScheme.parse(["1=cube"]))
    for _, outcome in session.add_folder(root / "images"):
        assert isinstance(outcome, list)
    session.close()
    return root


def files(folder: Path) -> list[Path]:
    """All files, but for those in which SQLite notes who reads."""
    return sorted(p for p in folder.rglob("*") if not p.name.startswith("study.sqlite-"))


def simulate(source: Path, out: Path, worker: Worker, settings: Settings = SETTINGS) -> Simulation:
    return Simulation(source / "study", out, settings, source / "truth", wait=worker.wait)


def last(results: Iterator[Result]) -> Result:
    return list(results)[-1]


def test_the_loop(source: Path, tmp_path: Path, worker: Worker) -> None:
    before = files(source / "study")
    result = last(simulate(source, tmp_path / "out", worker).run())
    assert [r.labelled for r in result.rounds] == [2, 4, 6]
    names = {f"p{n}" for n in range(10)}
    for round_, pools in zip(result.rounds, worker.trained, strict=True):
        assert pools["validation"] == set(), "held-out cases are in no stream at all"
        assert pools["labelled"] | pools["unlabelled"] == names - set(result.held_out)
        assert len(pools["labelled"]) == round_.labelled
    assert worker.options[0]["reference"] is False
    assert worker.options[0]["steps"] == 5
    assert {o["seed"] for o in worker.options} == {3}
    works = [work for r in result.rounds for work in r.work]
    assert len({work.case for work in works}) == 6
    assert not {work.case for work in works} & set(result.held_out)
    assert "p9" not in {work.case for work in works}, "no reference, no answer"
    # Slices 1 to 3 are the cube; training n has learnt n of them.
    assert [work.corrected for work in works] == [48, 48, 32, 32, 16, 16]
    assert [r.mean for r in result.rounds] == pytest.approx([2 * 16 / 64, 2 * 32 / 80, 1.0])
    points = result.points()
    assert [(p.labelled, p.voxels) for p in points] == [(2, 96), (4, 160), (6, 192)]
    assert [p.dice for p in points] == pytest.approx([0.5, 0.8, 1.0])
    costs, minutes = SETTINGS.costs, 0.0
    for round_, point in zip(result.rounds, points, strict=True):
        for work in round_.work:
            correcting = costs.stroke * work.strokes + costs.decision * work.offered
            if work.strokes_from_nothing is not None:
                correcting = min(correcting, costs.stroke * (1 + work.strokes_from_nothing))
            minutes += (costs.opening + correcting) / 60
        assert point.minutes == pytest.approx(minutes)
    assert result.lines()[-1][:4] == ("2", "6", "192", "288")
    assert result.lines()[-1][5] == f"{minutes:.1f}"
    assert before == files(source / "study"), "the study itself is only read"


def test_what_is_written(source: Path, tmp_path: Path, worker: Worker) -> None:
    out = tmp_path / "out"
    result = last(simulate(source, out, worker).run())
    assert load(out) == result
    data = json.loads((out / RESULT).read_text())
    assert data["rounds"][2]["mean_dice"] == pytest.approx(1.0)
    assert data["method"] == "mean-teacher"
    root = ElementTree.fromstring((out / CURVE).read_text())
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 9
    effort = Session()
    effort.open(out / "study")
    booked = sum(f.seconds for f in effort.opened().finished()) / 60
    assert booked == pytest.approx(result.points()[-1].minutes), "the copy's own table tells the same minutes"
    effort.close()
    copy = Session()
    copy.open(out / "study")
    assert {row.name for row in copy.cases() if row.role is Role.VALIDATION} == set(result.held_out)
    assert sum(row.state is CaseState.ACCEPTED for row in copy.cases()) == 4
    assert sum(row.state is CaseState.ANNOTATED for row in copy.cases()) == 2
    copy.close()


def test_same_seed_same_cases_whatever_the_order(source: Path, tmp_path: Path, worker: Worker) -> None:
    results = {
        order: last(simulate(source, tmp_path / order, worker, replace(SETTINGS, order=order, rounds=1)).run())
        for order in ("random", "file", "auto")
    }
    again = last(simulate(source, tmp_path / "again", worker, replace(SETTINGS, rounds=1)).run())
    assert len({tuple(r.start) + tuple(r.held_out) for r in results.values()}) == 1
    taken = {order: [w.case for w in r.rounds[1].work] for order, r in results.items()}
    rest = [f"p{n}" for n in range(9) if f"p{n}" not in (*again.start, *again.held_out)]
    assert taken["file"] == rest[:2]
    assert [w.case for w in again.rounds[1].work] == taken["random"]
    other = last(simulate(source, tmp_path / "seed", worker, replace(SETTINGS, seed=4, rounds=1)).run())
    assert set(other.held_out) != set(again.held_out) or set(other.start) != set(again.start)


def test_prices_may_be_changed_afterwards_and_old_results_have_the_usual_ones(
    source: Path, tmp_path: Path, worker: Worker
) -> None:
    out = tmp_path / "out"
    first = last(simulate(source, out, worker, replace(SETTINGS, rounds=1)).run())
    dear = replace(SETTINGS, rounds=1, costs=Costs(opening=100.0))
    again = last(simulate(source, out, worker, dear).run())
    assert again.points()[-1].minutes - first.points()[-1].minutes == pytest.approx(4 * 90 / 60)
    assert len(worker.trained) == 2
    data = json.loads((out / RESULT).read_text())
    del data["settings"]["costs"]
    for plain in data["rounds"]:
        for work in plain["work"]:
            del work["strokes"], work["strokes_from_nothing"]
    (out / RESULT).write_text(json.dumps(data))
    old = load(out)
    assert old is not None
    assert old.settings.costs == Costs()


def test_auto_predicts_all_candidates_and_the_others_only_the_next(
    source: Path, tmp_path: Path, worker: Worker
) -> None:
    last(simulate(source, tmp_path / "auto", worker, replace(SETTINGS, order="auto", rounds=1)).run())
    assert [len(names) for names in worker.predicted] == [2 + 5, 2]
    worker.predicted.clear()
    last(simulate(source, tmp_path / "file", worker, replace(SETTINGS, order="file", rounds=1)).run())
    assert [len(names) for names in worker.predicted] == [2 + 2, 2]


@pytest.mark.parametrize("at", ["train", "predict"])
def test_stopped_in_the_worker_and_gone_on(source: Path, tmp_path: Path, worker: Worker, at: str) -> None:
    out = tmp_path / "out"
    worker.stop_at = at
    first = simulate(source, out, worker)
    assert list(first.run()) == []
    assert first.interrupted
    worker.stop_at = None
    second = simulate(source, out, worker)
    result = last(second.run())
    assert not second.interrupted
    assert [r.labelled for r in result.rounds] == [2, 4, 6]
    assert len(worker.trained) == 3, "what was stopped is gone on with, not begun anew"


def test_killed_while_the_cases_are_copied(
    source: Path, tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, out = Session.add_case, tmp_path / "out"

    def dying(self: Session, name: str, images: dict[str, Path]) -> None:
        if len(self.cases()) == 2:
            raise KeyboardInterrupt
        add(self, name, images)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "add_case", dying)
        with pytest.raises(KeyboardInterrupt):
            last(simulate(source, out, worker).run())
    result = last(simulate(source, out, worker).run())
    assert [r.labelled for r in result.rounds] == [2, 4, 6]


def test_killed_between_an_acceptance_and_its_record(
    source: Path, tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = last(simulate(source, tmp_path / "whole", worker).run())
    worker.trained.clear()
    out, left = tmp_path / "out", 5  # the fifth record is that of the first correction
    write = Result.write

    def dying(self: Result, folder: Path) -> None:
        nonlocal left
        if any(len(r.work) == 1 for r in self.rounds[1:]):
            left = 0
        if left == 0:
            raise KeyboardInterrupt
        write(self, folder)

    with monkeypatch.context() as patch:
        patch.setattr(Result, "write", dying)
        with pytest.raises(KeyboardInterrupt):
            last(simulate(source, out, worker).run())
    result = last(simulate(source, out, worker).run())
    assert [[w.case for w in r.work] for r in result.rounds] == [[w.case for w in r.work] for r in whole.rounds]
    assert result.points() == whole.points()


def test_more_rounds_may_be_asked_for_later(source: Path, tmp_path: Path, worker: Worker) -> None:
    out = tmp_path / "out"
    last(simulate(source, out, worker, replace(SETTINGS, rounds=1)).run())
    assert len(worker.trained) == 2
    result = last(simulate(source, out, worker, replace(SETTINGS, rounds=2)).run())
    assert [r.labelled for r in result.rounds] == [2, 4, 6]
    assert len(worker.trained) == 3
    same = list(simulate(source, out, worker, replace(SETTINGS, rounds=2)).run())
    assert len(same) == 3
    assert len(worker.trained) == 3, "what is done is not done again"


def test_the_last_round_takes_what_is_left(source: Path, tmp_path: Path, worker: Worker) -> None:
    told: list[str] = []
    simulation = simulate(source, tmp_path / "out", worker, replace(SETTINGS, rounds=9))
    simulation.tell = told.append
    result = last(simulation.run())
    assert [r.labelled for r in result.rounds] == [2, 4, 6, 7]
    assert told[-1] == "Every case with a reference is labelled."


def test_the_recommended_method_is_chosen_once(source: Path, tmp_path: Path, worker: Worker) -> None:
    told: list[str] = []
    simulation = simulate(source, tmp_path / "out", worker, replace(SETTINGS, method="auto", preset="", rounds=1))
    simulation.tell = told.append
    result = last(simulation.run())
    assert (result.method, result.preset) == ("mean-teacher", "laptop")
    assert sum(words.startswith("Recommended: Mean teacher") for words in told) == 1
    assert {o["method"] for o in worker.options} == {"mean-teacher"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"order": "alphabet"}, "no order called"),
        ({"held_out": 6}, "9 cases have reference labels"),
        ({"start": 0}, "need 4 at least"),
    ],
)
def test_what_cannot_be_simulated(
    source: Path, tmp_path: Path, worker: Worker, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        last(simulate(source, tmp_path / "out", worker, replace(SETTINGS, **changes)).run())
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_is_left_alone(source: Path, tmp_path: Path, worker: Worker) -> None:
    out = tmp_path / "out"
    last(simulate(source, out, worker, replace(SETTINGS, rounds=1)).run())
    with pytest.raises(UsageError, match="another simulation"):
        last(simulate(source, out, worker, replace(SETTINGS, seed=9)).run())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        last(simulate(source, tmp_path / "full", worker).run())
    (out / RESULT).write_text('{"rounds": 3}')
    with pytest.raises(StudyError, match="not the result of a simulation"):
        last(simulate(source, out, worker).run())


def test_a_prediction_that_ends_early_is_an_error(
    source: Path, tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.stop_at = "train"
    simulation = Simulation(
        source / "study", tmp_path / "out", SETTINGS, source / "truth", wait=lambda session, run: True
    )
    with pytest.raises(JobError, match="is stopped"):
        last(simulation.run())
