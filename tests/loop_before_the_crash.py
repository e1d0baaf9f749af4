"""The first half of the end-to-end test, in a process of its own that is killed in the middle of its work.

``python loop_before_the_crash.py STUDY``: open, paint a case and close it, start a training, draw one stroke in the
next case, say so on standard output, and go on until killed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import napari

from loop_steps import PAINTED, STARTED_WITH, STROKE, TINY, truth_of
from napari_penumbra.domain.progress import Kind
from napari_penumbra.plugin.walkthrough import Walkthrough


def main(study: Path) -> None:
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1366, 768)
    walk = Walkthrough(viewer)
    walk.open_study(study)
    walk.open_case(PAINTED)
    walk.page("annotate")
    walk.paint(truth_of(study, PAINTED))
    walk.click("case_complete")

    # Far more steps than it will be given time for.
    run = walk.train(2000, method="mean-teacher", changes=TINY, wait=False)
    walk.open_case(STARTED_WITH)
    walk.page("annotate")
    walk.drag(*STROKE)
    session = walk.widget.session
    walk.wait("a checkpoint", lambda: any(e.kind is Kind.CHECKPOINT for e in session.history(run)), 240)
    print(f"ready {run}", flush=True)
    walk.wait("being killed", lambda: False, 600)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
