"""A reader of chunked request bodies (`Transfer-Encoding: chunked`), as every daemon sends its layers.

Gunicorn's own reader looks for each chunk with small reads and copies each byte five times on the way; a layer is
gigabytes. This one reads the socket in large pieces and copies a byte once more.

As strict as RFC 9112 §7.1: a reader that forgives is one that disagrees with a proxy about where a request ends.
"""

from __future__ import annotations

import re
import time
from typing import Any

from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkSize, NoMoreData

READ_BYTES = 256 * 1024
MAX_LINE_BYTES = 8190
MAX_TRAILER_BYTES = 32 * 1024

MANY = 4096
"""Parts of one read that are kept apart; each costs a hundred times the byte that is the least it holds."""

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t -~\x80-\xff]*)?")


class ChunkedBody:
    """Reads one body from gunicorn's unreader and leaves there what comes after it."""

    def __init__(self, unreader: Any) -> None:
        self._unreader = unreader
        self._buffer = b""
        self._position = 0
        self._left = 0
        self._is_first = True
        self.is_read = False
        """Whether the body was read to its end."""
        self.failed = False
        """Whether its framing was broken, so that nobody knows where the next request begins."""

    def read(self, size: int | None = None) -> bytes:
        """Up to `size` bytes, fewer only at the end; all of them if None.

        Raises NoMoreData where the client is gone, InvalidChunkSize or ChunkMissingTerminator for what is no chunk.
        """
        try:
            return self._read(float("inf") if size is None or size < 0 else size)
        except Exception:
            self.failed = True
            raise

    def _read(self, size: float) -> bytes:
        parts: list[memoryview | bytes] = []
        while size > 0 and self._enter_chunk():
            part = self._take(int(min(size, self._left)))
            parts.append(part)
            size -= len(part)
            if len(parts) == MANY:
                parts = [b"".join(parts)]
                # Work for nothing, and as long as the socket has more, nobody else's turn: gevent's sleep gives it.
                time.sleep(0)
        return b"".join(parts)

    def _enter_chunk(self) -> bool:
        """Be inside a chunk that has bytes left; False at the end of the body."""
        if self._left == 0 and not self.is_read:
            if not self._is_first:
                self._expect_line_end()
            self._is_first = False
            self._left = self._chunk_size()
            if self._left == 0:
                self._pass_trailers()
        return not self.is_read

    def _take(self, most: int) -> memoryview:
        if self._position == len(self._buffer):
            self._fill()
        part = memoryview(self._buffer)[self._position : self._position + most]
        self._position += len(part)
        self._left -= len(part)
        return part

    def _fill(self) -> None:
        self._buffer = self._buffer[self._position :] + self._receive()
        self._position = 0

    def _receive(self) -> bytes:
        received: bytes = self._unreader.read(None, read_ahead=READ_BYTES)
        if not received:
            raise NoMoreData
        return received

    def _line(self, most: int) -> bytes:
        """Up to the next CRLF, which is passed."""
        while (end := self._buffer.find(b"\r\n", self._position)) < 0:
            if len(self._buffer) - self._position > most:
                raise InvalidChunkSize(b"line without an end")
            self._fill()
        line = self._buffer[self._position : end]
        self._position = end + 2
        return line

    def _chunk_size(self) -> int:
        line = self._line(MAX_LINE_BYTES)
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise InvalidChunkSize(line[:32])
        return int(match[1], 16)

    def _expect_line_end(self) -> None:
        while len(self._buffer) - self._position < 2:
            self._fill()
        if self._buffer[self._position : self._position + 2] != b"\r\n":
            raise ChunkMissingTerminator(self._buffer[self._position : self._position + 2])
        self._position += 2

    def _pass_trailers(self) -> None:
        """Nobody needs them; what is behind them belongs to the next request."""
        allowed = MAX_TRAILER_BYTES
        while line := self._line(allowed):
            allowed -= len(line)
            if allowed <= 0:
                raise InvalidChunkSize(b"trailers without an end")
        self.is_read = True
        self._unreader.unread(self._buffer[self._position :])
        self._buffer, self._position = b"", 0
