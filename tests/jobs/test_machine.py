"""What this computer has, asked without importing torch here."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from napari_penumbra.jobs import machine


@pytest.fixture(autouse=True)
def _forget() -> None:
    machine.look.cache_clear()


def stand_in(folder: Path, answer: str) -> str:
    script = folder / "python"
    script.write_text(f"#!/bin/sh\necho asked >> {folder}/count\n{answer}\n")
    script.chmod(0o755)
    return str(script)


def test_without_a_sign_of_a_card_nobody_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "card_likely", lambda: False)
    found = machine.look(stand_in(tmp_path, "exit 3"))
    assert not found.cuda
    assert found.cores >= 1
    assert found.memory_bytes > 1e8
    assert not (tmp_path / "count").exists()


@pytest.mark.skipif(os.name != "posix", reason="the stand-in interpreter is a shell script")
@pytest.mark.parametrize(
    ("answer", "card", "size"),
    [
        (f"echo '{json.dumps({'cuda': True, 'card': 'H200', 'bytes': 140_000_000_000})}'", "H200", 140_000_000_000),
        (f"echo '{json.dumps({'cuda': True, 'card': '', 'bytes': 8})}'", "CUDA card", 8),
        (f"echo '{json.dumps({'cuda': False})}'", "", 0),
        ("echo no torch >&2; exit 1", "", 0),
        ("echo nonsense", "", 0),
        ("echo 3", "", 0),
    ],
)
def test_torch_has_the_last_word_on_a_card(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str, card: str, size: int
) -> None:
    monkeypatch.setattr(machine, "card_likely", lambda: True)
    python = stand_in(tmp_path, answer)
    for _ in range(2):
        found = machine.look(python)
        assert (found.card, found.card_bytes, found.cuda) == (card, size, bool(card))
    assert (tmp_path / "count").read_text().count("asked") == 1, "asked once a process"


def test_a_missing_interpreter_means_no_card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "card_likely", lambda: True)
    assert not machine.look(str(tmp_path / "nowhere")).cuda
