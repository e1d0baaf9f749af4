"""Workers under a real torchrun, with gloo on the CPU."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.inference import half
from napari_penumbra.training import checkpoint as checkpoints
from napari_penumbra.training.worker import work
from tiny_study import CONFIG, add_case, make_spec, write_run


def torchrun(
    run: Path, *arguments: str, processes: int = 2, command: str = "train", **environment: str
) -> subprocess.Popen[str]:
    """Start workers as a reader would on a machine of their own."""
    module = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.Popen(
        [sys.executable, *module, "-m", "napari_penumbra.training.worker", command, str(run), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        start_new_session=True,
    )


def finished(process: subprocess.Popen[str], seconds: float = 200) -> tuple[int, str]:
    output, _ = process.communicate(timeout=seconds)
    return process.returncode, output


def events_of(run: Path) -> list[Progress]:
    file = run / "events.jsonl"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return [Progress.from_line(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def wait_for(run: Path, process: subprocess.Popen[str], seen: Callable[[list[Progress]], bool]) -> None:
    for _ in range(2400):
        if seen(events_of(run)):
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    pytest.fail("the workers said nothing in two minutes")


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """By rank."""
    ranks = {int(child.environ()["RANK"]): child for child in psutil.Process(process.pid).children()}
    return [ranks[rank] for rank in sorted(ranks)]


def order(root: Path, steps: int, batch: int, **changes: Any) -> RunSpec:
    """A mean teacher on so many labelled and half as many unlabelled patches per process."""
    spec = make_spec(root, steps=steps)
    config = {**CONFIG, "labelled_batch": 2 * batch, "unlabelled_batch": batch, "pretrain_steps": 2, "ramp_steps": 2}
    return dataclasses.replace(spec, config={**config, "optimiser": "sgd", **changes})


def ended(run: Path) -> checkpoints.Checkpoint:
    return checkpoints.load(run / "checkpoints")


def test_two_processes_train_as_one_with_twice_the_batch(root: Path) -> None:
    """From patches to weights: what is drawn, how it is turned, the teacher, the twin, the best validation."""
    alone = write_run(root, "alone", order(root, 6, batch=2))
    together = write_run(root, "together", order(root, 6, batch=1))
    started = torchrun(together)
    assert work(alone, "train") == 0
    code, output = finished(started)
    assert code == 0, output

    one, two = ended(alone), ended(together)
    for name, tensor in one.weights.items():
        torch.testing.assert_close(two.weights[name], tensor, rtol=1e-3, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}")
    for part in ("streams", "random", "step"):
        assert one.state[part] == two.state[part], part
    for name, tensor in one.optimisers.items():
        if name.startswith(("random/", "method/random/", "reference/random/")):
            assert torch.equal(two.optimisers[name], tensor), name

    told = events_of(together)
    assert [e.kind for e in told[:1]] == [Kind.STARTED]
    assert [e.kind for e in told].count(Kind.FINISHED) == 1
    assert any("2 processes train together" in e.message for e in told)
    dice = [
        [round(e.metrics["dice"], 3) for e in events_of(run) if e.kind is Kind.VALIDATION] for run in (alone, together)
    ]
    assert dice[0] == dice[1]
    assert json.loads((together / "worker.json").read_text())["pid"] == started.pid


@pytest.mark.slow
@pytest.mark.skipif(not half.able(), reason="this processor does not compute bfloat16 itself")
def test_two_processes_train_in_bfloat16(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the tests keeps processors to float32."""
    monkeypatch.setenv(half.SWITCH, "1")
    alone = write_run(root, "alone", order(root, 6, batch=2))
    together = write_run(root, "together", order(root, 6, batch=1))
    code, output = finished(torchrun(together))
    assert code == 0, output
    command = [sys.executable, "-m", "napari_penumbra.training.worker", "train", str(alone)]
    subprocess.run(command, check=True, capture_output=True)
    first, second = ([e.losses["total"] for e in events_of(run) if e.kind is Kind.STEP] for run in (alone, together))
    assert second[0] == pytest.approx(first[0], rel=0.02)
    assert second[-1] == pytest.approx(first[-1], rel=0.1)


@pytest.mark.slow
def test_a_dead_process_ends_all_in_a_sentence(root: Path) -> None:
    run = write_run(root, "run", order(root, 400, batch=1))
    process = torchrun(run)
    wait_for(run, process, lambda told: any(e.kind is Kind.CHECKPOINT for e in told))
    _, second = workers_of(process)
    killed = time.monotonic()
    second.send_signal(signal.SIGKILL)
    code, output = finished(process, 60)
    assert time.monotonic() - killed < 40
    assert code != 0
    last = events_of(run)[-1]
    assert last.kind is Kind.FAILED, output
    assert last.message.startswith(("Process 2 of 2 is gone", "One of the 2 processes is gone"))
    assert "Resume" in last.remedy
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(run) in " ".join(p.info["cmdline"] or [])]


HUNGRY = """
import os
from napari_penumbra.methods.mean_teacher import MeanTeacher

class Hungry(MeanTeacher):
    title = "Hungry"

    def _losses(self, batch):
        if os.environ["RANK"] == "1" and batch.step >= 5 and batch.image is not None and len(batch.image) > MOST:
            raise RuntimeError("DefaultCPUAllocator: not enough memory")
        return super()._losses(batch)
"""


def hungry(site: Path, most: int) -> dict[str, str]:
    """A method in a package of its own whose second process runs out of memory; the environment that knows it."""
    info = site / "hungry-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "hungry.py").write_text(HUNGRY.replace("MOST", str(most)))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hungry\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[napari_penumbra.methods]\nhungry = hungry:Hungry\n")
    return {"PYTHONPATH": str(site)}


@pytest.mark.slow
def test_memory_that_runs_out_in_one_process_makes_all_go_on_with_less(root: Path, tmp_path: Path) -> None:
    run = write_run(root, "run", dataclasses.replace(order(root, 40, batch=2), method="hungry"))
    process = torchrun(run, **hungry(tmp_path / "site", most=4))
    code, output = finished(process)
    assert code == 0, output
    told = events_of(run)
    assert told[-1].kind is Kind.FINISHED
    (warning,) = [e for e in told if e.about == "memory"]
    reached = warning.step
    assert 0 < reached < 40, "from a checkpoint, not from the beginning"
    assert warning.message.startswith(f"Memory ran out: from step {reached + 1} on 2 labelled and 1 unlabelled patches")
    assert [e.kind for e in told].count(Kind.STARTED) == 2
    assert not [e for e in told if e.kind is Kind.FAILED]
    assert ended(run).state["limits"] == {"batch_halvings": 1, "patch_halvings": 0}


@pytest.mark.slow
def test_memory_that_is_never_enough_ends_in_a_sentence(root: Path, tmp_path: Path) -> None:
    run = write_run(root, "run", dataclasses.replace(order(root, 40, batch=1, patch=(8, 8, 8)), method="hungry"))
    process = torchrun(run, **hungry(tmp_path / "site", most=0))
    code, output = finished(process)
    assert code != 0
    last = events_of(run)[-1]
    assert last.kind is Kind.FAILED, output
    assert last.message.startswith("Even one smallest patch per process does not fit into memory.")


@pytest.mark.slow
def test_another_number_of_processes_goes_on(root: Path) -> None:
    run = write_run(root, "run", order(root, 400, batch=1))
    process = torchrun(run)
    wait_for(run, process, lambda told: any(e.kind is Kind.CHECKPOINT for e in told))
    (run / "stop").touch()
    assert finished(process)[0] == 0
    reached = int(ended(run).state["step"])
    assert work(run, "train", resume=True) == 0  # one process takes over what two have left, and is asked to stop
    last = events_of(run)[-1]
    assert (last.kind, last.step) == (Kind.STOPPED, reached)

    (run / "stop").unlink()
    process = torchrun(run, "--resume")
    wait_for(run, process, lambda told: told[-1].kind is Kind.STEP and told[-1].step > reached + 2)
    (run / "stop").touch()
    code, output = finished(process)
    assert code == 0, output
    last = events_of(run)[-1]
    assert last.kind is Kind.STOPPED
    assert int(ended(run).state["step"]) == last.step > reached + 2


def prediction(root: Path, cases: int) -> tuple[Path, RunSpec]:
    """A trained run of one step, and an order to predict so many cases with it."""
    spec = make_spec(root, steps=1)
    assert work(write_run(root, "train", spec), "train") == 0
    more = tuple(add_case(root, f"case{n:02d}", 10 + n, "predict") for n in range(cases))
    latest = (root / "runs/train/checkpoints/latest").read_text()
    order = dataclasses.replace(spec, kind="predict", cases=more, checkpoint=f"runs/train/checkpoints/{latest}")
    return write_run(root, "predict", order), order


def done(run: Path) -> list[str]:
    return [e.case for e in events_of(run) if e.kind is Kind.CASE_DONE]


@pytest.mark.slow
def test_cases_are_shared_and_a_killed_process_loses_none(root: Path) -> None:
    run, spec = prediction(root, 12)
    names = {case.name for case in spec.cases}
    process = torchrun(run, command="predict")
    wait_for(run, process, lambda told: sum(e.kind is Kind.CASE_DONE for e in told) >= 2)
    workers_of(process)[1].send_signal(signal.SIGKILL)
    code, output = finished(process, 90)
    assert code != 0
    last = events_of(run)[-1]
    assert last.kind is Kind.FAILED, output
    assert "Process 2 of 2 is gone" in last.message
    before = done(run)
    assert len(before) == len(set(before)) < 12
    assert 2 <= len(list((run / "shares").glob("*/*.claim"))) <= 12

    code, output = finished(torchrun(run, command="predict"), 120)
    assert code == 0, output
    told = events_of(run)
    assert sorted(done(run)) == sorted(names), "each once, none lost"
    assert told[-1].kind is Kind.FINISHED
    assert told[-1].message == "12 of 12 cases predicted."
    assert [e.step for e in told if e.kind is Kind.CASE_DONE] == list(range(1, 13))
    by = {rank: (len([*(run / "shares").glob(f"*/{rank}.jsonl")])) for rank in (0, 1)}
    assert by[0] >= 1
    assert by[1] >= 1
    for event in told:
        if event.kind is Kind.CASE_DONE:
            assert (root / event.message).exists()
            assert len([*(root / "cases" / event.case / "predictions").glob("*.json")]) == 1
