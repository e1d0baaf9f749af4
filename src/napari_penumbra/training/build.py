"""From a run's folder to what the worker runs."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from napari_penumbra.domain.errors import JobError, ModelError
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.inference.machine import Machine
from napari_penumbra.inference.plan import Plan
from napari_penumbra.inference.predictor import Predictor
from napari_penumbra.inference.run import PredictionRun
from napari_penumbra.methods._base import Method
from napari_penumbra.training import checkpoint as checkpoints
from napari_penumbra.training.checkpoint import load_method
from napari_penumbra.training.crew import Crew
from napari_penumbra.training.events import Tell
from napari_penumbra.training.learning_on import PoolFile
from napari_penumbra.training.plan import configure, problem_of
from napari_penumbra.training.starting import begin_from, plan_of, starting_model
from napari_penumbra.training.trainer import Order, Trainer


def read_spec(run: Path) -> RunSpec:
    """Read a run's order; raises `JobError` in words."""
    try:
        data = json.loads((run / "job.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise JobError(
            "The run's job.json cannot be read.", "Start a new run from the Train page.", repr(error)
        ) from error
    if not isinstance(data, dict):
        raise JobError("The run's job.json is not an order to the worker.", "Start a new run from the Train page.")
    return RunSpec.from_json(data)


def study_of(run: Path) -> Path:
    """Folder of the study that a run belongs to: ``<study>/runs/<id>``."""
    return run.parent.parent


def make_method(spec: RunSpec, plan: Plan) -> Method:
    """Build the order's method on the CPU with weights that depend on the seed only."""
    kind, config = configure(spec)
    random.seed(spec.seed)
    np.random.seed(spec.seed % 2**32)
    torch.manual_seed(spec.seed)
    return kind(config, problem_of(plan))


def make_reference(method: Method) -> Method | None:
    """Build the supervised-only twin, None for a method that is supervised itself or has no twin."""
    from napari_penumbra.methods.supervised import Supervised

    return Supervised.twin_of(method)


def make_trainer(
    run: Path, spec: RunSpec, tell: Tell, stopping: Callable[[], bool], *, resume: bool, crew: Crew | None = None
) -> Trainer:
    """Prepare a training, from the start, from another model's weights, or from its own last checkpoint.

    Parameters
    ----------
    crew
        The processes that train together; None for one alone.
    """
    crew = crew or Crew()
    spec = dataclasses.replace(spec, device=crew.device(spec.device))
    folder = run / "checkpoints"
    saved = _newest_usable(folder, tell) if resume else None
    # The plan of the checkpoint: the networks know that grid and no other.
    start = starting_model(study_of(run), spec) if saved is None else None
    plan = saved.plan if saved is not None else plan_of(spec, start)
    method = make_method(spec, plan)
    if start is not None:
        tell(Progress(Kind.STAGE, message=begin_from(method, spec.method, start)))
    elif saved is None:
        method.start()
    reference = make_reference(method) if spec.reference else None
    asked = crew.agreed(stopping)
    order = Order(study_of(run), folder, spec, plan, spec.method, method, reference, tell, asked, crew, PoolFile(run))
    trainer = Trainer(order)
    trainer.watch.modalities = spec.modalities
    if saved is not None:
        trainer.resume(saved)
    elif resume:
        words = "There is no checkpoint to go on from: the training starts at step 0."
        tell(Progress(Kind.WARNING, 0, trainer.steps, message=words))
    return trainer


def _newest_usable(folder: Path, tell: Tell) -> checkpoints.Checkpoint | None:
    """Load the newest checkpoint that is whole; tell of each that is not."""
    problem: ModelError | None = None
    for path in checkpoints.candidates(folder):
        try:
            return checkpoints.load(path)
        except ModelError as error:
            problem = error
            tell(Progress(Kind.WARNING, message=error.message, remedy="The one before is tried instead."))
    if problem is not None:
        raise ModelError("No checkpoint of this run can be read.", "Start a new run.", problem.details)
    return None


def make_prediction(run: Path, spec: RunSpec, tell: Tell, stopping: Callable[[], bool]) -> PredictionRun:
    """Prepare a prediction with the order's checkpoint."""
    if spec.checkpoint is None:
        raise JobError("The order to predict names no checkpoint.", "Train a model first.")
    root = study_of(run)
    method, plan, state = load_method(root / spec.checkpoint)
    machine = Machine.choose(spec.device, method)
    machine.place(method)
    method.eval()
    z, y, x = (int(n) for n in state["patch"])
    predictor = Predictor(method.predictor(), (z, y, x), machine, spatial_dims=plan.dimensions)
    return PredictionRun(root, run.name, spec, method, plan, predictor, tell, stopping)
