import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from napari_penumbra.networks.confidence_net import ConfidenceNet, confidence_map

CONVS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def made(classes=3, dims=3, width=4, spacing=(1.0, 1.0, 1.0), seed=0):
    """A network whose running statistics are those of no particular data, so that evaluation is not trivial."""
    torch.manual_seed(seed)
    network = ConfidenceNet(classes, spacing, dims, width)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return network.eval()


def maps(batch, classes, *size):
    return torch.randn(batch, classes, *size).softmax(1)


def expected_count(dims, classes, width):
    k, w, total = 4**dims, [width * 2**n for n in range(4)], 3**dims * classes * width + width
    for n in range(3):
        total += k * w[n] * w[n + 1] + w[n + 1]  # down, with bias
        total += k * w[n] * w[n + 1] + 2 * w[n]  # up, with a norm
    return total + width + 1


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("width", [4, 32])
def test_number_of_parameters(dims, width):
    network = ConfidenceNet(4, spatial_dims=dims, width=width)
    assert sum(p.numel() for p in network.parameters()) == expected_count(dims, 4, width)


def test_stages_have_32_to_256_channels_and_come_back():
    network = ConfidenceNet(4).eval()
    seen = []
    for part in (network.first, *network.down, *network.up, network.head):
        part.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[1:])))
    with torch.no_grad():
        network(torch.zeros(1, 4, 16, 64, 64))
    down = [(32, 16, 64, 64), (64, 8, 32, 32), (128, 4, 16, 16), (256, 2, 8, 8)]
    assert seen == [*down, *down[-2::-1], (1, 16, 64, 64)]
    slopes = [m.negative_slope for m in network.modules() if isinstance(m, nn.LeakyReLU)]
    assert slopes == [0.2] * 4


@pytest.mark.parametrize("dims", [2, 3])
def test_weights_start_by_xavier_and_biases_at_zero(dims):
    torch.manual_seed(0)
    for module in ConfidenceNet(2, spatial_dims=dims).modules():
        if isinstance(module, CONVS):
            fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(module.weight)
            bound = (6 / (fan_in + fan_out)) ** 0.5
            assert 0.8 * bound < float(module.weight.detach().abs().max()) <= bound
            assert module.bias is None or not module.bias.any()


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("size", [(1, 1, 1), (5, 9, 14), (8, 16, 8), (16, 24, 31)])
def test_one_logit_per_voxel_of_any_size(dims, size):
    size = size[3 - dims :]
    with torch.no_grad():
        assert made(dims=dims)(maps(2, 3, *size)).shape == (2, 1, *size)


@pytest.mark.parametrize("dims", [2, 3])
def test_every_stage_reaches_the_output(dims):
    """A decoder that leaves out what comes from below still runs; only gradients show it."""
    torch.manual_seed(0)
    network = ConfidenceNet(3, spatial_dims=dims, width=4)
    outputs = []
    for part in (network.first, *network.down, *network.up):
        part.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    logits = network(maps(2, 3, *(16,) * dims))
    assert len(outputs) == 7
    weighted = (logits * torch.randn_like(logits)).sum()
    for gradient in torch.autograd.grad(weighted, outputs, retain_graph=True):
        assert gradient.abs().sum() > 0
    weighted.backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


@pytest.mark.parametrize("stage", range(7))
def test_silencing_any_stage_changes_the_answer(stage):
    network = made()
    seen = maps(1, 3, 16, 16, 16)
    part = (network.first, *network.down, *network.up)[stage]
    with torch.no_grad():
        before = network(seen)
        part.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
        assert not torch.allclose(network(seen), before, atol=1e-3)


def test_a_logit_sees_22_voxels_to_each_side_at_most():
    """Every position within the stride of 8; 2D, as axes do not differ."""
    torch.manual_seed(0)
    network = ConfidenceNet(2, spatial_dims=2, width=8).eval()
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.constant_(norm.bias, 10.0)  # every rectifier open: what can be seen is seen
    seen = maps(1, 2, 128, 128).requires_grad_()
    reach = []
    for at in range(64, 72):
        (gradient,) = torch.autograd.grad(network(seen)[0, 0, at, at], seen)
        rows = gradient[0].abs().sum((0, 2)).nonzero()
        reach.append((at - int(rows.min()), int(rows.max()) - at))
    assert max(max(r) for r in reach) == 22
    assert min(min(r) for r in reach) >= 15


def test_thick_slices_keep_their_number():
    network = made(spacing=(6.5, 1.0, 1.0))
    assert network.divisor == (2, 8, 8)
    with torch.no_grad():
        assert network(maps(1, 3, 5, 17, 16)).shape == (1, 1, 5, 17, 16)


@settings(max_examples=12, deadline=None)
@given(
    dims=st.sampled_from([2, 3]),
    size=st.tuples(st.integers(1, 20), st.integers(1, 60), st.integers(30, 90)),
    tile=st.integers(1, 40),
    thick=st.booleans(),
)
def test_map_in_tiles_is_that_of_the_whole(dims, size, tile, thick):
    network = made(dims=dims, width=2, spacing=(4.0, 1.0, 1.0) if thick else (1.0, 1.0, 1.0))
    probability = maps(2 if dims == 2 else 1, 3, *size[3 - dims :])
    tile = max(tile, 16) if dims == 3 else tile  # many tiny tiles of a volume take seconds
    with torch.no_grad():
        whole = network(probability)[:, 0].sigmoid()
    assert torch.allclose(confidence_map(network, probability, tile), whole, atol=1e-5)


def test_map_has_no_gradient_and_lies_between_0_and_1():
    network = made()
    confidence = confidence_map(network, maps(2, 3, 9, 10, 11).requires_grad_())
    assert confidence.shape == (2, 9, 10, 11)
    assert not confidence.requires_grad
    assert 0 <= confidence.min() <= confidence.max() <= 1


def test_it_learns_to_find_what_no_reader_would_draw():
    """Real: one disc. Fake: the disc with a hole bitten out. The answer must be local, and low at the bite."""
    torch.manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    network = ConfidenceNet(2, spatial_dims=2, width=8)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)

    def disc():
        centre = torch.randint(12, 20, (2,))
        return ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < 81), centre

    def pair():
        whole, centre = disc()
        bite = (rows - centre[0]).abs().maximum((columns - centre[1] - 6).abs()) < 4
        return whole, whole & ~bite, bite

    def as_map(mask):
        return torch.stack([~mask, mask]).float()

    for _ in range(60):
        pairs = [pair() for _ in range(4)]
        real = torch.stack([as_map(p[0]) for p in pairs])
        fake = torch.stack([as_map(p[1]) for p in pairs])
        scores = network(torch.cat([real, fake]))
        loss = nn.functional.softplus(-scores[:4]).mean() + nn.functional.softplus(scores[4:]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.eval()
    whole, bitten, bite = pair()
    good = confidence_map(network, as_map(whole)[None])[0]
    bad = confidence_map(network, as_map(bitten)[None])[0]
    assert float(good[bite].mean()) > 0.5 + float(bad[bite].mean()) * 0.5
    assert float(bad[bite].mean()) < 0.5
