"""The table of letters that are to be sent."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from index_service.db import UTCDateTime
from index_service.leasing import Leased


class Letter(Leased):
    """A letter that waits to be sent; `details` is a JSON object with what its text says.

    It holds no secret: links are signed when it is sent. `user_id` is the account it is about, None as long as this is
    not looked up; an empty `language` is unknown.
    """

    __tablename__ = "letters"

    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    recipient: Mapped[str] = mapped_column(String(254))
    kind: Mapped[str] = mapped_column(String(50))
    language: Mapped[str] = mapped_column(String(10), default="")
    details: Mapped[str] = mapped_column(Text, default="{}")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
