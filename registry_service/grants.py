"""Authorization by grants: a token validated once at the index, so that one pull costs one request to it and not forty.

A grant holds the repository, the access, and the images that the index lists there. It is cached for a short time,
counted from the response of the index and never extended, in the worker's memory and in a signed cookie that any
registry process with the same keys accepts. A token revoked at the index therefore stops working within that time
everywhere.

A grant holds each image as a keyed fingerprint, a MAC truncated to eight bytes, so that a hundred and fifty of them fit
in a cookie. The key is the token's digest: nobody can choose an image id that collides with another's fingerprint.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from itsdangerous import BadSignature, Signer

from common.cache import Cache
from common.errors import Invalid, NotFound, Unauthenticated
from common.names import ImageId, RepositoryName
from common.tokens import Access, Token, read_authorization
from registry_service.index_client import IndexClient

MAX_COOKIE_BYTES = 2000
"""Some daemons send each cookie twice in one header line, and nginx takes lines of 8 KiB."""

MAX_FINGERPRINTS = 256 * 1024
"""Capacity of a worker's cache of grants, at some hundred bytes each. A grant without any counts as sixty-four."""

TOKENS_AT_ONCE = 4
"""At most so many matching tokens of one header are tried."""

_HEAD = struct.Struct(">IB16sH")
_ACCESSES = (Access.READ, Access.WRITE, Access.DELETE)
_FINGERPRINT_BYTES = 8


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of a request: its Authorization header and the grant cookie, verbatim."""

    authorization: str | None
    cookie: str | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """One redeemed token; `expires` is in seconds since the epoch."""

    key: bytes
    repository: RepositoryName
    access: Access
    fingerprints: frozenset[bytes]
    expires: int

    def lists(self, image: ImageId) -> bool:
        return _fingerprint(image, self.key) in self.fingerprints


class _Redeemed(NamedTuple):
    """A valid token, its grant, and whether it was validated at the index just now."""

    token: Token
    grant: Grant
    is_new: bool


class Gate(Protocol):
    """Authorization: every view calls it first. All methods raise Unauthenticated for an invalid token."""

    is_open: bool
    """Whether reads need no authentication."""

    def admit(self, credentials: Credentials, access: Access, repository: RepositoryName | None = None) -> str | None:
        """Authorize a request, for one repository where it names one; returns a cookie to set, if any."""

    def require_readable(self, credentials: Credentials, image: ImageId) -> None:
        """Raises NotFound for an image that no repository this bearer may read lists."""

    def require_listed(self, credentials: Credentials, image: ImageId) -> None:
        """Raises Invalid where the bearer's repository does not list an image about to be pushed."""

    def require_usable_parent(self, credentials: Credentials, parent: ImageId) -> None:
        """Raises Invalid for a parent the bearer may not read."""

    def consume_delete(self, credentials: Credentials, repository: RepositoryName) -> None:
        """Consume a delete token, at the index and here."""

    def repositories(self, credentials: Credentials, access: Access) -> Sequence[RepositoryName]:
        """The repositories of a request whose route names only an image: a mirror finds its source by them."""


class OpenGate:
    """The gate of a standalone registry: every client that reaches the port may push and pull."""

    is_open = True

    def admit(self, credentials: Credentials, access: Access, repository: RepositoryName | None = None) -> str | None:
        return None

    def require_readable(self, credentials: Credentials, image: ImageId) -> None:
        pass

    def require_listed(self, credentials: Credentials, image: ImageId) -> None:
        pass

    def require_usable_parent(self, credentials: Credentials, parent: ImageId) -> None:
        pass

    def consume_delete(self, credentials: Credentials, repository: RepositoryName) -> None:
        pass

    def repositories(self, credentials: Credentials, access: Access) -> Sequence[RepositoryName]:
        """All that its tokens name, unchecked."""
        return [token.repository for token in read_authorization(credentials.authorization) or ()]


class TokenGate:
    """The gate of a registry behind an index."""

    is_open = False

    def __init__(
        self,
        index: IndexClient,
        secret_keys: Sequence[str],
        grant_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`secret_keys`: the first signs cookies, all verify."""
        self._index = index
        self._seconds = grant_seconds
        self._clock = clock
        # itsdangerous signs with the last key of its list.
        self._signer = Signer(list(reversed(secret_keys)), salt="wharfinger.grant", digest_method=hashlib.sha256)
        self._grants: Cache[bytes, Grant] = Cache(MAX_FINGERPRINTS)
        # Images of public repositories that the index said may be read, by (grant's key, id).
        self._elsewhere: Cache[tuple[bytes, ImageId], bool] = Cache(65536, grant_seconds, timer=clock)
        self._single_flight = _SingleFlight()

    def admit(self, credentials: Credentials, access: Access, repository: RepositoryName | None = None) -> str | None:
        redeemed = self._redeemed(credentials, access, repository)
        return self._cookie(redeemed.grant) if redeemed.is_new else None

    def require_readable(self, credentials: Credentials, image: ImageId) -> None:
        if not self._may_read(credentials, image):
            raise NotFound("Image not found")

    def require_listed(self, credentials: Credentials, image: ImageId) -> None:
        redeemed = self._redeemed(credentials, Access.WRITE)
        if not redeemed.grant.lists(image):
            # The push may have begun after this grant was issued: validate the token again.
            grant = self._redeem(redeemed.token, redeemed.grant.key)
            if not grant.lists(image):
                raise Invalid("This image does not belong to the repository")

    def require_usable_parent(self, credentials: Credentials, parent: ImageId) -> None:
        if not self._may_read(credentials, parent):
            raise Invalid("Image depends on an unauthorized parent")

    def consume_delete(self, credentials: Credentials, repository: RepositoryName) -> None:
        redeemed = self._redeemed(credentials, Access.DELETE, repository)
        self._index.consume_delete(repository, _authorization(redeemed.token))
        self._grants.discard(redeemed.grant.key)

    def repositories(self, credentials: Credentials, access: Access) -> Sequence[RepositoryName]:
        """The repository of the validated token; others that the header names are not validated."""
        return [self._redeemed(credentials, access).grant.repository]

    def _may_read(self, credentials: Credentials, image: ImageId) -> bool:
        token, grant, _ = self._redeemed(credentials, Access.READ)
        if grant.lists(image):
            return True
        if self._elsewhere.get((grant.key, image)):
            return True
        if not self._index.may_read(grant.repository, image, _authorization(token)):
            return False
        self._elsewhere.put((grant.key, image), True)
        return True

    def _redeemed(
        self, credentials: Credentials, access: Access, repository: RepositoryName | None = None
    ) -> _Redeemed:
        """The first valid token of the header that allows the access; most headers hold one."""
        tokens = read_authorization(credentials.authorization) or ()
        fitting = [token for token in tokens if token.access.allows(access) and repository in (None, token.repository)]
        for token in fitting[:TOKENS_AT_ONCE]:
            with suppress(Unauthenticated):
                return self._grant(token, credentials.cookie)
        raise Unauthenticated("Requires authorization")

    def _grant(self, token: Token, cookie: str | None) -> _Redeemed:
        key = hashlib.sha256(str(token).encode()).digest()[:16]
        grant = self._cached(key, cookie)
        if grant is not None:
            return _Redeemed(token, grant, is_new=False)
        return _Redeemed(token, self._single_flight.call(key, lambda: self._redeem(token, key)), is_new=True)

    def _cached(self, key: bytes, cookie: str | None) -> Grant | None:
        grant = self._grants.get(key) or self._read_cookie(key, cookie)
        if grant is None or grant.expires <= self._clock():
            return None
        return grant

    def _redeem(self, token: Token, key: bytes) -> Grant:
        ids = self._index.image_ids(token.repository, _authorization(token))
        fingerprints = frozenset(_fingerprint(image, key) for image in ids)
        grant = Grant(key, token.repository, token.access, fingerprints, int(self._clock() + self._seconds))
        self._grants.put(grant.key, grant, _weight(grant))
        return grant

    def _cookie(self, grant: Grant) -> str | None:
        """None where the grant has more images than fit in a cookie; each worker then validates the token once."""
        name = str(grant.repository).encode()
        packed = _HEAD.pack(grant.expires, _ACCESSES.index(grant.access), grant.key, len(name)) + name
        packed += b"".join(grant.fingerprints)
        signed = self._signer.sign(base64.urlsafe_b64encode(packed)).decode()
        return signed if len(signed) <= MAX_COOKIE_BYTES else None

    def _read_cookie(self, key: bytes, cookie: str | None) -> Grant | None:
        """The grant from a cookie; None for one that is absent, not signed by us, or of another token."""
        if not cookie:
            return None
        try:
            packed = base64.urlsafe_b64decode(self._signer.unsign(cookie))
        except (BadSignature, ValueError):
            return None
        expires, access, token_key, name_length = _HEAD.unpack_from(packed)
        if token_key != key:
            return None
        name, tail = packed[_HEAD.size :][:name_length], packed[_HEAD.size + name_length :]
        grant = Grant(
            key,
            RepositoryName.parse(name.decode()),
            _ACCESSES[access],
            frozenset(tail[at : at + _FINGERPRINT_BYTES] for at in range(0, len(tail), _FINGERPRINT_BYTES)),
            expires,
        )
        self._grants.put(grant.key, grant, _weight(grant))
        return grant


def _weight(grant: Grant) -> int:
    return 64 + len(grant.fingerprints)


def _authorization(token: Token) -> str:
    """The header for the index, with this token alone: another one of the same request could vouch for it."""
    return f"Token {token}"


def _fingerprint(image: str, key: bytes) -> bytes:
    return hashlib.blake2b(image.encode(), key=key, digest_size=_FINGERPRINT_BYTES).digest()


class _SingleFlight:
    """Single-flight validation: one request to the index for each key; concurrent callers share the outcome."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, Future[Grant]] = {}

    def call(self, key: bytes, redeem: Callable[[], Grant]) -> Grant:
        waiting = self._under_way.get(key)
        if waiting is not None:
            return waiting.result()
        future: Future[Grant] = Future()
        self._under_way[key] = future
        try:
            future.set_result(redeem())
        except Exception as error:  # noqa: BLE001 - passed on as it is, to every caller
            future.set_exception(error)
        finally:
            del self._under_way[key]
        return future.result()
