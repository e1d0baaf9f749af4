"""A real study with a few small cases, and a guard against widgets left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from array_canvas import SCHEME, ArrayCanvas, fill
from qtpy.QtWidgets import QApplication

from napari_penumbra.session import Session
from napari_penumbra.widgets import worker_thread


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session()
    session.auto_predict = False
    yield session
    session.close()


@pytest.fixture
def study(session: Session, tmp_path: Path) -> Session:
    """The session with an open study of four cases, the first one labelled."""
    session.create(tmp_path / "study", "Stroke cohort", ["DWI", "T2"], SCHEME)
    scans = tmp_path / "scans"
    scans.mkdir()
    fill(session, scans)
    return session


@pytest.fixture
def canvas(session: Session) -> ArrayCanvas:
    return ArrayCanvas(session)


@pytest.fixture(autouse=True)
def _nothing_left_behind(qapp: QApplication) -> Iterator[None]:
    """Fail a test that leaves a top-level widget or a running thread, and say which."""
    before = {id(widget) for widget in QApplication.topLevelWidgets()}
    yield
    assert worker_thread.finish(), "a thread is still running"
    qapp.processEvents()
    left = [w for w in QApplication.topLevelWidgets() if id(w) not in before and w.isVisible()]
    names = [f"{type(w).__name__} {w.objectName()!r}" for w in left]
    for widget in left:
        widget.close()
        widget.deleteLater()
    qapp.processEvents()
    assert not names, f"left open: {', '.join(names)}"
