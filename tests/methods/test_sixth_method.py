"""A sixth method is one new file and one line in the registry: the command line, the trainer and the contract have it.

The sources are copied, the file and the line are added to the copy, and everything runs from there.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import napari_penumbra

LINE = '    "pseudo-label": "napari_penumbra.methods.pseudo_label:PseudoLabel",\n'
FILE = '''
"""Pseudo-labelling (Lee, 2013): a network learns from its own most probable classes on unannotated cases."""

from pydantic import Field
from torch import nn

from napari_penumbra.methods._average import AveragingMethod
from napari_penumbra.methods._base import Losses, Phase
from napari_penumbra.methods._functional import masked_cross_entropy
from napari_penumbra.methods._recipe import (
    PRESETS, RecipeConfig, make_network, optimiser_of, patch_for, schedule_of, streams_of, supervised_losses,
)


class PseudoLabelConfig(RecipeConfig):
    """Parameters of pseudo-labelling."""

    pseudo_weight: float = Field(0.3, ge=0, le=10, title="Pseudo-label weight", description="Weight of own labels.")


class PseudoLabel(AveragingMethod):
    """One network, its own labels."""

    title = "Pseudo-labels"
    summary = "Learns from its own labels; take it to see what the others add."
    paper = "D.-H. Lee: Pseudo-Label. ICML workshop 2013."
    Config = PseudoLabelConfig
    presets = {name: dict(values) for name, values in PRESETS.items()}

    def __init__(self, config, problem):
        super().__init__(config, problem)
        self.network = make_network(config, problem)
        self.keep_average(self.network, 0.9)
        self.patch = patch_for(config, problem, self.network)

    def segmenter(self) -> nn.Module:
        return self.network

    def streams(self, step):
        return streams_of(self.config, self.patch, self.config.unlabelled_batch)

    def phases(self):
        parameters = list(self.network.parameters())
        return (Phase("network", parameters, optimiser_of(self.config), self._losses, schedule_of(self.config)),)

    def labelled_loss(self, logits, label):
        return supervised_losses(logits, label, self.config.dice_weight)

    def _losses(self, batch):
        total, parts = None, {}
        if batch.image is not None and batch.label is not None:
            total, parts = self.labelled_loss(self.network(batch.image), batch.label)
        if batch.unlabelled is not None:
            logits = self.network(batch.unlabelled)
            pseudo = masked_cross_entropy(logits, logits.detach().argmax(1))
            weighted = self.config.pseudo_weight * pseudo
            total = weighted if total is None else total + weighted
            parts = parts | {"pseudo": pseudo.detach()}
        return None if total is None else Losses(total, parts)
'''


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> dict[str, str]:
    """Environment in which the copied package, with the sixth method, is the one that is imported."""
    home = tmp_path_factory.mktemp("copy")
    package = home / "napari_penumbra"
    shutil.copytree(Path(napari_penumbra.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "methods" / "pseudo_label.py").write_text(FILE)
    registry = package / "methods" / "__init__.py"
    text = registry.read_text()
    assert text.count("REGISTRY: dict[str, str] = {\n") == 1
    registry.write_text(text.replace("REGISTRY: dict[str, str] = {\n", "REGISTRY: dict[str, str] = {\n" + LINE))
    return {**os.environ, "PYTHONPATH": str(home), "OMP_NUM_THREADS": "1"}


def penumbra(env, *words):
    command = [sys.executable, "-m", "napari_penumbra.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_listed_and_its_parameters_are_read_off(copy):
    told = json.dumps(json.loads(penumbra(copy, "methods", "pseudo-label", "--json")))
    assert "pseudo_weight" in told
    assert "Learns from its own labels" in told


def test_it_trains_and_predicts(copy, tmp_path):
    study = tmp_path / "study"
    penumbra(copy, "demo", study, "--cohort", "lesions-2d", "--cases", "8", "--no-window")
    penumbra(copy, "train", study, "--method", "pseudo-label", "--steps", "3", "--set", "width=2", "--no-reference")
    penumbra(copy, "predict", study)
    assert [file for file in study.rglob("*.nii.gz") if "predictions" in file.parts]


@pytest.mark.slow
def test_it_keeps_the_contract_of_all_methods(copy):
    contract = Path(__file__).with_name("test_contract.py")
    words = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", "pseudo-label", str(contract)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], capture_output=True, text=True, env=copy, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
