"""One batch, several processes: each network call is shared out by patches, everything around it is done alike by all.

Every process holds the whole batch of the step (the patches of all processes) and computes the method's losses over all
of it. Only when a network is called, each process runs it on its own part of the patches and all exchange the answers;
in the backward pass each continues with the gradient of its own part. So whatever a method does with a batch (a Dice
over the batch, masked means, patches mixed with each other, an adversary, batch normalisation) is what one process
with the whole batch would have done: the method needs not know.

Averaged over the processes, as `torch.nn.parallel.DistributedDataParallel` does, gradients are those of one process:
a network's answers carry their gradient multiplied by the number of processes, and what does not go through a shared
call is the same everywhere anyway.

The price: losses, augmentation and noise are computed for the whole batch by every process, and the answers of every
call are sent around (a tenth of what networks themselves take, at eight processes; both grow with their number).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from napari_penumbra.domain.errors import JobError


class Exchange(Protocol):
    """What sharing needs of a group of processes."""

    rank: int
    size: int

    def all_gather(self, own: Tensor) -> Tensor:
        """(n, ...) of every process, the same shape in each, to (size * n, ...) in order of rank."""

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Sum over the processes, a new tensor."""

    def exchange(self, value: Any) -> list[Any]:
        """Plain data of every process, in order of rank."""


@dataclass(frozen=True, slots=True)
class Part:
    """The patches ``start`` to ``stop`` of ``count`` that this process runs; the largest part has ``largest``."""

    start: int
    stop: int
    count: int
    largest: int

    @classmethod
    def of(cls, rank: int, size: int, count: int) -> Part:
        """Share ``count`` patches out as evenly as can be, the first processes taking one more."""
        least, extra = divmod(count, size)
        start = rank * least + min(rank, extra)
        return cls(start, start + least + (rank < extra), count, least + (extra > 0))


class Sharing:
    """Where a process stands: outside of any network, or inside one with a part of the patches.

    Attributes
    ----------
    part
        While a shared call runs; None outside, and in calls on fewer patches than there are processes, which every
        process does whole.
    """

    def __init__(self, group: Exchange) -> None:
        self.group = group
        self.part: Part | None = None
        self._on = False
        self._depth = 0
        self._call: tuple[Any, ...] = ()
        self._compared: set[tuple[Any, ...]] = set()

    def __deepcopy__(self, memo: object) -> Sharing:
        return self  # a copied network is shared out by the same processes

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """Within: network calls are shared out. Outside, as in validation, each process runs networks by itself."""
        self._on, self._depth, self.part = True, 0, None
        try:
            yield
        finally:
            self._on, self._depth, self.part = False, 0, None

    def attach(self, method: nn.Module) -> None:
        """Let calls of every network in a method be shared out: the outermost call of a module that has weights."""
        for module in method.modules():
            if module is not method and next(module.parameters(), None) is not None:
                module.register_forward_pre_hook(self._enter, with_kwargs=True)
                # Also after an error, or the depth would be wrong ever after.
                module.register_forward_hook(self._leave, with_kwargs=True, always_call=True)

    def _enter(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
        if not self._on:
            return None
        self._depth += 1
        if self._depth > 1:
            return None
        count = _count(args, kwargs)
        if count < self.group.size:
            return None
        self.part = Part.of(self.group.rank, self.group.size, count)
        self._call = (id(module), *_shapes((args, kwargs)))
        return _each(self._own, args), _each(self._own, kwargs)

    def _leave(self, module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> Any:
        if not self._on:
            return None
        self._depth -= 1
        if self._depth or self.part is None:
            return None
        self._compare(output)
        gathered = _each(lambda tensor: self._whole(module, tensor), output)
        self.part = None
        return gathered

    def _compare(self, output: Any) -> None:
        """See, once for every kind of call, that all processes have got an answer of the same size."""
        if self._call in self._compared:
            return
        shapes = self.group.exchange([list(shape[1:]) for shape in _shapes(output)])
        if any(shape != shapes[0] for shape in shapes):
            raise JobError(
                "A network answers one patch in another size than several: patches as small as these cannot be shared "
                "out among processes.",
                "Choose a larger patch, or more patches a step.",
            )
        self._compared.add(self._call)

    def _own(self, tensor: Tensor) -> Tensor:
        assert self.part is not None
        asks = tensor.requires_grad and torch.is_grad_enabled()
        if tensor.ndim == 0 or len(tensor) != self.part.count:
            return _Known.apply(tensor, self.group) if asks else tensor
        return _Split.apply(tensor, self.part, self.group) if asks else tensor[self.part.start : self.part.stop]

    def _whole(self, module: nn.Module, tensor: Tensor) -> Tensor:
        part = self.part
        assert part is not None
        if tensor.ndim == 0 or len(tensor) != part.stop - part.start:
            raise JobError(
                f"This method cannot be trained by several processes: its {type(module).__name__} does not answer "
                "patch by patch.",
                "Train it with one process.",
            )
        return _Gather.apply(tensor, part, self.group)


def gather_parts(own: Tensor, part: Part, group: Exchange) -> Tensor:
    """Put the processes' patches together: (own, ...) of each to (count, ...)."""
    missing = part.largest - len(own)
    padded = torch.cat([own, own.new_zeros((missing, *own.shape[1:]))]) if missing else own
    whole = group.all_gather(padded.contiguous())
    if len(whole) == part.count:
        return whole
    parts = [Part.of(rank, group.size, part.count) for rank in range(group.size)]
    return torch.cat([whole[n * part.largest :][: p.stop - p.start] for n, p in enumerate(parts)])


class _Gather(torch.autograd.Function):
    """A network's answers of all processes. Everyone computes the same losses of them: no exchange on the way back."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, part: Part, group: Exchange) -> Tensor:
        ctx.part, ctx.size = part, group.size
        return gather_parts(own, part, group)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return grads[0][ctx.part.start : ctx.part.stop] * ctx.size, None, None


class _Split(torch.autograd.Function):
    """A process's part of what all have; on the way back all get the gradient of the whole."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, part: Part, group: Exchange) -> Tensor:
        ctx.part, ctx.group = part, group
        return whole[part.start : part.stop].clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return gather_parts(grads[0], ctx.part, ctx.group) / ctx.group.size, None, None


class _Known(torch.autograd.Function):
    """What every patch is seen with: each process finds its part's share of the gradient."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: Exchange) -> Tensor:
        ctx.group = group
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return ctx.group.all_reduce(grads[0]) / ctx.group.size, None


def _count(args: Any, kwargs: Any) -> int:
    """Patches in a call: the length of the first tensor that has one; 0 without any."""
    return next((shape[0] for shape in _shapes((args, kwargs)) if shape), 0)


def _shapes(value: Any) -> list[tuple[int, ...]]:
    """Of all tensors in nested tuples, lists and dicts."""
    found: list[tuple[int, ...]] = []

    def look(tensor: Tensor) -> Tensor:
        found.append(tuple(tensor.shape))
        return tensor

    _each(look, value)
    return found


def _each(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """Change every tensor in nested tuples, lists and dicts; all else stays as it is."""
    if isinstance(value, Tensor):
        return change(value)
    if type(value) in (tuple, list):
        return type(value)(_each(change, v) for v in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_each(change, v) for v in value))
    if isinstance(value, dict):
        return {k: _each(change, v) for k, v in value.items()}
    return value
