"""A few steps of any method on given batches, by one process or as one of several; run as a script by the latter.

``python team_steps.py FOLDER quick|thorough`` under RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT writes what rank 0
has at the end into ``FOLDER/<name>.safetensors``; it fails if the others have anything else.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor

from napari_penumbra import methods
from napari_penumbra.inference.machine import Machine
from napari_penumbra.methods._base import IGNORE, Method, Problem, StepBatch
from napari_penumbra.training.learner import Learner

STEPS = 12
MACHINE = Machine(torch.device("cpu"), bfloat16=False, channels_last=False)
SMALL: dict[str, Any] = {
    "width": 2,
    "patch": (8, 8, 8),
    "pretrain_steps": 2,
    "reconstruction_steps": 2,
    "ramp_steps": 2,
    "depth": 10,
    "confidence_width": 2,
    "optimiser": "sgd",
    "learning_rate": 0.01,
    "labelled_batch": 4,
    "unlabelled_batch": 4,
}


class Case(NamedTuple):
    """A method, how it is set up, and which steps of its run are taken."""

    method: str
    dims: int = 3
    changes: tuple[tuple[str, Any], ...] = ()
    steps: tuple[int, ...] = (0, 3, 8)

    @property
    def name(self) -> str:
        """Of the test and of the files."""
        told = "-".join(f"{key}={value}".replace(" ", "") for key, value in self.changes)
        return f"{self.method}-{self.dims}D" + (f"-{told}" if told else "")


WIDER = (("width", 8), ("learning_rate", 1e-3), ("reconstruction_rate", 1e-3))
"""COL-Net's deep and narrow encoders make 1e-4 out of 1e-14 in three steps, in one process as in two; so less."""
QUICK = [
    Case("mean-teacher", 3),
    Case("mean-teacher", 2, (("backbone", "deepmedic"), ("labelled_batch", 3), ("unlabelled_batch", 2))),
    Case("col-net", 2, (*WIDER, ("patch", (8, 32, 32)))),
    Case("co-learning", 2, (("labelled_batch", 2), ("unlabelled_batch", 2))),
    Case("self-correction", 2, (("coarse_weight", 1.0), ("labelled_batch", 3), ("patch", (8, 8, 64))), (0, 8)),
    Case("asdnet", 3, (("unlabelled_fakes", True), ("labelled_batch", 2))),
    Case("supervised", 3, (("labelled_mixing", True),)),
]
"""Every method once."""
THOROUGH = [
    *QUICK,
    *(
        Case(name, dims, (*(WIDER if name == "col-net" else ()), ("patch", (16, 32, 64))))
        for name in methods.REGISTRY
        for dims in (2, 3)
    ),
    Case("mean-teacher", 3, (("backbone", "vnet"),)),
    Case("mean-teacher", 3, (("consistency_over", "patch"), ("labelled_batch", 3))),
    Case("co-learning", 3, (("faithful", True), ("same_start", False))),
]


def make(case: Case) -> Method:
    """Build the case's method; the same weights every time."""
    torch.manual_seed(0)
    kind = methods.get(case.method)
    values = {**SMALL, **dict(case.changes)}
    values = {key: value for key, value in values.items() if key in kind.Config.model_fields}
    if case.method == "supervised":
        del values["unlabelled_batch"]
    return kind(kind.configure("laptop", values, STEPS), Problem(2, 3, spatial_dims=case.dims))


def make_batch(method: Method, step: int) -> StepBatch:
    """The whole batch of a step, some of its voxels unknown and the classes uneven between the patches."""
    generator = torch.Generator().manual_seed(step)
    wanted = method.streams(step)
    size = wanted.patch[3 - method.problem.spatial_dims :]
    image = label = unlabelled = None
    if wanted.labelled:
        image = torch.randn((wanted.labelled, 2, *size), generator=generator)
        label = (image[:, 0] > 0.5).long() + (image[:, 1] > 1).long() * (torch.arange(len(image)) % 2).view(
            -1, *[1] * len(size)
        )
        label[0, ..., : size[-1] // 3] = IGNORE
    if wanted.unlabelled:
        unlabelled = torch.randn((wanted.unlabelled, 2, *size), generator=generator)
    in_double = [None if image is None else image.double() for image in (image, unlabelled)]
    return StepBatch(step, in_double[0], label, in_double[1])


@contextlib.contextmanager
def in_double() -> Iterator[None]:
    """Within: nothing is brought to float32, where a batch normalisation of few values makes much of the last digit."""
    before = torch.Tensor.float
    torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        torch.Tensor.float = before  # type: ignore[method-assign]


def take(case: Case, learner_of: Callable[[Method], Learner]) -> dict[str, Tensor]:
    """Take the case's steps; losses by ``loss/<step>/<name>``, and weights and buffers by ``weight/<name>``."""
    method = make(case).double()
    learner = learner_of(method)
    said: dict[str, Tensor] = {}
    with in_double():
        for step in case.steps:
            losses = learner.learn(make_batch(method, step))
            said |= {f"loss/{step}/{name}": value.reshape(1) for name, value in losses.items()}
    weights = {f"weight/{name}": t.clone().contiguous() for name, t in method.state_dict().items()}
    random = {f"random/{name}": state.clone() for name, state in learner._random.items()}
    return said | weights | random


def main(folder: Path, cases: str) -> None:
    """Take all cases' steps as one of several processes."""
    from napari_penumbra.training.distributed import Team, join, leave

    torch.set_num_threads(1)
    team = join("cpu")
    assert isinstance(team, Team)
    for case in {"quick": QUICK, "thorough": THOROUGH}[cases]:
        ended = take(case, lambda method: team.learner(method, MACHINE, 5))
        for name, tensor in ended.items():
            copies = team.all_gather(tensor.unsqueeze(0))
            assert bool((copies == copies[0]).all()), f"{case.name}: {name} differs between the processes"
        if team.leads:
            safetensors.torch.save_file(ended, folder / f"{case.name}.safetensors")
    leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
