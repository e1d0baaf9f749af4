"""The default: what the literature and this study's own predictions allow at this moment, said in words."""

from __future__ import annotations

from napari_penumbra.study.orders._base import Order, Pool, Ranked
from napari_penumbra.study.orders.doubt import LeastConfident
from napari_penumbra.study.orders.plain import WithForeground
from napari_penumbra.study.orders.stratified import ByClass


class LabelNext(Order):
    """At random with foreground until a model has predicted, class by class afterwards."""

    title = "label next"
    summary = (
        "What teaches most first: at random where foreground is likely until there is a model, then by the model's "
        "doubt, class by class."
    )
    needs_predictions = True

    @staticmethod
    def now(pool: Pool) -> tuple[Order, str]:
        """Choose the order for a pool, and say why."""
        predicted = [c for c in pool.waiting if c.predicted]
        if not predicted:
            return WithForeground(), "no model has predicted these cases yet"
        if any(c.summary is not None for c in predicted):
            return ByClass(), f"{len(predicted)} of {len(pool.waiting)} waiting cases are predicted"
        return LeastConfident(), "these predictions were made before the program noted doubt by class"

    def arrange(self, pool: Pool) -> list[Ranked]:
        """Arrange as the order of the moment does."""
        return self.now(pool)[0].arrange(pool)

    def explain(self, pool: Pool) -> str:
        """Say which order it is now, and why."""
        if not pool.waiting:
            return "No case is waiting."
        order, why = self.now(pool)
        return f"Now “{order.title}”: {why}."
