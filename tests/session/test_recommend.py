"""The choice of a method: every line of the tables, what is installed, the docs, and what is read off a study."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from session_study import GRID, INFOS, cube

from napari_penumbra.domain.case import Closing, Role
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.jobs.machine import Machine
from napari_penumbra.jobs.methods_info import MethodInfo
from napari_penumbra.session import Session
from napari_penumbra.session.facts import MOST_READ, Facts, count_pieces, facts_of
from napari_penumbra.session.recommend import METHODS, PRESETS, recommend, tables_markdown

NAMES = ("mean-teacher", "col-net", "co-learning", "self-correction", "asdnet", "supervised")
ALL = [MethodInfo(n, n.title(), "", "", True, {"paper": {}, "workstation": {}, "laptop": {}}) for n in NAMES]
DESK = Machine(2, 8_000_000_000)
HEART = Facts(
    slices=44, thickness=1.25, in_plane=1.25, modalities=1, classes=1, share=0.05, pieces=1,
    labelled=4, unlabelled=56, machine=DESK,
)  # fmt: skip


def facts(**changes: object) -> Facts:
    return replace(HEART, **changes)


@pytest.mark.parametrize(
    ("changes", "method", "words"),
    [
        ({}, "co-learning", "left atrium"),
        ({"unlabelled": 0}, "supervised", "no case is unlabelled"),
        ({"labelled": 40, "unlabelled": 10}, "supervised", "nearly everything is labelled"),
        ({"labelled": 39, "unlabelled": 10}, "co-learning", ""),
        ({"slices": 1, "modalities": 3}, "self-correction", "pictures with 1 class"),
        ({"slices": 1, "classes": 5}, "asdnet", "5 classes at once"),
        ({"classes": 3, "thickness": 8.0}, "mean-teacher", "3 classes in slices 8.0 mm apart"),
        ({"classes": 3}, "asdnet", "3 classes at once"),
        ({"pieces": 3}, "mean-teacher", "in 3 pieces"),
        ({"share": 0.002}, "mean-teacher", "0.20% of the scan"),
        ({"share": 0.002, "modalities": 6, "thickness": 6.5, "in_plane": 0.96}, "mean-teacher", "brain lesions"),
        ({"modalities": 6, "thickness": 6.5, "in_plane": 0.96, "classes": 2}, "col-net", "6 modalities in slices 6.5"),
        ({"modalities": 6, "thickness": 6.5, "in_plane": 0.96}, "col-net", "published for ischemic penumbra"),
        ({"modalities": 7, "thickness": 2.0, "in_plane": 2.0, "classes": 2}, "co-learning", "compact structure"),
        ({"modalities": 7, "thickness": 2.0, "in_plane": 2.0, "slices": 15}, "mean-teacher", "asks least"),
        ({"modalities": 2}, "co-learning", ""),
        ({"thickness": 8.0}, "mean-teacher", "asks least"),
        ({"slices": 15}, "mean-teacher", "asks least"),
        ({"share": None, "pieces": None, "labelled": 0}, "mean-teacher", "nothing painted yet"),
    ],
)
def test_each_line_of_the_table(changes: dict[str, object], method: str, words: str) -> None:
    found = recommend(facts(**changes), ALL)
    assert found.method == method
    assert words in found.reason
    assert found.preset == "laptop"
    assert found.reason.endswith("no graphics card, 2 cores).")


@pytest.mark.parametrize(
    ("card", "size", "preset", "words"),
    [("", 0, "laptop", "no graphics card"), ("T400", 4e9, "laptop", "4.0 GB"), ("H200", 140e9, "workstation", "H200")],
)
def test_each_line_of_the_presets(card: str, size: float, preset: str, words: str) -> None:
    found = recommend(facts(machine=replace(DESK, card=card, card_bytes=int(size))), ALL)
    assert found.preset == preset
    assert words in found.reason


def test_only_what_is_installed_is_recommended() -> None:
    assert recommend(HEART, INFOS).method == "mean-teacher", "co-learning is not there: the next line decides"
    other = MethodInfo("my-own", "My own", "", "", True, {"tower": {}})
    found = recommend(HEART, [other])
    assert (found.method, found.preset) == ("my-own", "tower")
    with pytest.raises(UsageError, match="No method"):
        recommend(HEART, [])


def test_every_method_has_a_line_and_every_line_a_known_method() -> None:
    assert {rule.choice for rule in METHODS} == set(NAMES)
    assert {rule.choice for rule in PRESETS} <= {"paper", "workstation", "laptop"}


@given(
    st.builds(
        Facts,
        slices=st.integers(0, 300), thickness=st.floats(0.1, 20), in_plane=st.floats(0.1, 5),
        modalities=st.integers(1, 9), classes=st.integers(1, 20),
        share=st.none() | st.floats(1e-6, 1), pieces=st.none() | st.floats(1, 50),
        labelled=st.integers(0, 99), unlabelled=st.integers(0, 99),
        machine=st.builds(Machine, st.integers(1, 64), st.integers(1, 2**40), st.sampled_from(["", "H200"]),
                          st.integers(0, 2**38)),
    ),
    st.lists(st.sampled_from(ALL), min_size=1, unique_by=lambda info: info.name),
)  # fmt: skip
def test_there_is_always_an_answer_in_one_sentence(found: Facts, infos: list[MethodInfo]) -> None:
    advice = recommend(found, infos)
    assert advice.method in {info.name for info in infos}
    assert advice.preset in ("workstation", "laptop")
    assert advice.reason[0].isupper()
    assert advice.reason.endswith(".")


def test_the_page_in_the_docs_is_in_step() -> None:
    docs = Path(__file__).parents[2] / "docs"
    rendered = runpy.run_path(str(docs / "render_choosing.py"))["TEXT"]
    assert (docs / "choosing-a-method.md").read_text(encoding="utf-8") == rendered
    assert tables_markdown() in rendered


def test_facts_of_a_study(session: Session) -> None:
    found = facts_of(session.opened(), DESK)
    assert (found.slices, found.thickness, found.in_plane) == (8, 2.0, 1.5)
    assert (found.modalities, found.classes, found.labelled, found.unlabelled) == (1, 2, 3, 3)
    assert found.share == pytest.approx(48 / 720)
    assert found.pieces == 1
    assert not found.thick
    session.opened().set_role("p0", Role.VALIDATION)
    session.opened().set_role("p5", Role.VALIDATION)
    after = facts_of(session.opened(), DESK)
    assert (after.labelled, after.unlabelled) == (2, 2), "frozen cases are not looked at"


def test_facts_without_paint(session: Session) -> None:
    for name in ("p0", "p1", "p2"):
        session.reopen_case(name)
    found = facts_of(session.opened(), DESK)
    assert (found.labelled, found.share, found.pieces) == (0, None, None)
    session.close_case("p0", np.zeros(GRID.array_shape, np.uint8))
    found = facts_of(session.opened(), DESK)
    assert (found.labelled, found.share, found.pieces) == (1, None, None), "an empty label tells nothing of lesions"


def test_unknown_voxels_are_neither_foreground_nor_known(session: Session) -> None:
    labels = cube(2)
    labels[6:] = 255
    for name in ("p1", "p2"):
        session.reopen_case(name)
    session.close_case("p0", labels, Closing.COMPLETE)
    assert facts_of(session.opened(), DESK).share == pytest.approx(48 / 540)


def test_pieces_leave_specks_out_and_join_corners(tmp_path: Path) -> None:
    labels = np.zeros((12, 40, 40), np.uint8)
    labels[1:6, 1:11, 1:11] = 1
    labels[6, 11, 11] = 2  # touches by a corner: the same piece
    labels[8:11, 20:30, 20:30] = 1
    labels[11, 39, 39] = 1  # one voxel of 802: a speck
    labels[:, 39, :5] = 255
    file = tmp_path / "labels.nii.gz"
    write_nifti(file, labels, type(GRID).of((40, 40, 12), GRID.affine))
    assert count_pieces(file) == 2


def test_at_most_a_few_files_are_read(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr("napari_penumbra.session.facts.count_pieces", lambda file: read.append(file) or 1)
    for n in (3, 4, 5):
        session.close_case(f"p{n}", cube(n - 2))
    facts_of(session.opened(), DESK)
    assert len(read) == MOST_READ
    assert len(set(read)) == MOST_READ


def test_a_session_recommends(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_penumbra.session.runs.look", lambda: DESK)
    found = session.recommend()
    assert (found.method, found.preset) == ("mean-teacher", "laptop")
    assert "3 labelled and 3 unlabelled" in found.reason
