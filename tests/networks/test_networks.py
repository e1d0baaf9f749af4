import pytest
import torch

from napari_penumbra.domain.errors import UsageError
from napari_penumbra.methods._base import Problem
from napari_penumbra.networks import NETWORKS, build, context, divisor
from napari_penumbra.networks.unet import UNet
from napari_penumbra.networks.vnet import VNet


def count(network):
    return sum(p.numel() for p in network.parameters())


def test_vnet_is_the_left_atrium_papers_network():
    network = VNet(1, 2)
    assert count(network) == 9_448_866  # 9.449 M
    kinds = [type(m).__name__ for m in network.modules()]
    assert kinds.count("Conv3d") == 12 + 4 + 9 + 1  # encoder, down, decoder, head
    assert kinds.count("ConvTranspose3d") == 4
    assert network.divisor == (16, 16, 16)


def test_unet_is_small():
    assert count(UNet(1, 2)) < 1.1e6


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (6.5, 1.0, 1.0)])
def test_output_is_the_input_less_the_margin(name, dims, spacing):
    torch.manual_seed(0)
    network = build(name, Problem(2, 3, spacing, dims))
    margin = context(network)[3 - dims :]
    sizes = [n + 2 * m for n, m in zip((5, 18, 17)[3 - dims :], margin, strict=True)]
    logits = network(torch.randn(2, 2, *sizes))
    assert logits.shape == (2, 3, *[n - 2 * m for n, m in zip(sizes, margin, strict=True)])
    logits.square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    assert all(d >= 1 for d in divisor(network))


@pytest.mark.parametrize("name", ["unet", "vnet"])
def test_padding_inside_changes_nothing_for_sizes_that_divide(name):
    torch.manual_seed(0)
    network = build(name, Problem(1, 2)).eval()
    image = torch.randn(1, 1, *network.divisor)
    padded = torch.cat([image, image[:, :, :, :, -1:]], dim=4)
    assert network(image).shape[2:] == network.divisor
    assert network(padded).shape[2:] == padded.shape[2:]


@pytest.mark.parametrize("name", NETWORKS)
def test_channels_last_gives_the_same_numbers(name):
    torch.manual_seed(0)
    network = build(name, Problem(2, 2)).eval()
    image = torch.randn(1, 2, *[16 + 2 * m for m in context(network)])
    with torch.no_grad():
        expected = network(image)
        network = network.to(memory_format=torch.channels_last_3d)
        assert torch.allclose(network(image.to(memory_format=torch.channels_last_3d)), expected, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_depend_on_the_batch_only_in_training(name):
    torch.manual_seed(0)
    network = build(name, Problem(1, 2)).eval()
    images = torch.randn(2, 1, *[8 + 2 * m for m in context(network)])
    with torch.no_grad():
        assert torch.allclose(network(images)[:1], network(images[:1]), atol=1e-5)


def test_unet_learns_a_threshold():
    torch.manual_seed(0)
    network = UNet(1, 2, widths=(4, 8, 8))
    optimiser = torch.optim.AdamW(network.parameters(), 1e-2)
    for _ in range(90):
        image = torch.randn(2, 1, 8, 8, 8)
        loss = torch.nn.functional.cross_entropy(network(image), (image[:, 0] > 0).long())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.35


def test_build_says_what_it_cannot_do():
    with pytest.raises(UsageError, match="no network"):
        build("resnet", Problem(1, 2))
    with pytest.raises(UsageError, match="4 dimensions"):
        build("unet", Problem(1, 2, spatial_dims=4))
    with pytest.raises(UsageError, match="at least one"):
        build("unet", Problem(1, 1))
