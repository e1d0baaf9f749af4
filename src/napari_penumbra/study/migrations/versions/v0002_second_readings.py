"""Second readings, and where a revision came from when nobody drew it.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two tables; nothing that is there is touched."""
    op.create_table(
        "reading",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("case_id", sa.Integer(), sa.ForeignKey("study_case.id"), nullable=False),
        sa.Column("reader", sa.String(200), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("path", sa.String(400), nullable=False),
        sa.Column("drawn", sa.String(400), nullable=True),
        sa.Column("closing", sa.String(20), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("voxels_changed", sa.Integer(), nullable=False),
        sa.Column("touched", sa.JSON(), nullable=False),
        sa.UniqueConstraint("case_id", "reader", "revision", name="uq_reading_case_reader_revision"),
    )
    op.create_index("ix_reading_case_id", "reading", ["case_id"])
    op.create_table(
        "provenance",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("annotation_id", sa.Integer(), sa.ForeignKey("annotation.id"), nullable=False, unique=True),
        sa.Column("how", sa.String(40), nullable=False),
        sa.Column("rule", sa.String(40), nullable=False),
        sa.Column("parents", sa.JSON(), nullable=False),
    )


def downgrade() -> None:
    """Studies are not taken back: the copy in backups/ is the way back."""
    raise NotImplementedError
