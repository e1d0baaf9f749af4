"""Measure models on the frozen cases: all by the same code, on each case's own voxels, against its annotation."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_penumbra.domain.errors import JobError, PenumbraError
from napari_penumbra.domain.frozen import FROZEN_FILE, MODELS_FILE, CaseFigures, FrozenFigures
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec, SpecCase
from napari_penumbra.evaluation.metrics import score
from napari_penumbra.imaging.atomic import write_text
from napari_penumbra.imaging.files import read_labels
from napari_penumbra.training.events import EventLog

if TYPE_CHECKING:
    from napari_penumbra.training.service.loading import Loaded


def measure(folder: Path) -> int:
    """Measure the models that ``models.json`` names on the cases of ``job.json``; say how it ended, whatever happens.

    Parameters
    ----------
    folder
        Of the measurement, in a study's ``runs``. What is found goes into each model's own folder.

    Returns
    -------
    int
        The exit code.
    """
    from napari_penumbra.training.worker import StopRequest, in_words

    tell = EventLog(folder / "events.jsonl")
    try:
        tell(Progress(Kind.STARTED, message="Comparing models on the frozen cases."))
        done = _measure(folder, tell, StopRequest(folder / "stop"))
        tell(Progress(Kind.FINISHED if done else Kind.STOPPED))
        return 0
    except PenumbraError as error:
        said = error
    except ModuleNotFoundError as error:
        said = JobError(f"The training part is not installed: {error.name} is missing.", "Install it.")
    except Exception as error:  # noqa: BLE001 - the last word must be said whatever went wrong
        said = in_words(error)
    traceback.print_exc(file=sys.stderr)
    tell(Progress(Kind.FAILED, message=said.message, remedy=said.remedy))
    return said.exit_code


def _measure(folder: Path, tell: Callable[[Progress], None], stopping: Callable[[], bool]) -> bool:
    from napari_penumbra.training.build import read_spec
    from napari_penumbra.training.service.loading import Holder
    from napari_penumbra.training.worker import _use_threads

    spec = read_spec(folder)
    _use_threads(spec.threads)
    holder, runs = Holder(), folder.parent
    models: dict[str, str] = json.loads((folder / MODELS_FILE).read_text(encoding="utf-8"))
    steps, step = len(models) * len(spec.cases), 0
    for run, checkpoint in models.items():
        for case in spec.cases:
            if stopping():
                return False
            step += 1
            tell(Progress(Kind.STAGE, step, steps, case=case.name, message=f"{run}: {case.name}"))
            known = FrozenFigures.read(runs / run, checkpoint)
            if known.known(case) is None:
                model = holder.get(runs / run / "checkpoints" / checkpoint, spec.device)
                found = CaseFigures(case.label or "", case.key, dice_of(runs.parent, model, spec, case))
                after = FrozenFigures(checkpoint, {**known.cases, case.name: found})
                write_text(runs / run / FROZEN_FILE, after.to_text())
    return True


def dice_of(root: Path, model: Loaded, spec: RunSpec, case: SpecCase) -> dict[int, float]:
    """Predict a frozen case and compare it with its annotation; nothing of the prediction is kept.

    Parameters
    ----------
    root
        The study's folder.

    Returns
    -------
    dict
        Label value to Dice, by `napari_penumbra.evaluation.metrics.score`.

    Raises
    ------
    PenumbraError
        The model does not fit the study, or a file of the case cannot be read.
    """
    from napari_penumbra.inference.cases import check_fit, read_case_images
    from napari_penumbra.inference.confidence import answer
    from napari_penumbra.methods._functional import evaluating

    if case.label is None:
        raise JobError(f"The frozen case {case.name} has no annotation.", "Close it as complete.")
    check_fit(model.plan, spec)
    image = read_case_images(root, case, spec.modalities, model.plan)
    probability = model.predictor.probabilities(image)
    with evaluating(model.method):
        said = answer(model.method, image, probability, model.plan, case.grid.array_shape).labels
    truth = spec.labels.check(read_labels(root / case.label).volume.data, f"The annotation of case {case.name}")
    scores = score(said, truth, case.grid.scale, spec.labels.values)
    return {value: scores[value].dice for value in spec.labels.values}
