"""Two processes are one process with twice the batch: every method, real processes, real exchange by gloo."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import team_steps
import torch
from team_steps import MACHINE, QUICK, THOROUGH, Case, take

from napari_penumbra import methods
from napari_penumbra.training.learner import Learner
from napari_penumbra.training.sharding import Part


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_team(size: int, *arguments: str) -> list[subprocess.Popen[str]]:
    """Start processes as torchrun would, without it: a second less."""
    shared = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [
        subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(size)
    ]


def run_team(size: int, cases: str, folder: Path) -> Path:
    """Take the cases' steps in real processes; what they had at the end is in the folder."""
    team = start_team(size, str(Path(team_steps.__file__)), str(folder), cases)
    for process in team:
        output, _ = process.communicate(timeout=1200)
        assert process.returncode == 0, output
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_team(2, "quick", tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_team(3, "thorough", tmp_path_factory.mktemp("three"))


def assert_equal_to_one_process(case: Case, folder: Path) -> None:
    together = safetensors.torch.load_file(folder / f"{case.name}.safetensors")
    alone = take(case, lambda method: Learner(method, MACHINE, 5))
    assert together.keys() == alone.keys()
    for name, tensor in alone.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(together[name], tensor, rtol=1e-5, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")
        else:
            assert torch.equal(together[name], tensor), name


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_two_processes_are_one_with_the_whole_batch(case: Case, two: Path) -> None:
    assert_equal_to_one_process(case, two)


def test_every_method_is_among_them() -> None:
    assert {case.method for case in QUICK} == set(methods.REGISTRY)


@pytest.mark.slow
@pytest.mark.parametrize("case", THOROUGH, ids=lambda case: case.name)
def test_three_processes_are_one_with_the_whole_batch(case: Case, three: Path) -> None:
    assert_equal_to_one_process(case, three)


@pytest.mark.parametrize("count", range(1, 12))
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_patches_are_shared_out_evenly_and_none_twice(size: int, count: int) -> None:
    parts = [Part.of(rank, size, count) for rank in range(size)]
    assert [n for p in parts for n in range(p.start, p.stop)] == list(range(count))
    lengths = {p.stop - p.start for p in parts}
    assert max(lengths) - min(lengths) <= 1
    assert {p.largest for p in parts} == {max(lengths)}
