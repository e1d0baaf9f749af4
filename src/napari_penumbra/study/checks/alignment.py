"""Whether the modalities lie on each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from napari_penumbra.imaging.alignment import Alignment, Coarse, compare
from napari_penumbra.study.checks._base import Check, Figures, Finding, Offer, Picture, SeenCase, Severity

LEAST_OVERLAP = 0.6
GAIN = 0.12
"""Of what a moved copy shares. On simulated pairs in place it is below 0.02; 8 mm off it is over 0.3, 12° over 0.13."""
NOTHING = 0.015
CLEARLY = 0.15
"""Of what the mirror image shares, from where on left and right are told to be exchanged."""


class OnEachOther(Check):
    """Scans of one patient that do not lie on each other: the patient moved, or it is another patient."""

    code = "alignment"
    title = "Modalities lie on each other"
    about = (
        "Each modality against the case's first, averaged down to 2 to 4 mm: the share of the smaller foreground "
        f"(brain or body) inside the larger one (wrong below {LEAST_OVERLAP:.0%}), and whether a copy moved by up to "
        f"45 mm or turned by up to 15° shares more mutual information (told from {GAIN:.0%} more on). Pictures are "
        "left out."
    )

    def measure_pair(self, first: Coarse, other: Coarse) -> Figures | None:
        """Compare the coarse copies."""
        found = compare(first, other)
        return None if found is None else asdict(found)

    def judge(self, case: SeenCase) -> Iterable[Finding]:
        """Say which modality lies elsewhere, and where."""
        for modality, figures in case.of(self.code).items():
            seen = read_alignment(figures)
            offers = (Offer("register", modality), Offer("missing", modality), Offer("aside"))
            more = {"modality": modality, "other": case.first, "picture": Picture.PAIR, "offers": offers}
            if seen.overlap < LEAST_OVERLAP:
                yield self.found(
                    case,
                    Severity.WRONG,
                    f"{modality} and {case.first} hardly cover the same: {seen.overlap:.0%} of the smaller one's "
                    "foreground lies in the other's.",
                    "Register it, or check that both are of one patient.",
                    **more,
                )
            elif seen.gain > GAIN and not is_mirrored(seen) and (seen.distance_mm > 0 or seen.turn):
                yield self.found(
                    case,
                    Severity.LOOK,
                    f"{modality} does not lie on {case.first}: {_where(seen)} it would fit better.",
                    "Look at the picture; register it if you agree.",
                    **more,
                )
            elif seen.shared < NOTHING:
                yield self.found(
                    case,
                    Severity.NOTE,
                    f"{modality} and {case.first} have next to nothing in common: whether they fit cannot be told.",
                    "Compare them by eye.",
                    modality=modality,
                    other=case.first,
                    picture=Picture.PAIR,
                )


def read_alignment(figures: Figures) -> Alignment:
    """Take kept figures back into their type."""
    z, y, x = (float(v) for v in figures["shift_mm"])
    rest = {key: float(value) for key, value in figures.items() if key != "shift_mm"}
    return Alignment(shift_mm=(z, y, x), **rest)


def is_mirrored(seen: Alignment) -> bool:
    """Whether the mirror image clearly shares more, wherever it is moved; a shift is then no explanation."""
    return (seen.mirrored - seen.best) / max(seen.mirrored - 1.0, 1e-6) >= CLEARLY


def _where(seen: Alignment) -> str:
    words = []
    if seen.distance_mm > 0:
        words.append(f"about {max(3, round(seen.distance_mm))} mm away")
    if seen.turn:
        words.append(f"turned by about {abs(seen.turn):.0f}°")
    return " and ".join(words)
