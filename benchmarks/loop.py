"""Walks a thousand simulated daemons at once in one thread, on epoll.

A simulated daemon is a generator: it yields a `Request` and is sent the `Reply`; it yields a `Together` and is
sent the results of several generators; it yields a `Pause` and is sent None. What goes wrong with a request is
raised in the generator as `Broken`.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.wire import Address, Broken, Exchange, Request, connect
from tests.clients.steps import Steps, Together

_TICK = 0.25


@dataclass(slots=True)
class Pause:
    """About so many seconds: the loop looks at its clock four times a second."""

    seconds: float


@dataclass(slots=True, eq=False)
class Task:
    """A generator being walked for the client at `source`; `idle` are that client's kept connections."""

    steps: Steps
    source: str
    idle: dict[Address, list[socket.socket]]
    ended: Callable[[Any, Broken | None], None]


class Loop:
    """Walks generators until all have ended."""

    def __init__(self, patience: float = 60.0, tick: Callable[[], None] = lambda: None) -> None:
        """`patience`: seconds a connection may stand still. `tick` is called about four times a second."""
        self.over = False
        self._patience = patience
        self._tick = tick
        self._epoll = select.epoll()
        self._exchanges: dict[int, tuple[Exchange, Task]] = {}
        self._ready: deque[tuple[Task, Any, Broken | None]] = deque()
        self._paused: list[tuple[float, Task]] = []
        self._walking = 0
        self._now = time.monotonic()

    def run(self, clients: Iterable[tuple[str, Steps]], limit: float) -> None:
        """Walk the generator of each client, whose connections come from its own source address.

        After `limit` seconds `over` is set and every request breaks.
        """
        end = self._now + limit
        tasks = [Task(steps, source, {}, _expect_no_failure) for source, steps in clients]
        for task in tasks:
            self.begin(task)
        try:
            while self._walking:
                self._turn(end)
        finally:
            self._close(tasks)

    def begin(self, task: Task) -> None:
        self._walking += 1
        self._ready.append((task, None, None))

    def resume(self, task: Task, value: Any = None, broken: Broken | None = None) -> None:
        self._ready.append((task, value, broken))

    def _turn(self, end: float) -> None:
        while self._ready:
            self._walk(*self._ready.popleft())
        for descriptor, events in self._epoll.poll(_TICK) if self._walking else ():
            self._attend(*self._exchanges[descriptor], events)
        now = time.monotonic()
        if now - self._now >= _TICK:
            self._now = now
            self.over = now > end
            self._tick()
            self._wake_paused()
            self._break_stalled()

    def _close(self, tasks: Iterable[Task]) -> None:
        open_ones = [exchange.connection for exchange, _ in self._exchanges.values()]
        for connection in open_ones + [each for task in tasks for kept in task.idle.values() for each in kept]:
            connection.close()
        self._epoll.close()

    def _walk(self, task: Task, value: Any, broken: Broken | None) -> None:
        try:
            step = task.steps.send(value) if broken is None else task.steps.throw(broken)
        except StopIteration as stop:
            self._end(task, stop.value, None)
        except Broken as failure:
            self._end(task, None, failure)
        else:
            self._take(task, step)

    def _end(self, task: Task, value: Any, broken: Broken | None) -> None:
        self._walking -= 1
        task.ended(value, broken)

    def _take(self, task: Task, step: Request | Together | Pause) -> None:
        if isinstance(step, Request):
            kept = task.idle.get(step.address)
            self._start(task, step, kept.pop() if kept else None)
        elif isinstance(step, Together):
            _FanOut(self, task, step).start()
        else:
            self._paused.append((time.monotonic() + step.seconds, task))

    def _wake_paused(self) -> None:
        due = [task for due_at, task in self._paused if due_at <= self._now]
        if due:
            self._paused = [(due_at, task) for due_at, task in self._paused if due_at > self._now]
            self._ready.extend((task, None, None) for task in due)

    def _break_stalled(self) -> None:
        oldest = self._now - self._patience
        for exchange, task in list(self._exchanges.values()):
            if self.over:
                self._break(exchange, task, "cut at the time limit of the round")
            elif exchange.moved < oldest:
                self._break(exchange, task, f"stood still for {self._patience:g} s")

    def _start(self, task: Task, request: Request, kept: socket.socket | None) -> None:
        """Send on a kept connection, or on a new one: on loopback that is there at once, as a rule."""
        try:
            connection = kept or connect(task.source, request.address)
        except OSError as error:
            self.resume(task, broken=Broken(f"cannot connect: {error.strerror}"))
            return
        exchange = Exchange(request, connection, kept is not None, self._now)
        self._exchanges[connection.fileno()] = exchange, task
        try:
            exchange.send()
        except BlockingIOError:
            pass
        except OSError as error:
            self._break(exchange, task, error.strerror or str(error))
            return
        self._epoll.register(connection.fileno(), exchange.interest)

    def _attend(self, exchange: Exchange, task: Task, events: int) -> None:
        """A reply may come before the request is all sent: a refusal."""
        exchange.moved = self._now
        try:
            if events & ~select.EPOLLOUT:
                if exchange.receive():
                    self._let_go(exchange, task, usable=exchange.reusable)
                    self.resume(task, exchange.reply)
            else:
                exchange.send()
                self._epoll.modify(exchange.connection.fileno(), exchange.interest)
        except BlockingIOError:
            return
        except OSError as error:
            self._break(exchange, task, error.strerror or str(error))
        except Broken as failure:
            self._break(exchange, task, str(failure))

    def _break(self, exchange: Exchange, task: Task, why: str) -> None:
        """A kept connection that the server closed meanwhile is no failure: ask again on a new one, as Go does."""
        self._let_go(exchange, task, usable=False)
        if exchange.reused and exchange.unanswered and not self.over:
            self._start(task, exchange.request, None)
        else:
            self.resume(task, broken=Broken(why))

    def _let_go(self, exchange: Exchange, task: Task, *, usable: bool) -> None:
        connection = exchange.connection
        del self._exchanges[connection.fileno()]
        if usable:
            self._epoll.unregister(connection.fileno())
            exchange.rest()
            task.idle.setdefault(exchange.request.address, []).append(connection)
        else:
            connection.close()


class _FanOut:
    """Several generators of one client at once; the end of the last resumes the generator that asked for them."""

    def __init__(self, loop: Loop, parent: Task, together: Together) -> None:
        self._loop = loop
        self._parent = parent
        self._limit = together.limit
        self._waiting = deque(enumerate(together.steps))
        self._results: list[Any] = [None] * len(together.steps)
        self._left = len(together.steps)
        self._broken: Broken | None = None

    def start(self) -> None:
        if not self._left:
            self._loop.resume(self._parent, [])
        for _ in range(min(self._limit, self._left)):
            self._start_next()

    def _start_next(self) -> None:
        position, steps = self._waiting.popleft()

        def ended(value: Any, broken: Broken | None) -> None:
            self._results[position] = value
            self._broken = self._broken or broken
            self._left -= 1
            if self._waiting:
                self._start_next()
            elif not self._left:
                self._loop.resume(self._parent, self._results, self._broken)

        self._loop.begin(Task(steps, self._parent.source, self._parent.idle, ended))


def _expect_no_failure(_value: Any, broken: Broken | None) -> None:
    if broken is not None:
        raise broken
