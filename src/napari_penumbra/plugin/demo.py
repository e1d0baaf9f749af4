"""The whole loop in the real window by itself: ``python -m napari_penumbra.plugin.demo STUDY REPORT``.

For machines without a screen (run it under Xvfb) and for the pictures of the documentation. The robot paints the true
labels of the simulated cases where a reader would paint by hand; everything else is the product itself: its window, its
worker, its files.
"""

from __future__ import annotations

import html
import sys
import time
from pathlib import Path

import numpy as np

from napari_penumbra.evaluation.metrics import score
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.study.samples import REFERENCE

FIRST_STEPS, MORE_STEPS = 300, 120


def run_demo(study: Path, report: Path) -> Path:
    """Annotate, train, review, accept and train on; write screenshots and a report page.

    Parameters
    ----------
    study
        A sample study made by `make_sample_study`.
    report
        Folder for the pictures and ``index.html``.

    Returns
    -------
    Path
        The report page.
    """
    import napari

    report.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(show=True, title="napari")
    viewer.window.resize(1366, 768)
    walk = Walkthrough(viewer, report)
    started = time.monotonic()
    lines: list[str] = []
    name = study.name
    try:
        _walk(walk, study, lines)
        name = walk.widget.session.opened().name
    finally:
        walk.widget.shut()
        viewer.close()
    lines.append(f"The whole loop took {time.monotonic() - started:.0f} s on this machine.")
    lines.insert(0, f"The study: {name}. Every case in it is simulated.")
    return _write_page(report, walk.shots, lines)


def _walk(walk: Walkthrough, study: Path, lines: list[str]) -> None:
    session = walk.widget.session
    walk.open_study(study)
    counts = session.counts()
    lines.append(f"{counts.cases} simulated cases, {counts.labelled} labelled from the start.")
    walk.picture("study", "The study: every case with its state and what to do next.")

    unlabelled = [row.name for row in session.cases() if not row.state.labelled]
    first = unlabelled[0]
    _annotate(walk, study, first)
    lines.append(f"{first} was painted and closed as complete.")

    run = walk.train(FIRST_STEPS, wait=False)
    walk.wait("the first figures", lambda: any(e.metrics.get("dice") for e in session.history(run)), 900)
    walk.picture("training", "Training in the background: loss parts and Dice beside the labels-only line.")
    walk.open_case(unlabelled[1])
    walk.picture("go-on", "The reader goes on while the worker learns.")
    walk.wait_for(run)
    rest = [row.name for row in session.cases() if not row.state.labelled]
    walk.wait_for_predictions(rest)
    walk.page("train")
    walk.picture("trained", "The finished training; the model that predicts is marked with a star.")
    lines.extend(_dice(walk, study, rest, "After the first training"))

    reviewed = _most_foreground(walk, rest)
    _review(walk, reviewed)
    lines.append(f"{reviewed} was reviewed region by region and accepted.")

    _start_from_what_is_learnt(walk)
    run = walk.train(MORE_STEPS, wait=False)
    walk.wait_for(run)
    left = [row.name for row in session.cases() if not row.state.labelled]
    walk.wait("the background to be done", lambda: session.active is None and not session.measuring, 900)
    walk.page("study")
    walk.picture("again", "Trained on from the first model, with the accepted case in the labelled pool.")
    lines.extend(_dice(walk, study, left, "At the end"))


def _annotate(walk: Walkthrough, study: Path, name: str) -> None:
    walk.open_case(name)
    truth = read_labels(study / REFERENCE / f"{name}.nii.gz").volume.data.astype(np.uint8)
    walk.page("annotate")
    walk.paint(truth)
    walk.viewer.dims.set_current_step(0, int(np.flatnonzero(truth.any(axis=(1, 2))).mean()))
    walk.picture("annotate", "Painted labels of a case; volumes per class beside the tools.")
    walk.click("case_complete")


def _review(walk: Walkthrough, name: str) -> None:
    walk.open_case(name)
    walk.page("review")
    walk.wait("the list of regions", lambda: walk.find("region_list").model().rowCount() > 0, 30)
    walk.click("confidence_on")
    walk.click("next_region")
    walk.picture("review", "Review: prediction, the teacher's confidence as an overlay, weak regions in order.")
    walk.click("accept_region")
    if walk.find("reject_region").isEnabled():
        walk.click("unknown_region")
    walk.picture("decided", "Two regions decided; the next one is already on the screen.")
    walk.click("accept_case")


def _start_from_what_is_learnt(walk: Walkthrough) -> None:
    walk.page("train")
    walk.find("models").expand(animate=False)
    walk.settle()
    walk.find("model_list").setCurrentRow(0)
    walk.click("model_start")


def _most_foreground(walk: Walkthrough, names: list[str]) -> str:
    """The predicted case with the largest lesion: the one where a picture of a review shows something."""
    study = walk.widget.session.opened()

    def size(name: str) -> int:
        case = study.read(name)
        return 0 if case.predicted is None else int((case.predicted > 0).sum())

    return max(names, key=size)


def _dice(walk: Walkthrough, study: Path, names: list[str], when: str) -> list[str]:
    """Mean Dice of the stored predictions against the simulation's truth, per class, in words."""
    opened = walk.widget.session.opened()
    found: dict[int, list[float]] = {}
    for name in names:
        case = opened.read(name)
        if case.predicted is None:
            continue
        truth = read_labels(study / REFERENCE / f"{name}.nii.gz").volume.data.astype(np.uint8)
        for value, scores in score(case.predicted, truth, case.grid.scale, opened.labels.values).items():
            found.setdefault(value, []).append(scores.dice)
    return [
        f"{when}, against the simulation's truth on {len(dice)} unlabelled cases: "
        f"{opened.labels.by_value(value).name}, mean Dice {np.mean(dice):.2f}."
        for value, dice in found.items()
    ]


def _write_page(folder: Path, shots: list[tuple[Path, str]], lines: list[str]) -> Path:
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    figures = "".join(
        f'<figure><img src="{html.escape(path.name)}" alt="{html.escape(text)}" width="1100">'
        f"<figcaption>{html.escape(text)}</figcaption></figure>"
        for path, text in shots
    )
    page = folder / "index.html"
    page.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>napari-penumbra: one loop, simulated cases</title>'
        "<h1>One loop on simulated cases</h1><p>All cases are simulated. A few hundred "
        "steps on a small machine show that the loop works, not how good a method is.</p>"
        f"<ul>{items}</ul>{figures}</html>\n",
        encoding="utf-8",
    )
    return page


if __name__ == "__main__":
    print(f"Report: {run_demo(Path(sys.argv[1]), Path(sys.argv[2]))}")  # noqa: T201 - a command's own output
