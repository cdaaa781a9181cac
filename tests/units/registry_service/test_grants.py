"""What a redeemed token leaves behind: how long it lasts, who accepts it, and that nobody can forge one."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from common.agents import Agent
from common.errors import Invalid, NotFound, Unauthenticated, Unavailable
from common.names import ImageId, RepositoryName, Tag
from common.statements import PublicKeys, Statement, StatementKey
from common.tokens import Access, Token
from registry_service.grants import MAX_COOKIE_BYTES, MAX_FINGERPRINTS, TOKENS_AT_ONCE, Credentials, OpenGate, TokenGate
from registry_service.index_client import Standing
from registry_service.storage import paths
from registry_service.storage.memory import Memory
from tests.units.registry_service.graph.store import Image, Store

KEY, OTHER_KEY = "k" * 32, "o" * 32
ACME = RepositoryName("acme", "busybox")
AGENT = Agent()
LISTED, PUBLIC, HIDDEN = (ImageId(digit * 64) for digit in "123")


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class CountingIndex:
    """An index in this process: it knows a set of good tokens, and counts what it is asked; `store` is of its
    registries.
    """

    def __init__(self) -> None:
        self.store = Store(Memory())
        self.good: dict[str, list[str]] = {}
        self.standings: dict[str, Standing] = {}
        self.public: set[str] = set()
        self.identities: set[str] = set()
        self.is_down = False
        self.keys = [StatementKey("i" * 32)]
        self.clock, self.ahead = Clock(), 0.0
        self.asked: list[str] = []
        self.stores: list[str | None] = []
        self.hold = threading.Event()
        self.hold.set()

    def images(self, repository, authorization, store):
        self._answer(f"images {repository}")
        self.stores.append(store)
        if authorization not in self.good:
            raise Unauthenticated("Requires authorization")
        return {image: self.standings.get(image, Standing.SHARED) for image in self.good[authorization]}

    def identify(self, tokens):
        self._answer("identify")
        if not {token.signature for token in tokens} & self.identities:
            raise Unauthenticated("Requires authorization")

    def may_read(self, repository, image, authorization, store):
        self._answer(f"access {image[:2]}")
        self.stores.append(store)
        return image in self.public

    def token_keys(self, authorization):
        self._answer("keys")
        return PublicKeys(*(key.public for key in self.keys)), self.clock() + self.ahead

    def consume_delete(self, repository, authorization):
        self._answer("auth")
        del self.good[authorization]

    def _answer(self, question):
        self.asked.append(question)
        self.hold.wait(5)
        if self.is_down:
            raise Unavailable("The index cannot be reached; try again later")


@pytest.fixture
def index():
    return CountingIndex()


@pytest.fixture
def clock(index):
    return index.clock


def gate_of(index, clock, *keys, store=None):
    return TokenGate(index, (store or index.store).holdings, keys or (KEY,), 60, clock)


def bearer(index, access=Access.READ, repository=ACME, images=(LISTED,), signature="s1"):
    header = f"Token {Token(signature, repository, access)}"
    index.good[header] = list(images)
    return Credentials(header)


def test_who_bears_a_token_of_whatever_kind_is_somebody(index, clock):
    """One that opens nothing, as for who logs in; the index is asked once, and about nothing else."""
    gate, reads = gate_of(index, clock), bearer(index)
    index.identities = {"s1"}
    gate.identify(reads)
    for sent in ("", "Token ", bearer(index, signature="s2").authorization):
        with pytest.raises(Unauthenticated):
            gate.identify(Credentials(sent))
    assert index.asked == ["identify"] * 2


def test_one_pull_asks_the_index_once(index, clock):
    gate, pull = gate_of(index, clock), bearer(index)
    gate.admit(pull, Access.READ, ACME)
    for _ in range(40):
        gate.admit(pull, Access.READ)
        gate.readable(pull, LISTED)
    assert index.asked == ["images acme/busybox"]


def test_a_revoked_token_stops_working_within_the_time_even_when_used_all_along(index, clock):
    gate, pull = gate_of(index, clock), bearer(index)
    gate.admit(pull, Access.READ)
    index.good.clear()
    clock.now += 59
    gate.admit(pull, Access.READ)
    clock.now += 1
    with pytest.raises(Unauthenticated):
        gate.admit(pull, Access.READ)


def test_another_process_with_the_same_key_accepts_the_cookie_without_asking(index, clock):
    pull = bearer(index)
    cookie = gate_of(index, clock).admit(pull, Access.READ)
    with_cookie = Credentials(pull.authorization, cookie)
    elsewhere = gate_of(index, clock)
    assert elsewhere.admit(with_cookie, Access.READ, ACME) is None
    elsewhere.readable(with_cookie, LISTED)
    assert len(index.asked) == 1


def test_a_cookie_does_not_outlive_the_answer_it_holds(index, clock):
    pull = bearer(index)
    cookie = gate_of(index, clock).admit(pull, Access.READ)
    index.good.clear()
    clock.now += 60
    with pytest.raises(Unauthenticated):
        gate_of(index, clock).admit(Credentials(pull.authorization, cookie), Access.READ)


def test_keys_rotate_and_foreign_ones_do_not_count(index, clock):
    pull = bearer(index)
    cookie = gate_of(index, clock, OTHER_KEY).admit(pull, Access.READ)
    with_cookie = Credentials(pull.authorization, cookie)
    gate_of(index, clock, KEY, OTHER_KEY).admit(with_cookie, Access.READ)
    assert len(index.asked) == 1
    gate_of(index, clock, KEY).admit(with_cookie, Access.READ)
    assert len(index.asked) == 2


@pytest.mark.parametrize("spoil", [lambda cookie: "x" + cookie[1:], lambda cookie: "", lambda cookie: "a.b", str.upper])
def test_a_spoilt_cookie_is_no_cookie(index, clock, spoil):
    pull = bearer(index)
    cookie = gate_of(index, clock).admit(pull, Access.READ)
    gate_of(index, clock).admit(Credentials(pull.authorization, spoil(cookie)), Access.READ)
    assert len(index.asked) == 2


def test_a_cookie_works_with_its_own_token_only(index, clock):
    cookie = gate_of(index, clock).admit(bearer(index), Access.READ)
    stranger = f"Token {Token('forged', ACME, Access.READ)}"
    with pytest.raises(Unauthenticated):
        gate_of(index, clock).admit(Credentials(stranger, cookie), Access.READ)
    with pytest.raises(Unauthenticated):
        gate_of(index, clock).admit(Credentials(None, cookie), Access.READ)


@pytest.mark.parametrize(
    ("held", "needed", "passes"),
    [
        (Access.READ, Access.READ, True),
        (Access.READ, Access.WRITE, False),
        (Access.READ, Access.DELETE, False),
        (Access.WRITE, Access.READ, True),
        (Access.WRITE, Access.WRITE, True),
        (Access.WRITE, Access.DELETE, False),
        (Access.DELETE, Access.READ, True),
        (Access.DELETE, Access.WRITE, False),
        (Access.DELETE, Access.DELETE, True),
    ],
)
def test_access(index, clock, held, needed, passes):
    gate, who = gate_of(index, clock), bearer(index, held)
    if passes:
        gate.admit(who, needed, ACME)
    else:
        with pytest.raises(Unauthenticated):
            gate.admit(who, needed, ACME)


def test_a_token_opens_its_own_repository_only(index, clock):
    with pytest.raises(Unauthenticated):
        gate_of(index, clock).admit(bearer(index), Access.READ, RepositoryName("acme", "other"))


@pytest.mark.parametrize("header", [None, "", "Token ", "Token", "Basic Og==", "Token signature=x", "Bearer x"])
def test_nobody_is_let_in_without_a_token(index, clock, header):
    with pytest.raises(Unauthenticated):
        gate_of(index, clock).admit(Credentials(header), Access.READ)
    assert index.asked == []


@pytest.mark.parametrize("spelling", ["Token {}", "token {}", "Token Token {}", "TOKEN  {}"])
def test_every_spelling_of_the_scheme_is_one_token(index, clock, spelling):
    gate, token = gate_of(index, clock), str(Token("s1", ACME, Access.READ))
    bearer(index)
    gate.readable(Credentials(spelling.format(token)), LISTED)


def test_the_index_is_asked_about_one_token_at_a_time_and_the_first_good_one_counts(index, clock):
    """Asked with the whole header, it would answer for whichever token in it is good."""
    forged = str(Token("forged", ACME, Access.WRITE))
    good = str(bearer(index).authorization)
    for header in (f"Token {forged},{good}", f"{good},{forged}"):
        gate = gate_of(index, clock)
        gate.admit(Credentials(header), Access.READ)
        with pytest.raises(Unauthenticated):
            gate.admit(Credentials(header), Access.WRITE)


def test_what_a_request_is_about_is_the_good_token_s_repository_alone(index, clock):
    """A mirror fetches by it with a credential of its own: nobody may name a repository that is not vouched for."""
    foreign = str(Token("forged", RepositoryName("others", "secret"), Access.READ))
    good = str(bearer(index).authorization)
    for header in (f"Token {foreign},{good}", f"{good},{foreign}"):
        assert list(gate_of(index, clock).repositories(Credentials(header), Access.READ)) == [ACME]
    with pytest.raises(Unauthenticated):
        gate_of(index, clock).repositories(Credentials(f"Token {foreign}"), Access.READ)


def test_where_nobody_vouches_every_named_repository_counts_up_to_a_few():
    """A mirror may ask a source for each."""
    header = f"Token {Token('any', ACME, Access.READ)},{Token('any', RepositoryName('b', 'c'), Access.READ)}"
    gate = OpenGate(Store(Memory()).holdings)
    assert list(gate.repositories(Credentials(header), Access.READ)) == [ACME, RepositoryName("b", "c")]
    assert list(gate.repositories(Credentials(None), Access.READ)) == []
    many = ",".join(str(Token("any", RepositoryName("b", f"r{number}"), Access.READ)) for number in range(300))
    assert len(gate.repositories(Credentials(f"Token {many}"), Access.READ)) == TOKENS_AT_ONCE


def test_images_of_public_repositories_are_asked_for_once_and_hidden_ones_every_time(index, clock):
    gate, pull = gate_of(index, clock), bearer(index)
    index.public.add(PUBLIC)
    for _ in range(3):
        gate.readable(pull, PUBLIC)
    assert index.asked.count("access 22") == 1
    for _ in range(2):
        with pytest.raises(NotFound, match="Image not found"):
            gate.readable(pull, HIDDEN)
    assert index.asked.count("access 33") == 2


def test_what_is_hidden_may_neither_be_tagged_nor_built_upon(index, clock):
    gate, push = gate_of(index, clock), bearer(index, Access.WRITE)
    index.public.add(PUBLIC)
    for image in (LISTED, PUBLIC):
        assert gate.usable(push, image) == image
    with pytest.raises(NotFound, match="Image not found"):
        gate.usable(push, HIDDEN)


@pytest.mark.parametrize("standing", [Standing.SHARED, Standing.APART])
def test_the_index_does_not_say_which_image_of_an_id_a_mirrors_copy_has(index, clock, standing):
    """Its word is of the source's store: here the shared image of the id may be a stranger's."""
    store, image = Store(Memory()), Image("base")
    store.add(image)
    store.driver.put(paths.mirrored(ACME), b'{"compared": 1, "marked": true}')
    gate, pull = gate_of(index, clock, store=store), bearer(index, images=(image.id,))
    index.standings[image.id] = standing
    index.public.add(image.id)
    with pytest.raises(NotFound, match="Image not found"):
        gate.usable(pull, image.id)
    store.holdings.keep(ACME, image.id, [image.payload], is_fetched=True)
    assert gate.usable(pull, image.id) == image.id


class Mirror:
    """Of one repository, whose source offers one image."""

    def __init__(self, repository=ACME):
        self.repository = repository

    def is_mirrored(self, repository):
        return repository == self.repository

    def is_offered(self, repository, image):
        return (repository, image) == (self.repository, HIDDEN)


@pytest.mark.parametrize("standing", [Standing.SHARED, Standing.LENT])
def test_what_an_index_says_of_its_registries_opens_nothing_that_a_mirror_has_under_the_id(index, clock, standing):
    store = Store(Memory())
    gate = TokenGate(index, store.holdings, [KEY], 60, clock, mirror=Mirror(RepositoryName("b", "c")))
    pull = bearer(index)
    index.standings[LISTED] = standing
    index.public |= {LISTED, PUBLIC}
    for image in (LISTED, PUBLIC):
        for ask in (gate.readable, gate.usable):
            with pytest.raises(NotFound, match="Image not found"):
                ask(pull, image)
    store.holdings.keep(ACME, LISTED, [])
    assert gate.readable(pull, LISTED) == LISTED


def test_a_mirror_reads_for_a_copy_what_its_source_offers_and_lets_nobody_use_it(index, clock):
    store = Store(Memory())
    gate = TokenGate(index, store.holdings, [KEY], 60, clock, mirror=Mirror())
    pull = bearer(index)
    assert gate.readable(pull, HIDDEN) == HIDDEN
    with pytest.raises(NotFound, match="Image not found"):
        gate.usable(pull, HIDDEN)


@pytest.mark.parametrize("access", [Access.READ, Access.WRITE])
def test_what_was_only_announced_is_not_there(index, clock, access):
    gate, who = gate_of(index, clock), bearer(index, access)
    index.standings[LISTED] = Standing.ANNOUNCED
    with pytest.raises(NotFound, match="Image not found"):
        gate.readable(who, LISTED)


def test_a_pusher_is_told_only_of_what_the_repository_holds_or_an_official_one_lends(index, clock):
    """A stranger's public image of the same id may have any content, and daemons skip what is there."""
    gate, push, pull = gate_of(index, clock), bearer(index, Access.WRITE), bearer(index, signature="s2")
    index.public.add(PUBLIC)
    assert gate.readable(pull, PUBLIC) == PUBLIC
    with pytest.raises(NotFound, match="Image not found"):
        gate.readable(push, PUBLIC)
    index.standings[LISTED] = Standing.LENT
    assert gate.readable(push, LISTED) == LISTED


def test_what_is_kept_apart_is_read_there_by_its_repository_alone(index, clock):
    gate, pull = gate_of(index, clock), bearer(index)
    other = bearer(index, repository=RepositoryName("acme", "other"), images=(), signature="s2")
    index.standings[LISTED] = Standing.APART
    assert paths.image(gate.readable(pull, LISTED)) == f"_apart/acme/busybox/{LISTED}"
    index.public.add(LISTED)
    assert paths.image(gate.readable(other, LISTED)) == f"images/{LISTED}"


def test_a_registry_of_another_store_takes_no_cookies_word_for_what_is_held(index, clock):
    """It shares the key, and asks the index about its own store."""
    pull = bearer(index)
    store, other = Store(Memory()), Store(Memory())
    cookie = gate_of(index, clock, store=store).admit(pull, Access.READ)
    index.standings[LISTED] = Standing.ANNOUNCED
    with pytest.raises(NotFound, match="Image not found"):
        gate_of(index, clock, store=other).readable(Credentials(pull.authorization, cookie), LISTED)
    assert gate_of(index, clock, store=store).readable(Credentials(pull.authorization, cookie), LISTED) == LISTED
    assert index.stores == [store.holdings.store.tell(), other.holdings.store.tell(), other.holdings.store.tell()]


def test_a_mirror_asks_about_every_store(index, clock):
    gate = TokenGate(index, Store(Memory()).holdings, [KEY], 60, clock, mirror=Mirror())
    gate.admit(bearer(index), Access.READ)
    assert index.stores == ["*"]


def test_what_came_to_be_kept_apart_after_the_grant_opens_no_shared_image(index, clock):
    """The index says that the repository holds it, and not that it is the image which others share."""
    gate, pull = gate_of(index, clock), bearer(index)
    gate.admit(pull, Access.READ)
    index.good[pull.authorization].append(HIDDEN)
    index.standings[HIDDEN] = Standing.APART
    index.public.add(HIDDEN)
    with pytest.raises(NotFound, match="Image not found"):
        gate.usable(pull, HIDDEN)
    assert paths.image(gate.readable(pull, HIDDEN)) == f"_apart/acme/busybox/{HIDDEN}"


def test_what_the_index_does_not_know_yet_is_looked_up_in_the_store(index, clock):
    store = Store(Memory())
    gate, push = gate_of(index, clock, store=store), bearer(index, Access.WRITE, images=())
    base, child = Image("base"), Image("child", Image("base"))
    for image in (base, child):
        store.add(image)
        with pytest.raises(NotFound):
            gate.readable(push, image.id)
    gate.holder(push).keep(base.id, [base.payload])
    assert gate.readable(push, base.id) == base.id
    store.tags.set(ACME, Tag("latest"), child.id, AGENT)
    assert gate.readable(push, child.id) == child.id
    assert index.asked == ["images acme/busybox"]


def test_only_listed_images_are_pushed_and_a_list_that_grew_is_asked_for_again(index, clock):
    gate, push = gate_of(index, clock), bearer(index, Access.WRITE)
    gate.require_announced(push, LISTED)
    with pytest.raises(Invalid, match="This image does not belong to the repository"):
        gate.require_announced(push, HIDDEN)
    index.good[push.authorization].append(HIDDEN)
    gate.require_announced(push, HIDDEN)


def test_an_index_that_is_down_opens_nothing_but_what_was_granted_lasts(index, clock):
    gate, pull = gate_of(index, clock), bearer(index)
    index.is_down = True
    with pytest.raises(Unavailable):
        gate.admit(pull, Access.READ)
    index.is_down = False
    gate.admit(pull, Access.READ)
    index.is_down = True
    gate.readable(pull, LISTED)
    with pytest.raises(Unavailable):
        gate.readable(pull, HIDDEN)


def test_parallel_requests_of_one_pull_share_one_question(index, clock):
    gate, pull = gate_of(index, clock), bearer(index)
    index.hold.clear()
    results: list[str | None] = []
    threads = [threading.Thread(target=lambda: results.append(gate.admit(pull, Access.READ))) for _ in range(8)]
    for thread in threads:
        thread.start()
    while len(index.asked) == 0:
        pass
    index.hold.set()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert len(index.asked) <= 2


def test_a_delete_token_is_used_up(index, clock):
    gate, who = gate_of(index, clock), bearer(index, Access.DELETE)
    gate.consume_delete(who, ACME)
    with pytest.raises(Unauthenticated):
        gate.consume_delete(who, ACME)


def test_a_hundred_and_fifty_images_fit_a_cookie_and_more_make_none(index, clock):
    images = [f"{number:064x}" for number in range(2000)]
    cookie = gate_of(index, clock).admit(bearer(index, images=images[:150]), Access.READ)
    assert cookie is not None
    assert len(cookie) <= MAX_COOKIE_BYTES
    pull = bearer(index, images=images, signature="s2")
    gate = gate_of(index, clock)
    assert gate.admit(pull, Access.READ) is None
    gate.readable(pull, ImageId(images[-1]))


def test_grants_of_long_lists_push_each_other_out(index, clock):
    """Tokens cost their bearer nothing; what a worker remembers of them is bounded by what they list."""
    gate, images = gate_of(index, clock), [f"{number:064x}" for number in range(MAX_FINGERPRINTS // 2)]
    pulls = [bearer(index, images=images, signature=signature) for signature in ("s1", "s2", "s3")]
    for pull in (*pulls, pulls[0]):
        gate.readable(pull, ImageId(images[-1]))
    assert len(index.asked) == len(pulls) + 1


def test_a_grant_too_long_to_keep_still_lets_in(index, clock):
    gate, images = gate_of(index, clock), [f"{number:064x}" for number in range(MAX_FINGERPRINTS + 1)]
    gate.readable(bearer(index, images=images), ImageId(images[-1]))


# --- tokens that state themselves what they are for -----------------------------------------------------------------


def stated(index, *, images=(LISTED,), age=0.0, lasts=3600.0, key=None, repository=ACME, nonce=b"n"):
    """What a token for reading of this age is sent as, its list told by a digest of these images."""
    issued = index.clock() + index.ahead - age
    statement = Statement(
        repository=repository,
        issued_at=int(issued * 1e6),
        expires_at=int((issued + lasts) * 1e6),
        repository_id=1,
        is_anonymous=False,
        is_public=False,
        listing="".join(images).encode().ljust(16)[:16],
        nonce=nonce.ljust(8),
    )
    header = f"Token {(key or index.keys[0]).sign(statement)}"
    index.good[header] = list(images)
    return Credentials(header)


def test_the_index_is_asked_once_for_all_tokens_that_state_the_same_list(index, clock):
    gate = gate_of(index, clock)
    for number in range(20):
        pull = stated(index, nonce=b"%d" % number)
        assert gate.admit(pull, Access.READ, ACME) is None
        assert gate.readable(pull, LISTED) == LISTED
    assert index.asked == ["keys", "images acme/busybox"]
    newer = stated(index, images=(PUBLIC, LISTED))
    assert gate.readable(newer, PUBLIC) == PUBLIC
    assert index.asked[2:] == ["images acme/busybox"]


def test_a_token_is_asked_about_once_its_statement_is_as_old_as_an_answer_may_be(index, clock):
    gate, pull = gate_of(index, clock), stated(index, age=30)
    gate.readable(pull, LISTED)
    index.good.clear()
    clock.now += 29
    gate.readable(pull, LISTED)
    clock.now += 1
    with pytest.raises(Unauthenticated):
        gate.admit(pull, Access.READ)
    with pytest.raises(Unauthenticated):
        gate_of(index, clock).admit(pull, Access.READ)


def test_a_statement_ends_with_its_token(index, clock):
    gate, pull = gate_of(index, clock), stated(index, lasts=10)
    gate.admit(pull, Access.READ)
    index.good.clear()
    clock.now += 10
    with pytest.raises(Unauthenticated):
        gate.admit(pull, Access.READ)


@pytest.mark.parametrize("ahead", [-1000.0, -45.0, 45.0, 1000.0])
def test_clocks_that_differ_make_no_token_live_longer(index, clock, ahead):
    index.ahead = ahead
    gate, pull = gate_of(index, clock), stated(index, age=20)
    gate.admit(pull, Access.READ)
    index.good.clear()
    clock.now += 39
    gate.admit(pull, Access.READ)
    clock.now += 1
    with pytest.raises(Unauthenticated):
        gate.admit(pull, Access.READ)


def test_a_clock_that_is_set_forward_makes_no_token_live_longer(index, clock):
    gate = gate_of(index, clock)
    gate.admit(stated(index), Access.READ)
    index.ahead = 3600
    pull = stated(index, nonce=b"later")
    gate.admit(pull, Access.READ)
    index.good.clear()
    clock.now += 60
    with pytest.raises(Unauthenticated):
        gate.admit(pull, Access.READ)


def test_a_key_that_the_index_gives_up_ends(index, clock):
    gate, old = gate_of(index, clock), index.keys[0]
    gate.admit(stated(index), Access.READ)
    index.keys = [StatementKey("j" * 32)]
    clock.now += 60
    index.good.clear()
    forged = stated(index, key=old, nonce=b"other")
    index.good.clear()
    with pytest.raises(Unauthenticated):
        gate.admit(forged, Access.READ)


def test_a_stranger_with_a_key_of_his_own_is_not_believed(index, clock):
    forged = stated(index, key=StatementKey("s" * 32))
    index.good.clear()
    with pytest.raises(Unauthenticated):
        gate_of(index, clock).admit(forged, Access.READ)


def test_whoever_waited_with_a_revoked_token_is_asked_about_alone(index, clock):
    """The first token of a list has been revoked; those that wait for the same answer have not."""
    gate, bad, good = gate_of(index, clock), stated(index, nonce=b"bad"), stated(index, nonce=b"good")
    gate.admit(stated(index, repository=RepositoryName("acme", "other")), Access.READ)
    del index.good[bad.authorization]
    index.hold.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(gate.admit, bad, Access.READ)
        wait_until(lambda: index.asked[-1] == "images acme/busybox")
        second = pool.submit(gate.admit, good, Access.READ)
        time.sleep(0.05)
        index.hold.set()
        with pytest.raises(Unauthenticated):
            first.result(10)
        assert second.result(10) is None


def test_an_index_that_tells_no_keys_is_asked_about_each_token(index, clock):
    index.keys = []
    gate = gate_of(index, clock)
    for number in range(3):
        pull = stated(index, nonce=b"%d" % number, key=StatementKey("i" * 32))
        assert gate.admit(pull, Access.READ) is not None
    assert index.asked == ["keys", *["images acme/busybox"] * 3]


def wait_until(holds):
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)
