"""What an answer of the API means, decided once by status code and document."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
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


def decode_submission(
    status_code: int,
    content_type: str,
    body: bytes,
    *,
    url: str = "the service",
    location: str = "",
    retry_after_seconds: float | None = None,
) -> SubmitOutcome:
    """Return what an answer to ``submit_job`` says about the job.

    Args:
        status_code: status code of the answer.
        content_type: its ``Content-Type``, for the message only.
        body: its body.
        url: what to call the service in messages.
        location: host of a redirect.
        retry_after_seconds: what ``Retry-After`` asked for.
    """
    said = _said(status_code, content_type, body, url)
    document = parse_document(body)
    if 200 <= status_code < 300:
        return _submission(document, said)
    if status_code < 300 or status_code == 408 or status_code >= 500:
        return Unknown(f"{said}; it may have taken the job before that")
    if status_code < 500 and status_code not in (401, 407, 429) and verdict_of(document) is False:
        return _refusal(reason_of(document))
    if status_code == 413:
        return _refusal("postdata_too_big")
    if status_code == 400 and not _HEADER_TOO_LARGE.search(body):
        return Refused("400", f"{said}: it could not read the request; {ERRORS['postdata_parse_error']}")
    return NotSent(_fault(status_code, said, location, retry_after_seconds))


def decode_listing(
    status_code: int,
    content_type: str,
    body: bytes,
    wanted: Collection[str] | None = None,
    *,
    url: str = "the service",
    location: str = "",
    retry_after_seconds: float | None = None,
) -> Listing:
    """Return the listing in an answer to ``query_status``.

    Args:
        status_code: status code of the answer.
        content_type: its ``Content-Type``, for the message only.
        body: its body.
        wanted: external jobids to look for, or None for all; the others are not even looked at.
        url: what to call the service in messages.
        location: host of a redirect.
        retry_after_seconds: what ``Retry-After`` asked for.

    Raises:
        TransientFault: the answer is no listing now; it is evidence of nothing.
        ConfigurationFault: it will not be one until a setting is changed.
    """
    said = _said(status_code, content_type, body, url)
    if not 200 <= status_code < 300:
        raise _fault(status_code, said, location, retry_after_seconds)
    document = parse_document(body)
    if document is None or verdict_of(document) is None:
        raise TransientFault(f"{said}, which is no listing; if that stays so, check --frceapi-url")
    if not verdict_of(document):
        raise TransientFault(f"{url} could not list the jobs: {printable(reason_of(document)) or 'no reason given'}")
    return Listing(_jobs(document, wanted, said))


def _said(status_code: int, content_type: str, body: bytes, url: str) -> str:
    """Return the beginning of a message: who answered what."""
    kind = printable(content_type.partition(";")[0], 40) or "no content type"
    shown = "" if body.lstrip()[:1] == b"<" else printable(body[:1000].decode("utf-8", "replace"), 120)
    return f"{url} answered status code {status_code} with {kind}" + (f" {shown!r}" if shown else "")


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


def _fault(status_code: int, said: str, location: str, retry_after_seconds: float | None) -> ServiceError:
    if status_code == 401:
        return TicketFault(
            f"{said}: it did not accept the Kerberos ticket; type `kinit`, check `date` and --frceapi-target-name"
        )
    if status_code in (408, 429) or status_code >= 500 or status_code < 300:
        return TransientFault(f"{said}: it cannot work at the moment", retry_after_seconds)
    return ConfigurationFault(f"{said}: {_configuration_hint(status_code, location)}")


def _configuration_hint(status_code: int, location: str) -> str:
    if status_code < 400:
        return f"a redirect to {printable(location) or 'nowhere'} is not followed; set --frceapi-url to the API itself"
    if status_code == 403:
        return "this account may not use the API; ask the cluster's staff, and check --frceapi-url"
    if status_code == 407:
        return "the proxy wants a login; set NO_PROXY for this host or correct HTTPS_PROXY"
    if status_code in (400, 431):
        return "the Kerberos token is larger than the server takes (many group memberships); ask the cluster's staff"
    return "there is no such call at this address; check --frceapi-url"


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
