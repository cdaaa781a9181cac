"""Serves a WSGI application in the foreground, run by the Python that has it: MODULE:NAME PORT."""

import importlib
import sys


def compare_zeros_at_once() -> None:
    """Glance's store looks for holes byte by byte, in Python: of five gigabytes that takes a minute."""
    store = importlib.import_module("glance_store._drivers.filesystem")
    vars(store)["any"] = lambda block: block != bytes(len(block))


def main() -> None:
    (module, _, name), port = sys.argv[1].partition(":"), sys.argv[2]
    # The application reads the command line too.
    del sys.argv[1:]
    application = getattr(importlib.import_module(module), name)
    if module.startswith("glance."):
        compare_zeros_at_once()
    serve = importlib.import_module("waitress").serve
    serve(
        application,
        listen=f"127.0.0.1:{port}",
        # SQLite does not let two transactions that read first write both: one at a time, and nobody waits for a client.
        threads=1,
        outbuf_high_watermark=1 << 40,
        max_request_body_size=1 << 40,
        inbuf_overflow=1 << 20,
        recv_bytes=1 << 18,
        send_bytes=65536,
        ident=None,
    )


if __name__ == "__main__":
    main()
