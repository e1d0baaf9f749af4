"""Two readers in two processes on one study with a real server: nothing that either has drawn is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from study_scans import SHAPE, ball, draft, scan

from napari_penumbra.domain.case import Closing
from napari_penumbra.domain.errors import StudyLockedError
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.study.history import What
from napari_penumbra.study.layout import Layout
from napari_penumbra.study.store import Study
from napari_penumbra.study.team import keeper, leases
from napari_penumbra.study.team.errors import ServerGoneError
from team_server import Reader, Server, readers, server, until

__all__ = ["readers", "server"]
Start = Callable[..., Reader]


@pytest.fixture
def shared(study: Study, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(keeper, "BEAT_S", 0.2)
    study.move_to_server(server.url)
    study.close()
    return study.root


@pytest.fixture
def anna(shared: Path) -> Iterator[Study]:
    with Study.open(shared, reader="anna") as made:
        yield made


def whole(study: Study, name: str) -> dict[int, np.ndarray]:
    """All revisions of a case, read from their files."""
    rows = study.annotations(name, withdrawn=True)
    assert len({row.path for row in rows}) == len(rows)
    return {row.revision: read_labels(study.root / row.path).volume.data for row in rows}


@pytest.mark.slow
def test_a_case_is_with_one_reader_at_a_time(anna: Study, readers: Start) -> None:
    ben = readers(anna.root, "ben")
    assert ben.ask("open", "p0")["other"] is None
    other = anna.check_out("p0")
    assert other is not None
    assert str(other).startswith("ben since ")
    assert until(lambda: "p0 is checked out by ben since" in anna.why_not_write("p0"), "the heartbeat")
    assert anna.read("p0").labels.sum() == 0
    # Meanwhile another case goes on, and each sees what the other does within seconds.
    assert anna.check_out("p1") is None
    anna.read("p1")
    draft(anna, "p1", ball(), closing=Closing.COMPLETE)
    told = until(lambda: [n for n in [ben.ask("news")] if "p1" in n["cases"]], "ben to hear of p1")[0]
    assert told["holders"] == {"p1": "anna"}
    assert ben.ask("open", "p1")["other"].startswith("anna since ")
    # Given back, it is free for the next one who asks.
    ben.ask("give back")
    until(lambda: anna.free("p0"), "p0 to be free")
    assert anna.check_out("p0") is None
    assert anna.why_not_write("p0") == ""


@pytest.mark.slow
def test_changes_to_a_case_of_another_are_refused(anna: Study, readers: Start) -> None:
    draft(anna, "p0", ball(), closing=Closing.COMPLETE)
    draft(anna, "p0", ball(2), closing=Closing.COMPLETE)
    anna.give_back()
    ben = readers(anna.root, "ben")
    assert ben.ask("open", "p0")["other"] is None
    for change in (
        lambda: anna.withdraw("p0"),
        lambda: anna.restore("p0", "r1", "anna"),
        lambda: anna.save_consensus("p0", ball(1), "anna", ["r1", "r2"], "majority"),
    ):
        with pytest.raises(StudyLockedError, match="p0 is checked out by ben since"):
            change()
    assert [a.revision for a in anna.annotations("p0", withdrawn=True)] == [1, 2]
    ben.ask("give back")
    assert anna.withdraw("p0") is not None


def test_a_reader_whose_laptop_slept_saves_beside(anna: Study, readers: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both drew on what was there, both saved, both are in the history, and the one who slept is told."""
    monkeypatch.setattr(leases, "EXPIRE_S", 1.0)
    draft(anna, "p0", ball())
    anna.give_back()
    ben = readers(anna.root, "ben")
    assert ben.ask("open", "p0")["sum"] == ball().sum()
    ben.ask("paint", "p0", z=0, value=2)
    ben.sleep()
    until(lambda: anna.check_out("p0") is None, "ben's check-out to expire")
    labels = anna.read("p0").labels
    assert labels.sum() == ball().sum()  # not ben's strokes: nobody has asked for them
    labels[5] = 1
    draft(anna, "p0", labels)
    ben.wake()
    ben.ask("paint", "p0", z=1, value=2)
    assert ben.ask("save", "p0", closing="complete") == {"revision": 3, "beside": 3}
    files = whole(anna, "p0")
    assert (files[3][:2] == 2).all()
    assert (files[3][5] == 0).all()
    assert (files[2][5] == 1).all()
    assert (files[2][0] == 0).all()
    live = anna.annotations("p0")
    assert (live[-1].revision, live[-1].closing) == (2, Closing.DRAFT)
    event = anna.history("p0")[-1]
    assert (event.what, event.key, event.who, event.current) == (What.BESIDE, "r3", "ben", False)
    assert event.words == "drawn on r1 while anna had the case"
    # What was saved beside goes on beside, and can be taken for the case's own.
    ben.ask("paint", "p0", z=2, value=2)
    assert ben.ask("save", "p0") == {"revision": 4, "beside": 4}
    restored = anna.restore("p0", "r4", "anna")
    assert restored is not None
    assert (anna.read("p0").labels[:3] == 2).all()
    ben.leave()


@pytest.mark.slow
def test_saved_by_another_without_a_check_out_in_between(anna: Study, readers: Start) -> None:
    """Ben gave the case up without knowing (released by hand), and anna has come and gone since."""
    ben = readers(anna.root, "ben")
    ben.ask("open", "p0")
    ben.ask("paint", "p0", z=0, value=1)
    before, kept = anna.release_case("p0")
    assert before is not None
    assert before.reader == "ben"
    assert [a.author for a in kept] == ["ben"]  # his unsaved stroke is a draft already
    assert anna.check_out("p0") is None
    draft(anna, "p0", ball(2))
    anna.give_back()
    ben.ask("paint", "p0", z=1, value=1)
    assert ben.ask("save", "p0")["beside"] == 3
    files = whole(anna, "p0")
    assert (files[1][0] == 1).all()
    np.testing.assert_array_equal(files[2], ball(2))
    assert (files[3][:2] == 1).all()


def test_both_save_at_the_same_moment(anna: Study, readers: Start) -> None:
    """Revisions of one case from two processes at once: as many files as were reported, none written over."""
    ben, cleo = readers(anna.root, "ben"), readers(anna.root, "cleo")
    for reader in (ben, cleo):
        reader.ask("open", "p0")
    seen: dict[str, list[int]] = {"ben": [], "cleo": []}
    for n in range(8):
        for reader, value in ((ben, 1), (cleo, 2)):
            reader.ask("paint", "p0", z=n % SHAPE[0], value=value if n < SHAPE[0] else 3 - value)
        for reader in (ben, cleo):
            reader.say("save", "p0")
        for name, reader in (("ben", ben), ("cleo", cleo)):
            answer = reader.answer()
            assert isinstance(answer.get("revision"), int), answer
            seen[name].append(answer["revision"])
    assert sorted(seen["ben"] + seen["cleo"]) == list(range(1, 17))
    files = whole(anna, "p0")
    assert len(files) == 16
    for name in seen:
        mine = 1 if name == "ben" else 2
        for n, revision in enumerate(seen[name]):
            slices = [3 - mine if z <= n - SHAPE[0] else mine if z <= n else 0 for z in range(SHAPE[0])]
            assert files[revision].max(axis=(1, 2)).tolist() == slices
    authors = {a.revision: a.author for a in anna.annotations("p0", withdrawn=True)}
    assert all(authors[r] == name for name, revisions in seen.items() for r in revisions)
    # Only the one who had the case is in its own line.
    assert {a.author for a in anna.annotations("p0")} == {"ben"}


@pytest.mark.slow
def test_strokes_of_a_crash_come_back_or_are_kept_beside(
    anna: Study, readers: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    ben = readers(anna.root, "ben")
    for name in ("p0", "p1"):
        ben.ask("open", name)
        ben.ask("paint", name, z=0, value=1)
    ben.kill()
    again = readers(anna.root, "ben")  # at once: the dead program's check-outs are recognised by its process
    assert (again.ask("open", "p0")["sum"]) == SHAPE[1] * SHAPE[2]
    assert again.ask("save", "p0")["revision"] == 1
    again.kill()
    monkeypatch.setattr(leases, "EXPIRE_S", 0.5)
    assert [(u.case, u.reader, u.strokes) for u in anna.unsaved()] == [("p1", "ben", 1)]
    until(lambda: anna.check_out("p1") is None, "ben to expire")
    assert anna.read("p1").labels.sum() == 0
    draft(anna, "p1", ball(2))
    anna.give_back()
    third = readers(anna.root, "ben")
    assert third.ask("open", "p1")["sum"] == ball(2).sum()  # anna's work, not mixed with his
    files = whole(anna, "p1")
    assert (files[2][0] == 1).all()
    assert anna.unsaved() == []
    assert anna.history("p1")[-1].words == "drawn on nothing while ann had the case"


def test_the_server_goes_while_somebody_draws(anna: Study, server: Server) -> None:
    assert anna.check_out("p0") is None
    labels = anna.read("p0").labels
    server.stop()
    try:
        with pytest.raises(ServerGoneError):
            anna.case("p0")  # whoever notices it first, the news tell it
        assert anna.server_gone
        until(lambda: anna.news().gone, "the loss to be told")
        labels[0] = 1
        anna.stroke("p0", ((0, 0, 0), (1, *SHAPE[1:])), labels[:1])
        assert len(anna.journal("p0")) == 1
        with pytest.raises(ServerGoneError, match="does not answer") as caught:
            draft(anna, "p0", labels)
        assert "Go on drawing" in caught.value.remedy
        assert anna.why_not_write("p0") == ""
        assert not anna.news().gone, "once is enough"
    finally:
        server.start()
    until(lambda: anna.news().back, "the server to be back")
    saved = draft(anna, "p0", labels)
    assert saved is not None
    assert saved.revision == 1
    assert len(anna.journal("p0")) == 0
    np.testing.assert_array_equal(whole(anna, "p0")[1], labels)


@pytest.mark.slow
def test_cases_are_added_by_one_at_a_time(anna: Study, readers: Start, files: Path) -> None:
    ben, cleo = readers(anna.root, "ben"), readers(anna.root, "cleo")
    for n, reader in enumerate((ben, cleo)):
        reader.say("add", "same name", closing=str(scan(files / f"new-{n}.nii", seed=20 + n)))
    answers = [ben.answer(), cleo.answer()]
    said = [a["error"] for a in answers if a]
    assert len(said) == 1
    assert "already has a case" in said[0] or "are being added by" in said[0]
    assert [row.name for row in anna.cases()].count("same name") == 1
    assert not list(Layout(anna.root).cases.glob(".adding-*"))
    assert anna.read("same name").images["DWI"].any()


def test_sweeping_leaves_alone_what_others_may_be_writing(shared: Path) -> None:
    folder = Layout(shared).annotations("p0")
    folder.mkdir(exist_ok=True)
    (folder / "r0001-other.nii.gz").write_bytes(b"half")
    Layout(shared).staging("p7").mkdir()
    with Study.open(shared) as study:
        study._core.team.unclean = True
        from napari_penumbra.study.sweep import sweep

        assert sweep(study._core, thorough=True) == []
    assert (folder / "r0001-other.nii.gz").exists()
    assert Layout(shared).staging("p7").exists()
