import math

import pytest
import torch

from napari_penumbra.networks.fusion import AddFusion, ConcatFusion, GatedFusion, make_fusion


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def gated_by_hand(weights, biases, s, m):
    """Eqs. 5 to 8 for one pixel, which of a 3^3 kernel sees the centre only."""
    channels = len(s)

    def apply(name, inputs):
        kernel = weights[name][:, :, 1, 1]
        return [
            sum(float(kernel[o, i]) * x for i, x in enumerate(inputs)) + float(biases[name][o]) for o in range(channels)
        ]

    reset = [sigmoid(x) for x in apply("reset", [*s, *m])]
    select = [sigmoid(x) for x in apply("select", [*s, *m])]
    new = [max(0.0, x) for x in apply("merge", [*s, *(r * x for r, x in zip(reset, m, strict=True))])]
    return [g * h + (1 - g) * x for g, h, x in zip(select, new, s, strict=True)]


def test_gates_are_equations_5_to_8():
    torch.manual_seed(0)
    fusion = GatedFusion(2, 3).double()
    for layer in (fusion.reset, fusion.select, fusion.merge):
        torch.nn.init.normal_(layer.bias)
    s, m = torch.randn(2, 3, 1, 1, dtype=torch.double), torch.randn(2, 3, 1, 1, dtype=torch.double)
    layers = {"reset": fusion.reset, "select": fusion.select, "merge": fusion.merge}
    weights = {name: layer.weight.detach() for name, layer in layers.items()}
    biases = {name: layer.bias.detach() for name, layer in layers.items()}
    with torch.no_grad():
        fused = fusion(s, m)
    for item in range(2):
        expected = gated_by_hand(weights, biases, s[item].flatten().tolist(), m[item].flatten().tolist())
        assert fused[item].flatten().tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("dims", [2, 3])
def test_gates_start_orthogonal_with_zero_bias(dims):
    fusion = GatedFusion(dims, 4)
    for layer in (fusion.reset, fusion.select, fusion.merge):
        rows = layer.weight.detach().flatten(1)
        assert torch.allclose(rows @ rows.T, torch.eye(4), atol=1e-5)
        assert not layer.bias.any()
        assert layer.kernel_size == (3,) * dims


@pytest.mark.parametrize(("bias", "source"), [(-50.0, "segmentation"), (50.0, "new")])
def test_select_gate_chooses_between_old_and_new(bias, source):
    torch.manual_seed(0)
    fusion = GatedFusion(2, 2)
    torch.nn.init.constant_(fusion.select.bias, bias)
    s, m = torch.randn(1, 2, 5, 5), torch.randn(1, 2, 5, 5)
    with torch.no_grad():
        fused = fusion(s, m)
        reset = fusion.reset(torch.cat([s, m], 1)).sigmoid()
        new = fusion.merge(torch.cat([s, reset * m], 1)).relu()
    assert torch.allclose(fused, s if source == "segmentation" else new, atol=1e-6)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", ["gated", "add", "concat"])
def test_every_fusion_keeps_the_shape_and_hears_both(name, dims):
    torch.manual_seed(0)
    fusion = make_fusion(name, dims, 3)
    s, m = (torch.randn(2, 3, *[4] * dims, requires_grad=True) for _ in range(2))
    fused = fusion(s, m)
    assert fused.shape == s.shape
    for gradient in torch.autograd.grad(fused.square().sum(), [s, m]):
        assert gradient.any()


def test_add_adds_and_concat_maps_both():
    torch.manual_seed(0)
    s, m = torch.randn(1, 2, 3, 3), torch.randn(1, 2, 3, 3)
    assert torch.equal(AddFusion()(s, m), s + m)
    fusion = ConcatFusion(2, 2)
    kernel = fusion.merge.weight[:, :, 0, 0]
    expected = torch.einsum("oi,biyx->boyx", kernel, torch.cat([s, m], 1))
    assert torch.allclose(fusion(s, m), expected, atol=1e-6)
