import pytest
import torch
from torch import nn

from napari_penumbra.methods._base import Problem
from napari_penumbra.methods._dense import dense_softmax
from napari_penumbra.methods._functional import evaluating
from napari_penumbra.networks import build


class Blur(nn.Module):
    """A box of ones: what it answers depends on ``reach`` voxels around, cut off at the image's border or given."""

    def __init__(self, dims, reach, valid):
        super().__init__()
        self.margin = (0,) * (3 - dims) + (reach,) * dims if valid else (0, 0, 0)
        self.divisor = (1, 1, 1)
        self.conv = (nn.Conv2d if dims == 2 else nn.Conv3d)(1, 2, 2 * reach + 1, padding=0 if valid else reach)
        self.largest = 0

    def forward(self, image):
        self.largest = max(self.largest, *image.shape[2:])
        return self.conv(image)


@pytest.mark.parametrize("valid", [True, False])
@pytest.mark.parametrize("dims", [2, 3])
def test_pieces_answer_what_the_whole_does(dims, valid):
    torch.manual_seed(0)
    network = Blur(dims, 2, valid)
    image = torch.randn(2, 1, *(9, 37, 50)[3 - dims :])
    patch = (12, 12, 12) if valid else (8, 8, 8)
    said = dense_softmax(network, image, patch)
    assert network.largest < 50
    with torch.no_grad():
        padded = nn.functional.pad(image, [2] * 2 * dims) if valid else image
        whole = network(padded).softmax(1)
    assert said.shape == (2, 2, *image.shape[2:])
    assert torch.allclose(said, whole, atol=1e-6)
    assert not said.requires_grad


def test_an_image_of_two_patches_is_answered_at_once():
    network = build("unet", Problem(1, 2), widths=(2, 4, 8, 16)).eval()
    image = torch.randn(1, 1, 9, 13, 16)
    calls = []
    network.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        whole = network(image).softmax(1)
    assert torch.equal(dense_softmax(network, image, (8, 8, 8)), whole)
    assert len(calls) == 2


@pytest.mark.parametrize("name", ["unet", "deepmedic"])
def test_any_size_is_answered(name):
    torch.manual_seed(0)
    options = {"widths": (2, 4, 8, 16)} if name == "unet" else {}
    network = build(name, Problem(1, 2), **options).eval()
    said = dense_softmax(network, torch.randn(1, 1, 5, 19, 7), (53, 53, 53) if name == "deepmedic" else (8, 8, 8))
    assert said.shape == (1, 2, 5, 19, 7)
    assert torch.allclose(said.sum(1), torch.ones(1, 5, 19, 7))


def test_deepmedic_in_pieces_is_deepmedic_at_once():
    torch.manual_seed(0)
    network = build("deepmedic", Problem(1, 2, spatial_dims=2)).eval()
    image = torch.randn(1, 1, 30, 17)
    margin = network.margin[1]
    with torch.no_grad():
        whole = network(nn.functional.pad(image, [margin] * 4)).softmax(1)
    patch = (1, 2 * margin + 5, 2 * margin + 5)
    assert torch.allclose(dense_softmax(network, image, patch), whole, atol=1e-6)


def test_the_networks_mode_is_put_back_even_after_an_error():
    network = nn.Sequential(nn.Dropout(), nn.Dropout()).train()
    network[1].eval()
    seen = []
    with pytest.raises(ZeroDivisionError), evaluating(network):
        seen.append((network[0].training, torch.is_grad_enabled(), 1 / 0))
    with evaluating(network):
        seen.append((network[0].training, torch.is_grad_enabled()))
    assert seen == [(False, False)]
    assert [network.training, network[0].training, network[1].training] == [True, True, False]
    assert torch.is_grad_enabled()
