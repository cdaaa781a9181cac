"""The tables of accounts: people, organisations, browser sessions and access tokens."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from index_service.db import Base, UTCDateTime


class User(Base):
    """A person; `name` is also the namespace this person may push to. An empty `language` is the browser's.

    `reset_generation` counts how often the password changed or the account was closed or opened: it ends the links that
    reset a password, and what a password verified before would still begin.
    """

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(30), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(default=True)
    is_admin: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    full_name: Mapped[str] = mapped_column(String(100), default="")
    about: Mapped[str] = mapped_column(String(500), default="")
    location: Mapped[str] = mapped_column(String(100), default="")
    company: Mapped[str] = mapped_column(String(100), default="")
    website: Mapped[str] = mapped_column(String(255), default="")
    language: Mapped[str] = mapped_column(String(10), default="")
    reset_generation: Mapped[int] = mapped_column(default=0)


class Email(Base):
    """An email address, lower case; a person may have several, the first is the primary one (protocol §2.2).

    Several accounts may claim an address; one can confirm it.
    """

    __tablename__ = "emails"
    __table_args__ = (
        UniqueConstraint("user_id", "address"),
        Index(
            "uq_emails_confirmed_address",
            "address",
            unique=True,
            sqlite_where=text("confirmed_at IS NOT NULL"),
            postgresql_where=text("confirmed_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    address: Mapped[str] = mapped_column(String(254), index=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class KnownNetwork(Base):
    """A network from which an account was signed in to with its password (`access_token_id` is 0), or an access token
    was used; `used_at` is exact to a day."""

    __tablename__ = "known_networks"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    access_token_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    network: Mapped[str] = mapped_column(String(45), primary_key=True)
    used_at: Mapped[datetime] = mapped_column(UTCDateTime)


class RateCount(Base):
    """How often something happened since its window began, counted by all processes together."""

    __tablename__ = "rate_counts"

    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    count: Mapped[int]
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class BrowserSession(Base):
    """A browser session; the table stores the cookie's digest, never the cookie.

    `proved_at` is when the password was last given, which dangerous actions want to be recent.
    """

    __tablename__ = "sessions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    proved_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    address: Mapped[str] = mapped_column(String(45), default="")
    browser: Mapped[str] = mapped_column(String(255), default="")


class AccessToken(Base):
    """An access token, a password for a program; the table stores its digest, never the token.

    It opens the repositories whose names match `pattern` (`*` is any run of characters), for reading or also for
    writing, and never more than the person is permitted.
    """

    __tablename__ = "access_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    can_write: Mapped[bool] = mapped_column(default=False)
    pattern: Mapped[str] = mapped_column(String(511), default="*")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    used_from: Mapped[str] = mapped_column(String(45), default="")


class ProtocolToken(Base):
    """A pull or push token as it is stored: never its signature, only the digest.

    The index's own (`is_own`) let it read from a registry, whoever owns the repository; their `user_id` may be None.
    `client` is the User-Agent it was issued to. One issued for an access token ends with that. Those for
    reading what anybody may read are not stored.

    `repository` is a name, `repository_id` the repository that had it when the token was issued, None for the index's
    own that hold for any repository of the name. It is not a foreign key, so that it survives a deletion.

    `consumed_at` is set on a delete token that has been used: it answers the client's closing DELETE
    (protocol §2.8) and nothing else. A revoked token is a deleted row.
    """

    __tablename__ = "tokens"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    repository: Mapped[str] = mapped_column(String(511))
    repository_id: Mapped[int | None]
    access: Mapped[str] = mapped_column(String(6))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    consumed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    is_own: Mapped[bool] = mapped_column(default=False)
    client: Mapped[str] = mapped_column(String(255), default="")
    access_token_id: Mapped[int | None] = mapped_column(ForeignKey("access_tokens.id", ondelete="CASCADE"), index=True)


class Organisation(Base):
    """Several people under one name; `member_role` is what each member may do with all its repositories.

    It is `read`, `write` or empty, which leaves everything to teams.
    """

    __tablename__ = "organisations"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(30), unique=True)
    full_name: Mapped[str] = mapped_column(String(100), default="")
    about: Mapped[str] = mapped_column(String(500), default="")
    website: Mapped[str] = mapped_column(String(255), default="")
    member_role: Mapped[str] = mapped_column(String(5), default="read")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Member(Base):
    """A person in an organisation; owners may do everything with it."""

    __tablename__ = "members"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    is_owner: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Team(Base):
    """Members of an organisation that are granted roles together."""

    __tablename__ = "teams"
    __table_args__ = (UniqueConstraint("organisation_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(30))
    about: Mapped[str] = mapped_column(String(255), default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class TeamMember(Base):
    """A member of a team."""

    __tablename__ = "team_members"

    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)


class Namespace(Base):
    """The first part of repositories' names and its owner: a person, an organisation or, for `library`, nobody.

    People and organisations share one set of names because of it. A new repository is private where `default_private`
    says so. A quota that is None is the default of the settings, and 0 no limit.
    """

    __tablename__ = "namespaces"
    __table_args__ = (CheckConstraint("user_id IS NULL OR organisation_id IS NULL", name="one_owner"),)

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisations.id", ondelete="CASCADE"), unique=True)
    default_private: Mapped[bool] = mapped_column(default=False)
    quota_bytes: Mapped[int | None] = mapped_column(BigInteger)
    quota_repositories: Mapped[int | None] = mapped_column(BigInteger)
