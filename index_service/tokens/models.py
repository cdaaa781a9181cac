"""Tokens as they are stored: never the signature, only its digest."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from index_service.db import Base, Moment


class TokenRecord(Base):
    """One issued token; `user_id` is None where an anonymous caller may read.

    The index's own (`is_own`) let it ask a registry what it knows, whoever the repository belongs to. `client` is the
    User-Agent of whom it was issued to. One issued to whom an access token proved ends with that.

    `repository` is a name, `repository_id` whose it was when the token was issued, None for the index's own
    that are for whatever bears the name. It is no foreign key: it says so of what is gone, too.

    `consumed_at` is set on a delete token that has been used: it answers the client's closing DELETE
    (protocol §2.8) and nothing else. A revoked token is a deleted row.
    """

    __tablename__ = "tokens"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    repository: Mapped[str] = mapped_column(String(511))
    repository_id: Mapped[int | None]
    access: Mapped[str] = mapped_column(String(6))
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)
    consumed_at: Mapped[datetime | None] = mapped_column(Moment)
    is_own: Mapped[bool] = mapped_column(default=False)
    client: Mapped[str] = mapped_column(String(255), default="")
    access_token_id: Mapped[int | None] = mapped_column(ForeignKey("access_tokens.id", ondelete="CASCADE"), index=True)
