"""History, restoring and takings back in napari's real window; nothing is ever overwritten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from desk_study import NEW, OLD, ask, digests, lesion, make, on_disk
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_penumbra.domain.case import CaseState
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.session import reader_name


@pytest.fixture
def walk(shown_viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Walkthrough]:
    monkeypatch.setattr(reader_name, "file_of_name", lambda: tmp_path / "reader.txt")
    made = Walkthrough(shown_viewer)
    made.open_study(make(tmp_path))
    yield made
    made.widget.shut()


def pick(walk: Walkthrough, *starts: str) -> None:
    """Click entries of the history, the second with Ctrl."""
    tree = walk.find("history_list")
    tree.clearSelection()
    for start in starts:
        item = next(
            tree.topLevelItem(n)
            for n in range(tree.topLevelItemCount())
            if tree.topLevelItem(n).text(1).removeprefix("● ").startswith(start)
        )
        tree.scrollToItem(item)
        walk.settle(20)
        held = Qt.KeyboardModifier.NoModifier if start == starts[0] else Qt.KeyboardModifier.ControlModifier
        at = tree.visualItemRect(item).center()
        QTest.mouseClick(tree.viewport(), Qt.MouseButton.LeftButton, held, at)
    walk.settle()


def test_look_back_restore_and_take_back(walk: Walkthrough) -> None:
    study = walk.widget.session.opened()
    root = study.root
    before = digests(root, "p001")
    walk.open_case("p001")
    _restore(walk, root)
    _take_back(walk, root)
    _from_the_list(walk)
    assert before.items() <= digests(root, "p001").items()


def _restore(walk: Walkthrough, root: Path) -> None:
    folds = walk.widget.dock.review_page.folds
    walk.drag([(2, 4, 4), (2, 4, 12)], 2)
    painted = walk.widget.bridge.labels().copy()
    assert not np.array_equal(painted, lesion())
    walk.page("review")
    folds.history_fold.expand(animate=False)
    walk.settle(200)
    walk.widget.dock.cases.save()
    walk.settle()
    pick(walk, "r1 complete", "r2 draft")
    walk.click("history_compare")
    walk.wait("the comparison", lambda: folds.compare.result is not None, 30)
    assert folds.compare.pair == ("r1", "r2")
    assert folds.compare.places

    folds.history_fold.expand(animate=False)
    walk.settle(200)
    pick(walk, "r1 complete")
    walk.click("history_restore")
    np.testing.assert_array_equal(walk.widget.bridge.labels(), lesion())
    rows = ask(root, "SELECT revision, closing, path FROM annotation WHERE case_id = 1 ORDER BY revision")
    assert [row[:2] for row in rows] == [(1, "complete"), (2, "draft"), (3, "draft")]
    np.testing.assert_array_equal(on_disk(root, rows[1][2]), painted)
    np.testing.assert_array_equal(on_disk(root, rows[2][2]), lesion())
    assert ask(root, "SELECT how, parents FROM provenance") == [("restored", '["r1"]')]
    walk.page("annotate")
    walk.press(Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert walk.widget.session.opened().case("p001").state is CaseState.ANNOTATED


def _take_back(walk: Walkthrough, root: Path) -> None:
    """From the Review page: which models learnt from it, the champion before, and back again."""
    session = walk.widget.session
    study = session.opened()
    labelled = session.counts().labelled
    walk.page("review")
    walk.click("take_back")
    assert session.counts().labelled == labelled - 1
    assert session.next_case() == "p001"  # the queue knows
    said = walk.find("taken_back_bar_words").text()
    assert "1 model has learnt from it: ★ Mean teacher" in said
    walk.click("recall_champion")
    assert study.champion() == OLD
    assert ask(root, "SELECT run_id FROM champion ORDER BY id")[-1] == (OLD,)
    walk.click("recall_champion")  # "Newer champion again"
    assert study.champion() == NEW
    walk.click("put_back")
    assert session.counts().labelled == labelled
    assert not walk.find("taken_back_bar").isVisible()
    ((closing, path),) = ask(
        root, "SELECT closing, path FROM annotation WHERE case_id = 1 ORDER BY revision DESC LIMIT 1"
    )
    assert closing == "complete"
    np.testing.assert_array_equal(on_disk(root, path), lesion())


def _from_the_list(walk: Walkthrough) -> None:
    """By right click in the list of cases, while another case is open."""
    walk.open_case("p002")
    walk.page("study")
    study = walk.widget.session.opened()
    menu = walk.widget.dock.case_menu.menu("p001")
    next(entry for entry in menu.actions() if entry.text() == "Take back").trigger()
    menu.deleteLater()
    assert study.case("p001").state is CaseState.IN_PROGRESS
    assert "p001 has left the labelled pool" in walk.find("taken_back_bar_words").text()
    walk.click("put_back")
    assert study.case("p001").state is CaseState.ANNOTATED
    assert walk.widget.bridge.case == "p002"
    events = [event.what.value for event in study.history("p001")]
    assert events[-4:] == ["taken back", "put back", "taken back", "put back"]
