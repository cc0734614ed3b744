"""The API in front of the cluster, and everything that can befall a request."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.model.cluster import Cluster
from tests.model.network import Answer

Request = Mapping[str, object]
JSON, TEXT, HTML = "application/json", "text/plain", "text/html"
PAGE = b"<html><body><h1>Proxy Error</h1></body></html>"
_LAUNCHER_DIRECTORY = re.compile(r"^d=(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one submission.

    Attributes:
        executions: how often the cluster gets it before the answer.
        later: how often it gets it some time after.
        answer: makes the answer of the number of the job that came of it; nothing where the connection breaks.
        is_no: whether the answer says that there surely is no job.
        is_refusal: whether it says that there never will be one.
    """

    executions: int = 0
    later: int = 0
    answer: Callable[[str], bytes] = lambda _: b""
    is_no: bool = False
    is_refusal: bool = False


def reply(status_code: int, kind: str, body: bytes, retry_after: int = 0) -> bytes:
    """Return an HTTP answer."""
    lines = [
        f"HTTP/1.1 {status_code} Said",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *[f"Retry-After: {retry_after}"] * (retry_after > 0),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def document(status: str, reason: str, **rows: object) -> bytes:
    """Return a document of the API."""
    return json.dumps({"status": status, **rows, "reason": reason}).encode()


def _success(jobid: str) -> bytes:
    return reply(200, JSON, document("call_success", jobid))


def _failure(reason: str) -> Callable[[str], bytes]:
    return lambda _: reply(200, JSON, document("call_failed", reason))


def _page(status_code: int, kind: str = HTML, retry_after: int = 0) -> Callable[[str], bytes]:
    return lambda _: reply(status_code, kind, PAGE if kind == HTML else b"slurm_load_jobs error", retry_after)


SUBMISSION_FATES: Mapping[str, Fate] = {
    "accepted": Fate(1, answer=_success),
    "no connection": Fate(),
    "lost before": Fate(),
    "lost after": Fate(1),
    "delayed": Fate(later=1),
    "doubled": Fate(2, answer=_success),
    "doubled later": Fate(1, later=1, answer=_success),
    "500 before": Fate(answer=_page(500)),
    "500 after": Fate(1, answer=_page(500)),
    "502 and delayed": Fate(later=1, answer=_page(502)),
    "text before": Fate(answer=_page(200, TEXT)),
    "text after": Fate(1, answer=_page(200, TEXT)),
    "page after": Fate(1, answer=_page(200)),
    "cut off": Fate(1, answer=lambda jobid: _success(jobid)[:-4]),
    "no number": Fate(1, answer=lambda _: reply(200, JSON, document("call_success", "queued"))),
    "Slurm lost": Fate(answer=_failure("Socket timed out on send/recv operation")),
    "Slurm lost after": Fate(1, answer=_failure("Socket timed out on send/recv operation")),
    "not now": Fate(answer=_failure("Slurm temporarily unable to accept job, sleeping and retrying"), is_no=True),
    "refused": Fate(answer=_failure("bad_partition"), is_no=True, is_refusal=True),
    "too many": Fate(answer=_page(429, retry_after=40), is_no=True),
    "unauthorized": Fate(answer=_page(401), is_no=True),
}
"""By name; the first is the good one."""


Rows = Mapping[str, str]
"""What a listing shows: states by job number."""

LISTING_FATES: Mapping[str, Callable[[Rows], Rows]] = {
    "listed": lambda rows: rows,
    "empty": lambda _: {},
    "partial": lambda rows: dict(list(rows.items())[1::2]),
    "foreign": lambda rows: {"17": "FAILED", "9": "COMPLETED", **rows},
    "odd words": lambda rows: dict.fromkeys(rows, "HIBERNATING"),
}
"""What valid listings show, by name; the first is the good one."""

LISTING_FAULTS: Mapping[str, Callable[[Rows], bytes]] = {
    "no connection": lambda _: b"",
    "lost": lambda _: b"",
    "500": lambda _: _page(500)(""),
    "page": lambda _: _page(200)(""),
    "text": lambda _: _page(200, TEXT)(""),
    "unauthorized": lambda _: _page(401)(""),
    "call_failed": lambda _: _failure("backend_query_malloc_failed")(""),
    "cut off": lambda rows: listing(rows)[:-4],
}
"""Answers that are no listing, by name."""


def listing(rows: Rows) -> bytes:
    """Return the answer that lists these jobs."""
    shown = {jobid: {"user": "me", "name": "-", "partition": "norm", "state": state} for jobid, state in rows.items()}
    return reply(200, JSON, document("call_success", "query_success", **shown))


@dataclass(slots=True)
class Service:
    """The API.

    Attributes:
        cluster: takes the jobs.
        check_post: is told the token of each submission that comes in.
        note_answer: is told how it was answered.
        note_listing: is told the rows of each valid listing that the client gets.
        next_submission: the fate of the next submission, empty if it is that of all.
        submission: the fate of submissions.
        listing: the fate of listings.
        expects: the method of the next request, which decides whether there is a connection.
        delayed: submissions that the cluster has yet to get.
        accepted: the number that the client was told, by token.
        burn: is called before and after each request: the client may die there.
    """

    cluster: Cluster
    check_post: Callable[[str], None]
    note_answer: Callable[[str, Fate], None]
    note_listing: Callable[[Rows], None]
    next_submission: str = ""
    submission: str = "accepted"
    listing: str = "listed"
    expects: str = "GET"
    delayed: list[Request] = field(default_factory=list)
    accepted: dict[str, str] = field(default_factory=dict)
    burn: Callable[[], None] = lambda: None

    def connect(self) -> Answer:
        """Accept a connection.

        Raises:
            ConnectionRefusedError: there is none to be had.
        """
        self.burn()
        fate = self.listing if self.expects == "GET" else self.next_submission or self.submission
        if fate == "no connection":
            self.next_submission = ""
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        return self._answer

    def deliver(self, request: Request) -> str:
        """Hand a submission over to the cluster and return the job's number."""
        limit = request.get("timelimit")
        return self.cluster.take(token_of(request), limit_seconds(str(limit)) if limit else None)

    def _answer(self, request: bytes) -> bytes:
        answer = self._execute(request)
        self.burn()
        return answer

    def _execute(self, request: bytes) -> bytes:
        head, _, body = request.partition(b"\r\n\r\n")
        if head.startswith(b"POST "):
            return self._submit(json.loads(body))
        rows = self.cluster.rows()
        if self.listing in LISTING_FAULTS:
            return LISTING_FAULTS[self.listing](rows)
        shown = LISTING_FATES[self.listing](rows)
        self.note_listing(shown)
        return listing(shown)

    def _submit(self, request: Request) -> bytes:
        token = token_of(request)
        self.check_post(token)
        fate = SUBMISSION_FATES[self.next_submission or self.submission]
        self.next_submission = ""
        jobids = [self.deliver(request) for _ in range(fate.executions)]
        self.delayed += [request] * fate.later
        jobid = jobids[-1] if jobids else ""
        if fate.answer is _success:
            self.accepted[token] = jobid
        self.note_answer(token, fate)
        return fate.answer(jobid)


def token_of(request: Request) -> str:
    """Return which submission a request's launcher runs."""
    found = _LAUNCHER_DIRECTORY.search(str(request["script-body"]))
    assert found
    return Path(shlex.split(found.group(1))[0]).name


def limit_seconds(text: str) -> float:
    """Return a time limit, written as ``DD-HH:MM:SS``, in seconds."""
    days, _, clock = text.partition("-")
    hours, minutes, seconds = map(int, clock.split(":"))
    return float(((int(days) * 24 + hours) * 60 + minutes) * 60 + seconds)
