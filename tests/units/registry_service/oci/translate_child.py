"""A process that translates what is in the filesystem store at a directory: `DIRECTORY KILL-AT IMAGE…`.

The store's operations that change something are counted; before the one numbered KILL-AT the process kills itself. It
says the digests of the manifests if it lives to the end, after how many operations there were.
"""

from __future__ import annotations

import sys
from pathlib import Path

from common.names import ImageId
from registry_service.storage.guard import Guard
from tests.units.registry_service.graph.push_child import Deadly
from tests.units.registry_service.oci.store import OciStore


def main(root: str, kill_at: str, *images: str) -> None:
    driver = Deadly(Path(root))
    driver.strike_at = int(kill_at)
    store = OciStore(Guard(driver))
    digests = [store.translations.of(ImageId(image)).oci.digest for image in images]
    print(driver.done, *digests)


if __name__ == "__main__":
    main(*sys.argv[1:])
