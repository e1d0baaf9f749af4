"""The connection to a study's SQLite file: what is let go, and when."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from napari_penumbra.study.database import Database


def _raw(session: Session) -> Any:
    return session.connection().connection.dbapi_connection


def _is_open(connection: Any) -> bool:
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


@pytest.mark.parametrize("times", [1, 2])
def test_a_question_under_way_is_answered_and_its_connection_closed(tmp_path: Path, times: int) -> None:
    db = Database(tmp_path / "study.sqlite", write=True)
    with db.read() as session:
        at_rest = _raw(session)
    asking, closed = threading.Event(), threading.Event()
    used: list[Any] = []

    def ask() -> None:
        with db.read() as session:
            used.append(_raw(session))
            asking.set()
            closed.wait(10)
            assert session.scalar(text("SELECT 7")) == 7

    thread = threading.Thread(target=ask)
    with db.read() as session:  # so that the thread's connection is another one
        assert _raw(session) is at_rest
        thread.start()
        assert asking.wait(10)
    for _ in range(times):
        db.close()
    assert not _is_open(at_rest)
    assert _is_open(used[0])
    closed.set()
    thread.join(10)
    assert not _is_open(used[0])


def test_a_question_that_comes_too_late_leaves_nothing_open(tmp_path: Path) -> None:
    db = Database(tmp_path / "study.sqlite", write=True)
    db.close()
    with db.read() as session:
        late = _raw(session)
        assert session.scalar(text("SELECT 7")) == 7
    assert not _is_open(late)
