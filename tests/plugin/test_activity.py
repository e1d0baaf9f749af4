"""Active seconds without pauses."""

from __future__ import annotations

from napari_penumbra.plugin.activity import ActiveSeconds


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_pauses_do_not_count() -> None:
    clock = Clock()
    active = ActiveSeconds(clock)
    for gap in (5, 15, 20, 20.5, 300, 2):
        clock.now += gap
        active.act()
    assert active.seconds == 42


def test_taking_loses_no_time() -> None:
    clock = Clock()
    active = ActiveSeconds(clock)
    clock.now += 4
    active.act()
    clock.now += 3
    active.take()
    assert active.seconds == 0
    clock.now += 3
    active.act()
    assert active.seconds == 6


def test_a_new_case_starts_from_nothing() -> None:
    clock = Clock()
    active = ActiveSeconds(clock)
    clock.now += 4
    active.act()
    clock.now += 4
    active.start()
    clock.now += 1
    active.act()
    assert active.seconds == 1
