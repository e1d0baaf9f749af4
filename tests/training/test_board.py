"""Files for TensorBoard: written when asked for, read back with its own reader, never in the way."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.training.board import Board
from napari_penumbra.training.worker import work
from tiny_study import make_spec, write_run

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def events_of(run: Path) -> list[Progress]:
    return [Progress.from_line(line) for line in (run / "events.jsonl").read_text().splitlines()]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_figures_can_be_read_by_tensorboard(root: Path) -> None:
    run = write_run(root, "run", make_spec(root, steps=12, tensorboard=True))
    assert work(run, "train") == 0
    read = event_accumulator.EventAccumulator(str(run / "tensorboard"))
    read.Reload()
    assert {"loss/total", "loss/cross_entropy", "dice", "labels only/dice", "seconds_per_step"} <= set(
        read.Tags()["scalars"]
    )
    told = [(e.step, pytest.approx(e.metrics["dice"])) for e in events_of(run) if "dice" in e.metrics]
    assert [(e.step, e.value) for e in read.Scalars("dice")] == told


def test_off_by_default(root: Path) -> None:
    run = write_run(root, "run", make_spec(root, "supervised", steps=2))
    assert work(run, "train") == 0
    assert not (run / "tensorboard").exists()


@pytest.mark.parametrize(
    ("error", "words"), [(ImportError("tensorboard"), "tensorboard is missing"), (OSError(28, "full"), "no longer")]
)
def test_a_run_goes_on_without_it_and_says_so_once(
    tmp_path: Path, error: Exception, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path, step: int) -> None:
        raise error

    monkeypatch.setattr("napari_penumbra.training.board._open", fail)
    heard: list[Progress] = []
    board = Board(heard.append, tmp_path)
    for step in (1, 2):
        board(Progress(Kind.STEP, step, 9, losses={"total": 1.0}))
    assert [e.kind for e in heard] == [Kind.STEP, Kind.WARNING, Kind.STEP]
    assert words in heard[1].message
    assert heard[1].remedy
