"""Pictures of a study that two readers share: a PostgreSQL server and the other reader are processes of their own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_penumbra.study.store import Study
from picture_parts.desk import Desk

TESTS = Path(__file__).parents[2] / "tests"
CASE = "stroke-004"


def team(desk: Desk) -> None:
    """Show a case that ben has checked out, the whole window."""
    with _shared(desk) as ben:
        ben("open", CASE)
        desk.open_case(CASE)
        desk.page("annotate")
        desk.wait("the bar", lambda: desk.find("team_bar").isVisible(), 20)
        desk.shoot()


def team_view(desk: Desk) -> None:
    """Show the list of the team, a case of ben's asked for once: his stroke is not saved yet."""
    with _shared(desk) as ben:
        ben("open", CASE)
        ben("paint", CASE, z=8, value=1)
        desk.open_case("stroke-002")
        desk.page("study")
        desk.click("team")
        view = desk.find("team_view")
        desk.wait("the list", lambda: view.table.topLevelItemCount() == 2, 20)
        rows = [view.table.topLevelItem(n) for n in range(2)]
        view.table.setCurrentItem(next(row for row in rows if row.text(0) == CASE))
        desk.click("team_take")
        desk.shoot_widget(view)


@contextmanager
def _shared(desk: Desk) -> Iterator[Callable[..., dict[str, Any]]]:
    """Move a study onto a server of the tests; gives what asks the other reader."""
    sys.path.insert(0, str(TESTS))
    from team_server import PASSWORD, Reader, Server, _free_port, programs

    found = programs()
    if found is None:
        raise LookupError("PostgreSQL is not installed: `make database` installs it")
    # A socket's path may not be long, and PostgreSQL's own user must be able to reach it.
    home = Path(tempfile.mkdtemp(prefix="pnbra-pg-", dir="/tmp"))
    server = Server(found, home, _free_port())
    os.environ["PGPASSWORD"] = PASSWORD
    ben: Any = None
    try:
        server.make()
        root = desk.studies.copy("maps", desk.room / "study")
        with Study.open(root) as study:
            study.move_to_server(server.over_network())
        desk.root = root
        desk.widget.session.set_reader("anna")
        desk.open_study(root)
        ben = Reader(root, "ben", desk.room / "ben")
        yield ben.ask
        desk.widget.session.close()
    finally:
        if ben is not None:
            ben.leave()
        del os.environ["PGPASSWORD"]
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


PICTURES = {"team": team, "team-view": team_view}
