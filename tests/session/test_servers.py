"""Addresses of servers to choose from: remembered without passwords."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_penumbra.session import servers
from napari_penumbra.study.team.address import VARIABLE


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(servers, "file_of_servers", lambda: tmp_path / "settings" / "servers.txt")
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path / "settings" / "servers.txt"


def url(name: str, secret: str = "") -> str:
    return f"postgresql://anna{secret}@{name}/penumbra"


def test_the_newest_come_first_without_passwords_and_each_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert servers.known_servers() == []
    for name in ("one", "two", "one", "three"):
        servers.remember_server(url(name, ":kettle"))
    assert servers.known_servers() == [url("three"), url("one"), url("two")]
    assert "kettle" not in file.read_text()
    monkeypatch.setenv(VARIABLE, url("mine", ":kettle"))
    assert servers.known_servers() == [url("mine"), url("three"), url("one"), url("two")]
    for number in range(9):
        servers.remember_server(url(f"s{number}"))
    assert len(file.read_text().splitlines()) == 5


def test_what_is_odd_or_cannot_be_written_fails_nothing(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(f"nonsense\n{url('one', ':kettle')}\nmysql://host/db\n")
    assert servers.known_servers() == [url("one")], "also of a line that somebody wrote with a password"
    file.write_bytes(b"\xff\xfe")
    assert servers.known_servers() == []
    file.unlink()
    file.mkdir()
    servers.remember_server(url("one"))
    assert servers.known_servers() == []
