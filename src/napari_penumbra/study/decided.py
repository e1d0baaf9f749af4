"""The part of `store.Study` that knows what was predicted, and what readers have decided about it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence

from napari_penumbra.domain.case import Decision, Prediction, Verdict
from napari_penumbra.domain.regions import Box
from napari_penumbra.study import predictions
from napari_penumbra.study.core import Core


class Decided:
    """Predictions are taken over from workers' files; a verdict is never removed, only replaced or taken back."""

    _core: Core
    _refused: set[tuple[str, str]]
    _registering: threading.Lock

    def register_predictions(self, names: Collection[str] | None = None) -> list[Prediction]:
        """Take over what workers have predicted since the last call.

        A sidecar is believed only when its files lie in the case's own folder and can be read whole; otherwise a
        sentence goes to `notices`.

        Parameters
        ----------
        names
            Look only at these cases; all by default.
        """
        with self._registering:
            return predictions.register(self._core, self._refused, names)

    def prediction(self, name: str) -> Prediction | None:
        """Newest prediction of a case."""
        return predictions.newest(self._core, name)

    def predictions(self, name: str) -> list[Prediction]:
        """All predictions of a case, oldest first."""
        return predictions.predictions(self._core, name)

    def decide(
        self, name: str, prediction_id: int, box: Box, verdict: Verdict, voxels: int, author: str = ""
    ) -> Decision:
        """Record a verdict on a region; a new one on the same box replaces the old, which stays in the history."""
        return predictions.decide(self._core, name, prediction_id, box, verdict, voxels, author)

    def decide_all(
        self, name: str, prediction_id: int, verdicts: Sequence[tuple[Box, Verdict, int]], author: str = ""
    ) -> list[Decision]:
        """Record many verdicts (box, verdict, voxels) in one transaction: all of them, or none."""
        return predictions.decide_all(self._core, name, prediction_id, verdicts, author)

    def undo_decision(self, decision_id: int) -> None:
        """Take a verdict back; it stays in the history."""
        predictions.undo_decision(self._core, decision_id)

    def undo_decisions(self, decision_ids: Sequence[int]) -> None:
        """Take verdicts back in one transaction; they stay in the history."""
        predictions.undo_decisions(self._core, decision_ids)

    def decisions(self, name: str, prediction_id: int | None = None) -> list[Decision]:
        """Verdicts that stand on a prediction (the newest by default), oldest first."""
        return predictions.decisions(self._core, name, prediction_id)
