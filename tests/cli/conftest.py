"""Fixtures of the command line's tests."""

from cli_tools import cli, cohort, study

__all__ = ["cli", "cohort", "study"]
