"""PyMIC's mean-teacher trainer on a processor, for comparison; run as a process of its own.

It is `SSLMeanTeacher` of PyMIC 0.6.2 as it was released: its data set, transforms, loaders, losses and steps. What is
different here changes nothing of what it computes:

- The trainer names a graphics card; ``torch.device`` answers with the processor instead.
- Packages that only PyMIC's other networks and transforms want need not be installed: empty modules stand in for them.
  Of torchvision the trainer wants `Compose`, which calls one transform after the other.
- Its network is the one of the other side, put into PyMIC's list of networks, so that weights and operations are equal.

Prints one JSON line.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.flop_counter import FlopCounterMode

from napari_penumbra.methods._base import Problem
from napari_penumbra.methods.mean_teacher import MeanTeacher
from speed_parts import command

TRANSFORMS = ["NormalizeWithMeanStd", "Pad", "RandomCrop", "RandomFlip"]
"""What PyMIC does to each sample: less than the other side, which varies contrast too."""
_NICENESS = 10
_ABSENT = ("torchvision", "timm", "imops", "einops", "ml_collections")


class _Nothing:
    """May be made of anything, and has any attribute: configurations of networks that nobody builds."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing()


class _Inert(types.ModuleType):
    """A module of which every name may be imported; nothing of it may be used."""

    __path__: list[str] = []  # noqa: RUF012

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (_Nothing,), {})


class _StandIns:
    """Finds the modules that are not installed and are not needed."""

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        """Answer for the absent packages and all that is in them."""
        return ModuleSpec(name, self, is_package=True) if name.partition(".")[0] in _ABSENT else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        """Make an empty module; torchvision's transforms get the one class that is used."""
        made = _Inert(spec.name)
        if spec.name == "torchvision.transforms":
            made.Compose = Compose  # type: ignore[attr-defined]
        return made

    def exec_module(self, _module: types.ModuleType) -> None:
        """Nothing to run."""


class Compose:
    """As torchvision's: one transform after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, sample: Any) -> Any:
        """Send a sample through."""
        for transform in self.transforms:
            sample = transform(sample)
        return sample


class _OnProcessor(types.ModuleType):
    """``torch``, but every device is the processor."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def device(*_names: Any) -> torch.device:
        """Return the processor's."""
        return torch.device("cpu")


class _EnoughError(Exception):
    """Ends the training after the last step that is timed: its validation is nobody's business here."""


def main() -> None:
    """Train some steps and print how many a second were done after the first ones."""
    parser = command.parser()
    parser.add_argument("--loaders", type=int, default=0, help="Processes of each of PyMIC's two loaders.")
    arguments = parser.parse_args()
    # As the other side's workers: on a busy machine both wait alike.
    os.nice(_NICENESS)
    _stand_in()
    config = MeanTeacher.configure(arguments.preset, arguments.settings)
    made = MeanTeacher(config, Problem(1, 2, (1.0, 1.0, 1.0)))
    with tempfile.TemporaryDirectory() as kept, contextlib.redirect_stdout(sys.stderr):
        tables = _write_tables(Path(kept), arguments.names, arguments.labelled, config.steps)
        order = _order(arguments.folder, Path(kept), tables, made, arguments.loaders)
        times = _times(order, config.steps, lambda _params: MeanTeacher(config, Problem(1, 2, (1.0, 1.0, 1.0))).student)
    seconds = times[-1] - times[arguments.warm - 1]
    facts = {
        "steps_per_second": (len(times) - arguments.warm) / seconds,
        "parameters": sum(weight.numel() for weight in made.student.parameters()),
        "gigaflops_per_step": _operations(made) / 1e9,
    }
    print(json.dumps(facts))


def _stand_in() -> None:
    missing = [name for name in _ABSENT if find_spec(name) is None]
    if missing:
        sys.meta_path.append(_StandIns())  # type: ignore[arg-type]


def _write_tables(folder: Path, names: list[str], labelled: int, steps: int) -> dict[str, str]:
    """PyMIC's lists of files; each is long enough that no epoch ends, which would start its loaders anew."""
    paths = {"train_csv": folder / "labelled.csv", "train_csv_unlab": folder / "others.csv"}
    for path, chosen in zip(paths.values(), (names[:labelled], names[labelled:]), strict=True):
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(("image", "label") if path.stem == "labelled" else ("image",))
            for _ in range(steps * 8):
                for name in chosen:
                    row = (f"images/{name}.nii.gz", f"labels/{name}.nii.gz")
                    table.writerow(row if path.stem == "labelled" else row[:1])
    return {key: str(path) for key, path in paths.items()}


def _order(
    scans: Path, kept: Path, tables: dict[str, str], method: MeanTeacher, loaders: int
) -> dict[str, dict[str, Any]]:
    """PyMIC's configuration; optimiser, loss and teacher as in its examples of semi-supervised learning."""
    patch, config = list(method.patch), method.config
    flips = {f"randomflip_flip_{axis}": True for axis in ("depth", "height", "width")}
    data = {
        "tensor_type": "float",
        "task_type": "seg",
        "supervise_type": "semi_sup",
        "train_dir": str(scans),
        **tables,
        "modal_num": 1,
        "patch_size": patch,
        "train_batch_size": config.labelled_batch,
        "train_batch_size_unlab": config.unlabelled_batch,
        "num_worker": loaders,
        "train_transform": [*TRANSFORMS, "LabelToProbability"],
        "train_transform_unlab": TRANSFORMS,
        **flips,
    }
    training = {
        "gpus": [0],
        "optimizer": "SGD",
        "learning_rate": 0.01,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "loss_type": ["DiceLoss", "CrossEntropyLoss"],
        "loss_weight": [1.0, 1.0],
        "lr_scheduler": "StepLR",
        "lr_step": 10_000,
        "lr_gamma": 0.5,
        "iter_max": config.steps + 1,
        "iter_valid": config.steps + 1,
        "ckpt_dir": str(kept / "model"),
    }
    teaching = {"method_name": "MeanTeacher", "regularize_w": 0.1, "rampup_start": 0, "rampup_end": config.steps}
    network = {"net_type": "network of the other side", "class_num": 2, "in_chns": 1}
    return {"dataset": data, "network": network, "training": training, "semi_supervised_learning": teaching}


def _times(order: dict[str, dict[str, Any]], steps: int, network: Callable[[Any], torch.nn.Module]) -> list[float]:
    """Let PyMIC train; the time at the end of each optimiser step."""
    agent_module = import_module("pymic.net_run.agent_seg")
    mean_teacher = import_module("pymic.net_run.semi_sup.ssl_mt")
    order = import_module("pymic.util.parse_config").synchronize_config(order)
    agent_module.torch = _OnProcessor("torch")
    mean_teacher.SegNetDict["network of the other side"] = network
    times: list[float] = []

    def passed(*_: Any) -> None:
        times.append(time.perf_counter())
        if len(times) == steps:
            raise _EnoughError

    hook = register_optimizer_step_post_hook(passed)
    with contextlib.suppress(_EnoughError), _closing(hook):
        mean_teacher.SSLMeanTeacher(order, "train").run()
    return times


@contextlib.contextmanager
def _closing(hook: Any) -> Iterator[None]:
    try:
        yield
    finally:
        hook.remove()


def _operations(method: MeanTeacher) -> int:
    """Operations of the networks in one step, of either side: student there and back, teacher there."""
    config = method.config
    student = torch.randn(config.labelled_batch + config.unlabelled_batch, 1, *method.patch)
    with FlopCounterMode(display=False) as count:
        method.student.train()(student).sum().backward()
        with torch.no_grad():
            method.teacher(student[config.labelled_batch :])
    return int(count.get_total_flops())


if __name__ == "__main__":
    main()
