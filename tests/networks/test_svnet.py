import pytest
import torch
from torch import nn

from napari_penumbra.methods._base import Problem
from napari_penumbra.networks import build
from napari_penumbra.networks.svnet import CONVOLUTIONS, SVNet

CONVS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def count(network):
    return sum(p.numel() for p in network.parameters())


def stages(network, image):
    """Shapes behind every stage, in the order in which the image meets them."""
    seen = []
    for part in (*network.encoder, *network.down, *network.up, *network.decoder, network.head):
        part.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[1:])))
    network(image)
    return seen


def expected_count(dims, inputs, classes, width):
    """Every layer of the description in the docstring, counted by hand: 3^n kernels, no bias before a norm."""
    k, widths, total = 3**dims, [width * 2**n for n in range(4)], 0

    def stage(a, b, convolutions):
        kernels = k * a * b + (convolutions - 1) * k * b * b
        return kernels + convolutions * 2 * b + (a * b if a != b else 0)

    for n in range(4):
        total += stage(inputs if n == 0 else widths[n], widths[n], (1, 2, 3, 3)[n])
    for n in range(3):
        strided = 2**dims * widths[n] * widths[n + 1]
        total += strided + 2 * widths[n + 1]  # down, with its norm
        total += strided + 2 * widths[n]  # up
        total += stage(2 * widths[n], widths[n], (1, 2, 3)[n])
    return total + width * classes + classes


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("width", [4, 16])
def test_number_of_parameters(dims, width):
    assert count(SVNet(2, 4, spatial_dims=dims, width=width)) == expected_count(dims, 2, 4, width)


def test_the_published_width_has_2_4_million_parameters():
    assert count(SVNet(1, 4)) == 2_439_140


def test_it_has_four_levels_of_16_to_128_channels():
    """On the paper's patch of 64 x 64 x 16 voxels the deepest level is 8 x 8 x 2."""
    with torch.no_grad():
        seen = stages(SVNet(1, 4).eval(), torch.zeros(1, 1, 16, 64, 64))
    levels = [(16, 16, 64, 64), (32, 8, 32, 32), (64, 4, 16, 16), (128, 2, 8, 8)]
    down = [levels[0], levels[1], levels[1], levels[2], levels[2], levels[3], levels[3]]
    up = [levels[2], levels[2], levels[1], levels[1], levels[0], levels[0]]
    assert seen == [*down, *up, (4, 16, 64, 64)]
    assert CONVOLUTIONS == (1, 2, 3, 3)


def test_it_has_four_levels_in_2d():
    with torch.no_grad():
        seen = stages(SVNet(3, 2, spatial_dims=2, width=4).eval(), torch.zeros(2, 3, 32, 48))
    assert seen[:7:2] == [(4, 32, 48), (8, 16, 24), (16, 8, 12), (32, 4, 6)]
    assert seen[-1] == (2, 32, 48)


@pytest.mark.parametrize(
    ("spacing", "divisor", "deepest"),
    [
        ((1.0, 1.0, 1.0), (8, 8, 8), (32, 2, 4, 4)),
        ((3.0, 1.0, 1.0), (4, 8, 8), (32, 4, 4, 4)),
        ((6.5, 1.0, 1.0), (2, 8, 8), (32, 8, 4, 4)),
    ],
)
def test_thick_slices_are_halved_in_the_plane_first(spacing, divisor, deepest):
    network = build("svnet", Problem(1, 2, spacing), width=4).eval()
    assert network.divisor == divisor
    with torch.no_grad():
        seen = stages(network, torch.zeros(1, 1, 16, 32, 32))
    assert seen[6] == deepest
    assert seen[1][1] == (8 if divisor[0] == 8 else 16)


@pytest.mark.parametrize("dims", [2, 3])
def test_weights_start_by_xavier_and_biases_at_zero(dims):
    torch.manual_seed(0)
    network = SVNet(1, 2, spatial_dims=dims)
    for module in network.modules():
        if isinstance(module, CONVS):
            fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(module.weight)
            bound = (6 / (fan_in + fan_out)) ** 0.5
            largest = float(module.weight.detach().abs().max())
            assert 0.8 * bound < largest <= bound
            assert module.bias is None or not module.bias.any()


@pytest.mark.parametrize(("dims", "size"), [(3, (5, 18, 17)), (3, (16, 24, 8)), (2, (19, 33))])
def test_any_size_and_every_weight_takes_part(dims, size):
    torch.manual_seed(0)
    network = SVNet(2, 3, spatial_dims=dims, width=2)
    logits = network(torch.randn(2, 2, *size))
    assert logits.shape == (2, 3, *size)
    (logits * torch.randn_like(logits)).sum().backward()
    assert all(p.grad is not None and p.grad.any() and torch.isfinite(p.grad).all() for p in network.parameters())


def test_the_skip_and_the_way_through_the_depth_both_reach_the_output():
    torch.manual_seed(0)
    network = SVNet(1, 2, width=4).eval()
    image = torch.randn(1, 1, 32, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(image)[0, 1, 16, 16, 16], image)
    reached = gradient[0, 0].abs().sum((1, 2)).nonzero()
    assert int(reached.min()) == 0
    assert int(reached.max()) == 31
    for module in network.encoder[1:]:
        module.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
    (gradient,) = torch.autograd.grad(network(image)[0, 1, 16, 16, 16], image)
    near = gradient[0, 0].abs().sum((1, 2)).nonzero()
    assert (int(near.min()), int(near.max())) == (14, 18)  # two convolutions at full resolution
