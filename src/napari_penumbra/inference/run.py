"""Predict the cases of a run, one after the other, in the order that the reader needs them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_penumbra.domain.errors import DiskError, JobError, PenumbraError
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec, SpecCase
from napari_penumbra.inference.cases import check_fit, read_case_images
from napari_penumbra.inference.confidence import answer
from napari_penumbra.inference.features import DeepestLayer
from napari_penumbra.inference.machine import is_out_of_memory
from napari_penumbra.inference.plan import Plan
from napari_penumbra.inference.predictor import Predictor, free_memory
from napari_penumbra.inference.summary import summarise
from napari_penumbra.inference.writing import write_answer
from napari_penumbra.methods._base import Method
from napari_penumbra.methods._functional import evaluating


@dataclass(slots=True)
class PredictionRun:
    """One prediction over many cases.

    Parameters
    ----------
    root
        The study's folder.
    name
        The run's id: it names the files.
    tell
        Takes each event.
    stopping
        Whether the reader asked to stop; asked between cases.
    """

    root: Path
    name: str
    spec: RunSpec
    method: Method
    plan: Plan
    predictor: Predictor
    tell: Callable[[Progress], None]
    stopping: Callable[[], bool]

    def run(self) -> bool:
        """Predict until all cases are done or a stop is asked for; tells the last event.

        A case that cannot be read is told and passed over.

        Returns
        -------
        bool
            False when it was stopped before the end.
        """
        check_fit(self.plan, self.spec)
        cases, done, started = self.spec.cases, 0, time.monotonic()
        for number, case in enumerate(cases):
            if self.stopping():
                self._end(Kind.STOPPED, done, f"Stopped after {number} of {len(cases)} cases.")
                return False
            eta = (time.monotonic() - started) / number * (len(cases) - number) if number else None
            done += self.predict_one(case, number + 1, eta)
        left = len(cases) - done
        words = f"{done} of {len(cases)} cases predicted" + (f", {left} could not be." if left else ".")
        self._end(Kind.FINISHED, done, words)
        return True

    def _end(self, kind: Kind, done: int, words: str) -> None:
        self.tell(Progress(kind, done, len(self.spec.cases), message=words))

    def predict_one(self, case: SpecCase, number: int, eta: float | None) -> bool:
        """Predict one case and tell; False, and a warning, when it cannot be."""
        total = len(self.spec.cases)
        started = time.monotonic()
        try:
            sidecar = self._predict(case)
        except DiskError:
            raise  # the next case would not fit either
        except PenumbraError as error:
            self.tell(Progress(Kind.WARNING, number, total, case=case.name, message=error.message, remedy=error.remedy))
            return False
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            free_memory()
            words = f"Case {case.name} needs more memory than there is."
            self.tell(Progress(Kind.WARNING, number, total, case=case.name, message=words, remedy=_MEMORY_REMEDY))
            return False
        figures = {"seconds": time.monotonic() - started}
        self.tell(
            Progress(Kind.CASE_DONE, number, total, metrics=figures, eta_seconds=eta, case=case.name, message=sidecar)
        )
        return True

    def _predict(self, case: SpecCase) -> str:
        missing = [m for m, path in zip(self.spec.modalities, case.images, strict=True) if path is None]
        if set(missing) >= set(self.plan.modalities):
            raise JobError(
                f"Case {case.name} has none of the images that the model was trained on.",
                f"Add {', '.join(self.plan.modalities)}.",
            )
        image = read_case_images(self.root, case, self.spec.modalities, self.plan)
        with DeepestLayer(self.predictor.network).watching() as deepest:
            probability = self.predictor.probabilities(image)
        with evaluating(self.method):
            result = answer(self.method, image, probability, self.plan, case.grid.array_shape)
            summary = summarise(self.method, self.predictor, image, probability, self.plan, deepest)
        return str(write_answer(self.root, case, self.name, result, self.method.confidence_words(), summary))


_MEMORY_REMEDY = "Close other programs, or predict it on a machine with more memory."
