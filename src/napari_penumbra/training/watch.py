"""Watches a training for what a reader should know: flat Dice, pseudo-labels that collapse, pools that differ.

Nothing here changes what is learnt: no random number is drawn and no weight touched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_penumbra.domain.diagnosis import DIAGNOSES, Finding
from napari_penumbra.domain.spec import SpecCase
from napari_penumbra.inference.machine import Machine
from napari_penumbra.inference.plan import Plan
from napari_penumbra.methods._base import IGNORE, Method, StepBatch
from napari_penumbra.methods._functional import evaluating

FLAT_VALIDATIONS = 8
"""Validations without a new best: 40 % of a run."""
FLAT_GAIN = 0.005
"""A Dice that is better by less counts as no better: it is smaller than what two runs with other seeds differ by."""
LOW_DICE = 0.02
LOW_AFTER = 0.25
"""Share of the steps after which a Dice of nothing is told."""
LOOKS = 24
"""Steps whose unlabelled patches are kept in mind."""
LOOK_EVERY = 8
"""At most every so many steps: one forward pass without gradients, 3 % of the time at worst."""
FEWEST_PATCHES = 16
COLLAPSE_AFTER = 0.2
NOTHING, EVERYTHING = 0.01, 0.9
"""Foreground of what the model says: as a share of what labels have, and of the voxels."""
SHIFT = 0.35
"""Standard deviations. Random halves of ten simulated cases that are alike differ by 0.13 to 0.24 (three cohorts)."""
SPREADS = 3.0
ENOUGH_CASES = 4
"""Of each pool, or all of a smaller one, before the two are compared."""
_QUANTILES = (5, 25, 50, 75, 95)
_SAMPLED = 50_000

Figures = npt.NDArray[np.float64]


class Watch:
    """Collects signs and says each finding once; it may say it again after things had become better.

    Parameters
    ----------
    steps
        Of the whole run.
    between
        Steps between two validations.
    say
        Takes each finding.
    """

    def __init__(self, steps: int, between: int, plan: Plan, say: Callable[[Finding], None]) -> None:
        self.steps = steps
        self.plan = plan
        self.modalities = plan.modalities  # in the order of a case's images; a model to start from may have another
        self.say = say
        self.every = max(LOOK_EVERY, between // 4)
        self._told: set[str] = set()
        self._best = (0, -1.0)
        self._validations = self._since_best = 0
        self._looks: deque[tuple[float, float, int]] = deque(maxlen=LOOKS)
        self._spread: dict[bool, dict[str, Figures]] = {True: {}, False: {}}

    # ------------------------------------------------------------- Dice

    def validated(self, step: int, dice: float) -> None:
        """Take notice of a validation on the frozen cases."""
        self._validations += 1
        self._since_best += 1
        if dice > self._best[1] + FLAT_GAIN:
            self._best, self._since_best = (step, dice), 0
            self._told -= {"flat-dice", "flat-low"}
        best_step, best = self._best
        if best <= LOW_DICE:
            if self._validations >= 3 and step >= LOW_AFTER * self.steps:
                facts = {"dice": f"{best:.2f}", "step": f"{step:,}", "steps": f"{self.steps:,}"}
                self._once("flat-low", **facts)
        elif self._since_best >= FLAT_VALIDATIONS:
            self._once("flat-dice", since=f"{best_step:,}", dice=f"{best:.2f}")

    # ------------------------------------------------------------- pseudo-labels

    def wants_look(self, step: int) -> bool:
        """Whether the patches of this step should be looked at."""
        return step % self.every == 0 and step >= COLLAPSE_AFTER * self.steps

    def look(self, method: Method, machine: Machine, batch: StepBatch) -> None:
        """See what the model says of a step's unlabelled patches; waits for the device once."""
        if batch.unlabelled is None or batch.label is None:
            return
        with torch.random.fork_rng([machine.device] if machine.device.type == "cuda" else []), evaluating(method):
            with machine.autocast():
                said = method.predictor()(batch.unlabelled).argmax(dim=1)
            unlabelled = float((said > 0).float().mean())
        self._looks.append((unlabelled, foreground_share(batch.label), len(batch.unlabelled)))
        self._judge_looks()

    def _judge_looks(self) -> None:
        patches = sum(count for _, _, count in self._looks)
        if patches < FEWEST_PATCHES:
            return
        unlabelled, labelled = (float(np.mean([look[n] for look in self._looks])) for n in (0, 1))
        facts = {"share": _percent(unlabelled), "labelled": _percent(labelled)}
        if unlabelled < NOTHING * labelled:
            self._once("all-background", **facts)
        elif unlabelled > EVERYTHING and labelled < EVERYTHING * unlabelled:
            self._once("all-foreground", **facts)
        else:
            self._told -= {"all-background", "all-foreground"}

    # ------------------------------------------------------------- images

    def met(self, case: SpecCase, image: npt.NDArray[np.float16], labelled: bool) -> None:
        """Look at a case that is drawn from for the first time: (C, z, y, x) as the network sees it."""
        figures = []
        paths = dict(zip(self.modalities, case.images, strict=True))
        for modality, channel in zip(self.plan.modalities, image, strict=True):
            values = sample(channel)
            if paths[modality] is not None and not values.any():
                self.say(DIAGNOSES["modality-constant"].found(case.name, modality=modality))
            inside = values[values != 0]
            figures.append(np.percentile(inside, _QUANTILES) if inside.size else np.full(len(_QUANTILES), np.nan))
        self._spread[labelled][case.name] = np.array(figures)

    def compare_pools(self, labelled: int, unlabelled: int) -> None:
        """Hold the grey values of the labelled cases met so far against those of the unlabelled ones.

        Parameters
        ----------
        labelled, unlabelled
            How many there are to be met: two of many, as soon after a resume, tell nothing of their pool.
        """
        mine, others = (list(self._spread[known].values()) for known in (True, False))
        wanted = (max(2, min(ENOUGH_CASES, count)) for count in (labelled, unlabelled))
        if any(len(met) < least for met, least in zip((mine, others), wanted, strict=True)):
            return
        if "pool-unlike" in self._told:
            return
        shifts = shift(np.array(mine), np.array(others))
        if shifts:
            channel = max(shifts, key=lambda c: shifts[c])
            self._once("pool-unlike", modality=self.plan.modalities[channel], shift=f"{shifts[channel]:.1f}")

    def _once(self, code: str, **facts: Any) -> None:
        if code not in self._told:
            self._told.add(code)
            self.say(DIAGNOSES[code].found(**facts))

    # ------------------------------------------------------------- state

    def to_json(self) -> dict[str, Any]:
        """Plain data for a checkpoint; images are looked at again by whoever goes on."""
        return {
            "told": sorted(self._told),
            "best": list(self._best),
            "validations": [self._validations, self._since_best],
            "looks": [list(look) for look in self._looks],
        }

    def restore(self, data: Mapping[str, Any] | None) -> None:
        """Inverse of `to_json`; None (an older checkpoint) changes nothing."""
        if data is None:
            return
        self._told = {str(code) for code in data["told"]}
        self._best = (int(data["best"][0]), float(data["best"][1]))
        self._validations, self._since_best = (int(n) for n in data["validations"])
        self._looks.clear()
        self._looks.extend((float(u), float(share), int(n)) for u, share, n in data["looks"])


def foreground_share(label: Tensor) -> float:
    """Share of foreground among the voxels of (B, ...) that are not unknown; 0 without any."""
    known = int((label != IGNORE).sum())
    return int(((label != IGNORE) & (label > 0)).sum()) / known if known else 0.0


def sample(channel: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    """Take at most 50,000 voxels, evenly spread: percentiles of more do not differ in the second decimal."""
    flat = channel.reshape(-1)
    return flat[:: max(1, len(flat) // _SAMPLED)].astype(np.float32)


def shift(labelled: Figures, unlabelled: Figures) -> dict[int, float]:
    """Compare percentiles (cases, C, percentiles) of two pools.

    Returns
    -------
    dict
        Channel to the mean distance of the pools' medians, for channels where it is above `SHIFT` and above `SPREADS`
        times what cases of one pool differ from their pool's median.
    """
    found = {}
    for channel in range(labelled.shape[1]):
        pools = [_complete(pool[:, channel]) for pool in (labelled, unlabelled)]
        if any(len(pool) < 2 for pool in pools):
            continue
        middles = [np.median(pool, axis=0) for pool in pools]
        distance = float(np.abs(middles[0] - middles[1]).mean())
        inner = [np.abs(pool - middle).mean(axis=1) for pool, middle in zip(pools, middles, strict=True)]
        if distance > max(SHIFT, SPREADS * float(np.median(np.concatenate(inner)))):
            found[channel] = distance
    return found


def _complete(rows: Figures) -> Figures:
    return rows[~np.isnan(rows).any(axis=1)]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 or share == 0 else f"{100 * share:.3f} %"
