"""The contract between the registry and whatever keeps its bytes.

Words. A *path* is relative, of components joined by `/`; a component is 1 to 255 characters of
`A-Za-z0-9._%+~-`, neither `.` nor `..`; a path has at most 900 characters. A *content* is the bytes at a
path, of any size from nothing to what the store can hold; a 5 GiB content is read and written in constant
memory. There are no directories: a path is *below* another as long as a content is there, so an empty
directory does not exist. Whether one path may hold a content and have others below it is undefined.

Visibility. A content appears whole or not at all, when `put`, `create`, `commit` or `move` returns, and no
earlier than the call; from then on every process sees it, until it is replaced or deleted. Replacing is
atomic: a reader has the old content or the new one, never a mixture, and one opened before goes on
reading the old. What a call returned without raising survives a crash of the machine.

Failures. The table is complete; whatever else a driver raises is a defect of the driver.

    PathNotFound     nothing is there
    BadPath          the path breaks the grammar above, or belongs to the driver itself
    StorageFull      no space or quota is left; nothing was published
    StorageFailure   anything else the store did not do; for a write it is undefined whether it was done
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from common.errors import Failure, Invalid, NotFound, OutOfSpace, Unavailable

BLOCK = 256 * 1024
"""Readers give blocks of at most this many bytes."""

Offload = Callable[..., Any]
"""An executor: `offload(function, *args)` returns what `function(*args)` does, without blocking whatever else runs here
(a thread pool, where greenlets share a thread). The function touches no driver: connections belong to the thread that
opened them. A Reader among the arguments is read by the caller; the function gets an iterable of its blocks."""

_PATH = re.compile(r"(?!.{901})(?:(?!\.{1,2}(?:/|$))[A-Za-z0-9._%+~-]{1,255}(?:/(?=.)|$))+")


def directly(function: Callable[..., Any], *args: Any) -> Any:
    """The plainest Offload: call here and now."""
    return function(*args)


class StorageProblem(Failure):
    """What all failures of a store share: the path, the driver's name, and a reason without paths of the machine."""

    saying: ClassVar[str]

    def __init__(self, path: str, reason: str = "") -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason
        self.driver = "storage"

    @property
    def message(self) -> str:
        said = f"{self.driver}: {self.saying}: {self.path}"
        return f"{said}: {self.reason}" if self.reason else said

    def __str__(self) -> str:
        return self.message


class PathNotFound(StorageProblem, NotFound):
    saying = "nothing is stored at"


class BadPath(StorageProblem, Invalid):
    saying = "not a name that can be stored"


class StorageFull(StorageProblem, OutOfSpace):
    saying = "no space is left for"


class StorageFailure(StorageProblem, Unavailable):
    saying = "storage failed at"


def is_path(text: str) -> bool:
    """Whether the text keeps to the grammar of paths."""
    return _PATH.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Stat:
    """Size in bytes; time of the last change in seconds since the epoch, by the store's clock."""

    size: int
    modified: float


class Reader(ABC):
    """The bytes of one content, once, from front to back, in blocks of at most BLOCK bytes; none is empty."""

    @abstractmethod
    def __iter__(self) -> Iterator[bytes]: ...

    @abstractmethod
    def close(self) -> None:
        """Let go of what is open; may be called twice and before the end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Writer(ABC):
    """A content on its way: invisible until `commit`, gone after `cancel`. Leaving a `with` uncommitted cancels.

    Write in blocks of 256 KiB to 1 MiB; smaller ones are legal and slow. Where the driver `is_blocking`, `write` is
    the caller's to take off the hub.
    """

    @abstractmethod
    def write(self, block: bytes) -> None: ...

    @abstractmethod
    def commit(self) -> None:
        """Publish, replacing what was at the path. Nothing may be called afterwards but `cancel`, to no effect."""

    @abstractmethod
    def cancel(self) -> None:
        """Drop everything written; may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()


class Driver(ABC):
    """One keeper of bytes. Every method may be called from many threads at once."""

    name: str

    is_blocking: bool
    """Whether writing makes the thread wait on a disk, where a cooperative scheduler cannot help."""

    def set_offload(self, offload: Offload) -> None:  # noqa: B027 - most have nobody to pass it to
        """How to call what blocks, set once by the guard: of use to a driver that hands work on to another."""

    def sweep(self) -> None:  # noqa: B027 - some leave nothing behind
        """Remove what writers that were killed left beside all contents, once it is surely theirs: called now and then
        while others write. What the store does not do now it may do the next time; nothing is raised."""

    @abstractmethod
    def get(self, path: str) -> bytes:
        """The whole of a small content, up to some MiB. Raises PathNotFound."""

    @abstractmethod
    def put(self, path: str, content: bytes) -> None:
        """Store a small content, replacing what was there."""

    @abstractmethod
    def create(self, path: str, content: bytes) -> bool:
        """Store a small content unless something is there; of many callers at once exactly one gets True."""

    @abstractmethod
    def open_reader(self, path: str, offset: int = 0, length: int | None = None) -> Reader:
        """Read from `offset` on, at most `length` bytes, to the end if None. Raises PathNotFound here, not later.

        An offset at or past the end reads nothing; a length past the end is cut. Negative ones are undefined.
        """

    @abstractmethod
    def open_writer(self, path: str) -> Writer:
        """Begin a content of any size. Two writers of one path do not meet: the last commit stays."""

    @abstractmethod
    def stat(self, path: str) -> Stat:
        """Size and time of a content. Raises PathNotFound, also where there are only paths below."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether there is a content at the path or below it."""

    @abstractmethod
    def list(self, path: str) -> Iterator[str]:
        """Names one component below the path, each once, in no order. Raises PathNotFound where there are none.

        What appears or disappears while the list is read may be in it or not.
        """

    def entries(self, path: str) -> Iterator[tuple[str, str | None]]:
        """As `list`, each name with what may be the MD5 of its content, in hex digits, where the store lists one.

        Who has read a content before need not read it again; a digest that belongs to nothing does no harm.
        """
        return ((name, None) for name in self.list(path))

    @abstractmethod
    def delete(self, path: str) -> None:
        """Remove the content, or everything below the path. Raises PathNotFound when nothing is there.

        With many contents it is undefined which are gone when it fails, or when somebody writes there meanwhile.
        """

    @abstractmethod
    def move(self, source: str, target: str) -> None:
        """Bring one content to another path, replacing what is there. Raises PathNotFound naming the source.

        After a crash in between, the content may be at both paths; it is never at neither.
        """

    @abstractmethod
    def url_for(self, path: str) -> str | None:
        """A URL from which anybody may GET the content for a while, or None where the store gives none."""

    @abstractmethod
    def local_path(self, path: str) -> Path | None:
        """The file that holds the content, for a server that sends files itself; None where there is none.

        It is not looked at: whoever sends it has called `stat` before.
        """


def names_below(driver: Driver, path: str) -> Iterator[str]:
    """As `Driver.list`, and nothing where that raises PathNotFound."""
    with suppress(PathNotFound):
        yield from driver.list(path)
