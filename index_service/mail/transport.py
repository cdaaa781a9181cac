"""The mailer and its transports: an SMTP server, or a folder that an operator reads.

They raise what goes wrong; the outbox tries again.
"""

from __future__ import annotations

import os
import secrets
import smtplib
import ssl
import time
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from index_service.db import Clock

TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class OutgoingEmail:
    """A plain-text email to one address."""

    to: str
    subject: str
    text: str


class Transport(Protocol):
    """Delivers, or raises OSError or smtplib.SMTPException."""

    def deliver(self, message: EmailMessage) -> None: ...


class FolderTransport:
    """Writes each email to a file of its own, readable by its owner only; names are in the order of writing."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    def deliver(self, message: EmailMessage) -> None:
        # As it is read: quoted-printable would break links at the ends of lines.
        message.set_content(message.get_content(), cte="8bit")
        self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
        stem = f"{self._clock():%Y%m%dT%H%M%S.%f}-{time.monotonic_ns():020}-{secrets.token_hex(4)}"
        partial = self._path / f".{stem}"
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            target.write(bytes(message))
        # A file named .eml is always complete.
        partial.rename(self._path / f"{stem}.eml")


class SmtpTransport:
    """Sends email to a server: smtp://[user:password@]host[:port], smtps:// for TLS from the first byte.

    Over smtp:// it uses STARTTLS if the server offers it, and always before it sends a password.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._is_tls = parts.scheme == "smtps"
        self._host = parts.hostname or "localhost"
        self._port = parts.port or (465 if self._is_tls else 25)
        self._login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None

    def deliver(self, message: EmailMessage) -> None:
        with self._connected() as server:
            if self._login is not None:
                server.login(*self._login)
            server.send_message(message)

    def _connected(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self._is_tls:
            return smtplib.SMTP_SSL(self._host, self._port, timeout=TIMEOUT_SECONDS, context=context)
        server = smtplib.SMTP(self._host, self._port, timeout=TIMEOUT_SECONDS)
        try:
            server.ehlo()
            if self._login is not None or server.has_extn("starttls"):
                server.starttls(context=context)
        except (OSError, smtplib.SMTPException):
            server.close()
            raise
        return server


class Mailer:
    """Composes email and sends it."""

    def __init__(self, transport: Transport, sender: str, clock: Clock) -> None:
        self._transport = transport
        self._sender = sender
        self._clock = clock

    def send(self, email: OutgoingEmail, identity: str) -> None:
        """Send an email; one that is sent again has the same `identity`. Raises OSError or smtplib.SMTPException."""
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = email.to
        message["Subject"] = email.subject
        message["Date"] = format_datetime(self._clock())
        message["Message-ID"] = f"<{identity}@{self._sender.rpartition('@')[2].strip('<> ') or 'localhost'}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(email.text)
        self._transport.deliver(message)


def choose_transport(smtp_url: str, folder: str, clock: Clock) -> Transport:
    """The transport that the settings configure."""
    return SmtpTransport(smtp_url) if smtp_url else FolderTransport(Path(folder), clock)
