"""What a simulated annotation loop is asked to do and what has come out of it so far, as a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from napari_penumbra.domain.errors import StudyError, UsageError
from napari_penumbra.evaluation.figures import efficiency_figure
from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.session.reader_cost import Costs
from napari_penumbra.session.robot import Work

RESULT, CURVE, SCRATCH = "result.json", "curve.svg", "study"
VERSION = 1
HEADER = ("round", "cases labelled", "voxels corrected", "if painted", "regions touched", "reader minutes", "dice")


@dataclass(frozen=True, slots=True)
class Settings:
    """What is simulated.

    Attributes
    ----------
    method, preset, config, steps, seed
        Of every training; each starts from nothing. An empty preset takes the recommended one.
    order
        In which the robot takes cases: one of `study.orders`. What it draws follows ``seed``.
    rounds, per_round
        How often it answers, and how many cases each time.
    start
        Cases painted from nothing before the first training, drawn by ``seed`` whatever the order.
    held_out
        Cases that are never shown to a training, labelled or not; drawn by ``seed``.
    costs
        What the robot's acts take.
    """

    method: str
    preset: str
    order: str
    rounds: int
    per_round: int
    start: int
    held_out: int
    steps: int | None = None
    seed: int = 0
    config: dict[str, Any] = field(default_factory=dict)
    costs: Costs = field(default_factory=Costs)


@dataclass(frozen=True, slots=True)
class Point:
    """Where a simulation stands after a round: what the reader has done so far, and the mean Dice that came of it."""

    labelled: int
    voxels: int
    minutes: float
    dice: float


@dataclass(slots=True)
class Round:
    """One training and what led to it: ``labelled`` cases in all, the ``work`` of the newest ones.

    ``train``, ``predict`` and ``proposal`` are the runs that trained, that predicted the held-out cases, and that
    predicted those from which the next round chooses; empty until they were started, the last one until it is done.
    ``dice`` has the mean of each held-out case, over classes; empty until it was scored. ``seconds`` is the time that
    training and predicting took, of the last start only.
    """

    labelled: int = 0
    work: list[Work] = field(default_factory=list)
    train: str = ""
    predict: str = ""
    proposal: str = ""
    dice: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def done(self) -> bool:
        """Whether it has been scored."""
        return bool(self.dice)

    @property
    def mean(self) -> float:
        """Mean Dice over the held-out cases."""
        return sum(self.dice.values()) / len(self.dice) if self.dice else float("nan")


@dataclass(slots=True)
class Result:
    """A simulation as far as it has come.

    Attributes
    ----------
    study
        Name of the study that was copied.
    settings
        As asked.
    held_out, start
        Names of those cases.
    method, preset
        What was chosen where the settings leave it open; empty until then.
    """

    study: str
    settings: Settings
    held_out: list[str]
    start: list[str]
    method: str = ""
    preset: str = ""
    rounds: list[Round] = field(default_factory=list)

    @property
    def scored(self) -> list[Round]:
        """The rounds that are done."""
        return [r for r in self.rounds if r.done]

    def points(self) -> list[Point]:
        """One point per finished round; counts are sums from the first round on."""
        return [
            Point(r.labelled, self._sum("corrected", n), self._seconds(n) / 60, r.mean)
            for n, r in enumerate(self.scored)
        ]

    def _seconds(self, last: int) -> float:
        """Reader seconds up to a round; in the first one cases are painted, without decisions."""
        costs = self.settings.costs
        works = (w for r in self.rounds[: last + 1] for w in r.work)
        return sum(costs.seconds(w.strokes, w.offered, w.strokes_from_nothing) for w in works)

    def _sum(self, what: str, last: int) -> int:
        return sum(getattr(work, what) for r in self.rounds[: last + 1] for work in r.work)

    def lines(self) -> list[tuple[str, ...]]:
        """Rounds as text under `HEADER`; counts are sums from the first round on."""
        return [
            (
                str(n),
                str(r.labelled),
                *(f"{self._sum(what, n):,}" for what in ("corrected", "painted", "touched")),
                f"{self._seconds(n) / 60:.1f}",
                f"{r.mean:.3f}",
            )
            for n, r in enumerate(self.scored)
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        data = asdict(self)
        for r, plain in zip(self.rounds, data["rounds"], strict=True):
            plain["mean_dice"] = r.mean if r.done else None
        return {"version": VERSION, **data}

    def write(self, folder: Path) -> None:
        """Write ``result.json`` and, once a round is done, ``curve.svg``; raises `DiskError` in words."""
        write_text(folder / RESULT, json.dumps(self.to_json(), indent=1, ensure_ascii=False))
        if not self.scored:
            return
        s = self.settings
        caption = (
            f"{len(self.held_out)} held-out cases, {s.start} painted first, {s.per_round} a round, seed {s.seed}. "
            f"Robot reader ({s.costs.words()}), each training from nothing."
        )
        painted = float(self._sum("painted", len(self.scored) - 1))
        points = [(p.labelled, p.voxels, p.minutes, p.dice) for p in self.points()]
        svg = efficiency_figure(f"{self.study}: {self.method}, order {s.order}", points, caption, painted)
        write_text(folder / CURVE, svg)


def load(folder: Path) -> Result | None:
    """Read what an earlier, interrupted simulation has left in a folder; None when there is nothing.

    Raises
    ------
    StudyError
        There is a file that is not a result of a simulation.
    """
    try:
        data = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        rounds = [_round(plain) for plain in data["rounds"]]
        return Result(
            study=str(data["study"]),
            settings=_settings(data["settings"]),
            held_out=list(data["held_out"]),
            start=list(data["start"]),
            method=str(data["method"]),
            preset=str(data["preset"]),
            rounds=rounds,
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"{folder / RESULT} is not the result of a simulation.", "Name another folder with --out.", repr(error)
        ) from error


def _settings(plain: dict[str, Any]) -> Settings:
    return Settings(**{**plain, "costs": Costs(**plain.get("costs", {}))})


def _round(plain: dict[str, Any]) -> Round:
    plain = {k: v for k, v in plain.items() if k != "mean_dice"}
    return Round(**{**plain, "work": [Work(**work) for work in plain["work"]]})


def check(settings: Settings, orders: Sequence[str], referenced: int) -> None:
    """Refuse settings that cannot be carried out with so many referenced cases, in words."""
    if settings.order not in orders:
        raise UsageError(f'There is no order called "{settings.order}".', f"Choose one of: {', '.join(orders)}.")
    needed = settings.start + settings.held_out + settings.per_round
    if settings.start < 1 or settings.held_out < 1 or referenced < needed:
        raise UsageError(
            f"{referenced} cases have reference labels; {settings.start} to start from, {settings.held_out} held out "
            f"and {settings.per_round} a round need {needed} at least.",
            "Give more references, or ask for fewer (--start, --held-out, --per-round).",
        )
