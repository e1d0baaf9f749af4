import pytest
import torch

from napari_penumbra.networks.resunet import Decoder, ResNetEncoder, ResUNet, pad_for

CUBIC, THICK = (1.0, 1.0, 1.0), (6.5, 1.0, 1.0)


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_encoder_is_resnet34_in_2d():
    encoder = ResNetEncoder(3, CUBIC, 2)
    assert count(encoder) == 21_284_672  # torchvision's resnet34 without its classifier
    names = set(encoder.state_dict())
    blocks = {1: 3, 2: 4, 3: 6, 4: 3}
    for layer, number in blocks.items():
        assert f"layer{layer}.{number - 1}.conv2.weight" in names
        assert f"layer{layer}.{number}.conv1.weight" not in names
        assert (f"layer{layer}.0.downsample.0.weight" in names) == (layer > 1)
    assert encoder.state_dict()["conv1.weight"].shape == (64, 3, 7, 7)
    assert not any(name.endswith("conv1.bias") or name.startswith("fc") for name in names)


@pytest.mark.parametrize("depth", [10, 18, 34])
@pytest.mark.parametrize(("dims", "size"), [(2, (64, 96)), (3, (32, 64, 32))])
def test_encoder_halves_five_times(dims, size, depth):
    features = ResNetEncoder(2, CUBIC, dims, width=2, depth=depth)(torch.randn(1, 2, *size))
    assert [f.shape[1] for f in features] == [2, 2, 4, 8, 16]
    for level, feature in enumerate(features, start=1):
        assert feature.shape[2:] == tuple(n // 2**level for n in size)


def test_thick_slices_are_not_halved_until_the_others_are_as_thick():
    encoder = ResNetEncoder(1, THICK, 3, width=2, depth=10)
    assert [stride[0] for stride in encoder.strides] == [1, 1, 2, 2, 2]
    features = encoder(torch.randn(1, 1, 8, 64, 64))
    assert [tuple(f.shape[2:]) for f in features] == [(8, 32, 32), (8, 16, 16), (4, 8, 8), (2, 4, 4), (1, 2, 2)]
    assert ResUNet(1, 2, THICK, 3, width=2, depth=10).divisor == (8, 32, 32)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("dims", "spacing", "size"), [(2, CUBIC, (32, 64)), (3, THICK, (8, 32, 32))])
def test_decoder_climbs_back_scale_by_scale(dims, spacing, size, transposed):
    encoder = ResNetEncoder(1, spacing, dims, width=2, depth=10)
    climbed = Decoder(encoder, transposed)(encoder(torch.randn(2, 1, *size)))
    assert [d.shape[1] for d in climbed] == [2, 2, 4, 8, 16]
    expected = list(size)
    for level, feature in enumerate(climbed):
        assert list(feature.shape[2:]) == expected
        expected = [n // s for n, s in zip(expected, encoder.strides[level][3 - dims :], strict=True)]


def test_decoder_has_the_published_channels():
    encoder = ResNetEncoder(3, CUBIC, 2)
    for transposed in (False, True):
        widths = [
            (b.convs[0][0].in_channels, b.convs[0][0].out_channels, b.convs[1][0].out_channels)
            for b in Decoder(encoder, transposed).blocks
        ]
        assert widths == [(512, 128, 512), (768, 192, 256), (384, 96, 128), (192, 48, 64), (128, 32, 64)]
    assert [block.up[0].kernel_size for block in Decoder(encoder, True).blocks] == [(3, 3)] * 5
    assert all(block.up is None for block in Decoder(encoder).blocks)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_single_smallest_patch_can_be_trained_on(dims):
    """At 1/32 it would be one voxel, and batch normalisation of one value is an error."""
    network = ResUNet(1, 3, CUBIC, dims, width=2, depth=10)
    image = torch.randn(1, 1, *[20] * dims)
    assert network(image).shape == (1, 3, *[20] * dims)
    assert pad_for(network.encoder, image).shape[2:] == (*[32] * (dims - 1), 64)
    assert pad_for(network.encoder.eval(), image).shape[2:] == (32,) * dims


def test_nothing_in_it_depends_on_the_size_of_the_image():
    """Inference then sees a volume at once; it looks for the names of such modules."""
    kinds = {type(m).__name__ for m in ResUNet(1, 2, CUBIC, 2, width=2, depth=10).modules()}
    assert not any(kind.startswith(("Adaptive", "Linear", "Instance", "Group")) for kind in kinds)
