"""A learner of which every process has a copy: one step of all of them is one step on all their patches."""

from __future__ import annotations

import hashlib

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from napari_penumbra.inference.machine import Machine
from napari_penumbra.methods._base import Losses, Method, Phase, StepBatch
from napari_penumbra.training.learner import Learner
from napari_penumbra.training.sharding import Exchange, Sharing
from napari_penumbra.training.shared_layers import convert_layers


class SharedLearner(Learner):
    """Trains one method together with the other processes' copies.

    Weights, buffers, moments and random numbers are the same in every process before and after each step, so that any
    of them can write the checkpoint, and any number of processes can go on from it.

    Parameters
    ----------
    group
        The processes.
    """

    def __init__(self, method: Method, machine: Machine, seed: int, group: Exchange) -> None:
        super().__init__(method, machine, seed)
        self.sharing = Sharing(group)
        convert_layers(method, self.sharing, machine.device)
        # Last: hooks run in order, and what is sent around should be float32 already.
        self.sharing.attach(method)
        self._together = [_together(phase) for phase in self.phases]

    def learn(self, batch: StepBatch) -> dict[str, Tensor]:
        """Take one step; ``batch`` holds the patches of all processes."""
        with self.sharing.on():
            return super().learn(batch)

    def _losses(self, number: int, batch: StepBatch) -> Losses | None:
        losses: Losses | None = self._together[number](batch)
        return losses

    def random_digest(self) -> str:
        """Short name for the state of the random numbers, which must be the same in every process."""
        data = b"".join(state.cpu().numpy().tobytes() for _, state in sorted(self._random.items()))
        return hashlib.sha256(data).hexdigest()[:16]


class _PhaseLosses(nn.Module):
    """A phase as a module, which is what DistributedDataParallel takes: its weights, and its losses as forward."""

    def __init__(self, phase: Phase) -> None:
        super().__init__()
        self.weights = nn.ParameterList(phase.parameters)
        self._phase = (phase,)

    def forward(self, batch: StepBatch) -> Losses | None:
        return self._phase[0].losses(batch)


def _together(phase: Phase) -> nn.Module:
    # One wrapper per phase, each with its own weights: an adversary's are left alone while the other one learns.
    # Weights that a step does not use (networks that rest in some steps) must not be waited for.
    return DistributedDataParallel(_PhaseLosses(phase), find_unused_parameters=True)
