"""The index's settings: one frozen object, read once, valid or refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formataddr, parseaddr
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from common.cors import origins
from common.settings import address, boolean, listed, load, one_of, seconds, secrets, setting, whole_number
from index_service import sizes
from index_service.mount import PROTOCOLS, first_part

SERVICE = "index"

MOST_IMAGES = 200_000
MAX_DAYS = 36_500

_HOST_AND_PORT = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_RATE = re.compile(r"([1-9]\d{0,5})/(second|minute|hour|day)")


def _address(text: str) -> str:
    if _HOST_AND_PORT.fullmatch(text) is None or not re.search(r":\d+$", text):
        raise ValueError(f"{text!r} is not host:port")
    return text


def _endpoints(text: str) -> tuple[str, ...]:
    endpoints = listed(text)
    if not endpoints:
        raise ValueError("name one registry or more, as host:port")
    for endpoint in endpoints:
        if _HOST_AND_PORT.fullmatch(endpoint) is None:
            raise ValueError(f"{endpoint!r} is not host:port, without a scheme or a path")
    return endpoints


def _registry_urls(text: str) -> tuple[str, ...]:
    pairs = listed(text)
    for pair in pairs:
        endpoint, _, url = pair.partition("=")
        parts = urlsplit(url)
        if _HOST_AND_PORT.fullmatch(endpoint) is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{pair!r} is not host:port=http://host:port")
        if parts.path or parts.query or parts.fragment:
            raise ValueError(f"{pair!r}: the address of a registry ends with its port")
    return pairs


def _database_url(text: str) -> str:
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise ValueError("not a database URL: use sqlite:///path or postgresql://user:password@host/name") from error
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise ValueError("SQLite needs a file, as in sqlite:///var/index.db: workers share it")
    if backend not in ("sqlite", "postgresql"):
        raise ValueError(f"{backend} is not supported: use sqlite or postgresql")
    return text


def _rate(text: str) -> str:
    if _RATE.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a rate such as 10/minute")
    return text


def _days(text: str) -> int:
    days = whole_number()(text)
    if days > MAX_DAYS:
        raise ValueError(f"{text!r} is more than {MAX_DAYS} days: 0 is for ever")
    return days


def _some_days(text: str) -> int:
    days = whole_number(1)(text)
    if days > MAX_DAYS:
        raise ValueError(f"{text!r} is more than {MAX_DAYS} days")
    return days


def _images(text: str) -> int:
    images = whole_number(1)(text)
    if images > MOST_IMAGES:
        raise ValueError(f"{text!r} is more than {MOST_IMAGES}, the longest list that a registry reads")
    return images


def _site_url(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.netloc):
        raise ValueError(f"{text!r} is not http://host or https://host")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"{text!r} has more than a scheme, a host, a port and a path")
    if not re.fullmatch(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?", parts.path):
        raise ValueError(f"the path of {text!r} has more than letters, digits, dots, - and _ between its slashes")
    if first_part(parts.path) in PROTOCOLS:
        raise ValueError(f"{text!r} is where clients look for a protocol: the site cannot be there")
    return text.rstrip("/")


def _smtp_url(text: str) -> str:
    if text and (urlsplit(text).scheme not in ("smtp", "smtps") or not urlsplit(text).hostname):
        raise ValueError("not a mail server: use smtp://host:25, or smtps://user:password@host")
    return text


def _sender(text: str) -> str:
    name, address = parseaddr(text)
    if "@" not in address or any(char in text for char in "\r\n"):
        raise ValueError(f"{text!r} is not an address, such as Wharfinger <wharfinger@example.com>")
    return formataddr((name, address))


def _contact(text: str) -> str:
    if text and (re.fullmatch(r"(mailto|https|tel):[!-~]+", text) is None):
        raise ValueError(f"{text!r} is not a URL such as mailto:security@example.com")
    return text


@dataclass(frozen=True, kw_only=True)
class IndexSettings:
    """All settings of the index."""

    secret_keys: tuple[str, ...] = setting(
        secrets,
        "Comma-separated keys that sign tokens, each at least 32 characters; the first signs, all verify.",
        secret=True,
    )
    listen: str = setting(_address, "Address to listen on, host:port.", "127.0.0.1:5000")
    workers: int = setting(whole_number(1), "Number of worker processes.", 2)
    threads: int = setting(
        whole_number(1),
        "Maximum threads of each worker; it starts with two, and adds more while some of them wait.",
        16,
    )
    database_url: str = setting(
        _database_url,
        "Database URL: sqlite:///path or postgresql://user:password@host/name.",
        "sqlite:///var/index.db",
        secret=True,
    )
    registry_endpoints: tuple[str, ...] = setting(
        _endpoints,
        "Comma-separated host:port of each registry, as clients reach it, without scheme or path.",
        ("127.0.0.1:5001",),
    )
    registry_urls: tuple[str, ...] = setting(
        _registry_urls,
        "Comma-separated host:port=URL: the URL by which the index reaches a registry, if not http://host:port.",
        (),
    )
    registry_timeout: float = setting(seconds, "Timeout of requests to a registry, in seconds.", 10.0)
    site_url: str = setting(
        _site_url,
        "Public URL of the site, http(s)://host or with a path that it is below, for links in e-mails and the commands "
        "shown on pages; empty means http:// and the address it listens on.",
        "",
    )
    smtp_url: str = setting(
        _smtp_url,
        "SMTP server for e-mail: smtp://[user:password@]host[:port], or smtps://; empty writes e-mails to mail_folder.",
        "",
        secret=True,
    )
    mail_from: str = setting(_sender, "Sender of e-mails.", "Wharfinger <wharfinger@localhost>")
    mail_folder: str = setting(str, "Directory that e-mails are written to when there is no SMTP server.", "var/mail")
    token_seconds: float = setting(
        seconds, "Lifetime of a token, in seconds; must exceed the longest push.", 6 * 3600.0
    )
    credential_seconds: float = setting(
        seconds,
        "TTL of the cache of verified passwords, in seconds, so that a pull does not hash on every request.",
        30.0,
    )
    sign_up: str = setting(
        one_of("open", "closed", "admin"),
        "Who may create accounts: open (anyone, also by docker login), admin (operators, by command), closed (no one).",
        "open",
    )
    anonymous_pull: bool = setting(
        boolean, "Whether public repositories can be viewed, searched and pulled without a login.", True
    )
    login_rate: str = setting(
        _rate, "Rate limit of failed logins per account and IP address, in each worker.", "10/minute"
    )
    account_rate: str = setting(
        _rate,
        "Rate limit of failed logins per account, in all workers together, from networks new to the account.",
        "100/hour",
    )
    address_rate: str = setting(
        _rate,
        "Rate limit of failed logins per IP address, in each worker; sign-ups are limited to a fifth of it per hour.",
        "100/minute",
    )
    session_days: int = setting(
        _some_days, "Days after which a browser session ends, however much it is used; unused ones end after 30.", 90
    )
    comment_rate: str = setting(
        _rate, "Rate limit of comments, edits and flags per account, in each worker.", "10/minute"
    )
    comment_confirmed: bool = setting(boolean, "Whether commenting requires a confirmed e-mail address.", False)
    audit_days: int = setting(_days, "Days to keep the audit log; 0 keeps it forever.", 0)
    request_seconds: float = setting(
        seconds, "Deadline for a client to send its request, and to receive the response, in seconds.", 20.0
    )
    quota_bytes: int = setting(
        sizes.read,
        "Bytes that a namespace's layers may take, such as 10 GB, unless it has a quota of its own; 0 is no limit.",
        0,
    )
    quota_repositories: int = setting(
        whole_number(), "Number of repositories of a namespace, unless it has a quota of its own; 0 is no limit.", 0
    )
    max_images: int = setting(
        _images,
        "Number of images that a repository may list; whoever pulls, and each registry that checks a token, gets the "
        "whole list.",
        100_000,
    )
    trusted_proxies: int = setting(
        whole_number(), "Number of reverse proxies whose X-Forwarded-* headers are trusted.", 0
    )
    security_contact: str = setting(
        _contact,
        "Contact of people who find a vulnerability, as mailto:, https: or tel: URL, for /.well-known/security.txt; "
        "empty means that there is no such file.",
        "",
    )
    cors_origins: tuple[str, ...] = setting(
        origins,
        "Comma-separated origins of web pages that may use the v1 protocol from a browser, as https://ui.example; "
        "* lets any page read. Empty: none.",
        (),
    )
    access_log: str = setting(
        one_of("off", "common", "json"),
        "Access log, a line for each request: off, common (the Common Log Format) or json.",
        "off",
    )
    access_log_file: str = setting(
        str, "File that the access log is appended to, opened again at SIGUSR1; empty means standard output.", ""
    )
    metrics_listen: str = setting(
        address,
        "Address at which Prometheus reads metrics, host:port, as 127.0.0.1:5090: /metrics, of all workers, for "
        "whoever reaches it. Empty: none are kept.",
        "",
    )
    log_level: str = setting(one_of("debug", "info", "warning", "error"), "Lowest level to log.", "info")

    @property
    def site(self) -> str:
        """The site's URL, without a trailing slash."""
        return self.site_url or f"http://{self.listen}"

    @property
    def mount(self) -> str:
        """The path that the site is below; empty if it is at the root of its host."""
        return urlsplit(self.site_url).path

    @property
    def origin(self) -> str:
        """Where clients of `/v2/` get their tokens, as far as it is known."""
        return self.site_url.removesuffix(self.mount)


def load_settings(environ: Mapping[str, str]) -> IndexSettings:
    """Raises common.settings.SettingsError, which names what is wrong."""
    return load(IndexSettings, SERVICE, environ)
