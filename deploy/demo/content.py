"""What the example is about: a harbour town, its people, and the images they build on one another."""

from __future__ import annotations

from dataclasses import dataclass, field

from deploy.demo.images import Chain, add, build, cmd, env, expose, run

PASSWORD = "harbour-demo"
"""Everybody's; whoever can read this could guess it."""

ADMIN = "harbourmaster"
PEOPLE = ("ada", "bo", "chen")
ORGANISATION = "north-quay"
ORGANISATION_NAME = "North Quay Shipping"
MEMBERS = ("ada", "chen")
TEAM = "pilots"
TEAM_IS_FOR = "Bring the web site in at night, and look after it there"
TEAM_MEMBERS = ("chen",)


@dataclass(frozen=True)
class Comment:
    """What somebody wrote; with a tag it is an annotation."""

    author: str
    text: str
    tag: str | None = None


@dataclass(frozen=True)
class Repository:
    """A repository as it is after some pushes; `tags` are in the order in which they were pushed."""

    name: str
    pusher: str
    description: str
    readme: str
    tags: dict[str, Chain]
    starred_by: tuple[str, ...] = ()
    comments: tuple[Comment, ...] = ()
    is_private: bool = False
    pulls: int = 0
    team_roles: dict[str, str] = field(default_factory=dict)


def repositories() -> list[Repository]:
    """Everything, bases first."""
    slip = _slip()
    slip_new = _slip_new(slip)
    signal = build(slip, "Ada <ada@example.com>", "2015-03-14", *_SIGNAL)
    tide_first = build(slip, "Bo <bo@example.com>", "2015-02-02", *_TIDE)
    tide = build(
        slip_new, "Bo <bo@example.com>", "2015-06-20", *_TIDE, run("tide-fetch --port=all", srv__tables=90_000)
    )
    web = build(signal, "Ada <ada@example.com>", "2015-04-01", *_WEB)
    web_next = build(web[:-1], "Chen <chen@example.com>", "2015-05-11", *_WEB_NEXT)
    worker = build(signal, "Chen <chen@example.com>", "2015-05-12", *_WORKER)
    tea = build(slip_new, "Chen <chen@example.com>", "2015-06-25", *_TEA)
    return [
        Repository(
            "library/slip",
            ADMIN,
            "A base small enough to carry under one arm",
            _SLIP_README,
            {"1.0": slip, "1.1": slip_new, "latest": slip_new},
            PEOPLE,
            (Comment("bo", "Half the size of what we used before. Thank you!"),),
            pulls=9,
        ),
        Repository(
            "north-quay/signal",
            "ada",
            "A runtime with flags: what our services stand on",
            "# signal\n\nThe runtime of North Quay's services, on [slip](/r/slip).\n\n    FROM north-quay/signal\n",
            {"0.9": signal[:-1], "1.0": signal, "latest": signal},
            ("chen",),
            pulls=4,
        ),
        Repository(
            "north-quay/web",
            "ada",
            "The harbour's web site: berths, tides and who is expected",
            _WEB_README,
            {"1.0": web, "1.1": web_next, "latest": web_next},
            ("bo", "chen"),
            (
                Comment("ada", "**Do not use.** Answers forged berth requests; take 1.1.", tag="1.0"),
                Comment("bo", "Does `latest` follow 1.1 from now on?"),
                Comment("chen", "Yes, since this morning."),
            ),
            pulls=6,
            team_roles={TEAM: "admin"},
        ),
        Repository(
            "north-quay/worker",
            "chen",
            "Counts ships at night",
            "# worker\n\nShares everything but its last three layers with `north-quay/web`.\n",
            {"1.0": worker, "latest": worker},
            pulls=2,
        ),
        Repository(
            "bo/tide-tables",
            "bo",
            "High and low water for every port, as JSON",
            _TIDE_README,
            {"2014": tide_first, "2015": tide, "latest": tide},
            ("ada",),
            pulls=3,
        ),
        Repository(
            "chen/tea",
            "chen",
            "茶馆的点单服务",
            _TEA_README,
            {"latest": tea},
            ("ada", "bo"),
            (Comment("ada", "喝过了,很好。"),),
            pulls=1,
        ),
        Repository(
            "ada/secret-chart",
            "ada",
            "Nobody else sees this one",
            "# secret-chart\n\nA private repository: for everybody else it does not exist.\n",
            {"latest": build(slip, "Ada <ada@example.com>", "2015-06-28", *_CHART)},
            is_private=True,
        ),
    ]


def _slip() -> Chain:
    return build(
        (),
        "Harbour Master <master@example.com>",
        "2015-01-05",
        add("file:1b2c3d in /", bin__sh=420_000, bin__busy=310_000, etc__passwd=900),
        run("ldconfig", etc__ld_cache=14_000),
        cmd("/bin/sh"),
    )


def _slip_new(slip: Chain) -> Chain:
    steps = (run("apply-fixes --since=1.0", bin__sh=430_000, lib__crypto=180_000), cmd("/bin/sh"))
    return build(slip[:-1], "Harbour Master <master@example.com>", "2015-06-01", *steps)


_SIGNAL = (
    run("install-runtime", usr__bin__signal=1_400_000, usr__lib__signal=820_000),
    env("SIGNAL_HOME", "/usr/lib/signal"),
    run("signal --warm-up", var__cache=260_000),
    cmd("signal"),
)
_WEB = (
    add("dir:web in /srv", srv__index=12_000, srv__style=18_000, srv__berths=44_000),
    run("signal install -r /srv/needs", usr__lib__needs=640_000),
    expose(8000),
    cmd("signal", "serve", "/srv"),
)
_WEB_NEXT = (
    add("dir:web in /srv", srv__index=12_500, srv__style=18_200, srv__berths=47_000),
    cmd("signal", "serve", "/srv", "--verify"),
)
_WORKER = (
    add("file:count in /usr/bin/count", usr__bin__count=96_000),
    run("count --learn", var__lib__model=1_900_000),
    cmd("count", "--at", "night"),
)
_TIDE = (
    run("install-runtime --small", usr__bin__tide=330_000),
    add("dir:tables in /srv/tables", srv__tables__north=210_000, srv__tables__south=190_000),
    expose(8080),
    cmd("tide", "serve"),
)
_TEA = (
    run("install-runtime --small", usr__bin__tea=300_000),
    add("dir:menu in /srv/menu", srv__menu=22_000),
    env("LANG", "zh_CN.UTF-8"),
    cmd("tea", "serve"),
)
_CHART = (add("file:chart in /srv/chart", srv__chart=120_000), cmd("cat", "/srv/chart"))

_SLIP_README = """\
# slip

The base of everything here: a shell, a loader and nothing that nobody asked for.

    FROM slip
    RUN install-what-you-need

| tag | what is new |
|---|---|
| `1.1` | fixes since 1.0 |
| `1.0` | the first one |
"""
_WEB_README = """\
# North Quay's web site

Berths, tides and who is expected, for people with wet hands.

    docker run -p 8000:8000 north-quay/web

* stands on [`north-quay/signal`](/r/north-quay/signal), as does [`north-quay/worker`](/r/north-quay/worker)
* reads its tides from [`bo/tide-tables`](/r/bo/tide-tables)

## What to set

| variable | meaning |
|---|---|
| `BERTHS` | how many there are |
| `TIDES` | where the tide tables answer |
"""
_TIDE_README = """\
# tide-tables

    curl http://localhost:8080/2015/north.json

Every year is a tag. `latest` is this year's.
"""
_TEA_README = """\
# 茶馆

    docker run -p 8080:8080 chen/tea

* 绿茶、红茶、乌龙茶
* 每天早上六点开门
"""
