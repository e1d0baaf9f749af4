"""The rows beside PyMIC are optional, and what stands in for its missing packages is inert."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Iterator

import pytest
from speed_parts import pymic_loop, pymic_rows


@pytest.mark.parametrize(("found", "there"), [("0.6.2", True), ("0.5.0", False), (None, False)])
def test_only_the_version_that_is_compared_counts(found: str | None, there: bool, monkeypatch) -> None:
    def version(_name: str) -> str:
        if found is None:
            raise importlib.metadata.PackageNotFoundError
        return found

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert pymic_rows.installed() is there


@pytest.fixture
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "meta_path", [pymic_loop._StandIns(), *sys.meta_path])
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in pymic_loop._ABSENT:
            del sys.modules[name]


@pytest.mark.usefixtures("_stand_ins")
def test_missing_packages_are_stood_in_for_and_transforms_are_called_in_turn() -> None:
    layers = importlib.import_module("timm.models.layers")
    assert layers.DropPath(0.1).rate.of is not None
    transforms = importlib.import_module("torchvision.transforms")
    assert transforms.Compose([lambda x: x + 1, lambda x: 2 * x])(3) == 8
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("a_package_that_is_nowhere")


def test_every_device_is_the_processor_and_the_rest_is_torch() -> None:
    import torch

    shim = pymic_loop._OnProcessor("torch")
    assert shim.device("cuda:0") == torch.device("cpu")
    assert shim.cat is torch.cat
