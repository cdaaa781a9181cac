"""`python -m benchmarks pull|push|mirror|ROW`: rounds of load, the set-ups taking turns, and a table at the end."""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks import load, report
from benchmarks.client import Habits
from benchmarks.layers import Pattern
from benchmarks.load import Plan, Result
from benchmarks.peers import SET_UPS
from benchmarks.rows import ROWS
from benchmarks.set_up import MirrorSetUp, SetUp
from benchmarks.store import ObjectStore

_UNITS = {"": 1, "KB": 1000, "MB": 1000**2, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3}


Run: TypeAlias = Callable[[str, int, Plan], Result]
"""One round of a set-up, by its name and the round's number."""


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 where anything failed, so that a script notices."""
    options = _options(arguments)
    load.raise_file_limit()
    with (
        tempfile.TemporaryDirectory(prefix="wharfinger-benchmark-", dir=options.folder) as folder,
        ExitStack() as stack,
    ):
        store = ObjectStore(Path(folder) / "store")
        stack.callback(store.stop)
        set_ups = {name: SET_UPS[name](Path(folder) / name, store) for name in options.set_ups}
        for set_up in set_ups.values():
            stack.callback(set_up.stop)
            set_up.start()
        measured = _measure(options, set_ups)
    for clients, rounds in measured.items():
        _print(options, clients, rounds)
    if options.json:
        options.json.write_text(json.dumps(_plain(measured), indent=1))
    return int(any(result.failed for rounds in measured.values() for results in rounds.values() for result in results))


def _measure(options: argparse.Namespace, set_ups: dict[str, SetUp]) -> dict[int, dict[str, list[Result]]]:
    """By number of clients, by set-up, the results of the rounds."""
    pattern = Pattern(options.layers, options.size)
    run = _SCENARIOS[options.scenario](set_ups, pattern)
    measured: dict[int, dict[str, list[Result]]] = {}
    for clients in options.clients:
        plan = _plan(options, clients)
        rounds = measured[clients] = {name: [] for name in set_ups}
        for number in range(1, options.rounds + 1):
            for name in set_ups:
                result = run(name, number, plan)
                rounds[name].append(result)
                print(report.line(name, clients, number, result), flush=True)
    return measured


def _pulls(set_ups: dict[str, SetUp], pattern: Pattern) -> Run:
    image = pattern.image("pulled")
    for set_up in set_ups.values():
        load.fill(set_up, image)
    return lambda name, _number, plan: load.pull_round(set_ups[name], image, plan)


def _pushes(set_ups: dict[str, SetUp], pattern: Pattern) -> Run:
    return lambda name, number, plan: load.push_round(set_ups[name], pattern, f"{name}-{plan.clients}-{number}", plan)


def _mirrored(set_ups: dict[str, SetUp], pattern: Pattern) -> Run:
    def run(name: str, number: int, plan: Plan) -> Result:
        mirror = set_ups[name]
        if not isinstance(mirror, MirrorSetUp):
            raise SystemExit(f"{name} is no mirror")
        return load.mirror_round(mirror, pattern.image(f"{name}-{plan.clients}-{number}"), plan)

    return run


_SCENARIOS = {"pull": _pulls, "push": _pushes, "mirror": _mirrored}


def _plan(options: argparse.Namespace, clients: int) -> Plan:
    habits = Habits(parallel=options.parallel, keep_alive=options.keep_alive, read=options.read)
    return Plan(clients, options.seconds, options.pulls, options.limit, verify=options.verify, habits=habits)


def _print(options: argparse.Namespace, clients: int, rounds: report.Rounds) -> None:
    unit = "pushes" if options.scenario == "push" else "pulls"
    print(f"\n{clients} clients, {options.layers} layers, {options.size:,} bytes, {options.rounds} rounds\n")
    print(report.table(rounds, unit))
    if options.targets:
        lines = report.reached(rounds, options.targets)
    else:
        lines = report.ratios(rounds, options.reference or options.set_ups[-1])
    for line in lines + report.source_reads(rounds) + report.failures(rounds):
        print(line)


def _plain(measured: dict[int, dict[str, list[Result]]]) -> dict[str, Any]:
    """As JSON; the single times are left out, their percentiles are in."""
    return {
        str(clients): {
            name: [
                asdict(result)
                | {"times": None, "rate": result.rate, "p50": result.percentile(0.5), "p99": result.percentile(0.99)}
                for result in results
            ]
            for name, results in rounds.items()
        }
        for clients, rounds in measured.items()
    }


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _size(text: str) -> int:
    """Bytes of 21MB, 64MiB, 4096."""
    match = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", text)
    if match is None or match[2].upper() not in _UNITS:
        raise argparse.ArgumentTypeError(f"{text} is no size such as 21MB or 64MiB")
    return int(match[1]) * _UNITS[match[2].upper()]


def _options(arguments: list[str] | None) -> argparse.Namespace:
    """A row is other defaults for the same options."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.scenario in ROWS:
        row = ROWS[options.scenario]
        parser.set_defaults(
            set_ups=list(row.set_ups), clients=list(row.clients), layers=row.layers, size=row.size, targets=row.targets
        )
        options = parser.parse_args(arguments)
        options.scenario = row.scenario
    missing = {name for target in options.targets for name in target.set_ups} - set(options.set_ups)
    if missing:
        parser.error(f"this row compares with {', '.join(sorted(missing))}")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    parser.set_defaults(targets=())
    add("scenario", choices=[*_SCENARIOS, *ROWS], metavar="SCENARIO", help=f"{', '.join([*_SCENARIOS, *ROWS])}")
    add(
        "--set-ups",
        nargs="+",
        choices=SET_UPS,
        default=["standalone", "distribution"],
        help="in the order of each round",
    )
    add("--reference", choices=SET_UPS, help="what the ratios are to (default: the last of the set-ups)")
    add("--clients", nargs="+", type=_positive, default=[50], metavar="N", help="simulated daemons at once (50)")
    add("--rounds", type=_positive, default=3, metavar="N", help="how often each set-up has its turn (3)")
    add("--seconds", type=float, default=5.0, metavar="S", help="pulls begin for so long in a round (5)")
    add("--pulls", type=_positive, metavar="N", help="so many pulls are a round, instead of --seconds")
    add("--limit", type=float, default=120.0, metavar="S", help="a round is cut after so many seconds (120)")
    add("--layers", type=_positive, default=10, metavar="N", help="of the image (10)")
    add("--size", type=_size, default=21_000_000, metavar="BYTES", help="of the image, as 21MB or 64MiB (21MB)")
    add("--parallel", type=_positive, default=1, metavar="N", help="layers a daemon pulls at once (1; since 1.10: 3)")
    add("--keep-alive", action="store_true", help="keep connections, which daemons did not")
    add("--read", action="store_true", help="copy layers into the client instead of only counting their bytes")
    add("--verify", type=int, default=50, metavar="N", help="compare the bytes of every Nth layer (50; 1: all)")
    add("--json", type=Path, metavar="FILE", help="write what every round measured to this file too")
    add("--folder", type=Path, help="where the servers keep their data meanwhile (that of temporary files)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
