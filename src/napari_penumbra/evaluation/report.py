"""Scores of many cases as one table: per case, per class and the mean, for a person and for a program."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from napari_penumbra.evaluation.confidence import ConfidenceTable
from napari_penumbra.evaluation.metrics import FIGURES, Scores

DEFINITIONS = {
    "dice": "2|A∩B| / (|A|+|B|), per case over the whole volume, then averaged over cases",
    "jaccard": "|A∩B| / |A∪B|",
    "hd": "largest surface distance in mm, both directions",
    "hd95": "larger of the two directed 95th percentiles of the surface distances in mm (MONAI's definition)",
    "hd95_pooled": "95th percentile of both directions' surface distances thrown together in mm (medpy's definition)",
    "assd": "mean of both directions' surface distances thrown together in mm",
    "assd_mean_of_means": "mean of the two directed mean surface distances in mm",
    "surface": "voxels of a mask with a face neighbour outside it (6-connectivity)",
    "empty": "both masks empty: Dice 1 and no distance; one empty: Dice 0, distances are the image's diagonal in mm "
    "and the case counts as missed (nothing predicted) or spurious (nothing there)",
    "unknown": "voxels of value 255 in either volume are left out of both",
}
SHOWN = ("dice", "jaccard", "hd", "hd95", "assd")


@dataclass(frozen=True, slots=True)
class CaseScores:
    """One case: value of a class to its figures."""

    case: str
    classes: dict[int, Scores]


@dataclass(frozen=True, slots=True)
class Mean:
    """Average of one class over cases. ``figures`` has None where no case had one; ``n`` says how many counted."""

    figures: dict[str, float | None]
    n: dict[str, int]
    missed: int
    spurious: int


@dataclass(frozen=True, slots=True)
class Table:
    """Scores of a study.

    Attributes
    ----------
    rows
        One entry per case.
    names
        Value to name of each class.
    source
        What was scored: ``prediction`` or ``annotation``.
    skipped
        Cases without a result or a reference.
    confidence
        How far the predictions' confidence can be believed; None for annotations.
    """

    rows: tuple[CaseScores, ...]
    names: dict[int, str]
    source: str = "prediction"
    skipped: tuple[str, ...] = ()
    confidence: ConfidenceTable | None = None

    def mean(self, value: int) -> Mean:
        """Average one class over the cases in which a figure is defined."""
        scores = [row.classes[value] for row in self.rows if value in row.classes]
        figures: dict[str, float | None] = {}
        counts: dict[str, int] = {}
        for name in FIGURES:
            known = [float(x) for s in scores if (x := getattr(s, name)) is not None]
            figures[name] = sum(known) / len(known) if known else None
            counts[name] = len(known)
        return Mean(figures, counts, sum(s.missed for s in scores), sum(s.spurious for s in scores))

    def to_json(self) -> dict[str, Any]:
        """Plain data: cases, mean, definitions."""
        return {
            "source": self.source,
            "units": "mm",
            "definitions": DEFINITIONS,
            "classes": {str(value): name for value, name in self.names.items()},
            "cases": {row.case: {str(v): asdict(s) for v, s in row.classes.items()} for row in self.rows},
            "mean": {str(value): self._mean_json(value) for value in self.names},
            "skipped": list(self.skipped),
            **({} if self.confidence is None else {"confidence": self.confidence.to_json()}),
        }

    def _mean_json(self, value: int) -> dict[str, Any]:
        mean = self.mean(value)
        return {**mean.figures, "missed": mean.missed, "spurious": mean.spurious, "n": mean.n}

    @property
    def header(self) -> tuple[str, ...]:
        """Column titles that go with `lines`."""
        return ("case", "class", "dice", "jaccard", "hd mm", "hd95 mm", "assd mm", "note")

    def lines(self) -> list[tuple[str, ...]]:
        """Cells as text: one line per case and class, then one mean per class."""
        lines = []
        for row in self.rows:
            for value, s in row.classes.items():
                note = "missed" if s.missed else "spurious" if s.spurious else ""
                figures = (_cell(name, getattr(s, name)) for name in SHOWN)
                lines.append((row.case, self.names.get(value, str(value)), *figures, note))
        for value, name in self.names.items():
            mean = self.mean(value)
            parts = [f"{len(self.rows)} cases"]
            parts += [f"{count} {word}" for word in ("missed", "spurious") if (count := getattr(mean, word))]
            lines.append(("mean", name, *(_cell(f, mean.figures[f]) for f in SHOWN), ", ".join(parts)))
        return lines


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if name in ("dice", "jaccard") else f"{value:.2f}"
