from __future__ import annotations

import datetime as dt
import time

import numpy as np
import pytest
from study_scans import grid

from napari_penumbra.domain.case import Decision, Verdict
from napari_penumbra.domain.regions import Region
from napari_penumbra.study.review import LONGEST_MM, apply_verdict, find_regions

SHAPE = (12, 60, 60)
GRID = grid(SHAPE, (3.0, 1.0, 1.0))  # 3 mm³ voxels
NAMES = {1: "penumbra", 2: "core"}


def picture() -> tuple[np.ndarray, np.ndarray]:
    """A large sure piece of class 1."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[3:9, 20:40, 20:40] = 1
    return labels, np.ones(SHAPE, dtype=np.float32)


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
    assert region.why == "weak border of penumbra, 1.4 ml"
    assert region.verdict is None


def test_words_for_the_kinds() -> None:
    labels, sure = picture()
    labels[1:3, 2:5, 2:5] = 2
    sure[1:3, 2:5, 2:5] = 0.3  # small, weak, alone
    sure[5:7, 42:47, 20:30] = 0.4  # background beside the piece
    sure[0:4, 52:60, 50:60] = 0.4  # background far away
    whys = {r.why for r in find_regions(labels, sure, GRID, names=NAMES)}
    assert "isolated small piece of core, 0.05 ml" in whys
    assert "possible missed penumbra, 0.3 ml" in whys
    assert "possibly missed, apart from what was predicted, 1.0 ml" in whys
    assert "sure penumbra, 7.2 ml" in whys
    assert any("class 2" in r.why for r in find_regions(labels, sure, GRID))


def test_small_far_specks_are_left_out() -> None:
    labels, sure = picture()
    sure[0, 58, 58] = 0.1
    sure[5, 42, 30] = 0.1  # but not near ones
    weak = [r for r in find_regions(labels, sure, GRID) if r.confidence < 0.5]
    assert [r.box for r in weak] == [((5, 42, 30), (6, 43, 31))]
    assert len([r for r in find_regions(labels, sure, GRID, min_ml=0.0) if r.confidence < 0.5]) == 2


def test_sure_pieces_come_last_and_everything_is_listed_once() -> None:
    labels, sure = picture()
    labels[3:5, 50:54, 50:54] = 2
    sure[3:9, 20:24, 20:40] = 0.45
    regions = find_regions(labels, sure, GRID, names=NAMES)
    assert [r.confidence < 0.5 for r in regions] == [True, False]
    assert regions[1].value == 2
    assert regions[1].why == "isolated small piece of core, 0.10 ml"


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
    regions = find_regions(labels, sure, where, most=500)
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
    assert len(regions) == 60
