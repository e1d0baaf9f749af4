"""Compare, a blind second reading and its consensus in napari's real window, by mouse and keys; files and database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from desk_study import SHAPE, ask, digests, lesion, make, on_disk
from qtpy.QtCore import Qt

from napari_penumbra.domain.case import CaseState
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.session import reader_name

SECOND = np.roll(lesion(), 2, axis=1)
"""What the second reader draws."""


@pytest.fixture
def walk(shown_viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Walkthrough]:
    monkeypatch.setattr(reader_name, "file_of_name", lambda: tmp_path / "reader.txt")
    made = Walkthrough(shown_viewer)
    made.open_study(make(tmp_path))
    yield made
    made.widget.shut()


def contours(walk: Walkthrough) -> list[str]:
    return [layer.name for layer in walk.viewer.layers if "—" in layer.name or "┅" in layer.name]


def ready(walk: Walkthrough) -> Any:
    compare = walk.widget.dock.review_page.folds.compare
    walk.wait("the comparison", lambda: compare.result is not None and not compare.busy, 30)
    return compare


def test_compare_read_again_and_agree(walk: Walkthrough) -> None:
    root = walk.widget.session.opened().root
    before = digests(root, "p001")
    walk.open_case("p001")
    walk.page("review")
    _compare(walk)
    _read_again(walk, root)
    _consensus(walk, root)
    assert before.items() <= digests(root, "p001").items()


def _compare(walk: Walkthrough) -> None:
    """J opens the fold, jumps to the largest disagreement, and on."""
    walk.press(Qt.Key.Key_J)
    compare = ready(walk)
    walk.wait("the first place", lambda: compare.current == 0, 10)
    assert contours(walk) == ["p001 · — on screen", f"p001 · ┅ {compare.names()[1]}"]
    assert "champion" in compare.names()[1]
    table = walk.find("compare_table")
    assert table.topLevelItem(0).text(1) == f"{compare.result.classes[0].scores.dice:.2f}"
    sizes = [place.region.ml for place in compare.places]
    assert sizes == sorted(sizes, reverse=True)
    for n in (0, 1):
        assert compare.current == n
        z = walk.viewer.dims.current_step[0]
        low, high = (corner[0] for corner in compare.places[n].region.box)
        assert low <= z < high
        walk.press(Qt.Key.Key_J)

    # One click takes the other's version of a place, Ctrl+Z brings mine back.
    compare.go(0)
    region, labels = compare.places[0].region, walk.widget.bridge.labels()
    mine = labels.copy()
    walk.click("take_second")
    assert (labels[region.slices][region.mask] == compare.places[0].second).all()
    walk.press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    np.testing.assert_array_equal(walk.widget.bridge.labels(), mine)

    # Putting the contours away and drawing them again leaves the reader on the slice.
    place = walk.viewer.dims.current_step
    walk.find("compare_contours").click()
    walk.find("compare_contours").click()
    assert contours(walk)
    assert walk.viewer.dims.current_step == place

    # In 3D there are no slices to draw lines on: the box says so.
    box = walk.find("compare_contours")
    walk.viewer.dims.ndisplay = 3
    assert not box.isEnabled()
    assert "in slices only" in box.text()
    assert "2D/3D" in box.toolTip()
    walk.viewer.dims.ndisplay = 2
    assert box.isEnabled()
    assert box.text() == "Contours"

    # Method against method: the champion against the one before.
    choices = {choice.short: choice.key for choice in compare.choices()}
    old = next(key for short, key in choices.items() if "before" in short)
    new = next(key for short, key in choices.items() if short.startswith("★"))
    second = walk.find("compare_second")
    second.setCurrentIndex(second.findData(old))
    first = walk.find("compare_first")
    first.setCurrentIndex(first.findData(new))
    first.activated.emit(first.currentIndex())
    ready(walk)
    assert compare.pair == (new, old)
    assert compare.result.classes[0].scores.dice < 1
    compare.cases.save()
    walk.widget.dock.review_page.folds.compare_fold.collapse(animate=False)
    assert not contours(walk)


def _read_again(walk: Walkthrough, root: Path) -> None:
    folds = walk.widget.dock.review_page.folds
    annotations = ask(root, "SELECT path, closing, withdrawn FROM annotation")
    first = walk.widget.bridge.labels().copy()
    folds.readers_fold.expand(animate=False)
    walk.settle(200)
    walk.click("read_again")
    # Blind: an empty labels layer, no prediction, no confidence, nothing to compare.
    walk.widget.bridge.finish_showing()
    names = [layer.name for layer in walk.viewer.layers]
    assert names == ["p001 · DWI", "p001 · labels"]
    assert not walk.widget.bridge.labels().any()
    assert "Blind" in walk.find("reading_bar_words").text()
    walk.drag([(5, 4, 4), (5, 4, 10)], 1)  # a real stroke of the mouse, journalled for this reader alone
    assert list((root / "cases/p001/readings").rglob("strokes.bin"))
    assert not (root / "cases/p001/journal/strokes.bin").exists()
    walk.press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    walk.paint(SECOND)
    walk.press(Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    ((path, reader, closing),) = ask(root, "SELECT path, reader, closing FROM reading WHERE closing = 'complete'")
    assert (reader, closing) == ("reader 2", "complete")
    np.testing.assert_array_equal(on_disk(root, path), SECOND)
    assert ask(root, "SELECT path, closing, withdrawn FROM annotation") == annotations
    walk.click("leave_reading")
    np.testing.assert_array_equal(walk.widget.bridge.labels(), first)
    compare = ready(walk)
    assert [choice.short for choice in compare.choices() if choice.key == compare.pair[1]] == ["reader 2"]


def _consensus(walk: Walkthrough, root: Path) -> None:
    folds = walk.widget.dock.review_page.folds
    compare = folds.compare
    first = walk.widget.bridge.labels().copy()
    folds.readers_fold.expand(animate=False)
    walk.settle(200)
    walk.click("make_consensus")
    walk.wait("the consensus", lambda: compare.resolving, 30)
    ready(walk)
    walk.wait("the first place", lambda: compare.current == 0, 10)
    labels = walk.widget.bridge.labels()
    np.testing.assert_array_equal(labels == 255, first != SECOND)
    ((how, rule, parents, path),) = ask(
        root,
        "SELECT how, rule, parents, path FROM provenance JOIN annotation ON annotation.id = annotation_id",
    )
    assert (how, rule, len(json.loads(parents))) == ("consensus", "agree", 2)
    np.testing.assert_array_equal(on_disk(root, path), labels)

    # By the keys of the review: take it, drop it, leave it open, undo, and take the rest.
    places = compare.places
    for key in (Qt.Key.Key_A, Qt.Key.Key_X, Qt.Key.Key_U):
        walk.press(key)
    for place, value in zip(places, (places[0].first or places[0].second, 0, 255), strict=False):
        assert (labels[place.region.slices][place.region.mask] == value).all()
    walk.click("undo_decision")
    assert compare.current == 2
    while compare.unsettled():
        walk.press(Qt.Key.Key_A)
    walk.press(Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    study = walk.widget.session.opened()
    assert study.case("p001").state is CaseState.ANNOTATED
    final = on_disk(root, study.annotations("p001")[-1].path.as_posix())
    np.testing.assert_array_equal(final, walk.widget.bridge.labels())
    assert 255 not in final
    assert final.shape == SHAPE
    dropped = places[1].region
    assert not final[dropped.slices][dropped.mask].any()
