"""The table of the audit log."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from index_service.db import Base, Serial, UTCDateTime


class AuditRecord(Base):
    """One change: `actor_name` did `action` to `subject`.

    The name is stored beside the id, so that the log outlives the account; both are empty for an operator's command.
    `details` is a JSON object and never contains a secret.
    """

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    actor_name: Mapped[str] = mapped_column(String(30), default="")
    action: Mapped[str] = mapped_column(String(50))
    subject: Mapped[str] = mapped_column(String(511), index=True)
    details: Mapped[str] = mapped_column(Text, default="{}")
    address: Mapped[str] = mapped_column(String(45), default="")
