"""Run by alembic. The connection is handed over by `napari_penumbra.study.migrate`; there is no ini file."""

from __future__ import annotations

from alembic import context

from napari_penumbra.study.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite cannot alter most things in place; alembic then copies the table.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
