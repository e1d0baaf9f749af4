from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from study_scans import SHAPE, ball, draft, grid

from napari_penumbra.domain.case import CaseState, Verdict
from napari_penumbra.domain.errors import StudyError, StudyTooNewError
from napari_penumbra.imaging.nifti import write_nifti
from napari_penumbra.study import manifest, migrate, schema
from napari_penumbra.study.store import Study


def test_migrations_make_exactly_the_tables_of_the_code(study: Study) -> None:
    with study._core.db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.Base.metadata) == []


def test_schema_is_the_newest_migration() -> None:
    scripts = ScriptDirectory(str(migrate.LOCATION))
    assert scripts.get_current_head() == f"{schema.SCHEMA:04d}"
    assert [s.revision for s in scripts.walk_revisions()][-1] == "0001"


@pytest.mark.parametrize("where", ["database", "manifest"])
@pytest.mark.parametrize("write", [True, False])
def test_newer(study: Study, where: str, write: bool) -> None:
    study.close()
    if where == "database":
        with closing(sqlite3.connect(study.layout.database)) as db:
            db.execute("UPDATE alembic_version SET version_num = '0099'")
            db.commit()
    else:
        text = study.layout.manifest.read_text()
        study.layout.manifest.write_text(text.replace(f"schema = {schema.SCHEMA}", "schema = 99"))
    with pytest.raises(StudyTooNewError, match="newer version") as caught:
        Study.open(study.root, write=write)
    assert "Update" in caught.value.remedy


HERE = Path(__file__).parent
NUMBERS = {"now": schema.SCHEMA, "next": schema.SCHEMA + 1}
NEXT = '''"""A next step, as a later version will have."""
import sqlalchemy as sa
from alembic import op
revision = "{next:04d}"
down_revision = "{now:04d}"
def upgrade():
    with op.batch_alter_table("study_case") as table:
        table.add_column(sa.Column("comment", sa.String(100), nullable=True))
    {fault}
'''


@pytest.fixture
def tomorrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make this version one migration newer than the study."""
    location = tmp_path / "migrations"
    shutil.copytree(migrate.LOCATION, location, ignore=shutil.ignore_patterns("__pycache__"))
    (location / "versions" / "v9999_comment.py").write_text(NEXT.format(fault="", **NUMBERS))
    monkeypatch.setattr(migrate, "LOCATION", location)
    monkeypatch.setattr(schema, "SCHEMA", NUMBERS["next"])
    monkeypatch.setattr(manifest, "SCHEMA", NUMBERS["next"])
    return location


def columns(database: Path, table: str = "study_case") -> list[str]:
    with closing(sqlite3.connect(database)) as db:
        return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def test_older_is_upgraded_with_a_copy_first(study: Study, tomorrow: Path) -> None:
    draft(study, "p0", ball())
    study.close()
    with pytest.raises(StudyError, match="older version"):
        Study.open(study.root, write=False)
    with Study.open(study.root) as again:
        (notice,) = again.notices
        assert "upgraded" in notice
        assert again.read("p0").labels.any()
    assert "comment" in columns(study.layout.database)
    (copy,) = study.layout.backups.iterdir()
    assert "comment" not in columns(copy)
    assert f"schema = {NUMBERS['next']}" in study.layout.manifest.read_text()
    with Study.open(study.root) as third:
        assert third.notices == []


def test_an_upgrade_that_fails_changes_nothing(study: Study, tomorrow: Path) -> None:
    fault = 'op.execute("INSERT INTO no_such_table VALUES (1)")'
    (tomorrow / "versions" / "v9999_comment.py").write_text(NEXT.format(fault=fault, **NUMBERS))
    study.close()
    with pytest.raises(StudyError):
        Study.open(study.root)
    assert "comment" not in columns(study.layout.database)
    assert len(list(study.layout.backups.iterdir())) == 1


def test_unstamped(study: Study) -> None:
    study.close()
    with closing(sqlite3.connect(study.layout.database)) as db:
        db.execute("DELETE FROM alembic_version")
        db.commit()
    with pytest.raises(StudyError, match="which version"):
        Study.open(study.root)


@pytest.fixture
def version1(study: Study) -> Path:
    """A study as version 1 left it: its own database, dumped by that version, and the files that its rows name."""
    study.close()
    root = study.root
    for file in root.glob("study.sqlite*"):
        file.unlink()
    with closing(sqlite3.connect(study.layout.database)) as db:
        db.executescript((HERE / "version1.sql").read_text(encoding="utf-8"))
        files = [path for row in db.execute("SELECT path, drawn FROM annotation") for path in row if path]
        files += [row[0] for row in db.execute("SELECT labels FROM prediction")]
    for n, file in enumerate(sorted(set(files))):
        (root / file).parent.mkdir(exist_ok=True)
        write_nifti(root / file, ball(1 + n % 2), grid(), np.uint8)
    for (file,) in _query(study.layout.database, "SELECT confidence FROM prediction"):
        write_nifti(root / file, np.full(SHAPE, 0.5, np.float32), grid(), np.uint8, slope=1 / 255)
    text = study.layout.manifest.read_text()
    study.layout.manifest.write_text(text.replace(f"schema = {schema.SCHEMA}", "schema = 1"))
    return root


def _query(database: Path, text: str) -> list[tuple]:
    with closing(sqlite3.connect(database)) as db:
        return list(db.execute(text))


OLD = "SELECT id, case_id, revision, path, drawn, closing, origin, author, created, seconds FROM annotation ORDER BY id"


def test_a_study_of_version_1_is_brought_up_to_date(version1: Path) -> None:
    database = version1 / "study.sqlite"
    before = _query(database, OLD)
    assert len(before) == 4
    with Study.open(version1) as study:
        (notice,) = study.notices
        assert "backups/" in notice
        states = {row.name: row.state for row in study.cases()}
        assert states == {"p0": CaseState.IN_PROGRESS, "p1": CaseState.ANNOTATED, "p2": CaseState.IN_REVIEW}
        assert study.read("p0").labels.any()
        assert [d.verdict for d in study.decisions("p2")] == [Verdict.ACCEPT]
        assert study.case("p2").seconds == 12.5
        assert study.champion() == "20261001-mean-teacher"
        # What the new tables are for works on the old cases at once.
        assert study.readings("p1") == []
        assert [(f.case, f.strokes, f.dice, f.model) for f in study.finished()] == [("p1", None, None, "")]
        assert not any(row.pinned for row in study.cases("auto"))
        draft(study, "p2", ball())
        with study._core.db.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, schema.Base.metadata) == []
    assert _query(database, OLD)[:4] == before
    assert _query(database, "SELECT version_num FROM alembic_version") == [(f"{schema.SCHEMA:04d}",)]
    (copy,) = (version1 / "backups").iterdir()
    assert _query(copy, OLD) == before
    assert columns(copy, "reading") == []
    assert _query(copy, "SELECT version_num FROM alembic_version") == [("0001",)]
    assert f"schema = {schema.SCHEMA}" in (version1 / "study.toml").read_text()


def test_version_1_is_not_read_without_an_upgrade(version1: Path) -> None:
    with pytest.raises(StudyError, match="older version"):
        Study.open(version1, write=False)
    assert columns(version1 / "study.sqlite", "reading") == []
