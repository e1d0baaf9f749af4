"""Orders by what the model is unsure of: confidence, entropy, and two networks that disagree."""

from __future__ import annotations

from abc import abstractmethod

from napari_penumbra.study.orders._base import Candidate, Order, Pool, Ranked, aged, percent
from napari_penumbra.study.orders.plain import WithForeground, known


class ByScore(Order):
    """Highest score first; then predictions without the figures, least confident first; then those without any."""

    needs_predictions = True

    @abstractmethod
    def score(self, candidate: Candidate) -> tuple[float, str] | None:
        """Score of a predicted case and its reason; None when its prediction lacks the figures."""

    def arrange(self, pool: Pool) -> list[Ranked]:
        """Sort."""
        scored = [(c, found) for c in pool.waiting if c.predicted and (found := self.score(c)) is not None]
        # Equal scores: by lot.
        scored.sort(key=lambda item: (-item[1][0], pool.draw(item[0])))
        told = {c.id for c, _ in scored}
        return [Ranked(c, aged(c, why)) for c, (_, why) in scored] + without_figures(pool, told)


def without_figures(pool: Pool, done: set[int]) -> list[Ranked]:
    """Order what an order by figures cannot place: least confident first, then cases without a prediction by lot."""
    old = [c for c in pool.waiting if c.predicted and c.id not in done]
    # "Found nothing" comes first: in a cohort of patients it is the prediction least likely to be right.
    old.sort(key=lambda c: (-1.0 if c.confidence is None else c.confidence, c.id))
    new = Pool([c for c in pool.waiting if not c.predicted], pool.labelled, pool.names, seed=pool.seed)
    return [*(Ranked(c, known(c)) for c in old), *WithForeground().arrange(new)]


class LeastConfident(ByScore):
    """By the method's own confidence: what all predictions have, also those of older versions."""

    title = "least confident"
    summary = "Cases first in which the method's own confidence is lowest on average."

    def score(self, candidate: Candidate) -> tuple[float, str]:
        """One minus the mean confidence; 1 where nothing was found."""
        confidence = candidate.confidence
        why = (
            "the model found nothing here"
            if confidence is None
            else f"confidence {confidence:.0%} on average in what was predicted"
        )
        return 1 - (0.0 if confidence is None else confidence), why


class MostEntropy(ByScore):
    """By predictive entropy, averaged where foreground is in question: a sum would let large lesions win by size."""

    title = "most doubt"
    summary = (
        "Cases first in which the model's probabilities are least decided where there may be foreground (entropy)."
    )

    def score(self, candidate: Candidate) -> tuple[float, str] | None:
        """Mean entropy in question; 1 where the model sees nothing at all, which is least likely to be right."""
        if candidate.summary is None:
            return None
        mean = candidate.summary.in_question.mean
        if mean is None:
            return 1.0, "the model found nothing here"
        return mean, f"doubt {percent(mean)} where there may be foreground"


class MostDisagreement(ByScore):
    """By the distance between a teacher and its student, or whichever two networks the method has."""

    title = "networks disagree"
    summary = (
        "Cases first on which the method's two networks (teacher and student) differ most; for methods that have two."
    )

    def score(self, candidate: Candidate) -> tuple[float, str] | None:
        """Mean distance where either network sees foreground; 1 where neither does."""
        if candidate.summary is None or candidate.summary.disagreement is None:
            return None
        mean = candidate.summary.disagreement.mean
        if mean is None:
            return 1.0, "neither network found anything here"
        return mean, f"the two networks differ by {percent(mean)}"

    def explain(self, pool: Pool) -> str:
        """Say when the method has one network only."""
        have = [c for c in pool.waiting if c.summary is not None]
        if have and all(c.summary is not None and c.summary.disagreement is None for c in have):
            return "This method has one network, so there is nothing to disagree: least confident cases come first."
        return self.summary
