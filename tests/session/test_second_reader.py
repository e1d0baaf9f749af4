"""A second reader in a session: blind, side by side, nothing of it in the pool."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from session_study import cube

from napari_penumbra.domain.case import CaseState, Closing
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.session import Session, reader_name


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_name, "file_of_name", lambda: tmp_path / "settings" / "reader.txt")
    monkeypatch.delenv(reader_name.VARIABLE, raising=False)


def test_nobody_is_named_unless_the_reader_says_so(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "erika.mustermann")
    monkeypatch.setenv("LOGNAME", "erika.mustermann")
    assert Session().reader == "reader"
    session.save("p3", cube(1))
    assert session.opened().annotations("p3")[-1].author == "reader"


def test_the_name_is_remembered() -> None:
    session = Session()
    session.set_reader("  reader   7 ")
    assert session.reader == Session().reader == "reader 7"
    session.set_reader("")
    assert Session().reader == "reader"
    with pytest.raises(UsageError, match="name"):
        session.set_reader("x" * 100)
    assert session.reader == "reader"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"x" * 5000, b"  \n"])
def test_a_damaged_setting_is_the_neutral_name(content: bytes) -> None:
    reader_name.file_of_name().parent.mkdir()
    reader_name.file_of_name().write_bytes(content)
    assert reader_name.reader_name() == "reader"


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    reader_name.remember("reader 7")
    monkeypatch.setenv(reader_name.VARIABLE, "reader 8")
    assert reader_name.reader_name() == "reader 8"


def test_a_whole_second_reading(session: Session) -> None:
    study = session.opened()
    before, pool = study.annotations("p0"), study.pool()
    session.start_reading("p0", "reader 2")
    case = session.load("p0")
    assert not case.labels.any()
    assert case.predicted is None
    assert session.row_of("p0").state is CaseState.NEW
    assert session.is_blind("p0")
    assert not session.is_blind("p1")

    session.stroke("p0", ((0, 0, 0), (1, 1, 1)), np.ones((1, 1, 1), np.uint8))
    assert len(study.journal("p0")) == 0
    assert session.load("p0").restored == 1
    assert session.save("p0", cube(3), 4.0)
    assert session.row_of("p0").state is CaseState.IN_PROGRESS
    made = session.close_case("p0", cube(3), Closing.COMPLETE, 5.0, [3, 4])
    assert made is not None
    assert (made.author, made.closing) == ("reader 2", Closing.COMPLETE)
    assert session.row_of("p0").state is CaseState.ANNOTATED
    assert (study.annotations("p0"), study.pool()) == (before, pool)
    (reading,) = session.readings("p0")
    assert (reading.reader, reading.revision) == ("reader 2", 2)

    session.stop_reading()
    np.testing.assert_array_equal(session.load("p0").labels, cube(0))
    session.save("p0", cube(1))
    assert len(study.annotations("p0")) == 1  # the draft on the closed one, as always
    assert len(session.readings("p0")) == 1


def test_opening_another_case_ends_it(session: Session) -> None:
    session.start_reading("p0", "reader 2")
    session.load("p0")
    session.load("p1")
    assert session.blind is None
    session.save("p0", cube(4))
    assert session.readings("p0") == []


def test_closing_the_study_ends_it(session: Session) -> None:
    session.start_reading("p0", "reader 2")
    session.close()
    assert session.blind is None


def test_nothing_of_the_first_reader_can_be_done_meanwhile(session: Session) -> None:
    session.start_reading("p0", "reader 2")
    session.load("p0")
    assert not session.found("p0").regions
    for forbidden in (lambda: session.accept("p0", cube(1)), lambda: session.reopen_case("p0")):
        with pytest.raises(UsageError, match="second reading"):
            forbidden()
    assert session.opened().case("p0").state is CaseState.ANNOTATED


def test_who_cannot_be_second(session: Session) -> None:
    session.save("p3", cube(1))
    for name in ("reader", "", " "):
        with pytest.raises(UsageError, match=r"name|already"):
            session.start_reading("p3", name)
        assert session.blind is None
