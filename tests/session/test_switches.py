from __future__ import annotations

from pathlib import Path

import pytest

from napari_penumbra.domain.errors import DiskError
from napari_penumbra.session import switches
from napari_penumbra.session.switches import PREDICT_AHEAD, SHOW_RANGE, remember, remembered


def test_each_switch_is_on_until_it_is_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switches.platformdirs, "user_config_dir", lambda *a, **k: str(tmp_path / "config"))
    assert remembered(PREDICT_AHEAD)
    remember(PREDICT_AHEAD, False)
    assert not remembered(PREDICT_AHEAD)
    assert remembered(SHOW_RANGE)
    remember(PREDICT_AHEAD, True)
    assert remembered(PREDICT_AHEAD)


def test_without_a_folder_for_settings_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(switches.platformdirs, "user_config_dir", lambda *a, **k: str(tmp_path / "file" / "config"))
    assert remembered(SHOW_RANGE)
    with pytest.raises(DiskError):
        remember(SHOW_RANGE, False)
