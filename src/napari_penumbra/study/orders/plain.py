"""Orders that ask no model: as added, at random, and at random where foreground is likely."""

from __future__ import annotations

import statistics
from collections import Counter

from napari_penumbra.study.orders._base import Candidate, Order, Pool, Ranked, aged, percent

WITHOUT = 0.5
"""Weight in the draw of a case that probably holds no foreground, against 1: two of three places go to those that do.

Random choice that prefers places with foreground is the baseline that learned orders rarely beat in 3D (nnActive, Lüth
et al., arXiv 2511.19183, which names mixtures of a third and of two thirds)."""
ENOUGH = 0.1
"""Of the middle labelled case's foreground: a prediction of less counts as holding none."""


class AsAdded(Order):
    """The order of the files."""

    title = "as added"
    summary = "In the order in which the cases were added."

    def arrange(self, pool: Pool) -> list[Ranked]:
        """Leave everything where it is."""
        return [Ranked(c, known(c)) for c in pool.waiting]


class AtRandom(Order):
    """A draw; every case is as likely as any other."""

    title = "at random"
    summary = "Drawn by lot, the same for everybody: the fair baseline to compare other orders with."

    def arrange(self, pool: Pool) -> list[Ranked]:
        """Draw."""
        return [Ranked(c, "drawn at random") for c in sorted(pool.waiting, key=pool.draw)]


class WithForeground(Order):
    """A draw that prefers cases which probably hold something to outline.

    With a prediction, a case holds foreground when a tenth of the middle labelled case's share was predicted. Before
    any prediction nothing is known of where foreground lies, and no label tells one unlabelled case from another; what
    does differ is how much was imaged: a scan that covers less than others, or lacks a modality, is less likely to show
    it, and is less use to a model that wants all modalities. So its weight falls with the volume it covers.
    """

    title = "at random, foreground likely"
    summary = (
        "Drawn by lot, but cases in which the model sees something to outline come twice as often; before there is a "
        "model, whole scans with all modalities do."
    )
    needs_predictions = True

    def arrange(self, pool: Pool) -> list[Ranked]:
        """Draw with weights."""
        usual = statistics.median(c.volume_ml for c in pool.waiting) if pool.waiting else 0.0
        lacking = Counter(m for c in pool.waiting for m in c.row.missing)
        # What most cases lack is the cohort's affair and sets nobody apart.
        rare = {m for m, n in lacking.items() if 2 * n <= len(pool.waiting)}
        enough = ENOUGH * usual_share(pool)
        weighed = [(c, *self._weigh(c, usual, enough, rare)) for c in pool.waiting]
        weighed.sort(key=lambda item: pool.exponential(item[0], item[1]))
        return [Ranked(c, reason) for c, _, reason in weighed]

    def _weigh(self, c: Candidate, usual: float, enough: float, rare: set[str]) -> tuple[float, str]:
        if c.summary is not None:
            share = c.summary.foreground
            if share > enough:
                return 1.0, aged(c, f"at random; foreground predicted in {percent(share)} of it")
            return WITHOUT, aged(c, "at random; hardly any foreground predicted")
        if c.predicted:
            if c.confidence is not None:
                return 1.0, aged(c, "at random; foreground predicted")
            return WITHOUT, aged(c, "at random; the model found nothing here")
        covered = min(1.0, c.volume_ml / usual) if usual > 0 else 1.0
        missing = [m for m in c.row.missing if m in rare]
        if missing:
            return WITHOUT * covered, f"at random; without {', '.join(missing)}, so less likely"
        if covered < 0.75:
            return covered, "at random; covers less than the other scans, so less likely"
        return covered, "not begun, drawn at random"


def usual_share(pool: Pool) -> float:
    """Share of a case that the middle predicted one has as foreground; 0 when nothing was predicted yet."""
    known_ones = [c for c in (*pool.labelled, *pool.waiting) if c.summary is not None]
    shares = [c.summary.foreground for c in known_ones if c.summary is not None and c.summary.foreground > 0]
    return statistics.median(shares) if shares else 0.0


def known(c: Candidate) -> str:
    """Say what is known of a waiting case, whatever the order."""
    if not c.predicted:
        return "not begun"
    if c.confidence is None:
        return aged(c, "the model found nothing here")
    return aged(c, f"confidence {c.confidence:.0%} on average in what was predicted")
