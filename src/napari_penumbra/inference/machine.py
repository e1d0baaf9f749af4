"""Where and in which number format networks are run on this computer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from napari_penumbra.domain.errors import JobError
from napari_penumbra.inference import half

_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
_INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


@dataclass(frozen=True, slots=True)
class Machine:
    """A device with the formats that pay on it.

    Attributes
    ----------
    bfloat16
        Whether convolutions run in bfloat16 under autocast.
    channels_last
        Whether tensors keep their channels innermost. On CPU 1.2 to 2.4 times faster with BatchNorm, 2.2 times slower
        with InstanceNorm (measured with torch 2.13).
    """

    device: torch.device
    bfloat16: bool
    channels_last: bool

    @classmethod
    def choose(cls, wanted: str, network: nn.Module) -> Machine:
        """Pick the device (``auto``, ``cpu``, ``cuda``, ``cuda:1`` …) and what suits the network on it."""
        device = choose_device(wanted)
        instance_norm = any(isinstance(m, _INSTANCE_NORMS) for m in network.modules())
        return cls(device, has_sound_bfloat16(device), not instance_norm)

    def place(self, module: nn.Module) -> None:
        """Move a module here, in the right memory format, in place."""
        module.to(self.device)
        if self.bfloat16:
            half.guard(module)
        if self.channels_last:
            for tensor in [*module.parameters(), *module.buffers()]:
                tensor.data = _channels_last(tensor.data)

    def tensor(self, tensor: Tensor) -> Tensor:
        """Move a tensor here; a batch of volumes (5 axes) or pictures (4 axes) also into the memory format."""
        moved = tensor.to(self.device, non_blocking=True)
        return _channels_last(moved) if self.channels_last else moved

    @contextlib.contextmanager
    def autocast(self) -> Iterator[None]:
        """Within: convolutions in bfloat16 if that pays here.

        The cache of cast weights is off: a network that first runs without and then with gradients inside one region
        would silently get no gradients from it.
        """
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bfloat16, cache_enabled=False):
            yield


def _channels_last(tensor: Tensor) -> Tensor:
    """Put the channels innermost; tensors with other axes, and labels, are returned as they are."""
    if tensor.is_floating_point() and tensor.dim() in _FORMATS:
        return tensor.contiguous(memory_format=_FORMATS[tensor.dim()])
    return tensor


def choose_device(wanted: str) -> torch.device:
    """Turn the spec's word into a device; raises `JobError` when it is not there."""
    if wanted == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise JobError(f'"{wanted}" is not a device.', "Use auto, cpu or cuda.", details=str(error)) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise JobError("No CUDA graphics card was found.", "Use auto or cpu, or check the driver.")
    return device


def has_sound_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is fast and right on a device: graphics cards and processors that compute it themselves.

    Emulated on a processor it is 140 times slower (measured).
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and half.sound()


def speak_float32(module: nn.Module) -> None:
    """Let the networks of ``module`` return float32 although they compute in bfloat16.

    Losses then never sum thousands of voxels in a format with 8 bits of mantissa, whatever a method's author does.
    """
    for child in module.children():
        if isinstance(child, nn.ModuleList | nn.ModuleDict):
            speak_float32(child)
        else:
            child.register_forward_hook(_to_float32)


def _to_float32(module: nn.Module, inputs: object, output: object) -> object:
    if isinstance(output, Tensor):
        return output.float() if output.dtype in (torch.bfloat16, torch.float16) else output
    if isinstance(output, tuple) and type(output) is tuple:
        return tuple(_to_float32(module, inputs, o) for o in output)
    if isinstance(output, list):
        return [_to_float32(module, inputs, o) for o in output]
    if type(output) is dict:
        return {k: _to_float32(module, inputs, v) for k, v in output.items()}
    return output


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, on a graphics card or on the host."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    text = str(error).lower()
    words = ("not enough memory", "can't allocate memory", "out of memory", "cublas_status_alloc_failed")
    return isinstance(error, RuntimeError) and any(w in text for w in words)
