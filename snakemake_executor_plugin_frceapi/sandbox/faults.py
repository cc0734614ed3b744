"""Faults on purpose: what can go wrong between a client and the API, for tests of clients and of pipelines.

Each fault changes one or several steps of a call; several together work in the order in which they were added. ::

    sandbox.faults.delay(3, call="query_status")
    sandbox.faults.status_code(503, retry_after=2, call="submit_job", count=1, after=True)   # accepted, yet "503"
    sandbox.faults.clear()
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Literal, TypedDict, Unpack

from snakemake_executor_plugin_frceapi.sandbox.rules import Refused

Call = Literal["submit_job", "query_status"]
Rows = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP response.

    Attributes:
        status: status code and phrase.
        content_type: media type of `body`.
        headers: further headers.
        body: the whole body.
    """

    status: str = "200 Success"
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Severed(Exception):
    """The connection is to be closed.

    Attributes:
        data: bytes that are sent before.
        reset: close it with a reset (RST), not in order.
    """

    def __init__(self, data: bytes = b"", *, reset: bool = False) -> None:
        super().__init__("connection closed on purpose")
        self.data = data
        self.reset = reset


def _no_reply() -> None:
    return None


def _same_document(document: dict[str, object]) -> dict[str, object]:
    return document


def _same_rows(rows: Rows) -> Rows:
    return rows


def _same_reply(reply: Reply) -> Reply:
    return reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What one fault does to a call. Each step may raise `Severed`, or `Refused` for a failure in the service's words.

    Attributes:
        before: runs before anything is executed; a reply ends the call.
        request: changes the parsed body of ``submit_job``.
        rows: changes the rows of ``query_status``.
        after: changes the reply after the call was executed.
    """

    before: Callable[[], Reply | None] = _no_reply
    request: Callable[[dict[str, object]], dict[str, object]] = _same_document
    rows: Callable[[Rows], Rows] = _same_rows
    after: Callable[[Reply], Reply] = _same_reply


class When(TypedDict, total=False):
    """When a fault happens.

    Attributes:
        call: ``submit_job`` or ``query_status``; None: both.
        count: how often; None: until `Faults.clear`.
        probability: of each request, between 0 and 1.
    """

    call: Call | None
    count: int | None
    probability: float


@dataclass(slots=True)
class _Armed:
    fault: Fault
    call: Call | None
    left: int | None
    probability: float


class Faults:
    """The faults that are armed. All methods may be called at any time, from any thread."""

    def __init__(self, seed: int = 0) -> None:
        """Begin without any; `seed` is that of the random numbers behind probabilities."""
        self._armed: list[_Armed] = []
        self._random = random.Random(seed)  # noqa: S311 -- must be repeatable, protects nothing
        self._lock = threading.Lock()
        self._is_over = threading.Event()

    def add(self, fault: Fault, **when: Unpack[When]) -> None:
        """Arm a fault."""
        armed = _Armed(fault, when.get("call"), when.get("count"), when.get("probability", 1.0))
        with self._lock:
            self._armed.append(armed)

    def clear(self) -> None:
        """Disarm all faults."""
        with self._lock:
            self._armed.clear()

    def close(self) -> None:
        """End every delay now, and those to come."""
        self._is_over.set()

    def draw(self, call: Call) -> list[Fault]:
        """The faults that happen to a request that has just come."""
        with self._lock:
            drawn = [armed for armed in self._armed if self._happens(armed, call)]
            for armed in drawn:
                if armed.left is not None:
                    armed.left -= 1
            self._armed = [armed for armed in self._armed if armed.left != 0]
            return [armed.fault for armed in drawn]

    def _happens(self, armed: _Armed, call: Call) -> bool:
        return armed.call in (None, call) and self._random.random() < armed.probability

    def delay(self, seconds: float, *, after: bool = False, **when: Unpack[When]) -> None:
        """Wait before the call is executed, or `after` that."""

        def wait() -> None:
            self._is_over.wait(seconds)

        def wait_and_pass(reply: Reply) -> Reply:
            wait()
            return reply

        self.add(Fault(after=wait_and_pass) if after else Fault(before=wait), **when)

    def drop_before(self, *, reset: bool = False, **when: Unpack[When]) -> None:
        """Close the connection without an answer; nothing was executed."""
        self._sever(b"", reset=reset, after=False, **when)

    def drop_after(self, *, reset: bool = False, **when: Unpack[When]) -> None:
        """Close the connection without an answer; the call was executed."""
        self._sever(b"", reset=reset, after=True, **when)

    def raw(self, data: bytes, *, after: bool = False, **when: Unpack[When]) -> None:
        """Send these bytes in place of an HTTP response and close the connection."""
        self._sever(data, reset=False, after=after, **when)

    def truncate(self, body_bytes: int, **when: Unpack[When]) -> None:
        """Execute the call, announce its whole answer, send only so many bytes of the body and close the connection."""

        def cut(reply: Reply) -> Reply:
            head = (
                f"HTTP/1.1 {reply.status}\r\nContent-Type: {reply.content_type}\r\n"
                f"Content-Length: {len(reply.body)}\r\n\r\n"
            )
            raise Severed(head.encode() + reply.body[:body_bytes])

        self.add(Fault(after=cut), **when)

    def status_code(
        self, code: int, *, retry_after: str | int | None = None, after: bool = False, **when: Unpack[When]
    ) -> None:
        """Answer with an HTML error page; 401 asks for Negotiate, as the service does without a token.

        Args:
            code: the status code.
            retry_after: value of a ``Retry-After`` header: seconds, or an HTTP date.
            after: the call is executed all the same.
            when: see `When`.
        """
        headers = [("WWW-Authenticate", "Negotiate")] if code == HTTPStatus.UNAUTHORIZED else []
        if retry_after is not None:
            headers.append(("Retry-After", str(retry_after)))
        phrase = HTTPStatus(code).phrase
        reply = replace(_html(f"<title>{code} {phrase}</title>"), status=f"{code} {phrase}", headers=tuple(headers))
        self.answer(reply, after=after, **when)

    def text(self, message: str, *, after: bool = False, **when: Unpack[When]) -> None:
        """Answer with ``text/plain``, as the service does on a severe error."""
        self.answer(Reply(content_type="text/plain", body=message.encode()), after=after, **when)

    def html(self, *, after: bool = False, **when: Unpack[When]) -> None:
        """Answer with an HTML page and the status code of a success."""
        self.answer(_html("<title>Maintenance</title>"), after=after, **when)

    def answer(self, reply: Reply, *, after: bool = False, **when: Unpack[When]) -> None:
        """Answer with `reply`, whatever the call is; `after` executing it, or without."""
        self.add(Fault(after=lambda _: reply) if after else Fault(before=lambda: reply), **when)

    def refuse(self, code: str, **when: Unpack[When]) -> None:
        """Refuse submissions with any of the service's reasons, such as ``backend_query_malloc_failed``."""

        def request(_: Mapping[str, object]) -> dict[str, object]:
            raise Refused(code, "a fault on purpose")

        self.add(Fault(request=request), **when)

    def ignore_key(self, key: str, **when: Unpack[When]) -> None:
        """Act as if the body of ``submit_job`` did not have `key`."""
        self.add(Fault(request=lambda document: {k: v for k, v in document.items() if k != key}), **when)

    def hide(self, *external_jobids: str | int, **when: Unpack[When]) -> None:
        """Leave these jobs out of the listing."""
        hidden = {str(job_id) for job_id in external_jobids}
        self.add(Fault(rows=lambda rows: {job_id: row for job_id, row in rows.items() if job_id not in hidden}), **when)

    def empty_listing(self, **when: Unpack[When]) -> None:
        """List no job at all."""
        self.add(Fault(rows=lambda _: {}), **when)

    def junk_lines(self, *lines: str, **when: Unpack[When]) -> None:
        """Put lines before the JSON."""
        junk = "".join(f"{line}\n" for line in lines).encode()
        self.add(Fault(after=lambda reply: replace(reply, body=junk + reply.body)), **when)

    def _sever(self, data: bytes, *, reset: bool, after: bool, **when: Unpack[When]) -> None:
        def sever(_: Reply | None = None) -> Reply:
            raise Severed(data, reset=reset)

        self.add(Fault(after=sever) if after else Fault(before=sever), **when)


def _html(head: str) -> Reply:
    body = f"<!DOCTYPE html>\n<html><head>{head}</head><body></body></html>\n"
    return Reply(content_type="text/html; charset=iso-8859-1", body=body.encode())
