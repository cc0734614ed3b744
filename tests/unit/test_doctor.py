"""Tests of the examination of the way to the service; what only Kerberos, TLS and Slurm show is in tests/cluster."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from snakemake_executor_plugin_frceapi.cli import main
from snakemake_executor_plugin_frceapi.client import ClientConfig
from snakemake_executor_plugin_frceapi.client.calls import Client
from snakemake_executor_plugin_frceapi.client.handshake import Greeting
from snakemake_executor_plugin_frceapi.doctor import Examination, Finding, Outcome, Probe
from snakemake_executor_plugin_frceapi.doctor.connection import judge_clock, seconds_ahead
from snakemake_executor_plugin_frceapi.doctor.probe import profile_lines
from snakemake_executor_plugin_frceapi.doctor.step import Seen, find
from snakemake_executor_plugin_frceapi.job import Accepted, JobState, JobStatus, Listing
from snakemake_executor_plugin_frceapi.sandbox import Sandbox, SandboxConfig
from snakemake_executor_plugin_frceapi.spool import Spool
from snakemake_executor_plugin_frceapi.wire import Encoding, NumberFormat
from tests.raw_server import SECRET, RawServer, answer, say

LISTED = b'{"status": "call_success", "12": {"state": "RUNNING"}, "13": {"state": "FAILED"}, "reason": "query_success"}'
REFUSED = b'{"status": "call_failure", "reason": "no_partition_given"}'
PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no proxy of this machine take part."""
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def examine(url: str, **environment: str) -> dict[str, Finding]:
    """Examine the way to a service; return the findings by step."""
    auth = "kerberos" if url.startswith("https") else "none"
    return {finding.step: finding for finding in Examination(ClientConfig(url, auth=auth), environment).findings()}


@pytest.mark.parametrize(
    ("ahead_seconds", "outcome", "text"),
    [
        (0, Outcome.OK, "as the service's"),
        (-1, Outcome.OK, "as the service's"),
        (30, Outcome.OK, "this machine is 30 s ahead of the service"),
        (-61, Outcome.NOTE, "this machine is 1 min 1 s behind the service; more than 5 min would be too much for"),
        (300, Outcome.NOTE, "this machine is 5 min ahead of the service; more than 5 min would be too much"),
        (-301, Outcome.FAILED, "this machine is 5 min 1 s behind the service, and Kerberos allows 5 min: set the time"),
        (2_592_000, Outcome.FAILED, "this machine is 30 d ahead of the service, and Kerberos allows 5 min"),
    ],
)
def test_judges_the_clock(ahead_seconds: int, outcome: Outcome, text: str) -> None:
    """Kerberos allows five minutes; what comes near that is told."""
    judged, said = judge_clock(ahead_seconds)

    assert judged is outcome
    assert said.startswith(text)


@pytest.mark.parametrize(
    ("asked", "answered", "ahead_seconds"),
    [(0, 0, 0), (-3, 9, 0), (0.4, 0.9, 0), (30, 45, 30), (-90, -75, -75)],
    ids=["at once", "slow", "within a second", "ahead", "behind"],
)
def test_takes_no_slow_answer_for_a_wrong_clock(asked: float, answered: float, ahead_seconds: int) -> None:
    """What is surely a difference of the clocks does not grow with the time that the answer took."""
    asked_at, answered_at = (datetime.fromtimestamp(1_000_000_000 + moment, UTC) for moment in (asked, answered))
    greeting = Greeting(401, "", "Sun, 09 Sep 2001 01:46:40 GMT", "", asked_at, answered_at)

    assert seconds_ahead(greeting) == ahead_seconds


def test_ends_a_step_that_gets_no_answer() -> None:
    """Each step has its own limit, after which it has failed."""
    answered = threading.Event()

    def look() -> Seen:
        answered.wait()
        return Seen("late")

    finding = find("dns", look, 0.05, "no name server answered")
    answered.set()

    assert finding.outcome is Outcome.FAILED
    assert finding.text == "no name server answered within 0.05 s; check the network or VPN"


def test_tries_both_calls_and_submits_nothing() -> None:
    """A sandbox passes, and has no job afterwards; of what has no meaning there it is said why."""
    with Sandbox(SandboxConfig(cpus=1, mem_mb=100)) as sandbox:
        found = examine(sandbox.url)
        jobs = list(sandbox.jobs)

    assert jobs == []
    assert [step for step, finding in found.items() if finding.outcome is not Outcome.OK] == [
        *("ticket", "tls", "ticket size")
    ]
    assert found["submit_job"].text == "it refuses an empty request, as it must (no_partition_given)"


@pytest.mark.parametrize(
    ("answers", "step", "outcome", "text"),
    [
        (
            (answer(LISTED), answer(LISTED), answer(REFUSED)),
            "query_status",
            Outcome.OK,
            "jobs of the last 24 hours: 2; waiting or running: 1",
        ),
        ((answer(LISTED), answer(LISTED), answer(REFUSED)), "clock", Outcome.NOTE, "the answer has no date"),
        ((answer(LISTED), answer(b"<p>"), answer(REFUSED)), "query_status", Outcome.FAILED, "which is no listing"),
        ((answer(LISTED),), "submit_job", Outcome.FAILED, "it does not refuse an empty request"),
        (
            (answer(LISTED), answer(LISTED), answer(b"", "503 No")),
            "submit_job",
            Outcome.FAILED,
            "503 with application/json; if that stays so, ask the cluster's staff",
        ),
        ((answer(b"", "401 No"),), "authentication", Outcome.FAILED, "wants a Kerberos ticket: leave out --frceapi-au"),
        ((answer(LISTED), answer(LISTED), answer()), "submit_job", Outcome.FAILED, "took an empty request as job 12"),
        ((answer(LISTED), answer(LISTED), answer(b"", "404 No")), "submit_job", Outcome.FAILED, "no such call"),
        ((answer(b"", "403 No"),), "authentication", Outcome.FAILED, "this account may not use the API"),
        ((b"nonsense\r\n",), "http", Outcome.FAILED, "its answer is no HTTP"),
    ],
)
def test_tells_what_is_wrong_with_the_service(
    answers: tuple[bytes, ...], step: str, outcome: Outcome, text: str
) -> None:
    """Each answer that is not as it should be fails the step that it belongs to."""
    with RawServer(say(*answers)) as server:
        found = examine(server.url())

    assert found[step].outcome is outcome
    assert text in found[step].text
    assert SECRET not in repr(found)


def test_blames_what_failed_first() -> None:
    """What was not tried names the step that failed, not those that were left out for it."""
    found = examine("http://127.0.0.1:9/")

    assert found["http"].outcome is Outcome.FAILED
    assert {found[step].text for step in ("clock", "authentication", "query_status", "submit_job")} == {
        "not tried, because http failed"
    }


def test_names_a_host_that_is_no_host_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A name that DNS cannot even ask for is told as well."""
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/none")
    found = examine(f"https://{'x' * 70}.test/hpcapi")

    assert found["dns"].outcome is Outcome.FAILED
    assert "this is no host name" in found["dns"].text


def test_examines_the_way_through_a_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The proxy's own refusal is told, and neither its password nor the ticket cache leaves this machine."""
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/none")
    with RawServer(say(answer(b"", "407 Authentication Required"))) as server:
        proxy = f"http://user:{SECRET}@127.0.0.1:{server.port}"
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        found = examine("https://api.test/hpcapi", HTTPS_PROXY=proxy, NO_PROXY="other.test")

    assert SECRET not in repr(found)
    assert "HTTPS_PROXY=http://***@127.0.0.1" in found["proxies"].text
    assert found["proxies"].text.endswith(f"requests go through http://***@127.0.0.1:{server.port}")
    assert found["dns"].text == "127.0.0.1 (of the proxy)"
    assert found["tls"].outcome is Outcome.FAILED
    assert found["tls"].text.endswith("correct the proxy in HTTPS_PROXY, or name the host in NO_PROXY")


@pytest.mark.parametrize(
    ("proxy", "step", "cause"),
    [
        (f"http://user:{SECRET}@127.0.0.1:9", "tls", "through the proxy http://***@127.0.0.1:9: Connection refused; "),
        (f"http://user:{SECRET}@nowhere.invalid:1", "dns", "through the proxy http://***@nowhere.invalid:1: the host "),
    ],
)
def test_blames_a_proxy_that_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, proxy: str, step: str, cause: str
) -> None:
    """It is the proxy's name or address that is wrong, and not that of the service."""
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/none")
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    found = examine("https://api.test/hpcapi", HTTPS_PROXY=proxy)[step]

    assert found.outcome is Outcome.FAILED
    assert cause in found.text
    assert found.text.endswith("correct the proxy in HTTPS_PROXY, or name the host in NO_PROXY")
    assert SECRET not in found.text


def test_command_prints_a_line_for_each_step_and_no_secret() -> None:
    """Lines for people and a document for the site's support tell the same; neither has the secret of the URL."""
    with Sandbox(SandboxConfig(cpus=1, mem_mb=100)) as sandbox:
        environment = {"SNAKEMAKE_FRCEAPI_URL": sandbox.url}
        lines = CliRunner().invoke(main, ["doctor"], env=environment)
        document = CliRunner().invoke(main, ["doctor", "--json"], env=environment)
        secret = sandbox.url.split("/")[3]

    assert (lines.exit_code, document.exit_code) == (0, 0)
    steps = json.loads(document.output)["steps"]
    assert [line.split()[0] for line in lines.output.splitlines()] == [step["outcome"] for step in steps]
    assert secret not in lines.output + document.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--url", "http://elsewhere.test/hpcapi"], "--url is 'http://elsewhere.test/hpcapi': only https is safe"),
        (["--target-name", "nonsense"], "--target-name is 'nonsense'; it must be SERVICE@HOST"),
        (["--auth", "none", "--url", "https://elsewhere.test/"], "--auth none is only for a sandbox"),
    ],
)
def test_command_refuses_bad_options_by_their_own_names(arguments: list[str], words: str) -> None:
    """A wrong value is one line with the option of this command, not that of Snakemake."""
    result = CliRunner().invoke(main, ["doctor", *arguments])

    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {words}")


def test_command_fails_when_a_step_fails() -> None:
    """The exit code tells a script that something is wrong."""
    result = CliRunner().invoke(main, ["doctor", "--url", "http://127.0.0.1:9/"])

    assert result.exit_code == 1
    assert "failed   http            cannot reach http://127.0.0.1:9/: Connection refused" in result.output


def probe(sandbox: Sandbox, *arguments: str) -> tuple[int, dict[str, Any], list[str]]:
    """Run ``frceapi doctor --submit``; return its exit code, its findings by step and the lines for the profile."""
    words = ["doctor", "--json", "--submit", "-p", "norm", *arguments]
    result = CliRunner().invoke(main, words, env={"SNAKEMAKE_FRCEAPI_URL": sandbox.url})
    document = json.loads(result.output)
    return result.exit_code, {step["step"]: step for step in document["steps"]}, document["profile"]


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox with two CPUs, and a directory without runs that is the current one."""
    monkeypatch.chdir(tmp_path)
    with Sandbox(SandboxConfig(cpus=2, mem_mb=1000)) as started:
        yield started


def test_probe_tells_which_keys_are_not_honoured(sandbox: Sandbox, tmp_path: Path) -> None:
    """A key that the service ignores fails with the setting to change, and the profile does not recommend its form."""
    sandbox.faults.ignore_key("cpus-per-task", call="submit_job")
    exit_code, steps, profile = probe(sandbox, "--memory-unit", "M")

    assert exit_code == 1
    assert [step for step, found in steps.items() if found["outcome"] == "failed"] == ["cpus-per-task"]
    assert steps["cpus-per-task"]["text"].endswith("try --number-format string.")
    assert profile[:2] == [
        "# not honoured, try another value: frceapi-number-format: integer",
        "# not honoured, try another value: frceapi-memory-unit: M",
    ]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("bad_partition", "choose another one with -p"),
        ("bad_number_of_tasks", "try --number-format string"),
        ("postdata_parse_error", "try --number-format string"),
    ],
)
def test_probe_tells_why_it_was_refused(sandbox: Sandbox, code: str, remedy: str) -> None:
    """A refusal that can come from the form of the numbers names the other form, and one of the partition -p."""
    sandbox.faults.refuse(code, call="submit_job")
    exit_code, steps, profile = probe(sandbox)

    assert (exit_code, profile) == (1, [])
    assert f"the service refused the job ({code})" in steps["probe"]["text"]
    assert steps["probe"]["text"].endswith(remedy)


def test_probe_does_not_wait_for_ever(sandbox: Sandbox, tmp_path: Path) -> None:
    """A job that does not begin in time is forbidden to, and the option that waits longer is named."""
    body = {"script-body": "#!/bin/sh\nsleep 300\n", "partition": "norm", "cpus-per-task": "2", "mem-per-node": 10}
    client = Client(ClientConfig(sandbox.url, auth="none"))
    client.submit_job(json.dumps(body).encode())
    client.close()
    exit_code, steps, profile = probe(sandbox, "--wait", "1")

    assert (exit_code, profile) == (1, [])
    assert "has not begun after 1 s (PENDING)" in steps["start"]["text"]
    assert "marker" not in steps
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


class EndedService:
    """A service whose jobs are over as soon as it has them."""

    def __init__(self, state: JobState) -> None:
        self._state = state

    def submit_job(self, _body: bytes) -> Accepted:
        """Take a job."""
        return Accepted("12")

    def query_status(self, _wanted: Collection[str] | None = None) -> Listing:
        """List that job."""
        return Listing({"12": JobStatus("12", self._state, self._state.value)})


@pytest.mark.parametrize(
    ("state", "remedy"),
    [
        (JobState.FAILED, "the nodes do not see this directory; go to one on shared storage"),
        (JobState.CANCELLED, "before it did anything; try again, or another -p PARTITION"),
    ],
)
def test_probe_tells_how_its_job_ended_that_left_no_trace(tmp_path: Path, state: JobState, remedy: str) -> None:
    """Only of one that ran and failed does it follow that the nodes see another directory."""
    _, start = Probe(EndedService(state), Spool(tmp_path), "norm", Encoding(), {}, wait_seconds=60).findings()

    assert start.outcome is Outcome.FAILED
    assert f"job 12 has ended ({state.value}) " in start.text
    assert start.text.endswith(remedy)


def test_probe_needs_a_partition_and_a_service_that_works() -> None:
    """What makes no sense is a usage error; where a step before failed nothing is submitted."""
    assert CliRunner().invoke(main, ["doctor", "--submit"]).exit_code == 2
    result = CliRunner().invoke(main, ["doctor", "--submit", "-p", "norm", "--url", "http://127.0.0.1:9/"])

    assert result.exit_code == 1
    assert result.output.splitlines()[-3:] == [
        "skipped  probe           not tried, because http failed",
        "",
        "Failed: http.",
    ]


REPORT = {"module": "", "login_module": ""}


@pytest.mark.parametrize(
    ("encoding", "found", "environment", "seconds", "lines"),
    [
        (Encoding(), {}, {}, 0.0, ["frceapi-number-format: integer", "latency-wait: 5"]),
        (
            Encoding(NumberFormat.STRING, "M"),
            {},
            {},
            7.1,
            ["frceapi-number-format: string", "frceapi-memory-unit: M", "latency-wait: 15"],
        ),
        (
            Encoding(),
            {"login_module": "function"},
            {},
            0.0,
            ["frceapi-number-format: integer", "frceapi-job-setup: source /etc/profile", "latency-wait: 5"],
        ),
        (
            Encoding(),
            {"login_module": "function"},
            {"BASH_FUNC_module%%": "() { :; }"},
            0.0,
            ["frceapi-number-format: integer", "latency-wait: 5"],
        ),
        (
            Encoding(),
            {"module": "function", "login_module": "function"},
            {},
            0.0,
            ["frceapi-number-format: integer", "latency-wait: 5"],
        ),
    ],
)
def test_writes_the_lines_for_the_profile(
    encoding: Encoding, found: dict[str, str], environment: dict[str, str], seconds: float, lines: list[str]
) -> None:
    """What a job needs in the profile follows from what the probe found."""
    assert profile_lines(encoding, REPORT | found, environment, seconds, honoured=True) == lines
