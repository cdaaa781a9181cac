"""Tarsums: by hand, and against a second implementation (protocol §4.2)."""

from __future__ import annotations

import hashlib
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.checksums import Checksum
from registry_service.graph.checksums import is_checksum, is_tarsum, tarsum_holds, tarsums
from registry_service.graph.errors import LayerUnreadable
from tests.units.registry_service.graph import tars
from tests.units.registry_service.graph.naive_tarsum import naive_tarsum
from tests.units.registry_service.graph.store import in_blocks

JSON = b'{"id": "x"}'

ONE_FILE = tars.header(
    b"etc/hosts",
    size=5,
    mode=b"0000644\0",
    uid=b"0001750\0",
    gid=b"0000144\0",
    mtime=b"12345670123\0",
    uname=b"user",
    gname=b"group",
) + tars.padded(b"hosts")
ONE_FILE_HEADERS = (
    b"nameetc/hostsmode420uid1000gid100size5mtime1402433619typeflag0linknameunameusergnamegroupdevmajor0devminor0"
)
DEVICE = tars.header(
    b"dev/null", typeflag=b"3", mode=b"0000666\0", devmajor=b"0000001\0", devminor=b"0000003\0"
) + tars.header(b"dev/", typeflag=b"5", mode=b"0000755\0", devmajor=b"0000007\0", devminor=b"0000007\0")
DEVICE_HEADERS = (
    b"namedev/nullmode438uid0gid0size0mtime0typeflag3linknameunamegnamedevmajor1devminor3",
    b"namedev/mode493uid0gid0size0mtime0typeflag5linknameunamegnamedevmajor0devminor0",
)
END = bytes(1024)


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def the_sum(tar: bytes, algorithm: str = "tarsum+sha256", json: bytes = JSON) -> str:
    (one,) = tarsums(algorithm, json, in_blocks(tar, 777))
    return one


def test_known_to_the_digit() -> None:
    """Computed by printf and sha256sum alone."""
    assert the_sum(ONE_FILE + END) == "tarsum+sha256:78ee41bbdc8bf7f7e7fd188a9004725223ea7b91cd9de946216590d4c71d35dd"


def test_one_file_by_hand() -> None:
    digest = sha(ONE_FILE_HEADERS + b"hosts")
    assert the_sum(ONE_FILE + END) == "tarsum+sha256:" + sha(JSON + digest.encode())


def test_several_entries_are_sorted_by_their_hashes() -> None:
    digests = sorted([sha(ONE_FILE_HEADERS + b"hosts"), *(sha(headers) for headers in DEVICE_HEADERS)])
    assert the_sum(DEVICE + ONE_FILE + END) == "tarsum+sha256:" + sha(JSON + "".join(digests).encode())
    assert the_sum(ONE_FILE + DEVICE + END) == the_sum(DEVICE + ONE_FILE + END)


def test_v1_leaves_the_time_out_and_takes_attributes_in() -> None:
    records = b"30 SCHILY.xattr.user.b=second\n" + b"29 SCHILY.xattr.user.a=fi=st\n"
    tar = tars.header(b"pax", size=len(records), typeflag=b"x") + tars.padded(records) + ONE_FILE + END
    text = ONE_FILE_HEADERS.replace(b"mtime1402433619", b"") + b"user.afi=st" + b"user.bsecond" + b"hosts"
    expected = sha(JSON + sha(text).encode())
    assert the_sum(tar, "tarsum.v1+sha256") == f"tarsum.v1+sha256:{expected}"
    assert the_sum(tar, "tarsum.dev+sha256") == f"tarsum.dev+sha256:{expected}"
    assert the_sum(tar) == the_sum(ONE_FILE + END)


def test_other_hash() -> None:
    digest = hashlib.sha512(ONE_FILE_HEADERS + b"hosts").hexdigest()
    expected = hashlib.sha512(JSON + digest.encode()).hexdigest()
    assert the_sum(ONE_FILE + END, "tarsum+sha512") == f"tarsum+sha512:{expected}"


def test_nothing_but_the_json() -> None:
    assert the_sum(END) == the_sum(b"") == "tarsum+sha256:" + sha(JSON)


def test_old_regular_files_keep_their_type() -> None:
    tar = tars.header(b"a", typeflag=b"\0") + END
    text = b"nameamode420uid0gid0size0mtime0typeflag\0linknameunamegnamedevmajor0devminor0"
    assert the_sum(tar) == "tarsum+sha256:" + sha(JSON + sha(text).encode())


def test_file_named_twice_counts_once_or_twice() -> None:
    """Daemons up to 1.2 let the last entry count, later ones all; either may be what was sent."""
    first = tars.header(b"./a", size=1) + tars.padded(b"1")
    second = tars.header(b"a", size=1) + tars.padded(b"2")
    text = b"name%bmode420uid0gid0size1mtime0typeflag0linknameunamegnamedevmajor0devminor0%b"
    one, two = sha(text % (b"./a", b"1")), sha(text % (b"a", b"2"))
    assert tarsums("tarsum+sha256", JSON, [first + second + END]) == {
        "tarsum+sha256:" + sha(JSON + two.encode()),
        "tarsum+sha256:" + sha(JSON + "".join(sorted([one, two])).encode()),
    }


@pytest.mark.parametrize("algorithm", ["sha256", "tarsum", "tarsum+md5", "tarsum.v2+sha256", "tarsum.v1", "x+sha256"])
def test_unknown_algorithms_have_no_sum(algorithm: str) -> None:
    assert tarsums(algorithm, JSON, [ONE_FILE]) == set()


def test_holds() -> None:
    right = Checksum(the_sum(ONE_FILE + END))
    assert tarsum_holds(right, JSON, [ONE_FILE + END])
    assert not tarsum_holds(right, JSON + b" ", [ONE_FILE + END])
    assert not tarsum_holds(right, JSON, [ONE_FILE + DEVICE + END])
    assert not tarsum_holds(Checksum("tarsum.v1" + right.removeprefix("tarsum")), JSON, [ONE_FILE + END])


def test_sparse_files_have_none() -> None:
    with pytest.raises(LayerUnreadable, match="sparse"):
        tarsums("tarsum+sha256", JSON, [tars.header(b"a", typeflag=b"S", tail=bytes(138) + b"00000000000\0") + END])


def test_kinds_of_checksums() -> None:
    assert is_tarsum(Checksum("tarsum.v1+sha256:" + "0" * 64))
    assert not is_tarsum(Checksum("sha256:" + "0" * 64))
    assert is_checksum("sha256:" + "0" * 64)
    assert not is_checksum("rubbish")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    drawn=st.lists(tars.members(), max_size=5, unique_by=lambda one: one[0].name.strip("/.")),
    format_=tars.formats,
    packer=st.sampled_from(sorted(tars.PACKERS)),
    with_trailer=st.booleans(),
    version=st.sampled_from([0, 1]),
    block=st.sampled_from([1, 511, 512, 10_000]),
)
def test_agrees_with_the_naive_one(
    drawn: list[tuple[tarfile.TarInfo, bytes]], format_: int, packer: str, with_trailer: bool, version: int, block: int
) -> None:
    tar = tars.write(*drawn, format_=format_)
    sent = tar if with_trailer else tars.without_trailer(tar)
    expected = naive_tarsum(JSON, tar, version)
    assert expected in tarsums(expected.partition(":")[0], JSON, in_blocks(tars.PACKERS[packer](sent), block))
