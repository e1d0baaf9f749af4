"""Co-learning with hybrid cropping (Zhang 2024, "Semi-supervised Medical Image Segmentation with Hybrid Cropping in a
Multi-Model Co-learning Framework"): two students that mix annotated with unannotated patches, one teacher.

Both students learn from annotated patches (Eq. 3), from each other's and from their teacher's hard labels (Eqs. 4 to
10), and from patches mixed by a box, labelled by the annotation on one side and by the teacher on the other (Eqs. 11
to 17). The teacher is the weighted moving average of both students' weights (Eq. 1), and predicts.

What the paper leaves open or contradicts, and how it is settled:

- It names a different backbone for each model, but Eq. 1 averages their weights. All three have one architecture, and
  the students the same starting weights: the average of two networks that start apart knows nothing. What makes them
  differ is what they see: each its own mix, dropout, noise.
- Its Eq. 13 puts the annotation on the other side of the box than Eq. 11 its image: corrected, see `_mixing`.
- Eqs. 15 to 17 give each student one of the two mixes; ``mix_for`` can give both to both.
- The teacher labels whole unlabelled patches, which are then cut: a cut-out region alone has lost its context.
- Eq. 1 does not give alpha and beta: 0.005 each, more in the first steps. Running statistics of batch normalisations
  are averaged like weights.
- All losses at full weight from step 0 teach the noise of random networks. Unless ``faithful`` is set, supervised
  steps come first, never more than half of the run, and the weights are ramped up after them. Both students would do
  the same in these steps, as they start equal: one network is run, and counts for both.

One optimiser lowers Eq. 18 over both students. Neither's gradient touches the other's weights, so two optimisers would
do the same, but each student's labels for the other would have to be computed once more.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from napari_penumbra.methods._base import IGNORE, Losses, Method, MethodConfig, Phase, Problem, StepBatch, Streams
from napari_penumbra.methods._co_learning_config import CO_LEARNING_PRESETS, CoLearningConfig
from napari_penumbra.methods._contrast import vary_contrast
from napari_penumbra.methods._dense import dense_softmax
from napari_penumbra.methods._functional import (
    add_noise,
    average_into,
    centre_crop,
    freeze,
    gaussian_ramp,
    masked_cross_entropy,
    one_hot,
    soft_dice_loss,
    warm_decay,
)
from napari_penumbra.methods._mixing import (
    Cut,
    Mixed,
    largest_components,
    masked_mse,
    mix_across,
    mix_labelled,
    pseudo_label,
)
from napari_penumbra.methods._recipe import (
    make_network,
    optimiser_of,
    patch_for,
    schedule_of,
    streams_of,
)


class CoLearning(Method):
    """Two students and their average; one file for the paper, see the module's docstring."""

    title = "Co-learning with mixed crops"
    summary = (
        "Two networks teach each other and learn from patches pasted together from annotated and other cases; "
        "take it for one organ with few annotated cases."
    )
    paper = (
        "Zhang. Semi-supervised Medical Image Segmentation with Hybrid Cropping in a Multi-Model Co-learning "
        "Framework. 2024."
    )
    confidence_means = (
        "How far the class shown leads in the mean probability of teacher and both students: 1 when all three are "
        "certain of it, 0 where they tie or the students together would rather show another. It is not calibrated."
    )
    Config: ClassVar[type[MethodConfig]] = CoLearningConfig
    dimensions: ClassVar[tuple[int, ...]] = (3, 2)
    presets: ClassVar[dict[str, dict[str, Any]]] = CO_LEARNING_PRESETS

    config: CoLearningConfig

    def __init__(self, config: MethodConfig, problem: Problem) -> None:
        super().__init__(config, problem)
        self.student1 = make_network(self.config, problem)
        self.student2 = copy.deepcopy(self.student1) if self.config.same_start else make_network(self.config, problem)
        self.teacher = freeze(copy.deepcopy(self.student1))
        self.patch = patch_for(self.config, problem, self.student1)
        self.cut = Cut(self.config.box_share, self.config.full_depth_below)

    @property
    def pretrain_steps(self) -> int:
        """Supervised steps first: none as published, never more than half of the run."""
        return 0 if self.config.faithful else min(self.config.pretrain_steps, self.config.steps // 2)

    def train(self, mode: bool = True) -> CoLearning:
        """Switch the students to training or evaluation; the teacher always evaluates."""
        super().train(mode)
        self.teacher.eval()
        return self

    def streams(self, step: int) -> Streams:
        """No unlabelled patches in the supervised steps."""
        return streams_of(self.config, self.patch, self.config.unlabelled_batch if step >= self.pretrain_steps else 0)

    def phases(self) -> tuple[Phase, ...]:
        """One optimiser over both students; the teacher has none."""
        parameters = [*self.student1.parameters(), *self.student2.parameters()]
        return (Phase("students", parameters, optimiser_of(self.config), self._losses, schedule_of(self.config)),)

    def wants_pool_prediction(self, step: int) -> bool:
        """Ask for it when the supervised steps are done, and every ``refresh_steps`` from then on."""
        since = step - self.pretrain_steps
        if since <= 0 or self.config.foreground_share == 0:
            return since == 0 and self.pretrain_steps > 0 and self.config.foreground_share > 0
        return self.config.refresh_steps > 0 and since % self.config.refresh_steps == 0

    def after_step(self, step: int) -> None:
        """Move the teacher (Eq. 1) towards both students, buffers included."""
        if self._as_one(step):
            # Weights are equal already; running statistics are those of the network that was run.
            average_into(self.student2, self.student1, 0.0)
        first, second = self.teacher_rates(step)
        # Two steps that together keep 1 - first - second of the teacher.
        if second < 1:
            average_into(self.teacher, self.student1, 1 - first / (1 - second))
        average_into(self.teacher, self.student2, 1 - second)

    def teacher_rates(self, step: int) -> tuple[float, float]:
        """Alpha and beta of Eq. 1 at a step: larger at first, as `warm_decay` says."""
        first, second = self.config.student1_rate, self.config.student2_rate
        both = first + second
        scale = (1 - warm_decay(step, 1 - both)) / both
        return first * scale, second * scale

    def ramp(self, step: int) -> float:
        """Share of their full weight that the losses with unlabelled cases have at a step."""
        return 1.0 if self.config.faithful else gaussian_ramp(step - self.pretrain_steps, self.config.ramp_steps)

    def predictor(self) -> nn.Module:
        """The teacher; the paper does not say which of the three."""
        return self.teacher

    def segmenter(self) -> nn.Module:
        """The first student."""
        return self.student1

    def labelled_loss(self, logits: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Dice loss of Eq. 3 for one student, with cross entropy in the presets that want it."""
        return self._segmentation_loss(logits, label, with_entropy=self.config.labelled_loss == "dice_ce")

    def confidence(self, image: Tensor, probability: Tensor) -> Tensor:
        """Lead of the class shown, in the mean probability of teacher and both students, over the best other class.

        1 when all three are certain of it, 0 where they tie or where the students outvote the teacher. The lead rather
        than the probability, so that 0 means undecided with any number of classes; the mean of three rather than the
        teacher alone, because the students were kept apart to err differently. Not calibrated.
        """
        students = [dense_softmax(s, image, self.patch).to(probability.device) for s in (self.student1, self.student2)]
        mean = (probability + students[0] + students[1]) / 3
        shown = probability.argmax(1, keepdim=True)
        others = mean.scatter(1, shown, -1.0).amax(1)
        return (mean.gather(1, shown).squeeze(1) - others).clamp(0, 1)

    # ------------------------------------------------------------- losses

    def _as_one(self, step: int) -> bool:
        return self.config.same_start and step < self.pretrain_steps

    def _losses(self, batch: StepBatch) -> Losses | None:
        labelled = batch.image is not None and batch.label is not None
        if batch.step >= self.pretrain_steps and batch.unlabelled is not None:
            return self._co_learning(batch, batch.unlabelled, labelled)
        return self._supervised(batch) if labelled else None

    def _supervised(self, batch: StepBatch) -> Losses:
        """Eq. 3, and in the supervised steps the same on annotated patches mixed with each other."""
        assert batch.image is not None
        assert batch.label is not None
        image, label = batch.image, batch.label
        mixing = self.config.pretrain_mixing and batch.step < self.pretrain_steps
        mixed = mix_labelled(image, label, self.cut) if mixing else None
        sums = _Sums()
        as_one = self._as_one(batch.step)
        for student in [self._both_students] if as_one else [self.student1, self.student2]:
            views = {"labelled": image} if mixed is None else {"labelled": image, "mixed": mixed.image}
            logits = _at_once(student, views)
            loss, parts = self.labelled_loss(logits["labelled"], label)
            sums.add(loss, parts, share=1.0 if as_one else 0.5)
            if mixed is not None:
                on_mixed, _ = self.labelled_loss(logits["mixed"], mixed.label)
                sums.add(self.config.mix_weight * on_mixed, {"mix": on_mixed.detach()}, share=1.0 if as_one else 0.5)
        # One network has counted for both students: the value of Eq. 3 is twice its loss, each one's gradient is not.
        total = sums.total
        total = total + total.detach() if as_one else total
        return Losses(total, sums.parts)

    def _both_students(self, image: Tensor) -> Tensor:
        """Run student 1 with weights that pass their gradient to both students, who are equal now."""
        own, other = dict(self.student1.named_parameters()), dict(self.student2.named_parameters())
        shared = {name: weight + (other[name] - other[name].detach()) for name, weight in own.items()}
        logits: Tensor = functional_call(self.student1, shared, (image,))
        return logits

    def _co_learning(self, batch: StepBatch, unlabelled: Tensor, labelled: bool) -> Losses | None:
        """Eq. 18 of the step."""
        ramp = self.ramp(batch.step)
        weight, mix_weight = ramp * self.config.unlabelled_weight, ramp * self.config.mix_weight
        due = (batch.step - self.pretrain_steps) % self.config.teach_every == 0
        plain = weight > 0 and (due or not labelled)
        mixing = mix_weight > 0 and labelled
        if not (labelled or plain):
            return None
        target = self._teacher_label(unlabelled) if plain or mixing else None
        mixes = self._mixes(batch, unlabelled, target) if mixing and target is not None else None
        own = self._own_labelled(batch, mixes is not None) if labelled else None
        logits = [
            _at_once(student, self._views(own[n] if own else None, unlabelled if plain else None, mixes, n))
            for n, student in enumerate((self.student1, self.student2))
        ]
        sums = _Sums()
        for n, said in enumerate(logits):
            if own is not None:
                sums.add(*self.labelled_loss(said["labelled"], own[n][1]), share=0.5)
            if plain and target is not None:
                cross, teacher = self._unlabelled_losses(said["plain"], logits[1 - n]["plain"], target)
                parts = {"cross_pseudo": cross.detach(), "teacher": teacher.detach()}
                sums.add(weight * (cross + teacher), parts, share=0.5)
            if mixes is not None:
                mixed = self._mix_loss(said["mixed"], mixes[n].label)
                sums.add(mix_weight * mixed, {"mix": mixed.detach()}, share=0.5)
        total = sums.total
        return Losses(total, sums.parts | {"unlabelled_share": total.new_full((), ramp).detach()})

    @torch.no_grad()
    def _teacher_label(self, unlabelled: Tensor) -> Tensor:
        label = pseudo_label(self.teacher(unlabelled).float().softmax(1), self.config.certain_above)
        return largest_components(label, self.problem.classes) if self.config.largest_component else label

    def _mixes(self, batch: StepBatch, unlabelled: Tensor, target: Tensor) -> tuple[Mixed, Mixed]:
        """Mix for either student."""
        assert batch.image is not None
        assert batch.label is not None
        one, two = mix_across(batch.image, batch.label, unlabelled, target, self.cut)
        if self.config.mix_for == "one":
            return one, two
        both = Mixed(torch.cat([one.image, two.image]), torch.cat([one.label, two.label]))
        return both, both

    def _own_labelled(self, batch: StepBatch, mixing: bool) -> list[tuple[Tensor, Tensor]]:
        """Annotated patches for either student: all, or the half that is not in its mix."""
        assert batch.image is not None
        assert batch.label is not None
        half = len(batch.image) // 2
        if not (self.config.split_labelled and mixing and half):
            return [(batch.image, batch.label)] * 2
        # Mix 1, student 1's, is made of the first patches.
        return [(batch.image[part], batch.label[part]) for part in (slice(half, None), slice(half))]

    def _views(
        self, own: tuple[Tensor, Tensor] | None, plain: Tensor | None, mixes: tuple[Mixed, Mixed] | None, student: int
    ) -> dict[str, Tensor]:
        views = {} if own is None else {"labelled": own[0]}
        if plain is not None:
            views["plain"] = self._noisy(plain)
        if mixes is not None:
            views["mixed"] = self._noisy(mixes[student].image)
        return views

    def _unlabelled_losses(self, own: Tensor, other: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Eqs. 4 and 7 (or 5 and 8) of one student: against the other student's labels, and the teacher's."""
        probability = own.float().softmax(1)
        others = pseudo_label(other.detach().float().softmax(1), self.config.certain_above)
        return self._dice(probability, others), self._dice(probability, target)

    def _mix_loss(self, logits: Tensor, label: Tensor) -> Tensor:
        """Eq. 17 of one student."""
        if self.config.mix_loss == "mse":
            return masked_mse(logits.float().softmax(1), label)
        return self._segmentation_loss(logits, label, with_entropy=True)[0]

    def _segmentation_loss(self, logits: Tensor, label: Tensor, with_entropy: bool) -> tuple[Tensor, dict[str, Tensor]]:
        logits, label = logits.float(), centre_crop(label, logits.shape[2:])
        dice = self._dice(logits.softmax(1), label)
        if not with_entropy:
            return dice, {"dice_loss": dice.detach()}
        entropy = masked_cross_entropy(logits, label)
        parts = {"cross_entropy": entropy.detach(), "dice_loss": dice.detach()}
        return entropy + self.config.dice_weight * dice, parts

    def _dice(self, probability: Tensor, label: Tensor) -> Tensor:
        """Dice loss against hard labels over their known voxels."""
        known = label != IGNORE
        target = one_hot(label.masked_fill(~known, 0), probability.shape[1]).to(probability.dtype)
        return soft_dice_loss(probability, target, known.unsqueeze(1).to(probability.dtype), self.config.dice_over)

    def _noisy(self, image: Tensor) -> Tensor:
        """What a student sees: the teacher labelled the patch as it is."""
        if self.config.view_contrast:
            image = vary_contrast(image, self.config.view_contrast)
        return add_noise(image, self.config.noise, 0.0) if self.config.noise else image


class _Sums:
    """A loss being added up, and its parts as means over the students."""

    def __init__(self) -> None:
        self.terms: list[Tensor] = []
        self.parts: dict[str, Tensor] = {}

    @property
    def total(self) -> Tensor:
        return torch.stack(self.terms).sum()

    def add(self, loss: Tensor, parts: dict[str, Tensor], share: float) -> None:
        self.terms.append(loss)
        for name, value in parts.items():
            value = share * value
            self.parts[name] = self.parts[name] + value if name in self.parts else value


def _at_once(network: nn.Module | Callable[[Tensor], Tensor], views: dict[str, Tensor]) -> dict[str, Tensor]:
    """Run one forward over all that a network sees in a step, so that its batch normalisation sees it together."""
    logits: Tensor = network(torch.cat(list(views.values())))
    parts = logits.split([len(view) for view in views.values()])
    return dict(zip(views, parts, strict=True))
