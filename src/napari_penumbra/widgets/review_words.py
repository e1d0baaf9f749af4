"""The sentences of the Review page."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from napari_penumbra.domain.regions import Region
from napari_penumbra.evaluation.track_record import TrackRecord
from napari_penumbra.session.words import share
from napari_penumbra.widgets.review_controller import ReviewController
from napari_penumbra.widgets.review_progress import Amount
from napari_penumbra.widgets.trust_words import percent, such

_SAMPLE = 1_000_000


class ReviewWords:
    """Says how a review stands.

    Parameters
    ----------
    review
        What is reviewed; `agreement` and the others may be asked only while a case is.
    record
        What confidence was worth so far.
    """

    def __init__(self, review: ReviewController, record: TrackRecord) -> None:
        self.review = review
        self.record = record
        case = review.case
        self._pixels = case is not None and case.grid.is_picture
        self._voxel_ml = 0.0 if case is None else case.grid.voxel_ml

    def amount(self, voxels: int) -> Amount:
        """So many voxels of the shown case."""
        return Amount(voxels, voxels * self._voxel_ml, self._pixels)

    def agreement(self) -> str:
        """How far the labels are from the prediction: plain words before an edit, a Dice after."""
        progress = self.review.progress
        if progress is None or not progress.edited:
            return "as predicted"
        dice = progress.dice
        if dice is None:
            return "edited"
        if dice == 1:
            return "as predicted where known"
        return f"Dice to your last edit {'over .99' if dice >= 0.995 else share(dice)}"

    def agreement_tip(self) -> str:
        """What that means."""
        progress = self.review.progress
        if progress is None or not progress.edited:
            return "Nothing has been changed in this case since the model predicted it."
        return "Agreement of the prediction with your labels as they now stand; unknown voxels are left out."

    def threshold(self, level: float, covered: float) -> str:
        """What the confidence at the slider is worth; ``covered`` is the share of the case that is at least so sure."""
        above, at = self.record.above(level), self.record.at(level)
        if above is None and at is None:
            return f"{percent(covered)} of the voxels are surer; {such(None, self.record)}."
        here = "have not been corrected often enough" if at is None else f"turned out right in {percent(at.right)}"
        surer = "" if above is None else f"; surer ones ({percent(covered)} of this case) in {percent(above.right)}"
        return f"Voxels about this sure {here}{surer}."

    def current(self) -> str:
        """What is looked at, and why."""
        review = self.review
        if review.current is None or review.current >= len(review.regions):
            return ""
        region = review.regions[review.current]
        verdict = "" if region.verdict is None else f" ({region.verdict.value})"
        against = f": {region.against}" if region.against else ""
        return f"{review.current + 1}: {region.why}{verdict}{against}, {self._worth(region)}"

    def _worth(self, region: Region) -> str:
        sure, right = percent(region.confidence), self.record.at(region.confidence)
        # That it is not yet known, and why, stands above the list already.
        return f"{sure} sure." if right is None else f"{sure} sure; {such(right, self.record)}."

    def progress(self) -> str:
        """How much is decided, left and unknown."""
        review = self.review
        total, left = len(review.regions), review.undecided
        if review.loading:
            return "Looking for weak regions…"
        if not total:
            return f"No weak region at this threshold{self._unknown()}: look through the slices, then accept the case."
        if not left:
            return f"All {total} decided{self._unknown()}: accept the case."
        rest = Amount(
            sum(review.regions[n].voxels for n in left), sum(review.regions[n].ml for n in left), self._pixels
        )
        return f"{total - len(left)} of {total} decided · {rest.size} left{self._unknown()}"

    def _unknown(self) -> str:
        count = self.review.progress.unknown if self.review.progress is not None else 0
        if not count:
            return ""
        return f" · unknown: {self.amount(count).size}" + ("" if self._pixels else f" ({count:,} voxels)")

    def hidden(self) -> str:
        """What is not listed; empty when all is."""
        hidden = self.review.hidden
        if not hidden.regions or self.review.loading:
            return ""
        places = "1 more place is" if hidden.regions == 1 else f"{hidden.regions:,} more places are"
        size = Amount(hidden.voxels, hidden.ml, self._pixels)
        sure = "" if hidden.confidence is None else f", {percent(hidden.confidence)} sure"
        return f"{places} not listed: {size}{sure}. They stay as they are."

    def on_accepting(self) -> str:
        """What "Accept case" takes along undecided, unknown or unlisted."""
        review, parts = self.review, []
        left, hidden = len(review.undecided), review.hidden.regions
        if left:
            parts.append(f"{left} regions have no verdict: they are taken as they stand.")
        if hidden:
            parts.append(f"{hidden:,} places that are not listed are taken as they stand.")
        count = review.progress.unknown if review.progress is not None else 0
        if count:
            parts.append(f"{self.amount(count)} stay unknown: they teach nothing wrong.")
        return " ".join(parts)


def surer_shares(confidence: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Share of the voxels that are at least as sure as 0, 0.01, … 0.99: a hundred numbers.

    Of a large case about a million voxels are counted: the share is the same to a tenth of a percent, and the case
    stands on the screen a quarter of a second earlier.
    """
    step = max(1, confidence.size // _SAMPLE)
    while math.gcd(step, confidence.shape[-1]) > 1:  # or the sample would be a few columns of every row
        step += 1
    some = confidence.ravel()[::step]
    levels, _ = np.histogram(some, bins=100, range=(0.0, 1.0))
    shares: npt.NDArray[np.float64] = np.cumsum(levels[::-1])[::-1] / max(1, some.size)
    return shares
