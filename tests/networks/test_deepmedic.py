import pytest
import torch

from napari_penumbra.domain.errors import ModelError
from napari_penumbra.networks.deepmedic import DeepMedic, Pathway, add_cropped


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.fixture
def paper():
    torch.manual_seed(0)
    return DeepMedic(1, 2).eval()


def randomise_statistics(network):
    """Make batch normalisation in evaluation mode something else than the identity."""
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return network


def test_shapes_are_those_of_table_1(paper):
    shapes = {}

    def note(name):
        return lambda module, inputs, output: shapes.update({name: tuple(output.shape[1:])})

    for path in ("fine", "coarse"):
        for n, layer in enumerate(getattr(paper, path).convolutions, start=1):
            layer.register_forward_hook(note(f"{path}{n}"))
    paper.classify[0].register_forward_hook(note("hidden1"))
    paper.classify[2].register_forward_hook(note("hidden2"))
    image = torch.randn(1, 1, 5 + 52, 21 + 52, 21 + 52)
    fine, coarse = paper.views(image)
    assert fine.shape[2:] == (21, 37, 37)
    assert coarse.shape[2:] == (18, 23, 23)
    logits = paper(image)
    filters = (30, 30, 40, 40, 40, 40, 50, 50)
    for n, channels in enumerate(filters, start=1):
        assert shapes[f"fine{n}"] == (channels, 21 - 2 * n, 37 - 2 * n, 37 - 2 * n)
        assert shapes[f"coarse{n}"] == (channels, 18 - 2 * n, 23 - 2 * n, 23 - 2 * n)
    assert shapes["coarse8"] == (50, 2, 7, 7)
    assert shapes["hidden1"] == shapes["hidden2"] == (250, 5, 21, 21)
    assert logits.shape == (1, 2, 5, 21, 21)


def test_parameter_count(paper):
    convolutions = 2 * (30 + 30 * 30 + 30 * 40 + 3 * 40 * 40 + 40 * 50 + 50 * 50) * 27 + 100 * 250 + 250 * 250 + 500
    others = 2 * 3 * 320 + 2 * 3 * 250 + 2  # scale, shift and slope of every normalised channel; the head's bias
    assert count(paper) == convolutions + others == 708_642


def test_dropout_only_before_the_last_two_layers(paper):
    drops = [n for n, m in enumerate(paper.classify) if isinstance(m, torch.nn.Dropout)]
    assert drops == [1, 3]
    assert all(paper.classify[n].p == 0.5 for n in drops)


def test_blocks_are_averaged_around_the_same_centre(paper):
    ramp = torch.arange(73.0).expand(1, 1, 73, 73, 73)
    fine, coarse = paper.views(ramp)
    assert torch.allclose(fine[0, 0, 0, 0], torch.arange(18.0, 55.0))
    assert torch.allclose(coarse[0, 0, 0, 0], 3.0 + 3 * torch.arange(23))  # means of (2, 3, 4), (5, 6, 7) …
    assert fine.mean() == pytest.approx(float(coarse.mean()))
    wide = paper.enlarge(coarse, torch.Size((69, 69, 69)))
    assert torch.allclose(wide[0, 0, 0, 0, 24:45], ramp[0, 0, 0, 0, 26:47], atol=1.0)


@pytest.mark.parametrize("scale", [(3, 3, 3), (1, 3, 3)])
def test_large_tile_equals_small_ones(scale):
    torch.manual_seed(1)
    network = randomise_statistics(DeepMedic(2, 3, scale=scale)).eval()
    mz, my, mx = network.margin
    image = torch.randn(1, 2, 5 + 2 * mz, 7 + 2 * my, 10 + 2 * mx)
    with torch.no_grad():
        dense = network(image)
        for z, y, x in [(0, 0, 0), (3, 3, 6), (0, 6, 9)]:
            size = (2, 1, 1)
            stop = [a + n + 2 * m for a, n, m in zip((z, y, x), size, network.margin, strict=True)]
            tile = network(image[:, :, z : stop[0], y : stop[1], x : stop[2]])
            assert torch.allclose(tile, dense[:, :, z : z + 2, y : y + 1, x : x + 1], atol=1e-5)


def test_every_output_size_from_one_works(paper):
    for extra in range(1, 5):
        assert paper(torch.randn(1, 1, 52 + extra, 53, 53)).shape[2:] == (extra, 1, 1)
    with pytest.raises(ModelError, match="too small"):
        paper(torch.randn(1, 1, 52, 53, 53))


def test_receptive_field(paper):
    """One output voxel depends on 17^3 voxels in detail and on blocks up to 51^3; on none outside."""
    image = torch.randn(1, 1, 57, 57, 57, requires_grad=True)
    paper(image)[0, 0, 0, 0, 0].backward()
    seen = [(image.grad[0, 0].abs() > 0).any(dim=tuple(a for a in range(3) if a != axis)) for axis in range(3)]
    for axis in seen:
        where = torch.nonzero(axis).flatten()
        assert where.min() == 2  # the blocks start two voxels inside
        assert where.max() == 52  # 17 blocks of 3
    shift = torch.zeros(1, 1, 57, 57, 57)
    shift[..., 26 - 9] = 1
    fine, _ = paper.views(shift)
    assert not fine[..., :17, :17, :17].any()


def test_thick_slices_keep_their_number():
    network = DeepMedic(1, 2, scale=(1, 3, 3))
    assert network.margin == (8, 26, 26)
    fine, coarse = network.views(torch.randn(1, 1, 21, 73, 73))
    assert fine.shape[2:] == (21, 37, 37)
    assert coarse.shape[2:] == (21, 23, 23)


def test_two_dimensions():
    network = DeepMedic(3, 2, spatial_dims=2).eval()
    assert network.margin == (0, 26, 26)
    assert network(torch.randn(2, 3, 57, 60)).shape == (2, 2, 5, 8)


def test_residual_adds_the_cropped_centre_to_the_first_channels():
    y, earlier = torch.zeros(1, 3, 2, 2, 2), torch.arange(2 * 6**3.0).reshape(1, 2, 6, 6, 6)
    total = add_cropped(y, earlier)
    assert torch.equal(total[:, :2], earlier[..., 2:4, 2:4, 2:4])
    assert not total[:, 2].any()


def test_residuals_sit_at_layers_4_6_and_8():
    """With all convolutions at zero, what reaches the end came over a residual connection."""
    path = Pathway(3, 1).eval()
    with torch.no_grad():
        for layer in path.convolutions[2:]:
            layer.weight.zero_()
        for activation in path.activations:
            activation.weight.fill_(1)  # the identity
        image = torch.randn(1, 1, 19, 19, 19)
        after_two = path.convolutions[1](path.convolutions[0](image)) / (1 + 1e-5)
        end = path(image)
    # Layer 4 brings back what layer 3 was given; layers 6 and 8 hand it on.
    assert torch.allclose(end[:, :30], after_two[..., 6:-6, 6:-6, 6:-6], atol=1e-5)
    assert not end[:, 30:].any()
