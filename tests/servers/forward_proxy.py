"""A forward proxy as companies have one, in a process of its own: absolute URLs and CONNECT, with a password if told.

It can reach hosts that nobody else can: `.invalid` names are this machine's. What it was asked it prints, line by line.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from contextlib import suppress
from urllib.parse import urlsplit


async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    with suppress(OSError):
        target.write_eof()


async def serve(wanted: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    line, _, rest = head.decode("latin-1").partition("\r\n")
    method, url, version = line.split(" ")
    print(method, url, flush=True)
    if wanted and f"Proxy-Authorization: Basic {wanted}".lower() not in rest.lower():
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
        return
    parts = urlsplit(f"//{url}" if method == "CONNECT" else url)
    host = "127.0.0.1" if (parts.hostname or "").endswith(".invalid") else parts.hostname
    back, forth = await asyncio.open_connection(host, parts.port or 80)
    if method == "CONNECT":
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    else:
        path = url.partition("://")[2].partition("/")[2]
        kept = "\r\n".join(
            text for text in rest.split("\r\n") if not text.lower().startswith(("proxy-", "connection:"))
        )
        forth.write(f"{method} /{path} {version}\r\nConnection: close\r\n{kept}".encode("latin-1"))
    await asyncio.gather(pump(reader, forth), pump(back, writer))
    forth.close()
    writer.close()


async def main(port: int, password: str) -> None:
    wanted = base64.b64encode(password.encode()).decode() if password else ""
    server = await asyncio.start_server(lambda reader, writer: serve(wanted, reader, writer), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""))
