"""The one loop. It never asks which method it trains."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from napari_penumbra.domain.diagnosis import DIAGNOSES, Finding, find_leaks, leak_findings
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
from napari_penumbra.training.crew import Crew
from napari_penumbra.training.data import NoCaseLeftError, PatchStream, Places
from napari_penumbra.training.data_findings import find_in_data
from napari_penumbra.training.events import Tell
from napari_penumbra.training.learner import Diverged, Learner
from napari_penumbra.training.learning_on import LearningOn, News
from napari_penumbra.training.memory import Limits
from napari_penumbra.training.pausing import Pausing
from napari_penumbra.training.report import Reporter
from napari_penumbra.training.room import Room, bytes_of
from napari_penumbra.training.state import capture, restore
from napari_penumbra.training.validation import predict_classes, quick_selection, validate
from napari_penumbra.training.watch import Watch

VALIDATIONS = 20
"""A validation every 5 % of the steps."""
CHECKPOINT_SECONDS = 60.0
FIRST_CHECKPOINT_SECONDS = 15.0


def no_news() -> None:
    """Say that the pool has not changed: what a training without a window hears."""


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
    crew
        The processes that train together; `stopping` is what they agree on.
    news
        Gives the text of the pool when it has changed; asked between validations.
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
    crew: Crew = field(default_factory=Crew)
    news: News = no_news


class Trainer:
    """Trains a method on a study's cases until its steps are done or it is asked to stop."""

    def __init__(self, order: Order) -> None:
        self.order, self.crew = order, order.crew
        self.spec, self.plan, self.tell = order.spec, order.plan, order.tell
        self.step = 0
        self.steps = order.method.config.steps
        self.machine = Machine.choose(order.spec.device, order.method)
        seed, twin = order.spec.seed, order.reference
        self.learner = self.crew.learner(order.method, self.machine, seed)
        self.reference = self.crew.learner(twin, self.machine, seed) if twin is not None else None
        self.limits = self._first_limits()
        self.cache = CaseCache(order.root, self.spec, self.plan)
        self.leaks = find_leaks(self.spec.cases)
        self.watch = Watch(self.steps, self._between_validations, self.plan, self.find)
        self._make_streams()
        run = order.checkpoints.parent
        self.learning_on = LearningOn(self, run, order.news)
        self.pausing = Pausing(run)
        self._pause_asked = self.crew.agreed(self.pausing.asked)
        self._room_short = self.crew.agreed(lambda: self.room.short)
        self._interrupted = self.crew.agreed(lambda: self.pausing.asked() or self.room.look())
        self.frozen = list(self.spec.of_role("validation"))
        self.best = BestWeights(dict(self.by_prefix())) if order.method.config.keep_best else None
        self.room = Room(order.checkpoints, self.spec.disk_reserve, self._checkpoint_bytes())
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

    def _checkpoint_bytes(self) -> int:
        """Size of a checkpoint: weights, two moments of each, and those of the best validation."""
        copies = 3 if self.best is None else 4
        return copies * sum(bytes_of(learner.weights().values()) for learner in self.learners())

    def _make_streams(self) -> None:
        self.crew.prepare(self.cache, self.spec.cases)
        seed, margin = self.spec.seed, self.limits.margin
        labelled = self._teaching("labelled")
        self.labelled = PatchStream(self.cache, labelled, (seed, 1), margin, True, self._dropped)
        self.labelled.met = lambda case, image: self.watch.met(case, image, labelled=True)
        self.labelled.survey()
        if self.labelled.empty:
            for finding in leak_findings(self.leaks):
                self.find(finding)
            raise JobError(
                "None of the labelled cases can be read.", "See the warnings before; check the study's files."
            )
        # Unknown voxels of partially labelled cases can teach whatever unlabelled cases can.
        without = [*self._teaching("unlabelled"), *self.labelled.partial_cases()]
        self.unlabelled: PatchStream | None = self.unlabelled_stream(without) if without else None
        config, spacing = self.order.method.config, self.plan.spacing
        self.augment_labelled = Augment.of(config, spacing, 2 * seed + 1)
        self.augment_unlabelled = Augment.of(config, spacing, 2 * seed + 2)

    def _teaching(self, role: str) -> list[SpecCase]:
        """Cases of a role, but for scans that are the same as a frozen one."""
        return [case for case in self.spec.of_role(role) if case.name not in self.leaks]

    def unlabelled_stream(self, cases: list[SpecCase]) -> PatchStream:
        """Make the stream of patches without labels; it may begin empty, for cases that are taken back."""
        seed = (self.spec.seed, 2)
        stream = PatchStream(self.cache, cases, seed, self.limits.margin, False, self._dropped_unlabelled)
        stream.met = lambda case, image: self.watch.met(case, image, labelled=False)
        return stream

    # ------------------------------------------------------------- the loop

    def run(self) -> bool:
        """Train.

        Returns
        -------
        bool
            False when it was stopped before the end; the checkpoint to go on from is written.
        """
        self._tell_of_the_data()
        self.reporter.resume_clock()
        while self.step < self.steps:
            if self._interrupted() and not self._step_aside():
                return False
            if self.order.stopping():
                return self._stop()
            if self._pool_is_due() and not self._predict_pool():
                return self._stop()
            losses = self._learn()
            self.step += 1
            self.reporter.step(self.step, losses)
            if self._validation_is_due():
                self._validate()
            if self._between():
                self.learning_on.look()
                self.watch.compare_pools(len(self.labelled.cases), len(self.unlabelled.cases) if self.unlabelled else 0)
                if self.labelled.empty:
                    return self._stop("Every labelled case was taken back: nothing is left to learn from.")
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
                if self.watch.wants_look(self.step):
                    self.watch.look(self.learner.method, self.machine, batch)
                if self.reference is not None and batch.image is not None:
                    alone = StepBatch(self.step, batch.image, batch.label, None)
                    said = self.reference.learn(alone)
                    losses |= {f"reference_{name}": value for name, value in said.items() if name.endswith("total")}
                return losses
            except Diverged as error:
                names = ", ".join(self._drawn)
                raise Diverged(f"{error.message} The batch held: {names}.", error.remedy) from error
            except (RuntimeError, MemoryError) as error:
                # Others may be waiting for an answer of this very step: several begin again, see `less`.
                if not is_out_of_memory(error) or self.crew.size > 1:
                    raise
                # The traceback keeps the step's tensors alive: only after this block can they be freed.
                error.__traceback__ = None
            self._ask_for_less()

    def _batch(self) -> StepBatch:
        wanted = self.limits.fit(self.learner.method.streams(self.step))
        image, label, names = self._draw(self.labelled, wanted.labelled, wanted, self.augment_labelled)
        unlabelled, _, more = self._draw(self.unlabelled, wanted.unlabelled, wanted, self.augment_unlabelled)
        self._drawn = (*names, *more)
        self.crew.note(self.step, self._drawn)
        return StepBatch(self.step, image, label, unlabelled)

    def _draw(
        self, stream: PatchStream | None, count: int, wanted: Streams, augment: Augment
    ) -> tuple[Tensor | None, Tensor | None, tuple[str, ...]]:
        if stream is None or stream.empty or count == 0:
            return None, None, ()
        try:
            drawn, part = count * self.crew.size, self.crew.part(count)
            patches = stream.draw(drawn, wanted.patch, wanted.foreground_share, part)
        except NoCaseLeftError:
            if stream.labelled:
                raise
            return None, None, ()
        image = self.crew.gather(torch.from_numpy(patches.image).to(self.machine.device))
        label = None
        if patches.label is not None:
            label = self.crew.gather(torch.from_numpy(patches.label).to(self.machine.device)).long()
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
        self.tell_of_less()

    def tell_of_less(self) -> None:
        """Say what a step asks for since memory ran out."""
        now = self.limits.fit(self.learner.method.streams(self.step))
        size = " × ".join(map(str, now.patch))
        counts = {"labelled": now.labelled, "unlabelled": now.unlabelled}
        self.find(DIAGNOSES["memory"].found("", step=self.step + 1, size=size, **counts))

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

        def foreground(case: SpecCase) -> Places:
            return np.flatnonzero(predict_classes(predictor, self.cache, case).numpy())

        look = self.crew.ahead(foreground, pool.cases)
        for number in range(len(pool.cases)):
            if self.order.stopping():
                return False
            if time.monotonic() - told >= 1:
                told = time.monotonic()
                self._stage(f"Looking for foreground in the unlabelled cases ({number + 1} of {len(pool.cases)})")
            pool.look_for_foreground(number, look)
        self.reporter.resume_clock()
        return True

    def _predictor(self, learner: Learner, overlap: float = 0.5) -> Predictor:
        wanted = self.limits.fit(learner.method.streams(self.step))
        return Predictor(learner.method.predictor(), wanted.patch, self.machine, overlap, self.plan.dimensions)

    # ------------------------------------------------------------- validation

    @property
    def _between_validations(self) -> int:
        return max(1, self.steps // VALIDATIONS)

    def _between(self) -> bool:
        """Whether this is the place between two validations, where the pool may change."""
        return self.step < self.steps and self.step % self._between_validations == 0

    def _validation_is_due(self) -> bool:
        return bool(self.frozen) and self._between()

    def _validate(self, thorough: bool = False) -> None:
        cases = [c for c in (self.frozen if thorough else quick_selection(self.frozen)) if self._readable(c)]
        if not cases:
            return
        started = time.monotonic()
        figures = validate(self._predictor(self.learner), self.cache, cases, self.crew.share)
        if self.reference is not None:
            twin = validate(self._predictor(self.reference), self.cache, cases, self.crew.share)
            figures |= {f"reference_{name}": value for name, value in twin.items()}
        seconds = time.monotonic() - started
        figures |= {"cases": float(len(cases)), "seconds": seconds}
        self.figures, self._validated_step = figures, self.step
        if self.best is not None and not thorough:
            dice = {METHOD_PREFIX: figures["dice"], REFERENCE_PREFIX: figures.get("reference_dice", 0.0)}
            self.best.offer(self.step, [c.name for c in cases], {p: dice[p] for p, _ in self.by_prefix()})
        self.tell(Progress(Kind.VALIDATION, self.step, self.steps, metrics=figures))
        if not thorough:
            self.watch.validated(self.step, figures["dice"])
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
        # The first one early, with the first validation or without any: a crash in the first minute then loses little.
        if self._saved_step < 0 and self._validated_step == self.step:
            return True
        patience = FIRST_CHECKPOINT_SECONDS if self._saved_step < 0 else CHECKPOINT_SECONDS
        return time.monotonic() - self._saved_at >= patience

    def _save(self) -> None:
        if self._saved_step != self.step:
            for learner in self.learners():
                learner.check_finite()
            self._saved_step = self.step
            if self.crew.leads:
                folder = checkpoints.save(self.order.checkpoints, capture(self))
                self.tell(Progress(Kind.CHECKPOINT, self.step, self.steps, message=folder.name))
        self._saved_at = time.monotonic()
        self.reporter.resume_clock()

    def resume(self, checkpoint: Checkpoint) -> None:
        """Take over everything from a checkpoint of this run; raises `ModelError` when it does not fit."""
        restore(self, checkpoint)
        self._saved_step = self.step

    # ------------------------------------------------------------- the end

    def _step_aside(self) -> bool:
        """Wait while the reader wants the machine; False when the disk is nearly full and the training has ended."""
        if self._room_short():
            self._stop_for_room()
            return False
        if self._pause_asked():
            self._save()
            self.pausing.wait(self, self._pause_asked, self.order.stopping)
            self.reporter.resume_clock()
        return True

    def _stop(self, why: str = "") -> bool:
        self._save()
        words = why or f"Stopped after step {self.step} of {self.steps}; it can be resumed."
        self.tell(Progress(Kind.STOPPED, self.step, self.steps, message=words))
        return False

    def _stop_for_room(self) -> None:
        """End in order while there still is room, with a checkpoint if that fits as well."""
        if self.room.fits():
            self._save()
        words, code = self.room.finding(), "disk"
        self.tell(Progress(Kind.STOPPED, self.step, self.steps, message=words.message, remedy=words.remedy, about=code))

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

    def find(self, finding: Finding) -> None:
        """Tell the reader what was found."""
        event = Progress(Kind.WARNING, self.step, self.steps, about=finding.code)
        self.tell(replace(event, case=finding.case, message=finding.message, remedy=finding.remedy))

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

    def _tell_of_the_data(self) -> None:
        for finding in find_in_data(self.spec, self.plan, self.labelled.class_voxels(), self.leaks):
            self.find(finding)
        if self.unlabelled is None and self.learner.method.uses_unlabelled:
            self._warn("There are no unlabelled cases: the method learns from the labelled ones only.")
