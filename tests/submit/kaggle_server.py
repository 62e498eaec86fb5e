"""A server on loopback that speaks the official client's protocol, to which KAGGLE_API_ENVIRONMENT=TEST sends it unmodified.

It has competitions with files and answers, takes submissions and scores them, and fails in every way that it is told to.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import socket
import threading
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PORT = 7777  # the client's own
SERVICE = "/api/v1/competitions.CompetitionApiService/"
TOKEN, ACCOUNT, KEY = "KGAT-canary-of-the-loopback", "canary-account", "canary-key-0123456789"
ETAG = '"one"'


@dataclass
class Held:
    """A competition on the site. entered: whether the person has joined. answers: the truth by id, to score by the mean absolute error.

    pending: how often a submission is listed before it has a score.
    """

    files: dict[str, bytes]
    answers: Mapping[str, float] = field(default_factory=dict)
    entered: bool = True
    entrants: timedelta = timedelta(days=9)
    limit: int = 5
    pending: int = 1
    listed: dict[str, int] | None = None

    def archive(self) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.files.items():
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        return buffer.getvalue()


@dataclass(frozen=True)
class Fault:
    """What a request meets instead of its answer: a status with words; or the answer, cut or slowed down.

    cut: so many bytes of the body are sent, then the connection ends; below 0, before anything is sent. after: the request is carried out before. slow: seconds of silence in
    the middle of the body. body: sent in its place.
    """

    status: int = 200
    words: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    after: bool = False
    slow: float = 0.0
    body: bytes | None = None


class KaggleServer(ThreadingHTTPServer):
    """Use it as a context. faults: by a request's word (the last of its path; upload, blob), those of its next requests. seen: the words of
    all requests. after: by word, what is done when a request was carried out and before it is answered.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.seen: list[str] = []
        self.ranges: list[str] = []
        self.sent: list[dict[str, Any]] = []
        self.uploads: dict[str, dict[str, Any]] = {}
        self.page = 2  # entries of a list's page, whatever was asked for
        self.inside = threading.RLock()
        self.after: dict[str, Callable[[], object]] = {}
        super().__init__(("127.0.0.1", PORT), Handler)

    def __enter__(self) -> KaggleServer:
        threading.Thread(target=self.serve_forever, args=[0.02], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what is tested."""

    def count(self, word: str) -> int:
        return sum(path.rpartition("/")[2] == word for path in self.seen)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: KaggleServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is called
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        word = self.path.removeprefix(SERVICE)
        fault = self.begin(word)
        if fault is not None and fault.status != 200 and not fault.after:
            return self.refuse(fault)
        if not self.signed_in():
            return self.refuse(Fault(401, f"Unauthenticated: {self.headers.get('Authorization')}"))
        with self.server.inside:
            status, answer, headers = self.ask(word, json.loads(body or "{}"))
        self.server.after.get(word, bool)()
        if fault is not None and fault.status != 200:
            return self.refuse(fault)
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return self.answer(status, content, {"Content-Type": "application/json", **headers}, fault)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.begin("upload")
        assert "Authorization" not in self.headers, "a stranger's store was given the credentials"
        if fault is not None and fault.status != 200:
            return self.refuse(fault)
        token = self.path.rpartition("/")[2]
        self.server.uploads[token]["content"] = content
        self.server.after.get("upload", bool)()
        return self.answer(200, b"", {}, fault)

    def do_GET(self) -> None:
        """The store of files, to which the site sends those who download; it knows ranges."""
        fault = self.begin("blob")
        if fault is not None and fault.status != 200:
            return self.refuse(fault)
        slug = self.path.split("/")[2].partition("?")[0]
        content = self.server.held[slug].archive()
        headers = {"ETag": ETAG, "Accept-Ranges": "bytes", "Content-Type": "application/zip"}
        asked = self.headers.get("Range")
        if asked and self.headers.get("If-Range") == ETAG:
            self.server.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return self.answer(206, content[start:], headers, fault)
        return self.answer(200, content, headers, fault)

    # ---------------------------------------------------------------------------------------------------------------- protocol

    def ask(self, word: str, told: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        server, slug = self.server, told.get("competitionName", "")
        held = server.held.get(slug)
        if held is None:  # what the site says of a slug that nobody has
            return self.no(403, f"Permission 'competitions.get' was denied on {slug}")
        start = int(told.get("pageToken") or 0)
        following = {"nextPageToken": str(start + server.page)}
        if word == "GetCompetition":
            now = datetime.now(UTC).replace(tzinfo=None)
            dates = {"newEntrantDeadline": moment(now + held.entrants), "deadline": moment(now + timedelta(days=30))}
            return 200, {"id": 1, "ref": slug, "userHasEntered": held.entered, **dates}, {}
        if not held.entered:
            return self.no(400 if "Submission" in word else 403, "Forbidden")
        if word == "ListDataFiles":
            sizes = held.listed or {name: len(content) for name, content in held.files.items()}
            files = [{"name": name, "totalBytes": size} for name, size in sizes.items()]
            return (
                200,
                {"files": files[start : start + server.page], **(following if start + server.page < len(files) else {})},
                {},
            )
        if word == "DownloadDataFiles":
            return 302, b"", {"Location": f"http://localhost:{PORT}/blob/{slug}?signature=canary-of-a-signed-address"}
        mine = [one for one in server.sent if one["slug"] == slug]
        if word == "GetSubmissionLimits":
            return 200, {"numToday": len(mine), "numTotal": len(mine), "numAllowedNow": max(0, held.limit - len(mine))}, {}
        if word == "StartSubmissionUpload":
            token = f"upload-{len(server.uploads)}"
            server.uploads[token] = told
            return 200, {"token": token, "createUrl": f"http://localhost:{PORT}/store/{token}"}, {}
        if word == "CreateSubmission":
            upload = server.uploads.get(told["blobFileTokens"], {})
            if len(upload.get("content", b"")) != upload.get("contentLength"):
                return self.no(400, "The upload is not complete")
            if len(mine) >= held.limit:
                return self.no(400, "Submission not allowed: your team has used its submissions of today")
            ref = 1000 + len(server.sent)
            server.sent.append({"slug": slug, "ref": ref, "asked": 0, "time": datetime.now(UTC), "told": told, **upload})
            return 200, {"message": "Successfully submitted", "ref": ref}, {}
        if word == "ListSubmissions":
            page = mine[::-1][start : start + server.page]
            return (
                200,
                {"submissions": [line(held, one) for one in page], **(following if start + server.page < len(mine) else {})},
                {},
            )
        return self.no(404, f"No method {word}")

    def no(self, status: int, words: str) -> tuple[int, Any, dict[str, str]]:
        return status, {"code": status, "message": words}, {}

    def signed_in(self) -> bool:
        basic = base64.b64encode(f"{ACCOUNT}:{KEY}".encode()).decode()
        return self.headers.get("Authorization") in (f"Bearer {TOKEN}", f"Basic {basic}")

    # -------------------------------------------------------------------------------------------------------------------- wire

    def begin(self, word: str) -> Fault | None:
        with self.server.inside:
            self.server.seen.append(word)
            waiting = self.server.faults[word]
            return waiting.pop(0) if waiting else None

    def refuse(self, fault: Fault) -> None:
        content = json.dumps({"code": fault.status, "message": fault.words}).encode() if fault.body is None else fault.body
        self.answer(fault.status, content, {"Content-Type": kind(content), **fault.headers}, None)

    def answer(self, status: int, content: bytes, headers: Mapping[str, str], fault: Fault | None) -> None:
        if fault is not None and fault.body is not None:
            content, headers = fault.body, {**headers, "Content-Type": kind(fault.body)}
        if fault is not None and fault.cut is not None and fault.cut < 0:
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if fault is None or (fault.cut is None and not fault.slow):
            self.wfile.write(content)
            return None
        at = len(content) // 2 if fault.cut is None else fault.cut
        self.wfile.write(content[:at])
        self.wfile.flush()
        time.sleep(fault.slow)
        if fault.cut is None:
            self.wfile.write(content[at:])
        else:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        return None


def kind(content: bytes) -> str:
    return "application/json" if content.startswith(b"{") else "text/html"


def line(held: Held, one: dict[str, Any]) -> dict[str, Any]:
    """A submission as the list has it."""
    told = {"ref": one["ref"], "date": moment(one["time"]), "fileName": one["fileName"], "totalBytes": len(one["content"])}
    told["description"] = one["told"].get("submissionDescription", "")
    one["asked"] += 1
    if one["asked"] <= held.pending:
        return told
    try:
        score = error(held.answers, one["content"])
    except (ValueError, KeyError):
        return {**told, "status": "ERROR", "errorDescription": "Submission must have 2 columns"}
    return {**told, "status": "COMPLETE", "publicScore": f"{score:.5f}", "privateScore": ""}


def error(answers: Mapping[str, float], content: bytes) -> float:
    rows = list(csv.reader(io.StringIO(content.decode())))[1:]
    return sum(abs(float(value) - answers[one]) for one, value in rows) / len(rows)


def moment(time: datetime) -> str:
    return time.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
