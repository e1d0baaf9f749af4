from __future__ import annotations

import datetime as dt
import statistics
from typing import Any

import pytest

from napari_penumbra.domain.case import Closing
from napari_penumbra.study.minutes import Finished, moving_median, stop_rule, time_saved


def one(n: int, seconds: float, share: float | None = None, **changes: Any) -> Finished:
    """A case painted by hand, or with a share one that was reviewed."""
    reviewed = share is not None
    values = {
        "case": f"p{n}",
        "closed": dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=n),
        "reviewed": reviewed,
        "closing": Closing.COMPLETE,
        "seconds": seconds,
        "strokes": 3,
        "changed": round(1000 * share) if share is not None else 1000,
        "foreground": 1000,
        "decided": {},
        "dice": 0.9 if reviewed else None,
    }
    return Finished(**{**values, **changes})


def many(seconds: list[float], shares: list[float]) -> list[Finished]:
    return [one(n, s, share) for n, (s, share) in enumerate(zip(seconds, shares, strict=True))]


@pytest.mark.parametrize(
    ("changed", "foreground", "share"), [(0, 100, 0), (25, 100, 0.25), (300, 100, 1), (0, 0, 0), (5, 0, None)]
)
def test_share(changed: int, foreground: int, share: float | None) -> None:
    assert one(0, 1, 0.1, changed=changed, foreground=foreground).share == share


def test_time_saved_is_that_of_a_plain_loop() -> None:
    hand = [200.0, 0.0, 300.0, 250.0]
    corrected = [100.0, 40.0, 0.0, 400.0]
    done = [one(n, s) for n, s in enumerate(hand)] + [one(9 + n, s, 0.1) for n, s in enumerate(corrected)]
    saved = time_saved(done)
    usual = statistics.median([200.0, 300.0, 250.0])
    total = 0.0
    for seconds in corrected:
        if seconds > 0:
            total += usual - seconds
    assert saved is not None
    assert (saved.by_hand, saved.of, saved.cases, saved.seconds) == (usual, 3, 3, total)


def test_only_the_first_cases_by_hand_are_the_measure() -> None:
    done = [one(n, 100) for n in range(5)] + [one(9, 9000), one(10, 50, 0.1)]
    saved = time_saved(done)
    assert saved is not None
    assert saved.by_hand == 100


@pytest.mark.parametrize("done", [[], [one(0, 100), one(1, 50, 0.1)], [one(0, 100), one(1, 90)]])
def test_time_saved_is_not_known_without_two_by_hand_and_one_corrected(done: list[Finished]) -> None:
    assert time_saved(done) is None


RULES = [
    (many([40] * 4, [0.01] * 4), None, "Not yet known whether to stop: 4 of 5 corrected cases."),
    (
        many([40] * 5, [0.012] * 5),
        True,
        "The last 5 cases needed 40 s and 1 % of voxels each on average: you can stop.",
    ),
    (many([40] * 5, [0] * 5), True, "0 % of voxels"),
    (many([40] * 5, [0.001] * 5), True, "under 1 % of voxels"),
    (many([300] * 5, [0.01] * 5), False, "needed 5 min"),
    (many([40] * 5, [0.2] * 5), False, "20 % of voxels each on average: go on."),
    (many([40] * 10, [0.2] * 10), False, "hardly less than the 5 before (20 %): train again"),
    (many([40] * 10, [0.5] * 5 + [0.2] * 5), False, "go on."),
    ([one(n, 600) for n in range(3)] + many([150] * 5, [0.01] * 5), True, "150"),
]


@pytest.mark.parametrize(("done", "stop", "words"), RULES)
def test_stop_rule(done: list[Finished], stop: bool | None, words: str) -> None:
    advice = stop_rule(done)
    assert advice.stop is stop
    assert words.replace("150", "2 min") in advice.words


def test_the_rule_looks_at_corrected_cases_only_and_at_the_last_ones() -> None:
    done = [*many([500] * 5, [0.9] * 5), *many([30] * 5, [0.01] * 5), one(99, 800)]
    assert stop_rule(done).stop is True


def test_accepting_unseen_is_no_reason_to_stop() -> None:
    unseen = many([0.0] * 9, [0.0] * 9)
    assert stop_rule(unseen).words == "Not yet known whether to stop: 0 of 5 corrected cases."
    assert stop_rule([*many([90] * 5, [0.3] * 5), *unseen]).stop is False


@pytest.mark.parametrize("window", [1, 2, 5])
def test_moving_median_is_that_of_a_plain_loop(window: int) -> None:
    values = [5.0, 1.0, 4.0, 9.0, 2.0, 2.0, 7.0]
    expected = []
    for n in range(len(values)):
        seen = sorted(values[max(0, n + 1 - window) : n + 1])
        half = len(seen) // 2
        expected.append(seen[half] if len(seen) % 2 else (seen[half - 1] + seen[half]) / 2)
    assert moving_median(values, window) == expected
