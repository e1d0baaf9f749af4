"""The sentences of the status line."""

from __future__ import annotations

import pytest

from napari_penumbra.domain.progress import Kind, Progress, RunState
from napari_penumbra.session import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (40, "40 s"),
        (360, "6 min"),
        (7500, "2 h 05 min"),
        (float("nan"), "an unknown time"),
        (float("inf"), "an unknown time"),
        (-3, "an unknown time"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_figures() -> None:
    assert words.share(0.71) == ".71"
    assert words.share(1.0) == "1.00"
    assert words.memory(1.84e9) == "1.8 GB"
    assert words.memory(5e6) == "5 MB"
    assert words.gain(0.60, 0.70) == "▼.10 under labels only"
    assert words.gain(0.70, 0.70) == "as good as labels only"


def test_a_validation_without_a_number_says_nothing() -> None:
    assert words.dice_words(None) == ""
    assert words.dice_words(Progress(Kind.VALIDATION, metrics={"dice": float("nan")})) == ""
    assert words.dice_words(Progress(Kind.VALIDATION, metrics={"dice": 0.5})) == "Dice .50"


def test_running_is_never_empty() -> None:
    assert words.running("train", "mean teacher", None, None, None) == "mean teacher · starting…"
    stage = Progress(Kind.STAGE, message="Preparing 4 labelled cases.")
    assert words.running("train", "mean teacher", stage, None, None) == "mean teacher · Preparing 4 labelled cases."


@pytest.mark.parametrize("state", [s for s in RunState if s.over])
@pytest.mark.parametrize("kind", ["train", "predict"])
@pytest.mark.parametrize("last", [None, Progress(Kind.STEP, step=3, steps=9, message="something")])
def test_every_end_has_a_sentence(state: RunState, kind: str, last: Progress | None) -> None:
    text = words.ended(kind, "Mean teacher", state, last, last, saved=True)
    assert text.startswith("Mean teacher")
    assert "  " not in text
