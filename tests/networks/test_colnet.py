import pytest
import torch

from napari_penumbra.networks.colnet import (
    ColNet,
    ConcatBlock,
    CoSegmenter,
    Discriminator,
    Encoder,
    ReconstructionDecoder,
    Transfer,
    widths_of,
)


def count(network):
    return sum(p.numel() for p in network.parameters())


def normed(inputs, outputs, kernel=1):
    """Weights of a convolution without bias and of its batch normalisation."""
    return inputs * outputs * kernel + 2 * outputs


def block(inputs, outputs, kernel):
    inner = outputs // 2
    inside = normed(inputs, inner) + normed(inner, inner, kernel) + normed(inner, outputs)
    return inside + normed(inputs + outputs, outputs)


def encoder_weights(channels, width, kernel):
    widths = [width * 2**n for n in range(5)]
    total = normed(channels, width, kernel)
    for n, outputs in enumerate(widths):
        total += block(widths[max(n - 1, 0)], outputs, kernel) + block(outputs, outputs, kernel)
    return total


@pytest.mark.parametrize(("dims", "published"), [(2, 4_706_754), (3, 8_940_866)])
def test_parameter_counts(dims, published):
    """Six modalities, two classes, 32 channels: counted by hand from the layers, part by part."""
    kernel, up = 3**dims, 2**dims
    widths = [32, 64, 128, 256, 512]
    torch.manual_seed(0)
    network = CoSegmenter(6, 2, spatial_dims=dims)
    encoder = encoder_weights(6, 32, kernel)
    decoder = sum(normed(widths[n + 1], widths[n], up) + block(2 * widths[n], widths[n], kernel) for n in range(4)) + (
        32 * 2 + 2
    )
    assert count(network.encoder) == count(network.segmenter.encoder) == encoder
    assert count(network.segmenter) == encoder + decoder == published
    assert count(network.transfer) == normed(512, 512)
    reconstruction = sum(normed(widths[n + 1], widths[n], kernel) for n in range(4)) + 32 * 6 * kernel + 6
    assert count(ReconstructionDecoder(6, spatial_dims=dims)) == reconstruction
    convolutions = sum(a * b * kernel + b for a, b in zip((6, 32, 64, 128), (32, 64, 128, 256), strict=True))
    judge = convolutions + 256 * 512 + 512 + 512 * 2 + 2
    assert count(Discriminator(6, spatial_dims=dims)) == judge


@pytest.mark.parametrize("dims", [2, 3])
def test_every_stage_has_the_shape_it_should(dims):
    torch.manual_seed(0)
    size = (32, 48, 16)[3 - dims :]
    network, decoder = (
        CoSegmenter(2, 3, spatial_dims=dims, width=4),
        ReconstructionDecoder(2, spatial_dims=dims, width=4),
    )
    image = torch.randn(2, 2, *size)
    features = network.encoder(image)
    for level, feature in enumerate(features):
        assert feature.shape == (2, 4 * 2**level, *[n // 2**level for n in size])
    middle = network.features(image)
    assert middle.shape == network.transfer(middle).shape == features[-1].shape
    shapes = []
    for part in (*network.segmenter.refine, *decoder.blocks):
        part.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape[1:])))
    assert network(image, middle).shape == (2, 3, *size)
    reconstructed = decoder(middle, size)
    assert reconstructed.shape == image.shape
    assert reconstructed.abs().max() <= 1
    upwards = [(4 * 2**level, *[n // 2**level for n in size]) for level in (3, 2, 1, 0)]
    assert shapes == upwards * 2
    assert Discriminator(2, spatial_dims=dims, width=4)(image).shape == (2, 2)


@pytest.mark.parametrize("size", [(1, 1), (17, 30), (40, 23)])
def test_any_size_is_answered_at_its_own_size(size):
    torch.manual_seed(0)
    network, decoder = (
        CoSegmenter(1, 2, spatial_dims=2, width=2).eval(),
        ReconstructionDecoder(1, spatial_dims=2, width=2),
    )
    image = torch.randn(1, 1, *size)
    assert network(image).shape == (1, 2, *size)
    assert decoder.eval()(network.features(image), size).shape == (1, 1, *size)
    assert Discriminator(1, spatial_dims=2, width=2)(image).shape == (1, 2)


def test_thick_slices_are_not_halved_until_the_others_have_caught_up():
    network = CoSegmenter(1, 2, (6.5, 1.0, 1.0), width=2)
    assert network.divisor == network.segmenter.divisor == (4, 16, 16)
    assert network.margin == (0, 0, 0)
    image = torch.randn(2, 1, 4, 32, 16)
    assert network.features(image).shape == (2, 32, 1, 2, 1)
    assert ReconstructionDecoder(1, (6.5, 1.0, 1.0), width=2)(network.features(image), (4, 32, 16)).shape == image.shape
    first = network.encoder.levels[1][0].inside[1][0]
    assert (first.kernel_size, first.stride) == ((1, 3, 3), (1, 2, 2))


def test_the_block_concatenates_and_keeps_its_width():
    """Written out once more: three convolutions beside the input, both fused by a 1x1 convolution."""
    torch.manual_seed(0)
    made = ConcatBlock(2, 4, 6, (3, 3, 3), (2, 2, 2)).eval()
    kernels = [layer[0].kernel_size for layer in made.inside]
    assert kernels == [(1, 1), (3, 3), (1, 1)]
    assert made.fuse[0].in_channels == 4 + 6
    x = torch.randn(1, 4, 6, 6)
    y = x
    for layer in made.inside:
        y = torch.relu(
            layer[1](torch.nn.functional.conv2d(y, layer[0].weight, None, layer[0].stride, layer[0].padding))
        )
    beside = x.reshape(1, 4, 3, 2, 3, 2).mean((3, 5))
    expected = made.fuse(torch.cat([beside, y], 1))
    assert torch.allclose(made(x), expected, atol=1e-6)
    assert made(x).shape == (1, 6, 3, 3)


def test_transfer_is_a_1x1_convolution_normalised_and_rectified():
    torch.manual_seed(0)
    made = Transfer(3, 4).eval()
    assert [type(m).__name__ for m in made] == ["Conv3d", "BatchNorm3d", "ReLU"]
    assert (made[0].kernel_size, made[0].stride) == ((1, 1, 1), (1, 1, 1))


def test_what_transfer_brings_is_added_to_the_bottleneck():
    """Eq. 4: with a bottleneck of zeros, adding S's own features gives what S gives alone."""
    torch.manual_seed(0)
    network = CoSegmenter(1, 2, spatial_dims=2, width=2).eval()
    image = torch.randn(1, 1, 16, 16)
    alone = network.segmenter(image)
    own = network.segmenter.encoder(image)[-1]
    assert torch.allclose(network.segmenter(image, torch.zeros_like(own)), alone)
    with torch.no_grad():
        network.transfer[1].weight.zero_()
        network.transfer[1].bias.zero_()
    assert torch.allclose(network(image), alone)
    seen = []
    network.segmenter.up[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    brought = torch.rand_like(own)
    network.segmenter(image, brought)
    assert torch.allclose(seen[0], own + brought)


def test_s_and_r_start_from_different_weights():
    network = CoSegmenter(1, 2, spatial_dims=2, width=2)
    ours, theirs = network.segmenter.encoder.state_dict(), network.encoder.state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert not torch.equal(ours["stem.0.weight"], theirs["stem.0.weight"])


def test_the_reconstruction_sees_the_image_through_the_middle_layer_only():
    """No skips: the decoder is given nothing but features at a sixteenth of the resolution."""
    decoder = ReconstructionDecoder(1, spatial_dims=2, width=2).eval()
    features = torch.randn(1, 32, 1, 1, requires_grad=True)
    decoder(features, (16, 16)).sum().backward()
    assert features.grad.any()
    assert not [name for name, _ in decoder.named_modules() if "skip" in name]


def test_receptive_field_of_the_bottleneck():
    """1 + 2 for the stem, 4 at full resolution, then 2 + 4, 4 + 8, 8 + 16, 16 + 32 for the blocks below: 97 pixels."""
    encoder = Encoder(1, (1.0, 1.0, 1.0), 2, 2, 0.0).eval()
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.abs_()  # nothing is rectified away
    image = torch.ones(1, 1, 192, 192, requires_grad=True)
    encoder(image)[-1][0, :, 6, 6].sum().backward()
    for axis in (0, 1):
        seen = torch.nonzero(image.grad[0, 0].abs().sum(1 - axis)).flatten()
        assert int(seen.max() - seen.min()) + 1 == 97


def test_dropout_is_at_the_bottleneck_of_both_encoders():
    network = CoSegmenter(1, 2, spatial_dims=2, width=2, dropout=0.5)
    drops = [name for name, m in network.named_modules() if isinstance(m, torch.nn.Dropout)]
    assert drops == ["segmenter.encoder.dropout", "encoder.dropout"]
    assert ColNet(1, 2).encoder.dropout.p == 0.01


def test_widths_double():
    assert widths_of(32) == [32, 64, 128, 256, 512]


def test_the_discriminator_has_four_convolutions_and_512_neurons():
    made = Discriminator(6, spatial_dims=2)
    convolutions = [m for m in made.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [(m.out_channels, m.kernel_size, m.stride) for m in convolutions] == [
        (n, (3, 3), (2, 2)) for n in (32, 64, 128, 256)
    ]
    assert [m.out_features for m in made.modules() if isinstance(m, torch.nn.Linear)] == [512, 2]
