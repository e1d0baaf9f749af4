"""The case that comes next is read before it is opened, and never shown as it no longer is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from study_scans import predict

from napari_penumbra.study import predictions, read_ahead, reading
from napari_penumbra.study.read_ahead import ReadAhead
from napari_penumbra.study.store import Study


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(b"one")
    return path


def array(value: int) -> np.ndarray:
    return np.full((2, 2, 2), value, np.uint8)


def never() -> np.ndarray:
    raise AssertionError("read again")


def test_it_is_handed_out_once(file: Path) -> None:
    ahead = ReadAhead()
    ahead.begin("p1")
    ahead.prepare("p1", file, lambda: array(1))
    ahead.prepare("p1", file, never)
    assert ahead.take(file, never)[0, 0, 0] == 1
    assert ahead.take(file, lambda: array(2))[0, 0, 0] == 2


@pytest.mark.parametrize("change", ["content", "time", "another case", "opened", "gone"])
def test_what_is_no_longer_so_is_read_again(file: Path, change: str) -> None:
    ahead = ReadAhead()
    ahead.begin("p1")
    ahead.prepare("p1", file, lambda: array(1))
    if change == "content":
        file.write_bytes(b"another")
    elif change == "time":
        os.utime(file, ns=(1, 1))
    elif change == "another case":
        ahead.begin("p2")
    elif change == "opened":
        ahead.end("p1")
    else:
        file.unlink()
    assert ahead.take(file, lambda: array(2))[0, 0, 0] == 2


def test_what_comes_too_late_or_is_too_much_is_not_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = ReadAhead()
    ahead.begin("p1")

    def opened_meanwhile() -> np.ndarray:
        ahead.end("p1")
        return array(1)

    ahead.prepare("p1", file, opened_meanwhile)
    assert ahead.take(file, lambda: array(2))[0, 0, 0] == 2
    monkeypatch.setattr(read_ahead, "MOST_BYTES", 7)
    ahead.begin("p1")
    ahead.prepare("p1", file, lambda: array(1))
    assert ahead.take(file, lambda: array(2))[0, 0, 0] == 2


def test_a_case_is_opened_from_what_was_read(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "p0"
    predict(study, name)
    study.register_predictions()
    plain = study.read(name)
    study.read_ahead(name)
    with monkeypatch.context() as patch:
        for module in (reading, predictions):
            patch.setattr(module, "read_image", never)
        found = study.read(name)
    assert list(found.images) == list(plain.images)
    for modality, data in plain.images.items():
        np.testing.assert_array_equal(found.images[modality], data)
    np.testing.assert_array_equal(found.confidence, plain.confidence)
    np.testing.assert_array_equal(found.predicted, plain.predicted)
    np.testing.assert_array_equal(found.labels, plain.labels)
    found.labels[:] = 0
    np.testing.assert_array_equal(study.read(name).labels, plain.labels)


def test_what_the_next_case_is_chosen_by_is_read_when_it_is_registered(study: Study) -> None:
    predict(study, "p0")
    (found,) = study.register_predictions()
    assert found.id in study._core.summaries
