"""Drafts in the real window: the reader paints on while one is written, switches cases, and closes the window."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import desk_study
import numpy as np
import pytest

from napari_penumbra.domain.errors import DiskError
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.study import revisions
from napari_penumbra.study.store import Study


class Disk:
    """Holds writes back while ``go`` is not set, and fails them while ``full``."""

    def __init__(self, write: Callable[..., None]) -> None:
        self.write, self.go, self.full = write, threading.Event(), False
        self.go.set()

    def __call__(self, *arguments: Any, **options: Any) -> None:
        assert self.go.wait(30)
        if self.full:
            raise DiskError("The disk is full: it was not saved.", "Free some space and save again.")
        self.write(*arguments, **options)


def test_painting_goes_on_while_a_draft_is_written(
    make_napari_viewer: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = desk_study.make(tmp_path)
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    walk = Walkthrough(viewer)
    walk.widget.session.auto_predict = False
    walk.open_study(root)
    walk.open_case("p002")
    dock, bridge, session = walk.widget.dock, walk.widget.bridge, walk.widget.session
    disk = Disk(revisions.write_nifti)
    monkeypatch.setattr(revisions, "write_nifti", disk)
    walk.page("annotate")
    head = dock.annotate_page.head

    walk.drag([(2, 6, 6), (2, 6, 12)], 1)
    disk.go.clear()
    dock.cases.autosave()
    assert "being saved" in head.text()
    assert not bridge.dirty()
    walk.drag([(3, 6, 6), (3, 6, 12)], 2)
    dock.cases.autosave()
    assert bridge.dirty(), "one draft at a time; what came since waits for the next"
    disk.go.set()
    walk.wait("the draft", lambda: session.saving is None, 20)
    drafts = session.opened().annotations("p002")
    assert len(drafts) == 1
    assert "not saved yet" in head.text(), "what came meanwhile is not in it"
    with Study.open(root, write=False) as crashed:
        np.testing.assert_array_equal(crashed.read("p002").labels, bridge.labels())

    disk.full = True
    dock.cases.autosave()
    walk.wait("the failure", lambda: session.saving is None, 20)
    assert "disk is full" in dock.messages.words.text()
    assert "disk is full" in dock.status.text()
    assert bridge.dirty()
    assert not dock.cases.open("p001"), "on an error the shown case stays"
    assert bridge.case == "p002"
    disk.full = False

    drawn = bridge.labels().copy()
    assert dock.cases.open("p001"), "saves the case that is left while the other one is read"
    with Study.open(root, write=False) as study:
        np.testing.assert_array_equal(study.read("p002").labels, drawn)
        assert study.read("p002").restored == 0

    walk.drag([(1, 8, 8), (1, 8, 14)], 1)
    disk.go.clear()
    dock.cases.autosave()
    walk.drag([(2, 8, 8), (2, 8, 14)], 1)
    last = bridge.labels().copy()
    threading.Timer(0.3, disk.go.set).start()
    viewer.close()
    with Study.open(root) as study:
        found = study.read("p001")
        np.testing.assert_array_equal(found.labels, last)
        assert found.restored == 0, "closing the window waits for the draft and saves what came since"
