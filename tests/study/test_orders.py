from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from napari_penumbra.domain import plugins
from napari_penumbra.domain.case import CaseRow, CaseState, Role
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.study import orders
from napari_penumbra.study.orders import Candidate, Pool
from napari_penumbra.study.orders.coverage import distances
from napari_penumbra.study.orders.stratified import FULL_AT, power_of
from napari_penumbra.study.summaries import Summary, Tally

NONE = Tally(0, 0.0)


def summary(
    doubt: float = 0.2,
    classes: dict[int, tuple[int, float]] | None = None,
    asks: int = 100,
    differ: float | None = 0.1,
    features: Sequence[float] = (),
) -> Summary:
    tallies = {v: Tally(n, n * d) for v, (n, d) in (classes or {1: (50, doubt)}).items()}
    return Summary(
        {0: Tally(900, 9.0), **tallies},
        Tally(asks, asks * doubt),
        None if differ is None else Tally(asks, asks * differ),
        "deep",
        np.array(features, np.float32),
    )


def row(name: str, missing: tuple[str, ...] = (), state: CaseState = CaseState.NEW) -> CaseRow:
    return CaseRow(name, ("DWI",), missing, state, Role.TRAINING, None, 0.0, None)


def new(n: int, volume: float = 1000.0, missing: tuple[str, ...] = ()) -> Candidate:
    return Candidate(n, row(f"c{n}", missing), volume)


def seen(n: int, said: Summary | None, confidence: float | None = 0.5, current: bool = True) -> Candidate:
    return Candidate(n, row(f"c{n}"), 1000.0, True, current, confidence, said, "run")


def names(kind: str, pool: Pool) -> list[str]:
    return [r.candidate.name for r in orders.get(kind).arrange(pool)]


def reasons(kind: str, pool: Pool) -> dict[str, str]:
    return {r.candidate.name: r.reason for r in orders.get(kind).arrange(pool)}


MIXED = Pool(
    [
        new(0),
        seen(1, summary(0.3, features=(0, 0))),
        seen(2, None, 0.9),
        seen(3, summary(0.6, features=(1, 0)), None),
        new(4, missing=("T2",)),
        seen(5, None, None, current=False),
        seen(6, summary(0.1, differ=None, features=(0, 5))),
    ],
    vectors=lambda: [{1: np.zeros(2, np.float32), 3: np.ones(2, np.float32), 6: np.array([0, 5], np.float32)}],
)


@pytest.mark.parametrize("kind", orders.names())
def test_every_order_keeps_every_case_once_says_why_and_repeats_itself(kind: str) -> None:
    order = orders.get(kind)
    ranked = order.arrange(MIXED)
    assert sorted(r.candidate.name for r in ranked) == [f"c{n}" for n in range(7)]
    assert all(r.reason for r in ranked)
    assert [r.candidate.name for r in order.arrange(MIXED)] == [r.candidate.name for r in ranked]
    assert order.arrange(Pool([])) == []
    assert order.title
    assert order.summary.endswith(".")
    assert order.explain(MIXED)
    assert order.explain(Pool([]))


@pytest.mark.parametrize("kind", ["auto", "entropy", "classes", "confidence", "disagreement", "coverage"])
def test_cases_without_a_prediction_come_after_those_with_one(kind: str) -> None:
    order = names(kind, MIXED)
    assert set(order[-2:]) == {"c0", "c4"}
    why = reasons(kind, MIXED)
    assert why["c5"].endswith("(an older model's)")
    assert why["c4"] == "at random; without T2, so less likely"


@pytest.mark.parametrize("kind", ["random", "foreground", "classes"])
def test_finishing_a_case_leaves_the_others_in_their_order(kind: str) -> None:
    cases = [seen(n, summary(0.2 + n / 100)) for n in range(12)] if kind == "classes" else [new(n) for n in range(12)]
    labelled = [Candidate(99, row("z"), 1.0)] * 100  # the share hardly moves
    before = names(kind, Pool(cases, labelled))
    after = names(kind, Pool([c for c in cases if c.name != before[3]], labelled))
    assert after == [name for name in before if name != before[3]]


@pytest.mark.parametrize("kind", ["random", "foreground", "classes"])
def test_another_seed_is_another_draw(kind: str) -> None:
    cases = [seen(n, summary(0.2)) for n in range(12)] if kind == "classes" else [new(n) for n in range(12)]
    assert names(kind, Pool(cases, seed=1)) != names(kind, Pool(cases, seed=2))


# ---------------------------------------------------------------------- foreground


def first_of(kind: str, cases: Sequence[Candidate], draws: int = 600) -> dict[str, float]:
    """Share of draws in which each case comes first."""
    counts = dict.fromkeys((c.name for c in cases), 0)
    for seed in range(draws):
        counts[names(kind, Pool(cases, seed=seed))[0]] += 1
    return {name: n / draws for name, n in counts.items()}


def test_cases_with_predicted_foreground_come_twice_as_often() -> None:
    holds, empty = summary(), summary(classes={1: (0, 0.0)})
    shares = first_of("foreground", [seen(0, holds), seen(1, empty)])
    assert shares["c0"] == pytest.approx(2 / 3, abs=0.06)


def test_before_a_model_short_and_incomplete_scans_come_less_often() -> None:
    shares = first_of("foreground", [new(0), new(1), new(2, volume=250), new(3, missing=("T2",))])
    expected = np.array([1, 1, 0.25, 0.5]) / 2.75
    np.testing.assert_allclose([shares[f"c{n}"] for n in range(4)], expected, atol=0.06)
    why = reasons("foreground", Pool([new(0), new(1), new(2, volume=250)]))
    assert why["c2"] == "at random; covers less than the other scans, so less likely"
    assert why["c0"] == "not begun, drawn at random"


def test_a_modality_that_most_lack_sets_nobody_apart() -> None:
    why = reasons("foreground", Pool([new(0, missing=("T2",)), new(1, missing=("T2",)), new(2)]))
    assert set(why.values()) == {"not begun, drawn at random"}


# ---------------------------------------------------------------------- doubt


def test_entropy_is_the_mean_so_that_size_does_not_count() -> None:
    small, large = summary(0.5, asks=10), summary(0.4, asks=10_000)
    nothing = summary(asks=0, classes={1: (0, 0.0)})
    pool = Pool([seen(0, large), seen(1, small), seen(2, nothing)])
    assert names("entropy", pool) == ["c2", "c1", "c0"]
    assert reasons("entropy", pool) == {
        "c0": "doubt 40% where there may be foreground",
        "c1": "doubt 50% where there may be foreground",
        "c2": "the model found nothing here",
    }


def test_disagreement_and_what_it_says_of_a_method_with_one_network() -> None:
    pool = Pool([seen(0, summary(differ=0.05)), seen(1, summary(differ=0.3))])
    assert names("disagreement", pool) == ["c1", "c0"]
    assert reasons("disagreement", pool)["c1"] == "the two networks differ by 30%"
    alone = Pool([seen(0, summary(differ=None), 0.8), seen(1, summary(differ=None), 0.4)])
    assert "one network" in orders.get("disagreement").explain(alone)
    assert names("disagreement", alone) == ["c1", "c0"]


# ---------------------------------------------------------------------- class by class

SPREAD = {n: {1: (1000, 0.10 + n / 100), 2: (10, 0.50 - n / 100)} for n in range(10)}


def spread(labelled: int, seed: int = 1, counts: dict[int, int] | None = None) -> Pool:
    cases = [seen(n, summary(classes=c)) for n, c in SPREAD.items()]
    done = [Candidate(100 + n, row(f"d{n}"), 1.0) for n in range(labelled)]
    return Pool(cases, done, {1: "lesion", 2: "core"}, {1: 500, 2: 7} if counts is None else counts, seed=seed)


def test_classes_take_turns_the_rarest_first_and_without_chance_in_the_end() -> None:
    ranked = orders.get("classes").arrange(spread(labelled=10))
    assert [r.candidate.name for r in ranked] == [f"c{n}" for n in (0, 9, 1, 8, 2, 7, 3, 6, 4, 5)]
    assert ranked[0].reason == "doubt 50% in core"
    assert ranked[1].reason == "doubt 19% in lesion"
    other = orders.get("classes").arrange(spread(labelled=10, counts={1: 3, 2: 7}))
    assert other[0].reason == "doubt 19% in lesion"


def test_chance_fades_as_cases_are_labelled() -> None:
    def firsts(labelled: int) -> set[str]:
        return {names("classes", spread(labelled, seed))[0] for seed in range(40)}

    assert len(firsts(0)) > 5
    assert firsts(10) == {"c0"}
    assert "chance still plays a part" in orders.get("classes").explain(spread(0))
    assert "core first" in orders.get("classes").explain(spread(0))
    assert "no part any more" in orders.get("classes").explain(spread(10))


@pytest.mark.parametrize(("share", "power"), [(0, 1), (FULL_AT / 2, 10), (FULL_AT, math.inf), (1, math.inf)])
def test_the_schedule(share: float, power: float) -> None:
    assert power_of(share) == pytest.approx(power)


def test_at_the_start_the_draw_is_in_proportion_to_the_doubt() -> None:
    shares = first_of("classes", [seen(0, summary(0.6)), seen(1, summary(0.3))])
    assert shares["c0"] == pytest.approx(2 / 3, abs=0.06)


def test_a_case_in_which_nothing_was_predicted_gets_its_turn() -> None:
    nothing = summary(0.02, classes={1: (0, 0.0), 2: (0, 0.0)})
    pool = Pool([*spread(10).waiting, seen(20, nothing)], spread(10).labelled, {}, {1: 500, 2: 7})
    assert names("classes", pool).index("c20") == 2
    assert reasons("classes", pool)["c20"] == "the model found nothing here"


# ---------------------------------------------------------------------- coverage


def test_distances_are_those_of_a_plain_loop() -> None:
    generator = np.random.default_rng(0)
    a, b = (generator.normal(50, 3, (n, 7)).astype(np.float32) for n in (6, 4))
    expected = [[math.dist(x, y) for y in b] for x in a]
    np.testing.assert_allclose(distances(a, b), expected, rtol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_k_centre_greedy_is_that_of_a_plain_loop(seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(12, 3)).astype(np.float32)
    run = dict(enumerate(points))
    waiting = [seen(n, summary(features=points[n])) for n in range(10)]
    labelled = [Candidate(n, row(f"c{n}"), 1.0) for n in (10, 11)]
    order = names("coverage", Pool(waiting, labelled, vectors=lambda: [run]))
    centres, left, expected = [10, 11], set(range(10)), []
    while left:
        best = max(left, key=lambda i: min(math.dist(points[i], points[c]) for c in centres))
        expected.append(f"c{best}")
        centres.append(best)
        left.remove(best)
    assert order == expected


def test_labelled_cases_count_in_the_newest_run_that_saw_them_in_its_own_units() -> None:
    newest = {n: np.array([x, 0], np.float32) for n, x in enumerate([0, 1, 2, 3, 10])}
    # The run before saw the labelled case 9 right beside case 4, and everything a thousand times as large.
    before = {n: np.array([1000 * x, 0], np.float32) for n, x in enumerate([0, 1, 2, 3, 10])} | {
        9: np.array([10_000, 0], np.float32)
    }
    waiting = [seen(n, summary(features=newest[n])) for n in range(5)]
    labelled = [Candidate(9, row("c9"), 1.0)]
    order = names("coverage", Pool(waiting, labelled, vectors=lambda: [newest, before]))
    assert order[0] == "c0"
    assert order[-1] == "c4"
    alone = orders.get("coverage").arrange(Pool(waiting, labelled, vectors=lambda: [newest]))
    assert alone[0].candidate.name == "c2"
    assert alone[0].reason == "the most typical case"
    assert alone[1].candidate.name == "c4"


def test_equal_vectors_do_no_harm() -> None:
    waiting = [seen(n, summary(features=(1, 1))) for n in range(4)]
    pool = Pool(waiting, vectors=lambda: [{n: np.ones(2, np.float32) for n in range(4)}])
    assert sorted(names("coverage", pool)) == ["c0", "c1", "c2", "c3"]


# ---------------------------------------------------------------------- auto and the registry


@pytest.mark.parametrize(
    ("waiting", "now", "why"),
    [
        ([new(0), new(1)], "foreground", "no model has predicted these cases yet"),
        ([seen(0, summary()), new(1)], "classes", "1 of 2 waiting cases are predicted"),
        ([seen(0, None), seen(1, None)], "confidence", "made before the program noted doubt by class"),
    ],
)
def test_auto_says_what_it_is_now(waiting: list[Candidate], now: str, why: str) -> None:
    pool = Pool(waiting)
    assert names("auto", pool) == names(now, pool)
    words = orders.get("auto").explain(pool)
    assert f"“{orders.get(now).title}”" in words
    assert why in words


def test_an_unknown_order_is_refused_with_the_names_of_all() -> None:
    with pytest.raises(UsageError, match="alphabetical") as caught:
        orders.get("alphabetical")
    assert "foreground" in caught.value.remedy


class Backwards(orders.Order):
    title = "backwards"
    summary = "Last one first."

    def arrange(self, pool: Pool) -> list[orders.Ranked]:
        return [orders.Ranked(c, "it is late") for c in reversed(pool.waiting)]


def broken() -> None:
    raise ImportError("gone")


def test_another_package_brings_an_order(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    points = [
        SimpleNamespace(name="backwards", value="x:Backwards", load=lambda: Backwards),
        SimpleNamespace(name="random", value="x:Other", load=lambda: Backwards),
        SimpleNamespace(name="broken", value="x:Broken", load=broken),
        SimpleNamespace(name="wrong", value="x:Wrong", load=lambda: int),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points if group == orders.GROUP else [])
    orders._plugins.look_again()
    try:
        assert orders.names()[-3:] == ["backwards", "broken", "wrong"]
        assert names("backwards", Pool([new(0), new(1)])) == ["c1", "c0"]
        assert type(orders.get("random")) is not Backwards
        assert "second order called random" in caplog.text
        with pytest.raises(UsageError, match="could not be loaded"):
            orders.get("broken")
        with pytest.raises(UsageError, match="not a napari-penumbra order"):
            orders.get("wrong")
    finally:
        orders._plugins.look_again()


def test_orders_are_single_files_with_one_line_in_the_registry() -> None:
    folder = Path(orders.__file__).parent
    modules = {target.partition(":")[0].rpartition(".")[2] for target in orders.REGISTRY.values()}
    assert modules == {p.stem for p in folder.glob("*.py") if not p.stem.startswith("_")}
