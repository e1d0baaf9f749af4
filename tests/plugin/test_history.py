"""Undo and redo of a case: what is kept, for how long, and how much memory it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_penumbra.plugin.history import CASE_BYTES, Change, History, Shelf, fingerprint

SHAPE = (6, 20, 24)


def draw(history: History, labels: Any, box: Any, value: int) -> None:
    """What a stroke does: write, then add the step."""
    place = tuple(slice(a, b) for a, b in zip(*box, strict=True))
    before = labels[place].copy()
    labels[place] = value
    history.add(box, before, labels[place])
    history.close()


@st.composite
def boxes(draw: Any) -> Any:
    low = tuple(draw(st.integers(0, n - 1)) for n in SHAPE)
    return low, tuple(draw(st.integers(a + 1, n)) for a, n in zip(low, SHAPE, strict=True))


ACTS = st.one_of(st.tuples(boxes(), st.sampled_from([0, 1, 2, 255])), st.sampled_from(["undo", "redo"]))


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTS, max_size=30))
def test_any_walk_gives_what_a_list_of_whole_volumes_gives(acts: list[Any]) -> None:
    history, labels = History(), np.zeros(SHAPE, np.uint8)
    states, at = [labels.copy()], 0
    for act in acts:
        if act == "undo":
            assert (history.undo(labels) is None) == (at == 0)
            at = max(0, at - 1)
        elif act == "redo":
            assert (history.redo(labels) is None) == (at == len(states) - 1)
            at = min(len(states) - 1, at + 1)
        else:
            draw(history, labels, *act)
            states = [*states[: at + 1], labels.copy()]
            at += 1
        np.testing.assert_array_equal(labels, states[at])
        assert history.can_undo == (at > 0)
        assert history.can_redo == (at < len(states) - 1)


def test_undo_says_where() -> None:
    history, labels = History(), np.zeros(SHAPE, np.uint8)
    for box in (((1, 2, 3), (2, 4, 6)), ((0, 5, 5), (1, 6, 6))):
        place = tuple(slice(a, b) for a, b in zip(*box, strict=True))
        history.add(box, labels[place], np.ones_like(labels[place]))
        labels[place] = 1
    history.close()
    assert history.undo(labels) == ((0, 2, 3), (2, 6, 6))
    assert not labels.any()


@pytest.mark.parametrize(
    ("shape", "most"), [((1, 9, 9), 400), ((40, 300, 300), 40_000)], ids=["a dab of the brush", "3.6 million voxels"]
)
def test_a_step_is_small(shape: tuple[int, int, int], most: int) -> None:
    change = Change.of(((0, 0, 0), shape), np.zeros(shape, np.uint8), np.ones(shape, np.uint8))
    assert change.nbytes < most


def test_memory_is_bounded_and_the_newest_step_is_kept_however_large() -> None:
    rng = np.random.default_rng(0)
    history, labels = History(limit=3000), np.zeros(SHAPE, np.uint8)
    for n in range(20):
        after = rng.integers(0, 256, SHAPE).astype(np.uint8)
        history.add(((0, 0, 0), SHAPE), labels, after)
        labels[:] = after
        history.close()
        assert history.nbytes <= 3000 or len(history) == 1, n
    assert history.undo(labels) is not None
    assert history.redo(labels) is not None
    history.clear()
    assert history.nbytes == 0
    assert CASE_BYTES == 64 * 1024 * 1024


def test_bytes_are_counted_down_again() -> None:
    history, labels = History(), np.zeros(SHAPE, np.uint8)
    draw(history, labels, ((0, 0, 0), (2, 3, 4)), 1)
    one = history.nbytes
    draw(history, labels, ((3, 0, 0), (4, 3, 4)), 1)
    history.undo(labels)
    draw(history, labels, ((0, 5, 5), (2, 8, 9)), 1)
    assert history.nbytes < 3 * one, "a step that can not be done again takes no memory"


def test_the_shelf_gives_back_only_what_fits_the_voxels() -> None:
    shelf, labels = Shelf(), np.zeros(SHAPE, np.uint8)
    history = History()
    draw(history, labels, ((0, 0, 0), (2, 3, 4)), 1)
    shelf.put("p1", history, labels)
    assert shelf.take("p2", labels) is not history
    assert shelf.take("p1", labels.copy()) is history
    shelf.put("p1", history, labels)
    other = labels.copy()
    other[5, 5, 5] = 2
    assert not shelf.take("p1", other).can_undo
    assert not shelf.take("p1", labels).can_undo, "what did not fit once is forgotten"


def test_the_shelf_forgets_the_case_left_longest_ago() -> None:
    rng = np.random.default_rng(0)
    shelf = Shelf(limit=8000)
    for name in ("p1", "p2", "p3"):
        history, labels = History(), np.zeros(SHAPE, np.uint8)
        after = rng.integers(0, 256, SHAPE).astype(np.uint8)
        history.add(((0, 0, 0), SHAPE), labels, after)
        history.close()
        shelf.put(name, history, after)
        last = after
    assert shelf.take("p3", last).can_undo
    assert set(shelf._kept) == {"p2"}


def test_a_fingerprint_knows_shape_and_every_voxel() -> None:
    labels = np.zeros(SHAPE, np.uint8)
    assert fingerprint(labels) == fingerprint(labels.copy())
    assert fingerprint(labels) != fingerprint(labels.reshape(SHAPE[::-1]))
    labels[5, 19, 23] = 1
    assert fingerprint(labels) != fingerprint(np.zeros(SHAPE, np.uint8))
