"""That nothing tagged is ever incomplete, and at rest nothing unreachable is left: real processes, some killed."""

from __future__ import annotations

import random
from pathlib import Path

from tests.units.registry_service.collection.soak import soak


def test_soak(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    assert soak(tmp_path, 40, seed) == [], f"seed {seed}"
