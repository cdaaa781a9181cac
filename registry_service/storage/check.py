"""Tries a store out, step by step, and says what works, what does not, and what to mend.

It writes below `_probes` and takes everything away again. A step that fails does not stop those that do not need it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import urllib3

from common.errors import Failure
from registry_service.storage import paths
from registry_service.storage.driver import BLOCK, Driver, PathNotFound

LAYER_BYTES = 20 * 1024**2
"""Enough that every driver writes it in parts, which may need rights of its own."""

CLOCKS_APART_SECONDS = 60.0

_TIMEOUT = urllib3.Timeout(connect=10, read=30)
_SMALL = b"A probe of the registry's; it may be deleted.\n"
_OLD_STORE = "what is there is laid out as docker-registry's store is, and will be served as it is"


class Wrong(Exception):
    """A store did something other than it should; the message says what."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one step came to: `problem` is None when all is well, `remark` is what else is worth a word."""

    step: str
    problem: str | None = None
    mend: str = ""
    is_needed: bool = True
    remark: str = ""

    @property
    def is_fatal(self) -> bool:
        return self.problem is not None and self.is_needed

    def __str__(self) -> str:
        if self.problem is None:
            said = f"ok: {self.remark}" if self.remark else "ok"
        else:
            said = f"{'FAILED' if self.is_needed else 'does not work'}: {self.problem}; {self.mend}"
        return f"{self.step:<14} {said}"


class Check:
    """The steps, in an order in which each uses what those before have shown to work."""

    def __init__(self, driver: Driver, delivery: str) -> None:
        """`delivery` is the registry's setting, which says whether others must be able to fetch layers."""
        self._driver = driver
        self._delivery = delivery
        self._place = paths.probe(f"check-{secrets.token_hex(8)}")
        self._small = f"{self._place}/small"
        self._layer = f"{self._place}/layer"
        self._digest = ""
        self._sends_files = False
        self._url_host = ""

    def findings(self) -> Iterator[Finding]:
        """One for each step; ends early where nothing can be written."""
        try:
            yield from self._find()
        finally:
            with suppress(Failure):
                self._driver.delete(self._place)

    def _find(self) -> Iterator[Finding]:
        yield self._layout()
        written = self._try("write", self._write, "let the credentials create and replace objects; look for a quota")
        yield written
        if written.is_fatal:
            return
        yield self._try("read", self._read, "let the credentials read objects; let no proxy change contents")
        yield self._try(
            "ranged read", self._read_part, "daemons resume by ranges: let no proxy take the Range header away"
        )
        yield self._try(
            "clock", self._compare_clocks, "set the clock of this machine, or the store's, by NTP", needed=False
        )
        create = "two pushes of one image could mix: use a store, or settings, that keep conditions"
        yield self._try("create", self._create, create)
        yield self._try("move", self._move, "let the credentials copy within the bucket, and delete")
        yield self._try("list", self._list, "let the credentials list the bucket")
        yield self._local_file()
        yield self._signed_url()
        yield self._try("delete", self._delete, "let the credentials delete objects; look for a retention policy")
        yield self._advice()

    def _try(self, step: str, act: Callable[[], None], mend: str, needed: bool = True) -> Finding:
        try:
            act()
        except (Failure, Wrong) as error:
            return Finding(step, str(error), mend, needed)
        return Finding(step)

    def _layout(self) -> Finding:
        try:
            found = {name for name in (paths.IMAGES, paths.REPOSITORIES, "docker") if self._driver.exists(name)}
        except Failure as failure:
            return Finding("layout", str(failure), "let the credentials read and list objects")
        if found == {"docker"}:
            said = "there is a store of registry v2 (docker/registry/v2), which holds no v1 images; keep them apart"
        elif paths.IMAGES in found:
            said = _OLD_STORE
        elif paths.REPOSITORIES in found:
            said = f"{_OLD_STORE}; but it has no images: are they in another store?"
        else:
            said = "nothing is there yet; if there should be, mend WHARFINGER_REGISTRY_STORAGE_PATH"
        return Finding("layout", remark=said)

    def _write(self) -> None:
        self._driver.put(self._small, b"first")
        self._driver.put(self._small, _SMALL)
        digest = hashlib.sha256()
        with self._driver.open_writer(self._layer) as writer:
            for number in range(LAYER_BYTES // BLOCK):
                digest.update(block := _block(number))
                writer.write(block)
            _demand(not self._driver.exists(self._layer), "a content is seen before it is whole")
            writer.commit()
        self._digest = digest.hexdigest()

    def _read(self) -> None:
        _demand(self._driver.get(self._small) == _SMALL, "something other came back than was written")
        digest = hashlib.sha256()
        with self._driver.open_reader(self._layer) as reader:
            for block in reader:
                digest.update(block)
        _demand(digest.hexdigest() == self._digest, "something other came back than was written")
        _demand(self._driver.stat(self._layer).size == LAYER_BYTES, "a size is not that of what was written")

    def _read_part(self) -> None:
        with self._driver.open_reader(self._layer, 3 * BLOCK - 5, 10) as reader:
            part = b"".join(reader)
        _demand(part == _block(2)[-5:] + _block(3)[:5], "other bytes came back than those asked for")

    def _compare_clocks(self) -> None:
        apart = time.time() - self._driver.stat(self._small).modified
        _demand(abs(apart) < CLOCKS_APART_SECONDS, f"this machine's clock is {apart:+.0f} seconds from the store's")

    def _create(self) -> None:
        claim = f"{self._place}/claim"
        _demand(self._driver.create(claim, b"first"), "nothing could be created where nothing was")
        _demand(not self._driver.create(claim, b"second"), "what was there was created again")
        _demand(self._driver.get(claim) == b"first", "what was there was overwritten")

    def _move(self) -> None:
        moved = f"{self._layer}.moved"
        self._driver.move(self._layer, moved)
        _demand(not self._driver.exists(self._layer), "what was moved is still where it was")
        self._layer = moved
        _demand(self._driver.stat(moved).size == LAYER_BYTES, "what was moved has another size")

    def _list(self) -> None:
        names = set(self._driver.list(self._place))
        written = {path.rpartition("/")[2] for path in (self._small, self._layer)}
        _demand(written <= names, f"what was written is not listed; there are: {', '.join(sorted(names))}")

    def _local_file(self) -> Finding:
        """Whether this machine's programs can open what the driver says is a file."""
        file = self._driver.local_path(self._layer)
        self._sends_files = file is not None
        if file is None:
            return Finding("local file", remark="this store has none")
        if not file.is_file():
            return Finding("local file", "there is no such file", "the driver names files that are not there")
        return Finding("local file", remark="nginx can send it")

    def _signed_url(self) -> Finding:
        needed = self._delivery != "direct" and not self._sends_files
        mend = (
            "clients must reach that host, trust its certificate, and need no more than the URL; "
            "else set WHARFINGER_REGISTRY_DELIVERY=direct"
        )
        try:
            url = self._driver.url_for(self._layer)
            if url is None:
                return Finding("signed URL", remark="this store, or these credentials, sign none")
            parts = urlsplit(url)
            self._fetch(url)
        except (Failure, Wrong) as error:
            return Finding("signed URL", str(error), mend, needed)
        except urllib3.exceptions.HTTPError as error:
            problem = f"{parts.netloc} cannot be asked ({type(error).__name__})"
            return Finding("signed URL", problem, mend, needed)
        self._url_host = f"{parts.scheme}://{parts.netloc}"
        return Finding("signed URL", remark=f"fetched from {self._url_host} without credentials")

    def _fetch(self, url: str) -> None:
        """Both ways daemons do, with nothing that proves who asks."""
        with urllib3.PoolManager(retries=False, timeout=_TIMEOUT) as strangers:
            whole = strangers.request("GET", url)
            _demand(whole.status == 200, f"{urlsplit(url).netloc} answered {whole.status}")
            _demand(hashlib.sha256(whole.data).hexdigest() == self._digest, "other bytes came than were written")
            part = strangers.request("GET", url, headers={"Range": f"bytes={LAYER_BYTES - 10}-"})
            _demand(part.status == 206 and part.data == whole.data[-10:], "ranges of it are not served")

    def _delete(self) -> None:
        self._driver.delete(self._small)
        self._driver.delete(self._place)
        _demand(not self._driver.exists(self._place), "what was deleted is still there")
        with suppress(PathNotFound):
            _demand(not list(self._driver.list(self._place)), "what was deleted is still listed")

    def _advice(self) -> Finding:
        """Which settings of `delivery` this store can carry out."""
        if self._sends_files:
            said = "direct, or nginx where one stands in front of the same files; redirect does nothing here"
        elif self._url_host.startswith("https://"):
            said = "redirect (clients fetch from the store), nginx (it fetches once and keeps), or direct"
        elif self._url_host:
            said = "nginx or direct; redirect only for clients that come without TLS, for the store has none"
        else:
            said = "direct; there is no signed URL that works, which redirect and nginx need"
        return Finding("delivery", remark=f"it is {self._delivery}; what makes sense: {said}")


def _block(number: int) -> bytes:
    """Bytes that nobody has to keep to know them again."""
    return hashlib.sha256(f"probe {number}".encode()).digest() * (BLOCK // 32)


def _demand(holds: bool, complaint: str) -> None:
    if not holds:
        raise Wrong(complaint)
