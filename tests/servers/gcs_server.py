"""A server that answers as Google Cloud Storage does: what the registry uses of its JSON API, and signed URLs.

Run as `python -m tests.servers.gcs_server PORT FOLDER`. FOLDER holds `accounts.json`: for each service account's
e-mail its public key (PEM) and its role on every bucket. Contents are kept there as files, zeros as holes, so that
five gigabytes of nothing take no space; metadata is kept in memory.

Faithful where it matters to a client: strong consistency, generations and their preconditions, pages, resumable
sessions (granules of 256 KiB survive a broken request; 308 says how many), rewrites in several calls, bearer tokens
for signed assertions, V4 signatures, and the bodies of failures. Left out: versions, ACLs, MD5 sums (composite
objects have none either), customer keys.

Under `/_control` tests make buckets, plan mishaps, and ask what was requested.
"""

from __future__ import annotations

import base64
import bisect
import contextlib
import hashlib
import http.server
import json
import os
import re
import secrets
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import google_crc32c
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

GRANULE = 256 * 1024
ZEROS = bytes(GRANULE)
PAGE = 1000
REWRITTEN_A_CALL = 1024**3
TOKEN_SECONDS = 3600
AUDIENCE = "https://oauth2.googleapis.com/token"
"""What assertions are for, wherever they are sent."""
LONGEST_SIGNATURE = 7 * 24 * 3600

PERMISSIONS = {
    "roles/storage.objectAdmin": {"get", "list", "create", "delete"},
    "roles/storage.objectViewer": {"get", "list"},
    "roles/storage.objectCreator": {"create"},
}


class Refused(Exception):
    """An answer other than success; `reason` is the JSON API's, `code` the XML API's."""

    def __init__(self, status: int, reason: str, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.code = code

    def as_json(self) -> bytes:
        error = {"message": self.message, "domain": "global", "reason": self.reason}
        if self.status == 412:
            error |= {"locationType": "header", "location": "If-Match"}
        if self.status == 401:
            error |= {"locationType": "header", "location": "Authorization"}
        body = {"error": {"code": self.status, "message": self.message, "errors": [error]}}
        return json.dumps(body, indent=2).encode()

    def as_xml(self) -> bytes:
        return (
            "<?xml version='1.0' encoding='UTF-8'?>"
            f"<Error><Code>{self.code}</Code><Message>{self.message}</Message></Error>"
        ).encode()


class Dropped(Exception):
    """The connection is to end without an answer."""


def no_bucket() -> Refused:
    return Refused(404, "notFound", "The specified bucket does not exist.", "NoSuchBucket")


def no_object(bucket: str, name: str) -> Refused:
    return Refused(404, "notFound", f"No such object: {bucket}/{name}", "NoSuchKey")


def not_met() -> Refused:
    return Refused(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")


def bad(message: str) -> Refused:
    return Refused(400, "invalid", message, "InvalidArgument")


@dataclass
class Stored:
    """One generation of an object; its file never changes."""

    name: str
    generation: int
    file: Path
    size: int
    crc32c: str
    content_type: str
    metadata: dict[str, str]
    created: str

    def resource(self, bucket: str) -> dict[str, Any]:
        return {
            "kind": "storage#object",
            "id": f"{bucket}/{self.name}/{self.generation}",
            "name": self.name,
            "bucket": bucket,
            "generation": str(self.generation),
            "metageneration": "1",
            "contentType": self.content_type,
            "storageClass": "STANDARD",
            "size": str(self.size),
            "crc32c": self.crc32c,
            "etag": base64.b64encode(str(self.generation).encode()).decode(),
            "timeCreated": self.created,
            "updated": self.created,
            **({"metadata": self.metadata} if self.metadata else {}),
        }


class Content:
    """Bytes on their way into a file; blocks of nothing but zeros become holes."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / uuid.uuid4().hex
        self.size = 0
        self._file = self.path.open("xb", buffering=0)
        self._checksum = google_crc32c.Checksum()

    def add(self, block: bytes) -> None:
        self._checksum.update(block)
        self.size += len(block)
        if block == ZEROS[: len(block)]:
            self._file.seek(self.size)
        else:
            self._file.write(block)

    def crc32c(self) -> str:
        return base64.b64encode(self._checksum.digest()).decode()

    def close(self) -> None:
        if not self._file.closed:
            self._file.truncate(self.size)
            self._file.close()

    def drop(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)


@dataclass
class Bucket:
    name: str
    is_public: bool
    objects: dict[str, Stored] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)


@dataclass
class Session:
    """A resumable upload; `turn` tells a request that a later one has taken over."""

    bucket: str
    name: str
    document: dict[str, Any]
    conditions: dict[str, str]
    content: Content
    done: Stored | None = None
    turn: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Mishap:
    """Something planned to go wrong with the next `times` requests of a kind.

    `when` is before the work is done, or after. Status 0 drops the connection. `keep` is how much of a chunk is
    kept, in whole granules of bytes, and `damaged` changes a bit in each block of the body, all being well otherwise.
    """

    method: str
    path: str
    when: str = "before"
    status: int = 503
    times: int = 1
    keep: int | None = None
    damaged: bool = False


class Store:
    """Buckets, objects and sessions, changed under one lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "contents"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self.buckets: dict[str, Bucket] = {}
        self.sessions: dict[str, Session] = {}
        self.rewrites: dict[str, tuple[tuple[str, ...], int]] = {}
        self._last_generation = 0

    def bucket(self, name: str) -> Bucket:
        if name not in self.buckets:
            raise no_bucket()
        return self.buckets[name]

    def find(self, bucket: str, name: str, query: dict[str, str]) -> Stored:
        with self.lock:
            found = self.bucket(bucket).objects.get(name)
            if found is None or query.get("generation", str(found.generation)) != str(found.generation):
                raise no_object(bucket, name)
            check(found, query)
            return found

    def publish(
        self, bucket: str, name: str, content: Content, document: dict[str, Any], query: dict[str, str]
    ) -> Stored:
        content.close()
        with self.lock:
            there = self.bucket(bucket)
            before = there.objects.get(name)
            check(before, query)
            stored = Stored(
                name, self._next_generation(), content.path, content.size, content.crc32c(),
                document.get("contentType", "application/octet-stream"), document.get("metadata", {}), now(),
            )  # fmt: skip
            there.objects[name] = stored
            if before is None:
                bisect.insort(there.names, name)
            else:
                before.file.unlink()
            return stored

    def delete(self, bucket: str, name: str, query: dict[str, str]) -> None:
        with self.lock:
            found = self.find(bucket, name, query)
            there = self.buckets[bucket]
            del there.objects[name]
            there.names.pop(bisect.bisect_left(there.names, name))
            found.file.unlink()

    def copy(self, source: Stored, bucket: str, name: str, query: dict[str, str]) -> Stored:
        content = Content(self.folder)
        content.drop()
        with self.lock:
            os.link(source.file, content.path)
            content.size = source.size
            stored = self.publish(bucket, name, content, {"contentType": source.content_type}, query)
            stored.crc32c = source.crc32c
            return stored

    def list(self, bucket: str, query: dict[str, str]) -> dict[str, Any]:
        """A page: names in order, those with the delimiter past the prefix rolled up to a prefix each."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        most = min(int(query.get("maxResults", PAGE)), PAGE)
        after = base64.urlsafe_b64decode(query["pageToken"]).decode() if "pageToken" in query else ""
        items: list[dict[str, Any]] = []
        prefixes: list[str] = []
        with self.lock:
            there = self.bucket(bucket)
            for entry, is_prefix in entries(there.names, prefix, delimiter, after):
                if len(items) + len(prefixes) == most:
                    last = max(items[-1]["name"] if items else "", prefixes[-1] if prefixes else "")
                    token = base64.urlsafe_b64encode(last.encode()).decode()
                    return page(items, prefixes) | {"nextPageToken": token}
                if is_prefix:
                    prefixes.append(entry)
                else:
                    items.append(there.objects[entry].resource(bucket))
        return page(items, prefixes)

    def _next_generation(self) -> int:
        self._last_generation = max(self._last_generation + 1, time.time_ns() // 1000)
        return self._last_generation


def page(items: list[dict[str, Any]], prefixes: list[str]) -> dict[str, Any]:
    """What is empty is left out, as the API does."""
    listed = {"kind": "storage#objects", "items": items, "prefixes": prefixes}
    return {key: value for key, value in listed.items() if value}


def entries(names: list[str], prefix: str, delimiter: str, after: str) -> Iterator[tuple[str, bool]]:
    """Names and rolled-up prefixes past `after`, in order, each once."""
    at = bisect.bisect_left(names, max(prefix, after))
    while at < len(names) and names[at].startswith(prefix):
        name = names[at]
        end = name.find(delimiter, len(prefix)) if delimiter else -1
        if end < 0:
            at += 1
            if name > after:
                yield name, False
            continue
        rolled = name[: end + len(delimiter)]
        if rolled > after:
            yield rolled, True
        at = bisect.bisect_left(names, rolled[:-1] + chr(ord(rolled[-1]) + 1))


def check(found: Stored | None, query: dict[str, str]) -> None:
    wanted = query.get("ifGenerationMatch")
    if wanted is not None and int(wanted) != (0 if found is None else found.generation):
        raise not_met()


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Accounts:
    """Who may do what: service accounts, their keys, and the tokens given to them."""

    def __init__(self, file: Path) -> None:
        self._known = json.loads(file.read_text(encoding="utf-8"))
        self._tokens: dict[str, tuple[str, float]] = {}

    def token_for(self, assertion: str, audience: str) -> dict[str, Any]:
        """RFC 7523: a token for a signed assertion of who one is."""
        try:
            head, body, signature = assertion.split(".")
            claims = json.loads(unpadded(body))
            self._verify(claims["iss"], f"{head}.{body}".encode(), unpadded(signature))
        except (ValueError, KeyError, InvalidSignature) as error:
            raise Refused(400, "invalid_grant", "Invalid JWT Signature.") from error
        if claims["aud"] != audience or not claims["iat"] - 300 < time.time() < claims["exp"]:
            raise Refused(400, "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes).")
        token = "ya29." + secrets.token_urlsafe(24)
        self._tokens[token] = (claims["iss"], time.time() + TOKEN_SECONDS)
        return {"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"}

    def behind(self, authorization: str | None) -> str | None:
        """The account a header speaks for; None for nobody."""
        if authorization is None:
            return None
        email, until = self._tokens.get(authorization.removeprefix("Bearer "), ("", 0.0))
        if time.time() > until:
            raise Refused(401, "authError", "Invalid Credentials", "AuthenticationRequired")
        return email

    def revoke_all(self) -> None:
        self._tokens.clear()

    def demand(self, email: str | None, permission: str, bucket: Bucket) -> None:
        if bucket.is_public:
            return
        what = f"access to the Google Cloud Storage {'bucket' if permission == 'list' else 'object'}"
        denied = f"Permission 'storage.objects.{permission}' denied on resource (or it may not exist)."
        if email is None:
            message = f"Anonymous caller does not have storage.objects.{permission} {what}. {denied}"
            raise Refused(401, "required", message, "AccessDenied")
        if permission not in PERMISSIONS[self._known[email]["role"]]:
            message = f"{email} does not have storage.objects.{permission} {what}. {denied}"
            raise Refused(403, "forbidden", message, "AccessDenied")

    def signer_of(self, method: str, target: str, headers: Any) -> str:
        """The account whose V4 signature a URL bears."""
        path, _, raw = target.partition("?")
        query = dict(parse_qsl(raw, keep_blank_values=True))
        try:
            signature = bytes.fromhex(query.pop("X-Goog-Signature"))
            email, scope = query["X-Goog-Credential"].split("/", 1)
            signed_at = datetime.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
            lasts = int(query["X-Goog-Expires"])
            names = query["X-Goog-SignedHeaders"].split(";")
        except (KeyError, ValueError) as error:
            raise Refused(400, "invalid", "Your request has a malformed header.", "MalformedSecurityHeader") from error
        if not 0 < lasts <= LONGEST_SIGNATURE:
            raise Refused(400, "invalid", "Your request has a malformed header.", "MalformedSecurityHeader")
        canonical = "&".join(sorted(f"{quote(key, safe='~')}={quote(value, safe='~')}" for key, value in query.items()))
        lines = [f"{name}:{' '.join((headers.get(name) or '').split())}" for name in names]
        request = "\n".join([method, path, canonical, *lines, "", ";".join(names), "UNSIGNED-PAYLOAD"])
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = "\n".join(["GOOG4-RSA-SHA256", query["X-Goog-Date"], scope, digest])
        try:
            self._verify(email, text.encode(), signature)
        except (KeyError, InvalidSignature) as error:
            raise Refused(403, "forbidden", "Access denied.", "SignatureDoesNotMatch") from error
        if not signed_at - 900 < time.time() < signed_at + lasts:
            raise Refused(400, "invalid", "The provided token has expired.", "ExpiredToken")
        return email

    def _verify(self, email: str, text: bytes, signature: bytes) -> None:
        key: Any = serialization.load_pem_public_key(self._known[email]["key"].encode())
        key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, port: int, folder: Path) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.store = Store(folder)
        self.accounts = Accounts(folder / "accounts.json")
        self.mishaps: list[Mishap] = []
        self.seen: list[str] = []
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that is gone is no news."""
        error = sys.exception()
        if not isinstance(error, (OSError, Dropped)):
            super().handle_error(request, client_address)

    def mishap(self, method: str, path: str) -> Mishap | None:
        with self.lock:
            self.seen.append(f"{method} {path}")
            for planned in self.mishaps:
                if planned.times and planned.method == method and planned.path in unquote(path):
                    planned.times -= 1
                    return planned
        return None


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection; each request is answered by the first route that fits."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = GRANULE
    server: Server

    def handle_request(self) -> None:
        self._left = int(self.headers.get("Content-Length") or 0)
        self._query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        path = urlsplit(self.path).path
        self._mishap = None if path.startswith("/_control/") else self.server.mishap(self.command, self.path)
        try:
            if self._mishap and self._mishap.keep is None and not self._mishap.damaged:
                self._go_wrong(path, self._mishap)
            else:
                self._route(path)
        except Refused as refused:
            self._refuse(path, refused)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_request

    def log_message(self, *_: object) -> None:
        """The tests ask `/_control/seen`."""

    def _go_wrong(self, path: str, mishap: Mishap) -> None:
        if mishap.when == "after":
            done = self._answer
            self._answer = lambda *_, **__: None  # type: ignore[method-assign]
            try:
                with contextlib.suppress(Refused):
                    self._route(path)
            finally:
                self._answer = done  # type: ignore[method-assign]
        if mishap.status == 0:
            raise Dropped
        raise Refused(mishap.status, "backendError", "Backend Error", "InternalError")

    def _route(self, path: str) -> None:
        for pattern, act in ROUTES:
            match = re.fullmatch(pattern, f"{self.command} {path}")
            if match:
                act(self, *map(unquote, match.groups()))
                return
        raise Refused(404, "notFound", "Not Found", "NoSuchKey")

    def _refuse(self, path: str, refused: Refused) -> None:
        if path == "/token":
            body = json.dumps({"error": refused.reason, "error_description": refused.message}).encode()
            self._answer(refused.status, body, {"Content-Type": "application/json"})
        elif re.match("/(storage|upload)/", path):
            self._answer(refused.status, refused.as_json(), {"Content-Type": "application/json; charset=UTF-8"})
        elif path.startswith("/download/"):
            self._answer(refused.status, refused.message.encode(), {"Content-Type": "text/html; charset=UTF-8"})
        else:
            self._answer(refused.status, refused.as_xml(), {"Content-Type": "application/xml; charset=UTF-8"})

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        while self._left:
            self._read(GRANULE)
        self.send_response_only(status, {308: "Resume Incomplete", 499: "Client Closed Request"}.get(status))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _say(self, document: Any) -> None:
        body = json.dumps(chosen(document, self._query.get("fields"))).encode()
        self._answer(200, body, {"Content-Type": "application/json; charset=UTF-8"})

    def _read(self, most: int) -> bytes:
        """Up to so many bytes of the request's body. Raises Dropped where the client ended early."""
        block = self.rfile.read(min(most, self._left))
        self._left -= len(block)
        if len(block) < most and self._left:
            self._left = 0
            raise Dropped
        if self._mishap and self._mishap.damaged:
            middle = len(block) // 2
            block = block[:middle] + bytes([block[middle] ^ 1]) + block[middle + 1 :]
        return block

    def _may(self, permission: str, bucket: str) -> None:
        email = self.server.accounts.behind(self.headers.get("Authorization"))
        self.server.accounts.demand(email, permission, self.server.store.bucket(bucket))

    def _may_store(self, bucket: str, name: str) -> None:
        self._may("create", bucket)
        if name in self.server.store.bucket(bucket).objects:
            self._may("delete", bucket)

    # The JSON API.

    def token(self) -> None:
        form = dict(parse_qsl(self._read(self._left).decode()))
        self._say(self.server.accounts.token_for(form.get("assertion", ""), AUDIENCE))

    def list_objects(self, bucket: str) -> None:
        self._may("list", bucket)
        self._say(self.server.store.list(bucket, self._query))

    def get_object(self, bucket: str, name: str) -> None:
        self._may("get", bucket)
        found = self.server.store.find(bucket, name, self._query)
        if self._query.get("alt") == "media":
            self._send_media(found)
        else:
            self._say(found.resource(bucket))

    def delete_object(self, bucket: str, name: str) -> None:
        self._may("delete", bucket)
        self.server.store.delete(bucket, name, self._query)
        self._answer(204)

    def rewrite(self, bucket: str, name: str, target_bucket: str, target: str) -> None:
        """Large objects take several calls, each but the last answering a token for the next."""
        self._may("get", bucket)
        self._may_store(target_bucket, target)
        store, token = self.server.store, self._query.get("rewriteToken")
        kept = {"ifGenerationMatch": wanted} if (wanted := self._query.get("ifSourceGenerationMatch")) else {}
        found = store.find(bucket, name, kept)
        what, done = (bucket, name, str(found.generation), target_bucket, target), 0
        if token is not None:
            expected, done = store.rewrites.get(token, ((), 0))
            if expected != what:
                raise bad("The rewrite token is invalid.")
        done = min(found.size, done + REWRITTEN_A_CALL)
        answer = {"kind": "storage#rewriteResponse", "objectSize": str(found.size), "totalBytesRewritten": str(done)}
        if done < found.size:
            token = secrets.token_urlsafe(16)
            store.rewrites[token] = (what, done)
            self._say(answer | {"done": False, "rewriteToken": token})
            return
        copied = store.copy(found, target_bucket, target, self._query)
        self._say(answer | {"done": True, "resource": copied.resource(target_bucket)})

    def upload(self, bucket: str) -> None:
        kind = self._query.get("uploadType")
        if kind == "multipart":
            self._upload_multipart(bucket)
        elif kind == "resumable":
            self._start_session(bucket)
        else:
            raise bad("Upload requests must include an uploadType URL parameter.")

    def _upload_multipart(self, bucket: str) -> None:
        body = self._read(self._left)
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = BytesParser().parsebytes(head + body).get_payload()
        if not isinstance(parts, list) or len(parts) != 2:
            raise bad("Malformed multipart body.")
        document = json.loads(parts[0].get_payload(decode=True))
        boundary = re.search(r'boundary="?([^";]+)', self.headers["Content-Type"])[1].encode()
        # The parser above reads lines; a payload is what lies between its blank line and the last boundary.
        start = body.index(b"\r\n\r\n", body.index(b"--" + boundary, 2)) + 4
        payload = body[start : body.rindex(b"\r\n--" + boundary + b"--")]
        name = self._query.get("name", document.get("name"))
        self._may_store(bucket, name)
        content = Content(self.server.store.folder)
        for at in range(0, len(payload), GRANULE):
            content.add(payload[at : at + GRANULE])
        demand_checksum(content, document.get("crc32c"))
        self._say(self.server.store.publish(bucket, name, content, document, self._query).resource(bucket))

    def _start_session(self, bucket: str) -> None:
        document = json.loads(self._read(self._left) or b"{}")
        document.setdefault("contentType", self.headers.get("X-Upload-Content-Type", "application/octet-stream"))
        name = self._query.get("name", document.get("name"))
        self._may_store(bucket, name)
        with self.server.store.lock:
            check(self.server.store.bucket(bucket).objects.get(name), self._query)
        key = secrets.token_urlsafe(24)
        content = Content(self.server.store.folder)
        self.server.store.sessions[key] = Session(bucket, name, document, self._query, content)
        location = (
            f"http://{self.headers['Host']}/upload/storage/v1/b/{quote(bucket)}/o?uploadType=resumable&upload_id={key}"
        )
        self._answer(200, b"", {"Location": location, "X-GUploader-UploadID": key})

    def resume(self, _bucket: str) -> None:
        """A chunk of a session, or a question how far it got. The session's URL is all the right one needs."""
        session = self.server.store.sessions.get(self._query.get("upload_id", ""))
        if session is None:
            raise Refused(404, "notFound", "Not Found")
        pattern = r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)"
        match = re.fullmatch(pattern, self.headers.get("Content-Range", ""))
        if match is None:
            raise bad("Failed to parse Content-Range header.")
        first, last, total = (None if text in (None, "*") else int(text) for text in match.groups())
        with session.lock:
            session.turn += 1
            turn = session.turn
        if session.done is None and first is not None and last is not None:
            self._take_chunk(session, turn, first, last, total)
        if session.done is None and total == session.content.size:
            self._finish(session)
        if session.done is not None:
            self._say(session.done.resource(session.bucket))
            return
        kept = session.content.size
        self._answer(308, b"", {"Range": f"bytes=0-{kept - 1}"} if kept else None)

    def _take_chunk(self, session: Session, turn: int, first: int, last: int, total: int | None) -> None:
        """Keep whole granules as they come, and what is left over only at the very end."""
        length, is_last = last + 1 - first, total == last + 1
        if length != self._left:
            raise bad("Invalid request. There were more or fewer bytes in the request than in Content-Range.")
        if not is_last and length < GRANULE:
            raise bad(
                f"Invalid request.  The number of bytes uploaded is required to be equal or greater than {GRANULE}, "
                "except for the final request (it's recommended to be the exact multiple of "
                f"{GRANULE}).  The received request contained {length} bytes, which does not meet this requirement."
            )
        if first > session.content.size:
            raise bad(
                f"Invalid request.  According to the Content-Range header, the upload offset is {first} byte(s), "
                f"which exceeds already uploaded size of {session.content.size} byte(s)."
            )
        self._read_exactly(session.content.size - first)
        most = self._mishap.keep if self._mishap and self._mishap.keep is not None else length
        while self._left and most > 0:
            granule = self._read(GRANULE)
            most -= GRANULE
            with session.lock:
                if session.turn != turn:
                    raise Dropped
                if len(granule) == GRANULE or is_last:
                    session.content.add(granule)

    def _read_exactly(self, count: int) -> None:
        while count > 0:
            count -= len(self._read(min(count, GRANULE)))

    def _finish(self, session: Session) -> None:
        promised = self.headers.get("X-Goog-Hash", "")
        demand_checksum(session.content, promised.removeprefix("crc32c=") or session.document.get("crc32c"))
        with session.lock:
            session.done = self.server.store.publish(
                session.bucket, session.name, session.content, session.document, session.conditions
            )

    def cancel_session(self, _bucket: str) -> None:
        session = self.server.store.sessions.pop(self._query.get("upload_id", ""), None)
        if session is None:
            raise Refused(404, "notFound", "Not Found")
        if session.done is None:
            session.content.drop()
        self._answer(499)

    # The XML API, as far as signed URLs go.

    def get_by_url(self, bucket: str, name: str) -> None:
        if "X-Goog-Signature" in self._query:
            email: str | None = self.server.accounts.signer_of(self.command, self.path, self.headers)
        else:
            email = self.server.accounts.behind(self.headers.get("Authorization"))
        try:
            self.server.accounts.demand(email, "get", self.server.store.bucket(bucket))
        except Refused as refused:
            raise Refused(403, refused.reason, "Access denied.", "AccessDenied") from refused
        self._send_media(self.server.store.find(bucket, name, {}))

    def _send_media(self, found: Stored) -> None:
        with found.file.open("rb") as file:
            start, stop = self._span(found.size)
            status = 200 if "Range" not in self.headers else 206
            self.send_response_only(status)
            if status == 206:
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{found.size}")
            self.send_header("Content-Type", found.content_type)
            self.send_header("Content-Length", str(stop - start))
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("X-Goog-Generation", str(found.generation))
            self.send_header("X-Goog-Hash", f"crc32c={found.crc32c}")
            self.send_header("X-Goog-Stored-Content-Length", str(found.size))
            self.end_headers()
            if self.command == "GET" and stop > start:
                self.connection.sendfile(file, start, stop - start)

    def _span(self, size: int) -> tuple[int, int]:
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if match is None:
            return 0, size
        start, stop = int(match[1]), min(int(match[2]) + 1, size) if match[2] else size
        if start >= size:
            raise Refused(416, "requestedRangeNotSatisfiable", "Request range not satisfiable", "InvalidRange")
        return start, stop

    # What tests may ask for besides.

    def control_bucket(self) -> None:
        wanted = json.loads(self._read(self._left))
        self.server.store.buckets[wanted["name"]] = Bucket(wanted["name"], wanted["public"])
        self._say({})

    def control_drop(self, bucket: str) -> None:
        del self.server.store.buckets[bucket]
        self._say({})

    def control_mishaps(self) -> None:
        with self.server.lock:
            self.server.mishaps = [Mishap(**planned) for planned in json.loads(self._read(self._left))]
            self.server.seen.clear()
        self._say({})

    def control_seen(self) -> None:
        with self.server.lock:
            self._say(self.server.seen)

    def control_revoke(self) -> None:
        self.server.accounts.revoke_all()
        self._say({})

    def control_sessions(self, bucket: str) -> None:
        """Uploads that hold something and are neither finished nor cancelled."""
        held = [session for session in self.server.store.sessions.values() if session.bucket == bucket]
        self._say([session.name for session in held if session.done is None and session.content.size])


def demand_checksum(content: Content, promised: str | None) -> None:
    if promised and promised != content.crc32c():
        raise bad(f'Provided CRC32C "{promised}" doesn\'t match calculated CRC32C "{content.crc32c()}".')


def chosen(document: Any, fields: str | None) -> Any:
    """Only the fields asked for, as `name,items(name,size)`."""
    if fields is None:
        return document
    answer = {}
    for name, inner in re.findall(r"(\w+)(?:\(([^)]*)\))?", fields):
        if name in document:
            value = document[name]
            answer[name] = [chosen(item, inner) for item in value] if inner else value
    return answer


_OBJECT = r"/storage/v1/b/([^/]+)/o/([^/]+)"
ROUTES: list[tuple[str, Callable[..., None]]] = [
    ("POST /token", Handler.token),
    (r"GET /storage/v1/b/([^/]+)/o", Handler.list_objects),
    (f"GET (?:/download)?{_OBJECT}", Handler.get_object),
    (f"DELETE {_OBJECT}", Handler.delete_object),
    (f"POST {_OBJECT}/rewriteTo/b/([^/]+)/o/([^/]+)", Handler.rewrite),
    (r"POST /upload/storage/v1/b/([^/]+)/o", Handler.upload),
    (r"PUT /upload/storage/v1/b/([^/]+)/o", Handler.resume),
    (r"DELETE /upload/storage/v1/b/([^/]+)/o", Handler.cancel_session),
    ("POST /_control/bucket", Handler.control_bucket),
    ("DELETE /_control/bucket/([^/]+)", Handler.control_drop),
    ("POST /_control/mishaps", Handler.control_mishaps),
    ("GET /_control/seen", Handler.control_seen),
    ("POST /_control/revoke", Handler.control_revoke),
    ("GET /_control/sessions/([^/]+)", Handler.control_sessions),
    (r"(?:GET|HEAD) /([^/]+)/(.+)", Handler.get_by_url),
]


def main(arguments: list[str]) -> None:
    port, folder = arguments
    Server(int(port), Path(folder)).serve_forever(poll_interval=0.2)


if __name__ == "__main__":
    main(sys.argv[1:])
