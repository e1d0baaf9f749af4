"""The page on training is what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

from napari_penumbra.domain.diagnosis import DIAGNOSES
from napari_penumbra.jobs import launch
from napari_penumbra.training import trainer, watch

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_in_step_with_the_code() -> None:
    rendered = runpy.run_path(str(DOCS / "render_training.py"))["text"]()
    assert (DOCS / "training.md").read_text(encoding="utf-8") == rendered, "run: python docs/render_training.py"
    assert launch.VALIDATIONS == trainer.VALIDATIONS


def test_the_signs_name_the_limits_that_are_used() -> None:
    signs = {code: diagnosis.sign for code, diagnosis in DIAGNOSES.items()}
    assert f"{watch.SHIFT} standard deviations" in signs["pool-unlike"]
    assert f"above {watch.LOW_DICE:.2f}"[:6] + f"{watch.LOW_DICE:.2f}".lstrip("0") in signs["flat-low"]
    assert f"{watch.FLAT_VALIDATIONS} validations old" in signs["flat-dice"]
    assert f"{100 * watch.FLAT_VALIDATIONS // trainer.VALIDATIONS} % of the run" in signs["flat-dice"]
    for code in ("all-background", "all-foreground"):
        assert f"{watch.FEWEST_PATCHES} unlabelled patches" in signs[code]
    assert f"over {100 * watch.EVERYTHING:.0f} %" in signs["all-foreground"]
