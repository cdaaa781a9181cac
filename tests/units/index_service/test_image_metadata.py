"""What an image's JSON says, whoever pushed it; tags in order; trees and lanes laid out."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.names import ImageId
from index_service.images import image_metadata, lanes, trees
from index_service.images.dockerfile_steps import step, word_of
from index_service.images.lineage import Node
from index_service.images.versions import newest_first
from index_service.repositories.tag_history import client_program

ID = ImageId("a" * 64)


def read(document: object, size: int = 5) -> image_metadata.ImageMetadata:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return image_metadata.parse(ID, raw, size)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["/bin/sh", "-c", '#(nop) CMD ["/bin/bash"]'], 'CMD ["/bin/bash"]'),
        (["/bin/sh", "-c", "#(nop)  ENV PATH=/bin"], "ENV PATH=/bin"),
        (["/bin/sh", "-c", "#(nop) ADD file:ab in /"], "ADD file:ab in /"),
        (["/bin/sh", "-c", "#(nop) EXPOSE map[80/tcp:{} 443/tcp:{}]"], "EXPOSE 80/tcp 443/tcp"),
        (["/bin/sh", "-c", "#(nop) VOLUME map[/data:{}]"], "VOLUME /data"),
        (["/bin/bash", "-c", "make all"], "RUN make all"),
        (["/bin/sh", "-c", "apt-get update \t&& apt-get clean"], "RUN apt-get update \\\n    && apt-get clean"),
        (["|2", "A=1", "B=2", "/bin/sh", "-c", "make"], "RUN make"),
        (["RUN /bin/sh -c make # buildkit"], "RUN make"),
        (["COPY x /x # buildkit"], "COPY x /x"),
        (["/usr/bin/make", "it"], 'RUN ["/usr/bin/make", "it"]'),
        (["bash"], "RUN bash"),
        (["|9999999999"], "RUN |9999999999"),
        ([], ""),
        ([""], ""),
    ],
)
def test_a_command_reads_like_the_step_it_was(command, told):
    assert step(command) == told
    assert read({"container_config": {"Cmd": command}}).command == told


def test_a_step_begins_with_its_instruction():
    assert [word_of(text) for text in ("RUN make", "CMD", "running", "")] == ["RUN", "CMD", "", ""]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'"text"',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"Size":' + b"9" * 5000 + b"}",
        b'{"id": "\\ud800", "author": ["x"], "created": 7, "container_config": "x", "config": [1]}',
        b'{"config": {"Env": "X=1", "Cmd": {"a": 1}, "ExposedPorts": [1, "80"], "Labels": {"a": 1}}}',
        b'{"container_config": {"Cmd": [1, null, {"a": []}]}}',
        b'{"author": "a\x00b"}',
    ],
)
def test_a_hostile_json_says_little_and_breaks_nothing(raw):
    read_ = read(raw)
    assert (read_.image_id, read_.size, read_.parent_id) == (ID, 5, None)
    image_metadata.config_of(read_.config)
    image_metadata.pretty(read_.config).encode()
    assert "\0" not in read_.config


_KEYS = ("id", "parent", "created", "container_config", "config", "Cmd", "Env", "Labels", "author", "os", "Volumes")
_DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=6),
    max_leaves=25,
)


@given(_DOCUMENTS)
def test_no_json_at_all_breaks_the_reading(document):
    read_ = read(json.dumps(document).encode())
    for text in (read_.command, read_.author, read_.os, read_.config, repr(image_metadata.config_of(read_.config))):
        assert "\0" not in text
        text.encode()


def test_texts_are_cut_and_cleaned():
    read_ = read({"author": "é" * 999, "os": "a\u202eb\x07\ud800", "container_config": {"Cmd": ["x" * 50_000]}})
    assert (len(read_.author), read_.author[-1]) == (255, "…")
    assert read_.os == "a\ufffdb\ufffd\ufffd"
    assert len(read_.command) == image_metadata.MAX_COMMAND


def test_a_json_too_long_to_keep_is_read_all_the_same():
    read_ = read({"author": "me", "config": {"Env": ["x" * image_metadata.MAX_CONFIG]}})
    assert (read_.author, read_.config) == ("me", "{}")


@pytest.mark.parametrize(
    ("text", "timestamp"),
    [
        ("2014-03-04T12:00:00.123456789Z", datetime(2014, 3, 4, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2014-03-04T12:00:00+02:00", datetime(2014, 3, 4, 10, tzinfo=UTC)),
        ("2014-03-04T12:00:00.5Z", datetime(2014, 3, 4, 12, 0, 0, 500000, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("2014-13-04T12:00:00Z", None),
        ("yesterday", None),
        (5, None),
        ("2014-03-04T12:00:00Z" * 9, None),
    ],
)
def test_a_date_is_a_date_or_none(text, timestamp):
    assert image_metadata.parse_timestamp(text) == timestamp


def test_an_image_is_not_its_own_parent():
    assert read({"parent": ID}).parent_id is None
    assert read({"parent": "b" * 64}).parent_id == "b" * 64
    assert read({"parent": "B" * 64}).parent_id is None


def test_the_configuration_is_told_in_parts():
    config = image_metadata.config_of(
        json.dumps(
            {
                "comment": "note",
                "config": {
                    "Cmd": ["nginx", "-g"],
                    "Entrypoint": "/entry",
                    "Env": ["PATH=/bin:/x", "EMPTY", "A=b=c"],
                    "ExposedPorts": {"443/tcp": {}, "80/tcp": {}},
                    "Labels": {"b": "2", "a": "1", "n": 3},
                    "User": "www",
                    "Volumes": {"/data": {}},
                    "WorkingDir": "/srv",
                },
            }
        )
    )
    assert config.environment == [("PATH", "/bin:/x"), ("EMPTY", ""), ("A", "b=c")]
    assert (config.command, config.entrypoint) == (["nginx", "-g"], ["/entry"])
    assert (config.ports, config.volumes) == (["443/tcp", "80/tcp"], ["/data"])
    assert config.labels == [("a", "1"), ("b", "2"), ("n", "")]
    assert (config.user, config.working_directory, config.comment) == ("www", "/srv", "note")


def test_tags_stand_in_their_natural_order():
    ordered = ["latest", "14.04.1", "14.04", "10.1", "v9.1", "9", "9-rc10", "9-rc2", "1.10", "1.9", "jessie", "wheezy"]
    assert newest_first(sorted(ordered)) == ordered
    assert newest_first(reversed(ordered)) == ordered


@given(st.lists(st.text(min_size=1, max_size=12), unique=True, max_size=12))
def test_any_tags_have_one_order(tags):
    assert newest_first(tags) == newest_first(reversed(tags))
    assert sorted(newest_first(tags)) == sorted(tags)


@pytest.mark.parametrize(
    ("client", "short"),
    [
        ("docker/0.9.1 go/go1.2.1 git-commit/4aa1f07/dirty kernel/3.13.0 os/linux arch/amd64", "docker 0.9.1"),
        ("Go 1.1 package http", "Go 1.1 package http"),
        ("", ""),
        ("<script>" * 20, ("<script>" * 20)[:40]),
    ],
)
def test_a_client_is_named_in_short(client, short):
    assert client_program(client) == short


def node(image_id: str, parent: str | None = None, size: int = 10, total: int = 10) -> Node:
    return Node(image_id=image_id, parent_id=parent, size=size, total_size=total, depth=0, created_at=None, command="")


FAMILY = [node("base"), node("shared", "base", 0), node("one", "shared"), node("two", "shared"), node("late", "two")]


def test_shared_layers_are_one_block_across_their_lanes():
    chart = lanes.chart(FAMILY, {"late": ["latest", "2"], "one": ["1"], "base": ["0"]})
    assert [lane.tags for lane in chart.lanes] == [["0"], ["latest", "2"], ["1"]]
    spans = {block.node.image_id: (block.first, block.last) for block in chart.blocks}
    assert spans == {"base": (0, 2), "shared": (1, 2), "two": (1, 1), "late": (1, 1), "one": (2, 2)}
    assert [block.node.image_id for block in chart.blocks][:2] == ["base", "shared"]
    assert all(block.lanes == block.last - block.first + 1 for block in chart.blocks)


def test_a_pile_has_no_gaps_and_layers_with_more_bytes_are_higher():
    chart = lanes.chart(FAMILY, {"late": ["a"], "one": ["b"]})
    blocks = {block.node.image_id: block for block in chart.blocks}
    for block in chart.blocks:
        above = blocks.get(block.node.parent_id or "")
        assert block.top == (above.top + above.height if above else 0)
    assert chart.height == max(block.top + block.height for block in chart.blocks)
    heights = [lanes.height(size) for size in (0, 1, 10_000, 10_000_000, 2**45)]
    assert heights == sorted(heights)
    assert heights[-1] < 12


def test_chains_nobody_tagged_are_folded():
    (tree,) = trees.grow(FAMILY, {"base", "late"})
    assert [(level, branch.node.image_id, branch.layers, branch.added) for level, branch in tree.walk()] == [
        (0, "base", 1, 10),
        (1, "shared", 1, 0),
        (2, "late", 2, 20),
        (2, "one", 1, 10),
    ]
    assert tree.leaves == 2


def test_a_tree_too_deep_says_what_it_hides():
    chain = [node("0")] + [node(str(number), str(number - 1)) for number in range(1, 100)]
    (tree,) = trees.grow(chain, {one.image_id for one in chain})
    last = tree.walk()[-1][1]
    assert (len(tree.walk()), last.hidden) == (trees.MAX_LEVEL + 1, 99 - trees.MAX_LEVEL)


def test_json_nested_beyond_reason_takes_no_more_room_than_any():
    """In lines it would be a hundred megabytes."""
    deep = '{"a":' * 800 + "[" + "1," * 10_000 + "1]" + "}" * 800
    assert len(image_metadata.pretty(deep)) <= 2 * image_metadata.MAX_CONFIG
    assert image_metadata.pretty('{"a": [1]}') == '{\n  "a": [\n    1\n  ]\n}'
    assert image_metadata.pretty("no JSON") == "no JSON"
