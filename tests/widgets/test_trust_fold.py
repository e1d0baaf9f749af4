"""The record of what confidence was worth: refreshed in the background, said in words, drawn."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from array_canvas import SHAPE
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication
from superqt import QCollapsible

from napari_penumbra.evaluation.calibration import STEPS, Tally
from napari_penumbra.evaluation.track_record import Share, TrackRecord
from napari_penumbra.study.calibration import Calibration
from napari_penumbra.widgets.dock import Dock
from napari_penumbra.widgets.trust_view import TrustView
from napari_penumbra.widgets.trust_words import percent, such, why_unknown

RUN = "20261121-051200-mean-teacher-a1b2"


def predict(study, name: str, seed: int) -> np.ndarray:
    """A lesion; voxels around it unsure, in random steps."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[2:4, 6:12, 8:14] = 1
    sure = np.rint(np.random.default_rng(seed).uniform(0.3, 1, SHAPE) * STEPS) / STEPS
    folder = study.layout.predictions(name)
    folder.mkdir(exist_ok=True)
    affine = study.grid(name).matrix
    files = {kind: f"cases/{name}/predictions/{RUN}.{kind}.nii.gz" for kind in ("labels", "confidence")}
    nibabel.save(nibabel.Nifti1Image(labels.T.copy(), affine), folder / f"{RUN}.labels.nii.gz")
    nibabel.save(nibabel.Nifti1Image(sure.astype(np.float32).T.copy(), affine), folder / f"{RUN}.confidence.nii.gz")
    sidecar = {**files, "case": name, "run": RUN, "created": "2026-11-21T05:12:00+00:00"}
    (folder / f"{RUN}.json").write_text(json.dumps(sidecar))
    study.register_predictions([name])
    return labels


@pytest.fixture
def dock(study, canvas, qtbot):
    opened = study.study
    opened.add_run(RUN, "train", "mean-teacher", "laptop")
    opened.set_champion(RUN)
    for n, name in enumerate(("p001", "p002", "p003")):
        predict(opened, name, n)
    dock = Dock(study, canvas)
    qtbot.addWidget(dock)
    dock.show()
    dock.show_page("review")
    yield dock
    dock.close()


def accept(session, name: str) -> None:
    labels = session.opened().read(name).labels
    labels[2, 6:9, 8:14] = 0
    labels[5] = 255
    session.accept(name, labels)


def settled(dock, qtbot, cases: int) -> None:
    trust = dock.review_page.trust
    qtbot.waitUntil(lambda: len(trust.record.cases) == cases and not trust.busy, timeout=10_000)


def test_it_is_refreshed_when_a_case_is_accepted_and_taken_back(dock, study, qtbot):
    page = dock.review_page
    dock.cases.open("p001")
    qtbot.waitUntil(lambda: not dock.review.loading, timeout=5000)
    page.refresh()
    assert "not yet known (0 of 3 corrected cases)" in page.coverage_line.text()
    accept(study, "p002")
    settled(dock, qtbot, 1)
    assert "1 of 3 corrected cases" in page.coverage_line.text()
    assert "Not yet known: 1 of 3" in page.trust_view.words.text()
    accept(study, "p003")
    settled(dock, qtbot, 2)
    study.accept("p001", study.opened().read("p001").labels)
    settled(dock, qtbot, 3)
    record = page.trust.record
    at = record.at(page.threshold_slider.value())
    assert at is not None
    words = page.coverage_line.text()
    assert words.startswith(f"Voxels about this sure turned out right in {percent(at.right)}; surer ones (")
    above = record.above(page.threshold_slider.value())
    assert words.endswith(f" in {percent(above.right)}.")
    page.rest.slider.setValue(0.0)
    page.refresh()
    rest = [dock.review.regions[n] for n in dock.review.rest(0.0)]
    expected = record.expected(sum(region.levels for region in rest))
    assert page.rest.words.text().endswith(f"; {such(expected, record)}.")
    dock.review.go(0)
    assert f"sure; {such(record.at(dock.review.regions[0].confidence), record)}." in page.current_line.text()
    file = study.opened().layout.calibration(RUN)
    assert json.loads(file.read_text())["corrected_cases"] == 3
    study.reopen_case("p003")
    settled(dock, qtbot, 2)
    assert "2 of 3 corrected cases" in page.coverage_line.text()


def test_another_study_forgets_the_record(dock, study, qtbot, tmp_path):
    accept(study, "p002")
    settled(dock, qtbot, 1)
    study.create(tmp_path / "other", "Other", ["DWI"], study.opened().labels)
    assert dock.review_page.trust.calibration is None
    qtbot.waitUntil(lambda: not dock.review_page.trust.busy, timeout=5000)
    assert dock.review_page.trust.calibration is None


def test_a_study_that_is_opened_again_shows_its_record_at_once(dock, study, qtbot):
    accept(study, "p002")
    settled(dock, qtbot, 1)
    root = study.opened().root
    study.close()
    assert dock.review_page.trust.calibration is None
    study.open(root)
    assert set(dock.review_page.trust.record.cases) == {"p002"}


def known(cases: int = 3) -> Calibration:
    rng = np.random.default_rng(0)
    tallies = {}
    for n in range(cases):
        sure = rng.integers(0, STEPS + 1, 4000) / STEPS
        tallies[f"p{n}"] = Tally.of(sure, rng.uniform(size=4000) < 0.5 + 0.5 * sure)
    return Calibration(RUN, "mean-teacher", cases == 3, {}, TrackRecord(tallies))


def test_the_plot_shows_shares_and_counts(qtbot, qapp: QApplication):
    view = TrustView()
    qtbot.addWidget(view)
    group = QCollapsible("Fold")
    qtbot.addWidget(group)
    group.addWidget(view)
    group.toggled.connect(view.activate)
    group.show()
    made = known()
    view.show_calibration(made)
    assert view._plots is None, "nobody has looked"
    group.expand(animate=False)
    qtbot.waitUntil(lambda: view._plots is not None, timeout=5000)
    np.testing.assert_allclose(view._plots.right.opts["height"], made.record.before.right)
    np.testing.assert_allclose(10 ** np.asarray(view._plots.voxels.opts["height"]), made.record.before.count)
    np.testing.assert_allclose(view._plots.line.getData()[1], made.record.isotonic)
    assert "12,000 voxels in 3 corrected cases, all predicted by this model" in view.words.text()
    errors = made.record.errors
    assert f"{errors.ece:.3f} as predicted, {errors.ece_isotonic:.3f} by the line" in view.words.text()
    qapp.sendEvent(view, QEvent(QEvent.Type.PaletteChange))
    view.show_calibration(known(4))
    assert "some predicted by earlier models of this method" in view.words.text()
    view.show_calibration(known(2))
    assert not view._plots.share.isVisible()
    assert "Not yet known: 2 of 3 corrected cases" in view.words.text()


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "0 %"),
        (0.004, "under 1 %"),
        (0.713, "71 %"),
        (0.949, "95 %"),
        (0.9871, "98.7 %"),
        (0.99999, "99.9 %"),
        (1.0, "100 %"),
    ],
)
def test_shares_are_never_rounded_to_certainty(share: float, words: str):
    assert percent(share) == words


def test_what_is_missing_is_named():
    assert why_unknown(TrackRecord()) == "0 of 3 corrected cases"
    assert why_unknown(known(3).record) == "fewer than 200 such voxels in 3 corrected cases"
    assert such(Share(0.5, 1200, 4), TrackRecord()) == (
        "such voxels turned out right in 50 % (1,200 in 4 corrected cases)"
    )
