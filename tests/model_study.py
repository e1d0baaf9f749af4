"""Real models in the small study of these tests: built, with weights of their own, never trained."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.domain.progress import Kind, Progress
from napari_penumbra.domain.spec import RunSpec
from napari_penumbra.jobs.launch import prepare
from napari_penumbra.session import Session
from napari_penumbra.training.build import make_method
from napari_penumbra.training.checkpoint import METHOD_PREFIX, Checkpoint, save
from napari_penumbra.training.plan import make_plan

TINY: dict[str, Any] = {"patch": (8, 8, 8), "labelled_batch": 1, "width": 4}


def make_model(session: Session, run: str, method: str = "supervised", seed: int = 3, **changes: Any) -> Path:
    """Leave what a training leaves that has ended: order, checkpoint, last words. Returns the run's folder.

    ``bias`` in the changes moves the last layer towards a class, so that models differ in what they predict.
    """
    study = session.opened()
    bias, dice = changes.pop("bias", 0.0), changes.pop("dice", None)
    spec = RunSpec(
        "train", tuple(study.modalities), study.labels, study.pool(), method, "laptop", TINY, 10, seed, device="cpu"
    )
    spec = dataclasses.replace(spec, **changes)
    plan = make_plan(spec)
    made = make_method(spec, plan)
    with torch.no_grad():
        for name, tensor in made.named_parameters():
            if name.endswith("head.bias") and len(tensor) > 1:
                tensor[1] += bias
    state = {
        "method": method,
        "preset": "laptop",
        "config": made.config.model_dump(mode="json"),
        "problem": dataclasses.asdict(made.problem),
        "plan": plan.to_json(),
        "labels": spec.labels.to_json(),
        "modalities": list(plan.modalities),
        "patch": [8, 8, 8],
        "seed": seed,
        "step": 10,
        "steps": 10,
        "figures": {"dice": 0.5, "cases": 1.0, "seconds": 2.0},
        "watch": {"spread": {"p0": 1}},
    }
    weights = {METHOD_PREFIX + n: t for n, t in made.state_dict().items()}
    weights |= {"reference/network.x": torch.zeros(3)}
    folder = prepare(study.layout.runs, run, spec)
    save(folder / "checkpoints", Checkpoint(weights, {"moment": torch.ones(2)}, state))
    study.add_run(run, "train", method, "laptop")
    said = [Progress(Kind.FINISHED, 10, 10)]
    if dice is not None:
        said.insert(0, Progress(Kind.VALIDATION, 10, 10, metrics={"dice": dice}))
    (folder / "events.jsonl").write_text("".join(event.to_line() + "\n" for event in said))
    session._know(run, "train", method).catch_up()
    return folder


def other_study(root: Path, modalities: list[str], labels: list[str]) -> Session:
    """An empty study elsewhere."""
    session = Session()
    session.create(root, "Other", modalities, LabelScheme.parse(labels))
    return session


def weights_of(folder: Path) -> dict[str, Any]:
    """Plain data of the newest checkpoint."""
    latest = (folder / "checkpoints" / "latest").read_text()
    return dict(json.loads((folder / "checkpoints" / latest / "state.json").read_text()))
