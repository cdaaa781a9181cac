"""Processes that create one path, scheduled step by step, with a store of steps and a clock that stands unless told.

A step is one operation of the store. Between any two, another process may run, or be killed, or so much time pass that
candidates count as dead. `Run` plays one schedule; `explore` plays all there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from greenlet import greenlet

from registry_service.storage.driver import PathNotFound, StorageFailure
from registry_service.storage.exclusive_create import CandidateStore, ExclusiveCreate

LIFETIME = 10.0
PATIENCE = 4 * LIFETIME
PATH = "claim"

Choose = Callable[[int], int]
"""Of so many options, which: its number."""


class Process(CandidateStore):
    """One creator, and the store as it sees it."""

    def __init__(self, run: Run, number: int, ranks: Callable[[int, int], int]) -> None:
        self._run = run
        self._number = number
        self._ranks = ranks
        self._turn = 0
        self.history: list[Any] = []
        self.outcome: bool | str | None = None
        self.sleeps = False
        protocol = ExclusiveCreate(
            self, lifetime_seconds=LIFETIME, patience_seconds=PATIENCE, clock=lambda: run.time, sleep=self._sleep
        )
        self.greenlet = greenlet(lambda: self._create(protocol), run.scheduler)

    def _create(self, protocol: ExclusiveCreate) -> None:
        try:
            self.outcome = protocol.create(PATH, str(self._number).encode())
        except StorageFailure:
            self.outcome = "failed"

    def _step(self, operation: Callable[[], Any]) -> Any:
        self._run.scheduler.switch()
        try:
            result = operation()
        except PathNotFound:
            self.history.append("not found")
            raise
        self.history.append(tuple(result) if isinstance(result, list) else result)
        return result

    def _sleep(self, _seconds: float) -> None:
        self.sleeps = True
        self._run.scheduler.switch()

    def exists(self, path: str) -> bool:
        return bool(self._step(lambda: self._run.content is not None))

    def write(self, path: str, content: bytes) -> bool:
        """Two steps, between which everything may happen."""
        if self.exists(path):
            return False
        self._step(lambda: self._run.put(content))
        return True

    def enter(self, path: str) -> str:
        self._turn += 1
        name = f"{self._ranks(self._number, self._turn)}-{self._number}-{self._turn}"
        return str(self._step(lambda: self._run.enter(name)))

    def standing(self, path: str) -> Mapping[str, float | None]:
        return dict.fromkeys(self._step(lambda: sorted(self._run.candidates)))

    def entered_at(self, path: str, candidate: str) -> float:
        def look() -> float:
            if candidate not in self._run.candidates:
                raise PathNotFound(candidate)
            return self._run.candidates[candidate]

        return float(self._step(look))

    def withdraw(self, path: str, candidate: str) -> None:
        self._step(lambda: self._run.candidates.pop(candidate, None))


class Run:
    """One schedule: `choose` decides at each step who goes on, is killed, or that time passes."""

    def __init__(self, processes: int, ranks: Callable[[int, int], int], *, kills: int = 0, lapses: int = 0) -> None:
        self.time = 0.0
        self.content: bytes | None = None
        self.candidates: dict[str, float] = {}
        self.kills = kills
        self.lapses = lapses
        self.scheduler = greenlet.getcurrent()
        self.processes = [Process(self, number, ranks) for number in range(processes)]
        for process in self.processes:
            process.greenlet.switch()

    def put(self, content: bytes) -> bool:
        self.content = content
        return True

    def enter(self, name: str) -> str:
        self.candidates[name] = self.time
        return name

    def play(self, choose: Choose, is_known: Callable[[Run], bool] = lambda _: False) -> bool:
        """To its end, or to a state that is known; whether to its end."""
        while running := [process for process in self.processes if not process.greenlet.dead]:
            if is_known(self):
                for process in running:
                    process.greenlet.throw()
                return False
            awake = [process for process in running if not process.sleeps]
            if not awake:
                self.time += 1
                for process in running:
                    process.sleeps = False
                awake = running
            options = [*awake, *(("kill", process) for process in running if self.kills), *["lapse"][: self.lapses]]
            self._act(options[choose(len(options)) if len(options) > 1 else 0], running)
        return True

    def _act(self, option: Any, running: list[Process]) -> None:
        if option == "lapse":
            self.lapses -= 1
            self.time += LIFETIME + 1
        elif isinstance(option, tuple):
            self.kills -= 1
            option[1].outcome = "killed"
            option[1].greenlet.throw()
        else:
            before = self.content, dict(self.candidates)
            option.greenlet.switch()
            if before != (self.content, self.candidates):
                # Whoever polls sees something new.
                for process in running:
                    process.sleeps = process.sleeps and process is option

    def state(self) -> Any:
        """All that what may happen next depends on."""
        each = tuple((process.outcome, process.sleeps, *process.history) for process in self.processes)
        candidates = tuple(sorted(self.candidates.items()))
        return self.content, candidates, self.time, self.kills, self.lapses, each

    def outcomes(self) -> list[bool | str | None]:
        return [process.outcome for process in self.processes]


def explore(make: Callable[[], Run]) -> Iterator[Run]:
    """Every run that ends in a way of its own: depth first, and no further from a state that was reached before."""
    known: set[Any] = set()
    schedules: list[list[int]] = [[]]
    while schedules:
        schedule = schedules.pop()
        taken: list[int] = []
        widths: list[int] = []

        def choose(options: int, schedule: list[int] = schedule, taken: list[int] = taken, widths: Any = widths) -> int:
            taken.append(schedule[len(taken)] if len(taken) < len(schedule) else 0)
            widths.append(options)
            return taken[-1]

        def is_known(run: Run, schedule: list[int] = schedule, taken: list[int] = taken) -> bool:
            state = run.state()
            if len(taken) < len(schedule) or state not in known:
                known.add(state)
                return False
            return True

        run = make()
        ended = run.play(choose, is_known)
        for place in range(len(schedule), len(taken)):
            schedules += [[*taken[:place], other] for other in range(1, widths[place])]
        if ended:
            yield run
