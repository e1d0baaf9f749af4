"""The one loop. It never asks which method it trains."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from napari_penumbra.domain.errors import DiskError, JobError, PenumbraError
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec, SpecCase
from napari_penumbra.inference.machine import Machine, is_out_of_memory
from napari_penumbra.inference.plan import Plan
from napari_penumbra.inference.predictor import Predictor, divisor_of, free_memory, margin_of
from napari_penumbra.methods._base import Method, StepBatch, Streams
from napari_penumbra.training import checkpoint as checkpoints
from napari_penumbra.training.augment import Augment
from napari_penumbra.training.best import BestWeights
from napari_penumbra.training.cache import CaseCache
from napari_penumbra.training.checkpoint import METHOD_PREFIX, REFERENCE_PREFIX, Checkpoint
from napari_penumbra.training.data import NoCaseLeftError, PatchStream
from napari_penumbra.training.events import Tell
from napari_penumbra.training.learner import Diverged, Learner
from napari_penumbra.training.memory import Limits
from napari_penumbra.training.report import Reporter
from napari_penumbra.training.state import capture, restore
from napari_penumbra.training.validation import predict_classes, quick_selection, validate

VALIDATIONS = 20
"""A validation every 5 % of the steps."""
CHECKPOINT_SECONDS = 60.0
_SQUARE = 1.05
"""Voxels whose in-plane edges differ by less may be turned by a right angle."""


@dataclass(slots=True)
class Order:
    """What a trainer is given.

    Attributes
    ----------
    root
        The study's folder.
    checkpoints
        Where checkpoints go.
    name
        The method's name in the registry.
    method, reference
        Built, on the CPU; the reference is the supervised-only twin or None.
    stopping
        Whether the reader asked to stop; asked between steps.
    """

    root: Path
    checkpoints: Path
    spec: RunSpec
    plan: Plan
    name: str
    method: Method
    reference: Method | None
    tell: Tell
    stopping: Callable[[], bool]


class Trainer:
    """Trains a method on a study's cases until its steps are done or it is asked to stop."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.spec, self.plan, self.tell = order.spec, order.plan, order.tell
        self.step = 0
        self.steps = order.method.config.steps
        self.machine = Machine.choose(order.spec.device, order.method)
        self.learner = Learner(order.method, self.machine, order.spec.seed)
        self.reference = Learner(order.reference, self.machine, order.spec.seed) if order.reference else None
        self.limits = self._first_limits()
        self.cache = CaseCache(order.root, self.spec, self.plan)
        self._make_streams()
        self.frozen = list(self.spec.of_role("validation"))
        self.best = BestWeights(dict(self.by_prefix())) if order.method.config.keep_best else None
        self.reporter = Reporter(self.tell, self.steps, self.machine.device)
        self._saved_at: float = time.monotonic()
        self._saved_step = -1
        self._validated_step = -1
        self.figures: dict[str, float] = {}
        self._drawn: tuple[str, ...] = ()

    def _first_limits(self) -> Limits:
        network = self.order.method.predictor()
        patch = self.order.method.streams(0).patch
        return Limits(self.plan.shape, divisor_of(network, patch), margin_of(network))

    def _make_streams(self) -> None:
        seed, margin = self.spec.seed, self.limits.margin
        labelled = list(self.spec.of_role("labelled"))
        self.labelled = PatchStream(self.cache, labelled, (seed, 1), margin, True, self._dropped)
        self.labelled.survey()
        if self.labelled.empty:
            raise JobError(
                "None of the labelled cases can be read.", "See the warnings before; check the study's files."
            )
        # Unknown voxels of partially labelled cases can teach whatever unlabelled cases can.
        without = [*self.spec.of_role("unlabelled"), *self.labelled.partial_cases()]
        self.unlabelled: PatchStream | None = None
        if without:
            self.unlabelled = PatchStream(self.cache, without, (seed, 2), margin, False, self._dropped_unlabelled)
        _, height, width = self.plan.spacing
        square = max(height, width) <= _SQUARE * min(height, width)
        self.augment_labelled = Augment(torch.Generator().manual_seed(2 * seed + 1), square)
        self.augment_unlabelled = Augment(torch.Generator().manual_seed(2 * seed + 2), square)

    # ------------------------------------------------------------- the loop

    def run(self) -> bool:
        """Train.

        Returns
        -------
        bool
            False when it was stopped before the end; the checkpoint to go on from is written.
        """
        self._warn_of_little_data()
        self.reporter.resume_clock()
        while self.step < self.steps:
            if self.order.stopping():
                return self._stop()
            if self._pool_is_due() and not self._predict_pool():
                return self._stop()
            losses = self._learn()
            self.step += 1
            self.reporter.step(self.step, losses)
            if self._validation_is_due():
                self._validate()
            if self._checkpoint_is_due():
                self._save()
        self._finish()
        return True

    def _learn(self) -> dict[str, Tensor]:
        """Take one step, with less at once if memory runs out."""
        while True:
            try:
                batch = self._batch()
                losses = self.learner.learn(batch)
                if self.reference is not None and batch.image is not None:
                    alone = StepBatch(self.step, batch.image, batch.label, None)
                    said = self.reference.learn(alone)
                    losses |= {f"reference_{name}": value for name, value in said.items() if name.endswith("total")}
                return losses
            except Diverged as error:
                names = ", ".join(self._drawn)
                raise Diverged(f"{error.message} The batch held: {names}.", error.remedy) from error
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                # The traceback keeps the step's tensors alive: only after this block can they be freed.
                error.__traceback__ = None
            self._ask_for_less()

    def _batch(self) -> StepBatch:
        wanted = self.limits.fit(self.learner.method.streams(self.step))
        image, label, names = self._draw(self.labelled, wanted.labelled, wanted, self.augment_labelled)
        unlabelled, _, more = self._draw(self.unlabelled, wanted.unlabelled, wanted, self.augment_unlabelled)
        self._drawn = (*names, *more)
        return StepBatch(self.step, image, label, unlabelled)

    def _draw(
        self, stream: PatchStream | None, count: int, wanted: Streams, augment: Augment
    ) -> tuple[Tensor | None, Tensor | None, tuple[str, ...]]:
        if stream is None or stream.empty or count == 0:
            return None, None, ()
        try:
            patches = stream.draw(count, wanted.patch, wanted.foreground_share)
        except NoCaseLeftError:
            if stream.labelled:
                raise
            return None, None, ()
        image = torch.from_numpy(patches.image).to(self.machine.device)
        label = torch.from_numpy(patches.label).to(self.machine.device).long() if patches.label is not None else None
        image, label = augment(image, label)
        if self.plan.dimensions == 2:
            image, label = image.squeeze(2), label.squeeze(1) if label is not None else None
        return self.machine.tensor(image), label, patches.cases

    def _ask_for_less(self) -> None:
        for learner in self.learners():
            learner.forget_gradients()
        free_memory()
        wanted = self.learner.method.streams(self.step)
        less = self.limits.smaller(wanted)
        if less is None:
            raise JobError(
                "Even one smallest patch does not fit into memory.",
                "Close other programs, or choose the laptop preset.",
            )
        self.limits = less
        now = less.fit(wanted)
        size = " × ".join(map(str, now.patch))
        self._warn(
            f"Memory ran out: from step {self.step + 1} on {now.labelled} labelled and {now.unlabelled} unlabelled "
            f"patches of {size} voxels.",
            "Close other programs, or choose a smaller preset, to train as planned.",
        )

    # ------------------------------------------------------------- the pool

    def _pool_is_due(self) -> bool:
        pool = self.unlabelled
        return pool is not None and not pool.empty and self.learner.method.wants_pool_prediction(self.step)

    def _predict_pool(self) -> bool:
        """Look for foreground in the unlabelled cases, so that patches can be centred on it; False when stopped."""
        pool = self.unlabelled
        assert pool is not None
        predictor = self._predictor(self.learner, overlap=0.25)
        told = 0.0
        for number in range(len(pool.cases)):
            if self.order.stopping():
                return False
            if time.monotonic() - told >= 1:
                told = time.monotonic()
                self._stage(f"Looking for foreground in the unlabelled cases ({number + 1} of {len(pool.cases)})")
            pool.look_for_foreground(
                number, lambda case: np.flatnonzero(predict_classes(predictor, self.cache, case).numpy())
            )
        self.reporter.resume_clock()
        return True

    def _predictor(self, learner: Learner, overlap: float = 0.5) -> Predictor:
        wanted = self.limits.fit(learner.method.streams(self.step))
        return Predictor(learner.method.predictor(), wanted.patch, self.machine, overlap, self.plan.dimensions)

    # ------------------------------------------------------------- validation

    @property
    def _between_validations(self) -> int:
        return max(1, self.steps // VALIDATIONS)

    def _validation_is_due(self) -> bool:
        return bool(self.frozen) and self.step < self.steps and self.step % self._between_validations == 0

    def _validate(self, thorough: bool = False) -> None:
        cases = [c for c in (self.frozen if thorough else quick_selection(self.frozen)) if self._readable(c)]
        if not cases:
            return
        started = time.monotonic()
        figures = validate(self._predictor(self.learner), self.cache, cases)
        if self.reference is not None:
            twin = validate(self._predictor(self.reference), self.cache, cases)
            figures |= {f"reference_{name}": value for name, value in twin.items()}
        seconds = time.monotonic() - started
        figures |= {"cases": float(len(cases)), "seconds": seconds}
        self.figures, self._validated_step = figures, self.step
        if self.best is not None and not thorough:
            dice = {METHOD_PREFIX: figures["dice"], REFERENCE_PREFIX: figures.get("reference_dice", 0.0)}
            self.best.offer(self.step, [c.name for c in cases], {p: dice[p] for p, _ in self.by_prefix()})
        self.tell(Progress(Kind.VALIDATION, self.step, self.steps, metrics=figures))
        self.reporter.pause("validation", seconds, self._between_validations)
        self.reporter.resume_clock()

    def _readable(self, case: SpecCase) -> bool:
        """Whether a frozen case can be used; told once and left out from then on if not."""
        try:
            self.cache.image(case)
            self.cache.label(case)
        except DiskError:
            raise
        except PenumbraError as error:
            self.frozen = [c for c in self.frozen if c is not case]
            self._dropped(case, error)
            return False
        return True

    # ------------------------------------------------------------- checkpoints

    def _checkpoint_is_due(self) -> bool:
        # The first one early: a crash in the first minute then loses little.
        first = self._saved_step < 0 and self._validated_step == self.step
        return first or time.monotonic() - self._saved_at >= CHECKPOINT_SECONDS

    def _save(self) -> None:
        if self._saved_step != self.step:
            for learner in self.learners():
                learner.check_finite()
            folder = checkpoints.save(self.order.checkpoints, capture(self))
            self._saved_step = self.step
            self.tell(Progress(Kind.CHECKPOINT, self.step, self.steps, message=folder.name))
        self._saved_at = time.monotonic()
        self.reporter.resume_clock()

    def resume(self, checkpoint: Checkpoint) -> None:
        """Take over everything from a checkpoint of this run; raises `ModelError` when it does not fit."""
        restore(self, checkpoint)
        self._saved_step = self.step

    # ------------------------------------------------------------- the end

    def _stop(self) -> bool:
        self._save()
        words = f"Stopped after step {self.step} of {self.steps}; it can be resumed."
        self.tell(Progress(Kind.STOPPED, self.step, self.steps, message=words))
        return False

    def _finish(self) -> None:
        if self.frozen:
            self._return_to_best()
            self._validate(thorough=True)
        self._save()
        self.tell(Progress(Kind.FINISHED, self.step, self.steps, metrics=self.figures, message="Training is done."))

    def _return_to_best(self) -> None:
        """End with the weights of the best validation, if the method wants that; the last ones compete as well."""
        if self.best is None:
            return
        self._validate()
        self.best.put_back()
        self._saved_step = -1
        if METHOD_PREFIX in self.best.found:
            step = self.best.found[METHOD_PREFIX].step
            self._stage(f"Taking the weights of step {step}, the best on the frozen cases.")

    # ------------------------------------------------------------- words

    def by_prefix(self) -> list[tuple[str, Learner]]:
        """Learners with the names under which a checkpoint holds them."""
        return list(zip((METHOD_PREFIX, REFERENCE_PREFIX), self.learners(), strict=False))

    def learners(self) -> list[Learner]:
        """The method's learner, and the reference's if there is one."""
        return [self.learner] if self.reference is None else [self.learner, self.reference]

    def _stage(self, message: str) -> None:
        self.tell(Progress(Kind.STAGE, self.step, self.steps, message=message))

    def _warn(self, message: str, remedy: str = "", case: str = "") -> None:
        self.tell(Progress(Kind.WARNING, self.step, self.steps, case=case, message=message, remedy=remedy))

    def _dropped(self, case: SpecCase, error: PenumbraError) -> None:
        self._warn(f"Case {case.name} is left out of this training: {error.message}", error.remedy, case.name)

    def _dropped_unlabelled(self, case: SpecCase, error: PenumbraError) -> None:
        self._dropped(case, error)
        if self.unlabelled is not None and self.unlabelled.empty:
            self._warn("No unlabelled case can be read: the training goes on with the labelled ones only.")

    def _warn_of_little_data(self) -> None:
        if self.labelled.foreground_voxels == 0:
            self._warn("No labelled case has any foreground.", "Paint a lesion in at least one of them.")
        if self.unlabelled is None and self.learner.method.uses_unlabelled:
            self._warn("There are no unlabelled cases: the method learns from the labelled ones only.")
