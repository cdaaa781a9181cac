"""Request buffers: what a client has sent of a request, and whether that is all of it.

A buffer finds where a request ends, and nothing else: gunicorn's parser says whether it is well-formed, and gets its
bytes as they came. What the parser would refuse before its end is ready at once.
"""

from __future__ import annotations

import re

from common.http import MAX_JSON_BYTES
from common.serving import TLS_RECORD

MAX_BODY_BYTES = MAX_JSON_BYTES + 64 * 1024
"""The largest body that is waited for, with room for the framing of chunks; a larger one is refused unread."""
MAX_CHUNK_LINE = 8190

# A line without a carriage return: the parser refuses such a head, however it goes on.
_END = re.compile(rb"\r\n\r\n|(?<!\r)\n")
_FRAMING = re.compile(
    rb"\r\n(?:content-length:[ \t]*0*(\d{1,18})[ \t]*|(transfer-encoding):[^\r]*)(?=\r\n)", re.IGNORECASE
)
_EXPECT = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)
_TOKEN = re.compile(rb"\r\nauthorization:[ \t]*(token[ \t]|bearer[ \t]+(?!whp_)[^ \t])", re.IGNORECASE)
"""Of v1 or of `/v2/`. The site's access tokens, which programs bear alike, are no protocol tokens."""
_PING = re.compile(rb"(?:GET|HEAD) (?:/v1)?/_ping/? ")
_CHUNK_LINE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r]*)?\r\n")


class RequestBuffer:
    """The bytes of one request, and of what the client sent behind it.

    `is_ready`: there is nothing more to wait for. `is_complete`: the request has ended; one that is ready without an
    end gets an error, and its connection is closed. `is_oversized`: the head has no end within its limit.
    """

    __slots__ = ("_body_end", "_chunk", "_data", "_head_end", "_max_head", "_searched", "is_complete", "is_ready")

    def __init__(self, max_head: int) -> None:
        self._max_head = max_head
        self._data = bytearray()
        # How much has been searched for the end of the head, or of trailers.
        self._searched = 0
        self._head_end = 0
        # None in a chunked body, whose next chunk begins at `_chunk`.
        self._body_end: int | None = 0
        self._chunk = 0
        self.is_ready = self.is_complete = False

    def __len__(self) -> int:
        return len(self._data)

    @property
    def data(self) -> bytes:
        return bytes(self._data)

    @property
    def is_tls(self) -> bool:
        return self._data.startswith(TLS_RECORD)

    @property
    def is_oversized(self) -> bool:
        return not self._head_end and len(self._data) > self._max_head

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body."""
        if self.is_ready or not self._head_end or len(self._data) > self._head_end:
            return False
        line = self._data[: self._data.find(b"\r\n", 2)]
        return line.endswith(b" HTTP/1.1") and _EXPECT.search(self._data) is not None

    @property
    def has_token(self) -> bool:
        """Whether it bears a protocol token: that of a registry that asks about one, or of a push or pull under way."""
        return _TOKEN.search(self._data, 0, self._head_end) is not None

    @property
    def is_ping(self) -> bool:
        return self.is_complete and _PING.match(self._data) is not None

    def feed(self, data: bytes) -> None:
        """Add what the client sent."""
        self._data += data
        if not self._head_end and not self.is_ready:
            self._find_head_end()
        if self._head_end and not self.is_ready:
            self._find_body_end()

    def _find_head_end(self) -> None:
        found = _END.search(self._data, max(0, self._searched - 3))
        if found is None:
            self._searched = len(self._data)
        elif len(found[0]) == 1:
            self.is_ready = True
        else:
            self._head_end = self._chunk = found.end()
            self._read_framing()

    def _read_framing(self) -> None:
        framing = _FRAMING.findall(self._data, 0, self._head_end)
        if not framing:
            self._body_end = self._head_end
        elif len(framing) > 1:
            self.is_ready = True
        elif framing[0][1]:
            self._body_end = None
        else:
            size = int(framing[0][0])
            self._body_end = self._head_end + size
            self.is_ready = size > MAX_BODY_BYTES

    def _find_body_end(self) -> None:
        if self._body_end is not None:
            self.is_ready = self.is_complete = len(self._data) >= self._body_end
            return
        while not self.is_ready and (line := _CHUNK_LINE.match(self._data, self._chunk)):
            if int(line[1], 16) == 0:
                self._find_trailers_end(line.end() - 2)
                break
            self._chunk = line.end() + int(line[1], 16) + 2
        else:
            self.is_ready = self._has_bad_chunk_line()
        self.is_ready |= len(self._data) - self._head_end > MAX_BODY_BYTES

    def _has_bad_chunk_line(self) -> bool:
        return self._data.find(b"\n", self._chunk) >= 0 or len(self._data) - self._chunk > MAX_CHUNK_LINE

    def _find_trailers_end(self, begin: int) -> None:
        found = _END.search(self._data, max(begin, self._searched - 3))
        self._searched = len(self._data)
        if found is not None:
            self.is_ready = True
            self.is_complete = len(found[0]) > 1
