"""Several processes that train one model: who they are, how they exchange, and how they come to agree.

``torchrun`` (or Slurm) starts one worker per device with ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK`` and the address of
the first one in the environment. Tensors on graphics cards travel by NCCL, everything else by gloo. Objects travel as
JSON, never pickled.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from napari_penumbra.domain.errors import DiskError, JobError, PenumbraError
from napari_penumbra.domain.spec import SpecCase
from napari_penumbra.imaging.gentle import give_way
from napari_penumbra.inference.machine import Machine, choose_device
from napari_penumbra.methods._base import Method
from napari_penumbra.training.cache import CaseCache
from napari_penumbra.training.crew import Crew
from napari_penumbra.training.data import Places, thin
from napari_penumbra.training.learner import Learner
from napari_penumbra.training.ranks import Place, open_store
from napari_penumbra.training.sharding import Part, gather_parts
from napari_penumbra.training.shared_learner import SharedLearner

# torch 2.13 has renamed it, and warns of the old name.
_all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
_PATIENCE = dt.timedelta(hours=24)
"""A process may wait so long for the others, who may be validating. That one is gone is found out by its heartbeat."""


def join(device: str, store: Any = None) -> Crew:
    """Meet the other processes that the environment names; `Crew` itself when this process is alone.

    Parameters
    ----------
    device
        As the spec names it.
    store
        The table that all of them share; None opens it.

    Raises
    ------
    JobError
        There are fewer graphics cards than processes, or the others could not be reached.
    """
    place = Place.here()
    if place.size == 1:
        return Crew()
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if hasattr(os, "nice"):
        give_way(os.getpid(), os.nice(0))  # torchrun starts each in a session of its own
    cuda = choose_device(device).type == "cuda"
    if cuda:
        cards = torch.cuda.device_count()
        if "SLURM_JOB_ID" in os.environ:
            local %= max(cards, 1)  # a cluster may show each process its own card only
        if local >= cards:
            raise JobError(
                f"More processes were started on this machine than it has graphics cards ({cards}).",
                "Start as many processes per machine as it has cards, or train on the CPU.",
            )
        torch.cuda.set_device(local)
    store = store if store is not None else open_store()
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    try:
        dist.init_process_group(backend, store=store, rank=place.rank, world_size=place.size, timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise JobError(
            f"Process {place.rank + 1} of {place.size} could not reach the others.",
            "Check that the machines see each other by their names and that no firewall stands between them.",
            details=repr(error),
        ) from error
    return Team(place.rank, place.size, f"cuda:{local}" if cuda else "cpu")


def leave() -> None:
    """Wait for the others to be done and say goodbye; nothing happens for a process that is alone."""
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(torch.zeros(1))
        dist.destroy_process_group()


class Team(Crew):
    """Several processes; see `Crew` for what each question means.

    Parameters
    ----------
    device
        Of this process.
    """

    def __init__(self, rank: int, size: int, device: str) -> None:
        self.rank, self.size = rank, size
        self._device = device
        self._learners: list[SharedLearner] = []
        self._facts = hashlib.sha256()

    # ------------------------------------------------------------- tensors

    def all_gather(self, own: Tensor) -> Tensor:
        """(n, ...) of every process to (size * n, ...)."""
        sent = own.view(torch.uint8) if own.dtype == torch.bool else own
        whole = sent.new_empty((self.size * len(own), *own.shape[1:]))
        _all_gather(whole, sent)
        return whole.view(torch.bool) if own.dtype == torch.bool else whole

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Sum over the processes."""
        total = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    def gather(self, tensor: Tensor) -> Tensor:
        """Parts of equal size, in order of rank."""
        count = len(tensor) * self.size
        return gather_parts(tensor, Part.of(self.rank, self.size, count), self)

    def exchange(self, value: Any) -> list[Any]:
        """Plain data of every process, in order of rank."""
        data = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        lengths = self.all_gather(torch.tensor([len(data)])).tolist()
        padded = torch.zeros(max(lengths), dtype=torch.uint8)
        padded[: len(data)] = data
        rows = self.all_gather(padded.unsqueeze(0)).numpy()
        return [json.loads(row[:length].tobytes()) for row, length in zip(rows, lengths, strict=True)]

    # ------------------------------------------------------------- what a trainer asks

    def device(self, wanted: str) -> str:
        """Its own card, or the CPU."""
        return self._device

    def learner(self, method: Method, machine: Machine, seed: int) -> Learner:
        """One that learns with the others' copies of it."""
        self._learners.append(SharedLearner(method, machine, seed, self))
        return self._learners[-1]

    def part(self, count: int) -> range | None:
        """The same number for each, in order of rank."""
        return range(self.rank * count, (self.rank + 1) * count)

    def note(self, *facts: object) -> None:
        """Facts are hashed; see `agreed`."""
        for fact in facts:
            self._facts.update(f"{fact}\0".encode())

    def agreed(self, stopping: Callable[[], bool]) -> Callable[[], bool]:
        """Stop as soon as one of them would; raises `JobError` when they no longer do the same."""

        def ask() -> bool:
            facts = [self._facts.hexdigest(), *(learner.random_digest() for learner in self._learners)]
            digest = int(hashlib.sha256("".join(facts).encode()).hexdigest()[:15], 16)
            answers = self.all_gather(torch.tensor([[int(stopping()), digest]])).tolist()
            if len({digest for _, digest in answers}) > 1:
                raise JobError(
                    "The processes no longer do the same: they drew different cases or random numbers.",
                    "Check that all of them see the same study folder, then resume; if it happens again, train with "
                    "one process.",
                )
            return any(stop for stop, _ in answers)

        return ask

    def share(self, work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """The first item to the first process and so on, round by round."""
        found: list[Any] = []
        for start in range(0, len(items), self.size):
            found += self._round(work, items[start : start + self.size])
        for result in found:
            _raise(result)
        return [result["value"] for result in found]

    def _round(self, work: Callable[[Any], Any], items: Sequence[Any]) -> list[dict[str, Any]]:
        """One item per process; what goes wrong is told to all of them, so that none waits for another in vain."""
        own: dict[str, Any] = {}
        if self.rank < len(items):
            try:
                own = {"value": work(items[self.rank])}
            except PenumbraError as error:
                own = {"error": error.message, "remedy": error.remedy, "disk": isinstance(error, DiskError)}
        return list(self.exchange(own)[: len(items)])

    def ahead(self, work: Callable[[SpecCase], Places], cases: Sequence[SpecCase]) -> Callable[[SpecCase], Places]:
        """As many cases at once as there are processes, starting with the one that is asked for."""
        order = {id(case): number for number, case in enumerate(cases)}
        known: dict[int, dict[str, Any]] = {}

        def look(case: SpecCase) -> Places:
            number = order[id(case)]
            if number not in known:
                together = cases[number : number + self.size]
                results = self._round(lambda c: [int(n) for n in thin(work(c))], together)
                known.update(zip(range(number, number + len(results)), results, strict=True))
            result = known.pop(number)
            _raise(result)
            return np.array(result["value"], dtype=np.int64)

        return look

    def prepare(self, cache: CaseCache, cases: Iterable[SpecCase]) -> None:
        """Every process prepares some of the cases; all wait for all."""
        for case in list(cases)[self.rank :: self.size]:
            try:
                cache.image(case)
                if case.label is not None:
                    cache.label(case)
            except DiskError:
                raise
            except PenumbraError:
                continue  # whoever needs the case says so
        self.exchange(None)


def _raise(result: dict[str, Any]) -> None:
    if "error" in result:
        kind = DiskError if result["disk"] else JobError
        raise kind(result["error"], result["remedy"])


def thin_places(places: Places) -> Places:
    """What of a case's places is remembered anyway, so that no more is sent around."""
    from napari_penumbra.training.data import thin

    return thin(places)
