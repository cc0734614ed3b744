"""What an answer of the API means, decided once by status code and document."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from snakemake_executor_plugin_frceapi.errors import ConfigurationFault, ServiceError, TicketFault, TransientFault
from snakemake_executor_plugin_frceapi.job import (
    Accepted,
    JobStatus,
    Listing,
    NotSent,
    Refused,
    SubmitOutcome,
    Unknown,
)
from snakemake_executor_plugin_frceapi.wire.document import (
    field_of,
    parse_document,
    reason_of,
    unique_fields,
    verdict_of,
)
from snakemake_executor_plugin_frceapi.wire.words import (
    ERRORS,
    NOT_NOW_TEXTS,
    SHOWN_CHARACTERS,
    TRANSIENT_TEXTS,
    printable,
    state_from_word,
)

_JOBID = re.compile(r"[1-9][0-9]{0,18}")
_HEADER_TOO_LARGE = re.compile(rb"header.{0,40}(size|large|limit)|size of a request header", re.IGNORECASE | re.DOTALL)

LARGE_TOKEN_BYTES = 8000
"""Servers take header fields of 8 KB or a little less: Apache's LimitRequestFieldSize, nginx's
large_client_header_buffers."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the service over HTTP.

    Attributes:
        status_code: status code.
        content_type: ``Content-Type``, for messages only.
        body: body as sent.
        url: what to call the service in messages.
        location: host of a redirect.
        retry_after_seconds: what ``Retry-After`` asked for.
        token_bytes: how large the Kerberos token of the request was.
    """

    status_code: int
    content_type: str
    body: bytes
    url: str = "the service"
    location: str = ""
    retry_after_seconds: float | None = None
    token_bytes: int = 0


def decode_submission(answer: Answer) -> SubmitOutcome:
    """Return what an answer to ``submit_job`` says about the job."""
    status_code, said = answer.status_code, _said(answer)
    document = parse_document(answer.body)
    if 200 <= status_code < 300:
        return _submission(document, said)
    if status_code < 300 or status_code == 408 or status_code >= 500:
        return Unknown(f"{said}; it may have taken the job before that", answer.retry_after_seconds)
    if status_code < 400 and status_code not in (307, 308):
        # Web applications answer so after they have done what was asked, too; 307 and 308 cannot mean that (RFC 9110).
        return Unknown(f"{said}: {_configuration_hint(answer)}; it may have taken the job before that")
    if status_code not in (401, 407, 429) and verdict_of(document) is False:
        return _refusal(reason_of(document))
    if status_code == 413:
        return _refusal("postdata_too_big")
    if status_code == 400 and not _is_about_the_token(answer):
        return Refused("400", f"{said}: it could not read the request; {ERRORS['postdata_parse_error']}")
    return NotSent(_fault(answer, said))


def decode_listing(answer: Answer, wanted: Collection[str] | None = None) -> Listing:
    """Return the listing in an answer to ``query_status``.

    Args:
        answer: the answer.
        wanted: external jobids to look for, or None for all; the others are not even looked at.

    Raises:
        TransientFault: the answer is no listing now; it is evidence of nothing.
        ConfigurationFault: it will not be one until a setting is changed.
    """
    said = _said(answer)
    if not 200 <= answer.status_code < 300:
        raise _fault(answer, said)
    document = parse_document(answer.body)
    if document is None or verdict_of(document) is None:
        raise TransientFault(f"{said}, which is no listing; if that stays so, check --frceapi-url")
    if not verdict_of(document):
        reason = printable(reason_of(document)) or "no reason given"
        raise TransientFault(f"{answer.url} could not list the jobs: {reason}")
    return Listing(_jobs(document, wanted, said), max(map(int, filter(_JOBID.fullmatch, document)), default=0))


def _said(answer: Answer) -> str:
    """Return the beginning of a message: who answered what."""
    kind = printable(answer.content_type.partition(";")[0], 40) or "no content type"
    body = answer.body[:1000]
    shown = "" if body.lstrip()[:1] == b"<" else printable(body.decode("utf-8", "replace"), 120)
    return f"{answer.url} answered status code {answer.status_code} with {kind}" + (f" {shown!r}" if shown else "")


def _submission(document: Mapping[str, Any] | None, said: str) -> SubmitOutcome:
    verdict = verdict_of(document)
    if verdict is False:
        return _refusal(reason_of(document))
    reason = None if document is None else field_of(document, "reason")
    jobid = str(reason) if type(reason) is int else reason
    if verdict and isinstance(jobid, str) and _JOBID.fullmatch(jobid):
        return Accepted(jobid)
    return Unknown(f"{said}, which names no job id; it may have taken the job")


def _refusal(reason: str) -> SubmitOutcome:
    shown = printable(reason) or "no reason given"
    lower = reason.lower()
    if any(text in lower for text in TRANSIENT_TEXTS):
        return Unknown(f"the service lost Slurm while it submitted: {shown}; Slurm may have taken the job")
    if any(text in lower for text in NOT_NOW_TEXTS):
        return NotSent(TransientFault(f"Slurm takes no jobs at the moment: {shown}"))
    if reason in ERRORS:
        return Refused(reason, f"the service refused the job ({reason}): {ERRORS[reason]}")
    return Refused(shown, f"the service refused the job for a reason that its documentation does not list: {shown}")


def _fault(answer: Answer, said: str) -> ServiceError:
    status_code = answer.status_code
    if status_code == 401:
        return TicketFault(
            f"{said}: it did not accept the Kerberos ticket; type `kinit`, check `date` and --frceapi-target-name"
        )
    if status_code in (408, 429) or status_code >= 500 or status_code < 300:
        return TransientFault(
            f"{said}: it cannot work at the moment; if that stays so, ask the cluster's staff",
            answer.retry_after_seconds,
        )
    return ConfigurationFault(f"{said}: {_configuration_hint(answer)}")


def _configuration_hint(answer: Answer) -> str:
    if answer.status_code < 400:
        host = printable(answer.location) or "nowhere"
        return f"a redirect to {host} is not followed; set --frceapi-url to the API itself"
    if _is_about_the_token(answer):
        return "the Kerberos token is larger than the server takes (many group memberships); ask the cluster's staff"
    if answer.status_code == 403:
        return "this account may not use the API; ask the cluster's staff, and check --frceapi-url"
    if answer.status_code == 407:
        return "the proxy wants a login; set NO_PROXY for this host or correct HTTPS_PROXY"
    if answer.status_code == 400:
        return "it could not read the request; check --frceapi-url"
    return "there is no such call at this address; check --frceapi-url"


def _is_about_the_token(answer: Answer) -> bool:
    """Whether the request was refused for the size of its header, of which all but a little is the Kerberos token."""
    large = answer.token_bytes >= LARGE_TOKEN_BYTES or _HEADER_TOO_LARGE.search(answer.body[:10_000]) is not None
    return answer.status_code == 431 or (answer.status_code == 400 and large)


def _jobs(document: Mapping[str, Any], wanted: Collection[str] | None, said: str) -> dict[str, JobStatus]:
    keys = document if wanted is None else wanted
    rows = {key: document[key] for key in keys if key in document and _JOBID.fullmatch(key)}
    jobs = {key: status for key, row in rows.items() if (status := _job_status(key, row)) is not None}
    if rows and not jobs:
        raise TransientFault(f"{said}, in which no job has a state")
    return jobs


def _job_status(external_jobid: str, row: object) -> JobStatus | None:
    fields = unique_fields(row) if isinstance(row, tuple) else None
    word = None if fields is None else fields.get("state")
    if fields is None or not isinstance(word, str) or not word.strip():
        return None
    shown = {key: _shown(fields.get(key)) for key in ("name", "user", "partition", "start", "end")}
    return JobStatus(external_jobid, state_from_word(word), _shown(word), **shown)


def _shown(value: object) -> str:
    """Return a field as it may be printed; most are clean and short, so that the check is one call."""
    if not isinstance(value, str):
        return ""
    return value if len(value) <= SHOWN_CHARACTERS and value.isprintable() else printable(value)
