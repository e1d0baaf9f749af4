"""Odd inputs in napari's real window: the picture on the screen is the file's, and a refusal is a sentence."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from napari_penumbra.domain.errors import PenumbraError
from napari_penumbra.domain.labels import LabelScheme
from napari_penumbra.plugin.readers import read
from napari_penumbra.plugin.walkthrough import Walkthrough
from napari_penumbra.study.store import Study

TABLE = Path(__file__).parents[1] / "imaging" / "odd_inputs.py"
SHOWN = ("sheared", "oblique", "PIR", "big-endian", "NaN", "unplaced", "one slice", "DICOM RLE", "flipped label")


@pytest.fixture(scope="module")
def table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("odd_inputs_table", TABLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_odd_scans_are_shown_where_their_millimetres_are(
    make_napari_viewer: Callable[..., Any], table: ModuleType, tmp_path: Path
) -> None:
    rows = [odd for odd in table.ODD if odd.key in SHOWN]
    assert len(rows) == len(SHOWN)
    expected = {}
    with Study.create(tmp_path / "study", "Odd", ["MR"], LabelScheme.parse(["1=lesion"])) as study:
        for odd in rows:
            told = table.tell(study, odd, tmp_path / odd.key)
            if told is not None:
                assert told.fate == "picture"
                expected[odd.key] = study.read(odd.key)
        root = study.root
    viewer = make_napari_viewer(show=True)
    walk = Walkthrough(viewer)
    walk.open_study(root)
    for key, case in expected.items():
        walk.open_case(key)
        layer = viewer.layers[f"{key} · MR"]
        assert np.array_equal(np.asarray(layer.data), case.images["MR"]), key
        assert np.array_equal(np.asarray(walk.labels_layer.data), case.labels), key
        assert np.allclose(layer.scale, case.grid.scale), key
        assert np.isfinite(layer.contrast_limits).all()
    assert len(expected) >= len(SHOWN) - 1


def test_a_dropped_file_that_is_refused_is_a_sentence(table: ModuleType, tmp_path: Path) -> None:
    refused = [odd for odd in table.ODD if odd.fate == "sentence" and not odd.label]
    told = 0
    for n, odd in enumerate(refused):
        folder = tmp_path / str(n)
        folder.mkdir()
        path = odd.make(folder)
        if path is None or path.is_dir():
            continue
        if "volumes" in odd.says or "channels" in odd.says:
            continue  # without a study a series of volumes may be looked at
        with pytest.raises(PenumbraError) as caught:
            read(str(path))
        told += 1
        assert caught.value.message.endswith("."), odd.key
        assert caught.value.remedy, odd.key
    assert told > 12
