"""What a reader did for each revision, what workers note about predictions, and cases that were asked for next.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table and three columns, all empty; nothing that is there is touched."""
    op.create_table(
        "work",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("annotation_id", sa.Integer(), sa.ForeignKey("annotation.id"), nullable=False, unique=True),
        sa.Column("strokes", sa.Integer(), nullable=False),
        sa.Column("decided", sa.JSON(), nullable=False),
        sa.Column("foreground", sa.Integer(), nullable=False),
        sa.Column("dice", sa.Double(), nullable=True),
    )
    # Plain ADD COLUMN: SQLite does that in place, without copying a table.
    op.add_column("prediction", sa.Column("model", sa.String(120), nullable=True))
    op.add_column("prediction", sa.Column("summary", sa.JSON(), nullable=True))
    op.add_column("study_case", sa.Column("pinned", sa.DateTime(), nullable=True))


def downgrade() -> None:
    """Studies are not taken back: the copy in backups/ is the way back."""
    raise NotImplementedError
