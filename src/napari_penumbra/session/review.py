"""The reviewing half of a session: weak regions, decisions, acceptance, scores."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

from napari_penumbra.domain.case import Annotation, Closing, Decision, OpenCase, Origin, Prediction, Verdict
from napari_penumbra.domain.errors import UsageError
from napari_penumbra.domain.labels import LabelArray
from napari_penumbra.domain.regions import Found, Region
from napari_penumbra.evaluation.report import Table
from napari_penumbra.session.cases import Cases
from napari_penumbra.session.scoring import evaluate
from napari_penumbra.study.review import MOST, find_regions

MAX_MEANING = 500
"""Characters of a sentence that the window shows beside the confidence switch."""


class Review(Cases):
    """Regions, decisions, acceptance, evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: OpenCase | None = None

    def _forget(self) -> None:
        super()._forget()
        self._shown = None

    def load(self, name: str) -> OpenCase:
        """Read a case for the canvas, strokes of a crashed window replayed on top."""
        self._shown = super().load(name)
        return self._shown

    def regions(self, name: str, threshold: float = 0.5) -> list[Region]:
        """Places of a case's newest prediction that want a look, small ones too; empty without one.

        Parameters
        ----------
        threshold
            Confidence (0 to 1) below which a voxel is weak.
        """
        return list(self.found(name, threshold, small=True).regions)

    def found(self, name: str, threshold: float = 0.5, most: int = MOST, small: bool = False) -> Found:
        """Find the places of a case's newest prediction that want a look, and count those that are not listed.

        Parameters
        ----------
        threshold
            Confidence (0 to 1) below which a voxel is weak.
        most
            Longest list; what was decided before comes on top of it.
        small
            List small places, too, after the others.
        """
        study = self.opened()
        newest = study.prediction(name)
        if newest is None:
            return Found()
        case = self._shown
        if case is None or case.name != name or case.prediction is None or case.prediction.id != newest.id:
            case = self._shown = study.read(name)
        if case.predicted is None or case.confidence is None:
            return Found()
        return find_regions(
            case.predicted,
            case.confidence,
            case.grid,
            threshold=threshold,
            most=most,
            small=small,
            decisions=study.decisions(name),
            names={c.value: c.name for c in study.labels.classes},
            usual=study.usual_pieces(),
        )

    def confidence_means(self, name: str) -> str:
        """Say what the confidence of a case's newest prediction means; empty when the prediction does not tell."""
        study = self.opened()
        newest = study.prediction(name)
        if newest is None:
            return ""
        labels = study.layout.absolute(newest.labels)
        with contextlib.suppress(OSError, ValueError, AttributeError):
            told = json.loads(labels.with_name(f"{newest.run}.json").read_text(encoding="utf-8"))
            return str(told.get("confidence_means") or "")[:MAX_MEANING]
        return ""

    def decide(self, name: str, region: Region, verdict: Verdict, prediction_id: int | None = None) -> Decision:
        """Record a verdict on a region of the newest prediction; see `decide_all`."""
        return self.decide_all(name, [(region, verdict)], prediction_id)[0]

    def decide_all(
        self, name: str, verdicts: Sequence[tuple[Region, Verdict]], prediction_id: int | None = None
    ) -> list[Decision]:
        """Record verdicts on regions of the newest prediction: all of them, or none.

        Parameters
        ----------
        prediction_id
            The prediction that is on the screen: a verdict on one that is no longer the newest is refused.
        """
        study = self.writable()
        prediction = study.prediction(name)
        if prediction is None:
            raise UsageError(f"{name} has no prediction to review.", "Train, or predict it, first.")
        _refuse_older(name, prediction, prediction_id)
        entries = [(region.box, verdict, region.voxels) for region, verdict in verdicts]
        made = study.decide_all(name, prediction.id, entries, self.reader)
        self._judged(name)
        return made

    def undo_decision(self, name: str) -> Decision | None:
        """Take the last verdict of a case back; None when there is none left."""
        study = self.writable()
        decisions = study.decisions(name)
        if not decisions:
            return None
        last = max(decisions, key=lambda decision: decision.id)
        study.undo_decision(last.id)
        self._judged(name)
        return last

    def accept(
        self,
        name: str,
        labels: LabelArray,
        closing: Closing = Closing.COMPLETE,
        seconds: float = 0.0,
        touched_slices: Collection[int] | None = None,
        prediction_id: int | None = None,
    ) -> Annotation:
        """Take a reviewed prediction, as it now stands in ``labels``, into the labelled pool.

        Voxels of 255 stay unknown in the file: they are outside every supervised loss.

        Parameters
        ----------
        prediction_id
            The prediction that is on the screen; by default the newest.

        Raises
        ------
        UsageError
            The case has no prediction, a newer one than the given one, or exactly this was accepted before.
        """
        study = self.writable()
        self.claim(name)
        prediction = study.prediction(name)
        if prediction is None:
            raise UsageError(f"{name} has no prediction to accept.", "Train, or predict it, first.")
        _refuse_older(name, prediction, prediction_id)
        annotation = study.save(
            name,
            labels,
            closing,
            Origin.REVIEWED,
            self.reader,
            seconds,
            prediction_id=prediction.id,
            touched_slices=touched_slices,
        )
        if annotation is None:
            raise UsageError(f"{name} has been accepted just like this before.", "Go on with the next case.")
        self._changed(name)
        return annotation

    # ---------------------------------------------------------------- scores

    def evaluate(
        self,
        reference: Path,
        source: Literal["prediction", "annotation"] = "prediction",
        cases: Sequence[str] | None = None,
    ) -> Table:
        """Score predictions or annotations against a folder of reference labels, in mm.

        Parameters
        ----------
        reference
            Folder with one label file per case, named like the case, on the case's own grid.
        source
            What is scored.
        cases
            Only these; by default every case that has both.
        """
        return evaluate(self.opened(), Path(reference), source, cases)


def _refuse_older(name: str, newest: Prediction, shown: int | None) -> None:
    if shown is not None and shown != newest.id:
        raise UsageError(f"A newer prediction of {name} has come meanwhile.", "Load it first, then decide.")
