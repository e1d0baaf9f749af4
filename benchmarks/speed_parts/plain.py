"""A mean teacher as public semi-supervised repositories write it, for comparison; run as a process of its own.

Every sample reads its volume from disk, is standardised, cropped and turned with NumPy; both streams are one batch;
losses are read with ``.item()`` at each step; the teacher is moved by a Python loop over parameters; all in float32,
channels first. Network, patch, batch and losses are those of the other side. Prints one JSON line.
"""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path

import nibabel
import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from napari_penumbra.methods._base import Problem
from napari_penumbra.methods.mean_teacher import MeanTeacher
from speed_parts import command


class Scans(Dataset):
    """Reads a whole scan for every patch."""

    def __init__(self, folder: Path, names: list[str], patch: tuple[int, int, int], length: int) -> None:
        self.folder, self.names, self.patch, self.length = folder, names, patch, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        name = self.names[index % len(self.names)]
        image = nibabel.load(self.folder / "images" / f"{name}.nii.gz").get_fdata(dtype=np.float32).T
        label = np.asarray(nibabel.load(self.folder / "labels" / f"{name}.nii.gz").dataobj).T
        image = (image - image.mean()) / image.std()
        lacks = [(max(0, p - n), 0) for n, p in zip(image.shape, self.patch, strict=True)]
        image, label = np.pad(image, lacks), np.pad(label, lacks)
        starts = [np.random.randint(0, n - p + 1) for n, p in zip(image.shape, self.patch, strict=True)]
        cut = tuple(slice(s, s + p) for s, p in zip(starts, self.patch, strict=True))
        turns, axis = np.random.randint(0, 4), np.random.randint(0, 3)
        image, label = (np.flip(np.rot90(v[cut], turns, (1, 2)), axis).copy() for v in (image, label))
        return torch.from_numpy(image)[None], torch.from_numpy(label.astype(np.int64))


def main() -> None:
    """Train some steps and print how many a second were done after the first ones."""
    arguments = command.parser().parse_args()
    config = MeanTeacher.configure(arguments.preset, arguments.settings)
    torch.manual_seed(0)
    made = MeanTeacher(config, Problem(1, 2, (1.0, 1.0, 1.0)))
    student, teacher = made.student.train(), copy.deepcopy(made.student).train()
    patch, steps = made.patch, config.steps
    known = Scans(arguments.folder, arguments.names[: arguments.labelled], patch, steps * config.labelled_batch)
    other = Scans(arguments.folder, arguments.names[arguments.labelled :], patch, steps * config.unlabelled_batch)
    loaders = DataLoader(known, config.labelled_batch, shuffle=True), DataLoader(other, config.unlabelled_batch)
    optimiser = torch.optim.SGD(student.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    began = time.perf_counter()
    for step, ((image, label), (unlabelled, _)) in enumerate(zip(*loaders, strict=True)):
        if step == arguments.warm:
            began = time.perf_counter()
        noise = torch.clamp(torch.randn_like(unlabelled) * 0.1, -0.2, 0.2)
        output = student(torch.cat([image, unlabelled]))
        with torch.no_grad():
            taught = teacher(unlabelled + noise).softmax(1)
        if output.shape[2:] != label.shape[1:]:
            crop = [(n - m) // 2 for n, m in zip(label.shape[1:], output.shape[2:], strict=True)]
            label = label[(slice(None), *(slice(c, c + m) for c, m in zip(crop, output.shape[2:], strict=True)))]
        said, soft = output[: len(image)], output.softmax(1)
        entropy = functional.cross_entropy(said, label)
        hit = (soft[: len(image), 1] * (label == 1)).sum()
        dice = 1 - (2 * hit + 1e-5) / (soft[: len(image), 1].sum() + (label == 1).sum() + 1e-5)
        consistency = ((soft[len(image) :] - taught) ** 2).mean()
        loss = entropy + dice + 0.1 * consistency
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        alpha = min(1 - 1 / (step + 1), 0.99)
        for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
            slow.data.mul_(alpha).add_(fast.data, alpha=1 - alpha)
        shown = loss.item(), entropy.item(), dice.item(), consistency.item()
        assert all(np.isfinite(shown))
    seconds = time.perf_counter() - began
    print(json.dumps({"steps_per_second": (steps - arguments.warm) / seconds}))


if __name__ == "__main__":
    main()
