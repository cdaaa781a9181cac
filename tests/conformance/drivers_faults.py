"""What every driver of a remote store promises when the way there fails: a class to inherit from.

Trouble that passes is not noticed. Trouble that stays ends, after a bounded number of requests, in a failure that names
driver and path and tells no secret. Whatever happens, a path holds a whole content, the old or the new, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from registry_service.storage import factory, retrying
from registry_service.storage.driver import BLOCK, Driver, PathNotFound, StorageFailure, StorageProblem
from tests.conformance.drivers_contract import generated, read, together
from tests.servers.faults import Exchange, Fault, FaultProxy
from tests.servers.store import Store

OLD = b"".join(generated(1, "old"))
NEW = b"".join(generated(1, "new"))


@dataclass(frozen=True)
class Operation:
    """Something asked of a driver; `right` tells of the state, and of what it answered, whether it was done."""

    name: str
    act: Callable[[Driver, bytes], Any]
    right: Callable[[Driver, Any, bytes], bool]
    changes: bool = True


def write(driver: Driver, path: str, content: bytes) -> None:
    with driver.open_writer(path) as writer:
        for start in range(0, len(content), BLOCK):
            writer.write(content[start : start + BLOCK])
        writer.commit()


def contents(driver: Driver) -> dict[str, bytes]:
    """What is at each path that an operation writes, moves or deletes."""
    found = {}
    for path in ("a/old", "a/long", "a/new"):
        with suppress(PathNotFound):
            found[path] = read(driver.open_reader(path))
    return found


OPERATIONS = [
    Operation("get", lambda driver, _: driver.get("a/old"), lambda _, got, __: got == OLD, changes=False),
    Operation("stat", lambda driver, _: driver.stat("a/old").size, lambda _, got, __: got == len(OLD), changes=False),
    Operation("exists", lambda driver, _: driver.exists("a/old"), lambda _, got, __: got is True, changes=False),
    Operation(
        "list", lambda driver, _: sorted(driver.list("a")), lambda _, got, __: got == ["long", "old"], changes=False
    ),
    Operation(
        "read", lambda driver, _: read(driver.open_reader("a/long")), lambda _, got, long: got == long, changes=False
    ),
    Operation("put", lambda driver, _: driver.put("a/old", NEW), lambda direct, _, __: direct.get("a/old") == NEW),
    Operation(
        "create",
        lambda driver, _: driver.create("a/new", NEW),
        lambda direct, got, __: got is True and direct.get("a/new") == NEW,
    ),
    Operation(
        "write",
        lambda driver, long: write(driver, "a/new", long[::-1]),
        lambda direct, _, long: read(direct.open_reader("a/new")) == long[::-1],
    ),
    Operation(
        "move",
        lambda driver, _: driver.move("a/long", "a/old"),
        lambda direct, _, long: read(direct.open_reader("a/old")) == long and not direct.exists("a/long"),
    ),
    Operation("delete", lambda driver, _: driver.delete("a/old"), lambda direct, _, __: not direct.exists("a/old")),
    Operation("delete all", lambda driver, _: driver.delete("a"), lambda direct, _, __: not direct.exists("a")),
]

operations = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


class DriverFaults:
    """Inherit, and give the fixtures `proxy`, `faulty` and `direct`, once for the class.

    proxy     a FaultProxy before the store
    faulty    an empty Store through the proxy, with time-outs of about two seconds and three attempts
    direct    a driver of the same place that knows no proxy
    """

    long_blocks = 24
    """Blocks of a content that this driver writes with several requests."""

    most_requests = 12
    """What one operation may ask of a store that fails everything, of three attempts."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def short_backoff(cls) -> Iterator[None]:
        """Thousands of requests are retried here. Backoff still grows, but from a tenth of what it is in earnest."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(retrying, "BACKOFF_SECONDS", retrying.BACKOFF_SECONDS / 10)
            yield

    @pytest.fixture(scope="class")
    @classmethod
    def driver(cls, faulty: Store) -> Driver:
        return factory.create(faulty.name, faulty.path, faulty.environ)

    @pytest.fixture
    def long(self, direct: Driver, proxy: FaultProxy) -> Iterator[bytes]:
        """The content at `a/long`; at `a/old` is OLD."""
        long = b"".join(generated(self.long_blocks, "long"))
        self.lay_out(direct, contents(direct), long)
        self.left_before = set(self.leftovers())
        yield long
        # What still waits for an answer gets none.
        proxy.close()
        proxy.open()

    def lay_out(self, direct: Driver, found: dict[str, bytes], long: bytes) -> None:
        """Make what is not as it was: whatever fails at once changes nothing, and making takes long."""
        if "a/new" in found:
            direct.delete("a/new")
        if found.get("a/old") != OLD:
            direct.put("a/old", OLD)
        if found.get("a/long") != long:
            write(direct, "a/long", long)

    def leftovers(self) -> list[str]:
        """What unfinished writes left in the store, where contents are not looked for."""
        return []

    def check_whole(self, found: dict[str, bytes], long: bytes) -> None:
        """Nothing is half there."""
        assert {path for path, content in found.items() if content not in (OLD, NEW, long, long[::-1])} == set()

    def check_kept(self, found: dict[str, bytes], long: bytes) -> None:
        """What was to be moved is at one place at least."""
        assert long in (found.get("a/long"), found.get("a/old"))

    def check_said(self, driver: Driver, problem: StorageProblem) -> None:
        assert isinstance(problem, StorageFailure)
        assert problem.message.startswith(f"{driver.name}: storage failed at: a")
        assert problem.reason
        for secret in ("://", "ignature", "Authorization", "127.0.0.1"):
            assert secret not in problem.message

    @operations
    @pytest.mark.parametrize("fault", [Exchange.refuse, Exchange.reset, Exchange.swallow], ids=lambda f: f.__name__)
    def test_any_one_request_may_fail(
        self, driver: Driver, direct: Driver, proxy: FaultProxy, long: bytes, operation: Operation, fault: Fault
    ) -> None:
        """The first, then the second, and so on, until there is none of that number."""
        number = 0
        while True:
            proxy.plan(fault, after=number, times=1)
            answered = operation.act(driver, long)
            proxy_was_met = len(proxy.asked) > number
            proxy.pass_everything()
            assert operation.right(direct, answered, long), f"request {number}"
            assert set(self.leftovers()) <= self.left_before
            if not proxy_was_met:
                return
            if operation.changes:
                self.lay_out(direct, contents(direct), long)
            number += 1

    @operations
    def test_silence_once(
        self, driver: Driver, direct: Driver, proxy: FaultProxy, long: bytes, operation: Operation
    ) -> None:
        proxy.plan(Exchange.hang, times=1)
        answered = operation.act(driver, long)
        proxy.pass_everything()
        assert operation.right(direct, answered, long)

    @operations
    @pytest.mark.parametrize("fault", [Exchange.refuse, Exchange.reset, Exchange.swallow], ids=lambda f: f.__name__)
    def test_failing_for_good(
        self, driver: Driver, direct: Driver, proxy: FaultProxy, long: bytes, operation: Operation, fault: Fault
    ) -> None:
        """From the first request on, then from the second, and so on, until the operation is done before."""
        number = 0
        while True:
            proxy.plan(fault, after=number)
            try:
                operation.act(driver, long)
            except StorageProblem as problem:
                self.check_said(driver, problem)
                assert number < len(proxy.asked) <= number + self.most_requests
            else:
                return
            finally:
                proxy.pass_everything()
            found = contents(direct)
            self.check_whole(found, long)
            if operation.name != "delete all":
                self.check_kept(found, long)
            self.lay_out(direct, found, long)
            number += 1

    def test_silence_for_good(self, driver: Driver, direct: Driver, proxy: FaultProxy, long: bytes) -> None:
        proxy.plan(Exchange.hang)

        def attempt(operation: Operation) -> None:
            with pytest.raises(StorageFailure) as caught:
                operation.act(driver, long)
            self.check_said(driver, caught.value)

        together(len(OPERATIONS), lambda number: attempt(OPERATIONS[number]))
        assert len(proxy.asked) <= len(OPERATIONS) * self.most_requests
        proxy.pass_everything()
        self.check_whole(contents(direct), long)

    def test_store_is_gone_and_comes_back(self, driver: Driver, direct: Driver, proxy: FaultProxy, long: bytes) -> None:
        proxy.close()
        for operation in OPERATIONS:
            with pytest.raises(StorageFailure) as caught:
                operation.act(driver, long)
            self.check_said(driver, caught.value)
        self.check_whole(contents(direct), long)
        proxy.open()
        assert driver.get("a/old") == OLD

    def test_store_goes_while_a_stream_is_written(
        self, driver: Driver, direct: Driver, proxy: FaultProxy, long: bytes
    ) -> None:
        def pour() -> None:
            with driver.open_writer("a/new") as writer:
                for number in range(2 * self.long_blocks):
                    writer.write(long[:BLOCK])
                    if number == self.long_blocks:
                        proxy.close()
                writer.commit()

        with pytest.raises(StorageFailure) as caught:
            pour()
        self.check_said(driver, caught.value)
        assert not direct.exists("a/new")

    @pytest.mark.parametrize("after", [0, 1000, 2 * BLOCK + 5])
    def test_answer_cut_is_read_on(self, driver: Driver, proxy: FaultProxy, long: bytes, after: int) -> None:
        """Each answer brings a piece of the content; together they are all of it."""
        proxy.plan(lambda exchange: exchange.cut_answer(after), times=2)
        assert read(driver.open_reader("a/long", 7)) == long[7:]
        proxy.plan(lambda exchange: exchange.cut_answer(after), times=2)
        assert read(driver.open_reader("a/long", BLOCK - 1, 3 * BLOCK)) == long[BLOCK - 1 :][: 3 * BLOCK]
        assert len(proxy.asked) >= 2

    def test_answers_that_never_come_whole(self, driver: Driver, proxy: FaultProxy, long: bytes) -> None:
        """Whatever was read before the failure was right."""
        got = bytearray()
        proxy.plan(lambda exchange: exchange.cut_answer(3 * BLOCK))
        with driver.open_reader("a/long") as reader:
            blocks = iter(reader)
            for _ in range(3):
                got += next(blocks)
            proxy.plan(lambda exchange: exchange.cut_answer(0))
            with pytest.raises(StorageFailure) as caught:
                got.extend(byte for block in blocks for byte in block)
        self.check_said(driver, caught.value)
        assert long.startswith(got)
        assert len(got) < len(long)
        assert len(proxy.asked) <= self.most_requests

    def test_small_content_cut(self, driver: Driver, proxy: FaultProxy, long: bytes) -> None:
        proxy.plan(lambda exchange: exchange.cut_answer(100), times=1)
        assert driver.get("a/old") == OLD
        proxy.plan(lambda exchange: exchange.cut_answer(0))
        with pytest.raises(StorageFailure) as caught:
            driver.get("a/old")
        self.check_said(driver, caught.value)

    def test_content_replaced_between_two_answers(
        self, driver: Driver, direct: Driver, proxy: FaultProxy, long: bytes
    ) -> None:
        """Never a mixture: the rest of the old, or a failure."""
        proxy.plan(lambda exchange: exchange.cut_answer(2 * BLOCK), times=1)
        got = b""
        with driver.open_reader("a/long") as reader:
            blocks = iter(reader)
            got += next(blocks)
            write(direct, "a/long", long[::-1])
            with suppress(StorageFailure):
                for block in blocks:
                    got += block
        assert long.startswith(got)

    @pytest.mark.parametrize("path", ["a/old", "a/new"])
    def test_request_cut(self, driver: Driver, direct: Driver, proxy: FaultProxy, long: bytes, path: str) -> None:
        """The store sees half a body, once, then always."""
        before = direct.get(path) if direct.exists(path) else None
        proxy.plan(lambda exchange: exchange.cut_request(50_000))
        for act in (lambda: driver.put(path, NEW), lambda: write(driver, path, long)):
            with pytest.raises(StorageFailure) as caught:
                act()
            self.check_said(driver, caught.value)
            assert (direct.get(path) if direct.exists(path) else None) == before
        proxy.plan(lambda exchange: exchange.cut_request(50_000), times=1)
        write(driver, path, long)
        assert read(direct.open_reader(path)) == long

    @operations
    def test_slow_store(
        self, driver: Driver, direct: Driver, proxy: FaultProxy, long: bytes, operation: Operation
    ) -> None:
        proxy.plan(Exchange.delay)
        assert operation.right(direct, operation.act(driver, long), long)
        assert set(self.leftovers()) <= self.left_before

    def test_time_outs_are_about_silence(self, driver: Driver, proxy: FaultProxy, long: bytes) -> None:
        """An answer that comes bit by bit takes longer than any one silence may."""
        proxy.plan(lambda exchange: exchange.trickle(pause=0.3, pieces=10))
        assert read(driver.open_reader("a/long")) == long
        # Nothing was asked a second time. A store may take more than one question to find a content.
        assert len(proxy.asked) == len(set(proxy.asked))

    def test_unfinished_stream_leaves_nothing(self, driver: Driver, direct: Driver, long: bytes) -> None:
        writer = driver.open_writer("a/new")
        writer.write(long)
        writer.cancel()
        with suppress(ConnectionError), driver.open_writer("a/new") as writer:
            writer.write(long)
            raise ConnectionError
        assert set(self.leftovers()) <= self.left_before
        assert not direct.exists("a/new")

    def test_failed_commit_leaves_nothing(self, driver: Driver, direct: Driver, proxy: FaultProxy, long: bytes) -> None:
        """The store refuses writing for a while, then would let itself be tidied."""
        refused = 0

        def refuse_writing(exchange: Exchange) -> None:
            nonlocal refused
            if refused < 3 and exchange.method in ("PUT", "POST"):
                refused += 1
                exchange.refuse()
            exchange.pass_on()

        with driver.open_writer("a/new") as writer:
            writer.write(long)
            proxy.plan(refuse_writing)
            with pytest.raises(StorageFailure):
                writer.commit()
        proxy.pass_everything()
        assert set(self.leftovers()) <= self.left_before
        assert not direct.exists("a/new")

    def test_crowd_on_a_shaky_way(self, driver: Driver, direct: Driver, proxy: FaultProxy, long: bytes) -> None:
        """Every seventh request fails in one way or another; whatever was said to be done is done."""
        faults = [Exchange.refuse, Exchange.reset, Exchange.swallow]
        met = iter(range(1 << 62))

        def shake(exchange: Exchange) -> None:
            number = next(met)
            (faults[number // 7 % 3] if number % 7 == 6 else Exchange.pass_on)(exchange)

        proxy.plan(shake)

        def act(number: int) -> list[str]:
            done = []
            for turn in range(6):
                path = f"b/{number}/{turn}"
                with suppress(StorageFailure):
                    driver.put(f"{path}.x", path.encode())
                    driver.move(f"{path}.x", path)
                    assert driver.get(path) == path.encode()
                    done.append(path)
            return done

        done = [path for paths in together(8, act) for path in paths]
        proxy.pass_everything()
        assert len(done) > 24
        for path in done:
            assert direct.get(path) == path.encode()
            assert not direct.exists(f"{path}.x")
