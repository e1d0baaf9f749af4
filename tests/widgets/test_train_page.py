from __future__ import annotations

import datetime as dt

import pytest
from pydantic import BaseModel, Field

from napari_penumbra.domain.errors import JobError, UsageError
from napari_penumbra.domain.launch import HERE, Launch
from napari_penumbra.domain.progress import Kind, Progress, RunState
from napari_penumbra.jobs.launch import Measured
from napari_penumbra.jobs.methods_info import MethodInfo
from napari_penumbra.session import Recommendation, RunInfo
from napari_penumbra.widgets.dock import Dock
from napari_penumbra.widgets.fold import Fold
from napari_penumbra.widgets.run_list import RunList, run_words


class Config(BaseModel):
    steps: int = Field(3000, title="Steps")
    batch: int = Field(2, ge=1, le=16, title="Batch")


INFOS = [
    MethodInfo(
        "mean-teacher",
        "Mean teacher",
        "Learns from what it is sure of; take it first.",
        "A paper.",
        True,
        {"paper": {"steps": 9000, "batch": 8}, "laptop": {"steps": 400}},
        Config.model_json_schema(),
    ),
    MethodInfo(
        "supervised", "Labels only", "Learns from labels.", "None.", False, {"laptop": {}}, Config.model_json_schema()
    ),
]


class Worker:
    """Stands where processes would be started: the page's calls are kept, answers are given at once."""

    def __init__(self, session, monkeypatch):
        self.trained: list[tuple] = []
        self.measured = 0
        self.error: JobError | None = None
        monkeypatch.setattr(session, "methods", lambda: INFOS)
        monkeypatch.setattr(session, "measure", self.measure)
        monkeypatch.setattr(session, "train", self.train)
        self.advice = Recommendation("mean-teacher", "laptop", "Mean teacher, because 1 labelled and 3 unlabelled.")
        monkeypatch.setattr(session, "recommend", self.recommend)

    def recommend(self):
        if isinstance(self.advice, Exception):
            raise self.advice
        return self.advice

    def measure(self, preflight, start_from="", way=HERE):
        self.measured += 1
        self.way = way
        if self.error:
            raise self.error
        return preflight.with_measured(Measured(0.2, 1_800_000_000, "cpu", 1000, preflight.steps))

    def train(self, method, preset, **options):
        self.trained.append((method, preset, options))
        return "run"


@pytest.fixture
def worker(session, monkeypatch):
    return Worker(session, monkeypatch)


@pytest.fixture
def dock(study, worker, canvas, qtbot):
    dock = Dock(study, canvas)
    qtbot.addWidget(dock)
    dock.show()
    dock.show_page("train")
    qtbot.waitUntil(lambda: dock.train_page.form.method.count() == 3)
    yield dock
    dock.close()


@pytest.fixture
def page(dock):
    return dock.train_page


def test_methods_presets_and_steps(page):
    assert page.form.method.currentText() == "Recommended: Mean teacher"
    assert page.form.summary.text() == "Learns from what it is sure of; take it first."
    assert page.form.preset.currentText() == "laptop"
    assert page.form.steps.value() == 400
    page.form.preset.setCurrentText("paper")
    assert page.form.steps.value() == 9000
    assert page.form.parameters.widget("batch").value == 8
    page.form.method.setCurrentIndex(page.form.method.findData("supervised"))
    assert page.form.preset.currentText() == "laptop"
    assert page.form.steps.value() == 3000
    assert page.form.reference.isHidden(), "labels only is its own reference"


def advise(page, worker, qtbot, method: str, preset: str = "laptop") -> None:
    """Let the study change so that something else is recommended, and wait until the page has taken notice."""
    worker.advice = Recommendation(method, preset, f"{method}, because of a test.")
    page.advisor.advise()
    qtbot.waitUntil(lambda: page.form.advice == worker.advice, timeout=5000)


def test_the_recommended_method_is_on_top_with_its_reason(page, worker):
    form = page.form
    assert form.method.currentIndex() == 0
    assert form.reason.text() == worker.advice.reason
    assert form.reason.isVisible()
    assert form.choice().method == "mean-teacher", "a run names the method, not the advice"
    form.method.setCurrentIndex(form.method.findData("supervised"))
    assert not form.reason.isVisible(), "the reader has overruled it"
    assert form.choice().method == "supervised"
    form.method.setCurrentIndex(0)
    assert form.reason.isVisible()
    page.start.click()
    assert worker.trained[0][:2] == ("mean-teacher", "laptop")


def test_the_recommendation_follows_the_study(page, worker, qtbot):
    advise(page, worker, qtbot, "mean-teacher", "paper")
    assert page.form.preset.currentText() == "paper"
    assert page.form.steps.value() == 9000
    advise(page, worker, qtbot, "supervised")
    assert page.form.method.currentText() == "Recommended: Labels only"
    assert page.form.reason.text() == "supervised, because of a test."
    assert page.form.choice().method == "supervised"


@pytest.mark.parametrize("edit", ["parameter", "steps", "unreadable"])
def test_what_the_reader_has_set_survives_another_recommendation(page, worker, qtbot, edit):
    form = page.form
    if edit == "steps":
        form.steps.setValue(77)
    else:
        form.parameters.widget("batch").value = 7
    if edit == "unreadable":
        form.parameters.changes = lambda: (_ for _ in ()).throw(UsageError("Not a number."))
    advise(page, worker, qtbot, "supervised")
    assert form.method.currentText() == "Mean teacher", "pinned under its own name"
    assert form.method.itemText(0) == "Recommended: Labels only"
    assert form.steps.value() == (77 if edit == "steps" else 400)
    assert form.parameters.widget("batch").value == (2 if edit == "steps" else 7)
    assert not form.reason.isVisible()


def test_a_method_that_was_picked_stays_picked(page, worker, qtbot):
    page.form.method.setCurrentIndex(page.form.method.findData("supervised"))
    advise(page, worker, qtbot, "mean-teacher", "paper")
    assert page.form.choice().method == "supervised"
    advise(page, worker, qtbot, "supervised")
    assert page.form.method.currentText() == "Labels only"


def test_only_the_reason_changes_with_the_pools(page, worker, qtbot):
    page.form.parameters.widget("batch").value = 5
    worker.advice = Recommendation("mean-teacher", "laptop", "Mean teacher, because 2 labelled.")
    page.advisor.advise()
    qtbot.waitUntil(lambda: page.form.reason.text() == worker.advice.reason, timeout=5000)
    assert page.form.method.currentIndex() == 0
    assert page.form.parameters.widget("batch").value == 5


def test_an_accepted_case_asks_for_advice_again(page, worker, study, qtbot):
    worker.advice = Recommendation("supervised", "laptop", "Labels only, because all is labelled.")
    study.case_changed.emit("p001")
    qtbot.waitUntil(lambda: page.form.choice().method == "supervised", timeout=5000)


def test_without_advice_the_first_method_is_chosen_until_there_is_one(study, worker, canvas, qtbot):
    advice, worker.advice = worker.advice, UsageError("No advice.")
    dock = Dock(study, canvas)
    qtbot.addWidget(dock)
    dock.show()
    dock.show_page("train")
    page = dock.train_page
    qtbot.waitUntil(lambda: page.form.method.count() == 2, timeout=5000)
    assert page.form.method.currentText() == "Mean teacher"
    assert not page.form.reason.isVisible()
    page.advisor.advise()
    qtbot.waitUntil(lambda: not page.advisor.busy, timeout=5000)
    assert page.form.method.count() == 2
    worker.advice = advice
    advise(page, worker, qtbot, "supervised")
    assert page.form.method.currentText() == "Recommended: Labels only"
    dock.close()


def test_advice_for_a_method_that_is_not_there_is_passed_over(page):
    page.form.set_advice(Recommendation("oracle", "laptop", "Because."))
    assert page.form.method.count() == 3
    assert page.form.choice().method == "mean-teacher"


def test_preflight_tells_pools_then_time_and_memory(page, worker, qtbot):
    qtbot.waitUntil(lambda: "about" in page.preflight.words.text(), timeout=5000)
    text = page.preflight.words.text()
    assert "✓ 1 labelled, 3 unlabelled, 0 frozen" in text
    assert "✓ about 80 s, 1.8 GB" in text
    assert "⚠" in text
    assert page.start.isEnabled()


def test_changed_settings_are_measured_anew_but_once(page, worker, qtbot):
    qtbot.waitUntil(lambda: worker.measured == 1, timeout=5000)
    for batch in (3, 4, 5):
        page.form.parameters.widget("batch").value = batch
    qtbot.waitUntil(lambda: worker.measured == 2 and page.preflight._task is None, timeout=5000)
    qtbot.wait(600)
    assert worker.measured == 2
    assert page.preflight.preflight.config == {"batch": 5}


def test_a_measurement_that_fails_is_told_and_training_can_start_all_the_same(page, worker, qtbot):
    worker.error = JobError("The trial step ran out of memory.", "Take a smaller patch.")
    page.form.parameters.widget("batch").value = 9
    qtbot.waitUntil(lambda: "ran out of memory" in page.preflight.words.text(), timeout=5000)
    assert page.start.isEnabled()
    assert page.preflight.measure.isVisible()


def test_start_passes_only_what_was_changed(page, worker, canvas, dock, study):
    dock.cases.open("p001")
    canvas.paint(((2, 2, 2), (3, 6, 6)), 1)
    page.form.steps.setValue(500)
    page.form.parameters.widget("batch").value = 4
    page.start.click()
    assert worker.trained == [("mean-teacher", "laptop", {"steps": 500, "config": {"batch": 4}, "reference": True})]
    assert not canvas.dirty(), "what is on screen is saved before it is learnt from"


def test_where_it_runs_goes_along(page, worker, monkeypatch):
    monkeypatch.setattr("napari_penumbra.widgets.where_form.why_not", lambda how: "")
    page.where.look()
    page.where.how.setCurrentIndex(page.where.how.findData("slurm"))
    page.where.processes.setValue(8)
    page.where.cluster.setText("nonsense")
    assert not page.start.isEnabled()
    assert "nonsense" in page.start.toolTip()
    page.where.cluster.setText("slurm_partition=gpu")
    assert page.start.isEnabled()
    page.where.board.setChecked(True)
    page.start.click()
    assert worker.trained[0][2]["way"] == Launch("slurm", 8, {"slurm_partition": "gpu"})
    assert worker.trained[0][2]["tensorboard"] is True


def test_what_several_processes_bring_up_is_not_squeezed_by_the_fold(page, dock, monkeypatch, qtbot):
    monkeypatch.setattr("napari_penumbra.widgets.where_form.why_not", lambda how: "")
    dock.resize(360, 700)
    form, fold = page.where, page.findChild(Fold, "where")
    fold.expand(animate=False)
    form.how.setCurrentIndex(form.how.findData("torchrun"))
    qtbot.waitUntil(lambda: form.words.height() >= form.words.heightForWidth(form.words.width()), timeout=2000)
    assert fold.content().maximumHeight() > page.height(), "it is as high as it needs to be, whenever that changes"


def test_the_presets_own_steps_are_not_passed(page, worker):
    page.form.reference.setChecked(False)
    page.start.click()
    assert worker.trained == [("mean-teacher", "laptop", {"steps": None, "config": {}, "reference": False})]


def test_nothing_labelled_says_label_first(session, worker, canvas, tmp_path, qtbot):
    from array_canvas import SCHEME, fill

    session.create(tmp_path / "bare", "Bare", ["DWI", "T2"], SCHEME)
    (tmp_path / "more").mkdir()
    fill(session, tmp_path / "more", cases=2, labelled=0)
    dock = Dock(session, canvas)
    qtbot.addWidget(dock)
    dock.show()
    dock.show_page("train")
    assert "label two cases" in dock.train_page.empty.words.text()
    dock.train_page.empty.button.click()
    assert canvas.case in ("p000", "p001")
    dock.close()


def test_without_the_training_part_it_says_so_and_can_try_again(study, worker, canvas, monkeypatch, qtbot):
    def missing():
        raise JobError("The training part is not installed.", "pip install napari-penumbra[train]", "No module: torch")

    monkeypatch.setattr(study, "methods", missing)
    dock = Dock(study, canvas)
    qtbot.addWidget(dock)
    dock.show()
    dock.show_page("train")
    page = dock.train_page
    qtbot.waitUntil(lambda: "not installed" in page.empty.words.text(), timeout=5000)
    assert page.empty.words.toolTip() == "No module: torch"
    assert not dock.messages.isVisible(), "said once, and not on the other pages"
    monkeypatch.setattr(study, "methods", lambda: INFOS)
    page.empty.button.click()
    qtbot.waitUntil(lambda: page.form.method.count() == 3, timeout=5000)
    assert page.scroll.isVisible()
    dock.close()


def info(run: str = "r1", **changes) -> RunInfo:
    values = {
        "id": run,
        "kind": "train",
        "method": "mean-teacher",
        "preset": "laptop",
        "state": RunState.FINISHED,
        "step": 400,
        "steps": 400,
        "dice": 0.71,
        "reference_dice": 0.6,
        "created": dt.datetime(2026, 11, 21, 5, 12, tzinfo=dt.UTC),
        "champion": False,
        "message": "Mean teacher finished.",
    }
    return RunInfo(**(values | changes))


def test_a_running_run_draws_live_and_can_be_stopped(page, session, dock, monkeypatch, qtbot):
    stopped = []
    running = info(state=RunState.RUNNING)
    monkeypatch.setattr(session, "runs", lambda: [running])
    monkeypatch.setattr(session, "history", lambda run: [Progress(Kind.STEP, 10, 400, losses={"supervised": 1.0})])
    monkeypatch.setattr(session, "log", lambda run: "step 10")
    monkeypatch.setattr(session, "stop", stopped.append)
    monkeypatch.setattr(type(session), "active", "r1")
    page.refresh()
    assert not page.start.isEnabled()
    assert "wait for it or stop it" in page.start.toolTip()
    assert page.curves.losses == {"supervised": ([10.0], [1.0])}
    session.run_event.emit("r1", Progress(Kind.STEP, 20, 400, losses={"supervised": 0.8}))
    assert page.curves.losses["supervised"][1] == [1.0, 0.8]
    assert dock.status.progress.value() == 20
    page.stop.click()
    assert stopped == ["r1"]
    monkeypatch.setattr(session, "hangs", lambda run: True)
    page._stubborn.timeout.emit()
    dock._on_status("stopping…")
    for button in (page.stop, dock.status.stop):
        assert button.isEnabled()
        assert button.text() == "End now"
        assert "since the last checkpoint is lost" in button.toolTip()
    page.stop.click()
    assert stopped == ["r1", "r1"]
    monkeypatch.setattr(session, "why_not_end", lambda run: "It works on gpu-7.")
    page._stubborn.timeout.emit()
    dock._on_status("stopping…")
    for button in (page.stop, dock.status.stop):
        assert not button.isEnabled()
        assert button.toolTip() == "It works on gpu-7."
    monkeypatch.setattr(session, "why_not_end", lambda run: "")
    monkeypatch.setattr(session, "hangs", lambda run: False)
    page.refresh()
    assert page.stop.text() == "Stop"
    dock.status.clicked.emit()
    assert page.logs.isExpanded()
    assert page.log.toPlainText() == "step 10"


def test_a_click_on_an_error_opens_the_log_of_its_run_at_the_error(page, session, dock, monkeypatch, qtbot):
    going, broken = info("r2", state=RunState.RUNNING), info("r1", state=RunState.FAILED)
    fault = "ValueError: no such grid"
    log = "\n".join([*(f"step {n}" for n in range(80)), "Traceback (most recent call last):", fault, *["bye"] * 80])
    monkeypatch.setattr(session, "runs", lambda: [going, broken])
    monkeypatch.setattr(session, "history", lambda run: [])
    monkeypatch.setattr(session, "log", {"r1": log, "r2": "step 1"}.get)
    monkeypatch.setattr(type(session), "active", "r2")
    page.refresh()
    session.failed.emit(JobError("Mean teacher failed.", run="r1"))
    dock.status.clicked.emit()
    assert page.runs.current() == "r1"
    assert page.log.textCursor().selectedText() == fault
    qtbot.waitUntil(lambda: page.log.viewport().rect().contains(page.log.cursorRect().center()), timeout=2000)
    dock.status.clicked.emit()
    assert page.runs.current() == "r2", "the error was read: what runs comes first again"


def test_run_list_says_how_each_stands_and_what_can_be_done(qtbot):
    runs = RunList()
    qtbot.addWidget(runs)
    runs.set_runs([info("r2", state=RunState.STOPPED, step=120), info("r1", champion=True)])
    assert runs.list.item(0).text().startswith("2 · Mean teacher · stopped · 120/400 · Dice .71")
    assert runs.list.item(1).text().startswith("★ 1 · Mean teacher · finished")
    assert runs.current() == "r2"
    with qtbot.waitSignal(runs.resumed, check_params_cb=lambda run: run == "r2"):
        runs.resume.click()
    with qtbot.waitSignal(runs.crowned, check_params_cb=lambda run: run == "r2"):
        runs.crown.click()
    runs.select("r1")
    assert "finished" in runs.resume.toolTip()
    assert "predicts already" in runs.crown.toolTip()
    runs.set_runs([info("r2", state=RunState.RUNNING), info("r1", champion=True)])
    assert runs.current() == "r1", "the selection stays"


def test_a_run_that_waits_can_be_cancelled_one_that_runs_paused(qtbot):
    runs = RunList()
    qtbot.addWidget(runs)
    waiting = info("r3", state=RunState.QUEUED, place=2, message="Waiting for its turn, place 2: r1 is being trained.")
    runs.set_runs([waiting, info("r2", state=RunState.PAUSED, message="Paused after step 7."), info("r1")])
    assert runs.list.item(0).text().startswith("3 · Mean teacher · queued, place 2")
    assert runs.says.text() == waiting.message
    assert runs.aside.text() == "Cancel"
    with qtbot.waitSignal(runs.cancelled, check_params_cb=lambda run: run == "r3"):
        runs.aside.click()
    runs.select("r2")
    assert not runs.aside.isEnabled()
    with qtbot.waitSignal(runs.resumed, check_params_cb=lambda run: run == "r2"):
        runs.resume.click()
    runs.set_runs([info("r2", state=RunState.RUNNING)])
    assert runs.aside.text() == "Pause"
    with qtbot.waitSignal(runs.paused, check_params_cb=lambda run: run == "r2"):
        runs.aside.click()


def test_warnings_are_counted_in_the_list_and_said_below_it(qtbot):
    runs = RunList()
    qtbot.addWidget(runs)
    found = tuple(f"Something is odd ({n}). Look at it." for n in range(5))
    runs.set_runs([info("r1", warnings=found)])
    assert "⚠ 5" in runs.list.item(0).text()
    assert runs.says.text().splitlines() == [
        "Mean teacher finished.",
        *(f"⚠ {text}" for text in found[-3:]),
        "… and 2 earlier; a tip over the run has all.",
    ]
    assert all(text in runs.list.item(0).toolTip() for text in found)


def test_while_a_training_runs_the_next_one_is_queued(page, session, worker, monkeypatch):
    monkeypatch.setattr(type(session), "active", "r1")
    monkeypatch.setattr(type(session), "queueable", True)
    page.refresh()
    assert page.start.text() == "Queue training"
    assert page.start.isEnabled()
    page.start.click()
    assert worker.trained[-1][2]["queue"] is True


def test_run_words_of_a_prediction():
    assert run_words(info(kind="predict", dice=None), 3).startswith("3 · prediction · finished")
