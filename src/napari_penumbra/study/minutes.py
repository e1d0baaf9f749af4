"""What finished cases tell about the work: time per case, time saved, and whether to stop. Plain computations."""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from napari_penumbra.domain.case import Closing

LAST = 5
"""Cases that the stop rule looks at, and by-hand cases that time is compared with."""
FEWEST_BY_HAND = 2
"""Below this many timed by-hand cases there is nothing to compare with."""
SMALL_SHARE = 0.02
"""Of the foreground: two readers of one case hardly agree better than that, so less is not worth a reader's time."""
QUICK_SECONDS = 60.0
"""What a look at a case takes: in the left atrium study of Cho et al. (JKMS 2022;37(36):e271), correcting took 37 s in
the end. More than this is work, however little it changes."""
FALLING = 0.8
"""If the last cases needed more than this share of the changes of those before them, corrections no longer fall."""


@dataclass(frozen=True, slots=True)
class Finished:
    """One finished case.

    Attributes
    ----------
    reviewed
        Whether it started from a prediction; else it was painted by hand.
    seconds
        Active reader seconds in all, pauses dropped.
    strokes
        Changes that the reader made; None where an older version did not count them.
    changed
        Voxels that differ from the prediction, or all that were painted.
    foreground
        Voxels that are foreground in the prediction or in the result; 0 where an older version did not count them and
        nothing was painted.
    decided
        Regions decided on, by verdict.
    dice
        Of the prediction against the result, mean over classes; None for cases painted by hand.
    model
        Training that made the prediction; empty when there was none or it is not known.
    author
        Who closed it. Never shown or exported without being asked for.
    """

    case: str
    closed: dt.datetime
    reviewed: bool
    closing: Closing
    seconds: float
    strokes: int | None
    changed: int
    foreground: int
    decided: Mapping[str, int]
    dice: float | None
    model: str = ""
    author: str = ""

    @property
    def share(self) -> float | None:
        """Changed voxels as a share of the foreground; 1 for a case painted by hand, None where there is none."""
        if not self.foreground:
            return None if self.changed else 0.0
        return min(1.0, self.changed / self.foreground)


@dataclass(frozen=True, slots=True)
class Saved:
    """Reader time saved by correcting instead of painting.

    Attributes
    ----------
    by_hand
        Seconds that a case takes by hand: the median of the first timed ones.
    of
        How many those were.
    cases
        Corrected cases that were timed.
    seconds
        Saved in all; negative when correcting took longer.
    """

    by_hand: float
    of: int
    cases: int
    seconds: float


def time_saved(done: Sequence[Finished]) -> Saved | None:
    """Estimate the time saved against the first by-hand cases of the study.

    An estimate: the first cases are also those in which the reader learns the task.

    Returns
    -------
    Saved or None
        None with fewer than `FEWEST_BY_HAND` timed by-hand cases, or without a timed corrected one.
    """
    by_hand = [f.seconds for f in done if not f.reviewed and f.seconds > 0][:LAST]
    corrected = [f.seconds for f in done if f.reviewed and f.seconds > 0]
    if len(by_hand) < FEWEST_BY_HAND or not corrected:
        return None
    usual = statistics.median(by_hand)
    return Saved(usual, len(by_hand), len(corrected), sum(usual - s for s in corrected))


@dataclass(frozen=True, slots=True)
class Advice:
    """Whether to go on labelling: ``stop`` is None while that is not known; ``words`` say it and why."""

    stop: bool | None
    words: str


def stop_rule(done: Sequence[Finished]) -> Advice:
    """Say whether labelling more cases is worth the reader's time.

    Only cases that a reader has looked at count: accepting predictions unseen, which takes no time, proves nothing.
    Stop when, over the last `LAST` corrected cases, the mean share of changed voxels is at most `SMALL_SHARE` and the
    mean time at most `QUICK_SECONDS`, or a third of the time by hand where that is known and longer.
    """
    reviewed = [f for f in done if f.reviewed and f.share is not None and f.seconds > 0]
    if len(reviewed) < LAST:
        return Advice(None, f"Not yet known whether to stop: {len(reviewed)} of {LAST} corrected cases.")
    last, before = reviewed[-LAST:], reviewed[-2 * LAST : -LAST]
    seconds, share = statistics.mean(f.seconds for f in last), _share(last)
    needed = f"The last {LAST} cases needed {_time(seconds)} and {_percent(share)} of voxels each on average"
    saved = time_saved(done)
    quick = QUICK_SECONDS if saved is None else max(QUICK_SECONDS, saved.by_hand / 3)
    if share <= SMALL_SHARE and seconds <= quick:
        return Advice(True, f"{needed}: you can stop.")
    if share <= SMALL_SHARE:
        return Advice(False, f"{needed}: little is wrong, but looking takes long. Accept what is sure with Shift+A.")
    if len(before) == LAST and share > FALLING * _share(before):
        return Advice(
            False,
            f"{needed}, hardly less than the {LAST} before ({_percent(_share(before))}): train again, longer or with "
            "another method, before you label more.",
        )
    return Advice(False, f"{needed}: go on.")


def _share(cases: Sequence[Finished]) -> float:
    return statistics.mean(f.share for f in cases if f.share is not None)


def moving_median(values: Sequence[float], window: int = LAST) -> list[float]:
    """Median of each value and those before it, at most ``window`` of them: a steady line through noisy dots."""
    return [statistics.median(values[max(0, n + 1 - window) : n + 1]) for n in range(len(values))]


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "under 1 %" if share > 0 else "0 %"
