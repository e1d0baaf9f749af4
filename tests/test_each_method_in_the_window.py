"""Every published system from a click to a confidence overlay, in the real window, on the cohort it is for.

`docs/render_pictures.py` makes a screenshot of each for the docs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_penumbra.domain.progress import Kind, RunState
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.study.samples import SYSTEMS, make_sample_study

pytestmark = [pytest.mark.gui, pytest.mark.slow, pytest.mark.timeout(1800)]

STEPS = 120


@pytest.mark.parametrize("method", SYSTEMS)
def test_a_click_trains_it_and_its_confidence_comes_back(
    method: str, tmp_path: Path, make_napari_viewer: Callable[..., Any]
) -> None:
    study = make_sample_study(tmp_path / "study", cases=7, labelled=4, cohort=SYSTEMS[method])
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    walk = Walkthrough(viewer)
    try:
        walk.open_study(study)
        session = walk.widget.session
        rest = [row.name for row in session.cases() if not row.state.labelled]
        run = walk.train(STEPS, method=method)
        assert next(r for r in session.runs() if r.id == run).state is RunState.FINISHED
        assert any(event.kind is Kind.VALIDATION for event in session.history(run))
        walk.wait_for_predictions(rest)
        walk.open_case(rest[0])
        walk.page("review")
        walk.click("confidence_on")
        case = session.opened().read(rest[0])
        assert case.predicted is not None
        assert case.confidence is not None
        assert case.confidence.shape == case.labels.shape
        assert 0 <= case.confidence.min() <= case.confidence.max() <= 1
        assert np.ptp(case.confidence) > 0.05, "the confidence map says the same everywhere"
        confidence = next(layer for layer in viewer.layers if layer.name.endswith("confidence"))
        assert confidence.visible
    finally:
        walk.widget.shut()
