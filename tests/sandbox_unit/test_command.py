"""``frceapi sandbox`` as users and CI runners call it."""

from __future__ import annotations

import builtins
import http.client
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from snakemake_executor_plugin_frceapi.sandbox.command import sandbox_command

MODULE = "snakemake_executor_plugin_frceapi.sandbox.command"
COMMAND = [sys.executable, "-c", f"from {MODULE} import sandbox_command as main; main(prog_name='frceapi sandbox')"]
SECRET = "a-secret-of-enough-letters"
PATIENCE_S = 60


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@contextmanager
def started(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start the command; end it if the test did not."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line of standard output."""
    assert process.stdout is not None
    return process.stdout.readline()


def code_of_status_call(url: str) -> int:
    """Status code of ``query_status`` below a base URL."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE_S)
    connection.request("GET", f"{parts.path}/query_status")
    code = connection.getresponse().status
    connection.close()
    return code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_sandbox_serves_until_signal(number: signal.Signals) -> None:
    """The URL is printed once, in a line for a shell; elsewhere it is masked; a signal ends it in order."""
    with started("--cpus", "3", "--mem-mb", "500", "--verbose") as process:
        found = re.fullmatch(
            r"export SNAKEMAKE_FRCEAPI_URL=(http://127\.0\.0\.1:\d+/([\w-]+)/hpcapi)\n", line_of(process)
        )
        assert found is not None
        assert code_of_status_call(found[1]) == 200

        process.send_signal(number)
        out, error = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, out) == (0, "")
    assert "/***/hpcapi with 3 CPUs and 500 MB" in error
    assert "GET query_status 200" in error
    assert found[2] not in error


def test_sandbox_takes_port_and_secret_of_url() -> None:
    """A shell in which the line was pasted can start the same sandbox again."""
    with started(SNAKEMAKE_FRCEAPI_URL=f"http://127.0.0.1:0/{SECRET}/hpcapi") as process:
        assert f"/{SECRET}/hpcapi" in line_of(process)


def test_sandbox_takes_secret_of_file(tmp_path: Path) -> None:
    """The option names a file with the secret."""
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_text(SECRET, encoding="ascii")

    with started("--secret-file", str(path)) as process:
        assert f"/{SECRET}/hpcapi" in line_of(process)


def test_sandbox_refuses_open_secret_file(tmp_path: Path) -> None:
    """One line says what is wrong and what to do."""
    path = tmp_path / "secret"
    path.write_text(SECRET, encoding="ascii")
    path.chmod(0o644)

    done = run("--secret-file", str(path))

    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "chmod 600" in done.stderr


def test_sandbox_reports_taken_port() -> None:
    """One line says that the port is taken."""
    with started() as process:
        port = urlsplit(line_of(process).partition("=")[2]).port
        done = run("--port", str(port))

    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert f"port {port}: " in done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137)])
def test_command_returns_exit_code(script: str, code: int) -> None:
    """The exit code is the command's, or 128 and the signal's number."""
    assert run("--", "sh", "-c", script).returncode == code


def test_command_finds_the_sandbox() -> None:
    """The command sees the URL of its own sandbox, whatever the variable was before; nothing else is printed."""
    done = run(
        "--", "sh", "-c", "echo $SNAKEMAKE_FRCEAPI_URL", SNAKEMAKE_FRCEAPI_URL=f"http://127.0.0.1:1/{SECRET}/hpcapi"
    )

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]+/hpcapi\n", done.stdout)
    assert SECRET not in done.stdout
    assert done.stderr == ""


def test_command_keeps_its_own_options() -> None:
    """What follows the command's name belongs to the command, with or without dashes in front."""
    assert run("echo", "--port", "x").stdout == "--port x\n"


@pytest.mark.parametrize(("command", "code", "word"), [("no-such-program", 127, "not found"), ("/", 126, "denied")])
def test_command_that_cannot_run_is_reported(command: str, code: int, word: str) -> None:
    """One line and the exit code that a shell would give."""
    done = run("--", command)

    assert (done.returncode, len(done.stderr.splitlines())) == (code, 1)
    assert word in done.stderr


# Two signals at once meet in the handler, where `print` may not be entered again.
LISTENER = """
import os, signal, sys, time
def note(number, _):
    os.write(1, f"got {signal.Signals(number).name}\\n".encode())
    if number != signal.SIGINT: sys.exit(5)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1): signal.signal(number, note)
print("ready", flush=True)
while True: time.sleep(0.05)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_command_gets_signals_once(number: signal.Signals) -> None:
    """A signal to the sandbox, or to its whole process group as a CI runner sends it, reaches the command once."""
    with started("--", sys.executable, "-c", LISTENER) as process:
        assert line_of(process) == "ready\n"
        os.killpg(process.pid, signal.SIGINT)
        assert line_of(process) == "got SIGINT\n"
        process.send_signal(number)
        out, _ = process.communicate(timeout=PATIENCE_S)

    assert out == f"got {number.name}\n"
    assert process.returncode == 5


def read_until(terminal: int, text: str) -> str:
    """What a terminal shows until `text` appears."""
    seen = ""
    end = time.monotonic() + PATIENCE_S
    while text not in seen:
        assert time.monotonic() < end, seen
        if select.select([terminal], [], [], 0.1)[0]:
            seen += os.read(terminal, 1000).decode()
    return seen


def test_terminal_belongs_to_the_command() -> None:
    """Ctrl-C reaches the command once; Ctrl-Z stops both, and both go on; the command can read the terminal."""
    # A signal that comes just before `input` waits is handled when it has read; this one never waits for long.
    waiting = "import select\nwhile not select.select([0], [], [], 0.05)[0]: pass\n"
    script = f"{LISTENER.rsplit('while', 1)[0]}{waiting}print('read', input(), flush=True)\nsys.exit(6)"
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover -- becomes another program
        os.execv(COMMAND[0], [*COMMAND, "--", sys.executable, "-c", script])  # noqa: S606 -- no shell is wanted
    try:
        read_until(terminal, "ready")
        os.write(terminal, b"\x03")
        assert read_until(terminal, "got SIGINT").count("got SIGINT") == 1
        os.write(terminal, b"\x1a")
        assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
        os.kill(pid, signal.SIGCONT)
        os.write(terminal, b"word\n")
        shown = read_until(terminal, "read word")
        assert "got SIGINT" not in shown
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 6
    finally:
        os.close(terminal)


@pytest.mark.parametrize("missing", ["werkzeug", "psutil"])
def test_missing_extra_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra one line says what to install."""
    for name in [name for name in sys.modules if name.startswith(("werkzeug", "psutil")) or ".sandbox." in name]:
        if not name.endswith((".command", ".config", ".foreground", ".partitions", ".secret", ".pytest_plugin")):
            monkeypatch.delitem(sys.modules, name)
    real_import = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == missing:
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
        return real_import(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    result = CliRunner().invoke(sandbox_command, ["--", "true"])

    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"Error: the sandbox needs {missing}; pip install 'snakemake-executor-plugin-frceapi[sandbox]'"
    ]
