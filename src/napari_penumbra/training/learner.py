"""A method with its optimisers on a device: one step, and everything that must be saved to go on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from napari_penumbra.domain.errors import JobError, ModelError
from napari_penumbra.inference.machine import Machine, speak_float32
from napari_penumbra.methods._base import Losses, Method, Phase, StepBatch


class Diverged(JobError):
    """A loss or a weight is no longer a number."""

    about = "not-a-number"


class Learner:
    """Trains one method.

    Every learner has its own stream of torch's global random numbers (dropout, noise), so that a reference twin that
    trains along does not change what the method does.

    Parameters
    ----------
    seed
        Of the random numbers.
    """

    def __init__(self, method: Method, machine: Machine, seed: int) -> None:
        self.method = method
        self.machine = machine
        machine.place(method)
        if machine.bfloat16:
            speak_float32(method)
        method.train()
        self.phases: tuple[Phase, ...] = method.phases()
        self.optimisers = [phase.optimiser(phase.parameters) for phase in self.phases]
        self._rates = [[float(group["lr"]) for group in o.param_groups] for o in self.optimisers]
        self._devices = [machine.device] if machine.device.type == "cuda" else []
        with torch.random.fork_rng(self._devices):
            torch.manual_seed(seed)
            self._random = self._random_now()

    def learn(self, batch: StepBatch) -> dict[str, Tensor]:
        """Take one step: every phase in order, then what no optimiser moves.

        Returns
        -------
        dict
            Loss parts by name (``phase.part`` if there are several phases), detached, on the device.

        Raises
        ------
        Diverged
            A loss is not finite; nothing was changed by that phase.
        """
        said: dict[str, Tensor] = {}
        with self.own_random():
            for number, phase in enumerate(self.phases):
                with self.machine.autocast():
                    losses = self._losses(number, batch)
                if losses is None:
                    continue
                self._lower(number, losses, batch.step)
                prefix = f"{phase.name}." if len(self.phases) > 1 else ""
                said[f"{prefix}total"] = losses.total.detach()
                said |= {f"{prefix}{name}": value.detach() for name, value in losses.parts.items()}
            self.method.after_step(batch.step)
        return said

    def _losses(self, number: int, batch: StepBatch) -> Losses | None:
        return self.phases[number].losses(batch)

    def _lower(self, number: int, losses: Losses, step: int) -> None:
        # KNOWN COST: this waits for the device once per step. A step on broken numbers would spoil the network.
        if not bool(torch.isfinite(losses.total).all()):
            raise Diverged(
                f"The loss is no longer a number at step {step}.",
                "Resume from the last checkpoint with a smaller learning rate, and look at the cases named in the log.",
            )
        optimiser = self.optimisers[number]
        optimiser.zero_grad(set_to_none=True)
        losses.total.backward()
        factor = self.phases[number].factor(step)
        for group, rate in zip(optimiser.param_groups, self._rates[number], strict=True):
            group["lr"] = rate * factor
        optimiser.step()

    def forget_gradients(self) -> None:
        """Free what a failed step has left behind."""
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)

    def move(self, device: torch.device) -> None:
        """Take networks and optimisers to another device and forget gradients; random numbers stay as they are."""
        self.forget_gradients()
        for tensor in [*self.method.parameters(), *self.method.buffers()]:
            tensor.data = tensor.data.to(device)
        for optimiser in self.optimisers:
            for parameter, entry in optimiser.state.items():
                for name, value in entry.items():
                    # Counts of steps live on the CPU wherever the weights are.
                    if isinstance(value, Tensor) and value.shape == parameter.shape:
                        entry[name] = value.to(device)

    def check_finite(self) -> None:
        """Raise `Diverged` when any weight is not a number: such a state must never replace a good checkpoint."""
        floats = [t for t in self.method.state_dict().values() if t.is_floating_point()]
        if not all(bool(torch.isfinite(t).all()) for t in floats):
            raise Diverged(
                "The network's weights are no longer numbers.",
                "Resume from the last checkpoint with a smaller learning rate.",
            )

    # ------------------------------------------------------------- random numbers

    @contextlib.contextmanager
    def own_random(self) -> Iterator[None]:
        """Within: torch's global generators are this learner's."""
        with torch.random.fork_rng(self._devices):
            self._set_random(self._random)
            yield
            self._random = self._random_now()

    def _random_now(self) -> dict[str, Tensor]:
        state = {"cpu": torch.get_rng_state()}
        if self._devices:
            state["cuda"] = torch.cuda.get_rng_state(self.machine.device)
        return state

    def _set_random(self, state: dict[str, Tensor]) -> None:
        torch.set_rng_state(state["cpu"])
        if self._devices and "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"], self.machine.device)

    # ------------------------------------------------------------- state

    def weights(self) -> dict[str, Tensor]:
        """Networks, and whatever else the method keeps in buffers."""
        return dict(self.method.state_dict())

    def moments(self) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
        """Optimisers and random numbers as (tensors by name, plain data per phase)."""
        tensors = {f"random/{name}": state for name, state in self._random.items()}
        plain: list[dict[str, Any]] = []
        for number, optimiser in enumerate(self.optimisers):
            state = optimiser.state_dict()
            numbers: dict[str, dict[str, Any]] = {}
            for index, entry in state["state"].items():
                for name, value in entry.items():
                    if isinstance(value, Tensor):
                        tensors[f"{number}/{index}/{name}"] = value
                    else:
                        numbers.setdefault(str(index), {})[name] = value
            groups = [{k: v for k, v in group.items() if k != "params"} for group in state["param_groups"]]
            plain.append({"numbers": numbers, "groups": groups})
        return tensors, plain

    def restore_weights(self, weights: dict[str, Tensor]) -> None:
        """Load networks; raises `ModelError` when they are of another shape."""
        restore_weights(self.method, weights)

    def restore_moments(self, tensors: dict[str, Tensor], plain: list[dict[str, Any]]) -> None:
        """Inverse of `moments`."""
        self._random = {n.removeprefix("random/"): t for n, t in tensors.items() if n.startswith("random/")}
        for number, (optimiser, data) in enumerate(zip(self.optimisers, plain, strict=True)):
            fresh = optimiser.state_dict()
            state: dict[int, dict[str, Any]] = {int(i): dict(entry) for i, entry in data["numbers"].items()}
            for name, tensor in tensors.items():
                phase, _, rest = name.partition("/")
                if phase == str(number):
                    index, _, key = rest.partition("/")
                    state.setdefault(int(index), {})[key] = tensor
            for group, saved in zip(fresh["param_groups"], data["groups"], strict=True):
                group |= {k: tuple(v) if isinstance(v, list) else v for k, v in saved.items()}
            optimiser.load_state_dict({"state": state, "param_groups": fresh["param_groups"]})
            _match_memory_format(optimiser)


def restore_weights(method: Method, weights: dict[str, Tensor]) -> None:
    """Load a method's networks and buffers in place.

    Raises
    ------
    ModelError
        Names or shapes differ from those of the method.
    """
    try:
        method.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(
            "The checkpoint does not fit the network: it was made with other settings.",
            "Train anew, or use the settings it was made with.",
            details=str(error),
        ) from error


def _match_memory_format(optimiser: torch.optim.Optimizer) -> None:
    """Lay loaded moments out like their parameters: mixed layouts are slow in fused optimiser steps."""
    for parameter, entry in optimiser.state.items():
        for name, value in entry.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                entry[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
