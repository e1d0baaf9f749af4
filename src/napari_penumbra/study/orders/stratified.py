"""Doubt class by class, with chance that fades: after ClaSP PE (Lüth et al., arXiv 2601.13677).

From the paper come the two ideas: the classes are queried separately, so that a small structure is not drowned by a
large one, and the logarithm of the score gets noise that fades as the annotation proceeds, so that the first queries
are not all alike. What differs here: whole cases are chosen and not patches, classes take turns (the one with the
fewest labelled voxels first), the score is the mean entropy in what was predicted as the class, one more turn goes to
cases in which nothing was predicted, and the schedule below is ours. So published results of ClaSP PE do not carry
over.
"""

from __future__ import annotations

import math

from napari_penumbra.domain.labels import BACKGROUND
from napari_penumbra.study.orders._base import Candidate, Order, Pool, Ranked, aged, percent
from napari_penumbra.study.orders.doubt import without_figures

FIRST_POWER, LAST_POWER = 1.0, 100.0
"""Power of the score in the draw: at 1, twice the doubt is twice as likely; at 100 hardly anything but the greatest."""
FULL_AT = 0.5
"""Share of labelled cases from which on chance plays no part."""
_LEAST = 1e-6
_NOTHING = -1


def power_of(labelled_share: float) -> float:
    """Power at a share of labelled cases, growing evenly on a logarithmic scale; infinite from `FULL_AT` on."""
    if labelled_share >= FULL_AT:
        return math.inf
    return FIRST_POWER * (LAST_POWER / FIRST_POWER) ** (max(0.0, labelled_share) / FULL_AT)


class ByClass(Order):
    """Each class in turn takes the case that it is most in doubt about, with chance that fades."""

    title = "most doubt, class by class"
    summary = (
        "The classes take turns, the rarest first, each with a case that the model doubts it in; chance keeps the "
        "first ones from being all alike and fades as more are labelled."
    )
    needs_predictions = True

    def arrange(self, pool: Pool) -> list[Ranked]:
        """Go round the classes until all cases with figures are placed."""
        power = power_of(pool.labelled_share)
        queues = {value: _queue(pool, value, power) for value in (*self._turns(pool), _NOTHING)}
        placed: set[int] = set()
        result: list[Ranked] = []
        while any(queues.values()):
            for value, queue in queues.items():
                while queue and queue[-1][0].id in placed:
                    queue.pop()
                if queue:
                    candidate, doubt = queue.pop()
                    placed.add(candidate.id)
                    result.append(Ranked(candidate, aged(candidate, _words(pool, value, doubt))))
        return result + without_figures(pool, placed)

    def explain(self, pool: Pool) -> str:
        """Name the class that is first, and how much chance there is."""
        turns = self._turns(pool)
        first = pool.names.get(turns[0], f"class {turns[0]}") if turns else "the only class"
        power = power_of(pool.labelled_share)
        chance = "chance plays no part any more" if math.isinf(power) else "chance still plays a part"
        if len(turns) < 2:
            return f"By doubt in what was predicted as {first}; {chance}."
        return f"By doubt, the {len(turns)} classes in turn, {first} first (least labelled so far); {chance}."

    @staticmethod
    def _turns(pool: Pool) -> list[int]:
        values = {v for c in pool.waiting if c.summary is not None for v in c.summary.classes} - {BACKGROUND}
        return sorted(values, key=lambda value: (pool.class_voxels.get(value, 0), value))


def _queue(pool: Pool, value: int, power: float) -> list[tuple[Candidate, float]]:
    """Cases of one class by noisy score, the best one last."""
    found = [(c, doubt) for c in pool.waiting if (doubt := _doubt(c, value)) is not None]
    keys = {c.id: math.log(max(doubt, _LEAST)) + _gumbel(pool, c, value) / power for c, doubt in found}
    return sorted(found, key=lambda item: keys[item[0].id])


def _doubt(candidate: Candidate, value: int) -> float | None:
    summary = candidate.summary
    if summary is None:
        return None
    if value == _NOTHING:
        return summary.in_question.mean or _LEAST if summary.foreground == 0 else None
    tally = summary.classes.get(value)
    return tally.mean if tally is not None else None


def _gumbel(pool: Pool, candidate: Candidate, value: int) -> float:
    """Noise that turns "the largest sum" into a draw in proportion to the score's power (Gumbel-max)."""
    return -math.log(pool.exponential(candidate, 1.0, f"class {value}") or _LEAST)


def _words(pool: Pool, value: int, doubt: float) -> str:
    if value == _NOTHING:
        return "the model found nothing here"
    return f"doubt {percent(doubt)} in {pool.names.get(value, f'class {value}')}"
