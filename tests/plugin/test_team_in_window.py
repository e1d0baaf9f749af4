"""Another reader, in a process of its own, beside napari's real window; checked in the files and on the server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from desk_study import make
from qtpy.QtWidgets import QDialog
from sqlalchemy import text

from napari_penumbra.imaging.files import read_labels
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.session import reader_name
from napari_penumbra.session.servers import file_of_servers
from napari_penumbra.session.together import team_address
from napari_penumbra.study.store import Study
from napari_penumbra.study.team import keeper
from team_server import PASSWORD, Reader, Server, readers, server

__all__ = ["readers", "server"]
SHOTS = os.environ.get("PENUMBRA_TEAM_SHOTS")


@pytest.fixture
def walk(shown_viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> Iterator[Walkthrough]:
    monkeypatch.setattr(keeper, "BEAT_S", 0.2)
    monkeypatch.setenv(reader_name.VARIABLE, "anna")
    root = make(tmp_path)
    with Study.open(root) as study:
        study.move_to_server(server.url)
    made = Walkthrough(shown_viewer)
    made.widget.session.auto_predict = False  # what runs meanwhile is another test's affair
    made.open_study(root)
    yield made
    made.widget.shut()


def shot(walk: Walkthrough, name: str) -> None:
    if SHOTS:
        walk.settle(300)
        walk.viewer.window.screenshot(f"{SHOTS}/team-{name}.png", canvas_only=False, flash=False)
        for kind in ("team_dialog", "team_view"):
            dialog = walk.widget.findChild(QDialog, kind)
            if dialog is not None:
                dialog.grab().save(f"{SHOTS}/team-{name}-dialog.png")


def test_two_readers(walk: Walkthrough, readers: Callable[..., Reader], server: Server) -> None:
    session = walk.widget.session
    study = session.opened()
    ben = readers(study.root, "ben")
    _read_only_while_another_has_it(walk, ben, study)
    _new_revisions_of_others_are_seen(walk, ben)
    _the_server_goes_and_comes(walk, server, study)
    _a_case_taken_over_while_drawing(walk, ben, study)
    _a_case_taken_back(walk, ben, study)
    assert not walk.find("message_bar").isVisible() or "⚠" not in walk.find("message_words").text()


def test_a_study_is_shared_and_joined_from_the_window(
    shown_viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    monkeypatch.setattr(keeper, "BEAT_S", 0.2)
    root = make(tmp_path)
    walk = Walkthrough(shown_viewer)
    walk.open_study(root)
    try:
        _share(walk, server)
        assert _holding(PASSWORD, root, file_of_servers().parent) == []
        assert file_of_servers().read_text().splitlines() == [server.over_network()]
        _look_at_it(walk)
        walk.widget.session.close()
        address = team_address(root)
        assert address is not None
        assert address.url == server.over_network()
        address.reach_by("")  # as in a program that was started anew
        _join(walk, root)
        _leave(walk, root)
    finally:
        walk.widget.shut()


def _look_at_it(walk: Walkthrough) -> None:
    walk.open_case("p001")
    walk.page("study")
    walk.click("team")
    _wait_for_answer(walk)
    assert "is on 127.0.0.1/postgres. 1 case checked out." in walk.find("team_head").text()
    assert not walk.find("team_take").isEnabled()
    assert "It is yours" in walk.find("team_take").toolTip()
    walk.find("team_view").reject()


def _wait_for_answer(walk: Walkthrough) -> None:
    """The server is asked in another thread."""
    walk.wait("the server's answer", lambda: walk.find("team_head").text().startswith("The index is on"), 10)


def _leave(walk: Walkthrough, root: Path) -> None:
    """Asked twice; with another reader in the study nothing is moved, and it is open as before."""
    session = walk.widget.session
    walk.click("team")
    _wait_for_answer(walk)
    with Study.open(root, reader="ben"):
        walk.click("team_leave")
        assert "Everybody else closes it first" in walk.find("team_view").messages.words.text()
        assert session.shared
        walk.click("team_leave")
        assert "The study Desk is open: ben." in walk.find("team_view").messages.words.text()
        assert session.shared
        assert not session.readonly
    walk.click("team_leave")
    walk.click("team_leave")
    walk.wait("the view to close", lambda: walk.widget.findChild(QDialog, "team_view") is None, 10)
    assert "rows were moved into the folder and compared" in walk.find("message_words").text()
    assert not session.shared
    assert not session.readonly
    assert team_address(root) is None
    assert walk.find("case_table").model().rowCount() > 0


def _fill(walk: Walkthrough, url: str, password: str) -> None:
    walk.find("team_url").lineEdit().setText(url)
    walk.find("team_password").setText(password)


def _said(walk: Walkthrough) -> str:
    return str(walk.find("team_dialog").messages.words.text())


def _share(walk: Walkthrough, server: Server) -> None:
    session = walk.widget.session
    cases = [row.name for row in session.cases()]
    walk.open_case("p001")
    walk.page("study")
    walk.click("team")
    assert not walk.find("team_go").isEnabled()
    assert "postgresql://user@host/database" in walk.find("team_missing").text()
    _fill(walk, "postgresql://reader@127.0.0.1:1/postgres", "")
    walk.click("team_go")
    assert "127.0.0.1/postgres does not answer. Check its address" in _said(walk)
    shot(walk, "share")
    assert not session.shared
    assert not session.readonly, "as it was before"
    _fill(walk, server.over_network(), "violet-kettle")
    walk.click("team_go")
    assert "does not let you in" in _said(walk)
    _fill(walk, server.over_network(), PASSWORD)
    walk.click("team_go")
    walk.wait("the dialog to close", lambda: walk.widget.findChild(QDialog, "team_dialog") is None, 10)
    assert session.shared
    assert not session.readonly
    assert [row.name for row in session.cases()] == cases
    assert "The others open this folder as before" in walk.find("message_words").text()
    shot(walk, "shared")


def _join(walk: Walkthrough, root: Path) -> None:
    session = walk.widget.session
    walk.widget.open_study(root)  # as at the start, when PENUMBRA_STUDY names it
    walk.wait("to be asked", lambda: walk.widget.findChild(QDialog, "team_dialog") is not None, 10)
    assert "does not let you in" in _said(walk)
    walk.find("team_dialog").reject()
    walk.settle()
    assert not walk.widget.dock.study_page.open_folder(root)
    assert "does not let you in" in _said(walk)
    shot(walk, "join")
    _fill(walk, walk.find("team_url").currentText(), "violet-kettle")
    walk.click("team_go")
    assert "does not let you in" in _said(walk)
    assert session.study is None
    _fill(walk, walk.find("team_url").currentText(), PASSWORD)
    walk.click("team_go")
    assert session.shared
    assert not session.readonly
    assert walk.find("case_table").model().rowCount() > 0


def _holding(words: str, *folders: Path) -> list[Path]:
    """Files that hold some words."""
    files = (file for folder in folders for file in folder.rglob("*") if file.is_file())
    return [file for file in files if words.encode() in file.read_bytes()]


def _second_lines(walk: Walkthrough) -> dict[str, str]:
    from napari_penumbra.widgets.case_model import second_line

    return {row.name: second_line(row) for row in walk.find("case_table").cases.rows}


def _read_only_while_another_has_it(walk: Walkthrough, ben: Reader, study: Study) -> None:
    assert ben.ask("open", "p003")["other"] is None
    walk.wait("the table to say so", lambda: "with ben since" in _second_lines(walk)["p003"], 20)
    shot(walk, "table")
    walk.open_case("p003")
    walk.page("annotate")
    bar, button = walk.find("team_bar"), walk.find("edit_now")
    assert bar.isVisible()
    assert "p003 is checked out by ben since" in walk.find("team_bar_words").text()
    assert not button.isEnabled()
    assert "as soon as it is given back" in button.toolTip()
    assert not walk.labels_layer.editable
    assert not walk.find("case_complete").isEnabled()
    assert "ben" in walk.find("case_complete").toolTip()
    shot(walk, "read-only")
    ben.ask("paint", "p003", z=0, value=2)
    ben.ask("save", "p003", closing="complete")
    ben.ask("give back")
    walk.wait("the case to be free", button.isEnabled, 20)
    assert "free now" in walk.find("team_bar_words").text()
    shot(walk, "free")
    walk.click("edit_now")
    assert not bar.isVisible()
    assert walk.labels_layer.editable
    assert (walk.widget.bridge.labels()[0] == 2).all()  # what ben has made of it
    assert ben.ask("open", "p003")["other"].startswith("anna since")


def _new_revisions_of_others_are_seen(walk: Walkthrough, ben: Reader) -> None:
    ben.ask("open", "p002")
    ben.ask("paint", "p002", z=1, value=1)
    ben.ask("save", "p002", closing="complete")
    walk.page("study")
    rows = walk.find("case_table").cases
    walk.wait("ben's p002", lambda: next(r for r in rows.rows if r.name == "p002").state.labelled, 20)
    ben.ask("give back")


def _the_server_goes_and_comes(walk: Walkthrough, server: Server, study: Study) -> None:
    """Drawing goes on; what is drawn is saved by itself when the server is back."""
    walk.page("annotate")
    cases = walk.widget.dock.cases
    names = [row.name for row in cases.rows()]
    server.stop()
    try:
        walk.widget.session.case_changed.emit("p002")  # what was read is old, and the pages ask before anybody knows
        row = cases.row()
        assert row is not None
        assert row.name == "p003"
        assert [row.name for row in cases.rows()] == names
        walk.wait("the loss to be said", lambda: "does not answer" in walk.find("message_words").text(), 20)
        walk.drag([(2, 4, 4), (2, 4, 12)], 1)
        painted = walk.widget.bridge.labels().copy()
        assert walk.widget.dock.cases.unsaved()
        walk.widget.dock.cases.autosave()
        walk.settle(300)
        assert walk.widget.dock.cases.unsaved()
        shot(walk, "server-gone")
    finally:
        server.start()
    walk.wait("the draft to be saved", lambda: not walk.widget.dock.cases.unsaved(), 30)
    live = study.annotations("p003")[-1]
    np.testing.assert_array_equal(read_labels(study.root / live.path).volume.data, painted)
    assert live.author == "anna"


def _a_case_taken_over_while_drawing(walk: Walkthrough, ben: Reader, study: Study) -> None:
    """As after a sleep: the check-out has gone to ben, who saves; anna's strokes are beside, and she is told."""
    walk.drag([(3, 8, 4), (3, 8, 12)], 2)
    mine = walk.widget.bridge.labels().copy()
    study._core.team._keeper.stop()  # asleep
    server_says = "UPDATE team_member SET beat = beat - interval '10 minutes' WHERE reader = 'anna'"
    with study._core.db.beside() as session:
        session.execute(text(server_says))
    assert ben.ask("open", "p003")["other"] is None
    ben.ask("paint", "p003", z=5, value=1)
    theirs = ben.ask("save", "p003")["revision"]
    team = study._core.team
    team._keeper = type(team._keeper)(study._core.db, team.member, team._keeper.seat, "anna", os.getpid())
    team._keeper.start()  # awake
    walk.wait("the banner", lambda: walk.find("team_bar").isVisible(), 20)
    assert "checked out by ben" in walk.find("team_bar_words").text()
    walk.wait("the sentence", lambda: "kept beside theirs as r" in walk.find("message_words").text(), 20)
    shot(walk, "beside")
    assert not walk.labels_layer.editable
    assert (walk.widget.bridge.labels()[5] == 1).all()
    everything = {a.revision: a for a in study.annotations("p003", withdrawn=True)}
    assert study.annotations("p003")[-1].revision == theirs
    beside = everything[max(everything)]
    assert beside.author == "anna"
    np.testing.assert_array_equal(read_labels(study.root / beside.path).volume.data, mine)


def _a_case_taken_back(walk: Walkthrough, ben: Reader, study: Study) -> None:
    """Asked twice while ben is at work; what ben has not saved is kept beside."""
    ben.ask("open", "p001")
    ben.ask("paint", "p001", z=3, value=1)
    before = len(study.annotations("p001", withdrawn=True))
    walk.page("study")
    walk.click("team")
    _wait_for_answer(walk)
    view = walk.find("team_view")
    cases = [view.table.topLevelItem(n).text(0) for n in range(view.table.topLevelItemCount())]
    view.table.setCurrentItem(view.table.topLevelItem(cases.index("p001")))
    assert "p001: 1 stroke of ben not saved yet" in walk.find("team_unsaved").text()
    walk.click("team_take")
    assert "may be drawing on p001. Ask first." in view.messages.words.text()
    assert study.checked_out()["p001"].reader == "ben"
    shot(walk, "view")
    view.take.click()  # without the pause of a walk, in which the server may have answered already
    assert not view.take.isEnabled()
    _wait_for_answer(walk)
    assert "p001" not in study.checked_out()
    assert "p001 is free. Unsaved strokes are kept beside, as the draft" in view.messages.words.text()
    assert len(study.annotations("p001", withdrawn=True)) == before + 1
    view.reject()
