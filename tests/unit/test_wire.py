"""Tests of the JSON documents: requests by whole documents, answers by tables and by arbitrary bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_frceapi.errors import (
    ConfigurationFault,
    JobError,
    ServiceError,
    SettingsError,
    TicketFault,
    TransientFault,
)
from snakemake_executor_plugin_frceapi.job import (
    Accepted,
    JobRequest,
    JobState,
    JobStatus,
    Listing,
    NotSent,
    Refused,
    Unknown,
)
from snakemake_executor_plugin_frceapi.wire import (
    ERRORS,
    MAX_REQUEST_BYTES,
    Answer,
    Encoding,
    NumberFormat,
    decode_listing,
    decode_submission,
    encode_request,
    printable,
    state_from_word,
    time_limit_text,
)

DATA = Path(__file__).parents[1] / "data"
SCRIPT = "#!/bin/sh\nexec run.sh\n"
JSON = "application/json"

FULL = JobRequest(
    partition="norm",
    ntasks=4,
    ntasks_per_core=1,
    ntasks_per_node=2,
    cpus_per_task=8,
    mem_mb_per_node=2000,
    dependency="afterok:101:102,afterany:103",
    time_limit_minutes=26 * 60 + 5,
)


def recorded(name: str) -> bytes:
    """Return a recorded answer."""
    return (DATA / name).read_bytes()


def encoded(request: JobRequest, script: str = SCRIPT, encoding: Encoding | None = None) -> Any:
    """Return the document of a request."""
    return json.loads(encode_request(request, script, encoding or Encoding()))


def submission(document: object, status_code: int = 200) -> object:
    """Return the outcome of an answer in JSON."""
    return decode_submission(Answer(status_code, JSON, json.dumps(document).encode()))


def test_writes_every_key_of_the_api() -> None:
    """A full request becomes the documented keys, numbers as integers."""
    assert encoded(FULL) == {
        "script-body": SCRIPT,
        "partition": "norm",
        "ntasks": 4,
        "ntasks-per-core": 1,
        "ntasks-per-node": 2,
        "cpus-per-task": 8,
        "mem-per-node": 2000,
        "dependency": "afterok:101:102,afterany:103",
        "timelimit": "01-02:05:00",
    }


def test_leaves_out_what_is_not_asked() -> None:
    """A request that names a partition only has two keys."""
    assert encoded(JobRequest(partition="short")) == {"script-body": SCRIPT, "partition": "short"}


@pytest.mark.parametrize(
    ("encoding", "cpus", "memory"),
    [
        (Encoding(), 2, 1500),
        (Encoding(NumberFormat.STRING), "2", "1500"),
        (Encoding(NumberFormat.INTEGER, "M"), 2, "1500M"),
        (Encoding(NumberFormat.STRING, "K"), "2", "1536000K"),
        (Encoding(NumberFormat.INTEGER, "G"), 2, "2G"),
    ],
)
def test_writes_numbers_and_memory_as_the_encoding_says(encoding: Encoding, cpus: object, memory: object) -> None:
    """Both number formats and each unit give their own spelling; a larger unit rounds up."""
    request = JobRequest(partition="norm", cpus_per_task=2, mem_mb_per_cpu=1500)

    assert encoded(request, encoding=encoding) == {
        "script-body": SCRIPT,
        "partition": "norm",
        "cpus-per-task": cpus,
        "mem-per-cpu": memory,
    }


def test_refuses_a_memory_unit_that_slurm_does_not_have() -> None:
    """The message names the flag and the value."""
    with pytest.raises(SettingsError, match="--frceapi-memory-unit is 'MB'"):
        Encoding(memory_unit="MB")


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (1, "00-00:01:00"),
        (59, "00-00:59:00"),
        (60, "00-01:00:00"),
        (24 * 60, "01-00:00:00"),
        (5 * 24 * 60, "05-00:00:00"),
        (99 * 24 * 60 + 23 * 60 + 59, "99-23:59:00"),
    ],
)
def test_writes_the_time_limit_in_the_only_form(minutes: int, text: str) -> None:
    """Minutes become DD-HH:MM:SS."""
    assert time_limit_text(minutes) == text


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"partition": ""}, "partition is ''"),
        ({"partition": "-p"}, "partition is '-p'"),
        ({"partition": "a b"}, "partition is 'a b'"),
        ({"partition": "norm\n"}, "partition is"),
        ({"partition": "n'; rm -rf ~"}, "partition is"),
        ({"partition": "p" * 65}, "partition is"),
        ({"ntasks": 0}, "ntasks is 0"),
        ({"ntasks": True}, "ntasks is True"),
        ({"ntasks": 1.5}, "ntasks is 1.5"),
        ({"ntasks": 10**9}, "ntasks is 1000000000"),
        ({"ntasks_per_core": 3}, "ntasks-per-core is 3"),
        ({"ntasks_per_node": -1}, "ntasks-per-node is -1"),
        ({"cpus_per_task": 0}, "cpus-per-task is 0"),
        ({"mem_mb_per_node": 0}, "mem-per-node in MB is 0"),
        ({"mem_mb_per_cpu": 0}, "mem-per-cpu in MB is 0"),
        ({"mem_mb_per_cpu": 1, "mem_mb_per_node": 1}, "per CPU and per node"),
        ({"time_limit_minutes": 0}, "time limit in minutes is 0"),
        ({"time_limit_minutes": 100 * 24 * 60}, "time limit in minutes is 144000"),
        ({"dependency": ""}, "dependency is ''"),
        ({"dependency": "afterok:1;id"}, "dependency is 'afterok:1;id'"),
        ({"dependency": "afterok:1\n"}, "dependency is"),
    ],
)
def test_refuses_a_value_that_may_not_be_sent(changes: dict[str, Any], named: str) -> None:
    """Each bad value is a job error that names the key and the value, in one line."""
    request = JobRequest(**{"partition": "norm", **changes})

    with pytest.raises(JobError) as caught:
        encode_request(request, SCRIPT, Encoding())

    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ("echo\n", "shebang"),
        ("", "shebang"),
        ("#!/bin/sh\n\0", "NUL"),
        ("#!/bin/sh\n\udcff", "UTF-8"),
    ],
)
def test_refuses_a_script_that_cannot_run(script: str, named: str) -> None:
    """A script without a shebang line, with NUL or with raw bytes is a job error."""
    with pytest.raises(JobError, match=named):
        encode_request(JobRequest(partition="norm"), script, Encoding())


def test_counts_bytes_of_the_whole_body() -> None:
    """One byte below the limit passes, the limit does not; letters outside ASCII count as in UTF-8."""
    empty = len(encode_request(JobRequest(partition="norm"), "#!", Encoding()))
    fits = "#!" + "é" * ((MAX_REQUEST_BYTES - 1 - empty) // 2) + "x" * ((MAX_REQUEST_BYTES - 1 - empty) % 2)

    assert len(encode_request(JobRequest(partition="norm"), fits, Encoding())) == MAX_REQUEST_BYTES - 1
    with pytest.raises(JobError, match=r"4,000 bytes, the API takes fewer than 4,000: .* are the script-body"):
        encode_request(JobRequest(partition="norm"), fits + "x", Encoding())


def test_names_a_dependency_that_makes_the_body_too_large() -> None:
    """The largest part is named with its remedy."""
    request = JobRequest(partition="norm", dependency="afterok" + ":46185772" * 500)

    with pytest.raises(JobError, match=r"4,509 of them are the dependency; name fewer jobs in it"):
        encode_request(request, SCRIPT, Encoding())


@given(st.text(), st.text(), st.integers(), st.integers())
def test_sends_only_what_it_can_read_back(script: str, partition: str, cpus: int, minutes: int) -> None:
    """Whatever is asked is refused as a job error, or is a small document with exactly these values."""
    request = JobRequest(partition=partition, cpus_per_task=cpus, time_limit_minutes=minutes)
    try:
        body = encode_request(request, "#!" + script, Encoding())
    except JobError:
        return
    document = json.loads(body)

    assert len(body) < MAX_REQUEST_BYTES
    assert document["script-body"] == "#!" + script
    assert document["partition"] == partition
    assert document["cpus-per-task"] == cpus >= 1


@pytest.mark.parametrize("name", ["submit_accepted.json", "submit_accepted_prose.json"])
def test_takes_the_job_id_in_both_spellings(name: str) -> None:
    """The page's examples and the page's prose mean the same."""
    assert decode_submission(Answer(200, JSON, recorded(name))) == Accepted("46185772")


@pytest.mark.parametrize("name", ["submit_refused.json", "submit_refused_prose.json"])
def test_takes_a_refusal_in_both_spellings(name: str) -> None:
    """A refusal keeps the service's word and says what to do."""
    outcome = decode_submission(Answer(200, JSON, recorded(name)))

    assert isinstance(outcome, Refused)
    assert outcome.code == "bad_partition"
    assert "slurm_partition" in outcome.message


def test_takes_a_job_id_that_is_a_number() -> None:
    """A number is as clear as a text of digits."""
    assert submission({"status": "call_success", "reason": 12}) == Accepted("12")


def test_passes_over_lines_around_the_document() -> None:
    """Only the lines that begin with a brace are the document, as the page's own example assumes."""
    body = b"notice\n\n" + recorded("submit_accepted.json") + b"goodbye\n"

    assert decode_submission(Answer(200, "text/html", body)) == Accepted("46185772")


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_explains_every_documented_error(code: str) -> None:
    """Each code has a message of its own that names it, at any status code that means a refusal."""
    outcome = submission({"status": "call_failed", "reason": code})

    assert outcome == submission({"status": "call_failed", "reason": code}, 400)
    assert isinstance(outcome, Refused)
    assert outcome.code == code
    assert outcome.message == f"the service refused the job ({code}): {ERRORS[code]}"


def test_has_a_message_of_its_own_for_each_error() -> None:
    """No two codes share a text."""
    assert len(set(ERRORS.values())) == len(ERRORS) == 8


def test_shows_an_undocumented_error_without_its_control_characters() -> None:
    """A foreign text is shown as one short line that cannot move the cursor."""
    outcome = submission({"status": "call_failed", "reason": "\x1b[31mno\x1b[0m\nway\a " + "x" * 1000})

    assert isinstance(outcome, Refused)
    assert outcome.code.startswith("no way xxx")
    assert len(outcome.code) <= 200
    assert outcome.message.isprintable()


@pytest.mark.parametrize("reason", [None, "", 7, ["bad_partition"]])
def test_takes_a_refusal_without_a_reason(reason: object) -> None:
    """A refusal is one even when it does not say why."""
    outcome = submission({"status": "call_failed", "reason": reason})

    assert isinstance(outcome, Refused)
    assert "no reason given" in outcome.message


@pytest.mark.parametrize(
    "reason",
    [
        "Socket timed out on send/recv operation",
        "backend_query_job_submission_failed: Unable to contact slurm controller (connect failure)",
        "Unable to contact slurm controller (receive failure)",
        "Zero Bytes were transmitted or received",
        "Message receive failure",
        "Unexpected message received",
        "Communication connection failure",
        "Protocol authentication error",
        "Slurm backup controller in standby mode",
        "Controller is in standby mode, try a different controller",
        "Connection timed out",
        "Connection reset by peer",
    ],
)
def test_does_not_believe_a_refusal_that_lost_slurm(reason: str) -> None:
    """When the service itself lost Slurm, nobody knows whether the job exists."""
    outcome = submission({"status": "call_failed", "reason": reason})

    assert isinstance(outcome, Unknown)
    assert reason in outcome.message


@pytest.mark.parametrize(
    "reason",
    [
        "Slurm temporarily unable to accept job, sleeping and retrying",
        "Resource temporarily unavailable",
        "backend_query_job_submission_failed: Unable to create job record, try again",
        "Slurm job queue full, sleeping and retrying",
        "Job creation temporarily disabled, retrying",
        "Requested nodes are busy",
        "Rate limit exceeded, please retry momentarily",
        "Failed to connect to authentication agent",
    ],
)
def test_waits_when_slurm_takes_no_jobs_at_the_moment(reason: str) -> None:
    """A full queue is a reason to try again."""
    outcome = submission({"status": "call_failed", "reason": reason})

    assert isinstance(outcome, NotSent)
    assert isinstance(outcome.fault, TransientFault)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"<html>",
        b"null",
        b"[]",
        b'"call_success"',
        b"{",
        b"{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"status": "call_success"}',
        b'{"status": "call_success", "reason": NaN}',
        b'{"status": "call_success", "reason": "12", "x": NaN}',
        b'{"status": "call_success", "reason": "12", "x": Infinity}',
        b'{"status": "call_success", "reason": "12", "reason": "12"}',
        b'{"status": "call_success", "status": "call_success", "reason": "12"}',
        b'{"status": "call_success", "Status": "call_success", "reason": "12"}',
        b'{"status": "call_success", "reason": "12", "Reason": "13"}',
        b'{"status": "call_success", "reason": "12"} {}',
        b'{"status": "call_success", "reason": "12"}\n{"status": "call_success", "reason": "13"}',
        b'{"status": "call_success", "reason": "12',
        b'{"status": "call_success", "reason": ""}',
        b'{"status": "call_success", "reason": "0"}',
        b'{"status": "call_success", "reason": "-1"}',
        b'{"status": "call_success", "reason": " 12"}',
        b'{"status": "call_success", "reason": "12\\n"}',
        b'{"status": "call_success", "reason": "12a"}',
        b'{"status": "call_success", "reason": "12_3"}',
        '{"status": "call_success", "reason": "１２"}'.encode(),  # noqa: RUF001 - digits that are not ASCII
        b'{"status": "call_success", "reason": 12.0}',
        b'{"status": "call_success", "reason": true}',
        b'{"status": "call_success", "reason": null}',
        b'{"status": "call_success", "reason": ["12"]}',
        b'{"status": "call_success", "reason": {"12": 1}}',
        b'{"status": "success", "reason": "12"}',
        b'{"status": true, "reason": "12"}',
        b'{"reason": "12"}',
        b'{"status": "call_success", "reason": ' + b"9" * 5000 + b"}",
    ],
)
def test_calls_an_answer_unknown_that_names_no_job_id(body: bytes) -> None:
    """Success is believed only with one clear id; anything else may have started a job."""
    outcome = decode_submission(Answer(200, JSON, body))

    assert isinstance(outcome, Unknown)
    assert "may have taken the job" in outcome.message


def test_shows_the_text_of_a_severe_error() -> None:
    """A text/plain answer is unknown, and its text is in the message."""
    outcome = decode_submission(Answer(200, "text/plain", recorded("severe_error.txt"), url="https://api/submit_job"))

    assert isinstance(outcome, Unknown)
    assert outcome.message == (
        "https://api/submit_job answered status code 200 with text/plain 'Cannot connect to the job database.', "
        "which names no job id; it may have taken the job"
    )


@pytest.mark.parametrize("status_code", [100, 199, 408, 500, 502, 503, 504, 599, 700])
def test_calls_a_server_error_unknown(status_code: int) -> None:
    """A gateway may give up while the service goes on, whatever its document says."""
    assert isinstance(decode_submission(Answer(status_code, JSON, recorded("submit_refused.json"))), Unknown)


@pytest.mark.parametrize(
    ("status_code", "kind", "named"),
    [
        (307, ConfigurationFault, "redirect to login.example.org"),
        (308, ConfigurationFault, "redirect to login.example.org"),
        (401, TicketFault, "kinit"),
        (403, ConfigurationFault, "may not use the API"),
        (404, ConfigurationFault, "--frceapi-url"),
        (405, ConfigurationFault, "--frceapi-url"),
        (407, ConfigurationFault, "HTTPS_PROXY"),
        (429, TransientFault, "cannot work at the moment"),
        (431, ConfigurationFault, "Kerberos token is larger"),
    ],
)
def test_knows_that_a_request_was_not_taken(status_code: int, kind: type[ServiceError], named: str) -> None:
    """Such answers mean that there is no job, each with its remedy; the listing says the same."""
    body = recorded("unauthorized.html")
    answer = Answer(status_code, "text/html; charset=iso-8859-1", body, location="login.example.org")
    outcome = decode_submission(answer)

    assert isinstance(outcome, NotSent)
    assert type(outcome.fault) is kind
    assert named in str(outcome.fault)
    assert f"answered status code {status_code} with text/html" in str(outcome.fault)
    assert "<h" not in str(outcome.fault)
    with pytest.raises(kind, match=named):
        decode_listing(answer)


@pytest.mark.parametrize("status_code", [300, 301, 302, 303, 304])
def test_calls_a_redirect_unknown_that_may_follow_the_deed(status_code: int) -> None:
    """Such a redirect may come before or after the job was taken; the listing has the same remedy."""
    answer = Answer(status_code, "text/html", b"<html>", location="login.example.org")
    outcome = decode_submission(answer)

    assert isinstance(outcome, Unknown)
    assert outcome.message == (
        f"the service answered status code {status_code} with text/html: a redirect to login.example.org is not "
        "followed; set --frceapi-url to the API itself; it may have taken the job before that"
    )
    with pytest.raises(ConfigurationFault, match=r"redirect to login\.example\.org"):
        decode_listing(answer)


@pytest.mark.parametrize("content_type", ["", "text/plain", "text/html"])
def test_shows_no_markup(content_type: str) -> None:
    """A page for browsers is left out of the message whatever the server calls it."""
    outcome = decode_submission(Answer(502, content_type, recorded("unauthorized.html")))

    assert isinstance(outcome, Unknown)
    assert "<" not in outcome.message


def test_keeps_what_retry_after_asked_for() -> None:
    """The seconds reach whoever waits."""
    outcome = decode_submission(Answer(429, "", b"", retry_after_seconds=7.0))

    assert isinstance(outcome, NotSent)
    assert isinstance(outcome.fault, TransientFault)
    assert outcome.fault.retry_after_seconds == 7.0


def test_takes_a_body_that_is_too_large_for_the_server_as_a_refusal() -> None:
    """413 means what the API's own word means."""
    outcome = decode_submission(Answer(413, "text/html", b""))

    assert isinstance(outcome, Refused)
    assert outcome.code == "postdata_too_big"


@pytest.mark.parametrize(
    ("body", "token_bytes", "about_the_token"),
    [
        (b"Your browser sent a request that this server could not understand.", 7999, False),
        (b"Your browser sent a request that this server could not understand.", 8000, True),
        (b"Size of a request header field exceeds server limit.", 100, True),
        (b"Request Header Or Cookie Too Large", 100, True),
    ],
)
def test_tells_a_large_token_from_a_bad_request(body: bytes, token_bytes: int, *, about_the_token: bool) -> None:
    """400 is about the job, unless the token was large or the server complains about the header that carries it."""
    answer = Answer(400, "text/html", body, token_bytes=token_bytes)
    outcome = decode_submission(answer)

    assert isinstance(outcome, NotSent if about_the_token else Refused)
    with pytest.raises(ConfigurationFault) as caught:
        decode_listing(answer)
    assert ("Kerberos token is larger" in str(caught.value)) == about_the_token
    assert not isinstance(outcome, NotSent) or str(outcome.fault) == str(caught.value)


def test_reads_the_recorded_listing() -> None:
    """Every field of a row is kept as written, beside the state that the word means."""
    listing = decode_listing(Answer(200, JSON, recorded("query_status.json")))

    assert listing == Listing(
        {
            "46186373": JobStatus(
                external_jobid="46186373",
                state=JobState.RUNNING,
                state_word="RUNNING",
                name="alignment-",
                user="someone",
                partition="norm",
                start="2025-01-27T15:24:32",
                end="2025-02-01T15:24:32",
            ),
            "46186374": JobStatus(
                external_jobid="46186374",
                state=JobState.CANCELLED,
                state_word="CANCELLED by 1000",
                name="alignment-",
                user="someone",
                partition="short",
                start="2025-01-27T15:24:32",
                end="2025-01-27T15:25:01",
            ),
        }
    )


def test_reads_a_listing_below_a_notice() -> None:
    """Lines before the document are passed over."""
    assert list(decode_listing(Answer(200, "text/plain", recorded("query_status_with_notice.txt"))).jobs) == [
        "46186373"
    ]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [(None, ["46186373", "46186374"]), (["46186374", "1", "status"], ["46186374"]), ([], []), (["1"], [])],
)
def test_looks_only_for_wanted_jobs(wanted: list[str] | None, found: list[str]) -> None:
    """Only jobs that were asked for are returned; an id that is not listed is not there."""
    assert list(decode_listing(Answer(200, JSON, recorded("query_status.json")), wanted).jobs) == found


def test_reads_an_empty_listing() -> None:
    """A user without jobs has a valid listing."""
    assert decode_listing(Answer(200, JSON, b'{"status": "call_success", "reason": "query_success"}')).jobs == {}


@pytest.mark.parametrize(
    "row",
    [
        None,
        [],
        {},
        "RUNNING",
        {"state": 1},
        {"state": ""},
        {"state": " "},
        {"state": ["RUNNING"]},
    ],
)
def test_skips_a_malformed_row_unless_all_are(row: object) -> None:
    """One bad row costs one job; a listing in which no row can be read is none."""
    good = {"status": "call_success", "12": {"state": "RUNNING"}, "13": row, "reason": "query_success"}
    bad = {"status": "call_success", "13": row}

    assert list(decode_listing(Answer(200, JSON, json.dumps(good).encode())).jobs) == ["12"]
    with pytest.raises(TransientFault, match="no job has a state"):
        decode_listing(Answer(200, JSON, json.dumps(bad).encode()))


def test_skips_a_row_with_a_repeated_key() -> None:
    """Two states in one row are none."""
    body = b'{"status": "call_success", "12": {"state": "RUNNING", "state": "FAILED"}, "13": {"state": "FAILED"}}'

    assert list(decode_listing(Answer(200, JSON, body)).jobs) == ["13"]


def test_keeps_foreign_fields_printable() -> None:
    """What may be shown later holds no control characters and has a bounded length."""
    row = {"state": "ODD\x1b[2J", "name": "n" * 1000, "user": 7, "start": "a\nb"}
    status = decode_listing(Answer(200, JSON, json.dumps({"status": "call_success", "1": row}).encode())).jobs["1"]

    assert (status.state, status.state_word, status.user, status.start) == (JobState.UNKNOWN, "ODD", "", "a b")
    assert status.name == "n" * 199 + "…"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "which is no listing"),
        (b"\n<html>", "which is no listing"),
        (b'{"46186373": {"state": "RUNNING"}}', "which is no listing"),
        (b'{"status": "call_failed", "reason": "no_database"}', "could not list the jobs: no_database"),
        (b'{"status": "call failure"}', "could not list the jobs: no reason given"),
        (b'{"status": "call_success", "1": {"state": "FAILED"}, "1": {"state": "RUNNING"}}', "which is no listing"),
    ],
)
def test_takes_no_other_answer_for_a_listing(body: bytes, named: str) -> None:
    """Such an answer is evidence of nothing, and asking again may help."""
    with pytest.raises(TransientFault, match=named):
        decode_listing(Answer(200, JSON, body))


@pytest.mark.parametrize("value", ["[]", "[[]]", "300", '{"":0}', '""'])
def test_takes_no_dense_document_for_a_listing(value: str) -> None:
    """A large document of brackets and commas is not even read, because it would take many times its size."""
    body = f'{{"status": "call_success", "x": [{",".join([value] * 40_000)}]}}'.encode()

    with pytest.raises(TransientFault, match="which is no listing"):
        decode_listing(Answer(200, JSON, body))
    assert isinstance(decode_submission(Answer(200, JSON, body)), Unknown)


def test_reads_a_listing_of_many_jobs() -> None:
    """The shortest rows that there can be are far from dense."""
    rows = {str(jobid): {"state": "PD"} for jobid in range(46_000_000, 46_020_000)}
    body = json.dumps({"status": "call_success", **rows}, separators=(",", ":")).encode()

    assert len(decode_listing(Answer(200, JSON, body)).jobs) == 20_000


@pytest.mark.parametrize("status_code", [100, 408, 500, 503])
def test_asks_again_after_a_server_error(status_code: int) -> None:
    """A listing may be asked for as often as one likes."""
    with pytest.raises(TransientFault) as caught:
        decode_listing(Answer(status_code, "", b"", retry_after_seconds=3.0))

    assert caught.value.retry_after_seconds == 3.0


@pytest.mark.parametrize(
    ("word", "state"),
    [
        *((state.value, state) for state in JobState),
        *((state.value.lower(), state) for state in JobState),
        ("CANCELLED by 1000", JobState.CANCELLED),
        ("CANCELLED+", JobState.CANCELLED),
        ("OUT_OF_ME+", JobState.OUT_OF_MEMORY),
        ("COMPLETIN+", JobState.RUNNING),
        ("  RUNNING ", JobState.RUNNING),
        ("COMPLETING", JobState.RUNNING),
        ("STAGE_OUT", JobState.RUNNING),
        ("SIGNALING", JobState.RUNNING),
        ("CONFIGURING", JobState.PENDING),
        ("STOPPED", JobState.SUSPENDED),
        ("REQUEUE_HOLD", JobState.REQUEUED),
        ("PD", JobState.PENDING),
        ("CG", JobState.RUNNING),
        ("CD", JobState.COMPLETED),
        ("TO", JobState.TIMEOUT),
        ("", JobState.UNKNOWN),
        ("+", JobState.UNKNOWN),
        ("C+", JobState.UNKNOWN),
        ("DONE", JobState.UNKNOWN),
        ("COMPLETED_SOON", JobState.UNKNOWN),
    ],
)
def test_understands_the_words_of_slurm(word: str, state: JobState) -> None:
    """Long, short, cut and decorated words mean their state; no other word means anything."""
    assert state_from_word(word) is state


ANSWERS = st.one_of(
    st.binary(max_size=300),
    st.text().map(str.encode),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["status", "Status", "reason", "Reason", "12", "state"]) | st.text(), inner
            )
        ),
    ).map(lambda document: json.dumps(document).encode()),
)


@given(st.integers(0, 999), st.text(), ANSWERS)
def test_gives_every_answer_an_outcome(status_code: int, content_type: str, body: bytes) -> None:
    """No answer is beyond the four outcomes of a submission, or the listing and the faults of a status request."""
    outcome = decode_submission(Answer(status_code, content_type, body))

    assert isinstance(outcome, Accepted | Refused | Unknown | NotSent)
    message = getattr(outcome, "message", "") or str(getattr(outcome, "fault", ""))
    assert "\n" not in message
    assert isinstance(outcome, Accepted) or message.isprintable()
    assert isinstance(listing_or_message(status_code, content_type, body), Listing | str)


def listing_or_message(status_code: int, content_type: str, body: bytes) -> Listing | str:
    """Return the listing, or the one line that says why there is none."""
    try:
        return decode_listing(Answer(status_code, content_type, body))
    except ServiceError as fault:
        message = str(fault)
    assert message.isprintable()
    return message


@given(st.integers(1, 67_108_863), st.lists(st.text(alphabet=st.characters(exclude_characters="{"))))
def test_finds_the_job_id_among_any_lines(jobid: int, lines: list[str]) -> None:
    """Text before the document never changes the id."""
    notice = "".join(line + "\n" for line in lines)
    body = f'{notice}{{"status": "call_success", "reason": "{jobid}"}}'.encode(errors="replace")

    assert decode_submission(Answer(200, JSON, body)) == Accepted(str(jobid))


@given(st.text(), st.integers(1, 50))
def test_shows_any_text_as_one_short_line(text: str, maximum: int) -> None:
    """What is shown is printable and no longer than asked."""
    shown = printable(text, maximum)

    assert shown.isprintable()
    assert len(shown) <= maximum
