import pytest
import safetensors.torch
import torch

from napari_penumbra.domain.errors import ModelError
from napari_penumbra.networks.pretrained import load_encoder
from napari_penumbra.networks.resunet import ResNetEncoder

CUBIC = (1.0, 1.0, 1.0)


def encoder(channels=3, dims=2, width=2, depth=10):
    return ResNetEncoder(channels, CUBIC, dims, width, depth)


def weights(**options):
    torch.manual_seed(7)
    state = encoder(**options).state_dict()
    return {name: torch.rand_like(t) if t.is_floating_point() else t for name, t in state.items()}


def write(folder, tensors, name="resnet.safetensors"):
    path = folder / name
    safetensors.torch.save_file(tensors, path)
    return path


def test_weights_arrive_bit_for_bit(tmp_path):
    tensors = weights()
    made = encoder()
    # As torchvision's old files are: with a classifier, without counters.
    extra = {"fc.weight": torch.zeros(10, 16), "fc.bias": torch.zeros(10)}
    kept = {name: t for name, t in tensors.items() if "num_batches" not in name}
    load_encoder(made, write(tmp_path, {**kept, **extra}))
    for name, tensor in made.state_dict().items():
        assert "num_batches" in name or torch.equal(tensor, tensors[name])
    load_encoder(made, write(tmp_path, tensors))


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_another_number_of_channels_answers_grey_as_colour_would(tmp_path, channels):
    tensors, made = weights(), encoder(channels)
    load_encoder(made, write(tmp_path, tensors))
    grey = torch.randn(1, 1, 32, 32)
    colour = torch.nn.functional.conv2d(grey.expand(-1, 3, -1, -1), tensors["conv1.weight"], padding=3)
    ours = torch.nn.functional.conv2d(grey.expand(-1, channels, -1, -1), made.conv1.weight, padding=3)
    assert torch.allclose(ours, colour, atol=1e-4)


def without(tensors, name):
    return {key: value for key, value in tensors.items() if key != name}


CASES = {
    "missing": (lambda t: without(t, "layer2.0.conv1.weight"), r"lacks layer2\.0\.conv1\.weight"),
    "many missing": (lambda t: {"conv1.weight": t["conv1.weight"]}, r"lacks .* and \d+ more"),
    "deeper": (lambda t: {**t, "layer1.1.conv1.weight": torch.zeros(1)}, r"has layer1\.1\.conv1\.weight besides"),
    "wider": (lambda t: {**t, "bn1.bias": torch.zeros(4)}, r"bn1\.bias is 4 there and 2 in this network"),
    "broken": (lambda t: {**t, "bn1.bias": torch.full((2,), torch.nan)}, "not numbers"),
    "impossible": (lambda t: {**t, "bn1.running_var": torch.tensor([1.0, -1.0])}, "negative variances"),
}


@pytest.mark.parametrize("case", CASES)
def test_weights_of_another_network_are_refused_in_words(tmp_path, case):
    change, words = CASES[case]
    made = encoder()
    before = {name: t.clone() for name, t in made.state_dict().items()}
    with pytest.raises(ModelError, match=words) as raised:
        load_encoder(made, write(tmp_path, change(weights())))
    assert raised.value.remedy
    assert all(torch.equal(t, before[name]) for name, t in made.state_dict().items())


def test_weights_of_pictures_do_not_fit_volumes(tmp_path):
    with pytest.raises(ModelError, match=r"conv1\.weight is 2 x 3 x 7 x 7 there") as raised:
        load_encoder(encoder(dims=3), write(tmp_path, weights()))
    assert "2D" in raised.value.remedy


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".PKL", ".bin", ".ckpt"])
def test_pickles_are_not_opened(tmp_path, suffix):
    path = tmp_path / f"resnet34{suffix}"
    path.write_bytes(b"never read")
    with pytest.raises(ModelError, match="is a pickle") as raised:
        load_encoder(encoder(), path)
    assert "weights_only=True" in raised.value.remedy


def test_a_pickle_under_another_name_is_refused(tmp_path):
    path = tmp_path / "resnet34.safetensors"
    torch.save({"conv1.weight": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_encoder(encoder(), path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        load_encoder(encoder(), tmp_path / "nowhere.safetensors")
    with pytest.raises(ModelError, match="cannot be read"):
        load_encoder(encoder(), tmp_path)
    with pytest.raises(ModelError, match="not a full path"):
        load_encoder(encoder(), "resnet34.safetensors")
