"""Collectors, pushers, taggers, deleters and pullers as explicit steps over a store of two images, a base and a top.

A step is one operation of the store, or several that nobody could tell from one. `explore` walks every interleaving of
a world's actors, with as many deaths and with as much time between any two steps as the world has left. `World.faults`
says what must never be seen. The programs are those of `registry_service.collection` and `registry_service.graph`; a
test that swaps two steps of one shows what their order is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

BASE, TOP = "base", "top"
ANCESTRY = {BASE: frozenset({BASE}), TOP: frozenset({BASE, TOP})}
IMAGES = (BASE, TOP)

Step = tuple[str, str]
Program = tuple[Step, ...]

COLLECT: Program = (
    ("take the turn", ""),
    ("mark from intents", ""),
    ("mark from tags", ""),
    ("choose", ""),
    ("condemn", BASE),
    ("condemn", TOP),
    ("announce", ""),
    ("claim", BASE),
    ("claim", TOP),
    ("spare the rescued", ""),
    ("spare what is intended", ""),
    ("spare what is tagged", ""),
    ("delete the layer", TOP),
    ("delete the rest", TOP),
    ("delete the layer", BASE),
    ("delete the rest", BASE),
    ("end the announcement", ""),
    ("end the turn", ""),
)


def ask(image: str) -> Program:
    """Whether an image is there, asked by whoever pushes it, and skips what is there."""
    return ("ask", image), ("rescue", image), ("heed the announcement", image), ("look", image)


def publish(image: str) -> Program:
    """Nothing happens to an image that was found."""
    based = (("await the announcement", BASE), ("require", BASE)) if image == TOP else ()
    return *based, ("acquire", image), ("rescue what is missing", image), ("write", image), ("release", image)


def tag(image: str) -> Program:
    return ("intend", image), ("await the announcement", image), ("check", image), ("tag", image), ("forget", image)


def push(image: str) -> Program:
    """The image, after all that it is based on."""
    pushed = IMAGES[: IMAGES.index(image) + 1]
    return tuple(step for each in pushed for step in (*ask(each), *publish(each))) + tag(image)


class Actor(NamedTuple):
    """One process: what it does, how far it is, and what it knows."""

    name: str
    program: Program
    at: int = 0
    knows: frozenset[tuple[str, str]] = frozenset()

    @property
    def is_over(self) -> bool:
        return self.at >= len(self.program)

    def then(self, *learnt: tuple[str, str]) -> Actor:
        return self._replace(at=self.at + 1, knows=self.knows | set(learnt))

    def gives_up(self) -> Actor:
        return self._replace(at=len(self.program))

    def known(self, what: str) -> frozenset[str]:
        return frozenset(about for known, about in self.knows if known == what)


class World(NamedTuple):
    """A store and its actors. An image is in `layers` while it is whole, in `rests` while anything of it is left."""

    actors: tuple[Actor, ...]
    layers: frozenset[str] = frozenset(IMAGES)
    rests: frozenset[str] = frozenset(IMAGES)
    stones: frozenset[tuple[str, str]] = frozenset()
    """(image, how old): `new` within the grace, `old` past it."""
    turn: str = ""
    announced: tuple[str, frozenset[str]] = ("", frozenset())
    claims: frozenset[tuple[str, str]] = frozenset()
    intents: frozenset[tuple[str, str]] = frozenset()
    tags: frozenset[tuple[str, str]] = frozenset()
    dead: frozenset[str] = frozenset()
    deaths: int = 0
    """How many may still die."""
    graces: int = 0
    """How often the grace period may still pass."""

    def holder(self, image: str) -> str:
        """Who claims an image and lives."""
        return next((who for claimed, who in self.claims if claimed == image and who not in self.dead), "")

    def doomed(self) -> frozenset[str]:
        """What a living collector has announced."""
        who, images = self.announced
        return frozenset() if who in self.dead else images

    def reached(self) -> frozenset[str]:
        return frozenset().union(*(ANCESTRY[image] for _, image in self.tags))

    def intended(self) -> frozenset[str]:
        return frozenset(image for _, image in self.intents)

    def stone(self, image: str) -> str:
        return next((age for condemned, age in self.stones if condemned == image), "")

    def without_stone(self, image: str) -> World:
        return self._replace(stones=self.stones - {(image, "old"), (image, "new")})

    def faults(self) -> list[str]:
        """What must never be so: something tagged that is not whole, or a push that failed for being told `exists`."""
        lost = [f"{image} is tagged and not whole" for image in sorted(self.reached() - self.layers)]
        return lost + [fault for actor in self.actors for fault in actor.known("fault")]


Act = Callable[[World, Actor, str], Iterator[tuple[World, Actor]]]


def _take_the_turn(world: World, me: Actor, _: str) -> Iterator[tuple[World, Actor]]:
    if not world.turn or world.turn in world.dead:
        yield world._replace(turn=me.name), me.then()


def _mark_from_intents(world: World, me: Actor, _: str) -> Iterator[tuple[World, Actor]]:
    yield world, me.then(*(("marked", image) for image in world.intended()))


def _mark_from_tags(world: World, me: Actor, _: str) -> Iterator[tuple[World, Actor]]:
    yield world, me.then(*(("marked", image) for image in world.reached()))


def _choose(world: World, me: Actor, _: str) -> Iterator[tuple[World, Actor]]:
    """What is unreachable and was condemned a grace ago; and what another announced, who died."""
    marked = me.known("marked")
    for image in marked:
        world = world.without_stone(image)
    chosen = {image for image, age in world.stones if age == "old"} | world.announced[1]
    yield world, me.then(*(("chosen", image) for image in chosen))


def _condemn(world: World, me: Actor, image: str) -> Iterator[tuple[World, Actor]]:
    if image in world.rests and image not in me.known("marked") and not world.stone(image):
        world = world._replace(stones=world.stones | {(image, "new")})
    yield world, me.then()


def _announce(world: World, me: Actor, _: str) -> Iterator[tuple[World, Actor]]:
    yield world._replace(announced=(me.name, me.known("chosen"))), me.then()


def _claim(world: World, me: Actor, image: str) -> Iterator[tuple[World, Actor]]:
    if image not in me.known("chosen") or world.holder(image):
        yield world, me.then(("spared", image))
    else:
        others = frozenset(claim for claim in world.claims if claim[0] != image)
        yield world._replace(claims=others | {(image, me.name)}), me.then()


def _spare(world: World, me: Actor, images: frozenset[str]) -> Iterator[tuple[World, Actor]]:
    claims = frozenset(claim for claim in world.claims if claim[0] not in images or claim[1] != me.name)
    yield world._replace(claims=claims), me.then(*(("spared", image) for image in images))


def _spare_the_rescued(world: World, me: Actor, _: str) -> Iterator[tuple[World, Actor]]:
    yield from _spare(world, me, frozenset(image for image in IMAGES if world.stone(image) != "old"))


def _spare_what_is_condemned_at_all(world: World, me: Actor, _: str) -> Iterator[tuple[World, Actor]]:
    """A mistake: a stone that somebody removed may have been set again since."""
    yield from _spare(world, me, frozenset(image for image in IMAGES if not world.stone(image)))


def _spare_what_is_intended(world: World, me: Actor, _: str) -> Iterator[tuple[World, Actor]]:
    yield from _spare(world, me, world.intended())


def _spare_what_is_tagged(world: World, me: Actor, _: str) -> Iterator[tuple[World, Actor]]:
    yield from _spare(world, me, world.reached())


def _delete_the_layer(world: World, me: Actor, image: str) -> Iterator[tuple[World, Actor]]:
    doomed = image not in me.known("spared")
    yield world._replace(layers=world.layers - {image}) if doomed else world, me.then()


def _delete_the_rest(world: World, me: Actor, image: str) -> Iterator[tuple[World, Actor]]:
    if image not in me.known("spared"):
        world = world.without_stone(image)._replace(rests=world.rests - {image})
        world = world._replace(claims=world.claims - {(image, me.name)})
    yield world, me.then()


def _end_the_announcement(world: World, me: Actor, _: str) -> Iterator[tuple[World, Actor]]:
    yield world._replace(announced=("", frozenset())), me.then()


def _end_the_turn(world: World, me: Actor, _: str) -> Iterator[tuple[World, Actor]]:
    yield world._replace(turn=""), me._replace(at=me.at + 1, knows=frozenset())


def _ask(world: World, me: Actor, image: str) -> Iterator[tuple[World, Actor]]:
    """What is promised is promised from here on: the grace period may pass before the answer is given."""
    yield world, me.then((f"{image} asked", f"{world.graces}"))


def _rescue(world: World, me: Actor, image: str) -> Iterator[tuple[World, Actor]]:
    yield world.without_stone(image), me.then()


def _rescue_what_is_missing(world: World, me: Actor, image: str) -> Iterator[tuple[World, Actor]]:
    if image not in me.known("found"):
        world = world.without_stone(image)
    yield world, me.then()


def _heed_the_announcement(world: World, me: Actor, image: str) -> Iterator[tuple[World, Actor]]:
    yield world, me.then(*([("doomed", image)] if image in world.doomed() else []))


def _look(world: World, me: Actor, image: str) -> Iterator[tuple[World, Actor]]:
    found = image in world.layers and image not in me.known("doomed")
    yield world, me.then(*([("found", image), ("told", image)] if found else []))


def _acquire(world: World, me: Actor, image: str) -> Iterator[tuple[World, Actor]]:
    if image in me.known("found"):
        yield world, me.then()
    elif not world.holder(image):
        others = frozenset(claim for claim in world.claims if claim[0] != image)
        yield world._replace(claims=others | {(image, me.name)}), me.then()


def _write(world: World, me: Actor, image: str) -> Iterator[tuple[World, Actor]]:
    if image not in me.known("found"):
        world = world._replace(layers=world.layers | {image}, rests=world.rests | {image})
    yield world, me.then(("told", image))


def _release(world: World, me: Actor, image: str) -> Iterator[tuple[World, Actor]]:
    yield world._replace(claims=world.claims - {(image, me.name)}), me.then()


def _intend(world: World, me: Actor, image: str) -> Iterator[tuple[World, Actor]]:
    yield world._replace(intents=world.intents | {(me.name, each) for each in ANCESTRY[image]}), me.then()


def _intend_the_top_alone(world: World, me: Actor, image: str) -> Iterator[tuple[World, Actor]]:
    """A mistake: what it is based on is collected beneath it."""
    yield world._replace(intents=world.intents | {(me.name, image)}), me.then()


def _await_the_announcement(world: World, me: Actor, image: str) -> Iterator[tuple[World, Actor]]:
    if not world.doomed() & ANCESTRY[image]:
        yield world, me.then()


def _check(world: World, me: Actor, image: str) -> Iterator[tuple[World, Actor]]:
    """That an image is there with all that it is based on: before a tag, or something that is based on it."""
    if ANCESTRY[image] <= world.layers:
        yield world, me.then()
        return
    kept = all(f"{world.graces}" in me.known(f"{each} asked") for each in ANCESTRY[image])
    if kept and ANCESTRY[image] <= me.known("told"):
        me = me._replace(knows=me.knows | {("fault", f"{me.name} was told that {image} is there, and is refused")})
    yield _forgotten(world, me), me.gives_up()


def _tag(world: World, me: Actor, image: str) -> Iterator[tuple[World, Actor]]:
    yield world._replace(tags=world.tags | {(me.name, image)}), me.then()


def _forget(world: World, me: Actor, _: str) -> Iterator[tuple[World, Actor]]:
    yield _forgotten(world, me), me.then()


def _forgotten(world: World, me: Actor) -> World:
    return world._replace(intents=frozenset(intent for intent in world.intents if intent[0] != me.name))


def _untag(world: World, me: Actor, name: str) -> Iterator[tuple[World, Actor]]:
    yield world._replace(tags=frozenset(tag for tag in world.tags if tag[0] != name)), me.then()


def _read_tags(world: World, me: Actor, _: str) -> Iterator[tuple[World, Actor]]:
    yield world, me.then(*(("pulls", image) for _, image in world.tags))


def _pull(world: World, me: Actor, _: str) -> Iterator[tuple[World, Actor]]:
    """Base first, as daemons do not; what was untagged meanwhile may be gone."""
    wanted = me.known("pulls") & {image for _, image in world.tags}
    missing = frozenset().union(*(ANCESTRY[image] for image in wanted)) - world.layers
    yield world, me.then(*(("fault", f"{image} cannot be pulled") for image in missing))


ACTS: dict[str, Act] = {
    "take the turn": _take_the_turn,
    "mark from intents": _mark_from_intents,
    "mark from tags": _mark_from_tags,
    "choose": _choose,
    "condemn": _condemn,
    "announce": _announce,
    "claim": _claim,
    "spare the rescued": _spare_the_rescued,
    "spare what is condemned at all": _spare_what_is_condemned_at_all,
    "spare what is intended": _spare_what_is_intended,
    "spare what is tagged": _spare_what_is_tagged,
    "delete the layer": _delete_the_layer,
    "delete the rest": _delete_the_rest,
    "end the announcement": _end_the_announcement,
    "end the turn": _end_the_turn,
    "ask": _ask,
    "rescue": _rescue,
    "rescue what is missing": _rescue_what_is_missing,
    "heed the announcement": _heed_the_announcement,
    "look": _look,
    "acquire": _acquire,
    "write": _write,
    "release": _release,
    "intend": _intend,
    "intend the top alone": _intend_the_top_alone,
    "await the announcement": _await_the_announcement,
    "check": _check,
    "require": _check,
    "tag": _tag,
    "forget": _forget,
    "untag": _untag,
    "read tags": _read_tags,
    "pull": _pull,
}


def successors(world: World) -> Iterator[World]:
    """The worlds that one step of somebody, a death, or the passing of the grace period leads to."""
    for number, actor in enumerate(world.actors):
        if actor.is_over:
            continue
        verb, subject = actor.program[actor.at]
        for after, changed in ACTS[verb](world, actor, subject):
            yield after._replace(actors=(*world.actors[:number], changed, *world.actors[number + 1 :]))
        if world.deaths and actor.at:
            ended = (*world.actors[:number], actor.gives_up(), *world.actors[number + 1 :])
            yield world._replace(actors=ended, dead=world.dead | {actor.name}, deaths=world.deaths - 1)
    if world.graces:
        yield aged(world._replace(graces=world.graces - 1))


def aged(world: World) -> World:
    return world._replace(stones=frozenset((image, "old") for image, _ in world.stones))


def explore(start: World) -> Iterator[World]:
    """Every world that can be reached, once."""
    known = {start}
    waiting = [start]
    while waiting:
        world = waiting.pop()
        yield world
        for after in successors(world):
            if after not in known:
                known.add(after)
                waiting.append(after)


def is_at_rest(world: World) -> bool:
    return all(actor.is_over for actor in world.actors)


def collected(world: World) -> World:
    """After two collections a grace apart that nobody disturbs."""
    for number in range(2):
        world = aged(world)._replace(actors=(Actor(f"last {number}", COLLECT),), deaths=0, graces=0)
        while not is_at_rest(world):
            (world,) = successors(world)
    return world
