"""Half requests: connections whose next request has not arrived whole, and the bounds of what they take.

Where they are too many or too large, the oldest goes first: of the client that has more than its share, or of all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

MAX_REQUESTS = 1024
MAX_BYTES = 64 * 1024 * 1024
"""Both of one worker."""
MAX_REQUESTS_PER_CLIENT = 128
MAX_BYTES_PER_CLIENT = 16 * 1024 * 1024


@dataclass(slots=True)
class _Client:
    connections: dict[Any, None] = field(default_factory=dict)
    size: int = 0

    @property
    def is_over(self) -> bool:
        return len(self.connections) > MAX_REQUESTS_PER_CLIENT or self.size > MAX_BYTES_PER_CLIENT


@dataclass(slots=True)
class _Half:
    began: float
    client: _Client
    name: str
    size: int = 0


class HalfRequests:
    """In the order in which they began. Where clients have `shares`, each may have so many and no more.

    They have none behind a proxy, whose one address stands for all of its clients.
    """

    def __init__(self, *, shares: bool) -> None:
        self._shares = shares
        self._halves: dict[Any, _Half] = {}
        self._clients: dict[str, _Client] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._halves)

    def __contains__(self, connection: object) -> bool:
        return connection in self._halves

    def add(self, connection: Any, client: str, began: float) -> None:
        owner = self._clients.setdefault(client, _Client())
        owner.connections[connection] = None
        self._halves[connection] = _Half(began, owner, client)

    def resize(self, connection: Any, size: int) -> None:
        """Say how many bytes of it have arrived."""
        half = self._halves[connection]
        grown = size - half.size
        half.size = size
        half.client.size += grown
        self._size += grown

    def remove(self, connection: Any) -> None:
        self.resize(connection, 0)
        half = self._halves.pop(connection)
        del half.client.connections[connection]
        if not half.client.connections:
            del self._clients[half.name]

    def surplus(self, connection: Any) -> Any | None:
        """The connection that has to go since this one was added or has grown; None where there is room."""
        owner = self._halves[connection].client
        if self._shares and owner.is_over:
            return next(iter(owner.connections))
        if len(self._halves) > MAX_REQUESTS or self._size > MAX_BYTES:
            return self.oldest()
        return None

    def oldest(self) -> Any | None:
        return next(iter(self._halves), None)

    def begun_before(self, deadline: float) -> list[Any]:
        return list(takewhile(lambda connection: self._halves[connection].began <= deadline, self._halves))
