"""Puts what the rounds measured into tables, and the set-ups into proportion."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median

from benchmarks.load import Result
from benchmarks.rows import Target

Rounds = Mapping[str, Sequence[Result]]
"""By set-up, the results of its rounds in order; the same number for each."""


def line(name: str, clients: int, number: int, result: Result) -> str:
    """One round, as it ends."""
    return (
        f"round {number}, {clients} clients, {name}: {result.rate:.2f}/s {result.megabytes:.0f} MB/s "
        f"p50 {result.percentile(0.5):.2f} s p99 {result.percentile(0.99):.2f} s "
        f"{result.done} done {result.failed} failed"
    )


def table(rounds: Rounds, unit: str) -> str:
    """Markdown, a row for each set-up: medians over the rounds, the sum of what was done, the greatest of memory.

    CPU time is in milliseconds for each that was done: of the servers, of the clients, and of whatever else ran.
    """
    header = [
        "set-up",
        f"{unit}/s",
        "MB/s",
        "p50 s",
        "p99 s",
        "done",
        "failed",
        "PSS MiB",
        "CPU ms server",
        "client",
        "other",
    ]
    rows = [header, ["-"] * len(header), *(_row(name, results) for name, results in rounds.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows[1] = ["-" * width for width in widths]
    return "\n".join("| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows)


def ratio(ours: Sequence[Result], theirs: Sequence[Result]) -> float:
    """The median over the rounds of our rate by theirs in the same round; nan where there is none.

    Round by round, because both sides of a round met the same neighbours on the machine.
    """
    of_rounds = [mine.rate / other.rate for mine, other in zip(ours, theirs, strict=True) if other.rate]
    return median(of_rounds) if of_rounds else math.nan


def ratios(rounds: Rounds, reference: str) -> list[str]:
    """A line for each set-up but the reference."""
    theirs = rounds[reference]
    return [f"{name} / {reference}: {ratio(mine, theirs):.2f}" for name, mine in rounds.items() if name != reference]


def reached(rounds: Rounds, targets: Sequence[Target]) -> list[str]:
    """A line for each target: what came of it, and what it should be."""
    return [line for target in targets for line in _reached(rounds, target)]


def source_reads(rounds: Rounds) -> list[str]:
    """A line for each mirror: how often it read each layer of its source."""
    lines = []
    for name, results in rounds.items():
        counts = sorted(count for result in results for count in result.source_reads)
        if counts:
            lines.append(f"{name}: read each layer of the source {counts[0]} to {counts[-1]} times")
    return lines


def failures(rounds: Rounds) -> list[str]:
    """What went wrong and how often, the commonest of each set-up first."""
    lines = []
    for name, results in rounds.items():
        counted = sum((result.failures for result in results), Counter[str]())
        lines += [f"{name}: {count} x {reason}" for reason, count in counted.most_common(10)]
    return lines


def _reached(rounds: Rounds, target: Target) -> Iterator[str]:
    if target.theirs:
        came = ratio(rounds[target.ours], rounds[target.theirs])
        verdict = "reached" if came >= target.at_least else "MISSED"
        yield f"{target.ours} / {target.theirs}: {came:.2f}, to reach {target.at_least}: {verdict}"
    if target.most_memory:
        mebibytes = max(result.memory["registry"] for result in rounds[target.ours]) / 2**20
        verdict = "reached" if mebibytes <= target.most_memory else "MISSED"
        yield f"{target.ours}: {mebibytes:.0f} MiB, at most {target.most_memory}: {verdict}"


def _row(name: str, results: Sequence[Result]) -> list[str]:
    servers = list(results[0].memory)
    return [
        name,
        f"{median(result.rate for result in results):.2f}",
        f"{median(result.megabytes for result in results):.0f}",
        f"{median(result.percentile(0.5) for result in results):.2f}",
        f"{median(result.percentile(0.99) for result in results):.2f}",
        str(sum(result.done for result in results)),
        str(sum(result.failed for result in results)),
        _by_server({server: max(result.memory[server] for result in results) / 2**20 for server in servers}, ".0f"),
        _by_server({server: _each(results, _spent_by(server)) for server in servers}, ".1f"),
        f"{_each(results, lambda result: result.client_cpu):.1f}",
        f"{_each(results, lambda result: result.other_cpu):.1f}",
    ]


def _by_server(numbers: Mapping[str, float], form: str) -> str:
    """The name is left out where there is but one."""
    if len(numbers) == 1:
        return "".join(format(number, form) for number in numbers.values())
    return ", ".join(f"{server} {number:{form}}" for server, number in numbers.items())


def _spent_by(server: str) -> Callable[[Result], float]:
    return lambda result: result.server_cpu[server]


def _each(results: Sequence[Result], seconds: Callable[[Result], float]) -> float:
    """Milliseconds for each pull that was done."""
    return median(1000 * seconds(result) / max(1, result.done) for result in results)
