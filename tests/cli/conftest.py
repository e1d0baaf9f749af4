"""Fixtures of the command line's tests."""

from cli_tools import background, cli, cohort, study

__all__ = ["background", "cli", "cohort", "study"]
