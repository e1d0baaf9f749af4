from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from study_scans import ball, draft

from napari_penumbra.domain.errors import StudyError, StudyTooNewError
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
        study.layout.manifest.write_text(text.replace("schema = 1", "schema = 99"))
    with pytest.raises(StudyTooNewError, match="newer version") as caught:
        Study.open(study.root, write=write)
    assert "Update" in caught.value.remedy


NEXT = '''"""A next step, as a later version will have."""
import sqlalchemy as sa
from alembic import op
revision = "0002"
down_revision = "0001"
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
    (location / "versions" / "v0002_comment.py").write_text(NEXT.format(fault=""))
    monkeypatch.setattr(migrate, "LOCATION", location)
    monkeypatch.setattr(schema, "SCHEMA", 2)
    monkeypatch.setattr(manifest, "SCHEMA", 2)
    return location


def columns(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as db:
        return [row[1] for row in db.execute("PRAGMA table_info(study_case)")]


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
    assert "schema = 2" in study.layout.manifest.read_text()
    with Study.open(study.root) as third:
        assert third.notices == []


def test_an_upgrade_that_fails_changes_nothing(study: Study, tomorrow: Path) -> None:
    fault = 'op.execute("INSERT INTO no_such_table VALUES (1)")'
    (tomorrow / "versions" / "v0002_comment.py").write_text(NEXT.format(fault=fault))
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
