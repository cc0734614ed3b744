"""The HTTP side: who may call, which call it is, and the answer in the service's words."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from snakemake_executor_plugin_frceapi.sandbox.backend import Backend, BackendError
from snakemake_executor_plugin_frceapi.sandbox.config import SandboxConfig
from snakemake_executor_plugin_frceapi.sandbox.environment import User
from snakemake_executor_plugin_frceapi.sandbox.faults import Call, Fault, Faults, Reply, Rows
from snakemake_executor_plugin_frceapi.sandbox.listing import listed_jobs
from snakemake_executor_plugin_frceapi.sandbox.partitions import api_partitions
from snakemake_executor_plugin_frceapi.sandbox.rules import Refused, parse_body, read_submission
from snakemake_executor_plugin_frceapi.sandbox.secret import LOOPBACK_HOSTS, is_same

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_logger = logging.getLogger("frceapi.sandbox")

_SPELLINGS = {
    "example": ("status", "reason", "call_success", "call_failure", "query_success"),
    "prose": ("Status", "Reason", "call success", "call failure", "query success"),
}
"""The two ways in which the API's page spells its answers, in its examples and in its prose."""


class SandboxApp:
    """A WSGI application with the two calls below ``/<secret>/hpcapi``."""

    def __init__(
        self,
        config: SandboxConfig,
        secret: str,
        backend: Backend,
        faults: Faults,
        user: User,
        principal: str | None = None,
    ) -> None:
        """Make it.

        Args:
            config: spelling, size limit, window and junk lines.
            secret: the first segment of every path.
            backend: takes the submissions.
            faults: what is to go wrong.
            user: the owner of all jobs.
            principal: whom a proxy before this must name in ``X-Remote-User``; None: there is none.
        """
        self._config = config
        self._secret = secret
        self._backend = backend
        self._faults = faults
        self._user = user
        self._principal = principal
        self._calls: dict[str, tuple[str, Callable[[Request, list[Fault]], Reply]]] = {
            "submit_job": ("POST", self._submit_job),
            "query_status": ("GET", self._query_status),
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; raises `Severed` where the connection is to be closed instead."""
        reply = self._reply(Request(environ))
        headers = [*reply.headers, ("Content-Type", reply.content_type)]
        return Response(reply.body, status=reply.status, headers=headers)(environ, start_response)

    def _reply(self, request: Request) -> Reply:
        if not _is_local(request):
            return _plain("403 Forbidden", "foreign Host or Origin")
        secret, _, path = request.path.lstrip("/").partition("/")
        service, _, name = path.partition("/")
        if not is_same(secret, self._secret) or service != "hpcapi" or name not in self._calls:
            return _plain("404 Not Found", "no such call")
        if self._principal not in {None, request.headers.get("X-Remote-User")}:
            return _plain("403 Forbidden", "this principal has no account here")
        method, call = self._calls[name]
        if request.method != method:
            return Reply(status="405 Method Not Allowed", headers=(("Allow", method),), content_type="text/plain")
        return self._perform(request, "submit_job" if name == "submit_job" else "query_status", call)

    def _perform(self, request: Request, name: Call, call: Callable[[Request, list[Fault]], Reply]) -> Reply:
        faults = self._faults.draw(name)
        for fault in faults:
            early = fault.before()
            if early is not None:
                return early
        try:
            reply = call(request, faults)
        except BackendError as error:
            _logger.warning("%s failed: %s", name, error)
            reply = _plain("200 Success", "The cluster does not answer.")
        for fault in faults:
            reply = fault.after(reply)
        return reply

    def _submit_job(self, request: Request, faults: list[Fault]) -> Reply:
        status, reason, success, failure, _ = _SPELLINGS[self._config.spelling]
        try:
            document = parse_body(request.get_data(), request.headers.get("Content-Type"), self._config.max_post_bytes)
            for fault in faults:
                document = fault.request(document)
            submission = read_submission(document, api_partitions(self._backend.partitions))
            job_id = self._backend.submit(submission).job_id
        except Refused as refusal:
            _logger.info("submit_job refused: %s", refusal)
            return _json({status: failure, reason: refusal.code})
        _logger.info("submit_job accepted: job %d", job_id)
        return _json({status: success, reason: str(job_id)})

    def _query_status(self, _: Request, faults: list[Fault]) -> Reply:
        status, reason, success, _failure, query_success = _SPELLINGS[self._config.spelling]
        jobs = self._backend.jobs().values()
        rows: Rows = listed_jobs(jobs, self._user, self._config.clock(), self._config.window_by)
        for fault in faults:
            rows = fault.rows(rows)
        return _json({status: success, **rows, reason: query_success}, self._config.junk_lines)


def _is_local(request: Request) -> bool:
    """True unless a web page could have sent this: DNS rebinding shows in ``Host``, a foreign page in ``Origin``."""
    port = request.environ["SERVER_PORT"]
    hosts = {f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name in LOOPBACK_HOSTS}
    origin = request.headers.get("Origin")
    return request.headers.get("Host") in hosts and (origin is None or origin in {f"http://{host}" for host in hosts})


def _json(document: dict[str, object], lines: Iterable[str] = ()) -> Reply:
    return Reply(body="".join(f"{line}\n" for line in (*lines, json.dumps(document))).encode())


def _plain(status: str, text: str) -> Reply:
    return Reply(status=status, content_type="text/plain", body=f"{text}\n".encode())
