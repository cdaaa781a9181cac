"""All of Swift from one parent, run by the Python that has it: ETC_FOLDER ACCOUNT_PORT CONTAINER_PORT OBJECT_PORT.

Makes the rings, imports Swift once, and forks a child for each `*-server.conf`.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

from swift.account import server as _account  # noqa: F401
from swift.common import constraints, ring, storage_policy, utils
from swift.common.wsgi import run_wsgi
from swift.container import server as _container  # noqa: F401
from swift.obj import server as objects
from swift.proxy import server as _proxy  # noqa: F401

PR_SET_PDEATHSIG = 1


def make_ring(path: Path, port: int) -> None:
    """One replica on one device."""
    builder = ring.RingBuilder(4, 1, 1)
    place = {"ip": "127.0.0.1", "port": port, "replication_ip": "127.0.0.1", "replication_port": port}
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 100.0, "device": "d1", "meta": "", **place})
    builder.rebalance()
    builder.get_ring().save(str(path))


def serve(conf: Path) -> int:
    """Fork a server that ends with its parent."""
    child = os.fork()
    if child:
        return child
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    section = conf.name.partition("-")[0] + "-server"
    extra = {"global_conf_callback": objects.global_conf_callback} if section == "object-server" else {}
    sys.exit(run_wsgi(str(conf), section, verbose=True, **extra))


def main() -> None:
    etc = Path(sys.argv[1])
    for name, port in zip(("account", "container", "object"), sys.argv[2:], strict=True):
        make_ring(etc / f"{name}.ring.gz", int(port))
    utils.set_swift_dir(str(etc))
    constraints.reload_constraints()
    storage_policy.reload_storage_policies()
    children = [serve(conf) for conf in sorted(etc.glob("*-server.conf"))]

    def end(*_: object) -> None:
        for child in children:
            os.kill(child, signal.SIGTERM)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    child, status = os.wait()
    sys.exit(f"child {child} ended with {status}")


if __name__ == "__main__":
    main()
