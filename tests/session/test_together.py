"""A session beside another reader: what it says and where it goes; the files are looked at in tests/study."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from napari_penumbra.domain.case import Closing
from napari_penumbra.domain.errors import StudyLockedError
from napari_penumbra.session import Session
from napari_penumbra.session.together import leave_team, start_team
from napari_penumbra.study.store import Study
from napari_penumbra.study.team import keeper, leases
from team_server import Reader, Server, readers, server, until

__all__ = ["readers", "server"]


@pytest.fixture
def anna(session: Session, server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setattr(keeper, "BEAT_S", 0.1)
    root = session.opened().root
    session.close()
    start_team(root, server.url)
    session.reader = "anna"
    session.open(root)
    yield session
    session.close()


def polled(session: Session, true: Callable[[], object], seconds: float = 15.0) -> None:
    def ask() -> object:
        session.poll()
        return true()

    until(ask, "the session to hear of it", seconds)


def test_beside_another_reader(anna: Session, readers: Callable[..., Reader]) -> None:
    study = anna.opened()
    heard: dict[str, list[str]] = {"case": [], "told": [], "overtaken": []}
    anna.case_changed.connect(heard["case"].append)
    anna.team_told.connect(heard["told"].append)
    anna.case_overtaken.connect(heard["overtaken"].append)
    assert anna.shared
    assert not anna.readonly
    ben = readers(study.root, "ben")

    # One at a time: what ben has is looked at, not written to, and the walk passes it by.
    ben.ask("open", "p3")
    polled(anna, lambda: not anna.free("p3"))
    assert "p3 is checked out by ben since" in anna.why_not_write("p3") or not anna.may_write("p3")
    assert {row.name: row.held[:3] for row in anna.with_holders(anna.cases())}["p3"] == "ben"
    assert anna.next_case() == "p4"
    assert anna.next_case("p2") == "p4"
    assert anna.next_case("p4", -1) == "p2"
    anna.load("p3")
    assert not anna.may_write("p3")
    with pytest.raises(StudyLockedError, match="p3 is checked out by ben"):
        anna.close_case("p3", np.ones(study.grid("p3").array_shape, np.uint8))
    assert study.annotations("p3", withdrawn=True) == []
    anna.start_reading("p3", "second")
    assert anna.may_write("p3")  # a second reading is nobody else's
    anna.stop_reading()

    # Opening another case gives the one before back, at the next poll.
    anna.load("p4")
    anna.load("p5")
    polled(anna, lambda: ben.ask("open", "p4")["other"] is None)
    assert ben.ask("open", "p5")["other"].startswith("anna since")

    # What ben saves is heard of.
    ben.ask("paint", "p4", z=0, value=1)
    ben.ask("save", "p4", closing="complete")
    polled(anna, lambda: "p4" in heard["case"])
    assert anna.opened().case("p4").state.labelled

    # Ben takes p5 over while anna's program seems dead; she saves all the same, and is told where it is.
    with study._core.db.write() as transaction:
        leases.release(transaction, leases.key_of(study._core.team.held["p5"]))
    ben.ask("open", "p5")
    polled(anna, lambda: heard["overtaken"] == ["p5"] * len(heard["overtaken"]) != [])
    labels = np.ones(study.grid("p5").array_shape, np.uint8)
    anna.close_case("p5", labels, Closing.COMPLETE)
    polled(anna, lambda: heard["told"])
    assert heard["told"] == ["ben has p5 now. What you drew is kept beside theirs as r1: see Review, History."]
    assert not anna.opened().case("p5").state.labelled
    assert not anna.may_write("p5")


@pytest.mark.slow
def test_words_while_the_server_is_away(anna: Session, server: Server) -> None:
    told: list[str] = []
    back: list[bool] = []
    anna.team_told.connect(told.append)
    anna.server_back.connect(lambda: back.append(True))
    server.stop()
    try:
        polled(anna, lambda: told)
        assert "does not answer. Go on drawing" in told[0]
        assert "does not answer" in anna.status
    finally:
        server.start()
    polled(anna, lambda: back)
    assert told[-1] == "The team's server is back."
    polled(anna, lambda: "does not answer" not in anna.status)


@pytest.mark.slow
def test_leaving_keeps_unsaved_strokes(anna: Session) -> None:
    root = anna.opened().root
    anna.load("p4")
    grid = anna.opened().grid("p4").array_shape
    anna.stroke("p4", ((0, 0, 0), (1, grid[1], grid[2])), np.ones((1, *grid[1:]), np.uint8))
    anna.close()
    left = leave_team(root)
    assert [(a.case, a.author, a.revision) for a in left.drafts] == [("p4", "anna", 1)]
    with Study.open(root) as study:
        assert study.annotations("p4") == []
        assert len(study.annotations("p4", withdrawn=True)) == 1
