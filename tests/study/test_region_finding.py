from __future__ import annotations

import datetime as dt
import time
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from study_scans import grid

from napari_penumbra.domain.case import Decision, Verdict
from napari_penumbra.domain.regions import Region
from napari_penumbra.study.piece_counts import Usual
from napari_penumbra.study.region_parts import GAP_MM, LONGEST_MM, smallest_voxels
from napari_penumbra.study.review import MOST, apply_verdict
from napari_penumbra.study.review import find_regions as find

SHAPE = (12, 60, 60)
GRID = grid(SHAPE, (3.0, 1.0, 1.0))  # 3 mm³ voxels
NAMES = {1: "penumbra", 2: "core"}


def picture() -> tuple[np.ndarray, np.ndarray]:
    """A large sure piece of class 1."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[3:9, 20:40, 20:40] = 1
    return labels, np.ones(SHAPE, dtype=np.float32)


def find_regions(*args: Any, **options: Any) -> list[Region]:
    return list(find(*args, **options).regions)


def only(regions: list[Region], weak: bool = True) -> Region:
    found = [r for r in regions if (r.confidence < 0.5) == weak]
    assert len(found) == 1
    return found[0]


def test_weak_border() -> None:
    labels, sure = picture()
    sure[3:9, 20:24, 20:40] = 0.25
    region = only(find_regions(labels, sure, GRID, names=NAMES))
    assert region.box == ((3, 20, 20), (9, 24, 40))
    assert region.mask.all()
    assert region.value == 1
    assert region.confidence == pytest.approx(0.25)
    assert region.ml == pytest.approx(6 * 4 * 20 * 0.003)
    assert region.benefit == pytest.approx(480 * 0.75)
    assert region.why == "weak border of penumbra"
    assert region.verdict is None
    assert region.levels is not None
    assert region.levels[round(0.25 * 255)] == region.voxels == 480
    assert region.focus == region.center
    assert region.mask[tuple(np.subtract(region.center, region.box[0]))]


def test_words_for_the_kinds() -> None:
    labels, sure = picture()
    labels[1:3, 2:5, 2:5] = 2
    sure[1:3, 2:5, 2:5] = 0.3  # small, weak, alone
    sure[5:7, 42:47, 20:30] = 0.4  # background beside the piece
    sure[0:4, 52:60, 50:60] = 0.4  # background far away
    whys = {r.why for r in find_regions(labels, sure, GRID, names=NAMES)}
    assert "isolated small piece of core" in whys
    assert "possible missed penumbra" in whys
    assert "possibly missed, apart from what was predicted" in whys
    assert "sure penumbra" in whys
    assert any("class 2" in r.why for r in find_regions(labels, sure, GRID))


def test_small_places_are_counted_but_not_listed_unasked() -> None:
    labels, sure = picture()
    sure[0, 58, 58] = 0.1
    sure[5, 42, 30] = 0.3
    sure[3:9, 20:24, 20:40] = 0.25
    found = find(labels, sure, GRID, names=NAMES)
    assert [r.why for r in found.regions] == ["weak border of penumbra"]
    assert (found.hidden.regions, found.hidden.voxels) == (2, 2)
    assert found.hidden.ml == pytest.approx(2 * 0.003)
    assert found.hidden.confidence == pytest.approx(0.2)
    everything = find(labels, sure, GRID, small=True)
    assert [r.voxels for r in everything.regions] == [480, 1, 1]
    assert everything.hidden.voxels == 0
    assert everything.hidden.confidence is None


def test_small_places_are_listed_when_there_is_nothing_else() -> None:
    labels, sure = np.zeros(SHAPE, dtype=np.uint8), np.ones(SHAPE, dtype=np.float32)
    sure[5, 42, 30] = 0.1
    assert [r.voxels for r in find_regions(labels, sure, GRID)] == [1]


def test_what_was_decided_is_listed_whatever_its_size() -> None:
    labels, sure = picture()
    sure[5, 42, 30] = 0.1
    sure[3:9, 20:24, 20:40] = 0.25
    speck = find_regions(labels, sure, GRID, small=True)[1]
    made = Decision(1, "p", 1, speck.box, Verdict.REJECT, 1, dt.datetime.now(dt.UTC))
    regions = find_regions(labels, sure, GRID, most=1, decisions=[made])
    assert [r.verdict for r in regions] == [None, Verdict.REJECT]
    assert regions[1].box == speck.box


@pytest.mark.parametrize(("spacing", "voxels"), [((1.0, 1.0, 1.0), 50), ((5.0, 0.5, 0.5), 40), ((5.0, 4.0, 4.0), 4)])
def test_the_smallest_size_follows_the_spacing(spacing: tuple[float, float, float], voxels: int) -> None:
    assert smallest_voxels(grid(SHAPE, spacing)) == voxels


@pytest.mark.parametrize(("gap", "regions"), [(2, 1), (3, 2)])
def test_spots_that_nearly_touch_are_one_place(gap: int, regions: int) -> None:
    labels, sure = picture()
    sure[4:8, 20:24, 22:28] = 0.2
    sure[4:8, 20:24, 28 + gap : 34 + gap] = 0.2
    assert gap < GAP_MM or regions == 2
    weak = [r for r in find_regions(labels, sure, GRID) if r.confidence < 0.5]
    assert len(weak) == regions
    assert sum(r.voxels for r in weak) == 2 * 4 * 4 * 6, "the gap itself belongs to neither"


@pytest.mark.parametrize("seed", range(4))
def test_every_weak_voxel_is_listed_or_counted_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = (rng.uniform(size=SHAPE) < 0.02).astype(np.uint8)
    labels[3:9, 20:40, 20:40] = 1
    labels[0, :5] = 255
    sure = rng.uniform(0.42, 1, SHAPE).astype(np.float32)
    found = find(labels, sure, GRID, most=5)
    listed = np.zeros(SHAPE, dtype=int)
    for region in found.regions:
        listed[region.slices] += region.mask
    assert listed.max() == 1
    weak = (sure < 0.5) & (labels != 255)
    pieces, count = ndimage.label(labels == 1, structure=np.ones((3, 3, 3)))
    untouched = [n for n in range(1, count + 1) if not weak[pieces == n].any()]
    wanted = weak | np.isin(pieces, untouched)
    assert (listed[~wanted] == 0).all()
    assert listed.sum() + found.hidden.voxels == wanted.sum()
    assert found.hidden.ml == pytest.approx(found.hidden.voxels * 0.003)
    assert 1 <= len(found.regions) <= 5


def test_sure_pieces_come_last_and_everything_is_listed_once() -> None:
    labels, sure = picture()
    labels[3:5, 50:54, 50:54] = 2
    sure[3:9, 20:24, 20:40] = 0.45
    regions = find_regions(labels, sure, GRID, names=NAMES)
    assert [r.confidence < 0.5 for r in regions] == [True, False]
    assert regions[1].value == 2
    assert regions[1].why == "isolated small piece of core"


def test_order_and_length() -> None:
    labels, sure = picture()
    rng = np.random.default_rng(0)
    sure[rng.uniform(size=SHAPE) < 0.02] = 0.2
    regions = find_regions(labels, sure, GRID, most=7)
    assert len(regions) == 7
    benefits = [r.benefit for r in regions if r.confidence < 0.5]
    assert benefits == sorted(benefits, reverse=True)


def test_long_regions_are_cut_into_places() -> None:
    labels, sure = np.zeros((12, 200, 200), np.uint8), np.full((12, 200, 200), 0.2, dtype=np.float32)
    labels[4:8, 80:120, 80:120] = 1
    where = grid((12, 200, 200), (3.0, 1.0, 1.0))
    regions = find_regions(labels, sure, where, most=500, small=True)
    for region in regions:
        size = np.subtract(region.box[1], region.box[0]) * where.scale
        assert size.max() <= LONGEST_MM
    covered = np.zeros(labels.shape, dtype=int)
    for region in regions:
        covered[region.slices] += region.mask
    assert (covered == 1).all()


@pytest.mark.parametrize("value", [0, 1])
def test_nothing_to_say(value: int) -> None:
    labels = np.full(SHAPE, 0, dtype=np.uint8)
    assert find_regions(labels, np.ones(SHAPE, dtype=np.float32), GRID) == []
    labels[:] = 255
    assert find_regions(labels, np.full(SHAPE, float(value), dtype=np.float32), GRID) == []


def test_decisions_are_filled_in() -> None:
    labels, sure = picture()
    sure[3:9, 20:24, 20:40] = 0.25
    region = only(find_regions(labels, sure, GRID))
    made = [
        Decision(n, "p", 1, region.box, verdict, 480, dt.datetime.now(dt.UTC))
        for n, verdict in enumerate((Verdict.REJECT, Verdict.UNKNOWN))
    ]
    assert only(find_regions(labels, sure, GRID, decisions=made)).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("verdict", "inside"),
    [(Verdict.ACCEPT, 1), (Verdict.REJECT, 0), (Verdict.UNKNOWN, 255), (Verdict.FIXED, 2)],
)
def test_verdicts(verdict: Verdict, inside: int) -> None:
    predicted, sure = picture()
    sure[3:9, 20:24, 20:40] = 0.25
    region = only(find_regions(predicted, sure, GRID))
    labels = np.full(SHAPE, 2, dtype=np.uint8)
    before = labels.copy()
    result = apply_verdict(labels, region, verdict, predicted)
    assert (result[3:9, 20:24, 20:40] == inside).all()
    result[3:9, 20:24, 20:40] = 2
    np.testing.assert_array_equal(result, before)
    np.testing.assert_array_equal(labels, before)


def test_speed() -> None:
    shape = (21, 240, 240)
    where = grid(shape, (5.0, 0.9, 0.9))
    z, y, x = np.ogrid[:21, :240, :240]
    distance = np.sqrt(((z - 10) * 5.0) ** 2 + ((y - 120) * 0.9) ** 2 + ((x - 100) * 0.9) ** 2)
    labels = np.zeros(shape, dtype=np.uint8)
    labels[distance < 40] = 1
    labels[distance < 20] = 2
    sure = np.random.default_rng(0).uniform(0.3, 1.0, shape).astype(np.float32)
    find_regions(labels, sure, where)  # the first call loads scipy
    # Processor time: test machines are shared.
    start = time.process_time()
    regions = find_regions(labels, sure, where)
    assert time.process_time() - start < 0.3 * 1.5
    assert 1 <= len(regions) <= MOST


def in_pieces() -> tuple[np.ndarray, np.ndarray]:
    """A large piece of class 1 and two small ones, the larger of them sure, the other one with a weak end."""
    labels, sure = picture()
    labels[3:6, 2:10, 2:10] = labels[3:6, 50:56, 50:56] = 1
    sure[3:6, 50:52, 50:56] = 0.2
    sure[3:9, 20:24, 20:40] = 0.25
    return labels, sure


def test_pieces_beyond_the_usual_number_are_one_region_and_come_first() -> None:
    labels, sure = in_pieces()
    options = {"names": NAMES, "usual": {1: Usual(1, 5)}}
    first, second = find_regions(labels, sure, GRID, **options)
    assert first.why == "2 extra pieces of penumbra"
    assert first.against == "in all 5 finished cases that have it, it is in one piece"
    alone = labels.copy()
    alone[picture()[0] == 1] = 0
    filled = np.zeros(SHAPE, bool)
    filled[first.slices] = first.mask
    assert (filled == (alone == 1)).all()
    assert first.confidence == pytest.approx(sure[alone == 1].mean())
    assert first.voxels == 3 * (64 + 36)
    assert labels[first.center] == 1
    assert first.center[1] < 10  # the larger of the two is looked at
    assert second.why == "weak border of penumbra"
    assert not second.against
    rejected = apply_verdict(labels, first, Verdict.REJECT, labels)
    assert (rejected == picture()[0]).all()


def test_as_many_pieces_as_usual_are_regions_like_any_other() -> None:
    labels, sure = in_pieces()
    plain = find_regions(labels, sure, GRID, names=NAMES)
    for usual in ({1: Usual(3, 5)}, {2: Usual(1, 5)}, {}):
        assert [r.box for r in find_regions(labels, sure, GRID, names=NAMES, usual=usual)] == [r.box for r in plain]
    first, *_ = find_regions(labels, sure, GRID, names=NAMES, usual={1: Usual(2, 4)})
    assert first.why == "1 extra piece of penumbra"
    assert first.against.endswith("it is in 2 pieces")
    assert first.voxels == 3 * 36


def test_extra_specks_are_only_counted() -> None:
    labels, sure = picture()
    labels[0, 5, 5] = 1
    found = find(labels, sure, GRID, names=NAMES, usual={1: Usual(1, 4)})
    assert [r.why for r in found.regions] == ["sure penumbra"]
    assert found.hidden.voxels == 1
    shown = find(labels, sure, GRID, names=NAMES, usual={1: Usual(1, 4)}, small=True)
    assert {r.why for r in shown.regions} == {"sure penumbra", "1 extra piece of penumbra"}


def test_extra_pieces_keep_their_verdict() -> None:
    labels, sure = in_pieces()
    usual = {1: Usual(1, 5)}
    first, second = find_regions(labels, sure, GRID, usual=usual)
    when = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    made = Decision(1, "p", 1, first.box, Verdict.REJECT, first.voxels, when)
    again = find_regions(labels, sure, GRID, usual=usual, decisions=[made])
    assert [(r.box, r.verdict) for r in again] == [(second.box, None), (first.box, Verdict.REJECT)]
