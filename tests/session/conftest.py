"""Fixtures of the session's tests."""

from session_study import play, real, session, sources

__all__ = ["play", "real", "session", "sources"]
