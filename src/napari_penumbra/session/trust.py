"""What confidence was worth so far: of the model that predicts now, on the cases that readers have corrected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.jobs.job import Job
from napari_penumbra.session.base import Base
from napari_penumbra.session.champion import taught_by
from napari_penumbra.study.calibration import Calibration
from napari_penumbra.study.store import Study


@dataclass(frozen=True, slots=True)
class _Model:
    """The training behind a run's predictions, its method, and the cases whose labels it was given."""

    id: str
    method: str
    taught: frozenset[str]


class Trust(Base):
    """Keeps the calibration of the champion's confidence."""

    def calibration(self) -> Calibration | None:
        """What the study's folder says about the champion's confidence; None without a champion or a file."""
        study = self.study
        champion = study.champion() if study is not None else None
        return study.calibration(champion) if study is not None and champion is not None else None

    def refresh_calibration(self) -> Calibration | None:
        """Take in what readers have corrected since, and write it down; None without a champion.

        Counts are taken of frozen cases and of accepted ones, each with a prediction made before any model of this
        method could learn from its label. The pieces of finished cases are counted as well, see
        `study.piece_counts`. Reads each new case once, a second or more for large ones: call it off the
        window's thread.
        """
        study = self.opened()
        study.count_pieces()
        champion = study.champion()
        if champion is None:
            return None
        known: dict[str, _Model | None] = {}
        model = self._model(study, champion, known)
        method = model.method if model is not None else ""
        usable, models = [], {}
        for pair in study.calibration_pairs():
            made_by = self._model(study, pair.run, known)
            if made_by is None or made_by.method != method:
                continue
            if not pair.held_out and pair.case in made_by.taught:
                continue
            usable.append(pair)
            models[pair.run] = made_by.id
        return study.calibrate(champion, method, usable, models)

    def _model(self, study: Study, run: str, known: dict[str, _Model | None]) -> _Model | None:
        """Find the training behind a run; None when nothing is known about it."""
        if run not in known:
            known[run] = None  # also ends a circle of orders that name each other
            # A job of its own: those of the session belong to the window's thread.
            job = Job(study.layout.run(run))
            try:
                spec = job.spec()
                if spec.kind == "predict" and spec.checkpoint:
                    known[run] = self._model(study, PurePosixPath(spec.checkpoint).parts[1], known)
                else:
                    known[run] = _Model(run, spec.method, frozenset(taught_by(job)))
            except (PenumbraError, ValueError, KeyError, TypeError, IndexError):
                # The run's folder is gone: the study still knows its method.
                row = next((row for row in study.runs() if row.id == run and row.kind == "train"), None)
                known[run] = None if row is None else _Model(run, row.method, frozenset())
        return known[run]
