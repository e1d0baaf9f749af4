"""Alembic's environment: how the tables of older studies become those of this version."""
