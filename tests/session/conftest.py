"""Fixtures of the session's tests."""

from session_study import play, session, sources

__all__ = ["play", "session", "sources"]
