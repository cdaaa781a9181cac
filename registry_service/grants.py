"""Authorization by grants: a token validated once at the index, so that one pull costs one request to it and not forty.

A token for reading states itself that it is the index's, and is trusted for as long as an answer would be (see
`stated_tokens`). The index is asked what it knows of the repository's images, once for all tokens that state the same
list.

A grant has the repository, the access, and what the index says of its images: which ones it holds, and which a push has
only announced. What the index does not know yet is looked up in the store. A grant is cached for a short time,
counted from the response of the index and never extended, in the worker's memory and in a signed cookie that any
registry process with the same keys accepts. A token revoked at the index therefore stops working within that time
everywhere.

A grant has each image as a keyed fingerprint of its id and standing, a MAC truncated to eight bytes, so that a hundred
and fifty of them fit in a cookie. The key is a digest of the token and of the registry's store: nobody can choose an
image id that collides with another's fingerprint, and a registry of another store takes no cookie's word.
"""

from __future__ import annotations

import base64
import hashlib
import math
import secrets
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, NamedTuple, Protocol, TypeVar

from itsdangerous import BadSignature, Signer

from common import headers, request_record
from common.cache import Cache
from common.errors import Invalid, NotFound, Unauthenticated
from common.names import ImageId, RepositoryName, Tag
from common.tokens import Access, Token, authorization, read_authorization, token_key
from registry_service.graph.holdings import EVERYBODY, Holder, Holdings, RepositoryHolder
from registry_service.index_client import IndexClient, Standing
from registry_service.metrics import GRANT_CACHE
from registry_service.stated_tokens import Stated, StatedTokens
from registry_service.storage.paths import ApartImageId

T = TypeVar("T")

MAX_COOKIE_BYTES = 2000
"""Some daemons send each cookie twice in one header line, and nginx takes lines of 8 KiB."""

MAX_FINGERPRINTS = 256 * 1024
"""Capacity of a worker's cache of grants, at some hundred bytes each, and of that of lists which grants share."""

_MIN_WEIGHT = 64
"""What a grant counts for that has no fingerprints of its own."""

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


class _Listing(NamedTuple):
    """What the index said of a repository's images: their fingerprints, made with `key`."""

    key: bytes
    fingerprints: frozenset[bytes]

    def standing(self, image: ImageId) -> Standing | None:
        """None for an image that the index did not name."""
        return next((each for each in Standing if _fingerprint(image, each, self.key) in self.fingerprints), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One redeemed token; `expires` is in seconds since the epoch.

    `key` is a digest of the token. `listing` has that for its key, or one of its own where tokens share it.
    `is_public`: the index has said that anybody may read what the repository holds.
    """

    key: bytes
    repository: RepositoryName
    access: Access
    listing: _Listing
    expires: float
    is_public: bool = False


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

    def identify(self, credentials: Credentials) -> None:
        """Whether somebody bears a token, whatever it is for."""

    def readable(self, credentials: Credentials, image: ImageId) -> ImageId:
        """The image as the bearer's repository holds it, or as a public one does.

        Whoever may write is told only of what their own repository holds, or an official one: a daemon takes it for
        pushed. Raises NotFound for all others.
        """

    def public_seconds(self, credentials: Credentials, image: ImageId) -> float:
        """For how long anybody may be told what was `readable` of the image, who says to read the same repository; 0
        where that is not known."""

    def is_pushing(self, credentials: Credentials) -> bool:
        """Whether the bearer may skip what is there already, because it pushes."""

    def require_announced(self, credentials: Credentials, image: ImageId) -> None:
        """Raises Invalid where no push to the bearer's repository announced an image that is being pushed."""

    def usable(self, credentials: Credentials, image: ImageId) -> ImageId:
        """The image as the bearer may tag it or build on it. Raises NotFound where none of the repositories of the
        bearer's tokens holds it, and no public one.
        """

    def holder(self, credentials: Credentials) -> Holder:
        """For whom the bearer pushes."""

    def authorization(self, credentials: Credentials, access: Access, repository: RepositoryName) -> str:
        """The header with the bearer's token for this access alone, to ask the index with later."""

    def set_tag(self, credentials: Credentials, repository: RepositoryName, tag: Tag, image: ImageId) -> None:
        """Ask for consent to a tag, before it is set. Raises what `IndexClient.set_tag` does."""

    def delete_tag(self, credentials: Credentials, repository: RepositoryName, tag: Tag) -> None:
        """Ask for consent to the deletion of a tag, before it is deleted."""

    def is_private(self, credentials: Credentials, repository: RepositoryName) -> bool | None:
        """The visibility of a repository; None where the store decides, or the index does not know the repository."""

    def set_private(self, credentials: Credentials, repository: RepositoryName, private: bool) -> bool:
        """Change the visibility where the index decides; False where the store does. Raises what the index says."""

    def consume_delete(self, credentials: Credentials, repository: RepositoryName) -> None:
        """Consume a delete token, at the index and here."""

    def repositories(self, credentials: Credentials, access: Access) -> Sequence[RepositoryName]:
        """The repositories of a request whose route names only an image: a mirror finds its source by them."""


class Sources(Protocol):
    """What a mirror says of the repositories that it has from its sources."""

    def is_mirrored(self, repository: RepositoryName) -> bool: ...

    def is_offered(self, repository: RepositoryName, image: ImageId) -> bool:
        """Whether it reads an image that it may lack from the repository's own source."""


class OpenGate:
    """The gate of a standalone registry: every client that reaches the port may push and pull."""

    is_open = True

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings

    def admit(self, credentials: Credentials, access: Access, repository: RepositoryName | None = None) -> str | None:
        return None

    def identify(self, credentials: Credentials) -> None:
        pass

    def readable(self, credentials: Credentials, image: ImageId) -> ImageId:
        """The store may be one that a mirror or an index has left, where repositories keep images apart."""
        for repository in self.repositories(credentials, Access.READ):
            if self._holdings.keeps_apart(repository, image):
                return ApartImageId(image, repository)
        return image

    def public_seconds(self, credentials: Credentials, image: ImageId) -> float:
        return math.inf

    def is_pushing(self, credentials: Credentials) -> bool:
        """Over TLS daemons send no token, and who pushes looks like who pulls."""
        tokens = _tokens(credentials.authorization)[:TOKENS_AT_ONCE]
        return not any(token.access is Access.READ for token in tokens)

    def require_announced(self, credentials: Credentials, image: ImageId) -> None:
        pass

    def usable(self, credentials: Credentials, image: ImageId) -> ImageId:
        return image

    def holder(self, credentials: Credentials) -> Holder:
        return EVERYBODY

    def authorization(self, credentials: Credentials, access: Access, repository: RepositoryName) -> str:
        return ""

    def set_tag(self, credentials: Credentials, repository: RepositoryName, tag: Tag, image: ImageId) -> None:
        pass

    def delete_tag(self, credentials: Credentials, repository: RepositoryName, tag: Tag) -> None:
        pass

    def is_private(self, credentials: Credentials, repository: RepositoryName) -> bool | None:
        return None

    def set_private(self, credentials: Credentials, repository: RepositoryName, private: bool) -> bool:
        return False

    def consume_delete(self, credentials: Credentials, repository: RepositoryName) -> None:
        pass

    def repositories(self, credentials: Credentials, access: Access) -> Sequence[RepositoryName]:
        """Those that their first tokens name, unchecked: for each, a mirror may ask a source."""
        return [token.repository for token in _tokens(credentials.authorization)[:TOKENS_AT_ONCE]]


class TokenGate:
    """The gate of a registry behind an index."""

    is_open = False

    def __init__(
        self,
        index: IndexClient,
        holdings: Holdings,
        secret_keys: Sequence[str],
        grant_seconds: float,
        clock: Callable[[], float] = time.time,
        *,
        mirror: Sources | None = None,
    ) -> None:
        """`secret_keys`: the first signs cookies, all verify."""
        self._index = index
        self._seconds = grant_seconds
        self._clock = clock
        self._mirror = mirror
        # itsdangerous signs with the last key of its list.
        self._signer = Signer(list(reversed(secret_keys)), salt="wharfinger.grant", digest_method=hashlib.sha256)
        self._grants: Cache[bytes, Grant] = Cache(MAX_FINGERPRINTS, grant_seconds, timer=clock)
        self._held = _HeldImages(holdings, grant_seconds, clock, mirror)
        # Images that the index says a public repository holds, by (grant's key, id).
        self._public: Cache[tuple[bytes, ImageId], bool] = Cache(65536, grant_seconds, timer=clock)
        self._stated = StatedTokens(index, grant_seconds, clock)
        self._listings: Cache[bytes, _Listing] = Cache(MAX_FINGERPRINTS, grant_seconds, timer=clock)
        self._redeeming: _SingleFlight[Grant] = _SingleFlight()
        self._listing: _SingleFlight[_Listing] = _SingleFlight()

    def admit(self, credentials: Credentials, access: Access, repository: RepositoryName | None = None) -> str | None:
        redeemed = self._redeemed(credentials, access, repository)
        return self._cookie(redeemed.grant) if redeemed.is_new else None

    def identify(self, credentials: Credentials) -> None:
        tokens = _tokens(credentials.authorization)[:TOKENS_AT_ONCE]
        if not tokens:
            raise Unauthenticated("Requires authorization")
        if not any(map(self._stated.read, tokens)):
            self._index.identify(tokens)

    def readable(self, credentials: Credentials, image: ImageId) -> ImageId:
        redeemed = self._redeemed(credentials, Access.READ)
        found = self._held.find(redeemed.grant, image)
        if found is not None:
            return found
        if self._mirror is not None and self._mirror.is_offered(redeemed.grant.repository, image):
            return image
        is_open = redeemed.grant.access is not Access.WRITE and self._held.is_vouched_for(redeemed.grant)
        if is_open and self._is_public(redeemed, image):
            return image
        raise NotFound("Image not found")

    def public_seconds(self, credentials: Credentials, image: ImageId) -> float:
        """What the repository itself holds, as long as the index's word counts that anybody may read it."""
        grant = self._redeemed(credentials, Access.READ).grant
        # What a mirror has under an id depends on its sources, too.
        if not grant.is_public or self._mirror is not None or self._held.find(grant, image) is None:
            return 0
        return grant.expires - self._clock()

    def is_pushing(self, credentials: Credentials) -> bool:
        return self._redeemed(credentials, Access.READ).grant.access is Access.WRITE

    def require_announced(self, credentials: Credentials, image: ImageId) -> None:
        redeemed = self._redeemed(credentials, Access.WRITE)
        if redeemed.grant.listing.standing(image) is None:
            # The push may have begun after this grant was issued: validate the token again.
            grant = self._redeem(redeemed.token, redeemed.grant.key)
            if grant.listing.standing(image) is None:
                raise Invalid("This image does not belong to the repository")

    def usable(self, credentials: Credentials, image: ImageId) -> ImageId:
        for redeemed in self._each_redeemed(credentials, Access.READ):
            found = self._held.locate(redeemed.grant, image)
            # What a repository keeps apart may lie under its former name still, which another token is for.
            if found is not None and self._held.holdings.is_in_place(found):
                return found
        redeemed = self._redeemed(credentials, Access.READ)
        # The index also says yes of what the repository itself holds, which is not here, or other than what is.
        if self._held.is_decided(redeemed.grant, image) or not self._is_public(redeemed, image):
            raise NotFound("Image not found")
        return image

    def holder(self, credentials: Credentials) -> Holder:
        return _GrantHolder(self._held, self._redeemed(credentials, Access.WRITE).grant)

    def authorization(self, credentials: Credentials, access: Access, repository: RepositoryName) -> str:
        return _authorization(self._redeemed(credentials, access, repository).token)

    def set_tag(self, credentials: Credentials, repository: RepositoryName, tag: Tag, image: ImageId) -> None:
        redeemed = self._redeemed(credentials, Access.WRITE, repository)
        self._index.set_tag(repository, tag, image, _authorization(redeemed.token))

    def delete_tag(self, credentials: Credentials, repository: RepositoryName, tag: Tag) -> None:
        redeemed = self._redeemed(credentials, Access.DELETE, repository)
        self._index.delete_tag(repository, tag, _authorization(redeemed.token))

    def is_private(self, credentials: Credentials, repository: RepositoryName) -> bool | None:
        redeemed = self._redeemed(credentials, Access.READ, repository)
        return self._index.is_private(repository, _authorization(redeemed.token))

    def set_private(self, credentials: Credentials, repository: RepositoryName, private: bool) -> bool:
        redeemed = self._redeemed(credentials, Access.WRITE, repository)
        self._index.set_private(repository, private, _authorization(redeemed.token))
        return True

    def consume_delete(self, credentials: Credentials, repository: RepositoryName) -> None:
        redeemed = self._redeemed(credentials, Access.DELETE, repository)
        self._index.consume_delete(repository, _authorization(redeemed.token))
        self._grants.discard(redeemed.grant.key)

    def repositories(self, credentials: Credentials, access: Access) -> Sequence[RepositoryName]:
        """The repository of the validated token; others that the header names are not validated."""
        return [self._redeemed(credentials, access).grant.repository]

    def _is_public(self, redeemed: _Redeemed, image: ImageId) -> bool:
        """Whether the index says that a public repository holds the image."""
        token, grant, _ = redeemed
        if self._public.get((grant.key, image)):
            return True
        if not self._index.may_read(grant.repository, image, _authorization(token), self._store()):
            return False
        # The index also says yes of what the repository has come to keep apart after this grant was issued.
        if self._redeem(token, grant.key).listing.standing(image) is Standing.APART:
            return False
        self._public.put((grant.key, image), True)
        return True

    def _redeemed(
        self, credentials: Credentials, access: Access, repository: RepositoryName | None = None
    ) -> _Redeemed:
        """The first valid token of the header that allows the access; most headers hold one."""
        for redeemed in self._each_redeemed(credentials, access, repository):
            request_record.note_token(token_key(redeemed.token), str(redeemed.grant.repository))
            return redeemed
        raise Unauthenticated("Requires authorization")

    def _each_redeemed(
        self, credentials: Credentials, access: Access, repository: RepositoryName | None = None
    ) -> Iterator[_Redeemed]:
        tokens = _tokens(credentials.authorization)
        fitting = [token for token in tokens if token.access.allows(access) and repository in (None, token.repository)]
        for token in fitting[:TOKENS_AT_ONCE]:
            with suppress(Unauthenticated):
                yield self._grant(token, credentials.cookie)

    def _grant(self, token: Token, cookie: str | None) -> _Redeemed:
        key = hashlib.sha256(token_key(token) + f" {self._store()}".encode()).digest()[:16]
        grant = self._cached(key, cookie)
        if grant is not None:
            return _Redeemed(token, grant, is_new=False)
        stated = self._stated.read(token)
        GRANT_CACHE.add("miss" if stated is None else "stated")
        if stated is not None:
            return _Redeemed(token, self._take_word(token, key, stated), is_new=False)
        return _Redeemed(token, self._redeeming.call(key, lambda: self._redeem(token, key)), is_new=True)

    def _take_word(self, token: Token, key: bytes, stated: Stated) -> Grant:
        """The grant of a token that states itself what it is for."""
        list_key = b"%s %s" % (stated.statement.listing, str(token.repository).encode())
        listing = self._listings.get(list_key)
        if listing is None:
            try:
                listing = self._listing.call(list_key, lambda: self._list(token, list_key))
            except Unauthenticated:
                # Perhaps of another one, with which all others waited for an answer.
                listing = self._list(token, list_key)
        grant = Grant(
            key=key,
            repository=token.repository,
            access=token.access,
            listing=listing,
            expires=stated.expires,
            is_public=stated.statement.is_public,
        )
        self._grants.put(key, grant, _MIN_WEIGHT)
        return grant

    def _list(self, token: Token, list_key: bytes) -> _Listing:
        images = self._index.images(token.repository, _authorization(token), self._store())
        listing = _listing(images, secrets.token_bytes(16))
        self._listings.put(list_key, listing, _weight(listing))
        return listing

    def _cached(self, key: bytes, cookie: str | None) -> Grant | None:
        known = self._grants.get(key)
        grant = known or self._read_cookie(key, cookie)
        if grant is None or grant.expires <= self._clock():
            return None
        GRANT_CACHE.add("memory" if known else "cookie")
        return grant

    def _redeem(self, token: Token, key: bytes) -> Grant:
        images = self._index.images(token.repository, _authorization(token), self._store())
        expires = int(self._clock() + self._seconds)
        listing = _listing(images, key)
        grant = Grant(key=key, repository=token.repository, access=token.access, listing=listing, expires=expires)
        self._grants.put(key, grant, _weight(listing))
        return grant

    def _store(self) -> str | None:
        """The store that the index is asked about. A mirror takes its word only of what sources have, see
        `is_vouched_for`.
        """
        return self._held.holdings.store.tell() if self._mirror is None else headers.EVERY_STORE

    def _cookie(self, grant: Grant) -> str | None:
        """None where the grant has more images than fit in a cookie; each worker then validates the token once."""
        name = str(grant.repository).encode()
        packed = _HEAD.pack(int(grant.expires), _ACCESSES.index(grant.access), grant.key, len(name)) + name
        packed += b"".join(grant.listing.fingerprints)
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
        images = frozenset(tail[at : at + _FINGERPRINT_BYTES] for at in range(0, len(tail), _FINGERPRINT_BYTES))
        grant = Grant(
            key=key,
            repository=RepositoryName.parse(name.decode()),
            access=_ACCESSES[access],
            listing=_Listing(key, images),
            expires=expires,
        )
        self._grants.put(key, grant, _weight(grant.listing))
        return grant


def _weight(listing: _Listing) -> int:
    return _MIN_WEIGHT + len(listing.fingerprints)


def _listing(images: Mapping[str, Standing], key: bytes) -> _Listing:
    return _Listing(key, frozenset(_fingerprint(image, standing, key) for image, standing in images.items()))


@lru_cache(maxsize=1024)
def _tokens(header: str | None) -> tuple[Token, ...]:
    """Those of a header, which a pull sends twenty times."""
    return tuple(read_authorization(header) or ())


def _authorization(token: Token) -> str:
    """The header for the index, with this token alone: another one of the same request could vouch for it."""
    return authorization([token])


def _fingerprint(image: str, standing: Standing, key: bytes) -> bytes:
    return hashlib.blake2b(
        image.encode(), key=key, person=standing.value.encode(), digest_size=_FINGERPRINT_BYTES
    ).digest()


class _HeldImages:
    """What the repositories of grants hold: as the index said, else as the store says, which is cached with a grant."""

    def __init__(self, holdings: Holdings, seconds: float, clock: Callable[[], float], mirror: Sources | None) -> None:
        self.holdings = holdings
        self._mirror = mirror
        self._found: Cache[tuple[bytes, ImageId], ImageId] = Cache(65536, seconds, timer=clock)

    def find(self, grant: Grant, image: ImageId) -> ImageId | None:
        """The image as the grant's repository holds it, or as an official one lends it; None where neither does."""
        standing = grant.listing.standing(image) if self.is_vouched_for(grant) else None
        if standing in (Standing.SHARED, Standing.LENT):
            return self._shared(grant, image)
        if standing is Standing.APART:
            return ApartImageId(image, grant.repository)
        found = self._found.get((grant.key, image))
        if found is None:
            found = self.holdings.find(grant.repository, image)
            if found is not None:
                self.remember(grant, found)
        return found

    def _shared(self, grant: Grant, image: ImageId) -> ImageId:
        """The shared image; where that was collected, what the repository has pushed since, of which the index does not
        know yet.
        """
        if self._mirror is not None or self.holdings.is_there(image):
            return image
        return self.holdings.find(grant.repository, image) or image

    def locate(self, grant: Grant, image: ImageId) -> ImageId | None:
        """As `find`; of a mirror's copy only what was fetched for it, since the index cannot say which image of an id
        a mirror has.
        """
        found = self.find(grant, image)
        if found is not None and self._is_copy(grant.repository):
            return self.holdings.marked(grant.repository, image)
        return found

    def is_vouched_for(self, grant: Grant) -> bool:
        """Whether the index's word on possession counts. It is true of its registries' store. A mirror has
        other content under the same ids, and reads for a mirrored repository only what that one's source has.
        """
        return self._mirror is None or self._mirror.is_mirrored(grant.repository)

    def is_decided(self, grant: Grant, image: ImageId) -> bool:
        """Whether what others hold under the id is no matter to the grant's repository."""
        if self._mirror is not None:
            return True
        return self.find(grant, image) is not None or self.holdings.is_copy(grant.repository)

    def _is_copy(self, repository: RepositoryName) -> bool:
        is_mirrored = self._mirror is not None and self._mirror.is_mirrored(repository)
        return is_mirrored or self.holdings.is_copy(repository)

    def remember(self, grant: Grant, image: ImageId) -> None:
        self._found.put((grant.key, image), image)


class _GrantHolder(RepositoryHolder):
    """The repository of a grant, as the holder of what is pushed with it."""

    def __init__(self, held: _HeldImages, grant: Grant) -> None:
        super().__init__(held.holdings, grant.repository)
        self._held = held
        self._grant = grant

    def find(self, image: ImageId) -> ImageId | None:
        return self._held.find(self._grant, image)

    def keep(self, image: ImageId, checksums: Iterable[str]) -> None:
        super().keep(image, checksums)
        self._held.remember(self._grant, image)


class _SingleFlight(Generic[T]):
    """Single-flight: one request to the index for each key; concurrent callers share the outcome."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, Future[T]] = {}

    def call(self, key: bytes, ask: Callable[[], T]) -> T:
        waiting = self._under_way.get(key)
        if waiting is not None:
            return waiting.result()
        future: Future[T] = Future()
        self._under_way[key] = future
        try:
            future.set_result(ask())
        except Exception as error:  # noqa: BLE001 - passed on as it is, to every caller
            future.set_exception(error)
        finally:
            del self._under_way[key]
        return future.result()
