"""Configs against a Docker 1.12.6, and against what the OCI image specification demands.

`docker_1_12_6.json.gz` holds chains of image JSONs, the base first, the diff ids of their layers, and the id that a
real Docker 1.12.6 computed for the last of each when it pulled it from a v1 registry.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from registry_service.oci.config import ConfigLayer, image_config
from registry_service.oci.digests import Digest

CHAINS = json.loads(gzip.decompress((Path(__file__).parent / "docker_1_12_6.json.gz").read_bytes()))


@pytest.mark.parametrize("chain", CHAINS, ids=[chain["name"] for chain in CHAINS])
def test_ids_are_those_of_docker(chain: dict[str, Any]) -> None:
    layers = [
        ConfigLayer(described.encode(), Digest.parse(diff_id), is_empty=False)
        for described, diff_id in zip(chain["jsons"], chain["diff_ids"], strict=True)
    ]
    assert Digest.of(image_config(layers)) == chain["id"]
