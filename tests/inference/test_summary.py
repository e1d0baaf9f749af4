from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_penumbra.domain.progress import Progress
from napari_penumbra.inference.features import MAX_CHANNELS, DeepestLayer
from napari_penumbra.inference.machine import Machine
from napari_penumbra.inference.plan import Plan
from napari_penumbra.inference.predictor import Predictor
from napari_penumbra.inference.run import PredictionRun
from napari_penumbra.inference.summary import (
    disagreement_figures,
    entropy_figures,
    entropy_of,
    summarise,
    window_of,
    winner_of,
)
from napari_penumbra.methods import get
from napari_penumbra.methods._base import Problem
from tiny_study import MODALITIES, make_spec


def some_probabilities(classes: int, shape: tuple[int, int, int], seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (4 * torch.randn((classes, *shape), generator=generator)).softmax(0)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_entropy_is_that_of_the_textbook_in_units_of_its_maximum(classes: int) -> None:
    probability = some_probabilities(classes, (3, 4, 5))
    expected = np.zeros((3, 4, 5))
    for index in np.ndindex(3, 4, 5):
        for k in range(classes):
            p = float(probability[(k, *index)])
            expected[index] -= p * math.log(p) / math.log(classes) if p > 0 else 0.0
    np.testing.assert_allclose(entropy_of(probability).numpy(), expected, atol=1e-5)


def test_entropy_is_0_when_certain_and_1_at_a_tie_or_without_a_number() -> None:
    probability = torch.tensor([[1.0, 0.5, math.nan], [0.0, 0.5, math.nan]])[:, None, None, :]
    assert entropy_of(probability).flatten().tolist() == [0.0, 1.0, 1.0]


def test_figures_are_sums_over_the_voxels_predicted_as_each_class() -> None:
    probability = some_probabilities(3, (3, 6, 5), seed=3)
    entropy = entropy_of(probability)
    figures = entropy_figures(probability, entropy, (0, 4, 9))
    winner = probability.argmax(0)
    for number, value in enumerate((0, 4, 9)):
        own = [entropy[i] for i in np.ndindex(3, 6, 5) if int(winner[i]) == number]
        assert figures["classes"][number]["value"] == value
        assert figures["classes"][number]["voxels"] == len(own)
        assert figures["classes"][number]["entropy"] == pytest.approx(float(sum(own)), abs=1e-3)
    open_ = [entropy[i] for i in np.ndindex(3, 6, 5) if float(probability[(0, *i)]) < 0.95]
    assert figures["in_question"]["voxels"] == len(open_)
    assert figures["in_question"]["entropy"] == pytest.approx(float(sum(open_)), abs=1e-3)


def test_disagreement_counts_where_either_sees_foreground() -> None:
    ours = torch.tensor([[0.99, 0.1, 0.5, 1.0], [0.01, 0.9, 0.5, 0.0]])[:, None, None, :]
    theirs = torch.tensor([[1.0, 0.3, 0.5, 0.2], [0.0, 0.7, 0.5, 0.8]])[:, None, None, :]
    assert disagreement_figures(ours, theirs) == {"voxels": 3, "distance": pytest.approx(0.2 + 0.0 + 0.8, abs=1e-3)}
    assert disagreement_figures(ours, ours)["distance"] == 0.0


@pytest.mark.parametrize(
    ("patch", "slice_wise", "seen_size", "judged_size"),
    [
        ((8, 12, 12), False, [8, 12, 12], [4, 6, 6]),
        ((1, 12, 12), True, [8, 12, 12], [8, 6, 6]),
        ((20, 12, 12), False, [20, 12, 12], [20, 6, 6]),
        ((64, 64, 64), False, [20, 30, 40], [20, 30, 40]),
        ((1, 1, 1), False, [1, 1, 1], [1, 1, 1]),
    ],
)
@pytest.mark.parametrize("corner", [(0, 0, 0), (17, 27, 37), (8, 14, 20)])
def test_the_window_lies_where_the_doubt_is_and_fits(
    patch: tuple[int, int, int],
    slice_wise: bool,
    seen_size: list[int],
    judged_size: list[int],
    corner: tuple[int, int, int],
) -> None:
    entropy = torch.zeros(20, 30, 40)
    z, y, x = corner
    entropy[z : z + 3, y : y + 3, x : x + 3] = 1
    seen, judged = window_of(entropy, patch, slice_wise)
    assert [s.stop - s.start for s in seen] == seen_size
    assert [s.stop - s.start for s in judged] == judged_size
    assert float(entropy[judged].sum()) > 0
    for whole, part, n in zip(seen, judged, entropy.shape, strict=True):
        assert 0 <= whole.start <= part.start < part.stop <= whole.stop <= n


@pytest.mark.parametrize("classes", [2, 4])
def test_the_winner_is_the_argmax_and_the_first_of_equals(classes: int) -> None:
    probability = some_probabilities(classes, (3, 4, 5), seed=7)
    probability[:, 0, 0, 0] = 1 / classes
    assert torch.equal(winner_of(probability), probability.argmax(0))
    assert int(winner_of(probability)[0, 0, 0]) == 0


class Pyramid(nn.Module):
    """Two levels, a gate with 1x1 kernels on one number per channel, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv3d(1, 4, 3, padding=1)
        self.deep = nn.Conv3d(4, 6, 3, padding=1, stride=2)
        self.deepest = nn.Conv3d(6, 7, 3, padding=1)
        self.gate = nn.Conv3d(7, 7, 1)
        self.head = nn.Conv3d(4, 2, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        first = self.first(image)
        deep = self.deepest(self.deep(first))
        self.seen = deep
        weight = self.gate(deep.mean((2, 3, 4), keepdim=True)).mean(1, keepdim=True)
        logits: Tensor = self.head(first * weight)
        return logits


def test_the_deepest_layer_is_found_and_averaged_over_all_passes() -> None:
    torch.manual_seed(0)
    network = Pyramid()
    seen = []
    with torch.no_grad(), DeepestLayer(network).watching() as deepest:
        for batch in (1, 2):
            network(torch.randn(batch, 1, 8, 8, 8))
            seen += list(network.seen.mean((2, 3, 4)))
    vector = deepest.vector()
    assert vector is not None
    assert vector[0] == "deepest"
    np.testing.assert_allclose(vector[1], torch.stack(seen).mean(0).numpy(), rtol=1e-5)
    assert not any(m._forward_hooks for m in network.modules())


def test_no_vector_without_a_convolution_or_with_one_that_is_not_finite() -> None:
    with DeepestLayer(nn.Identity()).watching() as deepest:
        pass
    assert deepest.vector() is None
    network = nn.Conv3d(1, 2, 3)
    with torch.no_grad(), DeepestLayer(network).watching() as deepest:
        network(torch.full((1, 1, 4, 4, 4), math.inf))
    assert deepest.vector() is None


def test_a_very_wide_layer_is_cut() -> None:
    network = nn.Conv3d(1, MAX_CHANNELS + 5, 3)
    with torch.no_grad(), DeepestLayer(network).watching() as deepest:
        network(torch.zeros(1, 1, 3, 3, 3))
    vector = deepest.vector()
    assert vector is not None
    assert len(vector[1]) == MAX_CHANNELS


@pytest.mark.parametrize("name", ["mean-teacher", "self-correction", "asdnet", "co-learning", "col-net", "supervised"])
def test_every_method_gives_a_summary(name: str) -> None:
    torch.manual_seed(0)
    kind = get(name)
    method = kind(kind.configure("laptop", {}), Problem(2, 3, (1.0, 1.0, 1.0), kind.dimensions[0]))
    two = kind.dimensions[0] == 2
    plan = Plan(MODALITIES, (3, 5), (1.0, 1.0, 1.0), (16, 16, 16), kind.dimensions[0])
    patch = (1, 16, 16) if two else (16, 16, 16)
    predictor = Predictor(method.predictor(), patch, Machine.choose("cpu", method), spatial_dims=kind.dimensions[0])
    method.eval()
    image = torch.randn(2, 4 if two else 16, 16, 16)
    with DeepestLayer(predictor.network).watching() as deepest:
        probability = predictor.probabilities(image)
    with torch.no_grad():
        summary = summarise(method, predictor, image, probability, plan, deepest)
    assert [c["value"] for c in summary["classes"]] == [0, 3, 5]
    assert sum(c["voxels"] for c in summary["classes"]) == image[0].numel()
    assert len(summary["features"]["values"]) >= 8
    assert ("disagreement" in summary) == (name != "supervised")
    if name != "supervised":
        figures = summary["disagreement"]
        assert 0 <= figures["distance"] <= figures["voxels"]


def test_a_student_that_equals_its_teacher_does_not_disagree_and_another_one_does() -> None:
    torch.manual_seed(0)
    kind = get("mean-teacher")
    method = kind(kind.configure("laptop", {}), Problem(2, 2))
    method.eval()
    plan = Plan(MODALITIES, (3,), (1.0, 1.0, 1.0), (16, 16, 16))
    predictor = Predictor(method.predictor(), (16, 16, 16), Machine.choose("cpu", method))
    image = torch.randn(2, 16, 16, 16)
    probability = predictor.probabilities(image)
    with torch.no_grad():
        same = summarise(method, predictor, image, probability, plan, DeepestLayer(predictor.network))
        for weight in method.student.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
        other = summarise(method, predictor, image, probability, plan, DeepestLayer(predictor.network))
    assert same["disagreement"]["distance"] == pytest.approx(0, abs=1e-3)
    assert other["disagreement"]["distance"] > 1


def test_the_summary_is_in_the_sidecar_and_the_sidecar_is_small(root: Path) -> None:
    spec = dataclasses.replace(make_spec(root), kind="predict")
    events: list[Progress] = []
    torch.manual_seed(0)
    kind = get("mean-teacher")
    method = kind(kind.configure("laptop", {}), Problem(2, 2))
    plan = Plan(MODALITIES, (3,), (3.0, 1.5, 1.5), (16, 24, 24))
    predictor = Predictor(method.predictor(), (16, 16, 16), Machine.choose("cpu", method))
    assert PredictionRun(root, "p1", spec, method, plan, predictor, events.append, lambda: False).run()
    for event in events[:-1]:
        sidecar = root / event.message
        assert sidecar.stat().st_size < 20_000
        data = json.loads(sidecar.read_text())
        assert data["run"] == "p1"
        assert {"version", "classes", "in_question", "disagreement", "features"} == set(data["summary"])
