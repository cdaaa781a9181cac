"""One round: so many daemons at one set-up, for so long, and what came of it."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from benchmarks.client import Habits, every
from benchmarks.layers import Image, Pattern
from benchmarks.loop import Loop, Pause
from benchmarks.processes import machine_cpu_seconds
from benchmarks.set_up import MirrorSetUp, SetUp
from benchmarks.wire import Broken
from tests.clients.steps import Steps

IMAGE = "image"
"""The repository that is pulled from."""


@dataclass(frozen=True)
class Plan:
    """A round ends when the pulls begun within `seconds`, or the first `pulls`, have ended; after `limit` at last.

    One layer in `verify` has its bytes compared; 0 means none.
    """

    clients: int
    seconds: float = 5.0
    pulls: int | None = None
    limit: float = 120.0
    patience: float = 60.0
    verify: int = 50
    habits: Habits = field(default_factory=Habits)


@dataclass
class Result:
    """What one round measured: seconds, bytes, and `times` of each pull or push that succeeded.

    `source_reads`, of a mirror, are how often each layer was asked of its source.
    """

    times: list[float] = field(default_factory=list)
    transferred: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    elapsed: float = 0.0
    memory: dict[str, int] = field(default_factory=dict)
    server_cpu: dict[str, float] = field(default_factory=dict)
    client_cpu: float = 0.0
    other_cpu: float = 0.0
    source_reads: list[int] = field(default_factory=list)

    @property
    def done(self) -> int:
        return len(self.times)

    @property
    def failed(self) -> int:
        return self.failures.total()

    @property
    def rate(self) -> float:
        """Pulls or pushes per second."""
        return self.done / self.elapsed

    @property
    def megabytes(self) -> float:
        """Of layers, per second; 1 MB = 1,000,000 bytes."""
        return self.transferred / self.elapsed / 1e6

    def percentile(self, part: float) -> float:
        """Seconds within which this part of the pulls was done; nan where none was."""
        return sorted(self.times)[min(self.done - 1, int(self.done * part))] if self.times else float("nan")


def raise_file_limit() -> None:
    """Let this process, and the servers it starts, hold a connection for each of a thousand clients and more."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def fill(set_up: SetUp, image: Image) -> None:
    """Put the image where the pulls will look for it. Raises Broken."""
    set_up.fill(image, IMAGE)


def pull_round(set_up: SetUp, image: Image, plan: Plan) -> Result:
    """Every client pulls the image again and again."""
    verify = every(plan.verify)

    def pull(_: int) -> Steps:
        return set_up.session(IMAGE, plan.habits).pull(image, verify)

    return _round(set_up, plan, pull, image.size)


def push_round(set_up: SetUp, pattern: Pattern, name: str, plan: Plan) -> Result:
    """Every client pushes once, each an image that nobody has seen, to a repository of its own."""
    images = [pattern.image(f"{name}-{number}") for number in range(plan.clients)]
    for image in images:
        image.prepare()

    def push(number: int) -> Steps:
        return set_up.session(images[number].name, plan.habits).push(images[number])

    once = replace(plan, pulls=plan.clients)
    return _round(set_up, once, push, images[0].size)


def mirror_round(set_up: MirrorSetUp, image: Image, plan: Plan) -> Result:
    """Every client pulls once, all at the same time, an image that only the source has. Raises Broken."""
    set_up.offer(image, image.name)
    verify = every(plan.verify)

    def pull(_: int) -> Steps:
        return set_up.session(image.name, plan.habits).pull(image, verify)

    result = _round(set_up, replace(plan, pulls=plan.clients), pull, image.size)
    result.source_reads = set_up.source_reads(image)
    return result


class _Turns:
    """Says whether a client may begin once more; each may once."""

    def __init__(self, plan: Plan) -> None:
        self._left = plan.pulls
        self._until = time.monotonic() + plan.seconds

    def another(self, first: bool) -> bool:
        if self._left is None:
            return first or time.monotonic() < self._until
        self._left -= 1
        return self._left >= 0


def _round(set_up: SetUp, plan: Plan, work: Callable[[int], Steps], size: int) -> Result:
    result = Result()
    set_up.forget_peaks()
    set_up.sample()
    loop = Loop(plan.patience, set_up.sample)
    turns = _Turns(plan)
    clients = [(_source(number), _client(number, work, turns, loop, result)) for number in range(plan.clients)]
    before, began = _Spent(set_up), time.monotonic()
    loop.run(clients, plan.limit)
    result.elapsed = time.monotonic() - began
    _Spent(set_up).since(before, result)
    result.transferred = result.done * size
    result.memory = set_up.memory()
    return result


def _client(number: int, work: Callable[[int], Steps], turns: _Turns, loop: Loop, result: Result) -> Steps:
    first = True
    while not loop.over and turns.another(first):
        first = False
        began = time.monotonic()
        try:
            yield from work(number)
        except Broken as failure:
            result.failures[str(failure)] += 1
            yield Pause(1.0)
        else:
            result.times.append(time.monotonic() - began)


def _source(number: int) -> str:
    return f"127.0.{1 + number // 250}.{1 + number % 250}"


class _Spent:
    """CPU seconds of the machine, the servers and the clients so far."""

    def __init__(self, set_up: SetUp) -> None:
        self._servers = set_up.cpu_seconds()
        self._clients = time.process_time()
        self._machine = machine_cpu_seconds()

    def since(self, before: _Spent, result: Result) -> None:
        result.server_cpu = {name: seconds - before._servers[name] for name, seconds in self._servers.items()}
        result.client_cpu = self._clients - before._clients
        all_ours = result.client_cpu + sum(result.server_cpu.values())
        result.other_cpu = max(0.0, self._machine - before._machine - all_ours)
