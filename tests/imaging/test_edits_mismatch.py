"""Penumbra from Tmax and ADC, on maps with known volumes and on the simulated cohort."""

from __future__ import annotations

import numpy as np
import pytest
from edit_scenes import SPACING, ball, dice, keeps_to_the_rules, scene

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.imaging.edits._brain import brain_mask
from napari_penumbra.imaging.edits._maps import adc_factor, find_name, tmax_factor
from napari_penumbra.imaging.edits.base import Over, silent
from napari_penumbra.imaging.edits.mismatch import TOOL, MismatchOptions, mismatch_edit
from napari_penumbra.imaging.edits.perfusion import LastMaps, find_mismatch
from napari_penumbra.imaging.phantom import make_case

SHAPE = (14, 60, 90)
ML = float(np.prod(SPACING)) / 1000
CENTER = (28.0, 45.0, 45.0)


@pytest.fixture
def maps() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Tmax, ADC, hypoperfused and core: two balls in a skull-stripped ball of brain."""
    brain = ball(SHAPE, CENTER, 34)
    late, core = ball(SHAPE, (28, 45, 60), 14), ball(SHAPE, (28, 45, 60), 7)
    tmax = np.where(late, 9.0, 2.0) * brain
    adc = np.where(core, 400.0, 850.0) * brain
    return tmax.astype(np.float32), adc.astype(np.float32), late, core


def test_volumes_and_ratio_are_right(maps):
    tmax, adc, late, core = maps
    found = find_mismatch(tmax, adc, SPACING)
    np.testing.assert_array_equal(found.core, core)
    np.testing.assert_array_equal(found.penumbra, late & ~core)
    assert found.core_ml == pytest.approx(core.sum() * ML)
    assert found.hypoperfused_ml == pytest.approx(late.sum() * ML)
    assert found.penumbra_ml == pytest.approx((late & ~core).sum() * ML)
    assert found.ratio == pytest.approx(late.sum() / core.sum())


def test_limits_are_strict_and_adjustable(maps):
    tmax, adc, late, _ = maps
    assert find_mismatch(tmax, adc, SPACING, tmax_s=9.0).penumbra_ml == 0
    assert find_mismatch(tmax, adc, SPACING, tmax_s=8.99).hypoperfused_ml == pytest.approx(late.sum() * ML)
    none = find_mismatch(tmax, adc, SPACING, adc_limit=400.0)
    assert none.core_ml == 0
    assert none.ratio is None


def test_small_pieces_of_each_mask_go(maps):
    tmax, adc, late, core = maps
    tmax[5, 20, 30:40] = 9  # 10 voxels: 0.06 ml
    adc[9, 20, 30:32] = 300  # 2 voxels: 0.012 ml
    assert find_mismatch(tmax, adc, SPACING, smallest_ml=0.061).hypoperfused_ml == pytest.approx(late.sum() * ML)
    few = find_mismatch(tmax, adc, SPACING, smallest_ml=0.05)
    assert few.hypoperfused_ml == pytest.approx((late.sum() + 10) * ML)
    assert few.core_ml == pytest.approx(core.sum() * ML)
    assert find_mismatch(tmax, adc, SPACING, smallest_ml=0.0).core_ml == pytest.approx((core.sum() + 2) * ML)


def test_nothing_outside_the_brain_and_none_in_fluid(maps):
    tmax, adc, late, _ = maps
    adc[0, :5, :5], tmax[0, :5, :5] = 300, 20  # a piece of noise beside the head
    adc[late & ball(SHAPE, (28, 45, 70), 3)] = 2800  # a ventricle within the late tissue
    found = find_mismatch(tmax, adc, SPACING, smallest_ml=0.0)
    assert not (found.core | found.penumbra)[0, :5, :5].any()
    assert not found.penumbra[adc > 1800].any()
    assert find_mismatch(tmax, adc, SPACING, leave_fluid=False).penumbra[adc > 1800].any()


def test_smoothing_takes_noise_off_but_not_the_brains_edge(maps):
    tmax, adc, late, _ = maps
    rng = np.random.default_rng(0)
    brain = tmax > 0
    noisy = (tmax + rng.normal(0, 2.5, SHAPE) * brain).astype(np.float32)
    plain = find_mismatch(noisy, adc, SPACING, smallest_ml=0.0)
    soft = find_mismatch(noisy, adc, SPACING, smallest_ml=0.0, smooth_mm=4.0)
    assert dice(soft.penumbra | soft.core, late) > dice(plain.penumbra | plain.core, late) + 0.02
    assert find_mismatch(tmax, adc, SPACING, smooth_mm=8.0, smallest_ml=0.0).core_ml < 2 * 1.5  # no rim of "core"


@pytest.mark.parametrize(
    ("unit", "factor"), [("1e-6 mm²/s", 1), ("1e-5 mm²/s", 0.1), ("1e-3 mm²/s", 1e-3), ("mm²/s", 1e-6)]
)
@pytest.mark.parametrize("told", [True, False])
def test_every_unit_of_adc_gives_the_same(maps, unit, factor, told):
    tmax, adc, _, core = maps
    found = find_mismatch(tmax, (adc * factor).astype(np.float32), SPACING, adc_unit=unit if told else "automatic")
    np.testing.assert_array_equal(found.core, core)
    assert any(f"ADC read as {unit}" in note for note in found.notes) is not told


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("0.1 s", 10), ("ms", 1000)])
def test_every_unit_of_tmax_gives_the_same(maps, unit, factor):
    tmax, adc, late, _ = maps
    found = find_mismatch((tmax * factor).astype(np.float32), adc, SPACING)
    assert found.hypoperfused_ml == pytest.approx(late.sum() * ML)
    assert any(f"Tmax read as {unit}" in note for note in found.notes)


def test_a_map_in_no_unit_asks():
    with pytest.raises(UsageError, match="unit of ADC cannot be told"):
        adc_factor(np.full(100, 9.0, np.float32), "automatic")
    with pytest.raises(UsageError, match="unit of Tmax cannot be told"):
        tmax_factor(np.zeros(100, np.float32), "automatic")
    assert adc_factor(np.full(100, 9.0, np.float32), "1e-6 mm²/s") == (1.0, "")


def test_maps_that_cannot_be_used_are_refused(maps):
    tmax, adc, _, _ = maps
    with pytest.raises(UsageError, match="one grid"):
        find_mismatch(tmax[1:], adc, SPACING)
    with pytest.raises(UsageError, match="empty"):
        find_mismatch(0 * tmax, 0 * adc, SPACING)


@pytest.mark.parametrize(
    ("kind", "names", "found"),
    [
        ("Tmax", ["DWI", "TMAX", "TTP"], "TMAX"),
        ("Tmax", ["t_max map"], "t_max map"),
        ("Tmax", ["TTP", "MTT"], ""),
        ("ADC", ["dADC", "DWI"], "dADC"),
        ("core", ["penumbra", "ischaemic core"], "ischaemic core"),
        ("core", ["score card"], ""),
        ("penumbra", ["core", "Tissue at risk"], "Tissue at risk"),
    ],
)
def test_names_are_found(kind, names, found):
    assert find_name(kind, names) == found


def test_painting_leaves_what_is_there_unless_both_are_made_anew(maps):
    tmax, adc, late, core = maps
    found = find_mismatch(tmax, adc, SPACING)
    labels = np.zeros(SHAPE, np.uint8)
    labels[0, :3, :3], labels[7, 30, 60], labels[7, 30, 62] = 1, 1, 255
    labels[7, 30, 64] = 3
    kept = keeps_to_the_rules(labels, mismatch_edit(labels, found, core=2, penumbra=1))
    assert (kept[0, 0, 0], kept[7, 30, 60], kept[7, 30, 62], kept[7, 30, 64]) == (1, 1, 255, 3)
    edit = mismatch_edit(labels, found, core=2, penumbra=1, anew=True)
    anew = keeps_to_the_rules(labels, edit, (0, 1, 2))
    assert (anew[0, 0, 0], anew[7, 30, 60], anew[7, 30, 62], anew[7, 30, 64]) == (0, 2, 255, 3)
    every = mismatch_edit(labels, found, core=2, penumbra=1, over=Over.EVERYTHING)
    assert keeps_to_the_rules(labels, every, (0, 1, 2, 3, 255))[7, 30, 62] == 2
    assert edit.figures["core"] == f"{core.sum() * ML:.1f} ml"
    assert edit.figures["ratio"] == f"{late.sum() / core.sum():.1f}"


@pytest.mark.parametrize("seed", [500, 501, 503])
def test_on_the_simulated_cohort_it_comes_near_the_truth(seed):
    case = make_case(seed)
    found = find_mismatch(case.images["Tmax"], case.images["ADC"], case.grid.scale, smooth_mm=2.0)
    assert dice(found.penumbra, case.labels == 1) > 0.9
    assert dice(found.core, case.labels == 2) > 0.75


def test_the_tool_finds_maps_and_classes_by_name(maps):
    tmax, adc, _, core = maps
    moment = scene(np.zeros(SHAPE, np.uint8), {"T2": adc, "Tmax": tmax, "ADC": adc})
    ready = TOOL.prepare(moment)
    assert ready == {"tmax_of": "Tmax", "adc_of": "ADC", "core": 2, "penumbra": 1}
    edit = TOOL.run(moment, MismatchOptions(**ready, smooth_mm=0.0), silent)
    assert edit.tally()[2] == (core.sum(), 0)
    with pytest.raises(UsageError, match="named like Tmax"):
        TOOL.run(moment, MismatchOptions(**{**ready, "tmax_of": ""}), silent)
    with pytest.raises(UsageError, match="a class each"):
        TOOL.run(moment, MismatchOptions(**{**ready, "core": 1}), silent)


def test_maps_are_prepared_once_for_all_limits_and_anew_for_others(maps):
    tmax, adc, _, _ = maps
    last = LastMaps()
    asked = (SPACING, 0.0, "automatic", "automatic", silent)
    first = last.prepare(tmax, adc, *asked)
    assert last.prepare(tmax, adc, *asked) is first
    assert last.prepare(tmax, adc, SPACING, 3.0, *asked[2:]) is not first
    other = last.prepare(tmax + 20, adc, SPACING, 0.0, "s", *asked[3:])
    assert other.delay.min() == 20
    assert last.prepare(tmax, adc, *asked).delay.min() == 0


def test_values_that_are_no_numbers_are_no_lesion(maps):
    tmax, adc, late, core = maps
    tmax[7, 45, 45:50], adc[7, 45, 45:50] = np.nan, np.inf
    found = find_mismatch(tmax, adc, SPACING, smooth_mm=2.0)
    assert not (found.core | found.penumbra)[7, 45, 45:50].any()
    assert dice(found.penumbra, late & ~core) > 0.95


# ---------------------------------------------------------------- brain


def test_a_brain_in_its_skull_is_found_roughly():
    rng = np.random.default_rng(0)
    brain, head = ball(SHAPE, CENTER, 26), ball(SHAPE, CENTER, 36)
    skull = head & ~ball(SHAPE, CENTER, 33)
    image = (100 * brain + 90 * skull + np.abs(rng.normal(0, 5, SHAPE))).astype(np.float32)
    found = brain_mask({"T2": image}, SPACING)
    assert dice(found.mask, brain) > 0.9
    assert "check" in found.words


def test_a_picture_without_anything_is_all_brain():
    assert brain_mask({"T2": np.full(SHAPE, 5.0, np.float32)}, SPACING).mask.all()
