"""What each generation of Docker daemon does differently on the wire, as one table (protocol §1, §4.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace

_GO = "Go 1.1 package http"
_GO_LATER = "Go-http-client/1.1"


def _agent(version: str, *, platform: bool = True) -> str:
    words = f"docker/{version} go/go1.3.3 git-commit/0000000 kernel/3.13.0-24-generic"
    return f"{words} os/linux arch/amd64" if platform else f"{words} "


@dataclass(frozen=True)
class Generation:
    """One generation. The defaults are what Docker 0.8 does; the table below changes what changed."""

    name: str
    agent: str

    # finding out whom one speaks to
    pings: bool = True
    ping_agent: str | None = _GO
    """User-Agent of pings and of the sign-up; None: the daemon's own."""
    ping_needs_version: bool = True
    knows_standalone: bool = True
    """Sends Basic on every request to a standalone service over TLS (0.7.4 on)."""
    asks_v2: str = ""
    """`base` probes /v2/ before the ping; `full` tries a whole v2 push or pull first."""

    # credentials
    signs_up: bool = True
    """POST /v1/users/ before GET (to 1.10)."""
    empty_basic: bool = True
    """With nobody logged in sends `Basic Og==` to the index and `Token ` to the registry (to 1.6)."""
    needs_token: bool = True
    takes_any_token: bool = False
    """Replaces its token whenever any answer carries one (1.7 on)."""
    cookies_on_reads: bool = True

    # push
    tags_every_ancestor: bool = False
    tags_known_images: bool = True
    sends_checksums: str = ""
    """Where checksums stand in the two lists sent to the index: `both`, `final` or nowhere."""
    existence: str = "token"
    """The test before a push: `none`, `anonymous`, `token`, or `parallel`."""
    packing: str = "gzip"
    writes_trailer: bool = False
    checksum_with_json: bool = False
    checksum: str = "tarsum"
    """What PUT checksum carries: `none` (no such request), `tarsum`, `wrong` (0.9's payload) or `both`.

    `payload` alone is no generation's: a load of many pushes leaves out the tarsum, which from 0.10 on nobody checks.
    """
    layer_type: bool = False
    content_ids: bool = False

    # pull
    base_first: bool = True
    needs_size: bool = True
    splits_endpoints: bool = False
    head_before_layer: bool = False
    resumes: bool = False
    asks_single_tag: bool = False
    layers_at_once: int = 1

    # names and search
    many_slashes: bool = False
    search_with_basic: bool = False
    search_limit: bool = False

    def __str__(self) -> str:
        return self.name


V0_8 = Generation("0.8", _agent("0.8.1"))
V0_7 = replace(
    V0_8, name="0.7", agent=_agent("0.7.6", platform=False), tags_every_ancestor=True, sends_checksums="final"
)
V0_6 = replace(
    V0_7, name="0.6", agent=_agent("0.6.1", platform=False), knows_standalone=False, base_first=False,
    tags_known_images=False,
)  # fmt: skip
V0_5 = replace(
    V0_6, name="0.5", agent=_GO, existence="anonymous", packing="xz", writes_trailer=True, checksum_with_json=True,
    checksum="none", sends_checksums="both",
)  # fmt: skip
V0_4 = replace(V0_5, name="0.4", pings=False, existence="none", cookies_on_reads=False, ping_needs_version=False)
V0_9 = replace(V0_8, name="0.9", agent=_agent("0.9.1") + " ", checksum="wrong", search_with_basic=True)
V0_10 = replace(V0_9, name="0.10", agent=_agent("0.10.0"), checksum="both")
V0_11 = replace(
    V0_10, name="0.11", agent=_agent("0.11.1"), ping_needs_version=False, needs_size=False, splits_endpoints=True
)
V1_0 = replace(V0_11, name="1.0", agent=_agent("1.0.1"), head_before_layer=True, resumes=True)
V1_2 = replace(V1_0, name="1.2", agent=_agent("1.2.0"), head_before_layer=False, layer_type=True)
V1_3 = replace(V1_2, name="1.3", agent=_agent("1.3.3"), writes_trailer=True)
V1_5 = replace(V1_3, name="1.5", agent=_agent("1.5.0"), asks_v2="base")
V1_6 = replace(V1_5, name="1.6", agent=_agent("1.6.2"), ping_agent=None, existence="parallel")
V1_7 = replace(V1_6, name="1.7", agent=_agent("1.7.1"), empty_basic=False, needs_token=False, takes_any_token=True)
V1_9 = replace(V1_7, name="1.9", agent=_agent("1.9.1"), asks_single_tag=True, many_slashes=True)
V1_10 = replace(V1_9, name="1.10", agent=_agent("1.10.3"), asks_v2="full", content_ids=True, layers_at_once=3)
V1_12 = replace(
    V1_10, name="1.12", agent=_agent("1.12.6") + " UpstreamClient(Docker-Client/1.12.6 \\(linux\\))", signs_up=False,
    search_limit=True,
)  # fmt: skip
V17_05 = replace(
    V1_12, name="17.05", agent=_agent("17.05.0-ce") + " UpstreamClient(Docker-Client/17.05.0-ce \\(linux\\))"
)

GENERATIONS = (
    V0_4, V0_5, V0_6, V0_7, V0_8, V0_9, V0_10, V0_11, V1_0, V1_2, V1_3, V1_5, V1_6, V1_7, V1_9, V1_10, V1_12, V17_05,
)  # fmt: skip

NEWEST = V17_05
SIGN_UP_AGENT = _GO_LATER
