"""Tables that only a server has: who is there, who has which case, and a pulse that every change moves on.

They say nothing of the study and are worth nothing once everybody has left, so that they are no part of its migrations
and never moved.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Integer, MetaData, String, Table, func

metadata = MetaData()

pulse = Table("team_pulse", metadata, Column("id", Integer, primary_key=True), Column("n", BigInteger, nullable=False))
"""One row. Every writing transaction begins by adding one, which makes it wait for the one before: the lock that a
SQLite file gives for nothing. The number tells everybody else that something has changed."""

members = Table(
    "team_member",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("seat", String(32), nullable=False),
    Column("reader", String(200), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("beat", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
)
"""Programs that have the study open for writing. ``beat`` is when each was last heard of, by the server's clock;
``seat`` and ``pid`` let a program that was started anew after a crash see that the one before is gone."""

leases = Table(
    "team_lease",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("member", Integer, ForeignKey("team_member.id", ondelete="CASCADE"), nullable=False),
    Column("since", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
)
"""What is checked out: ``case/<number>`` or ``adding``. Rows, not the server's own advisory locks: those end with a
connection, so a laptop that sleeps would keep them until the network notices, and nobody could see or release them."""
