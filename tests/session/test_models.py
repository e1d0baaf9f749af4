"""The registry of models, the rule by which one takes over, the reader's overruling, measuring by the same code."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from session_study import Played, cube

from napari_penumbra.domain.case import Role
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.frozen import FROZEN_FILE, CaseFigures, FrozenFigures
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.session import Session, champion

Play = Callable[..., Played]


@pytest.fixture
def measured(session: Session, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Dice by run, which a played measurement finds on every frozen case; a run that is not there makes it fail."""
    values: dict[str, float] = {}

    def play(folder: Path, **options: object) -> int:
        spec = RunSpec.from_json(json.loads((folder / "job.json").read_text()))
        lines = []
        for run, checkpoint in json.loads((folder / "models.json").read_text()).items():
            if run not in values:
                lines = [Progress(Kind.FAILED, message="It broke.")]
                break
            cases = {c.name: CaseFigures(str(c.label), c.key, {1: values[run]}) for c in spec.cases}
            (folder.parent / run / FROZEN_FILE).write_text(FrozenFigures(checkpoint, cases).to_text())
        lines = lines or [Progress(Kind.FINISHED)]
        (folder / "events.jsonl").write_text("".join(e.to_line() + "\n" for e in lines))
        return 1

    monkeypatch.setattr("napari_penumbra.session.judging.measure", play)
    return values


def trained(session: Session, play: Play, name: str, dice: float | None = None) -> Played:
    """A training that has just ended, seen by a session that opens the study."""
    run = play(name)
    run.checkpoint()
    if dice is not None:
        run.tell(Progress(Kind.VALIDATION, 100, 100, metrics={"dice": dice}))
    run.tell(Progress(Kind.FINISHED, 100, 100))
    run.end()
    root = session.opened().root
    session.close()
    session.open(root)
    session.wait_for_verdict(5)
    return run


def verdicts(session: Session) -> dict[str, str]:
    return {info.id: info.verdict for info in session.models()}


def freeze(session: Session, *names: str) -> None:
    for name in names:
        session.opened().set_role(name, Role.VALIDATION)


def test_another_frozen_case_means_both_are_measured_anew(
    session: Session, play: Play, measured: dict[str, float]
) -> None:
    freeze(session, "p0")
    trained(session, play, "r1", 0.9)
    session.close_case("p3", cube())
    freeze(session, "p3")
    measured |= {"r1": 0.5, "r2": 0.6}
    trained(session, play, "r2", 0.6)
    assert session.opened().champion() == "r2"
    assert "Dice 0.600 on the 2 frozen cases, against the champion's 0.500: better." in verdicts(session)["r2"]
    assert {info.id: (info.dice, info.dice_words) for info in session.models()} == {
        "r1": (0.5, "measured on the 2 frozen cases"),
        "r2": (0.6, "measured on the 2 frozen cases"),
    }
    # Figures of an annotation that has changed since hold no longer.
    session.close_case("p3", cube(3))
    assert {info.dice_words for info in session.models()} == {"at the end of its training"}


@pytest.mark.parametrize(("new", "winner"), [(0.51, "r2"), (0.5, "r1"), (0.4, "r1")])
def test_only_a_better_one_takes_over(
    session: Session, play: Play, measured: dict[str, float], new: float, winner: str
) -> None:
    freeze(session, "p0")
    trained(session, play, "r1")  # was never validated: it has to be measured
    measured |= {"r1": 0.5, "r2": new}
    trained(session, play, "r2", 0.99)
    assert session.opened().champion() == winner
    assert list(session.opened().layout.runs.glob(".measure-*")) == []


def test_a_case_that_one_has_learnt_from_does_not_count(
    session: Session, play: Play, measured: dict[str, float]
) -> None:
    trained(session, play, "r1")  # knows p0 to p2
    session.close_case("p3", cube())
    freeze(session, "p0", "p3")
    measured |= {"r1": 0.5, "r2": 0.6}
    trained(session, play, "r2")
    assert "on the frozen case (1 more left out: one of the two has learnt from them)" in verdicts(session)["r2"]
    session.opened().set_role("p3", Role.TRAINING)
    session.make_champion("r1")
    trained(session, play, "r3")
    assert "learnt from every frozen case" in verdicts(session)["r3"]
    assert session.opened().champion() == "r3"


def test_a_model_inherits_what_its_parent_has_learnt(session: Session, play: Play) -> None:
    trained(session, play, "r1")
    study = session.opened()
    spec = RunSpec(
        "train", tuple(study.modalities), study.labels, (), "mean-teacher", "laptop", checkpoint="runs/r1/checkpoints/x"
    )
    play("r2", spec=spec).checkpoint()
    assert champion.taught_by(session._job("r2")) == {"p0", "p1", "p2"}
    info = session.model("r2")
    assert (info.parent, info.labelled) == ("r1", 0)
    assert session.cases_behind("r2") == 3
    assert {(one.run, one.role) for one in session.learnt_from("p1")} == {("r1", "labelled"), ("r2", "labelled")}
    session.make_champion("r2")
    assert session.champion_before("p1") is None, "the one before has learnt from it as well"
    assert session.start_warning("r2") == ""
    freeze(session, "p1", "p2")
    assert "has learnt from p1, p2, which are frozen now" in session.start_warning("r2")


def test_the_verdict_waits_while_something_runs(
    session: Session, play: Play, measured: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze(session, "p0")
    trained(session, play, "r1")
    measured |= {"r1": 0.5, "r2": 0.6}
    going = play("r3")
    trained(session, play, "r2")
    assert session.measuring
    assert session.opened().champion() == "r1"
    going.tell(Progress(Kind.FAILED, message="It broke."))
    end = time.monotonic() + 10
    while session.measuring:
        session.poll()
        assert time.monotonic() < end
    assert session.opened().champion() == "r2"


def test_what_cannot_be_measured_does_not_take_over(session: Session, play: Play, measured: dict[str, float]) -> None:
    freeze(session, "p0")
    trained(session, play, "r1")
    trained(session, play, "r2")
    assert session.opened().champion() == "r1"
    assert verdicts(session)["r2"] == "It could not be compared with the champion. It broke."


def test_without_a_frozen_case_the_newer_takes_over_and_says_so(session: Session, play: Play) -> None:
    trained(session, play, "r1")
    trained(session, play, "r2")
    assert session.opened().champion() == "r2"
    assert "No case is frozen" in verdicts(session)["r2"]
    assert not session.compare_models()


def test_the_reader_overrules_keeps_and_rolls_back(session: Session, play: Play) -> None:
    heard: list[int] = []
    session.models_changed.connect(lambda: heard.append(1))
    for name in ("r1", "r2", "r3"):
        trained(session, play, name)
    assert session.roll_back() == "r2"
    assert session.roll_back() == "r1"
    assert session.why_not_roll_back()
    with pytest.raises(UsageError, match="No other model"):
        session.roll_back()
    assert session.make_champion("r3") == "r1"
    assert session.roll_back() == "r1"
    session.keep_champion(True)
    trained(session, play, "r4")
    assert session.opened().champion() == session.kept == "r1"
    assert "You keep the champion" in verdicts(session)["r4"]
    assert session.make_champion("r4") == "r1"
    assert session.kept == "", "who is made champion is not overruled by an older wish"
    session.keep_champion(True)
    session.keep_champion(False)
    trained(session, play, "r5")
    assert session.opened().champion() == "r5"
    assert len(heard) >= 7


def test_models_are_found_by_a_part_of_their_name(session: Session, play: Play) -> None:
    trained(session, play, "20261121-supervised-aaaa")
    trained(session, play, "20261122-supervised-bbbb")
    assert session.model("bbbb").id == session.model("champion").id == "20261122-supervised-bbbb"
    assert session.model("20261121").id.endswith("aaaa")
    for name in ("2026", "zzz", ""):
        with pytest.raises(UsageError, match="There is no model"):
            session.model(name)


def test_a_registry_tells_pool_method_and_steps(session: Session, play: Play) -> None:
    freeze(session, "p0")
    trained(session, play, "r1", 0.7)
    (info,) = session.models()
    assert (info.labelled, info.unlabelled, info.frozen) == (2, 3, 1)
    assert info.cases == {"labelled": ("p1", "p2"), "unlabelled": ("p3", "p4", "p5"), "frozen": ("p0",)}
    assert (info.method, info.preset, info.step, info.steps, info.origin) == (
        *("mean-teacher", "laptop", 100, 100),
        "trained",
    )
    assert (info.dice, info.champion, info.kept, info.pool_words) == (0.7, True, False, "2 labelled + 3 unlabelled")


@pytest.mark.timeout(120)
def test_models_of_different_methods_and_grids_are_measured_by_one_process(session: Session) -> None:
    """A champion whose class 1 is everywhere, and challengers that find nothing, or half of it; real predictions."""
    pytest.importorskip("torch")
    from model_study import make_model

    freeze(session, "p0", "p1")
    make_model(session, "20261121-120000-supervised-aaaa", bias=0.0)
    session.opened().set_champion("20261121-120000-supervised-aaaa")
    make_model(session, "20261121-130000-mean-teacher-bbbb", "mean-teacher", seed=9, bias=40.0)
    root = session.opened().root
    session.close()
    session.open(root)
    assert session.measuring
    began = time.monotonic()
    while session.measuring:
        session.poll()
        assert "Comparing the new model" in session.status or not session.measuring
        assert time.monotonic() < began + 100, session.status
        time.sleep(0.05)
    found = {info.method: info for info in session.models()}
    assert all(info.dice is not None and info.dice_words == "measured on the 2 frozen cases" for info in found.values())
    # Everything is class 1: Dice 2n / (n + all) of the lesion, and 1 for the core that neither has.
    n, size = 48, 10 * 9 * 8
    assert found["mean-teacher"].dice == pytest.approx((2 * n / (n + size) + 1) / 2)
    assert ("better" in found["mean-teacher"].verdict) == found["mean-teacher"].champion
