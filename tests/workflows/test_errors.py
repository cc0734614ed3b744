"""Each mistake gives one line that names what failed, the value and the remedy, before anything is submitted."""

from __future__ import annotations

import contextlib
import http.server
import os
import pwd
import re
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from snakemake_executor_plugin_frceapi.sandbox import Fault, Sandbox, SandboxConfig

if TYPE_CHECKING:
    from tests.snakemake_process import Result
    from tests.workflows.conftest import MakeWorkflow, Workflow

_LONGEST_LINE = 320
"""Characters, without the directories of paths, which have long names in tests."""

_DIRECTORIES = re.compile(r"/\S*/")

_ONE_JOB = """
    rule all:
        input: "a.txt"
    rule a:
        output: "a.txt"
        resources: mem_mb=100, runtime=1
        shell: "touch {output}"
"""

_AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away and mount file systems")


def _line(result: Result, *words: str) -> str:
    """Return the one line with all the words in the output of a run that failed without a traceback."""
    assert result.exit_code > 0, result.output
    assert "Traceback" not in result.output
    found = [line for line in result.output.splitlines() if all(word in line for word in words)]
    assert len(found) == 1, result.output
    assert len(_DIRECTORIES.sub("/", found[0])) <= _LONGEST_LINE
    return found[0]


def _secret(flow: Workflow) -> str:
    return flow.sandbox.url.split("/")[3]


# The start ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        pytest.param("htps://api.example.org/x", ["'htps://api.example.org/***'", "https://hpcapi"], id="scheme-typo"),
        pytest.param("http://api.example.org/x", ["'http://api.example.org/***'", "only https"], id="http-elsewhere"),
        pytest.param("api.example.org/x", ["'api.example.org/***'", "https://hpcapi"], id="no-scheme"),
        pytest.param("", ["is empty", "https://hpcapi"], id="empty"),
        pytest.param("https://me:pw@api.example.org/x", ["***@api.example.org", "user name"], id="password"),
        pytest.param("https://api.example.org/x?y=1", ["'https://api.example.org/x?***'", "leave out"], id="query"),
        pytest.param("https://api.example.org:99999/x", ["https://hpcapi"], id="port"),
    ],
)
def test_url_that_cannot_work_is_refused(workflow: MakeWorkflow, url: str, words: list[str]) -> None:
    """A URL is checked before anything is sent, and shown without what may be secret."""
    flow = workflow(_ONE_JOB)
    flow.environment["SNAKEMAKE_FRCEAPI_URL"] = url
    result = flow.run("--frceapi-url", url) if not url else flow.run()

    line = _line(result, "--frceapi-url", *words, "Error")
    assert "pw@" not in line


def test_address_where_nobody_listens_is_named(workflow: MakeWorkflow) -> None:
    """A sandbox that has stopped is called what it is, not a trouble of the network."""
    flow = workflow(_ONE_JOB)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        flow.environment["SNAKEMAKE_FRCEAPI_URL"] = f"http://127.0.0.1:{port}/{'s' * 20}/hpcapi"
        result = flow.run()

    line = _line(result, f"http://127.0.0.1:{port}/***/hpcapi", "Connection refused")
    assert "frceapi sandbox" in line
    assert "s" * 20 not in result.output


def test_wrong_secret_is_named(workflow: MakeWorkflow) -> None:
    """A sandbox that does not know the secret says no more than that, and neither does the plugin."""
    flow = workflow(_ONE_JOB)
    flow.environment["SNAKEMAKE_FRCEAPI_URL"] = flow.sandbox.url.replace(_secret(flow), "x" * 32)
    result = flow.run()

    _line(result, "status code 404", "/***/hpcapi", "check --frceapi-url")
    assert "x" * 32 not in result.output
    assert flow.jobs == []


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("auth", "basic", ["--frceapi-auth", "'basic'", "kerberos"]),
        ("target-name", "hpcapi", ["--frceapi-target-name", "'hpcapi'", "HTTP@"]),
        ("ca-bundle", "missing.pem", ["--frceapi-ca-bundle", "'missing.pem'", "cannot be read"]),
        ("number-format", "roman", ["--frceapi-number-format", "'roman'", "integer"]),
        ("memory-unit", "X", ["--frceapi-memory-unit", "'X'", "M"]),
        ("partition", "two words", ["--frceapi-partition", "'two words'", "one name"]),
        ("default-mem-mb-per-cpu", "0", ["--frceapi-default-mem-mb-per-cpu", "0", "at least 1"]),
        ("default-runtime", "1.5", ["--frceapi-default-runtime", "'1.5'", "int"]),
        ("export", "A B", ["--frceapi-export", "'A B'", "NAME=value"]),
        ("scratch", "here", ["--frceapi-scratch", "'here'", "absolute"]),
        ("delete-logfiles-older-than", "-1", ["--frceapi-delete-logfiles-older-than", "-1", "at least 0"]),
        ("init-seconds-before-status-checks", "-1", ["--frceapi-init-seconds", "-1", "at least 0"]),
        ("max-connections", "65", ["--frceapi-max-connections", "65", "at most 64"]),
        ("outage-tolerance", "nan", ["--frceapi-outage-tolerance", "nan", "at least 0"]),
        ("on-exit", "stay", ["--frceapi-on-exit", "'stay'", "leave"]),
        ("cancel-timeout", "-1", ["--frceapi-cancel-timeout", "-1", "at least 0"]),
        ("marker-grace", "-1", ["--frceapi-marker-grace", "-1", "at least 0"]),
        ("requeue-grace", "soon", ["--frceapi-requeue-grace", "'soon'", "float"]),
        ("unknown-grace", "-1", ["--frceapi-unknown-grace", "-1", "at least 0"]),
    ],
)
def test_bad_setting_is_refused(workflow: MakeWorkflow, setting: str, value: str, words: list[str]) -> None:
    """The message names the flag and the value, and nothing is sent."""
    flow = workflow(_ONE_JOB)
    result = flow.run(f"--frceapi-{setting}={value}")

    _line(result, *words, "rror: ")
    assert flow.sandbox.requests == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--shared-fs-usage", "none"], ["shared filesystem", "--default-storage-provider"]),
        (["--frceapi-auth", "none", "--frceapi-url", "https://api.example.org"], ["--frceapi-auth none", "sandbox"]),
    ],
)
def test_settings_that_do_not_fit_are_refused(workflow: MakeWorkflow, arguments: list[str], words: list[str]) -> None:
    """What the plugin cannot do is said at the start."""
    flow = workflow(_ONE_JOB)
    result = flow.run(*arguments)

    _line(result, *words, "Error: ")
    assert flow.calls("submit_job") == 0


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        pytest.param(lambda box: box.faults.status_code(401), ["401", "kinit"], id="401"),
        pytest.param(lambda box: box.faults.status_code(500), ["500", "start Snakemake again"], id="500"),
        pytest.param(lambda box: box.faults.html(), ["text/html", "no listing", "--frceapi-url"], id="html"),
        pytest.param(lambda box: box.faults.text("no database"), ["'no database'", "no listing"], id="text"),
        pytest.param(lambda box: box.faults.drop_before(reset=True), ["no listing"], id="reset"),
        pytest.param(lambda box: box.faults.raw(b"SSH-2.0-x\r\n"), ["no HTTP", "no listing"], id="not-http"),
    ],
)
def test_service_that_cannot_be_used_stops_the_start(
    workflow: MakeWorkflow, arm: Callable[[Sandbox], None], words: list[str]
) -> None:
    """Snakemake ends at once, with what the service answered and without the answer's page."""
    flow = workflow(_ONE_JOB)
    arm(flow.sandbox)
    result = flow.run()

    line = _line(result, *words, "Error: ")
    assert "<" not in line
    assert flow.calls("submit_job") == 0


# TLS and Kerberos -----------------------------------------------------------------------------------------------------


class _Refuser(http.server.BaseHTTPRequestHandler):
    """Answers each GET with an error of its own, so that a test sees whether a request came so far."""

    def do_GET(self) -> None:
        self.send_error(404, "a request has come")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the standard library
        """Say nothing."""


@dataclass
class _TlsServer:
    """A server with a certificate of an authority that nobody knows."""

    authority: trustme.CA = field(default_factory=trustme.CA)
    port: int = 0

    @contextlib.contextmanager
    def serve(self, name: str) -> Iterator[None]:
        """Serve under a certificate for `name`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(context)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Refuser) as server:
            server.socket = context.wrap_socket(server.socket, server_side=True)
            self.port = server.server_port
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()


@pytest.mark.parametrize(
    ("name", "bundle", "words"),
    [
        pytest.param("127.0.0.1", None, ["not trusted", "--frceapi-ca-bundle"], id="unknown-authority"),
        pytest.param("api.example.org", "authority.pem", ["not trusted", "127.0.0.1"], id="other-name"),
        pytest.param("127.0.0.1", "authority.pem", ["404", "no such call"], id="control"),
    ],
)
def test_certificate_is_checked(workflow: MakeWorkflow, name: str, bundle: str | None, words: list[str]) -> None:
    """No request is sent to a server that cannot prove its name; one that can gets it."""
    flow, server = workflow(_ONE_JOB), _TlsServer()
    server.authority.cert_pem.write_to_path(str(flow.directory / "authority.pem"))
    with server.serve(name):
        flow.environment["SNAKEMAKE_FRCEAPI_URL"] = f"https://127.0.0.1:{server.port}/hpcapi"
        result = flow.run("--frceapi-auth", "none", *(["--frceapi-ca-bundle", bundle] if bundle else []))

    _line(result, f"https://127.0.0.1:{server.port}/", *words)


def test_missing_ticket_is_named_before_anything_is_sent(workflow: MakeWorkflow, tmp_path: Path) -> None:
    """Without a ticket the message names the credential cache and kinit, and no connection is made."""
    flow = workflow(_ONE_JOB)
    cache = tmp_path / "krb5cc"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        flow.environment |= {
            "SNAKEMAKE_FRCEAPI_URL": f"https://127.0.0.1:{listener.getsockname()[1]}/hpcapi",
            "KRB5CCNAME": f"FILE:{cache}",
            "KRB5_CONFIG": str(flow.write("krb5.conf", "[libdefaults]\n")),
        }
        result = flow.run()
        listener.setblocking(False)

        with pytest.raises(BlockingIOError):
            listener.accept()

    _line(result, "no Kerberos ticket", str(cache), "`kinit`")


# The run directory ----------------------------------------------------------------------------------------------------


def _run_directory(flow: Workflow) -> Path:
    return flow.directory / ".snakemake" / "frceapi" / pwd.getpwuid(os.getuid()).pw_name


def test_run_directory_that_cannot_be_made_stops_the_start(workflow: MakeWorkflow) -> None:
    """A file in the place of the directory is named."""
    flow = workflow(_ONE_JOB)
    flow.write(".snakemake/frceapi", "")
    result = flow.run()

    _line(result, "Error: ", str(_run_directory(flow)), "cannot be written")
    assert flow.calls("submit_job") == 0


@pytest.mark.parametrize("trap", [pytest.param(os.symlink, id="link"), pytest.param(None, id="owner", marks=_AS_ROOT)])
def test_run_directory_of_another_stops_the_start(
    workflow: MakeWorkflow, tmp_path: Path, trap: Callable[[Path, Path], None] | None
) -> None:
    """Nothing is written where another user could read or change it."""
    flow = workflow(_ONE_JOB)
    place = _run_directory(flow)
    place.parent.mkdir(parents=True)
    if trap:
        trap(tmp_path, place)
    else:
        place.mkdir()
        os.chown(place, 54321, 54321)
    result = flow.run()

    _line(result, "Error: ", str(place), "not a directory of yours", "move it away")
    assert flow.calls("submit_job") == 0


@contextlib.contextmanager
def _small_file_system(place: Path, options: str) -> Iterator[None]:
    place.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@_AS_ROOT
def test_row_33_full_disk_is_waited_for(workflow: MakeWorkflow) -> None:
    """A job whose run directory cannot be written is not submitted before there is space again; then it runs."""
    flow = workflow(_ONE_JOB)
    flow.use_quick_jobs()
    place = _run_directory(flow).parent
    with _small_file_system(place, "size=16k"):
        running = flow.start()
        flow.wait_for(lambda: "nothing is submitted until there is space" in running.text(), "the line")
        assert flow.calls("submit_job") == 0
        subprocess.run(["mount", "-o", "remount,size=4m", str(place)], check=True)
        result = running.wait()

    assert result.exit_code == 0, result.output
    assert result.output.count("cannot be written (No space left on device)") == 1
    assert flow.calls("submit_job") == 1


@_AS_ROOT
def test_read_only_directory_stops_the_start(workflow: MakeWorkflow) -> None:
    """A working directory that cannot be written is named."""
    flow = workflow(_ONE_JOB)
    with _small_file_system(_run_directory(flow).parent, "ro"):
        result = flow.run()

    _line(result, "Error: ", str(_run_directory(flow)), "Read-only file system")
    assert flow.calls("submit_job") == 0


# Jobs that are not submitted ------------------------------------------------------------------------------------------

_NOT_EXPRESSIBLE = {
    "no_memory": ("mem_mb=0", ["mem_mb=0", "--set-resources no_memory:mem_mb="]),
    "negative": ("mem_mb_per_cpu=-5", ["mem_mb_per_cpu=-5", "--set-resources negative:mem_mb_per_cpu="]),
    "with_gpu": ("gpu=1", ["gpu=1", "--set-resources with_gpu:gpu=0"]),
    "constrained": ("constraint='fast'", ["constraint='fast'", "--set-resources constrained:constraint=0"]),
    "misfit": ("tasks=3, nodes=2", ["nodes=2 and tasks=3", "tasks must be nodes times"]),
    "alone": ("dependency='singleton'", ["'singleton'", "afterany:101:102"]),
    "waiting": ("dependency='afterok:x'", ["afterok:x"]),
    "odd_partition": ("slurm_partition='a b'", ["slurm_partition='a b'", "give one name"]),
    "unknown_partition": ("slurm_partition='nowhere'", ["'nowhere'", "bad_partition", "slurm_partition"]),
    "too_long": (
        "dependency='afterok' + ':1234567' * 1000",
        ["bytes, the API takes fewer than 4,000", "dependency", "fewer jobs"],
    ),
}


def test_jobs_that_cannot_be_submitted_fail_by_name(workflow: MakeWorkflow) -> None:
    """Each rule that asks for something impossible has its own message, and the others go on."""
    rules = [
        f'rule {name}:\n    output: "{name}"\n    resources: {asked}\n    shell: "exit 99"'
        for name, (asked, _) in _NOT_EXPRESSIBLE.items()
    ]
    flow = workflow("")
    flow.use_quick_jobs()
    names = ", ".join(f'"{name}"' for name in [*_NOT_EXPRESSIBLE, "good"])
    good = 'rule good:\n    output: "good"\n    shell: "exit 99"\n'
    flow.write("Snakefile", "\n".join([f"rule all:\n    input: {names}", *rules, good]))
    result = flow.run("--keep-going", "--jobs", "20")

    for name, (_, words) in _NOT_EXPRESSIBLE.items():
        _line(result, "message: The job was not submitted", *words)
        assert f"Error in rule {name}:" in result.output
    assert flow.final_states() == ["COMPLETED"]
    assert flow.files("good") == ["good"]
    assert flow.files(".snakemake/frceapi/*/jobs/**/*") == []


def test_rule_without_partition_fails_by_name(workflow: MakeWorkflow) -> None:
    """Where neither the rule nor a setting names a partition, both remedies are named."""
    flow = workflow(_ONE_JOB)
    flow.defaults.remove("--frceapi-partition")
    flow.defaults.remove("norm")
    result = flow.run()

    _line(result, "rule a", "no partition", "--frceapi-partition", "--set-resources a:slurm_partition=NAME")
    assert flow.calls("submit_job") == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("#!/bin/bash\nf() { :; }\n{exec_job}\n", ["single braces", "twice"], id="function"),
        pytest.param("#!/bin/bash\necho ${HOME}\n{exec_job}\n", ["'HOME'", "twice"], id="variable"),
        pytest.param("#!/bin/bash\necho {\n{exec_job}\n", ["single braces", "twice"], id="open"),
        pytest.param("#!/bin/bash\n{exec_job.x}\n", ["single braces", "twice"], id="attribute"),
        pytest.param("#!\n{exec_job}\n", ["'#!'", "#!/bin/bash"], id="no-program"),
    ],
)
def test_jobscript_that_cannot_be_filled_in_fails_the_job(workflow: MakeWorkflow, text: str, words: list[str]) -> None:
    """A stray brace is a message, not a traceback."""
    flow = workflow(_ONE_JOB)
    flow.write("jobscript.sh", text)
    result = flow.run("--jobscript", "jobscript.sh")

    _line(result, "not submitted", "--jobscript", *words)
    assert flow.calls("submit_job") == 0


def test_jobname_that_cannot_be_filled_in_fails_the_job(workflow: MakeWorkflow) -> None:
    """An error that the workflow's own names cause fails the job that has it; the others run."""
    flow = workflow("""
        rule all:
            input: "a.txt", "b.txt"
        rule a:
            output: "a.txt"
            shell: "touch {output}"
        rule b:
            output: "b.txt"
            params: title="b"
            shell: "touch {output}"
    """)
    result = flow.run("--jobname", "{params.title}.{jobid}", "--keep-going")

    _line(result, "not submitted", "RuleException")
    assert flow.files("?.txt") == ["b.txt"]


@pytest.mark.parametrize("code", ["backend_query_malloc_failed", "backend_query_job_submission_failed", "on_fire"])
def test_refused_submission_shows_the_services_word(workflow: MakeWorkflow, code: str) -> None:
    """A refusal fails the job with the word of the service, documented or not."""
    flow = workflow(_ONE_JOB)
    flow.sandbox.faults.refuse(code)
    result = flow.run()

    _line(result, "not submitted", code)
    assert flow.calls("submit_job") == 1


# Jobs that fail -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["--show-failed-logs"]])
def test_failed_rule_shows_why(workflow: MakeWorkflow, arguments: list[str]) -> None:
    """The message has state, exit code and log, and of the log what the rule said last."""
    flow = workflow("""
        rule a:
            output: "a.txt"
            shell: "echo the reason >&2; exit 3"
    """)
    result = flow.run(*arguments)

    log = flow.directory / flow.files(".snakemake/frceapi_logs/rule_a/*.log")[0]
    jobid = log.stem
    _line(result, f"Job {jobid} failed", "state FAILED", "exit code 1")
    message, shown = result.output.split(f"Job {jobid} failed", 1)[1].split("external_jobid", 1)
    assert f"Log: {log}" in message
    assert [line.strip() for line in message.splitlines()].count("the reason") == 1
    assert "returned non-zero exit status 3" in message
    assert "Exiting because" not in message
    assert "further error details" not in message
    assert (f"Logfile {log}" in shown) == bool(arguments)


@pytest.mark.parametrize(
    ("work", "time_limit", "state", "remedy"),
    [
        ("sleep 60", "00-00:00:01", "TIMEOUT", "more with: --set-resources a:runtime=2, or"),
        (
            "(head -c 300m /dev/zero; sleep 60) | tail",
            "00-00:01:00",
            "OUT_OF_MEMORY",
            "more with: --set-resources a:mem_mb=200, or",
        ),
    ],
    ids=["time", "memory"],
)
def test_exceeded_limit_names_the_line_that_raises_it(
    workflow: MakeWorkflow, work: str, time_limit: str, state: str, remedy: str
) -> None:
    """The message has what was asked, and the argument to copy."""
    flow = workflow(_ONE_JOB, config=SandboxConfig(kill_wait=1.0, memory_interval=0.1))
    flow.use_quick_jobs(work)
    # Nobody waits for the whole minute that is the shortest time limit to ask for.
    flow.sandbox.faults.add(Fault(request=lambda document: {**document, "timelimit": time_limit}))
    result = flow.run("--frceapi-marker-grace", "2")

    _line(result, "failed", f"state {state}")
    _line(result, "It asked for", remedy)
    assert flow.final_states() == [state]


def test_node_without_the_run_directory_is_suspected(workflow: MakeWorkflow) -> None:
    """A job that a node could not begin leads to the question whether the directory is shared."""
    flow = workflow(_ONE_JOB)

    def elsewhere(document: dict[str, object]) -> dict[str, object]:
        script = str(document["script-body"])
        # The job is seen to run for a while, as it would be on a real node.
        return {
            **document,
            "script-body": script.replace(str(flow.directory), "/nowhere").replace("sleep 5", "sleep 1"),
        }

    flow.sandbox.faults.add(Fault(request=elsewhere))
    result = flow.run("--frceapi-marker-grace", "2")

    _line(result, "of rule a failed and left nothing in", "the nodes seem not to share it", "--shared-fs-usage none")
    assert [job.exit_code for job in flow.final_jobs()] == [66]


def test_job_cancelled_by_others_fails_by_name(workflow: MakeWorkflow) -> None:
    """A job that somebody else cancels fails with that state, and Snakemake ends."""
    flow = workflow(_ONE_JOB)
    flow.use_quick_jobs("echo working; sleep 60")
    running = flow.start()
    flow.wait_for(lambda: flow.lines("ledger"), "a job that runs")
    jobid = next(iter(flow.sandbox.jobs))
    flow.sandbox.cancel(jobid)
    result = running.wait()

    _line(result, f"Job {jobid} failed", "signal from outside", "CANCELLED")


def test_pending_job_cancelled_by_others_fails_by_name(workflow: MakeWorkflow) -> None:
    """A job that is cancelled before it starts fails with that state; its node is not to blame."""
    flow = workflow(_ONE_JOB)
    flow.sandbox.hold()
    running = flow.start("--frceapi-marker-grace", "2")
    flow.wait_for(lambda: flow.sandbox.jobs, "a submission")
    jobid = next(iter(flow.sandbox.jobs))
    flow.sandbox.cancel(jobid)
    result = running.wait()

    _line(result, f"Job {jobid} failed", "CANCELLED")
    assert "left no trace" not in result.output


def test_killed_job_fails_after_the_grace(workflow: MakeWorkflow) -> None:
    """A job that is gone without an end of its own fails, and what it has said is shown."""
    flow = workflow(_ONE_JOB)
    flow.use_quick_jobs("echo last words; touch said; sleep 60")
    running = flow.start("--frceapi-marker-grace", "2")
    flow.wait_for(lambda: flow.files("said"), "a job that has said something")
    jobid, job = next(iter(flow.sandbox.jobs.items()))
    assert job.process is not None
    os.killpg(job.process.pid, signal.SIGKILL)
    result = running.wait()

    _line(result, f"Job {jobid} failed", "Slurm ended it", "state FAILED")
    _line(result, "last words")
    assert "left no trace" not in result.output


# The service goes away ------------------------------------------------------------------------------------------------

_WAITING = "while [ ! -e go ]; do sleep 0.1; done"


def test_outage_is_told_once_and_survived(workflow: MakeWorkflow) -> None:
    """One line says that the service is away, one that it is back, and the run ends well."""
    flow = workflow("""
        rule b:
            input: "a.txt"
            output: "b.txt"
            shell: "exit 99"
        rule a:
            output: "a.txt"
            shell: "exit 99"
    """)
    flow.use_quick_jobs('while [ ! -e "go-$output" ]; do sleep 0.1; done')
    running = flow.start("--frceapi-unknown-grace", "1")
    flow.wait_for(lambda: flow.lines("ledger"), "a job that runs")
    flow.sandbox.faults.drop_before(reset=True)
    flow.wait_for(lambda: "go on" in running.text(), "the line at the begin")
    flow.write("go-a.txt", "")
    flow.wait_for(lambda: flow.calls("submit_job") > 1, "a submission while the service is away")
    flow.sandbox.faults.clear()
    flow.wait_for(lambda: "used again" in running.text(), "the line at the end")
    flow.write("go-b.txt", "")
    result = running.wait()

    assert result.exit_code == 0, result.output
    assert result.output.count("query_status: ") == 1
    assert result.output.count("The API can be used again") == 1
    assert flow.files("?.txt") == ["a.txt", "b.txt"]
    assert sorted(line.split()[1] for line in flow.lines("ledger") if line.startswith("begin")) == ["a.txt", "b.txt"]


def test_outage_that_lasts_too_long_ends_snakemake_alone(workflow: MakeWorkflow) -> None:
    """Snakemake gives up, names the jobs and the setting, and lets the jobs run on to their end."""
    flow = workflow(_ONE_JOB)
    flow.use_quick_jobs(_WAITING)
    running = flow.start("--frceapi-outage-tolerance", "0.0003")
    flow.wait_for(lambda: flow.lines("ledger"), "a job that runs")
    flow.sandbox.faults.drop_before()
    result = running.wait()
    jobid = next(iter(flow.sandbox.jobs))

    _line(result, "query_status", "--frceapi-outage-tolerance 0.0003", "leaves the jobs alone")
    _line(result, "left to run on", jobid)
    assert flow.states == ["RUNNING"]
    flow.write("go", "")
    assert flow.sandbox.wait(jobid).state == "COMPLETED"
    assert flow.files("a.txt") == ["a.txt"]


# The secret -----------------------------------------------------------------------------------------------------------


def _command_lines_and_job_environments() -> str:
    texts = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                texts.append((entry / "cmdline").read_text("utf-8", "replace"))
                environment = (entry / "environ").read_text("utf-8", "replace")
                texts.append(environment if "SLURM_JOB_ID=" in environment else "")
    return "\n".join(texts)


def test_secret_of_the_url_is_shown_nowhere(workflow: MakeWorkflow) -> None:
    """The sandbox's secret is in no output, no file, no command line and no job's environment."""
    flow = workflow("""
        rule all:
            input: "a.txt", "b.txt"
        rule a:
            output: "a.txt"
            shell: "env >{output}; touch begun; while [ ! -e go ]; do sleep 0.1; done"
        rule b:
            output: "b.txt"
            shell: "env; exit 1"
    """)
    secret = _secret(flow)
    running = flow.start("--verbose", "--printshellcmds", "--keep-going", "--frceapi-keep-successful-logs")
    flow.wait_for(lambda: flow.files("begun"), "a job that runs")
    flow.sandbox.faults.status_code(503, call="query_status", count=2)
    flow.wait_for(lambda: "503" in running.text(), "a message about the service")
    seen = _command_lines_and_job_environments()
    files = [path for path in flow.directory.rglob("*") if path.is_file()]
    flow.write("go", "")
    result = running.wait()
    files += [path for path in flow.directory.rglob("*") if path.is_file()]
    texts = [path.read_text("utf-8", "replace") for path in files if path.exists()]

    assert "/***/hpcapi" in result.output
    assert secret not in result.output
    assert secret not in seen
    assert any("SLURM_JOB_ID=" in text for text in texts)
    assert not [path for path in files if path.exists() and secret in path.read_text("utf-8", "replace")]
