"""One index, registries with stores of their own: what is held in one store is no right to what another has of its id.

The registries share their secret keys, so that each takes the other's cookies for signed.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from common.names import RepositoryName
from index_service.repositories.endpoints import Endpoints
from tests.attacks.test_possession import announce, daemon, private, push_by_hand, read, tagged, trojan, upload
from tests.attacks.test_possession_table import pulling
from tests.clients.images import Image, make_chain
from tests.clients.wire import Answer, call
from tests.journeys.test_generations import same_bytes
from tests.servers.process import eventually, free_port
from tests.servers.services import ADMIN, Account, Service, running, sign_up, start_index, start_registry
from tests.servers.setups import ALICE, MALLORY, SetUp


@dataclass(frozen=True)
class Site:
    """An index and its two registries: repositories are on the one or the other by their names."""

    index: Service
    registries: tuple[Service, Service]

    def at(self, place: int) -> SetUp:
        registry = self.registries[place]
        return SetUp(f"registry {place}", self.index.target, registry.target, registry, self.index)

    def name(self, place: int, owner: str) -> str:
        """A new name whose repository will be at one of the registries."""
        addresses = tuple(f"127.0.0.1:{registry.port}" for registry in self.registries)
        while True:
            name = f"{owner}/app-{secrets.token_hex(4)}"
            if Endpoints(addresses).choose(RepositoryName.parse(name)) == addresses[place]:
                return name

    def push(self, place: int, account: Account, *chain: Image, owner: str = "", hides: bool = False) -> str:
        """Push, and wait until the index has read what is held."""
        name = self.name(place, owner or account.name)
        push_by_hand(self.at(place), account, name, chain)
        token = pulling(self.at(place), account, name)
        line = f"GET /v1/repositories/{name}/layer/{chain[-1].id}/access"
        # As a registry asks that takes part in all stores.
        asking = token | {"X-Wharfinger-Store": "*"}
        eventually(
            lambda: call(self.index.target, line, asking).json() == {"access": True}, lambda: f"{name} is never read"
        )
        if hides:
            private(self.at(place), name)
        return name


@contextmanager
def started(folder: Path, *, is_one_store: bool) -> Iterator[Site]:
    ports, keys = (free_port(), free_port()), secrets.token_hex(32)
    index = start_index(folder / "index", [f"127.0.0.1:{port}" for port in ports])
    with running(index):
        for account in (ALICE, MALLORY):
            sign_up(index.target, account)
        stores = [folder / ("store" if is_one_store else f"store-{port}") for port in ports]
        first, second = (
            start_registry(folder / str(port), index.url, port, secret_keys=keys, storage_path=str(store))
            for port, store in zip(ports, stores, strict=True)
        )
        with running(first, second):
            yield Site(index, (first, second))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with started(tmp_path_factory.mktemp("stores"), is_one_store=False) as site:
        yield site


Token = dict[str, str]


def of_another_repository_here(site: Site, squatted: str) -> Token:
    """A public repository elsewhere holds the id; the index tells this registry so."""
    own = site.name(1, MALLORY.name)
    push_by_hand(site.at(1), MALLORY, own, make_chain(1))
    return pulling(site.at(1), MALLORY, own)


def of_the_squatted_repository(site: Site, squatted: str) -> Token:
    return pulling(site.at(0), MALLORY, squatted)


def with_the_other_registrys_cookie(site: Site, squatted: str) -> Token:
    """Of a token that writes: what one for reading states is read without a cookie."""
    token = announce(site.at(0), MALLORY, squatted)
    answer = call(site.registries[0].target, f"GET /v1/repositories/{squatted}/tags", token)
    cookie, _, _ = (answer.header("Set-Cookie") or "").partition(";")
    assert cookie.startswith("grant=")
    return token | {"Cookie": cookie}


def to_write(site: Site, squatted: str) -> Token:
    return announce(site.at(0), MALLORY, squatted)


WAYS = (of_another_repository_here, of_the_squatted_repository, with_the_other_registrys_cookie, to_write)


@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_what_a_stranger_holds_elsewhere_opens_nothing_here(site: Site, moment: str) -> None:
    """Before, during or after its owner's push the stranger has pushed his own under the id, to the other store."""
    (image,) = make_chain(1)
    if moment == "after":
        site.push(1, ALICE, image, hides=True)
    squatted = site.push(0, MALLORY, trojan(image))
    tokens = {way: way(site, squatted) for way in WAYS}
    if moment == "during":
        for way, token in tokens.items():
            assert read(site.at(1), token, image).status == 404, f"{way.__name__}: his grant is older than the push"
    if moment != "after":
        site.push(1, ALICE, image, hides=True)
    for way, token in tokens.items():
        for part in ("json", "layer", "ancestry", "files"):
            refused = read(site.at(1), token, image, part)
            assert (refused.status, refused.error()) == (404, "Image not found"), (way.__name__, part)


def test_what_a_stranger_holds_elsewhere_may_be_neither_tagged_nor_built_upon_here(site: Site) -> None:
    (image,), (child,) = make_chain(1), make_chain(1)
    site.push(1, ALICE, image, hides=True)
    squatted = site.push(0, MALLORY, trojan(image))
    child = replace(child, json=child.json.replace(b"{", b'{"parent": "%s", ' % image.id.encode(), 1))
    token = announce(site.at(0), MALLORY, squatted, image, child)
    assert tagged(site.at(1), token, squatted, image).status == 404
    assert upload(site.at(1), token, child).status == 400
    both = announce(site.at(1), MALLORY, site.name(1, MALLORY.name), image)
    both = {"Authorization": f"{both['Authorization']}, {token['Authorization'].removeprefix('Token ')}"}
    assert read(site.at(1), both, image, "json").status == 404


@pytest.mark.parametrize("hides", [False, True], ids=["public", "private"])
def test_an_official_image_of_another_store_hides_no_strangers_layer(site: Site, hides: bool) -> None:
    """What `library` lends, a daemon does not upload: here it is what a stranger has pushed under the id."""
    base, top = make_chain(2)
    site.push(0, ADMIN, base, owner="library")
    site.push(1, MALLORY, trojan(base), hides=hides)
    name = site.name(1, ALICE.name)
    assert daemon(site.at(1), ALICE).push(name, (base, top)) == [base.id, top.id]
    same_bytes(daemon(site.at(1), ALICE).pull(name), (base, top))


def test_each_store_has_its_own_under_one_id(site: Site) -> None:
    (image,) = make_chain(1)
    theirs = trojan(image)
    squatted, name = site.push(0, MALLORY, theirs), site.push(1, ALICE, image)
    same_bytes(daemon(site.at(0), ALICE).pull(squatted), (theirs,))
    same_bytes(daemon(site.at(1), MALLORY).pull(name), (image,))


def shown(site: Site, image: Image, account: Account | None = None) -> Answer:
    headers = {} if account is None else {"Authorization": daemon(site.at(0), account).basic}
    return call(site.index.target, f"GET /api/v1/images/{image.id}", headers)


def test_the_site_shows_nobody_what_another_store_has_under_the_id(site: Site) -> None:
    """Its JSON may have secrets in it; and the stranger's is not shown to its owner."""
    (image,) = make_chain(1)
    name = site.push(1, ALICE, image, hides=True)
    eventually(lambda: shown(site, image, ALICE).json().get("size"), lambda: f"{name} is not described")
    before = shown(site, image, ALICE).json()
    squatted = site.push(0, MALLORY, trojan(image))
    assert [shown(site, image, who).status for who in (None, MALLORY)] == [404, 404]
    assert shown(site, image, ALICE).json()["config"] == before["config"]
    same_bytes(daemon(site.at(0), ALICE).pull(squatted), (trojan(image),))


def test_what_is_the_same_in_both_stores_is_shown_of_both(site: Site) -> None:
    (image,) = make_chain(1)
    for place, account in ((0, ALICE), (1, MALLORY)):
        name = site.push(place, account, image)
        line = f"GET /api/v1/repositories/{name}/@tags"
        eventually(
            lambda line=line: call(site.index.target, line).json()["items"][0]["is_apart"] is False,
            lambda line=line: str(call(site.index.target, line)),
        )
        eventually(lambda: shown(site, image).json().get("size"), lambda: "it is not described")


def test_registries_of_one_store_open_what_is_public_and_lend_what_is_official(tmp_path: Path) -> None:
    with started(tmp_path, is_one_store=True) as site:
        shown, base, top = make_chain(1)[0], *make_chain(2)
        site.push(0, ALICE, shown)
        site.push(0, ADMIN, base, owner="library")
        token = of_another_repository_here(site, "")
        assert read(site.at(1), token, shown).body == shown.layer
        assert daemon(site.at(1), MALLORY).push(site.name(1, MALLORY.name), (base, top)) == [top.id]
