"""Confidence of many predicted cases as one table: does it know when it is wrong, and can its numbers be believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from napari_penumbra.evaluation.calibration import (
    NEAR_MM,
    Reliability,
    Tally,
    fit_isotonic,
    fit_temperature,
    reliability,
    scaled,
)

HEADER = ("case", "confidence if right", "if wrong", "ece", "ece scaled", "temperature", "ece isotonic", "note")
CONFIDENCE_DEFINITIONS = {
    "confidence if right, if wrong": "mean confidence of the voxels whose label is the reference's, and of the others, "
    f"within {NEAR_MM:.0f} mm of predicted or true foreground",
    "ece": "expected calibration error: mean gap between confidence and the share of right voxels, 15 bins",
    "ece scaled": "the same after temperature scaling; the temperature was fitted on other cases than the one it is "
    "applied to. It leaves a confidence of 0.5 where it is, so it cannot mend one whose 0 stands for a coin toss",
    "ece isotonic": "the same with the rising step function nearest to the share of right voxels, fitted likewise",
}


@dataclass(frozen=True)
class CaseConfidence:
    """Figures of one case; None where there is nothing to average or nothing to fit a temperature on."""

    right: float | None
    wrong: float | None
    ece: float | None
    ece_scaled: float | None
    temperature: float | None
    ece_isotonic: float | None


@dataclass(frozen=True)
class ConfidenceTable:
    """Confidence of the evaluated cases.

    Attributes
    ----------
    tallies
        Case to its voxels.
    validation
        Voxels of the frozen validation cases, on which the temperature is fitted; None when they have no prediction.
        Then each case gets the temperature of all *other* cases.
    """

    tallies: Mapping[str, Tally]
    validation: Tally | None = None

    @cached_property
    def total(self) -> Tally:
        """All evaluated voxels."""
        return Tally.total(self.tallies.values())

    def _others(self, case: str) -> Tally | None:
        """Voxels on which what is applied to a case is fitted; None when there are none."""
        if self.validation is not None:
            return self.validation
        rest = [tally for name, tally in self.tallies.items() if name != case]
        return Tally.total(rest) if rest else None

    @cached_property
    def rows(self) -> dict[str, CaseConfidence]:
        """Figures of every case."""
        return {case: self._row(case, tally) for case, tally in self.tallies.items()}

    def _row(self, case: str, tally: Tally) -> CaseConfidence:
        others = self._others(case)
        temperature = None if others is None else fit_temperature(others)
        after = None if temperature is None else reliability(tally, values=scaled(temperature)).error
        isotonic = None if others is None else reliability(tally, values=fit_isotonic(others)).error
        before = reliability(tally).error
        return CaseConfidence(tally.mean_right, tally.mean_wrong, before, after, temperature, isotonic)

    @cached_property
    def before(self) -> Reliability:
        """Reliability diagram of all evaluated voxels as predicted."""
        return reliability(self.total)

    @cached_property
    def after(self) -> Reliability | None:
        """The same with the temperature of the validation cases or, without them, of all cases.

        In the second case the diagram shows the fit itself; the rows of the table are honest about it, case by case.
        """
        if self.validation is None and len(self.tallies) < 2:
            return None
        return reliability(self.total, values=scaled(fit_temperature(self.validation or self.total)))

    @cached_property
    def everything(self) -> CaseConfidence:
        """Figures of all voxels together; the mended errors are means over cases, weighted by their voxels."""
        total = self.total
        return CaseConfidence(
            right=total.mean_right,
            wrong=total.mean_wrong,
            ece=self.before.error,
            ece_scaled=self._mean("ece_scaled"),
            temperature=None,
            ece_isotonic=self._mean("ece_isotonic"),
        )

    def _mean(self, figure: str) -> float | None:
        known = [
            (error, self.tallies[case].n)
            for case, row in self.rows.items()
            if (error := getattr(row, figure)) is not None
        ]
        n = sum(weight for _, weight in known)
        return sum(error * weight for error, weight in known) / n if n else None

    def lines(self) -> list[tuple[str, ...]]:
        """Cells as text under `HEADER`: one line per case, then all voxels together."""
        lines = [(case, *_cells(row), "" if _tells(self.tallies[case]) else _NOT) for case, row in self.rows.items()]
        return [*lines, ("all voxels", *_cells(self.everything), "" if _tells(self.total) else _NOT)]

    def to_json(self) -> dict[str, Any]:
        """Plain data: cases, all voxels, the diagram."""
        total, after = self.total, self.after
        return {
            "definitions": CONFIDENCE_DEFINITIONS,
            "temperature_from": "validation cases" if self.validation is not None else "the other evaluated cases",
            "cases": {
                case: {
                    "voxels": self.tallies[case].n,
                    "mean_right": row.right,
                    "mean_wrong": row.wrong,
                    "ece": row.ece,
                    "ece_scaled": row.ece_scaled,
                    "temperature": row.temperature,
                    "ece_isotonic": row.ece_isotonic,
                }
                for case, row in self.rows.items()
            },
            "all": {
                "voxels": total.n,
                "mean_right": total.mean_right,
                "mean_wrong": total.mean_wrong,
                "right_exceeds_wrong": total.tells,
                "ece": self.before.error,
                "ece_scaled": self.everything.ece_scaled,
                "ece_isotonic": self.everything.ece_isotonic,
            },
            "reliability": _diagram(self.before),
            "reliability_scaled": None if after is None else _diagram(after),
        }


_NOT = "no surer where right"


def _tells(tally: Tally) -> bool:
    return tally.tells is not False


def _cells(row: CaseConfidence) -> tuple[str, ...]:
    cells = [_cell(value) for value in (row.right, row.wrong, row.ece, row.ece_scaled)]
    return (*cells, _cell(row.temperature, 2), _cell(row.ece_isotonic))


def _cell(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _diagram(found: Reliability) -> list[dict[str, float | int]]:
    bins = zip(found.edges, found.edges[1:], found.count, found.confidence, found.right, strict=False)
    return [
        {"from": float(a), "to": float(b), "voxels": int(n), "confidence": float(c), "right": float(r)}
        for a, b, n, c, r in bins
        if n
    ]
