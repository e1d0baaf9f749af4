"""A study's index moves to a real PostgreSQL server and back, and nothing is lost on the way."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from study_scans import ball, draft, predict, scan

from napari_penumbra.domain.case import Closing, Origin, Role, Verdict
from napari_penumbra.domain.errors import StudyError, StudyLockedError, UsageError
from napari_penumbra.study import migrate, orders, schema
from napari_penumbra.study.store import Study
from napari_penumbra.study.team import address, moving
from team_server import PASSWORD, Server, server

__all__ = ["server"]


@pytest.fixture
def rich(study: Study) -> Study:
    """A study with something in every table."""
    draft(study, "p0", ball())
    draft(study, "p0", ball(2), closing=Closing.PARTIAL, touched_slices=[2, 3])
    draft(study, "p1", ball(), closing=Closing.COMPLETE)
    study.withdraw("p1", "ann")
    predict(study, "p2")
    (prediction,) = study.register_predictions()
    study.decide("p2", prediction.id, ((0, 0, 0), (1, 2, 3)), Verdict.ACCEPT, 6, "ann")
    draft(study, "p2", ball(2), origin=Origin.REVIEWED, prediction_id=prediction.id)
    study.save_reading("p0", "ben", ball(1), Closing.COMPLETE, 3.0)
    (study.layout.runs / "run-1").mkdir()
    study.add_run("run-1", "train", "mean-teacher", "laptop")
    study.set_champion("run-1")
    study.set_role("p1", Role.VALIDATION)
    return study


def everything(study: Study) -> dict[str, list[dict]]:
    """All rows of all tables, as Python sees them."""
    with study._core.db.engine.connect() as connection:
        tables = schema.Base.metadata.sorted_tables
        return {table.name: moving._rows(connection, table) for table in tables}


def answers(study: Study) -> dict[str, object]:
    """What the study says to every question that the window and the command line ask."""
    names = [row.name for row in study.cases()]
    said: dict[str, object] = {f"order {kind}": study.cases(kind) for kind in orders.names()}
    said |= {f"history {n}": study.history(n) for n in names} | {f"sources {n}": study.sources(n) for n in names}
    said |= {f"readings {n}": study.readings(n) for n in names} | {f"decisions {n}": study.decisions(n) for n in names}
    said |= {"counts": study.counts(), "pool": study.pool(), "classes": study.class_counts()}
    said |= {"finished": study.finished(), "runs": study.runs(), "champions": study.champions()}
    said |= {"pairs": len(study.calibration_pairs()), "withdrawn": study.withdrawn_last("p1")}
    return said | {"annotations": [study.annotations(n, withdrawn=True) for n in names]}


def test_there_and_back_without_loss(rich: Study, server: Server) -> None:
    before = everything(rich)
    assert all(before.values()), "a table is empty: the test would not see it lost"
    said = answers(rich)
    rich.journal("p1").append(((0, 0, 0), (1, 1, 2)), np.ones((1, 1, 2), np.uint8))
    moved = rich.move_to_server(server.url)
    rich.close()
    assert moved.rows == sum(map(len, before.values()))
    assert not rich.layout.database.exists()
    assert (rich.root / moved.kept).is_file()
    assert "[team]" in rich.layout.manifest.read_text()
    with Study.open(rich.root, reader="ann") as there:
        assert there.shared
        assert there.notices == []
        assert everything(there) == before
        assert answers(there) == said
        assert there.check_out("p1") is None
        assert there.read("p1").restored == 1  # the stroke has moved, too
        # Numbers go on where they were: the server counts by itself.
        draft(there, "p1", ball(2))
        there.add_case("p9", {"DWI": scan(rich.root.parent / "p9.nii.gz", seed=9)})
        assert [a.revision for a in there.annotations("p1", withdrawn=True)] == [1, 2, 3]
        after = everything(there)
    back = moving.move_to_file(rich.layout)
    assert back.rows == sum(map(len, after.values()))
    assert "_left_" in back.kept
    with Study.open(rich.root) as again:
        assert not again.shared
        assert everything(again) == after
        assert again.notices == []
        assert again.read("p0").labels.any()


def test_migrations_make_the_same_tables_on_a_server(study: Study, server: Server) -> None:
    study.move_to_server(server.url)
    study.close()
    with Study.open(study.root) as there, there._core.db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, schema.Base.metadata)
        assert [op for op in found if "team_" not in str(op)] == []
        assert migrate.revision_of(there._core.db.engine) == schema.SCHEMA


@pytest.mark.slow
def test_an_older_index_on_a_server_is_upgraded_with_a_copy_first(
    study: Study, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from test_migrate import NEXT, NUMBERS

    from napari_penumbra.study import manifest

    draft(study, "p0", ball())
    study.move_to_server(server.url)
    study.close()
    shutil.copytree(migrate.LOCATION, tmp_path / "m", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "m" / "versions" / "v9999_comment.py").write_text(NEXT.format(fault="", **NUMBERS))
    with Study.open(study.root, reader="ben"):
        monkeypatch.setattr(migrate, "LOCATION", tmp_path / "m")
        for module in (schema, manifest):
            monkeypatch.setattr(module, "SCHEMA", NUMBERS["next"])
        with pytest.raises(StudyError, match="ben has it open"):
            Study.open(study.root)
    with pytest.raises(StudyError, match="older version"):
        Study.open(study.root, write=False)
    with Study.open(study.root) as again:
        assert "upgraded" in again.notices[0]
        assert again.read("p0").labels.any()
    copy = next(p for p in study.layout.backups.iterdir() if f"before-{NUMBERS['next']:04d}" in p.name)
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("SELECT count(*) FROM annotation").fetchone() == (1,)
        assert db.execute("SELECT version_num FROM alembic_version").fetchone() == (f"{NUMBERS['now']:04d}",)


@pytest.mark.slow
def test_a_move_that_fails_changes_nothing(study: Study, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    before = study.layout.manifest.read_text()
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "copy_database", _refuse)
        with pytest.raises(StudyError, match="no room"):
            study.move_to_server(server.url)
    assert study.layout.manifest.read_text() == before
    draft(study, "p0", ball())
    left = server.psql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'penumbra_%' AND nspname NOT LIKE '%left%'")
    named = [row[0] for row in left]
    study.move_to_server(server.url)
    assert len(named) + 1 == len(
        server.psql("SELECT 1 FROM pg_namespace WHERE nspname LIKE 'penumbra_%' AND nspname NOT LIKE '%left%'")
    )


def _refuse(*_: object) -> None:
    raise StudyError("There is no room.")


def test_a_move_cut_short_is_finished_by_the_next_opening(study: Study, server: Server, tmp_path: Path) -> None:
    shutil.copy(study.layout.database, tmp_path / "old")
    study.move_to_server(server.url)
    study.close()
    shutil.copy(tmp_path / "old", study.layout.database)  # killed before the file was taken away
    with Study.open(study.root) as there:
        assert there.shared
        assert not there.layout.database.exists()
        assert any("before-team" in p.name for p in there.layout.backups.iterdir())


@pytest.mark.slow
def test_leaving_waits_for_everybody(study: Study, server: Server) -> None:
    study.move_to_server(server.url)
    study.close()
    with Study.open(study.root, reader="ben") as ben:
        with pytest.raises(StudyLockedError, match="is open: ben"):
            moving.move_to_file(study.layout)
        # Whoever was overlooked is told, and does not write to an index that nobody reads any more.
        moving.move_to_file(study.layout, copy=True)
        assert not Study.open(study.root, write=False).shared
        draft(ben, "p0", ball())


@pytest.mark.slow
def test_a_copy_of_the_folder_is_recognised(study: Study, server: Server, tmp_path: Path) -> None:
    draft(study, "p0", ball())
    study.move_to_server(server.url)
    study.close()
    copy = Path(shutil.copytree(study.root, tmp_path / "copy"))
    with Study.open(study.root) as there:
        for n in range(2):
            draft(there, "p1", ball(1 + n))
    with pytest.raises(StudyError, match="does not hold the newest") as caught:
        Study.open(copy)
    assert "--copy" in caught.value.remedy


def test_a_password_is_used_and_never_written(
    study: Study, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    study.move_to_server(server.over_network(PASSWORD))
    study.close()
    written = [p for p in study.root.rglob("*") if p.is_file() and PASSWORD.encode() in p.read_bytes()]
    assert written == []
    with pytest.raises(StudyError, match="does not let you in") as caught:
        Study.open(study.root)
    assert PASSWORD not in repr(caught.value.details)
    passes = tmp_path / "pgpass"
    passes.write_text(f"127.0.0.1:{server.port}:postgres:reader:{PASSWORD}\n")
    passes.chmod(0o600)
    with monkeypatch.context() as patch:
        patch.setenv("PGPASSFILE", str(passes))
        Study.open(study.root).close()
    monkeypatch.setenv(address.VARIABLE, server.over_network(PASSWORD))
    with Study.open(study.root) as there:
        assert PASSWORD not in there.server


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://host/db", "not the URL"),
        ("postgresql://host", "not the URL"),
        ("orange-kettle@::/", "not the URL"),
        ("postgresql://u@127.0.0.1:1/db", "does not answer"),
    ],
)
def test_urls_that_lead_nowhere(study: Study, url: str, words: str) -> None:
    with pytest.raises((UsageError, StudyError), match=words) as caught:
        study.move_to_server(url)
    assert "orange" not in str(caught.value) + caught.value.details
    draft(study, "p0", ball())


def test_a_password_in_the_manifest_is_refused(study: Study, server: Server) -> None:
    study.move_to_server(server.url)
    study.close()
    text = study.layout.manifest.read_text()
    study.layout.manifest.write_text(text.replace("penumbra@/", "penumbra:orange-kettle@/"))
    with pytest.raises(StudyError, match="holds a password") as caught:
        Study.open(study.root)
    assert "orange" not in str(caught.value)
