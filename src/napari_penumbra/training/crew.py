"""What a trainer asks of the processes that train with it; here the answers of one that trains alone.

`napari_penumbra.training.distributed` has those of several. The rule for all of it: whatever is decided (which cases
are drawn, when to stop, what is best) is decided alike in every process, and only work is shared out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import Tensor

from napari_penumbra.domain.spec import SpecCase
from napari_penumbra.inference.machine import Machine
from napari_penumbra.methods._base import Method
from napari_penumbra.training.cache import CaseCache
from napari_penumbra.training.data import Places
from napari_penumbra.training.learner import Learner


class Crew:
    """One process on its own.

    Attributes
    ----------
    rank, size
        Number of this process, from 0, and how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process speaks, and writes checkpoints, for all."""
        return self.rank == 0

    def device(self, wanted: str) -> str:
        """The spec's word for a device, made definite for this process."""
        return wanted

    def learner(self, method: Method, machine: Machine, seed: int) -> Learner:
        """Make what trains a method here."""
        return Learner(method, machine, seed)

    def part(self, count: int) -> range | None:
        """Which of the patches of a step this process reads, ``count`` per process; None for all of them."""
        return None

    def gather(self, tensor: Tensor) -> Tensor:
        """Put the parts of all processes together along the first axis, in order of rank."""
        return tensor

    def agreed(self, stopping: Callable[[], bool]) -> Callable[[], bool]:
        """Make a question that any process may answer with yes one that all answer alike."""
        return stopping

    def note(self, *facts: object) -> None:
        """Name facts that must be the same in every process; `agreed` compares them."""

    def share(self, work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Do something for every item, shared out if there are several processes; results in order, plain data."""
        return [work(item) for item in items]

    def ahead(self, work: Callable[[SpecCase], Places], cases: Sequence[SpecCase]) -> Callable[[SpecCase], Places]:
        """Let other processes work on the cases that will be asked for next."""
        return work

    def prepare(self, cache: CaseCache, cases: Iterable[SpecCase]) -> None:
        """Fill the cache before it is needed, where each process would otherwise do the same work."""
