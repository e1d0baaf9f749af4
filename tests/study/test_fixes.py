"""Putting cases right, and taking that back: files that were there are never touched."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from checked_study import SPOILED, astray, name_of, shifted_grid, values, write

from napari_penumbra.domain.case import Role
from napari_penumbra.domain.errors import DiskError, GeometryError, PenumbraError, StudyError, UsageError
from napari_penumbra.study import fixes, fixing
from napari_penumbra.study.checks import Offer
from napari_penumbra.study.store import Study


def digests(study: Study) -> dict[str, str]:
    """Content of every file that the study had before anything was fixed."""
    return {
        study.layout.relative(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(study.layout.cases.rglob("*.nii.gz"))
    }


def rows(study: Study, n: int) -> object:
    name = name_of(n)
    spec = next((c for c in study.pool() if c.name == name), None)
    return spec, study.case(name).role, study.case(name).missing


@pytest.mark.parametrize(
    "what",
    [
        "astray",
        "swapped",
        "grid",
        "gone",
        *(pytest.param(what, marks=pytest.mark.slow) for what in ("constant", "mirrored", "cut off", "twice")),
    ],
)
def test_the_first_offer_puts_it_right_and_undo_brings_everything_back(heads: Study, what: str) -> None:
    SPOILED[what][0](heads, 2)
    files, before = digests(heads), rows(heads, 2)
    (finding,) = list(heads.check())[-1].findings
    done = heads.apply_fix(heads.prepare_fix(finding.case, finding.offers[0]), "ann")
    left = [f for f in list(heads.check())[-1].findings if f.check != "modalities"]
    assert left == []
    assert rows(heads, 2) != before
    assert {p: d for p, d in digests(heads).items() if p in files} == files
    assert heads.read(name_of(2)).images
    assert [(f.words, f.author, f.undone) for f in heads.fixes(name_of(2))] == [(done.words, "ann", None)]
    heads.undo_fix(name_of(2))
    assert rows(heads, 2) == before
    assert {p: d for p, d in digests(heads).items() if p in files} == files
    assert heads.fixes(name_of(2))[0].undone is not None
    assert [f.check for f in list(heads.check())[-1].findings] == [finding.check]


def test_registration_is_noted_in_millimetres_and_brings_the_scan_home(heads: Study) -> None:
    still = values(heads, 2, "T2").astype(np.float32)
    astray(heads, 2)
    worse = np.abs(values(heads, 2, "T2") - still).mean()
    prepared = heads.prepare_fix(name_of(2), Offer("register", "T2"))
    assert rows(heads, 2) == rows(heads, 2)
    picture = heads.before_and_after(prepared)
    assert picture is not None
    heads.apply_fix(prepared)
    record = json.loads((heads.layout.fixes(name_of(2)) / "0001.json").read_text())
    assert 5 < record["facts"]["shift_mm"] < 16
    assert record["facts"]["degrees"] == pytest.approx(9, abs=2)
    assert np.array(record["facts"]["matrix"]).shape == (4, 4)
    assert np.abs(heads.read(name_of(2)).images["T2"] - still).mean() < 0.5 * worse


def test_a_refused_fix_leaves_nothing(heads: Study) -> None:
    astray(heads, 2)
    files = digests(heads)
    heads.discard_fix(heads.prepare_fix(name_of(2), Offer("register", "T2")))
    assert digests(heads) == files
    assert heads.fixes(name_of(2)) == []


def test_a_case_set_aside_teaches_nothing_and_comes_back_as_what_it_was(heads: Study) -> None:
    heads.set_role(name_of(0), Role.VALIDATION)
    counted = heads.counts()
    heads.apply_fix(heads.prepare_fix(name_of(0), Offer("aside")))
    assert name_of(0) not in [c.name for c in heads.pool()]
    assert (counted.validation, heads.counts().validation) == (1, 0)
    assert heads.counts().cases == counted.cases
    assert heads.order("auto")[-1] == name_of(0)
    assert heads.read(name_of(0)).labels.any()  # nothing that was drawn is lost
    with pytest.raises(UsageError, match="already"):
        heads.prepare_fix(name_of(0), Offer("aside"))
    heads.undo_fix(name_of(0))
    assert heads.case(name_of(0)).role is Role.VALIDATION
    heads.set_role(name_of(3), Role.ASIDE)
    heads.apply_fix(heads.prepare_fix(name_of(3), Offer("back")))
    assert heads.case(name_of(3)).role is Role.TRAINING


def test_fixes_are_undone_one_by_one_newest_first(heads: Study) -> None:
    SPOILED["swapped"][0](heads, 2)
    states = [rows(heads, 2)]
    for offer in (Offer("swap", "DWI", "Tmax"), Offer("missing", "T2"), Offer("aside")):
        heads.apply_fix(heads.prepare_fix(name_of(2), offer))
        states.append(rows(heads, 2))
    for state in reversed(states[:-1]):
        heads.undo_fix(name_of(2))
        assert rows(heads, 2) == state
    with pytest.raises(UsageError, match="undone"):
        heads.undo_fix(name_of(2))
    heads.apply_fix(heads.prepare_fix(name_of(2), Offer("missing", "T2")))  # and on from there
    assert [f.number for f in heads.fixes(name_of(2))] == [1, 2, 3, 4]


def test_freezing_a_case_does_not_stand_in_the_way_of_undoing(heads: Study) -> None:
    heads.apply_fix(heads.prepare_fix(name_of(0), Offer("missing", "T2")))
    heads.set_role(name_of(0), Role.VALIDATION)
    heads.undo_fix(name_of(0))
    assert heads.case(name_of(0)).role is Role.VALIDATION
    assert heads.case(name_of(0)).missing == ()


def test_a_case_that_changed_meanwhile_is_not_fixed(heads: Study) -> None:
    astray(heads, 2)
    prepared = heads.prepare_fix(name_of(2), Offer("register", "T2"))
    heads.apply_fix(heads.prepare_fix(name_of(2), Offer("missing", "Tmax")))
    state = rows(heads, 2)
    with pytest.raises(StudyError, match="changed since"):
        heads.apply_fix(prepared)
    assert rows(heads, 2) == state
    assert len(heads.fixes(name_of(2))) == 1


@pytest.mark.parametrize(
    ("offer", "error", "words"),
    [
        (Offer("register", "DWI"), UsageError, "gives the grid"),
        (Offer("register", "PET"), UsageError, "no modality"),
        (Offer("resample", "T2"), UsageError, "already"),
        (Offer("swap", "T2", "T2"), UsageError, "different"),
        (Offer("back"), UsageError, "not set aside"),
        (Offer("iron"), UsageError, "no fix"),
    ],
)
def test_what_makes_no_sense_is_a_sentence(heads: Study, offer: Offer, error: type[PenumbraError], words: str) -> None:
    files = digests(heads)
    with pytest.raises(error, match=words):
        heads.prepare_fix(name_of(1), offer)
    assert digests(heads) == files


def test_the_only_image_stays_and_another_patient_is_not_resampled(study: Study, heads: Study) -> None:
    with pytest.raises(UsageError, match="only image"):
        study.prepare_fix("p0", Offer("missing", "DWI"))
    write(heads, 1, "T2", values(heads, 1, "T2"), shifted_grid(heads, 1, 900))
    with pytest.raises(GeometryError, match="overlap"):
        heads.prepare_fix(name_of(1), Offer("resample", "T2"))


def test_a_replaced_image_on_another_grid_is_never_shown_in_the_wrong_place(heads: Study) -> None:
    write(heads, 1, "T2", values(heads, 1, "T2"), shifted_grid(heads, 1))
    with pytest.raises(PenumbraError, match="another grid"):
        heads.read(name_of(1))
    heads.apply_fix(heads.prepare_fix(name_of(1), Offer("resample", "T2")))
    assert set(heads.read(name_of(1)).images) == {"DWI", "T2", "Tmax"}


def test_a_crash_before_the_database_leaves_the_case_as_it_was(heads: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    state = rows(heads, 1)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    prepared = heads.prepare_fix(name_of(1), Offer("missing", "T2"))
    with monkeypatch.context() as patch:
        patch.setattr(fixing, "_set", crash)
        patch.setattr(fixing, "_remove", lambda paths: None)  # a killed program cleans nothing up
        with pytest.raises(KeyboardInterrupt):
            heads.apply_fix(prepared)
    assert (heads.layout.fixes(name_of(1)) / "0001.json").exists()
    assert rows(heads, 1) == state
    assert heads.fixes(name_of(1)) == []
    with pytest.raises(UsageError, match="Nothing of"):
        heads.undo_fix(name_of(1))


@pytest.mark.parametrize("path", ["../../../outside.nii.gz", "/etc/passwd", "study.toml"])
def test_a_record_edited_by_hand_leads_nowhere(heads: Study, path: str) -> None:
    heads.apply_fix(heads.prepare_fix(name_of(1), Offer("missing", "T2")))
    record = heads.layout.fixes(name_of(1)) / "0001.json"
    data = json.loads(record.read_text())
    data["before"]["images"]["T2"][0] = path
    record.write_text(json.dumps(data))
    state = rows(heads, 1)
    with pytest.raises(StudyError, match="by hand"):
        heads.undo_fix(name_of(1))
    assert rows(heads, 1) == state
    record.write_text("{")
    assert heads.fixes(name_of(1)) == []


def test_a_full_disk_changes_nothing(heads: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    astray(heads, 2)
    files, state = digests(heads), rows(heads, 2)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(DiskError, match="full"):
            heads.prepare_fix(name_of(2), Offer("register", "T2"))
    assert digests(heads) == files
    assert rows(heads, 2) == state


def test_a_swapped_first_modality_changes_the_small_picture(heads: Study) -> None:
    thumbnail = heads.case(name_of(1)).thumbnail
    assert thumbnail is not None
    before = thumbnail.read_bytes()
    heads.apply_fix(heads.prepare_fix(name_of(1), Offer("swap", "DWI", "T2")))
    assert thumbnail.read_bytes() != before


def test_the_content_key_is_the_one_of_adding(heads: Study, tmp_path: Path) -> None:
    """Swapping twice gives the key of before: workers' caches stay good, and find a twin."""
    key = heads.pool()[1].key
    heads.apply_fix(heads.prepare_fix(name_of(1), Offer("swap", "DWI", "T2")))
    assert heads.pool()[1].key != key
    heads.apply_fix(heads.prepare_fix(name_of(1), Offer("swap", "DWI", "T2")))
    assert heads.pool()[1].key == key


def test_every_fix_has_a_button_and_a_tip() -> None:
    for kind in fixes.names():
        fix = fixes.get(kind)
        assert fix.kind == kind
        assert fix.button(Offer(kind, "T2", "DWI"))
        assert fix.tip.endswith(".")
