"""Whether the grey values are like those of the other cases."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np

from napari_penumbra.imaging.alignment import foreground
from napari_penumbra.study.checks._base import (
    Check,
    Figures,
    Finding,
    Offer,
    Picture,
    Scan,
    SeenCase,
    Severity,
    parts,
)

FEWEST = 6
PERCENTILES = (5, 25, 50, 75, 95)
FAR = 8.0
GAIN = 5.0
"""Smaller factors between cases are the gain of a scanner, which every case is normalised for."""
FLOOR = 0.05
"""Least spread that counts, relative to the cohort's range: cases that are all alike make no outlier of a whisker."""
UNITS = (10.0, 100.0, 1000.0, 1e6)
_NEAR = 0.15
Profile = tuple[float, ...]


class Intensities(Check):
    """Cases whose grey values are far from the cohort's: other units, another scaling, another modality."""

    code = "intensities"
    title = "Grey values like the others"
    about = (
        f"The {', '.join(map(str, PERCENTILES))}th percentiles inside the foreground against the cohort's, from "
        f"{FEWEST} cases on: robust z = (value − median) / (1.4826 × median absolute deviation), told above {FAR:.0f} "
        f"in the middle of the five, unless a factor below {GAIN:.0f} explains it (a scanner's gain, which is "
        "normalised away). A factor of 10, 100, 1,000 or a million is told as other units; two modalities "
        "that fit each other's cohort are told as exchanged."
    )

    def measure_scan(self, scan: Scan) -> Figures | None:
        """Take percentiles of the foreground of the coarse copy."""
        small = scan.small.data
        inside = small.ravel() if scan.small.flat else small[foreground(scan.small)]
        if inside.size < 20:
            return None
        return {"percentiles": [float(v) for v in np.percentile(inside, PERCENTILES)]}

    def judge_cohort(self, cases: Sequence[SeenCase]) -> Iterable[Finding]:
        """Compare every case with the others."""
        cohort = parts(cases, self.code)
        profiles = {m: [tuple(f["percentiles"]) for _, f in listed] for m, listed in cohort.items()}
        usual = {m: _usual(listed) for m, listed in profiles.items() if len(listed) >= FEWEST}
        swapped: set[str] = set()
        for case in cases:
            mine = {m: tuple(f["percentiles"]) for m, f in case.of(self.code).items() if m in usual}
            pair = _exchanged(mine, usual)
            if pair is not None:
                swapped.add(case.name)
                yield self._exchange(case, *pair)
                continue
            for modality, profile in mine.items():
                if _z(profile, usual[modality]) > FAR and not _only_gain(profile, usual[modality]):
                    beside = _most_usual(cohort[modality], usual[modality])
                    yield self._outlier(case, modality, profile, usual[modality][0], beside)

    def _exchange(self, case: SeenCase, one: str, other: str) -> Finding:
        return self.found(
            case,
            Severity.WRONG,
            f"{one} and {other} seem to be exchanged: each has the grey values that the other has in the other cases.",
            "Look at both; if you agree, swap them.",
            modality=one,
            other=other,
            picture=Picture.PAIR,
            offers=(Offer("swap", one, other), Offer("aside")),
        )

    def _outlier(self, case: SeenCase, modality: str, profile: Profile, middle: Profile, beside: str) -> Finding:
        top, usual = profile[-1], middle[-1]
        factor = _factor(profile, middle)
        units = next((u for u in UNITS if factor and _near(factor, u)), 0.0)
        if units:
            times = f"{units:,.0f} times {'larger' if factor > 1 else 'smaller'}"
            words = f"{modality} is about {times} than in the other cases: it seems to be in other units."
        else:
            words = (
                f"The grey values of {modality} are unlike those of the other cases: {profile[2]:.4g} in the middle "
                f"and {top:.4g} at the bright end, usually {middle[2]:.4g} and {usual:.4g}."
            )
        return self.found(
            case,
            Severity.LOOK,
            words,
            "Check that it is the right file; add it again in the usual units, or mark it as missing.",
            modality=modality,
            beside=beside if beside != case.name else "",
            picture=Picture.BESIDE,
            offers=((Offer("missing", modality),) if len(case.images) > 1 else ()) + (Offer("aside"),),
        )


def _usual(profiles: Sequence[Profile]) -> tuple[Profile, Profile]:
    """Median profile of a cohort and its robust spread."""
    table = np.array(profiles)
    middle = np.median(table, axis=0)
    spread = 1.4826 * np.median(np.abs(table - middle), axis=0)
    least = FLOOR * max(float(np.ptp(middle)), 1e-9)
    return tuple(map(float, middle)), tuple(map(float, np.maximum(spread, least)))


def _z(profile: Profile, usual: tuple[Profile, Profile]) -> float:
    """Robust z of the middle one of the percentiles: two strange ones of five are a lesion, not another scan."""
    return float(np.median(np.abs(np.array(profile) - usual[0]) / np.array(usual[1])))


def _exchanged(mine: Mapping[str, Profile], usual: Mapping[str, tuple[Profile, Profile]]) -> tuple[str, str] | None:
    """Two modalities of a case each of which fits the other's cohort, one of them by far better than its own."""
    for one, other in combinations(mine, 2):
        own = max(_z(mine[one], usual[one]), _z(mine[other], usual[other]))
        exchanged = max(_z(mine[one], usual[other]), _z(mine[other], usual[one]))
        if own > FAR and exchanged < min(FAR, own) / 2:
            return one, other
    return None


def _factor(profile: Profile, middle: Profile) -> float:
    """By how much all values are larger, from the middle percentiles; 0 where signs differ or a value is 0."""
    ratios = [a / b for a, b in zip(profile[1:4], middle[1:4], strict=True) if b]
    return float(np.median(ratios)) if len(ratios) == 3 and min(ratios) > 0 else 0.0


def _only_gain(profile: Profile, usual: tuple[Profile, Profile]) -> bool:
    """Whether a scanner's gain explains the difference: a factor that normalisation takes out."""
    factor = _factor(profile, usual[0])
    if not 1 / GAIN < factor < GAIN:
        return False
    return _z(tuple(v / factor for v in profile), usual) <= FAR


def _near(factor: float, units: float) -> bool:
    return abs(abs(math.log10(factor)) - math.log10(units)) < _NEAR


def _most_usual(listed: Sequence[tuple[SeenCase, Figures]], usual: tuple[Profile, Profile]) -> str:
    return min(listed, key=lambda one: _z(tuple(one[1]["percentiles"]), usual))[0].name
