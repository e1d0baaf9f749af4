"""The evidence benchmark: its plan, its roles, its resumption, its statistics and its tables; no training."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evidence import cell as cells
from evidence import cohorts, figures, groups, paired, plan, schedule, tables
from evidence.cohorts import COHORTS, Roles, Split
from evidence.plan import ALL, MIXING, SUPERVISED, Cell, Planner
from hypothesis import given
from hypothesis import strategies as st

from napari_penumbra.jobs.methods_info import MethodInfo

MACHINE = {"processor": "a processor", "cores": 2, "torch": "2"}


def info(name: str, **preset: Any) -> MethodInfo:
    defaults = {"width": 16, "backbone": "unet", "patch": [32, 64, 64], "steps": 100, "unlabelled_batch": 0}
    schema = {"properties": {key: {"default": value} for key, value in defaults.items()}}
    return MethodInfo(name, name, "", "", name != SUPERVISED, {"laptop": preset}, schema)


@pytest.fixture
def planner() -> Planner:
    methods = {m for c in COHORTS.values() for m in (*c.methods, *c.extra)}
    infos = {name: info(name, unlabelled_batch=2, steps=7) for name in methods}
    infos["asdnet"] = info("asdnet", backbone="svnet", patch=(16, 64, 64))
    return Planner({**infos, SUPERVISED: info(SUPERVISED, width=16)})


@pytest.fixture(autouse=True)
def _own_work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENUMBRA_BENCH_WORK", str(tmp_path / "work"))


# ------------------------------------------------------------------ plan


def test_headline_has_every_method_that_claims_a_cohort_and_both_lines(planner: Planner) -> None:
    found = planner.headline()
    assert {c.cohort for c in found} == {"la", "stroke"}
    for name in ("la", "stroke"):
        cohort = COHORTS[name]
        arms = {c.arm for c in found if c.cohort == name}
        assert arms >= {SUPERVISED, ALL, *cohort.methods}
        assert not arms & set(cohort.extra)
        seeds = {arm: sorted(c.seed for c in found if c.cohort == name and c.arm == arm) for arm in arms}
        for arm, numbers in seeds.items():
            assert numbers == list(range(5 if arm in (SUPERVISED, cohort.leader) else 3)), arm
    assert all(c.labelled == (0 if c.arm == ALL else 4) for c in found)


def test_all_holds_the_headline_and_every_cell_once_under_a_name_of_its_own(planner: Planner) -> None:
    found = planner.everything()
    assert set(planner.headline()) <= set(found)
    assert len(found) == len(set(found)) == len({(c.cohort, c.id) for c in found})
    assert {c.cohort for c in found} == set(COHORTS)
    assert ("stroke", "co-learning") in {(c.cohort, c.arm) for c in found}
    assert {c.labelled for c in found} == {0, 4, 8}
    assert {c.unlabelled for c in found} == {"pool", "copies", "noise"}
    assert MIXING in {c.arm for c in found}
    assert not any(c.tuning for c in found)


def test_whoever_claims_a_cohort_is_seen_on_five_draws_of_four_labels(planner: Planner) -> None:
    found = planner.everything()
    for cohort in COHORTS.values():
        for method in cohort.methods:
            own = [f"supervised as {method}"] if planner.own_settings(method) else []
            for arm in (SUPERVISED, method, *own):
                seeds = [c.seed for c in found if (c.cohort, c.arm, c.labelled) == (cohort.name, arm, 4)]
                assert seeds == [0, 1, 2, 3, 4], (cohort.name, arm)


def test_all_cells_of_a_cohort_take_the_same_steps(planner: Planner) -> None:
    for name in COHORTS:
        assert len({c.steps for c in planner.everything() if c.cohort == name}) == 1


def test_seeds_are_done_one_after_the_other_so_that_pairs_are_whole(planner: Planner) -> None:
    seeds = [c.seed for c in planner.everything()]
    assert seeds == sorted(seeds)


def test_a_method_with_its_own_network_gets_its_own_line(planner: Planner) -> None:
    settings = dict(planner.own_settings("asdnet"))
    assert settings == {"backbone": '"svnet"', "patch": "[16, 64, 64]"}
    assert planner.own_settings("mean-teacher") == ()  # other steps and unlabelled patches are no other line
    assert planner.own_settings("not there") == ()
    arms = {c.arm for c in planner.comparison(COHORTS["la"], 4)}
    assert "supervised as asdnet" in arms
    assert "supervised as mean-teacher" not in arms


PAIRS = [(c.name, m) for c in COHORTS.values() for m in (*c.methods, *c.extra)]


@pytest.mark.parametrize(("cohort", "method"), PAIRS)
def test_a_method_and_its_line_draw_the_same_labelled_patches(cohort: str, method: str) -> None:
    from napari_penumbra.jobs.methods_info import _infos
    from napari_penumbra.methods import get, names
    from napari_penumbra.methods._base import Problem
    from napari_penumbra.training.describe import describe

    if method not in names():
        pytest.skip(f"{method} is not in this version")
    infos = {one.name: one for one in _infos(describe())}
    changes = {key: json.loads(value) for key, value in Planner(infos).own_settings(method)}
    slices, problem = (1 if cohort == "lesions2d" else 16), Problem(len(COHORTS[cohort].modalities), 2)
    streams, dimensions = [], []
    for name, settings in ((method, {}), (SUPERVISED, changes)):
        kind = get(name)
        config = kind.configure("laptop", settings, 100)
        dimensions.append(kind.choose_dimensions(config, slices))
        streams.append(kind(config, replace(problem, spatial_dims=dimensions[-1])).streams(0))
    assert dimensions[0] == dimensions[1]
    assert streams[0].labelled == streams[1].labelled
    assert streams[0].patch == streams[1].patch
    assert streams[0].foreground_share == streams[1].foreground_share


def test_trying_things_out_happens_on_other_seeds(planner: Planner) -> None:
    curve = planner.curve(COHORTS["la"])
    tried = planner.trial(COHORTS["la"], "mean-teacher", ["consistency_weight=0.5"])
    assert all(c.tuning for c in (*curve, *tried))
    assert {c.steps for c in curve} == set(plan.CURVE_STEPS)
    assert tried[0].settings == (("consistency_weight", "0.5"),)
    assert len({c.id for c in (*curve, *tried)}) == len(curve) + len(tried)


def test_cells_survive_json_and_make_safe_file_names(planner: Planner) -> None:
    for cell in (*planner.everything(), *planner.trial(COHORTS["la"], "m", ['patch="[1, 2]"', "a/b=../c"])):
        back = Cell.from_json(json.loads(json.dumps(cell.to_json())))
        assert (back, back.settings) == (cell, cell.settings)
        assert not set(cell.id) & set('/\\ ,:"')


# ------------------------------------------------------------------ roles


@given(seed=st.integers(0, 2000), labelled=st.integers(0, 30))
def test_no_case_plays_two_roles(seed: int, labelled: int) -> None:
    split = Split(tuple(f"p{n}" for n in range(30)), tuple(f"u{n}" for n in range(20)))
    roles = cohorts.draw(split, labelled, seed)
    everyone = [*roles.labelled, *roles.unlabelled, *roles.evaluated]
    assert len(everyone) == len(set(everyone)) == 50
    assert set(roles.evaluated) == set(split.unseen)
    assert len(roles.labelled) == (labelled or 30)


def test_few_labels_are_a_part_of_more_and_seeds_differ() -> None:
    split = Split(tuple(f"p{n}" for n in range(30)), ())
    four, eight = (cohorts.draw(split, n, 3).labelled for n in (4, 8))
    assert eight[:4] == four
    assert cohorts.draw(split, 4, 3).labelled == four
    assert cohorts.draw(split, 4, 4).labelled != four
    with pytest.raises(ValueError, match="the pool has 30"):
        cohorts.draw(split, 31, 0)


def test_simulated_cases_are_disjoint_and_apart_from_tuning_and_sample() -> None:
    cohort = COHORTS["stroke"]
    real, tuning = cohorts.split_of(cohort), cohorts.split_of(cohort, tuning=True)
    sets = [
        {cohorts.simulated_number(name) for name in s} for s in (real.pool, real.unseen, tuning.pool, tuning.unseen)
    ]
    assert [len(s) for s in sets] == [64, 40, 64, 40]
    assert all(not a & b for a, b in itertools.combinations(sets, 2))
    assert max(sets[0] | sets[1]) < 1000 <= min(sets[2] | sets[3])
    assert max(sets[2] | sets[3]) < 2026  # the sample study's first


def test_real_cases_for_tuning_never_touch_the_unseen_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "la" / "images"
    folder.mkdir(parents=True)
    for n in range(80):
        (folder / f"la{n:03d}.nii.gz").touch()
    monkeypatch.setenv("PENUMBRA_BENCH_DATA", str(tmp_path))
    split, tuning = cohorts.split_of(COHORTS["la"]), cohorts.split_of(COHORTS["la"], tuning=True)
    assert (len(split.pool), len(split.unseen), len(tuning.pool), len(tuning.unseen)) == (40, 40, 20, 20)
    assert not set(split.pool) & set(split.unseen)
    assert set(tuning.pool) | set(tuning.unseen) == set(split.pool)
    assert cohorts.split_of(COHORTS["la"]) == split


def test_an_absent_cohort_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENUMBRA_BENCH_DATA", str(tmp_path))
    assert "PENUMBRA_BENCH_DATA" in cohorts.absent(COHORTS["acdc"])
    assert cohorts.absent(COHORTS["stroke"]) == ""


def test_simulated_cases_are_written_once_and_whole() -> None:
    cohort = COHORTS["stroke"]
    cohorts.simulate(cohort, ("stroke-0001",))
    store = cohorts.store_of(cohort)
    files = [*store.images("stroke-0001"), store.label("stroke-0001")]
    assert len(files) == 8
    times = [f.stat().st_mtime_ns for f in files]
    cohorts.simulate(cohort, ("stroke-0001",))
    assert [f.stat().st_mtime_ns for f in files] == times
    assert not list(store.root.rglob(".*"))


@pytest.mark.skipif(bool(cohorts.absent(COHORTS["lesions2d"])), reason="this version has no 2D lesions")
def test_simulated_pictures_are_written_as_pictures() -> None:
    from PIL import Image

    cohorts.simulate(COHORTS["lesions2d"], ("lesions2d-0001",))
    store = cohorts.store_of(COHORTS["lesions2d"])
    image, label = (np.asarray(Image.open(f)) for f in (*store.images("lesions2d-0001"), store.label("lesions2d-0001")))
    assert image.shape == (*label.shape, 3)
    assert set(np.unique(label)) == {0, 1}


# ------------------------------------------------------------------ one cell


def _store(folder: Path) -> cohorts.Store:
    from napari_penumbra.domain.grid import Grid
    from napari_penumbra.imaging.nifti import write_nifti

    (folder / "images").mkdir(parents=True)
    for n in range(3):
        data = np.arange(60, dtype=np.float32).reshape(3, 4, 5) + n
        write_nifti(folder / "images" / f"c{n}.nii.gz", data, Grid.of((5, 4, 3), np.eye(4)), np.float32)
    return cohorts.Store(COHORTS["la"], folder)


def test_the_pool_is_the_rest_copies_or_noise(tmp_path: Path) -> None:
    from napari_penumbra.imaging.files import read_image

    store, roles = _store(tmp_path / "data"), Roles(("c0",), ("c1", "c2"), ())

    def pool(kind: plan.Pool) -> dict[str, Path]:
        cell = Cell("la", "m", "m", 1, 0, 1, unlabelled=kind)
        folder = cells.unlabelled_folder(cell, store, roles, tmp_path / kind)
        assert folder is not None
        return {p.name: p for p in folder.iterdir()}

    assert set(pool("pool")) == {"c1.nii.gz", "c2.nii.gz"}
    copies = pool("copies")
    assert set(copies) == {"copy-c0.nii.gz"}
    assert copies["copy-c0.nii.gz"].resolve() == store.images("c0")[0].resolve()
    noise = pool("noise")
    assert set(noise) == {"noise-c1.nii.gz", "noise-c2.nii.gz"}
    made, real = (read_image(f).volume for f in (noise["noise-c1.nii.gz"], store.images("c1")[0]))
    assert made.grid.same_place(real.grid)
    assert abs(np.corrcoef(made.data.ravel(), real.data.ravel())[0, 1]) < 0.5
    nobody = Roles(("c0",), (), ())
    assert cells.unlabelled_folder(Cell("la", ALL, SUPERVISED, 0, 0, 1), store, nobody, tmp_path / "x") is None


def test_only_workers_of_this_cell_are_ended(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "mine-too"
    sleepers = [
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", f"{folder}/study/runs/1"])
        for folder in (mine, other)
    ]
    try:
        cells.stop_workers(mine, patience=5)
        assert sleepers[0].poll() is not None
        assert sleepers[1].poll() is None
    finally:
        for process in sleepers:
            process.kill()
            process.wait()


def test_losses_are_thinned(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    lines = [{"kind": "step", "step": n, "losses": {"total": 1 / n}} for n in range(1, 200)]
    text = "\n".join(json.dumps(line) for line in [{"kind": "started", "step": 0}, *lines])
    (tmp_path / "run" / "events.jsonl").write_text(text + "\n")
    curve = cells.loss_curve(tmp_path)
    assert 40 <= len(curve) <= cells.CURVE_POINTS
    assert curve[0] == {"step": 1, "total": 1.0}


def test_a_failed_command_says_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert options["env"]["OMP_NUM_THREADS"] == "1"
        return subprocess.CompletedProcess(command, 3, "", "No such study.")

    monkeypatch.setattr(cells.subprocess, "run", refuse)
    with pytest.raises(cells.CellError, match=r"penumbra status /no failed \(3\)\nNo such study"):
        cells.penumbra("status", "/no", "--json")


# ------------------------------------------------------------------ resumption


class Launched:
    """Stands in for the process of a cell."""

    def __init__(self, looks: int = 0) -> None:
        self.looks, self.signals = looks, []

    def poll(self) -> int | None:
        self.looks -= 1
        return 0 if self.looks < 0 else None

    def send_signal(self, number: int) -> None:
        self.signals.append(number)

    def wait(self) -> int:
        return 0


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "_LOOK_SECONDS", 0.0)


def test_what_is_done_is_not_done_again(planner: Planner, tmp_path: Path) -> None:
    wanted, begun = planner.headline()[:5], []

    def launch(cell: Cell, folder: Path) -> Launched:
        begun.append(cell)
        if cell != wanted[1]:
            cells.write_result(folder, cell, made_up(cell, [0.5]))
        return Launched()

    assert schedule.run(wanted, tmp_path, 2, launch) == [wanted[1]]  # type: ignore[arg-type]
    assert begun == wanted
    assert schedule.todo(wanted, tmp_path) == [wanted[1]]
    assert set(schedule.load(tmp_path)) == set(wanted) - {wanted[1]}


def test_no_more_than_asked_for_run_side_by_side(planner: Planner, tmp_path: Path) -> None:
    alive: list[Launched] = []
    most = 0

    def launch(cell: Cell, folder: Path) -> Launched:
        nonlocal most
        alive.append(Launched(looks=3))
        most = max(most, sum(p.looks >= 0 for p in alive))
        return alive[-1]

    schedule.run(planner.headline()[:7], tmp_path, 3, launch)  # type: ignore[arg-type]
    assert most == 3


def test_an_interruption_ends_the_running_cells_and_keeps_what_is_done(planner: Planner, tmp_path: Path) -> None:
    wanted, running = planner.headline()[:3], Launched(looks=1000)

    def launch(cell: Cell, folder: Path) -> Launched:
        if cell == wanted[0]:
            cells.write_result(folder, cell, made_up(cell, [0.5]))
            return Launched()
        if cell == wanted[1]:
            return running
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        schedule.run(wanted, tmp_path, 2, launch)  # type: ignore[arg-type]
    assert len(running.signals) == 1
    assert schedule.todo(wanted, tmp_path) == wanted[1:]


def test_a_damaged_result_is_named_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "la").mkdir()
    (tmp_path / "la" / "broken.json").write_text('{"cell": ')
    assert schedule.load(tmp_path) == {}
    assert "broken.json" in capsys.readouterr().err


def test_minutes_come_from_measured_cells(planner: Planner) -> None:
    new, known = Cell("la", SUPERVISED, SUPERVISED, 4, 1, 200), Cell("la", SUPERVISED, SUPERVISED, 4, 0, 100)
    assert schedule.estimate(new, {}) == (200 * schedule.GUESSED[SUPERVISED] + schedule.GUESS_OVERHEAD, False)
    done = {known: made_up(known, [0.5])}  # 50 s of training, 10 s of the rest
    assert schedule.estimate(new, done) == (110.0, True)
    assert schedule.minutes([new], done, 2) == "1 cells, about 2 minutes with 2 side by side"
    assert "1 of them guessed" in schedule.minutes([Cell("la", "m", "m", 4, 1, 200)], done, 2)


# ------------------------------------------------------------------ statistics


@pytest.mark.parametrize("shape", [(3, 7), (1, 5), (5, 1)])
def test_bootstrap_against_a_plain_loop(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(1).normal(size=shape)
    if shape == (3, 7):
        values[1, 2] = math.nan
    by_seed, by_case = paired.resamplings(*shape, 50)
    means = []
    for draw in range(50):
        total = count = 0.0
        for seed, case in itertools.product(*map(range, shape)):
            if not math.isnan(values[seed, case]):
                times = by_seed[draw, seed] * by_case[draw, case]
                total, count = total + times * values[seed, case], count + times
        if count:
            means.append(total / count)
    found = paired.bootstrap(values, 50)
    assert found.mean == pytest.approx(np.nanmean(values))
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))


def test_resamplings_draw_as_many_as_there_are() -> None:
    by_seed, by_case = paired.resamplings(4, 9, 100)
    assert (by_seed.sum(axis=1) == 4).all()
    assert (by_case.sum(axis=1) == 9).all()
    assert by_seed.mean() == pytest.approx(1)


def test_seeds_that_disagree_widen_the_interval() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, (4, 30))
    agree, differ = noise + 0.1, noise + np.array([0.3, 0.1, 0.1, -0.1])[:, None]
    narrow, wide = paired.bootstrap(agree), paired.bootstrap(differ)
    assert wide.high - wide.low > 5 * (narrow.high - narrow.low)
    assert narrow.low > 0 > wide.low


def test_bootstrap_needs_a_figure() -> None:
    with pytest.raises(ValueError, match="matrix"):
        paired.bootstrap(np.full((2, 2), math.nan))


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), max_size=9))
def test_sign_test_against_all_outcomes(signs: list[float]) -> None:
    kept = [s for s in signs if s]
    uneven = [abs(sum(outcome)) >= abs(sum(kept)) for outcome in itertools.product((-1, 1), repeat=len(kept))]
    assert paired.sign_test(signs) == pytest.approx(sum(uneven) / len(uneven))


def test_sign_test_of_five_and_three_seeds() -> None:
    assert paired.sign_test([0.1] * 5) == 0.0625
    assert paired.sign_test([0.1] * 3) == 0.25


def test_holm() -> None:
    assert paired.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert paired.holm([0.9, 0.8]) == [1.0, 1.0]
    assert paired.holm([]) == []


# ------------------------------------------------------------------ tables


def scores(dice: float, distance: float | None = 2.0) -> dict[str, Any]:
    return {"dice": dice, "jaccard": dice / (2 - dice), "hd95": distance, "assd": distance}


def made_up(cell: Cell, dice: list[float], code: str | None = None) -> dict[str, Any]:
    values = COHORTS[cell.cohort].classes
    bins = [{"from": 0.8, "to": 0.9, "voxels": 10, "confidence": 0.85, "right": 0.8}]
    confidence = {
        "all": {"voxels": 10, "mean_right": 0.9, "mean_wrong": 0.4, "ece": 0.05, "ece_isotonic": 0.01},
        "cases": {"c0": {"voxels": 10, "ece_scaled": 0.02}},
        "reliability": bins,
        "reliability_scaled": bins,
    }
    table = {"cases": {f"c{n}": {v: scores(d) for v in values} for n, d in enumerate(dice)}, "confidence": confidence}
    return {
        "cell": cell.to_json(),
        "code": cells.code_version(cell.method) if code is None else code,
        "seconds": {"train": 50.0, "predict": 10.0},
        "table": table,
        "machine": MACHINE,
    }


@pytest.fixture
def results(planner: Planner) -> dict[Cell, dict[str, Any]]:
    """Supervised loses a case with every seed, the leader gains 0.1 everywhere; the others are not done."""
    found = {}
    for cell in planner.headline():
        if cell.cohort == "la" and cell.arm in (SUPERVISED, "co-learning") and cell.seed < 2:
            base = [0.05, 0.6 + 0.1 * cell.seed, 0.7]
            found[cell] = made_up(cell, [d + 0.1 * (cell.arm != SUPERVISED) for d in base])
    return found


def test_groups_hold_means_lost_cases_and_paired_differences(
    planner: Planner, results: dict[Cell, dict[str, Any]]
) -> None:
    (group,) = [g for g in groups.groups_of(results, planner.everything()) if g.arms]
    assert group.key == groups.Key("la", 4, "laptop", COHORTS["la"].steps)
    line, leader = group.arms[SUPERVISED], group.arms["co-learning"]
    assert (line.seeds, line.planned, line.lost, line.worst) == ((0, 1), 5, 2, 0.05)
    assert (leader.lost, leader.minutes) == (0, 1.0)
    assert line.figures["dice"].mean() == pytest.approx((0.05 + 0.6 + 0.7 + 0.05 + 0.7 + 0.7) / 6)
    (difference,) = group.differences()
    assert (difference.arm, difference.against, difference.seeds) == ("co-learning", SUPERVISED, (0, 1))
    assert difference.intervals["dice"].mean == pytest.approx(0.1)
    assert (difference.cases_better, difference.cases, difference.seeds_better) == (6, 6, 2)
    assert difference.chance == 0.5


def test_pairs_compare_a_method_with_its_own_line_first(planner: Planner) -> None:
    wanted = planner.comparison(COHORTS["la"], 4)
    (group,) = groups.groups_of({c: made_up(c, [0.5]) for c in wanted}, wanted)
    pairs = [(d.arm, d.against) for d in group.differences()]
    assert pairs.index(("asdnet", "supervised as asdnet")) < pairs.index(("asdnet", SUPERVISED))
    assert next(iter(group.arms)) == SUPERVISED
    assert list(group.arms)[-1] == ALL


def test_a_figure_that_no_case_has_is_left_out() -> None:
    cell = Cell("la", SUPERVISED, SUPERVISED, 4, 0, 10)
    other = Cell("la", "co-learning", "co-learning", 4, 0, 10)
    found = {c: made_up(c, [0.5, 0.6]) for c in (cell, other)}
    for result in found.values():
        for by_class in result["table"]["cases"].values():
            by_class["1"] = scores(1.0, None)
    (group,) = groups.groups_of(found, [])
    assert set(group.differences()[0].intervals) == {"dice", "jaccard"}
    assert "| – |" in "\n".join(tables.difference_table(group))
    assert np.isnan(group.arms[SUPERVISED].figures["hd95"]).all()


def test_classes_are_averaged_within_a_case_where_they_have_a_figure() -> None:
    table = {"cases": {"a": {"1": scores(0.4, 1.0), "2": scores(0.8, None)}, "b": {"1": scores(0, 9), "2": scores(1)}}}
    assert groups.mean_over_classes(table, "dice") == pytest.approx([0.6, 0.5])
    assert groups.mean_over_classes(table, "hd95") == pytest.approx([1.0, 5.5])


def test_page_says_how_far_it_got_and_what_is_stale(planner: Planner, results: dict[Cell, dict[str, Any]]) -> None:
    cell = next(iter(results))
    results[cell]["code"] = "earlier"
    headline, everything = planner.headline(), planner.everything()
    page = tables.document(results, headline, everything)
    assert f"4 of {len(headline)} cells of the headline, 4 of {len(everything)} of all" in page
    assert "1 of the 4 results were made by an earlier version" in page
    assert "| co-learning − supervised | 2 of 2 | +0.100 (+0.100 to +0.100)" in page
    assert "| mean-teacher | 0 of 5 | – |" in page
    assert "| supervised | 2 of 5 | 0.467 | 0.050 | 2 of 6 |" in page
    assert "| co-learning | 0.900 | 0.400 | 0.050 | 0.020 | 0.010 |" in page
    assert "a processor, 2 cores" in page
    assert "Stroke" not in page  # nothing done there yet


def test_changed_parameters_make_a_result_stale_and_not_another_cell(planner: Planner) -> None:
    now = next(c for c in planner.headline() if c.arm == "supervised as asdnet")
    then = replace(now, settings=(("width", "4"),))
    assert then == now
    results = {then: made_up(then, [0.5])}
    assert cells.stale(now, results[now])
    assert not cells.stale(now, made_up(now, [0.5]))
    page = tables.document(results, planner.headline(), planner.everything())
    assert "1 of the 1 results were made by an earlier version" in page
    assert "| supervised as asdnet | 1 of 5 |" in page


def test_page_without_any_result(planner: Planner) -> None:
    assert "0 of" in tables.document({}, planner.headline(), planner.everything())


def test_cells_for_tuning_stand_apart(planner: Planner) -> None:
    found = {c: made_up(c, [0.5]) for c in planner.curve(COHORTS["la"])}
    assert all(not g.arms for g in groups.groups_of(found, planner.everything()))
    page = tables.document(found, planner.headline(), planner.everything())
    assert "Chosen on other cases" in page
    assert page.count("| Left atrium (real MRI) | supervised | 4 |") == len(plan.CURVE_STEPS)


def test_all_labels_alone_begin_no_section(planner: Planner) -> None:
    bound = [cell for cell in planner.everything() if cell.cohort == "la" and cell.arm == plan.ALL]
    four = Cell("la", SUPERVISED, SUPERVISED, 4, 0, bound[0].steps)
    for found, sections in (({}, 0), ({four: made_up(four, [0.5])}, 1)):
        found = found | {c: made_up(c, [0.7]) for c in bound}
        assert sum(g.begun for g in groups.groups_of(found, planner.everything())) == sections
        page = tables.document(found, planner.headline(), planner.everything())
        assert page.count("## Left atrium (real MRI)") == sections


# ------------------------------------------------------------------ figures


def _dots(text: str) -> int:
    return len(ElementTree.fromstring(text).findall(".//{http://www.w3.org/2000/svg}circle"))


def test_every_seed_is_a_dot(planner: Planner, results: dict[Cell, dict[str, Any]]) -> None:
    (group,) = [g for g in groups.groups_of(results, planner.everything()) if g.arms]
    assert _dots(figures.comparison_figure(group)) == 2 + 2 + 2  # two arms, one difference


def test_one_arm_alone_can_be_drawn() -> None:
    cell = Cell("la", SUPERVISED, SUPERVISED, 4, 0, 10)
    (group,) = groups.groups_of({cell: made_up(cell, [0.5])}, [])
    assert _dots(figures.comparison_figure(group)) == 1


def test_reliability_joins_seeds_voxel_by_voxel() -> None:
    few = [{"from": 0.5, "voxels": 10, "confidence": 0.5, "right": 1.0}]
    many = [{"from": 0.5, "voxels": 30, "confidence": 0.6, "right": 0.5}]
    assert figures.pooled([few, many]) == [pytest.approx((0.575, 0.625))]


def test_reliability_and_curve_are_drawn_where_there_is_something(
    planner: Planner, results: dict[Cell, dict[str, Any]]
) -> None:
    (group,) = [g for g in groups.groups_of(results, planner.everything()) if g.arms]
    drawn = figures.reliability_figure(group)
    assert drawn is not None
    ElementTree.fromstring(drawn)
    for result in results.values():
        del result["table"]["confidence"]
    (group,) = [g for g in groups.groups_of(results, planner.everything()) if g.arms]
    assert figures.reliability_figure(group) is None
    curve = {c: made_up(c, [0.5]) for c in planner.curve(COHORTS["la"])}
    assert _dots(str(figures.curve_figure(curve, "la"))) == len(curve)
    assert figures.curve_figure(curve, "stroke") is None
