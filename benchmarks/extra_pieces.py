"""What one key against extra pieces is worth: predicted studies, scored as they are and after the key.

    python benchmarks/extra_pieces.py STUDY REFERENCES [STUDY REFERENCES ...]

A study needs at least four finished cases, and predictions of cases whose references lie in the folder beside it. Where
the review lists pieces beyond the usual number of a class, they are rejected without looking: one key per class and
case, which also takes away a piece that was right. Nothing in the study is changed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import machine
import numpy as np

from napari_penumbra.domain.case import Verdict
from napari_penumbra.evaluation.metrics import Scores, score
from napari_penumbra.session.scoring import read_truth, reference_file
from napari_penumbra.study.review import apply_verdict, find_regions
from napari_penumbra.study.store import Study


def look_at(root: Path, references: Path) -> dict[str, Any]:
    """Score every predicted case with a reference before and after."""
    keys, lost, before, after = 0, [], [], []
    with Study.open(root) as study:
        usual = study.count_pieces()
        for row in study.cases():
            file = reference_file(references, row.name)
            if file is None or study.prediction(row.name) is None:
                continue
            case = study.read(row.name)
            assert case.predicted is not None
            assert case.confidence is not None
            truth = read_truth(study, row.name, file)
            found = find_regions(case.predicted, case.confidence, case.grid, small=True, most=10_000, usual=usual)
            labels = case.predicted
            for region in found.regions:
                if region.against:
                    keys += 1
                    labels = apply_verdict(labels, region, Verdict.REJECT, labels)
            right = case.predicted == truth
            lost.append(int((right & (truth > 0) & (labels != case.predicted)).sum()) / max(1, int((truth > 0).sum())))
            for scored, said in ((before, case.predicted), (after, labels)):
                scored.append(score(said, truth, case.grid.scale, study.labels.values))
    gains = np.array([_mean(b, "dice") - _mean(a, "dice") for a, b in zip(before, after, strict=True)])
    return {
        "method": [run.method for run in study_runs(root)],
        "usual_pieces": {value: known.pieces for value, known in usual.items()},
        "cases": len(before),
        "keys": keys,
        "dice": _figures(before, after, "dice"),
        "hd95_mm": _figures(before, after, "hd95"),
        "cases_better_by_a_point": int((gains > 0.01).sum()),
        "cases_worse_by_a_point": int((gains < -0.01).sum()),
        "largest_loss_of_dice": float(-gains.min()),
        "true_voxels_taken_away": float(np.mean(lost)),
    }


def study_runs(root: Path) -> list[Any]:
    """Trainings of a study."""
    with Study.open(root, write=False) as study:
        return [run for run in study.runs() if run.kind == "train"]


def _figures(before: list[dict[int, Scores]], after: list[dict[int, Scores]], name: str) -> dict[str, float]:
    return {
        when: float(np.mean([_mean(case, name) for case in cases]))
        for when, cases in (("as_predicted", before), ("after_the_key", after))
    }


def _mean(case: dict[int, Scores], name: str) -> float:
    """Mean over the classes that have such a figure."""
    found = [value for scores in case.values() if (value := getattr(scores, name)) is not None]
    return float(np.mean(found)) if found else 0.0


def main() -> None:
    """Look at every pair of folders and save."""
    folders = [Path(word) for word in sys.argv[1:]]
    if not folders or len(folders) % 2:
        raise SystemExit(__doc__)
    found = [look_at(study, references) for study, references in zip(folders[::2], folders[1::2], strict=True)]
    machine.save("extra_pieces", {"studies": found})


if __name__ == "__main__":
    main()
