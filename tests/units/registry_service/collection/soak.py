"""Pushes, deletions, retags and pulls beside collections without any grace, in processes of which some are killed.

`python -m tests.units.registry_service.collection.soak` does so 2,000 times; the suite does it less often.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from common.agents import Agent
from common.errors import Failure
from common.names import ImageId, RepositoryName, Tag
from registry_service.app import create_registry
from registry_service.collection.collector import Collector
from registry_service.grants import Credentials
from registry_service.graph.errors import CollectionRunning, ImageExists, RepositoryNotFound, TagNotFound
from registry_service.services import Registry
from registry_service.settings import RegistrySettings
from registry_service.storage import paths
from registry_service.storage.filesystem import Filesystem
from registry_service.storage.guard import Guard
from tests.forked import Forked
from tests.units.registry_service.graph.store import Image, Store, in_blocks

ROUNDS = 2000
AT_ONCE = 3
KILLED = 0.15

BASES = [Image(f"base {number}") for number in range(2)]
MIDDLES = [Image(f"middle {base.name} {number}", base) for base in BASES for number in range(2)]
IMAGES = {image.id: image for image in [*BASES, *MIDDLES, *(Image(f"top {one.name}", one) for one in MIDDLES)]}

REPOSITORIES = [RepositoryName("acme", "app"), RepositoryName("other", "app")]
TAGS = [Tag("latest"), Tag("v1")]
NOBODY = Credentials(None)

DEEDS = ("push", "push", "push", "retag", "delete", "pull")


def registry_at(root: str) -> Registry:
    return create_registry(RegistrySettings(standalone=True), Guard(Filesystem(Path(root))))


def act(root: str, deed: str, seed: int) -> None:
    """One deed of one client, who takes a refusal for an answer; it says what must not be."""
    dice = random.Random(seed)
    registry, repository, tag = registry_at(root), dice.choice(REPOSITORIES), dice.choice(TAGS)
    image = dice.choice(list(IMAGES.values()))
    try:
        if deed == "push":
            push(registry, image)
            registry.set_tag(NOBODY, repository, tag, image.id, Agent())
        elif deed == "retag":
            registry.set_tag(NOBODY, repository, tag, image.id, Agent())
        elif deed == "delete":
            registry.delete_tag(NOBODY, repository, tag, Agent())
        else:
            pull(registry, repository, tag)
    except Failure:
        """Gone, or busy: with no grace at all, a collection may come between any two requests of a push."""


def push(registry: Registry, image: Image) -> None:
    if image.parent is not None:
        push(registry, image.parent)
    if not registry.push.promise(image.id):
        with suppress(ImageExists):
            uploader = str(os.getpid())
            registry.push.begin(image.id, image.json, uploader)
            registry.push.receive(image.id, uploader, in_blocks(image.layer))
            registry.push.seal(image.id, uploader, payload=image.payload, tarsum=None)


def pull(registry: Registry, repository: RepositoryName, tag: Tag) -> None:
    """What is missing counts where the tag is as it was, and it is missing still."""
    for attempt in range(3):
        before = registry.tags.get(repository, tag)
        missing = [one for one in ancestry(before) if not registry.images.is_complete(one)]
        if not missing or registry.tags.get(repository, tag) != before:
            return
        if attempt == 2:
            print(f"{repository}:{tag} is missing {missing}")


def ancestry(image: ImageId) -> list[ImageId]:
    return [ImageId(one) for one in IMAGES[image].ancestry]


def collect(root: str) -> None:
    registry = registry_at(root)
    with suppress(CollectionRunning):
        Collector(Guard(Filesystem(Path(root))), registry.push, 0.0).run()


def soak(root: Path, rounds: int, seed: int) -> list[str]:
    """What was found that must not be."""
    dice = random.Random(seed)
    running: list[Forked] = []
    said: list[str] = []
    collector = begin(dice, collect, str(root))
    for number in range(rounds):
        if collector.returncode is not None:
            said.append(collector.communicate()[0])
            collector = begin(dice, collect, str(root))
        running.append(begin(dice, act, str(root), dice.choice(DEEDS), seed + number))
        while len(running) >= AT_ONCE:
            said.append(running.pop(0).communicate()[0])
    said += [process.communicate()[0] for process in [*running, collector]]
    return [line for one in said for line in one.splitlines()] + settled(root)


def begin(dice: random.Random, work: Callable[..., None], *arguments: object) -> Forked:
    """A process, perhaps one that is killed soon."""
    return Forked(mortal, dice.random() * 0.1 if dice.random() < KILLED else None, work, *arguments)


def mortal(seconds: float | None, work: Callable[..., None], *arguments: object) -> None:
    if seconds is not None:
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
    work(*arguments)
    # A process that ends well does not wait for its death.
    sys.stdout.flush()
    os._exit(0)


def settled(root: Path) -> list[str]:
    """What is wrong once nobody is there any more, and all was collected."""
    driver = Guard(Filesystem(root, leftover_seconds=-1))
    registry = create_registry(RegistrySettings(standalone=True, upload_seconds=-1.0), driver)
    for _ in range(3):
        Collector(driver, registry.push, 0.0).run()
    store = Store(driver)
    reached = {one for repository in REPOSITORIES for image in tagged(store, repository) for one in ancestry(image)}
    faults = [f"{image} is tagged, and not whole" for image in reached if not store.holds(IMAGES[image])]
    there = {path.split("/")[1] for path in store.everything() if path.startswith(f"{paths.IMAGES}/")}
    faults += [f"{image} is not tagged, and still there" for image in there - reached]
    tops = (paths.COLLECTION, paths.INTENTS, paths.UPLOADS)
    return faults + [f"something is left at {top}" for top in tops if driver.exists(top)]


def tagged(store: Store, repository: RepositoryName) -> list[ImageId]:
    with suppress(RepositoryNotFound, TagNotFound):
        return [ImageId(image) for image in store.tags.all(repository).values()]
    return []


def main() -> None:
    seed = random.randrange(10**6)
    with tempfile.TemporaryDirectory() as folder:
        faults = soak(Path(folder), ROUNDS, seed)
    print(f"{ROUNDS} deeds, seed {seed}:", *(faults or ["nothing was lost, and nothing is left"]), sep="\n")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
