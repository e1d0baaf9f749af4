"""Check before use in napari's real window: found, looked at, put right with the mouse, undone; the files on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_penumbra.domain.case import Role
from napari_penumbra.imaging.files import read_image
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.study.samples import make_sample_study
from napari_penumbra.study.store import Study

SHOTS = os.environ.get("PENUMBRA_SHOTS")


@pytest.fixture
def spoiled(tmp_path: Path) -> Path:
    """Three cases: T2 of the second lies 15 mm away, that of the third is empty."""
    root = make_sample_study(tmp_path / "study", 3, 1, modalities=("DWI", "T2"))
    with Study.open(root) as study:
        for name, spoil in (("stroke-002", lambda a: np.roll(a, 5, 2)), ("stroke-003", np.zeros_like)):
            path = study.layout.images(name) / "T2.nii.gz"
            write_nifti(path, spoil(np.array(read_image(path).volume.data)), study.grid(name))
    return root


def digests(root: Path) -> dict[Path, str]:
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("images/*.nii.gz")}


def choose(walk: Walkthrough, case: str) -> None:
    """Click a finding in the list."""
    listed = walk.find("check_findings")
    row = next(n for n in range(listed.count()) if case in listed.item(n).text())
    at = listed.visualItemRect(listed.item(row)).center()
    QTest.mouseClick(listed.viewport(), Qt.MouseButton.LeftButton, pos=at)
    walk.settle()


def shot(walk: Walkthrough, name: str) -> None:
    if SHOTS:
        walk.settle(300)
        walk.viewer.window.screenshot(f"{SHOTS}/{name}.png", canvas_only=False, flash=False)


def test_a_finding_is_put_right_with_the_mouse_and_undone(
    make_napari_viewer: Callable[..., Any], spoiled: Path
) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    walk = Walkthrough(viewer)
    walk.open_study(spoiled)
    walk.open_case("stroke-002")
    wrong = np.array(viewer.layers["stroke-002 · T2"].data)
    before = digests(spoiled)
    walk.page("study")
    walk.click("check_cases")
    listed, words = walk.find("check_findings"), walk.find("check_summary")
    walk.wait("the check", lambda: "checked" in words.text(), 60)
    assert words.text() == "3 cases checked: 1 wrong, 1 to look at."
    assert "stroke-003" in listed.item(0).text()
    choose(walk, "stroke-002")
    picture = walk.find("check_picture")
    walk.wait("its picture", lambda: not picture.pixmap().isNull() and picture.isVisible(), 20)
    shot(walk, "finding")

    walk.click("check_fix_register")  # shown first, counts only after a yes
    walk.wait("the registration", lambda: walk.find("check_proposal").isVisible(), 60)
    assert "mm" in walk.find("check_proposed").text()
    shot(walk, "proposal")
    assert walk.widget.session.fixes("stroke-002") == []
    walk.click("check_use")
    walk.wait("the second check", lambda: words.text() == "3 cases checked: 1 wrong.", 60)
    shot(walk, "fixed")
    assert {p: d for p, d in digests(spoiled).items() if p in before} == before
    fixed = spoiled / "cases" / "stroke-002" / "images" / "T2.fixed-1.nii.gz"
    shown = np.array(viewer.layers["stroke-002 · T2"].data)
    assert np.allclose(shown, read_image(fixed).volume.data)
    assert not np.allclose(shown, wrong)

    walk.click("check_undo")
    walk.wait("the third check", lambda: words.text() == "3 cases checked: 1 wrong, 1 to look at.", 60)
    assert np.array_equal(np.array(viewer.layers["stroke-002 · T2"].data), wrong)
    assert {p: d for p, d in digests(spoiled).items() if p in before} == before

    choose(walk, "stroke-002")
    walk.click("check_fix_register")
    walk.wait("the registration", lambda: walk.find("check_proposal").isVisible(), 60)
    walk.click("check_refuse")
    assert walk.widget.session.fixes("stroke-002") == []
    choose(walk, "stroke-003")
    walk.click("check_fix_aside")
    walk.wait("the case to be set aside", lambda: words.text() == "2 cases checked: 1 to look at.", 60)
    assert walk.widget.session.opened().case("stroke-003").role is Role.ASIDE
    walk.click("check_back")
    assert walk.find("case_table").isVisible()
    shot(walk, "back")
