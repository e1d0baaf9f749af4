"""ImageNet weights of a ResNet from a file on this computer: checked name by name, never unpickled."""

from __future__ import annotations

from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from napari_penumbra.domain.errors import ModelError
from napari_penumbra.networks.resunet import ResNetEncoder

_PICKLES = {".pth", ".pt", ".pkl", ".pickle", ".bin", ".ckpt"}
_CLASSIFIER = {"fc.weight", "fc.bias"}
"""Torchvision's last layer, of which segmentation has no use."""
_COUNTER = ".num_batches_tracked"
"""Files of old torchvision versions lack these, and nothing reads them."""


def load_encoder(encoder: ResNetEncoder, path: str | Path) -> None:
    """Set an encoder's weights to those of a torchvision ResNet.

    Parameters
    ----------
    encoder
        Of width 64, in 2D; other encoders have other shapes and are refused. With three channels the first convolution
        is taken as it is. With any other number C each channel gets the mean of the three kernels, times 3 / C: a grey
        picture shown on every channel then answers as it would in colour.
    path
        Full path of a ``.safetensors`` file with torchvision's names (``conv1.weight``, ``layer1.0.bn1.bias`` …).

    Raises
    ------
    ModelError
        The file is missing, a pickle, not safetensors, or holds the weights of another network. The encoder is
        unchanged then.
    """
    file = Path(path).expanduser()
    found = _read(file)
    own = encoder.state_dict()
    _check_names(file, {n for n in own if not n.endswith(_COUNTER)}, set(found))
    ready = {}
    for name, tensor in own.items():
        if name not in found:
            ready[name] = torch.zeros_like(tensor)
            continue
        new = found[name]
        if name == "conv1.weight" and new.ndim == tensor.ndim:
            new = _spread(new.float(), tensor.shape[1])
        _check_tensor(file, name, new, tensor)
        ready[name] = new.to(tensor.dtype)
    encoder.load_state_dict(ready)


def _read(file: Path) -> dict[str, Tensor]:
    if file.suffix.lower() in _PICKLES:
        raise ModelError(
            f"{file.name} is a pickle: opening it could run a program hidden in it, so it is not opened.",
            "If you trust where it comes from, convert it: in Python, safetensors.torch.save_file(torch.load("
            f'"{file.name}", weights_only=True), "{file.stem}.safetensors").',
        )
    if not file.is_absolute():
        raise ModelError(f'"{file}" is not a full path.', "Give the weights' file from the root or drive letter on.")
    try:
        return dict(safetensors.torch.load(file.read_bytes()))
    except OSError as error:
        raise ModelError(
            f"The encoder's weights {file} cannot be read.",
            "Check the path, or leave it empty to start from random weights.",
            details=repr(error),
        ) from error
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ModelError(
            f"{file.name} is not a safetensors file, or it is damaged.",
            "Convert or copy it again, or leave the path empty.",
            details=repr(error),
        ) from error


def _check_names(file: Path, needed: set[str], found: set[str]) -> None:
    missing = sorted(needed - found)
    strange = sorted(n for n in found - needed - _CLASSIFIER if not n.endswith(_COUNTER))
    if not missing and not strange:
        return
    lacks = f"lacks {_few(missing)}" if missing else f"has {_few(strange)} besides"
    raise ModelError(
        f"{file.name} does not hold the weights of this ResNet: it {lacks}.",
        "Use torchvision's weights of the depth that is set (34 in the paper), under torchvision's names.",
        details=f"missing: {missing}; unknown: {strange}",
    )


def _check_tensor(file: Path, name: str, new: Tensor, own: Tensor) -> None:
    if new.shape != own.shape:
        remedy = "Set the width to 64 and the depth to that of the weights."
        if new.ndim + 1 == own.ndim:
            remedy = "They are made for pictures: set dimensions to 2D."
        raise ModelError(
            f"{file.name} does not fit: {name} is {_shape(new)} there and {_shape(own)} in this network.", remedy
        )
    if not bool(torch.isfinite(new).all()):
        raise ModelError(f"{file.name} is damaged: {name} holds values that are not numbers.", "Copy it again.")
    if name.endswith("running_var") and bool((new < 0).any()):
        raise ModelError(f"{file.name} is damaged: {name} holds negative variances.", "Copy it again.")


def _spread(kernel: Tensor, channels: int) -> Tensor:
    """First convolution's kernel of three colours, for any number of channels; other kernels pass as they are."""
    if kernel.shape[1] != 3 or channels == 3:
        return kernel
    mean = kernel.mean(dim=1, keepdim=True) * (3 / channels)
    return mean.expand(-1, channels, *kernel.shape[2:])


def _few(names: list[str]) -> str:
    rest = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + rest


def _shape(tensor: Tensor) -> str:
    return " x ".join(str(n) for n in tensor.shape) or "a single number"
