"""`penumbra team` from beginning to end, with a second reader in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_tools import Cli

from napari_penumbra.study.team import leases
from team_server import PASSWORD, Reader, Server, readers, server

__all__ = ["readers", "server"]


def test_without_a_team(study: Path, cli: Cli) -> None:
    assert "has no team" in cli("team", "status", study, code=2).err
    assert "Say where the server is" in cli("team", "init", study, code=2).err
    assert "is not on a server" in cli("team", "leave", study, code=2).err
    said = cli("team", "init", study, "--url", "postgresql://anna:orange-kettle@/", code=2)
    assert "not the URL" in said.err
    assert "orange" not in said.err


@pytest.mark.slow
def test_a_team_from_beginning_to_end(
    study: Path, cli: Cli, server: Server, readers: Callable[..., Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = server.over_network(PASSWORD + "x")
    assert "does not let you in" in cli("team", "init", study, "--url", wrong, code=5).err
    said = cli("team", "init", study, "--url", server.url).out
    assert "to the server and compared them" in said
    assert "already" in cli("team", "init", study, "--url", server.url, code=2).err
    assert "every case is free" in cli("team", "status", study).out

    ben = readers(study, "ben")
    ben.ask("open", "p3")
    ben.ask("paint", "p3", z=0, value=1)
    shown = cli("team", "status", study).out
    assert "p3" in shown
    assert "ben" in shown
    assert "1 stroke of ben not saved yet" in shown
    (held,) = cli("team", "status", study, "--json").data["checked_out"]
    assert (held["case"], held["reader"], held["expired"]) == ("p3", "ben", False)
    # The whole command line goes on beside him, but for his case.
    assert "6 cases" in cli("status", study).out
    assert "checked out by ben" in cli("team", "release", study, "p3", code=2).err
    ben.kill()
    done = cli("team", "release", study, "p3", "--yes")
    assert "taken back from ben" in done.out
    assert "kept beside, as the draft r1" in done.out
    assert "still draws" in done.err
    assert "draft beside" in cli("history", study, "p3").out
    assert "is free, and nobody" in cli("team", "release", study, "p3").out

    assert "is open: ben" in cli("team", "leave", study, code=5).err
    monkeypatch.setattr(leases, "EXPIRE_S", 0.1)  # two minutes later
    done = cli("team", "leave", study)
    assert "into the folder and compared" in done.out
    assert (study / "study.sqlite").is_file()
    assert "draft beside" in cli("history", study, "p3").out
    assert "6 cases" in cli("status", study).out
