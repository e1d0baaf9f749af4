"""The first tables.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables."""
    _cases()
    _labels()
    op.create_table(
        "effort",
        sa.Column("id", sa.Integer(), primary_key=True),
        _case_id(),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("activity", sa.String(40), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.String(120), primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("method", sa.String(120), nullable=False),
        sa.Column("preset", sa.String(120), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "champion",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("run_id", sa.String(120), sa.ForeignKey("run.id"), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
    )
    for table in ("image", "annotation", "prediction", "effort"):
        op.create_index(f"ix_{table}_case_id", table, ["case_id"])
    op.create_index("ix_decision_case_prediction", "decision", ["case_id", "prediction_id"])


def downgrade() -> None:
    """Studies are not taken back: the copy in backups/ is the way back."""
    raise NotImplementedError


def _case_id() -> sa.Column[int]:
    return sa.Column("case_id", sa.Integer(), sa.ForeignKey("study_case.id"), nullable=False)


def _cases() -> None:
    op.create_table(
        "study_case",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, unique=True),
        sa.Column("slug", sa.String(100), nullable=False, unique=True),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("grid", sa.JSON(), nullable=False),
        sa.Column("source_grid", sa.JSON(), nullable=False),
        sa.Column("content_key", sa.String(64), nullable=False),
        sa.Column("thumbnail", sa.String(400), nullable=True),
        sa.Column("added", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "image",
        sa.Column("id", sa.Integer(), primary_key=True),
        _case_id(),
        sa.Column("modality", sa.String(64), nullable=False),
        sa.Column("path", sa.String(400), nullable=False),
        sa.Column("resampled_mm", sa.Double(), nullable=False),
        sa.UniqueConstraint("case_id", "modality", name="uq_image_case_modality"),
    )


def _labels() -> None:
    op.create_table(
        "prediction",
        sa.Column("id", sa.Integer(), primary_key=True),
        _case_id(),
        sa.Column("run", sa.String(120), nullable=False),
        sa.Column("labels", sa.String(400), nullable=False),
        sa.Column("confidence", sa.String(400), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("mean_confidence", sa.Double(), nullable=True),
        sa.Column("stamp", sa.String(40), nullable=False),
        sa.UniqueConstraint("case_id", "run", name="uq_prediction_case_run"),
    )
    op.create_table(
        "annotation",
        sa.Column("id", sa.Integer(), primary_key=True),
        _case_id(),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("path", sa.String(400), nullable=False),
        sa.Column("drawn", sa.String(400), nullable=True),
        sa.Column("closing", sa.String(20), nullable=False),
        sa.Column("origin", sa.String(20), nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("voxels_changed", sa.Integer(), nullable=False),
        sa.Column("prediction_id", sa.Integer(), sa.ForeignKey("prediction.id"), nullable=True),
        sa.Column("withdrawn", sa.DateTime(), nullable=True),
        sa.Column("touched", sa.JSON(), nullable=False),
        sa.Column("class_voxels", sa.JSON(), nullable=False),
        sa.UniqueConstraint("case_id", "revision", name="uq_annotation_case_revision"),
    )
    op.create_table(
        "decision",
        sa.Column("id", sa.Integer(), primary_key=True),
        _case_id(),
        sa.Column("prediction_id", sa.Integer(), sa.ForeignKey("prediction.id"), nullable=False),
        sa.Column("box", sa.JSON(), nullable=False),
        sa.Column("verdict", sa.String(20), nullable=False),
        sa.Column("voxels", sa.Integer(), nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("undone", sa.DateTime(), nullable=True),
    )
